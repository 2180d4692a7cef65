//! Who is where: asked before DNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use base::machine::{Name, Naptr, Target};
use base::{Endpoint, Service, Transport, WireId};

/// The configured places of names. Names are exact and compared without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    functions: BTreeMap<String, WireId>,
    places: BTreeMap<(String, Option<Service>), Vec<Place>>,
    rules: BTreeMap<String, Vec<Naptr>>,
}

/// Where a name is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Wherever the function of this name is: a wire if it runs in this process.
    Named(String),
    /// At an address.
    At(Target),
}

impl Topology {
    /// A name of a function that runs in this process.
    pub fn function(&mut self, name: &str, wire: WireId) {
        self.functions.insert(key(name), wire);
    }

    /// The places of a name, for one service or (`None`) for all that have no entry of their own.
    pub fn place(&mut self, name: &str, service: Option<Service>, places: Vec<Place>) {
        self.places.insert((key(name), service), places);
    }

    /// The NAPTR records of a domain, for a simulated network.
    pub fn rules(&mut self, domain: &str, rules: Vec<Naptr>) {
        self.rules.insert(key(domain), rules);
    }

    /// The NAPTR records of a domain; none if there are none.
    pub fn look_up(&self, domain: &str) -> Vec<Naptr> {
        self.rules.get(&key(domain)).cloned().unwrap_or_default()
    }

    /// Where to try, best first; `None` if the name must be asked for in DNS. An IP address is its
    /// own answer.
    pub fn resolve(&self, name: &Name) -> Option<Vec<Target>> {
        let host = key(&name.host);
        if let Some(ip) = literal(&host) {
            let transport = asked(name).unwrap_or_else(|| default_transport(name.service));
            let port = name.port.unwrap_or_else(|| default_port(name.service, transport));
            return Some(vec![at(transport, SocketAddr::new(ip, port))]);
        }
        self.look(&host, name, 4)
    }

    fn look(&self, host: &str, name: &Name, depth: u8) -> Option<Vec<Target>> {
        if let Some(wire) = self.functions.get(host) {
            return Some(vec![Target {
                transport: Transport::Wire,
                endpoint: Endpoint::Wire(*wire),
            }]);
        }
        let places = self
            .places
            .get(&(host.to_owned(), Some(name.service)))
            .or_else(|| self.places.get(&(host.to_owned(), None)))?;
        let mut targets = Vec::new();
        let mut known = false;
        for place in places {
            match place {
                Place::At(target) => {
                    known = true;
                    targets.push(*target);
                }
                Place::Named(other) if depth > 0 => {
                    if let Some(more) = self.look(&key(other), name, depth - 1) {
                        known = true;
                        targets.extend(more);
                    }
                }
                Place::Named(_) => {}
            }
        }
        known.then(|| fitting(targets, name))
    }
}

/// The service's well-known port: RFC 3261 §19.1.2, RFC 6733 §11.4, and rtpengine's custom for NG.
pub fn default_port(service: Service, transport: Transport) -> u16 {
    match service {
        Service::Sip if transport == Transport::Tls => 5061,
        Service::Sip => 5060,
        Service::Diameter => 3868,
        Service::Ng => 2223,
        Service::Rtp => 5004,
        Service::Resp => 6379,
        Service::Http => 80,
        Service::Cli => 9900,
    }
}

/// The transport of a service if none is asked for.
pub fn default_transport(service: Service) -> Transport {
    match service {
        Service::Diameter | Service::Resp | Service::Http | Service::Cli => Transport::Tcp,
        Service::Sip | Service::Ng | Service::Rtp => Transport::Udp,
    }
}

/// An IP address as text, IPv6 with or without brackets.
pub fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// The transport asked for, unless it is a wire, which is nothing that one can ask a name for.
pub(crate) fn asked(name: &Name) -> Option<Transport> {
    name.transport.filter(|t| *t != Transport::Wire)
}

