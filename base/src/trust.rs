//! Which hosts are network functions, by their address.

use std::net::IpAddr;

use crate::flow::{Endpoint, Flow};

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

    /// Whether the far end of a flow may have what only network functions may: it is in one of the
    /// networks, a function of the same process, or a program on this host.
    pub fn admits(&self, flow: &Flow) -> bool {
        match flow.remote {
            Endpoint::Wire(_) => true,
            Endpoint::Ip(remote) => {
                let remote = remote.ip().to_canonical();
                let own = flow.local.ip().map(|local| local.to_canonical());
                remote.is_loopback() || own == Some(remote) || self.contains(remote)
            }
        }
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
        let admits = |local: &str, remote: &str| {
            let end = |text| Endpoint::Ip((ip(text), 3868).into());
            let (local, remote) = (end(local), end(remote));
            let (id, service) = (FlowId(1), Service::Diameter);
            networks.admits(&Flow { id, service, transport: Transport::Tcp, local, remote })
        };
        assert!(admits("192.0.2.1", "10.1.9.9"));
        assert!(admits("192.0.2.1", "192.0.2.1"));
        assert!(admits("127.0.0.1", "127.0.0.2") && admits("::1", "::1"));
        assert!(admits("192.0.2.1", "::ffff:10.1.2.3"));
        assert!(!admits("192.0.2.1", "192.0.2.2") && !admits("192.0.2.1", "10.2.0.1"));
    }
}
