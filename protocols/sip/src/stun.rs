//! The keep-alive of a phone on UDP: a STUN Binding request on the SIP port, RFC 5626 §4.4.2, §5.4 and §8.
//!
//! The answer tells the phone its address as we see it, so that it learns when a router gave it another one. No
//! credentials and no FINGERPRINT are used here (§8).

use std::net::{IpAddr, SocketAddr};

use base::Bytes;

/// Every message of RFC 8489 has it; with the two bits before it, no SIP message begins so.
const MAGIC_COOKIE: u32 = 0x2112_a442;

/// Type, length, magic cookie and transaction ID.
const HEADER: usize = 20;

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

/// Attributes from here on may be passed over, RFC 8489 §14.
const COMPREHENSION_OPTIONAL: u16 = 0x8000;
/// Of the others these are known: USERNAME, MESSAGE-INTEGRITY, REALM, NONCE, MESSAGE-INTEGRITY-SHA256. Nobody asked
/// for them, and nothing is made of them.
const KNOWN: [u16; 5] = [0x0006, 0x0008, 0x0014, 0x0015, 0x001c];
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// How many attributes an answer calls unknown, at most.
const MAX_UNKNOWN: usize = 8;

/// Whether a datagram is STUN, RFC 8489 §5: two bits that are zero, and the cookie.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER
        && datagram[0] & 0xc0 == 0
        && datagram[4..8] == MAGIC_COOKIE.to_be_bytes()
}

/// The answer to a Binding request from there: success, or 420 where it has an attribute that has to be understood
/// and is not (RFC 8489 §6.3.1). None to anything else.
pub fn answer(datagram: &[u8], from: SocketAddr) -> Option<Bytes> {
    let (header, attributes) = datagram.split_at_checked(HEADER)?;
    let [kind, length] = [0, 2].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    if !is_stun(datagram)
        || kind != BINDING_REQUEST
        || usize::from(length) != attributes.len()
        || !attributes.len().is_multiple_of(4)
    {
        return None;
    }
    let unknown = unknown(attributes)?;
    let (kind, body) = if unknown.is_empty() {
        (BINDING_SUCCESS, xor_mapped_address(from, &header[4..]))
    } else {
        (BINDING_ERROR, unknown_attributes(&unknown))
    };
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend(kind.to_be_bytes());
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(&header[4..]);
    message.extend(body);
    Some(message.into())
}

/// The attributes that have to be understood and are not; none if they cannot be told apart.
fn unknown(mut attributes: &[u8]) -> Option<Vec<u16>> {
    let mut unknown = Vec::new();
    while let Some(([k0, k1, l0, l1], rest)) = attributes.split_first_chunk() {
        let kind = u16::from_be_bytes([*k0, *k1]);
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        attributes = rest.get(length.next_multiple_of(4)..)?;
        if kind < COMPREHENSION_OPTIONAL && !KNOWN.contains(&kind) && unknown.len() < MAX_UNKNOWN {
            unknown.push(kind);
        }
    }
    Some(unknown)
}

/// RFC 8489 §14.2: port and address, hidden from routers that rewrite what looks like one. `mask` is the cookie and
/// the transaction ID.
fn xor_mapped_address(address: SocketAddr, mask: &[u8]) -> Vec<u8> {
    let (family, octets) = match address.ip().to_canonical() {
        IpAddr::V4(ip) => (1u16, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let port = address.port().to_be_bytes();
    let hidden = |octets: &[u8]| octets.iter().zip(mask).map(|(a, b)| a ^ b).collect::<Vec<u8>>();
    let value = [&family.to_be_bytes()[..], &hidden(&port), &hidden(&octets)].concat();
    attribute(XOR_MAPPED_ADDRESS, &value)
}

/// RFC 8489 §14.8 and §14.9.
fn unknown_attributes(unknown: &[u16]) -> Vec<u8> {
    let error = [&[0, 0, 4, 20], &b"Unknown Attribute"[..]].concat();
    let unknown: Vec<u8> = unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
    [attribute(ERROR_CODE, &error), attribute(UNKNOWN_ATTRIBUTES, &unknown)].concat()
}

/// Type, length, value, and zeros up to four octets.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut out = [kind.to_be_bytes(), (value.len() as u16).to_be_bytes()].concat();
    out.extend(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transaction of RFC 5769 §2.
    const ID: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn message(kind: u16, attributes: &[u8]) -> Vec<u8> {
        let mut out = kind.to_be_bytes().to_vec();
        out.extend((attributes.len() as u16).to_be_bytes());
        out.extend(MAGIC_COOKIE.to_be_bytes());
        out.extend(ID);
        out.extend(attributes);
        out
    }

    /// RFC 5769 §2.2 and §2.3, the attribute byte for byte.
    #[test]
    fn the_answer_tells_the_address_as_the_vectors_do() {
        let v4 = answer(&message(1, &[]), "192.0.2.1:32853".parse().unwrap());
        let mapped = [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
        assert_eq!(v4.unwrap(), message(BINDING_SUCCESS, &mapped));
        let from = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        #[rustfmt::skip]
        let mapped = [
            0, 0x20, 0, 0x14, 0, 2, 0xa1, 0x47,
            0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(answer(&message(1, &[]), from).unwrap(), message(BINDING_SUCCESS, &mapped));
        let mapped = "[::ffff:192.0.2.1]:32853".parse().unwrap();
        assert_eq!(
            answer(&message(1, &[]), mapped),
            answer(&message(1, &[]), "192.0.2.1:32853".parse().unwrap())
        );
    }

    #[test]
    fn what_has_to_be_understood_and_is_not_gets_a_420() {
        let from = "192.0.2.1:9".parse().unwrap();
        // SOFTWARE may be passed over, USERNAME is known; PRIORITY and CHANGE-REQUEST belong to other usages.
        let known = [0x80, 0x22, 0, 3, b'a', b'b', b'c', b' ', 0, 6, 0, 1, b'u', 0, 0, 0];
        assert_eq!(answer(&message(1, &known), from).unwrap()[..2], [1, 1]);
        let priority = [&known[..], &[0, 0x24, 0, 4, 1, 2, 3, 4, 0, 3, 0, 4, 0, 0, 0, 6]].concat();
        let error = answer(&message(1, &priority), from).unwrap();
        let said = b"\0\x09\0\x15\0\0\x04\x14Unknown Attribute\0\0\0\0\x0a\0\x04\0\x24\0\x03";
        assert_eq!(error, message(BINDING_ERROR, said));
        assert_eq!(error.len() % 4, 0);
    }

    #[test]
    fn only_whole_binding_requests_are_answered() {
        let from = "192.0.2.1:9".parse().unwrap();
        for kind in [0x0011, 0x0101, 0x0111, 0x0003, 0x4001] {
            assert_eq!(answer(&message(kind, &[]), from), None, "{kind:x}");
        }
        let whole = message(1, &[0x80, 0x22, 0, 4, 1, 2, 3, 4]);
        for end in 0..whole.len() {
            assert_eq!(answer(&whole[..end], from), None, "{end}");
        }
        assert_eq!(answer(&message(1, &[0x80, 0x22, 0, 5, 1, 2, 3, 4]), from), None);
        // RFC 3489 had no cookie.
        let mut old = message(1, &[]);
        old[4] = 0;
        assert!(!is_stun(&old) && answer(&old, from).is_none());
        assert!(!is_stun(b"OPTIONS sip:a SIP/2.0\r\n") && is_stun(&whole));
    }
}
