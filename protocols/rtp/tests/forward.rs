//! The relay's core: who hears whom, and who does not.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::net::SocketAddr;

use base::Instant;
use base::relay::{Event, PortId, Side};
use base::slots::Slot;
use proptest::prelude::*;
use rtp::Builder;
use rtp::forward::{Forward, Forwarder};

const A: PortId = PortId(1);
const B: PortId = PortId(2);

fn at(ms: u64) -> Instant {
    Instant::from_unix_micros(1_000_000 + ms * 1000)
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn alice() -> SocketAddr {
    addr("192.0.2.1:4000")
}

fn bob() -> SocketAddr {
    addr("[2001:db8::2]:5000")
}

fn side(port: PortId, rtp: Option<SocketAddr>) -> Side {
    let rtcp = rtp.map(|r| SocketAddr::new(r.ip(), r.port() + 1));
    Side { port, rtp, rtcp, host: None, mux: false, learn: true, clock: 8000 }
}

fn rtp(sequence: u16) -> Vec<u8> {
    let timestamp = u32::from(sequence) * 160;
    Builder {
        payload_type: 8,
        sequence,
        timestamp,
        ssrc: 9,
        payload: &[0xd5; 160],
        ..Default::default()
    }
    .build()
}

const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 1];

fn joined() -> (Forwarder, Slot, Slot) {
    let mut relay = Forwarder::default();
    let a = relay.open(A, addr("198.51.100.1:30000"));
    let b = relay.open(B, addr("[2001:db8::100]:30002"));
    assert!(relay.join(side(A, Some(alice())), side(B, Some(bob()))));
    (relay, a, b)
}

/// Where ICE says where the peer is, descriptions and packets do not.
#[test]
fn ice_says_where_a_peer_is() {
    let (mut relay, a, b) = joined();
    relay.govern(b, true);
    assert_eq!(relay.packet(at(0), a, false, alice(), &rtp(1)), None, "nobody knows where Bob is");
    let moved = addr("[2001:db8::77]:7000");
    relay.select(b, false, moved);
    assert!(matches!(relay.poll_event(), Some(Event::Learned { port: A, .. })));
    assert_eq!(relay.poll_event(), Some(Event::Learned { port: B, address: moved }));
    assert_eq!(relay.packet(at(1), a, false, alice(), &rtp(2)).unwrap().to, moved);
    assert_eq!(relay.peer(b, false), Some(moved));
    // The caller has asked the agent; nothing is learned of what it hands in.
    assert!(relay.packet(at(2), b, false, addr("[2001:db8::78]:1"), &rtp(1)).is_some());
    assert!(relay.packet(at(2), b, true, addr("[2001:db8::79]:1"), &RTCP).is_some());
    assert_eq!(relay.packet(at(3), a, false, alice(), &rtp(3)).unwrap().to, moved);
    // RTCP has a component of its own.
    let rtcp = addr("192.0.2.1:4001");
    assert_eq!(relay.packet(at(3), a, true, rtcp, &RTCP), None);
    relay.select(b, true, addr("[2001:db8::77]:7001"));
    assert_eq!(relay.packet(at(3), a, true, rtcp, &RTCP).unwrap().to, addr("[2001:db8::77]:7001"));
    relay.govern(b, false);
    assert_eq!(relay.packet(at(4), a, false, alice(), &rtp(4)).unwrap().to, bob());
}

#[test]
fn packets_cross_between_ip_versions() {
    let (mut relay, a, b) = joined();
    let there = relay.packet(at(0), a, false, alice(), &rtp(1)).unwrap();
    assert_eq!(there, Forward { slot: b, port: B, rtcp: false, to: bob() });
    let back = relay.packet(at(0), b, false, bob(), &rtp(1)).unwrap();
    assert_eq!((back.slot, back.to), (a, alice()));
    let control = relay.packet(at(0), a, true, addr("192.0.2.1:4001"), &RTCP).unwrap();
    assert_eq!((control.rtcp, control.to), (true, addr("[2001:db8::2]:5001")));
    let counters = relay.counters(A).unwrap();
    assert_eq!((counters.packets, counters.bytes, counters.rtcp), (1, 172, 1));
    assert_eq!((counters.errors, counters.ssrc, counters.last), (0, Some(9), Some(at(0))));
}

#[test]
fn a_multiplexing_peer_gets_rtcp_on_its_rtp_port() {
    let (mut relay, a, b) = joined();
    let muxed = Side { mux: true, ..side(B, Some(bob())) };
    relay.join(side(A, Some(alice())), muxed);
    let out = relay.packet(at(0), a, true, addr("192.0.2.1:4001"), &RTCP).unwrap();
    assert_eq!(out, Forward { slot: b, port: B, rtcp: false, to: bob() });
    let out = relay.packet(at(0), b, false, bob(), &RTCP).unwrap();
    assert_eq!((out.rtcp, out.to), (true, addr("192.0.2.1:4001")));
}

