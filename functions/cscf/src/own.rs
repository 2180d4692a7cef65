//! How a CSCF is named in URIs, and how it recognises itself in them.

use base::{Flow, Transport};
use sip::uri::literal;

/// `host` or `host:port`.
pub(crate) fn sent_by(host: &str, port: Option<u16>) -> String {
    match port {
        Some(port) => format!("{host}:{port}"),
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
