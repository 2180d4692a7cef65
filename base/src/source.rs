//! Whom a limit counts as one: the source of requests and connections.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::flow::{Endpoint, Flow};

/// An IPv4 address, or a network of IPv6 with 64 bits: what one subscriber usually has (RFC 6177), all of
/// whose addresses he may use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(IpAddr);

impl Source {
    /// Whose address it is.
    pub fn of(address: IpAddr) -> Source {
        Source(match address.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
            ip => ip,
        })
    }

    /// Who is at the far end of a flow; nobody at that of a wire.
    pub fn of_flow(flow: &Flow) -> Option<Source> {
        flow.remote.ip().map(Source::of)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "{ip}"),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Whether two ends are on the same host: one is a loopback address, or both are the same.
pub fn is_same_host(local: IpAddr, remote: IpAddr) -> bool {
    let (local, remote) = (local.to_canonical(), remote.to_canonical());
    remote.is_loopback() || local == remote
}

/// Whether the far end of a flow is on this host.
pub fn is_here(flow: &Flow) -> bool {
    match (flow.local, flow.remote) {
        (Endpoint::Ip(local), Endpoint::Ip(remote)) => is_same_host(local.ip(), remote.ip()),
        (_, remote) => remote.ip().is_some_and(|ip| ip.to_canonical().is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_source() {
        let of = |text: &str| Source::of(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
