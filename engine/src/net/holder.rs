//! Who holds a port: so that "address in use" names the culprit.

use std::fs;
use std::net::{IpAddr, SocketAddr};

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
    let name = if transport.is_connection() { "tcp" } else { "udp" };
    let inode = [name.to_owned(), format!("{name}6")].iter().find_map(|name| {
        let table = fs::read_to_string(format!("/proc/net/{name}")).ok()?;
        table.lines().skip(1).find_map(|line| inode(line, addr, transport))
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

/// The inode of a line of `/proc/net/*` if its socket is in the way of this address (for TCP:
/// listening).
fn inode(line: &str, addr: SocketAddr, transport: Transport) -> Option<u64> {
    let mut words = line.split_whitespace();
    let (ip, port) = words.nth(1)?.rsplit_once(':')?;
    let bound = SocketAddr::new(address(ip)?, u16::from_str_radix(port, 16).ok()?);
    let state = words.nth(1)?;
    let listening = !transport.is_connection() || state == "0A";
    let any = bound.ip().is_unspecified() || addr.ip().is_unspecified();
    let same = bound.ip().to_canonical() == addr.ip().to_canonical();
    let clash = bound.port() == addr.port() && (any || same);
    if clash && listening { words.nth(5)?.parse().ok() } else { None }
}

/// An address as `/proc/net/*` writes it: words in the machine's byte order.
fn address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok();
    let word = |at: usize| word(at).map(u32::to_ne_bytes);
    match text.len() {
        8 => Some(word(0)?.into()),
        32 => {
            let mut bytes = [0; 16];
            for (number, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(number * 8)?);
            }
            Some(bytes.into())
        }
        _ => None,
    }
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

    #[test]
    fn the_same_port_of_another_address_is_nobodys() {
        let one = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = one.local_addr().unwrap().port();
        let other = SocketAddr::from(([127, 0, 0, 2], port));
        // Nobody else is likely to have it there.
        let found = holder(Transport::Udp, other);
        assert!(found.is_none_or(|holder| holder.pid != std::process::id()));
        let any = SocketAddr::from(([0, 0, 0, 0], port));
        assert_eq!(holder(Transport::Udp, any).unwrap().pid, std::process::id());
        assert_eq!(address("0100007F"), Some([127, 0, 0, 1].into()));
        let v6 = "2001:db8::5".parse().ok();
        assert_eq!(address("B80D0120000000000000000005000000"), v6);
    }
}