#[test]
fn a_phone_behind_a_nat_is_learned_once_and_locked() {
    let (mut relay, a, b) = joined();
    let nat = addr("203.0.113.5:61000");
    relay.packet(at(0), a, false, nat, &rtp(1)).unwrap();
    assert_eq!(relay.poll_event(), Some(Event::Learned { port: A, address: nat }));
    assert_eq!(relay.packet(at(20), b, false, bob(), &rtp(1)).unwrap().to, nat);
    let out = relay.packet(at(20), b, true, addr("[2001:db8::2]:5001"), &RTCP).unwrap();
    assert_eq!(out.to, addr("203.0.113.5:61001"));
    // A stranger that fits no better is refused, at once and later.
    let stranger = addr("203.0.113.66:6666");
    assert_eq!(relay.packet(at(40), a, false, stranger, &rtp(2)), None);
    assert_eq!(relay.packet(at(90_000), a, false, alice(), &rtp(2)), None);
    assert_eq!(relay.counters(A).unwrap().errors, 2);
    assert_eq!(relay.packet(at(90_020), b, false, bob(), &rtp(2)).unwrap().to, nat);
    // RTCP must come from the host that RTP comes from.
    assert_eq!(relay.packet(at(90_020), a, true, addr("203.0.113.66:61001"), &RTCP), None);
}

#[test]
fn the_signalled_address_wins_within_three_seconds() {
    let (mut relay, a, b) = joined();
    relay.packet(at(0), a, false, addr("203.0.113.66:6666"), &rtp(1)).unwrap();
    relay.packet(at(2_900), a, false, alice(), &rtp(1)).unwrap();
    assert_eq!(relay.packet(at(2_950), b, false, bob(), &rtp(2)).unwrap().to, alice());
    assert_eq!(relay.packet(at(2_960), a, false, addr("203.0.113.66:6666"), &rtp(3)), None);
}

#[test]
fn behind_a_nat_the_signalling_host_is_believed_first() {
    let mut relay = Forwarder::default();
    let (a, _) =
        (relay.open(A, addr("198.51.100.1:30000")), relay.open(B, addr("[2001:db8::100]:30002")));
    let (phone, stranger) = (addr("203.0.113.5:61000"), addr("203.0.113.66:4000"));
    let behind = Side { host: Some(phone.ip()), ..side(A, Some(alice())) };
    relay.join(behind, side(B, Some(bob())));
    relay.packet(at(0), a, false, stranger, &rtp(1)).unwrap();
    assert!(relay.packet(at(100), a, false, phone, &rtp(1)).is_some());
    assert_eq!(relay.packet(at(120), a, false, stranger, &rtp(2)), None);
}

#[test]
fn a_new_join_learns_anew_only_where_it_may() {
    let (mut relay, a, _) = joined();
    let (first, second) = (addr("203.0.113.5:61000"), addr("203.0.113.9:61000"));
    relay.packet(at(0), a, false, first, &rtp(1)).unwrap();
    // The same description again: the old source is still heard.
    relay.join(side(A, Some(alice())), side(B, Some(bob())));
    relay.packet(at(4_000), a, false, first, &rtp(2)).unwrap();
    assert_eq!(relay.packet(at(4_010), a, false, second, &rtp(1)), None);
    // … until it is silent.
    assert!(relay.packet(at(7_500), a, false, second, &rtp(1)).is_some());
    // Another description: whoever comes first.
    relay.join(side(A, Some(addr("192.0.2.77:4000"))), side(B, Some(bob())));
    assert!(relay.packet(at(7_520), a, false, first, &rtp(1)).is_some());
}

#[test]
fn a_worse_fit_never_replaces_a_better_one() {
    let (mut relay, a, _) = joined();
    relay.packet(at(0), a, false, alice(), &rtp(1)).unwrap();
    // Held: the same description again, and Alice is silent.
    relay.join(side(A, Some(alice())), side(B, Some(bob())));
    for stranger in ["203.0.113.66:6666", "203.0.113.66:4000"] {
        assert_eq!(relay.packet(at(9_000), a, false, addr(stranger), &rtp(2)), None);
    }
    assert!(relay.packet(at(9_020), a, false, alice(), &rtp(3)).is_some());
    // Her own host may change the port.
    assert!(relay.packet(at(13_000), a, false, addr("192.0.2.1:4444"), &rtp(4)).is_some());
}

