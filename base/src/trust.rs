//! Which hosts are network functions, by their address.

use std::net::IpAddr;

use crate::flow::{Endpoint, Flow};
use crate::source::is_here;

/// Networks of the other network functions, each an address and a prefix length in bits.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Networks(Vec<(IpAddr, u8)>);

impl Networks {
    /// These networks.
    pub fn new(networks: Vec<(IpAddr, u8)>) -> Networks {
        Networks(networks)
    }

    /// Whether an address belongs to one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, length)| within(address, *network, *length))
    }

    /// Whether the far end of a flow is a network function, whose assertions are believed (the trust
    /// domain of RFC 3325): it is in one of the networks, has proved it by a certificate, or is a
    /// function of the same process. A program on this host is not enough: it may be a phone.
    pub fn includes(&self, flow: &Flow) -> bool {
        match flow.remote {
            Endpoint::Wire(_) => true,
            Endpoint::Ip(remote) => flow.proved || self.contains(remote.ip()),
        }
    }

    /// Whether the far end of a flow has an address in one of the networks.
    pub fn has(&self, flow: &Flow) -> bool {
        flow.remote.ip().is_some_and(|ip| self.contains(ip))
    }

    /// Whether the far end of a flow may ask at a seam that phones do not use (Diameter, NG): a
    /// network function, or any program on this host.
    pub fn admits(&self, flow: &Flow) -> bool {
        is_here(flow) || self.includes(flow)
    }

    /// What to say to the operator about a flow that is not admitted.
    pub fn refusal(flow: &Flow) -> String {
        format!(
            "{} is in no network of network functions: `networks` below `[trust]` lets it in",
            flow.remote
        )
    }
}

fn within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        _ => return false,
    };
    let shift = width - u32::from(length).min(width);
    address.checked_shr(shift) == network.checked_shr(shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlowId, Service, Transport};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_are_compared() {
        assert!(within(ip("10.1.2.3"), ip("10.1.0.0"), 16));
        assert!(!within(ip("10.2.2.3"), ip("10.1.0.0"), 16));
        assert!(within(ip("1.2.3.4"), ip("9.9.9.9"), 0));
        assert!(within(ip("2001:db8::1"), ip("2001:db8::"), 32));
        assert!(!within(ip("::1"), ip("127.0.0.1"), 0));
    }

    #[test]
    fn this_host_and_the_networks_are_admitted() {
        let networks = Networks::new(vec![(ip("10.1.0.0"), 16)]);
        let flow = |local: &str, remote: &str| {
            let end = |text| Endpoint::Ip((ip(text), 3868).into());
            let (local, remote) = (end(local), end(remote));
            let (id, service) = (FlowId(1), Service::Diameter);
            Flow { id, service, transport: Transport::Tcp, local, remote, proved: false }
        };
        let admits = |local, remote| networks.admits(&flow(local, remote));
        assert!(admits("192.0.2.1", "10.1.9.9"));
        assert!(admits("192.0.2.1", "192.0.2.1"));
        assert!(admits("127.0.0.1", "127.0.0.2") && admits("::1", "::1"));
        assert!(admits("192.0.2.1", "::ffff:10.1.2.3"));
        assert!(!admits("192.0.2.1", "192.0.2.2") && !admits("192.0.2.1", "10.2.0.1"));
        assert!(networks.includes(&flow("192.0.2.1", "10.1.9.9")));
        let stranger = flow("127.0.0.1", "127.0.0.2");
        assert!(!networks.includes(&stranger));
        assert!(networks.includes(&Flow { proved: true, ..stranger }));
    }
}
