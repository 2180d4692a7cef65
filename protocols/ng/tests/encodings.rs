//! Both encodings, typed requests, and what is broken.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ng::message::DecodeError;
use ng::request::{AddressFamily, Ice, RtcpMux};
use ng::{Command, Dict, Encoding, Message, MessageError, Request, Value, bencode, json};
use proptest::prelude::*;

#[test]
fn pings_are_told_from_the_rest() {
    for ping in ["1 d7:command4:pinge", "1 {\"command\":\"ping\"}", "1 d5:relay1:a6:result4:ponge"]
    {
        assert!(Message::is_ping(ping.as_bytes()), "{ping}");
    }
    let long = format!("1 d7:command4:ping4:more600:{}e", "x".repeat(600));
    for other in ["1 d6:result2:oke", "1 d7:command5:offere", "ping", "1 i4e", &long] {
        assert!(!Message::is_ping(other.as_bytes()), "{other}");
    }
}

#[test]
fn depth_and_lengths_are_bounded() {
    let deep = |n: usize| [b"l".repeat(n), b"e".repeat(n)].concat();
    assert!(bencode::decode(&deep(16)).is_ok());
    assert_eq!(bencode::decode(&deep(17)), Err(DecodeError::Depth));
    let deep = |n: usize| [b"[".repeat(n), b"]".repeat(n)].concat();
    assert!(json::decode(&deep(16)).is_ok());
    assert_eq!(json::decode(&deep(100_000)), Err(DecodeError::Depth));
    assert_eq!(bencode::decode(b"99999999999999999999:x"), Err(DecodeError::Syntax));
    assert_eq!(bencode::decode(b"5:abc"), Err(DecodeError::Truncated));
    assert_eq!(bencode::decode(b"i1ei2e"), Err(DecodeError::Trailing));
    assert_eq!(bencode::decode(b"-1:"), Err(DecodeError::Syntax));
}

#[test]
fn json_texts_are_unescaped() {
    let text = |s: &str| Value::from(s);
    assert_eq!(json::decode(br#""a\r\n\u00e9\ud83d\ude00\"\/""#).unwrap(), text("a\r\né😀\"/"));
    assert!(json::decode(br#""\ud83dx""#).is_err(), "half a surrogate pair");
    assert!(json::decode(b"\"\xff\"").is_err(), "JSON is UTF-8, RFC 8259 §8.1");
    let list = json::decode(b" [1, -2, true, null, 1.5 ] ").unwrap();
    let wanted = [Value::Int(1), Value::Int(-2), Value::Int(1), text(""), text("1.5")];
    assert_eq!(list, Value::from_iter(wanted));
    assert!(json::decode(b"[1,]").is_err() && json::decode(b"{\"a\"}").is_err());
}

#[test]
fn a_broken_body_keeps_its_cookie() {
    assert_eq!(Message::parse(b"nocookie"), Err(MessageError::NoCookie));
    assert_eq!(Message::parse(b" d1:ai1ee"), Err(MessageError::NoCookie));
    assert_eq!(Message::parse(&[b'x'; 2000]), Err(MessageError::NoCookie));
    let Err(MessageError::Body { cookie, encoding, error }) = Message::parse(b"c1 {\"a\"") else {
        panic!()
    };
    assert_eq!((cookie.as_str(), encoding, error), ("c1", Encoding::Json, DecodeError::Truncated));
}

#[test]
fn options_in_one_string() {
    let flags = "trust-address replace-origin ICE=remove direction=pub direction=priv RTP/AVP \
        rtcp-mux-demux address-family=IP6 replace=[session-connection username] via-branch=z9 \
        flags=flags codec-strip-G729 TOS=184";
    for key in ["flags", "rtpp_flags", "rtpp-flags"] {
        let dict = Dict::new().with("command", "offer").with(key, flags);
        let request = Request::from_dict(&dict).unwrap();
        assert!(request.trust_address && request.replace.origin && request.replace.username);
        assert!(request.replace.session_connection);
        assert_eq!(request.direction, ["pub", "priv"]);
        assert_eq!(request.transport_protocol.as_deref(), Some("RTP/AVP"));
        assert_eq!(request.address_family, Some(AddressFamily::Ip6));
        assert_eq!(
            (request.ice, &request.rtcp_mux[..]),
            (Some(Ice::Remove), &[RtcpMux::Demux][..])
        );
        assert_eq!(request.other_flags, ["flags=flags", "codec-strip-G729"]);
        assert_eq!((request.via_branch.as_deref(), request.tos), (Some("z9"), Some(184)));
    }
}

#[test]
fn a_request_comes_back() {
    let request = Request {
        to_tag: Some("tt".into()),
        sdp: Some(b"v=0\r\n\xff".to_vec()),
        direction: vec!["pub".into(), "priv".into()],
        received_from: Some("2001:db8::1".parse().unwrap()),
        address_family: Some(AddressFamily::Ip4),
        ice: Some(Ice::ForceRelay),
        rtcp_mux: vec![RtcpMux::Accept, RtcpMux::Demux],
        delete_delay: Some(0),
        label: Some("caller".into()),
        dtls: Some("off".into()),
        tos: Some(184),
        asymmetric: true,
        fatal: true,
        supports_load_limit: true,
        other_flags: vec!["loop-protect".into()],
        other: Dict::new().with("codec", Dict::new().with("strip", "all")),
        ..Request::about(Command::Offer, "c", "ft")
    };
    assert_eq!(Request::from_dict(&request.to_dict()), Some(request));
    assert_eq!(Request::from_dict(&Dict::new()), None);
}

fn value(text: &'static str) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<i64>().prop_map(Value::Int), text.prop_map(Value::from)];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let member = ("[a-z -]{0,8}", inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..5).prop_map(Value::List),
            proptest::collection::vec(member, 0..5).prop_map(|members| {
                let mut dict = Dict::new();
                members.into_iter().for_each(|(key, value)| dict.push(key, value));
                Value::Dict(dict)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn values_come_back(value in value(".*")) {
        let (mut b, mut j) = (Vec::new(), Vec::new());
        bencode::encode(&value, &mut b);
        json::encode(&value, &mut j);
        prop_assert_eq!(bencode::decode(&b), Ok(value.clone()));
        prop_assert_eq!(json::decode(&j), Ok(value));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[dlie0-9:{}\\[\\]\", \\\\un-]{0,60}") {
        for body in [&bytes[..], text.as_bytes()] {
            for prefix in ["", "c ", "c d", "c {", "c d5:flags"] {
                let datagram = [prefix.as_bytes(), body].concat();
                if let Ok(message) = Message::parse(&datagram) {
                    let again = Message::parse(&message.emit()).unwrap();
                    prop_assert_eq!(&again.dict, &message.dict);
                }
            }
        }
    }

    #[test]
    fn any_option_string_is_read(flags in ".{0,80}", key in "[a-zA-Z -]{0,20}") {
        let dict = Dict::new().with("command", "offer").with("flags", flags.as_str())
            .with(key, flags.as_str());
        let request = Request::from_dict(&dict).unwrap();
        prop_assert!(Request::from_dict(&request.to_dict()).is_some());
    }
}