#[test]
fn the_named_host_comes_back_after_a_stranger() {
    let (mut relay, a, _) = joined();
    let stranger = addr("203.0.113.66:6666");
    relay.packet(at(0), a, false, stranger, &rtp(1)).unwrap();
    assert_eq!(relay.packet(at(4_000), a, false, alice(), &rtp(1)), None);
    relay.join(side(A, Some(alice())), side(B, Some(bob())));
    relay.packet(at(4_010), a, false, stranger, &rtp(2)).unwrap();
    let same_port = addr("203.0.113.77:4000");
    assert_eq!(
        relay.packet(at(4_015), a, false, same_port, &rtp(2)),
        None,
        "anybody may choose it"
    );
    assert!(relay.packet(at(4_020), a, false, alice(), &rtp(2)).is_some());
    assert_eq!(relay.packet(at(4_030), a, false, stranger, &rtp(3)), None);
}

#[test]
fn an_asymmetric_peer_is_sent_to_where_it_said() {
    let (mut relay, a, b) = joined();
    let asymmetric = Side { learn: false, ..side(A, Some(alice())) };
    relay.join(asymmetric, side(B, Some(bob())));
    assert!(relay.packet(at(0), a, false, addr("192.0.2.1:9"), &rtp(1)).is_some());
    assert_eq!(relay.poll_event(), None);
    assert_eq!(relay.packet(at(0), b, false, bob(), &rtp(1)).unwrap().to, alice());
    assert_eq!(relay.packet(at(1), a, false, addr("192.0.2.1:10"), &rtp(2)), None, "locked");
}

#[test]
fn strangers_to_rtp_go_nowhere() {
    let (mut relay, a, _) = joined();
    for bytes in
        [&b"\0\x01\0\0!\x12\xa4B12345678"[..], b"", b"\x80", b"hello, world!!", &[0xbf; 40]]
    {
        assert_eq!(relay.packet(at(0), a, false, alice(), bytes), None);
    }
    assert_eq!(relay.packet(at(0), a, true, alice(), &rtp(1)), None, "RTP at the RTCP port");
    assert_eq!(relay.counters(A).unwrap().errors, 6);
    assert_eq!(relay.poll_event(), None, "garbage teaches nothing");
}

#[test]
fn unjoined_and_closed_ports_send_nothing() {
    let mut relay = Forwarder::default();
    let a = relay.open(A, addr("198.51.100.1:30000"));
    let b = relay.open(B, addr("198.51.100.1:30002"));
    assert_eq!(relay.packet(at(0), a, false, alice(), &rtp(1)), None);
    assert!(!relay.join(side(A, None), side(A, None)));
    assert!(!relay.join(side(A, None), side(PortId(7), None)));
    assert!(relay.join(side(A, Some(alice())), side(B, None)));
    assert_eq!(relay.packet(at(0), a, false, alice(), &rtp(1)), None, "nowhere to send to");
    // Before the answer anybody's early media passes, and nobody is learned by it.
    assert!(relay.packet(at(0), b, false, addr("192.0.2.9:1"), &rtp(1)).is_some());
    assert!(relay.packet(at(0), b, false, addr("192.0.2.8:1"), &rtp(1)).is_some());
    assert_eq!(relay.packet(at(0), a, false, alice(), &rtp(2)), None);
    assert!(relay.join(side(A, Some(alice())), side(B, Some(bob()))));
    assert_eq!(relay.packet(at(0), a, false, alice(), &rtp(2)).unwrap().to, bob());
    assert_eq!(relay.close(B).unwrap().packets, 2);
    assert_eq!(relay.packet(at(0), a, false, alice(), &rtp(3)), None);
    assert_eq!(relay.packet(at(0), b, false, bob(), &rtp(3)), None, "a stale slot");
    assert_eq!(relay.close(B), None);
}

#[test]
fn a_third_port_leaves_the_first_one_alone() {
    let (mut relay, a, b) = joined();
    let c = relay.open(PortId(3), addr("198.51.100.1:30004"));
    relay.join(side(A, Some(alice())), side(PortId(3), Some(addr("192.0.2.3:7000"))));
    assert_eq!(relay.packet(at(0), a, false, alice(), &rtp(1)).unwrap().slot, c);
    assert_eq!(relay.packet(at(0), b, false, bob(), &rtp(1)), None);
}

#[test]
fn loss_is_counted() {
    let (mut relay, a, _) = joined();
    for n in (0..100u16).filter(|n| n % 10 != 5) {
        relay.packet(at(u64::from(n) * 20), a, false, alice(), &rtp(n));
    }
    relay.query(A);
    let events: Vec<_> = std::iter::from_fn(|| relay.poll_event()).collect();
    let Some(Event::Counters { port: A, counters }) = events.last() else { panic!("{events:?}") };
    assert_eq!((counters.lost, counters.packets), (10, 90));
    assert!(counters.jitter.is_zero());
}

