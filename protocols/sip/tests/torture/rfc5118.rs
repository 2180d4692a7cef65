//! RFC 5118, section by section.

use sip::header::{NameAddr, Via};
use sip::{HeaderName, Message, Stack, Uri};

use super::{Fate, fate, read, refused};

macro_rules! dat {
    ($name:literal) => {
        include_bytes!(concat!("../../corpus/rfc5118/", $name, ".dat")).as_slice()
    };
}

fn target(message: &Message) -> Option<(String, Option<u16>)> {
    let uri = Uri::parse(message.uri()).and_then(Uri::sip)?;
    Some((uri.host.to_owned(), uri.port))
}

fn vias(message: &Message) -> Vec<Via<'_>> {
    message.list(HeaderName::Via).filter_map(Via::parse).collect()
}

/// §4.1: IPv6 addresses in brackets in Request-URI, Via and Contact.
#[test]
fn ipv6_good() {
    let message = read(dat!("ipv6-good"));
    assert_eq!(target(&message), Some(("[2001:db8::10]".to_owned(), None)));
    assert_eq!((vias(&message)[0].host, vias(&message)[0].port), ("[2001:db8::9:1]", None));
    let contact = message.get(HeaderName::Contact).and_then(NameAddr::parse).expect("a Contact");
    let uri = contact.parsed_uri().and_then(Uri::sip).expect("a URI");
    assert_eq!((contact.display, uri.host), ("\"Caller\"", "[2001:db8::1]"));
    assert_eq!(fate(dat!("ipv6-good")), Fate::Taken);
}

/// §4.2: without brackets nobody knows where the address ends and the port begins.
#[test]
fn ipv6_bad() {
    assert_eq!(Uri::parse("sip:2001:db8::10"), None);
    assert_eq!(fate(dat!("ipv6-bad")), refused(400, "Bad Request-URI"));
}

/// §4.3: within the brackets `:5070` is part of the address, whatever the sender meant.
#[test]
fn port_ambiguous() {
    let message = read(dat!("port-ambiguous"));
    assert_eq!(target(&message), Some(("[2001:db8::10:5070]".to_owned(), None)));
    assert_eq!(fate(dat!("port-ambiguous")), Fate::Taken);
}

/// §4.4: after them it is the port.
#[test]
fn port_unambiguous() {
    let message = read(dat!("port-unambiguous"));
    assert_eq!(target(&message), Some(("[2001:db8::10]".to_owned(), Some(5070))));
    assert_eq!(fate(dat!("port-unambiguous")), Fate::Taken);
}

/// §4.5: `received` with brackets, as some write it, and without, as the grammar has it.
#[test]
fn via_received_with_and_without_brackets() {
    for bytes in [dat!("via-received-param-no-delim"), dat!("via-received-param-with-delim")] {
        let message = read(bytes);
        let received = vias(&message)[0].received();
        assert_eq!(received, "2001:db8::9:255".parse().ok());
        assert_eq!(fate(bytes), Fate::Taken);
    }
}

/// §4.6: IPv6 in SDP has no brackets; the message is a message like others.
#[test]
fn ipv6_in_sdp() {
    let message = read(dat!("ipv6-in-sdp"));
    assert!(message.body().windows(20).any(|text| text == b"c=IN IP6 2001:db8::2"));
    assert_eq!(fate(dat!("ipv6-in-sdp")), Fate::Taken);
}

/// §4.7: hops of both families in the Vias.
#[test]
fn mult_ip_in_header() {
    let message = read(dat!("mult-ip-in-header"));
    let vias = vias(&message);
    let hosts: Vec<(&str, Option<u16>)> = vias.iter().map(|via| (via.host, via.port)).collect();
    let expected =
        [("[2001:db8::9:1]", Some(6050)), ("192.0.2.1", None), ("[2001:db8::9:255]", None)];
    assert_eq!(hosts, expected);
    assert_eq!(vias[2].received(), "192.0.2.200".parse().ok());
    assert_eq!(fate(dat!("mult-ip-in-header")), Fate::Taken);
}

/// §4.8: media of both families in one SDP.
#[test]
fn mult_ip_in_sdp() {
    assert_eq!(read(dat!("mult-ip-in-sdp")).content_type(), "application/sdp");
    assert_eq!(fate(dat!("mult-ip-in-sdp")), Fate::Taken);
}

/// §4.9: an IPv4-mapped address is an address.
#[test]
fn ipv4_mapped_ipv6() {
    let message = read(dat!("ipv4-mapped-ipv6"));
    assert_eq!(
        (vias(&message)[0].host, vias(&message)[0].port),
        ("[::ffff:192.0.2.10]", Some(19823))
    );
    assert_eq!(fate(dat!("ipv4-mapped-ipv6")), Fate::Taken);
}

/// §4.10: the grammar of RFC 3261 let three colons stand before an IPv4 part; they are read as two, and
/// never written.
#[test]
fn three_colons() {
    for bytes in [dat!("ipv6-bug-abnf-3-colons"), dat!("ipv6-correct-abnf-2-colons")] {
        let message = read(bytes);
        let Some(sip::Hop::Name(name)) = Stack::hop(message.uri()) else { panic!("a hop") };
        assert_eq!(name.host.parse(), "2001:db8::192.0.2.1".parse::<std::net::IpAddr>());
        assert_eq!(fate(bytes), Fate::Taken);
    }
}
