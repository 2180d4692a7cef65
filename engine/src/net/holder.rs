//! Who holds a port: so that "address in use" names the culprit.

use std::fs;
use std::net::SocketAddr;

use base::Transport;

/// A process that holds a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its command's name.
    pub command: String,
}

/// The process that listens on a port, as far as `/proc` lets us see.
pub fn holder(transport: Transport, addr: SocketAddr) -> Option<Holder> {
    let name = if transport == Transport::Tcp { "tcp" } else { "udp" };
    let inode = [name.to_owned(), format!("{name}6")].iter().find_map(|name| {
        let table = fs::read_to_string(format!("/proc/net/{name}")).ok()?;
        table.lines().skip(1).find_map(|line| inode(line, addr.port(), transport))
    })?;
    let wanted = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        for file in files.flatten() {
            if fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str()) {
                let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(Holder { pid, command: command.trim().to_owned() });
            }
        }
    }
    None
}

/// The inode of a line of `/proc/net/*` if it is a socket bound to this port (for TCP: listening).
fn inode(line: &str, port: u16, transport: Transport) -> Option<u64> {
    let mut words = line.split_whitespace();
    let local = words.nth(1)?;
    let bound = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    let state = words.nth(1)?;
    let listening = transport != Transport::Tcp || state == "0A";
    if bound == port && listening { words.nth(5)?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_find_ourselves() {
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let found = holder(Transport::Udp, udp.local_addr().unwrap()).unwrap();
        assert_eq!(found.pid, std::process::id());
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = holder(Transport::Tcp, tcp.local_addr().unwrap()).unwrap();
        assert_eq!(found.pid, std::process::id());
    }
}
