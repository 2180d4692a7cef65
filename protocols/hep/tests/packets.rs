//! Packets: what is written is read, and no bytes do harm.
#![allow(missing_docs, clippy::unwrap_used)]

use std::net::{IpAddr, SocketAddr};

use base::Instant;
use base::redact::Secret;
use hep::{Content, EmitError, Packet, ParseError, kind};
use proptest::prelude::*;

fn packet(payload: &[u8]) -> Packet<'_> {
    Packet {
        protocol: 17,
        source: "192.0.2.1:5060".parse().unwrap(),
        destination: "192.0.2.2:5062".parse().unwrap(),
        time: Instant::from_unix_micros(1_700_000_000_000_007),
        content: Content::SIP,
        agent: 1,
        keep_alive: None,
        key: None,
        payload,
        compressed: false,
        correlation: None,
    }
}

/// One chunk of the specification's form: vendor, type, length, value.
fn chunk(vendor: u16, kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (value.len() + 6) as u16;
    let head = [vendor, kind, length].map(u16::to_be_bytes).concat();
    [&head, value].concat()
}

fn whole(chunks: &[Vec<u8>]) -> Vec<u8> {
    let chunks = chunks.concat();
    let length = ((chunks.len() + 6) as u16).to_be_bytes();
    [b"HEP3", &length[..], &chunks].concat()
}

/// The bytes of the specification's tables, put together by hand.
#[test]
fn the_bytes_are_those_of_the_specification() {
    let expected = b"HEP3\x00\x7a\
        \0\0\0\x01\0\x07\x02\
        \0\0\0\x02\0\x07\x11\
        \0\0\0\x03\0\x0a\xc0\x00\x02\x01\
        \0\0\0\x04\0\x0a\xc0\x00\x02\x02\
        \0\0\0\x07\0\x08\x13\xc4\
        \0\0\0\x08\0\x08\x13\xc6\
        \0\0\0\x09\0\x0a\x65\x53\xf1\x00\
        \0\0\0\x0a\0\x0a\x00\x00\x00\x07\
        \0\0\0\x0b\0\x07\x01\
        \0\0\0\x0c\0\x0a\x00\x00\x00\x01\
        \0\0\0\x11\0\x0aa@b!\
        \0\0\0\x0f\0\x0aping";
    let written = Packet { correlation: Some(b"a@b!"), ..packet(b"ping") };
    let bytes = written.emit().unwrap();
    assert_eq!(bytes[6..], expected[6..]);
    assert_eq!(usize::from(u16::from_be_bytes([bytes[4], bytes[5]])), bytes.len());
    assert_eq!(Packet::parse(&bytes), Ok(written));
}

#[test]
fn strange_chunks_are_skipped_and_the_last_of_two_counts() {
    let bytes = packet(b"x").emit().unwrap();
    let own: Vec<u8> = bytes[6..].to_vec();
    let more = [
        chunk(2, kind::FAMILY, &[99]),
        chunk(0, 0x30, b"later"),
        chunk(0, kind::AGENT, &[0, 0, 0, 9]),
        own,
        chunk(0, kind::AGENT, &[0, 0, 0, 5]),
    ];
    let mut bytes = whole(&more);
    bytes.extend(b"behind the end");
    let read = Packet::parse(&bytes).unwrap();
    assert_eq!((read.agent, read.payload), (5, &b"x"[..]));
}

#[test]
fn what_is_wrong_is_told() {
    assert_eq!(Packet::parse(b"HEP2"), Err(ParseError::NotHep3));
    assert_eq!(Packet::parse(b"HEP3\0"), Err(ParseError::Truncated));
    assert_eq!(Packet::parse(b"HEP3\0\x05"), Err(ParseError::Truncated));
    assert_eq!(Packet::parse(b"HEP3\0\x06"), Err(ParseError::Missing(kind::FAMILY)));
    let bytes = packet(b"x").emit().unwrap();
    for short in 0..bytes.len() {
        assert!(Packet::parse(&bytes[..short]).is_err(), "{short} bytes");
    }
    let with = |kind, value: &[u8]| whole(&[bytes[6..].to_vec(), chunk(0, kind, value)]);
    let cases = [
        (kind::FAMILY, &[7][..]),
        (kind::SOURCE_V4, &[1, 2, 3][..]),
        (kind::SOURCE_PORT, &[1][..]),
        (kind::MICROSECONDS, &[0xff; 4][..]),
        (kind::AGENT, &[][..]),
        (kind::KEEP_ALIVE, &[1, 2, 3][..]),
    ];
    for (kind, value) in cases {
        assert_eq!(Packet::parse(&with(kind, value)), Err(ParseError::Chunk(kind)));
    }
    // A chunk that is shorter than its own head.
    let mut bytes = whole(&[chunk(0, 1, &[2])]);
    bytes[11] = 5;
    assert_eq!(Packet::parse(&bytes), Err(ParseError::Truncated));
}

#[test]
fn what_cannot_be_said_is_not_written() {
    let v6 = "[2001:db8::1]:5060".parse().unwrap();
    assert_eq!(Packet { source: v6, ..packet(b"") }.emit(), Err(EmitError::Family));
    assert_eq!(packet(&[0; 65_536]).emit(), Err(EmitError::TooLong));
    assert!(packet(&[0; hep::MOST_PAYLOAD]).emit().unwrap().len() <= 65_507);
    let time = Instant::from_unix_micros(u64::MAX);
    assert_eq!(Packet { time, ..packet(b"") }.emit(), Err(EmitError::Time));
}

#[test]
fn a_key_does_not_show_itself() {
    let packet = Packet { key: Some(Secret::new(b"hidden")), ..packet(b"") };
    assert!(!format!("{packet:?}").contains("hidden"));
    let bytes = packet.emit().unwrap();
    assert_eq!(Packet::parse(&bytes).unwrap().key.unwrap().reveal(), b"hidden");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Packet::parse(&bytes);
        let _ = Packet::parse(&[b"HEP3\x00\x40", &bytes[..]].concat());
    }

    #[test]
    fn what_is_written_is_read(
        ends in prop_oneof![
            (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
            (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        ],
        ports in any::<(u16, u16)>(),
        (protocol, content, agent, keep_alive) in any::<(u8, u8, u32, Option<u16>)>(),
        micros in 0..4_294_967_296_000_000u64,
        key in any::<Option<Vec<u8>>>(),
        correlation in any::<Option<Vec<u8>>>(),
        payload in any::<Vec<u8>>(),
        compressed in any::<bool>(),
    ) {
        let packet = Packet {
            protocol,
            source: SocketAddr::new(ends.0, ports.0),
            destination: SocketAddr::new(ends.1, ports.1),
            time: Instant::from_unix_micros(micros),
            content: Content(content),
            agent,
            keep_alive,
            key: key.as_deref().map(Secret::new),
            payload: &payload,
            compressed,
            correlation: correlation.as_deref(),
        };
        let bytes = packet.emit().unwrap();
        prop_assert_eq!(Packet::parse(&bytes), Ok(packet));
    }
}
