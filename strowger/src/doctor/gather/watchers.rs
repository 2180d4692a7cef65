//! Listeners for other programs, and the collector of the trace.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use base::Transport;
use engine::net::probe;

use super::refused;
use crate::config::Config;
use crate::doctor::checks::{API, METRICS};
use crate::doctor::facts::Page;

/// How long a host may take to say that nobody listens.
const PATIENCE: Duration = Duration::from_millis(300);

/// What happens when the pages are listened for.
pub(super) fn pages(config: &Config) -> Vec<Page> {
    let metrics = config.observe.metrics.iter().map(|addr| (METRICS, *addr));
    let all = metrics.chain(config.api.listen.iter().map(|addr| (API, *addr)));
    let page = |(key, addr)| Page {
        key,
        addr,
        refused: probe(key, Transport::Tcp, addr).err().map(refused),
    };
    all.map(page).collect()
}

/// The collector, and whether its host says that nobody listens there. Silence says nothing.
pub(super) fn collector(config: &Config) -> Option<(SocketAddr, bool)> {
    let addr = config.observe.hep?;
    Some((addr, is_away(addr).unwrap_or(false)))
}

fn is_away(addr: SocketAddr) -> std::io::Result<bool> {
    let any: SocketAddr = if addr.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(addr)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // A datagram without content is no HEP: a collector overlooks it.
    socket.send(&[])?;
    let answer = socket.recv(&mut [0; 1]);
    Ok(answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_port_is_told_from_a_silent_one() {
        let open = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addr = open.local_addr().unwrap();
        assert!(!is_away(addr).unwrap());
        drop(open);
        assert!(is_away(addr).unwrap());
    }
}