#[test]
fn a_stream_that_leads_back_to_itself_is_refused() {
    let local = |n: u16| SocketAddr::from(([198, 51, 100, 1], 30_000 + n));
    let open = |relay: &mut Forwarder, n: u16| relay.open(PortId(n.into()), local(n));
    let mut relay = Forwarder::default();
    let slots = [0, 2, 4, 6].map(|n| open(&mut relay, n));
    let side = |n: u64, rtp| side(PortId(n), Some(rtp));
    // Alice names the port that faces Bob.
    relay.join(side(0, local(2)), side(2, bob()));
    assert_eq!(relay.packet(at(0), slots[1], false, bob(), &rtp(1)), None);
    assert_eq!(relay.packet(at(0), slots[1], true, addr("[2001:db8::2]:5001"), &RTCP), None);
    // A call that is anchored twice is none.
    relay.join(side(0, alice()), side(2, local(4)));
    relay.join(side(4, local(2)), side(6, bob()));
    assert_eq!(relay.packet(at(0), slots[0], false, alice(), &rtp(1)).unwrap().to, local(4));
    assert_eq!(relay.packet(at(0), slots[2], false, local(2), &rtp(1)).unwrap().to, bob());
    // Two streams that feed each other.
    relay.join(side(0, local(4)), side(2, addr("192.0.2.9:1")));
    relay.join(side(4, alice()), side(6, local(2)));
    assert_eq!(relay.packet(at(9_000), slots[1], false, addr("192.0.2.9:1"), &rtp(1)), None);
}

#[derive(Clone, Debug)]
enum Step {
    Open(u64),
    Join(u64, u64, u8, u8, bool),
    Close(u64),
    Packet(u64, bool, u8, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let port = 0..4u64;
    prop_oneof![
        port.clone().prop_map(Step::Open),
        (port.clone(), port.clone(), 0..4u8, 0..4u8, any::<bool>())
            .prop_map(|(a, b, x, y, learn)| Step::Join(a, b, x, y, learn)),
        port.clone().prop_map(Step::Close),
        (port, any::<bool>(), 0..4u8, any::<bool>())
            .prop_map(|(p, socket, from, rtcp)| Step::Packet(p, socket, from, rtcp)),
    ]
}

fn host(n: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, n], 4000))
}

proptest! {
    /// Nothing is ever reflected, nothing leaves an unjoined port, everything is counted once.
    #[test]
    fn whatever_happens(steps in proptest::collection::vec(step(), 0..80)) {
        let mut relay = Forwarder::default();
        let mut slots = std::collections::BTreeMap::new();
        let mut pairs: Vec<(u64, u64)> = Vec::new();
        let mut counted = 0;
        let mut arrived = 0;
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Open(p) => {
                    pairs.retain(|(a, b)| *a != p && *b != p);
                    counted += relay.close(PortId(p)).map_or(0, |c| c.packets + c.rtcp + c.errors);
                    slots.insert(p, relay.open(PortId(p), SocketAddr::from(([10, 0, 0, 1], 30000 + 2 * p as u16))));
                }
                Step::Join(a, b, x, y, learn) => {
                    let a_side = Side { learn, ..side(PortId(a), Some(host(x))) };
                    if relay.join(a_side, side(PortId(b), Some(host(y)))) {
                        pairs.retain(|(x, y)| ![a, b].contains(x) && ![a, b].contains(y));
                        pairs.push((a, b));
                    }
                }
                Step::Close(p) => {
                    pairs.retain(|(a, b)| *a != p && *b != p);
                    counted += relay.close(PortId(p)).map_or(0, |c| c.packets + c.rtcp + c.errors);
                }
                Step::Packet(p, socket, from, rtcp) => {
                    let Some(slot) = slots.get(&p) else { continue };
                    if relay.counters(PortId(p)).is_some() { arrived += 1 }
                    let bytes = if rtcp { RTCP.to_vec() } else { rtp(n as u16) };
                    let now = at(n as u64 * 700);
                    if let Some(out) = relay.packet(now, *slot, socket, host(from), &bytes) {
                        prop_assert_ne!(out.to, host(from));
                        prop_assert!(pairs.contains(&(p, out.port.0)) || pairs.contains(&(out.port.0, p)));
                        prop_assert_eq!(relay.slot(out.port), Some(out.slot));
                    }
                }
            }
        }
        for p in 0..4 {
            counted += relay.close(PortId(p)).map_or(0, |c| c.packets + c.rtcp + c.errors);
        }
        prop_assert_eq!(counted, arrived);
    }
}
