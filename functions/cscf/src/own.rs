//! How a CSCF is named in URIs, and how it recognises itself in them.

use std::net::{IpAddr, SocketAddr};

use base::{Flow, Transport};
use sip::header::HeaderName;
use sip::uri::literal;
use sip::{Hop, Message, Method, Uri};

use crate::proxy::{OwnRoute, onward, preprocess};

/// `host` or `host:port`.
pub(crate) fn sent_by(host: &str, port: Option<u16>) -> String {
    match port {
        Some(port) => [host, ":", &port.to_string()].concat(),
        None => host.to_owned(),
    }
}

/// Whether the host and port of a URI name the function that is called `host` and `port`: by that name,
/// or by the local address that the message came in at. The name alone may mean any port, by its SRV
/// records (RFC 3263 §4.2).
pub(crate) fn is_named(
    (host, port): (&str, Option<u16>),
    uri_host: &str,
    uri_port: Option<u16>,
    flow: &Flow,
) -> bool {
    let tls = flow.transport == Transport::Tls;
    let local = flow.local.socket_addr();
    if uri_host.eq_ignore_ascii_case(host) {
        // Phones write the port of the TLS listener behind the name.
        let here = |uri_port| tls && local.is_some_and(|local| local.port() == uri_port);
        return uri_port.is_none_or(|asked| asked == port.unwrap_or(5060) || here(asked));
    }
    let Some(local) = local else { return false };
    let default = if tls { 5061 } else { 5060 };
    literal(uri_host) == Some(local.ip()) && uri_port.unwrap_or(default) == local.port()
}

/// Whether a URI's host and port are one of these addresses.
pub(crate) fn is_address(addresses: &[SocketAddr], host: &str, port: Option<u16>) -> bool {
    let ip = literal(host);
    addresses.iter().any(|a| ip == Some(a.ip()) && port.unwrap_or(5060) == a.port())
}

/// Which of its addresses a function calls itself by towards somebody who may not know its name: one of
/// the other's family if that can be told.
pub(crate) fn address_towards(addresses: &[SocketAddr], uri: &str) -> Option<SocketAddr> {
    let ip = Uri::parse(uri).and_then(Uri::sip).and_then(|uri| literal(uri.host));
    address_like(addresses, ip)
}

/// The same, towards this address.
pub(crate) fn address_like(addresses: &[SocketAddr], ip: Option<IpAddr>) -> Option<SocketAddr> {
    let fits = |a: &&SocketAddr| ip.is_none_or(|ip| ip.is_ipv4() == a.is_ipv4());
    addresses.iter().find(fits).or(addresses.first()).copied()
}

/// A function between the network, which knows it by its name, and others, who may know nothing but its
/// address: an emergency centre, a trunk.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Door {
    /// Its configured host name.
    pub host: String,
    /// Its port in URIs; `None` leaves it out.
    pub port: Option<u16>,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
}

impl Door {
    /// `host` or `host:port`.
    pub fn sent_by(&self) -> String {
        sent_by(&self.host, self.port)
    }

    pub(crate) fn is_us(&self, host: &str, port: Option<u16>, flow: &Flow) -> bool {
        is_named((&self.host, self.port), host, port, flow)
            || is_address(&self.addresses, host, port)
    }

    /// Where a request within a call of this token goes, and whether it is one: along the routes that we
    /// were put into; we stay in them if it moves the other side.
    pub(crate) fn within(
        &self,
        request: &mut Message,
        own: Option<&OwnRoute>,
        token: &str,
    ) -> Option<Hop> {
        let hop = onward(request).filter(|_| own.is_some_and(|own| own.user == token))?;
        if request.method().is_some_and(Method::refreshes_target) {
            let route = format!("<sip:{token}@{};lr>", self.sent_by());
            request.push_front(HeaderName::RecordRoute, route);
        }
        Some(hop)
    }

    /// Where an ACK for a 2xx goes, which was not looked at yet, and the Route that named us.
    pub(crate) fn ack(&self, ack: &mut Message, flow: &Flow) -> Option<(OwnRoute, Hop)> {
        let own = preprocess(ack, |host, port| self.is_us(host, port, flow), &[]).ok()??;
        Some((own, onward(ack)?))
    }

    /// Record-Route for both sides, RFC 5658 §5, with this token: `outside` is a URI of the side that may
    /// not know the name, and `outwards` whether the request goes there.
    pub(crate) fn record_route(
        &self,
        request: &mut Message,
        token: &str,
        outside: &str,
        outwards: bool,
    ) {
        let inner = format!("<sip:{token}@{};lr>", self.sent_by());
        let outer = address_towards(&self.addresses, outside)
            .map(|address| format!("<sip:{token}@{address};lr>"));
        let sides = if outwards { [Some(inner), outer] } else { [outer, Some(inner)] };
        for side in sides.into_iter().flatten() {
            request.push_front(HeaderName::RecordRoute, side);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Endpoint;
    use base::flow::{FlowId, Service};

    #[test]
    fn a_name_counts_with_its_port_and_an_address_with_the_listener() {
        let local = "192.0.2.1:5070".parse::<std::net::SocketAddr>().unwrap();
        let flow = Flow {
            id: FlowId(1),
            service: Service::Sip,
            transport: Transport::Udp,
            local: local.into(),
            remote: Endpoint::Ip("192.0.2.9:5060".parse().unwrap()),
            proved: false,
        };
        let named = |host: &str, port| is_named(("p.test", None), host, port, &flow);
        assert!(named("P.test", None) && named("p.test", Some(5060)));
        assert!(!named("p.test", Some(5070)) && !named("q.test", None));
        let ported = |port| is_named(("p.test", Some(5070)), "p.test", port, &flow);
        assert!(ported(None) && ported(Some(5070)) && !ported(Some(5060)));
        assert!(named("192.0.2.1", Some(5070)) && !named("192.0.2.1", None));
        let local = "192.0.2.1:5061".parse::<std::net::SocketAddr>().unwrap();
        let tls = Flow { transport: Transport::Tls, local: local.into(), ..flow };
        let named = |host: &str, port| is_named(("p.test", None), host, port, &tls);
        assert!(named("p.test", Some(5061)) && named("192.0.2.1", None));
        assert!(!named("p.test", Some(5062)) && !named("192.0.2.1", Some(5060)));
    }
}
