//! What real peers send and answer: see `captures/README.md`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ng::request::{Ice, RtcpMux};
use ng::{Command, Encoding, Message, Outcome, Request, Response, Value};

/// The datagrams of a capture: whether it goes to the relay, and its bytes.
fn datagrams(text: &str) -> Vec<(bool, Vec<u8>)> {
    text.lines()
        .map(|line| {
            let (arrow, literal) = line.split_once(" b").unwrap();
            (arrow == ">", unquote(&literal[1..literal.len() - 1]))
        })
        .collect()
}

fn unquote(literal: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = literal.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                other @ (b'\\' | b'\'' | b'"') => other,
                other => panic!("escape {other}"),
            },
            byte => byte,
        });
    }
    out
}

fn client() -> Vec<(bool, Vec<u8>)> {
    datagrams(include_str!("captures/ng-client.txt"))
}

fn kamailio() -> Vec<(bool, Vec<u8>)> {
    datagrams(include_str!("captures/kamailio.txt"))
}

fn request(bytes: &[u8]) -> Request {
    Request::from_dict(&Message::parse(bytes).unwrap().dict).unwrap()
}

#[test]
fn every_datagram_comes_back_byte_for_byte() {
    for (_, bytes) in client().into_iter().chain(kamailio()) {
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(String::from_utf8(message.emit()), String::from_utf8(bytes));
    }
}

#[test]
fn the_clients_requests_are_understood_in_both_encodings() {
    for encoding in [Encoding::Bencode, Encoding::Json] {
        let requests: Vec<Request> = client()
            .into_iter()
            .filter(|(to_relay, bytes)| {
                *to_relay && Message::parse(bytes).unwrap().encoding == encoding
            })
            .map(|(_, bytes)| request(&bytes))
            .collect();
        let offer = requests.iter().find(|r| r.command == Command::Offer).unwrap();
        assert!(offer.call_id.as_ref().unwrap().starts_with("c1"));
        assert_eq!(offer.from_tag.as_deref(), Some("ft"));
        assert!(offer.trust_address && offer.replace.origin && !offer.replace.session_connection);
        assert_eq!((offer.ice, offer.tos), (Some(Ice::Remove), Some(184)));
        assert_eq!(offer.rtcp_mux, [RtcpMux::Demux]);
        assert_eq!(offer.label.as_deref(), Some("caller"));
        assert!(offer.sdp.as_ref().unwrap().starts_with(b"v=0\r\n"));
        assert!(offer.other.is_empty() && offer.other_flags.is_empty(), "{:?}", offer.other);
        let answer = requests.iter().find(|r| r.command == Command::Answer).unwrap();
        assert!(answer.replace.session_connection);
        let delete = requests.iter().find(|r| r.command == Command::Delete).unwrap();
        assert_eq!((delete.to_tag.as_deref(), delete.delete_delay), (Some("tt"), Some(0)));
        assert!(requests.iter().any(|r| r.command == Command::Unknown("bogus".into())));
    }
}

#[test]
fn kamailios_requests_are_understood() {
    let all = kamailio();
    let requests: Vec<_> = all.iter().filter(|(to_relay, _)| *to_relay).collect();
    assert_eq!(request(&requests[0].1).command, Command::Ping);
    let offer = request(&requests[1].1);
    assert!(offer.trust_address && offer.replace.origin && offer.replace.session_connection);
    assert_eq!(offer.transport_protocol.as_deref(), Some("RTP/AVP"));
    assert_eq!(offer.received_from, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(offer.via_branch.as_deref(), Some("z9hG4bKabc0"));
    assert!(offer.supports_load_limit && offer.other.is_empty());
    // Kamailio writes the delay twice, once as a text.
    assert_eq!(request(&requests[2].1).delete_delay, Some(5));
}

#[test]
fn the_relays_responses_are_understood() {
    let responses: Vec<Response> = client()
        .into_iter()
        .filter(|(to_relay, _)| !to_relay)
        .map(|(_, bytes)| Response::from_dict(&Message::parse(&bytes).unwrap().dict).unwrap())
        .collect();
    assert_eq!(responses[0], Response::new(Outcome::Pong));
    assert!(responses[1].sdp.is_some());
    let totals = responses[3].other.get("totals").and_then(Value::as_dict).unwrap();
    assert!(totals.get("RTP").and_then(Value::as_dict).is_some());
    let reasons: Vec<_> = responses.iter().filter_map(|r| r.error_reason.as_deref()).collect();
    assert_eq!(reasons.len(), 8);
    assert!(reasons.contains(&"Unknown call-id") && reasons.contains(&"Failed to parse SDP"));
    assert!(responses.iter().any(|r| r.warning.is_some()));
}
