//! IP addresses for those who have none, for tools that know nothing else.
//!
//! Functions on in-memory wires get the address `127.1.x.y` (the wire's number) and the port of their
//! protocol, so that every dissector finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base::{Endpoint, Service, WireId};

use crate::record::Party;

/// Both as IPv4, or both as IPv6.
pub fn same_family(from: SocketAddr, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    if from.is_ipv4() == to.is_ipv4() {
        return (from, to);
    }
    let wide = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(v4.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    (wide(from), wide(to))
}

/// The addresses of all parties; the same party always has the same one.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Wires of several processes may have the same number.
    wires: BTreeMap<(WireId, Option<Arc<str>>), Ipv4Addr>,
    taken: BTreeSet<Ipv4Addr>,
}

impl Addresses {
    /// A party's address and port.
    pub fn of(&mut self, party: &Party, service: Service) -> SocketAddr {
        let wire = match party.endpoint {
            Endpoint::Ip(address) => return address,
            Endpoint::Wire(wire) => wire,
        };
        let port = match service {
            Service::Sip => 5060,
            Service::Diameter => 3868,
            Service::Ng => 2223,
            Service::Rtp => 5004,
            Service::Resp => 6379,
            Service::Http => 80,
            Service::Cli => 9900,
        };
        let key = (wire, party.name.clone());
        if let Some(address) = self.wires.get(&key) {
            return SocketAddr::new((*address).into(), port);
        }
        let [high, low] = wire.0.to_be_bytes();
        let nets = (1..=254).map(|net| Ipv4Addr::new(127, net, high, low));
        let address = nets
            .clone()
            .find(|a| !self.taken.contains(a))
            .unwrap_or(Ipv4Addr::new(127, 255, high, low));
        self.taken.insert(address);
        self.wires.insert(key, address);
        SocketAddr::new(address.into(), port)
    }
}
