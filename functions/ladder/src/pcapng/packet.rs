//! IP, UDP and TCP headers around a message, and back.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Bytes of a message that fit into one UDP datagram over IPv4 (RFC 768, RFC 791).
pub(super) const MOST_UDP: usize = 65_535 - 20 - 8;

/// Bytes of a message in one TCP segment: what fits into an IPv4 packet.
pub(super) const MOST_TCP: usize = 65_535 - 20 - 20;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Where a TCP segment stands in its stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// The number of its first byte.
    pub(super) sequence: u32,
    /// The number of the byte that is expected next from the other side.
    pub(super) ack: u32,
    /// Whether a message ends with it.
    pub(super) push: bool,
}

/// A UDP datagram in its packet.
pub(super) fn udp(from: SocketAddr, to: SocketAddr, id: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let mut out = Vec::with_capacity(8 + payload.len());
    out.extend(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
    // RFC 768: a checksum of zero is sent as all ones.
    let sum = match transport_checksum(from.ip(), to.ip(), UDP, &out) {
        0 => 0xffff,
        sum => sum,
    };
    out[6..8].copy_from_slice(&sum.to_be_bytes());
    ip(from.ip(), to.ip(), UDP, id, out)
}

/// A TCP segment in its packet.
pub(super) fn tcp(
    from: SocketAddr,
    to: SocketAddr,
    id: u16,
    segment: Segment,
    payload: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(20 + payload.len());
    out.extend(from.port().to_be_bytes());
    out.extend(to.port().to_be_bytes());
    out.extend(segment.sequence.to_be_bytes());
    out.extend(segment.ack.to_be_bytes());
    // Data offset of five words; ACK, and PSH at the end of a message.
    out.extend([5 << 4, 0x10 | u8::from(segment.push) << 3]);
    out.extend(u16::MAX.to_be_bytes());
    out.extend([0; 4]);
    out.extend(payload);
    let sum = transport_checksum(from.ip(), to.ip(), TCP, &out);
    out[16..18].copy_from_slice(&sum.to_be_bytes());
    ip(from.ip(), to.ip(), TCP, id, out)
}

/// The payload of a UDP datagram or TCP segment, if the packet is one.
pub(super) fn payload(packet: &[u8]) -> Option<&[u8]> {
    let (protocol, rest) = match packet.first()? >> 4 {
        4 => {
            let head = usize::from(packet[0] & 0x0f) * 4;
            let total = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?));
            (*packet.get(9)?, packet.get(head.max(20)..total)?)
        }
        6 => {
            let length = usize::from(u16::from_be_bytes(packet.get(4..6)?.try_into().ok()?));
            (*packet.get(6)?, packet.get(40..40 + length)?)
        }
        _ => return None,
    };
    match protocol {
        UDP => rest.get(8..),
        TCP => rest.get(usize::from(rest.get(12)? >> 4).max(5) * 4..),
        _ => None,
    }
}

fn ip(from: IpAddr, to: IpAddr, protocol: u8, id: u16, payload: Vec<u8>) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (from, to) else {
        let mut out = Vec::with_capacity(40 + payload.len());
        out.extend([0x60, 0, 0, 0]);
        out.extend((payload.len() as u16).to_be_bytes());
        out.extend([protocol, 64]);
        out.extend(v6(from).octets());
        out.extend(v6(to).octets());
        out.extend(payload);
        return out;
    };
    let mut out = Vec::with_capacity(20 + payload.len());
    out.extend([0x45, 0]);
    out.extend(((20 + payload.len()) as u16).to_be_bytes());
    out.extend(id.to_be_bytes());
    // Don't Fragment.
    out.extend([0x40, 0, 64, protocol, 0, 0]);
    out.extend(from.octets());
    out.extend(to.octets());
    let sum = fold(sum(&out));
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    out.extend(payload);
    out
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// The checksum over pseudo header, header and payload: RFC 9293 §3.1, RFC 8200 §8.1.
fn transport_checksum(from: IpAddr, to: IpAddr, protocol: u8, segment: &[u8]) -> u16 {
    let addresses = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => sum(&from.octets()) + sum(&to.octets()),
        (from, to) => sum(&v6(from).octets()) + sum(&v6(to).octets()),
    };
    fold(addresses + u64::from(protocol) + segment.len() as u64 + sum(segment))
}

/// The sum of 16-bit words, RFC 1071.
fn sum(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let odd = rest.first().map_or(0, |b| u64::from(*b) << 8);
    pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum::<u64>() + odd
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a receiver does: the sum over everything with its checksum is all ones.
    #[test]
    fn checksums_are_right() {
        for (from, to) in
            [("10.0.0.1:5060", "10.0.0.2:40001"), ("[2001:db8::1]:1", "[2001:db8::2]:9")]
        {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            for text in ["", "x", "odd", "even", "\u{ff}\u{ff}"] {
                let segment = Segment { sequence: 0xdead_beef, ack: 7, push: true };
                for (protocol, packet) in [
                    (UDP, udp(from, to, 3, text.as_bytes())),
                    (TCP, tcp(from, to, 3, segment, text.as_bytes())),
                ] {
                    let head = if from.is_ipv4() { 20 } else { 40 };
                    if from.is_ipv4() {
                        assert_eq!(fold(sum(&packet[..20])), 0);
                    }
                    assert_eq!(
                        transport_checksum(from.ip(), to.ip(), protocol, &packet[head..]),
                        0
                    );
                    assert_eq!(payload(&packet), Some(text.as_bytes()));
                }
            }
        }
    }

    /// The example of RFC 1071 §3: the words 0001 f203 f4f5 f6f7 sum up to ddf2.
    #[test]
    fn sums_as_rfc_1071_does() {
        assert_eq!(!fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
    }
}
