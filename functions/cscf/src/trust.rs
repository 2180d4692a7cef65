//! The trust domain of RFC 3325: which neighbours' assertions are believed.

use std::net::IpAddr;

use base::{Endpoint, Flow};

/// Addresses of the other network functions. A wire to a function of this process is always trusted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TrustDomain {
    networks: Vec<(IpAddr, u8)>,
}

impl TrustDomain {
    /// A trust domain of networks, each an address and a prefix length in bits.
    pub fn new(networks: Vec<(IpAddr, u8)>) -> TrustDomain {
        TrustDomain { networks }
    }

    /// Whether the far end of a flow belongs to it.
    pub fn includes(&self, flow: &Flow) -> bool {
        match flow.remote {
            Endpoint::Wire(_) => true,
            Endpoint::Ip(addr) => {
                self.networks.iter().any(|(net, len)| within(addr.ip(), *net, *len))
            }
        }
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

    #[test]
    fn prefixes_are_compared() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(within(ip("10.1.2.3"), ip("10.1.0.0"), 16));
        assert!(!within(ip("10.2.2.3"), ip("10.1.0.0"), 16));
        assert!(within(ip("1.2.3.4"), ip("9.9.9.9"), 0));
        assert!(within(ip("2001:db8::1"), ip("2001:db8::"), 32));
        assert!(!within(ip("::1"), ip("127.0.0.1"), 0));
    }
}