/// Of the configured targets, those of the asked port and transport; if there are none, the
/// configured addresses with what was asked.
fn fitting(targets: Vec<Target>, name: &Name) -> Vec<Target> {
    let narrow =
        |targets: Vec<Target>, fits: &dyn Fn(&Target) -> bool, bend: &dyn Fn(Target) -> Target| {
            if targets.iter().any(fits) {
                targets.into_iter().filter(fits).collect()
            } else {
                targets.into_iter().map(bend).collect::<Vec<_>>()
            }
        };
    let wire = |t: &Target| t.transport == Transport::Wire;
    let mut targets = targets;
    if let Some(transport) = asked(name) {
        let fits = |t: &Target| wire(t) || t.transport == transport;
        targets = narrow(targets, &fits, &|t| with_transport(t, transport, name.service));
    }
    if let Some(port) = name.port {
        let same = |t: &Target| t.endpoint.socket_addr().is_none_or(|a| a.port() == port);
        targets = narrow(targets, &same, &|t| match t.endpoint {
            Endpoint::Ip(addr) => at(t.transport, SocketAddr::new(addr.ip(), port)),
            Endpoint::Wire(_) => t,
        });
    }
    targets
}

/// A place by another transport: at that one's port, if it was at the well-known port of its own.
fn with_transport(target: Target, transport: Transport, service: Service) -> Target {
    match target.endpoint {
        Endpoint::Ip(addr) if addr.port() == default_port(service, target.transport) => {
            at(transport, SocketAddr::new(addr.ip(), default_port(service, transport)))
        }
        endpoint => Target { transport, endpoint },
    }
}

fn at(transport: Transport, addr: SocketAddr) -> Target {
    Target { transport, endpoint: Endpoint::Ip(addr) }
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(host: &str, port: Option<u16>, transport: Option<Transport>) -> Name {
        Name { service: Service::Sip, host: host.into(), port, transport }
    }

    #[test]
    fn a_function_here_is_a_wire_and_case_does_not_matter() {
        let mut topology = Topology::default();
        topology.function("pcscf.ims.test", WireId(3));
        topology.place("ims.test", Some(Service::Sip), vec![Place::Named("PCSCF.ims.test".into())]);
        for host in ["PCSCF.IMS.test", "pcscf.ims.test.", "ims.test"] {
            let targets = topology.resolve(&name(host, Some(5062), Some(Transport::Udp))).unwrap();
            assert_eq!(targets[0].endpoint, Endpoint::Wire(WireId(3)));
        }
        let diameter = Name { service: Service::Diameter, ..name("ims.test", None, None) };
        assert_eq!(topology.resolve(&diameter), None);
        assert_eq!(topology.resolve(&name("elsewhere.test", None, None)), None);
    }

    #[test]
    fn literals_take_the_defaults() {
        let topology = Topology::default();
        let one = |n| topology.resolve(&n).unwrap()[0];
        assert_eq!(
            one(name("[::1]", None, None)),
            at(Transport::Udp, "[::1]:5060".parse().unwrap())
        );
        let tcp = name("192.0.2.1", Some(5070), Some(Transport::Tcp));
        assert_eq!(one(tcp), at(Transport::Tcp, "192.0.2.1:5070".parse().unwrap()));
        let diameter = Name { service: Service::Diameter, ..name("::1", None, None) };
        assert_eq!(one(diameter), at(Transport::Tcp, "[::1]:3868".parse().unwrap()));
    }

    #[test]
    fn configured_addresses_bend_to_what_is_asked() {
        let mut topology = Topology::default();
        let udp = at(Transport::Udp, "192.0.2.1:5060".parse().unwrap());
        let tcp = at(Transport::Tcp, "192.0.2.2:5060".parse().unwrap());
        topology.place("a.test", None, vec![Place::At(udp), Place::At(tcp)]);
        assert_eq!(topology.resolve(&name("a.test", None, None)), Some(vec![udp, tcp]));
        assert_eq!(topology.resolve(&name("a.test", None, Some(Transport::Tcp))), Some(vec![tcp]));
        let bent = topology.resolve(&name("a.test", Some(7000), Some(Transport::Udp))).unwrap();
        assert_eq!(bent, [at(Transport::Udp, "192.0.2.1:7000".parse().unwrap())]);
    }
}
