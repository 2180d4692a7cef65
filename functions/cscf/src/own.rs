//! How a CSCF is named in URIs, and how it recognises itself in them.

use base::Flow;
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
    if uri_host.eq_ignore_ascii_case(host) {
        return uri_port.is_none_or(|uri_port| uri_port == port.unwrap_or(5060));
    }
    let Some(local) = flow.local.socket_addr() else { return false };
    literal(uri_host) == Some(local.ip()) && uri_port.unwrap_or(5060) == local.port()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::flow::{FlowId, Service};
    use base::{Endpoint, Transport};

    #[test]
    fn a_name_counts_with_its_port_and_an_address_with_the_listener() {
        let local = "192.0.2.1:5070".parse::<std::net::SocketAddr>().unwrap();
        let flow = Flow {
            id: FlowId(1),
            service: Service::Sip,
            transport: Transport::Udp,
            local: local.into(),
            remote: Endpoint::Ip("192.0.2.9:5060".parse().unwrap()),
        };
        let named = |host: &str, port| is_named(("p.test", None), host, port, &flow);
        assert!(named("P.test", None) && named("p.test", Some(5060)));
        assert!(!named("p.test", Some(5070)) && !named("q.test", None));
        let ported = |port| is_named(("p.test", Some(5070)), "p.test", port, &flow);
        assert!(ported(None) && ported(Some(5070)) && !ported(Some(5060)));
        assert!(named("192.0.2.1", Some(5070)) && !named("192.0.2.1", None));
    }
}
