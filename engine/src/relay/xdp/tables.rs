//! What lies in the program's maps, octet for octet as `relay.bpf.c` declares it.

use std::net::{IpAddr, SocketAddr};

use base::Instant;
use base::relay::Tracking;

/// Octets of a key and of a value of `flows`.
pub(super) const KEY: usize = 36;
pub(super) const FLOW: usize = 208;
/// Where the generation of a flow's route is; 0 for a closed one.
const GENERATION: usize = 44;

/// Whose packets, and at which of our ports: `struct key`.
pub(super) type Key = [u8; KEY];

/// The key of what comes from `remote` to `local`.
pub(super) fn key(local: SocketAddr, remote: SocketAddr) -> Key {
    let mut key = [0; KEY];
    key[..16].copy_from_slice(&octets(local.ip()));
    key[16..32].copy_from_slice(&octets(remote.ip()));
    key[32..34].copy_from_slice(&local.port().to_be_bytes());
    key[34..36].copy_from_slice(&remote.port().to_be_bytes());
    key
}

/// Where a flow's packets go, and for how long.
pub(super) struct Route {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) tos: u8,
    /// Not 0.
    pub(super) generation: u32,
    /// Wall clock less monotonic clock, ns.
    pub(super) offset: u64,
    /// By the monotonic clock, ns.
    pub(super) until: u64,
}

/// The value of a flow: `struct flow`. Its next hop is not known yet.
pub(super) fn flow(route: &Route, tracking: &Tracking) -> [u8; FLOW] {
    let mut flow = [0; FLOW];
    let mut put = |at: usize, octets: &[u8]| flow[at..at + octets.len()].copy_from_slice(octets);
    put(4, &octets(route.source.ip()));
    put(20, &octets(route.destination.ip()));
    put(36, &route.source.port().to_be_bytes());
    put(38, &route.destination.port().to_be_bytes());
    put(40, &[route.tos]);
    put(GENERATION, &route.generation.to_ne_bytes());
    let longs = [
        route.offset,
        route.until,
        tracking.packets,
        tracking.bytes,
        tracking.last.map_or(0, |last| last.unix_micros() * 1000),
        tracking.received,
        tracking.duplicates,
        tracking.jitter,
        tracking.quiet,
        tracking.window as u64,
        (tracking.window >> 64) as u64,
        tracking.transit.unwrap_or_default() as u64,
    ];
    for (number, long) in longs.into_iter().enumerate() {
        put(48 + 8 * number, &long.to_ne_bytes());
    }
    let words = [
        u32::from(tracking.transit.is_some()),
        tracking.rate,
        tracking.ssrc,
        tracking.base,
        tracking.highest,
        tracking.timestamp,
        tracking.step,
    ];
    for (number, word) in words.into_iter().enumerate() {
        put(144 + 4 * number, &word.to_ne_bytes());
    }
    put(172, &tracking.sequence.to_ne_bytes());
    put(174, &[tracking.payload_type]);
    flow
}

/// What a flow has counted. `None` if this is no flow.
pub(super) fn tracking(flow: &[u8]) -> Option<Tracking> {
    let flow: &[u8; FLOW] = flow.try_into().ok()?;
    let word = |at: usize| {
        let mut octets = [0; 4];
        octets.copy_from_slice(&flow[at..at + 4]);
        u32::from_ne_bytes(octets)
    };
    let long = |at: usize| {
        let mut octets = [0; 8];
        octets.copy_from_slice(&flow[at..at + 8]);
        u64::from_ne_bytes(octets)
    };
    let last = long(80);
    Some(Tracking {
        packets: long(64),
        bytes: long(72),
        last: (last != 0).then(|| Instant::from_unix_micros(last / 1000)),
        received: long(88),
        duplicates: long(96),
        jitter: long(104),
        quiet: long(112),
        window: u128::from(long(120)) | u128::from(long(128)) << 64,
        transit: (word(144) != 0).then(|| long(136) as i64),
        rate: word(148),
        ssrc: word(152),
        base: word(156),
        highest: word(160),
        timestamp: word(164),
        step: word(168),
        sequence: u16::from_ne_bytes([flow[172], flow[173]]),
        payload_type: flow[174],
    })
}

/// The value of `settings`: `struct setting`, whose second member stays 0.
pub(super) fn setting(generic: bool) -> [u8; 8] {
    let mut setting = [0; 8];
    setting[..4].copy_from_slice(&u32::from(generic).to_ne_bytes());
    setting
}

/// An IPv4 address is mapped, RFC 4291 §2.5.5.2.
fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// The numbers of a flow's key and value among [`types`].
pub(super) const KEY_TYPE: u32 = 4;
pub(super) const FLOW_TYPE: u32 = 3;

/// As much as the kernel wants to be told (BTF) to see that a flow begins with a lock.
pub(super) fn types() -> Vec<u8> {
    const NAMES: &[u8] = b"\0bpf_spin_lock\0lock\0u32\0";
    const INT: u32 = 1 << 24;
    const STRUCT: u32 = 4 << 24;
    let types: [u32; 19] = [
        // 1: an unsigned number of 32 bits
        20,
        INT,
        4,
        32, //
        // 2: the lock, with one member
        1,
        STRUCT | 1,
        4,
        15,
        1,
        0, //
        // 3: a flow, of which the first member alone matters
        0,
        STRUCT | 1,
        FLOW as u32,
        15,
        2,
        0, //
        // 4: a key, of which nothing matters
        0,
        STRUCT,
        KEY as u32,
    ];
    let length = types.len() as u32 * 4;
    let mut out = Vec::new();
    out.extend(0xeb9f_u16.to_ne_bytes());
    out.extend([1, 0]);
    for word in [24, 0, length, length, NAMES.len() as u32] {
        out.extend(word.to_ne_bytes());
    }
    types.iter().for_each(|word| out.extend(word.to_ne_bytes()));
    out.extend(NAMES);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_comes_back() {
        let before = Tracking {
            packets: 1,
            bytes: 2,
            last: Some(Instant::from_unix_micros(3)),
            rate: 4,
            ssrc: 5,
            base: 6,
            highest: 7,
            received: 8,
            duplicates: 9,
            window: 10 << 64 | 11,
            transit: Some(-12),
            jitter: 13,
            payload_type: 14,
            sequence: 15,
            timestamp: 16,
            step: 17,
            quiet: 18,
        };
        let at: SocketAddr = "192.0.2.1:30000".parse().unwrap();
        let route =
            Route { source: at, destination: at, tos: 0xb8, generation: 1, offset: 2, until: 3 };
        assert_eq!(tracking(&flow(&route, &before)), Some(before));
        assert_eq!(tracking(&flow(&route, &Tracking::default())), Some(Tracking::default()));
        assert_eq!(tracking(&[0; 3]), None);
    }

    #[test]
    fn a_key_is_in_network_order() {
        let key = key("192.0.2.1:256".parse().unwrap(), "[2001:db8::2]:1".parse().unwrap());
        assert_eq!(key[..16], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1]);
        assert_eq!((key[16], key[31], &key[32..]), (0x20, 2, &[1, 0, 0, 1][..]));
    }
}
