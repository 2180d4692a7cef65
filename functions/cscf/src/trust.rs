//! The trust domain of RFC 3325: which neighbours' assertions are believed.

use std::net::IpAddr;

use base::trust::Networks;
use base::{Endpoint, Flow};

/// Addresses of the other network functions. A wire to a function of this process is always trusted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TrustDomain {
    networks: Networks,
}

impl TrustDomain {
    /// A trust domain of networks, each an address and a prefix length in bits.
    pub fn new(networks: Vec<(IpAddr, u8)>) -> TrustDomain {
        TrustDomain { networks: Networks::new(networks) }
    }

    /// Whether the far end of a flow belongs to it.
    pub fn includes(&self, flow: &Flow) -> bool {
        match flow.remote {
            Endpoint::Wire(_) => true,
            Endpoint::Ip(addr) => self.networks.contains(addr.ip()),
        }
    }
}
