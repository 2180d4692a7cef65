//! A relay dies in mid-call, and another one goes on: with its ports, keys, indices and learned addresses.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use std::collections::{BTreeMap, BTreeSet};

use base::Input;
use base::relay::{MasterKey, Suite};
use base::time::Duration;
use bench::browser::{Browser, CHROME, World};
use bench::{Bench, answer, delete, offer, phone, port_of};
use ng::request::{Ice, RtcpMux};
use ng::{Command, Request};
use srtp::sdes::Crypto;
use srtp::{Inbound, Outbound};

/// Where Alice says that she is, and where she is.
const ALICE: &str = "192.0.2.1:4000";
const BEHIND_NAT: &str = "203.0.113.5:33333";
const BOB: &str = "192.0.2.2:5000";

fn first() -> Bench {
    Bench::relay_named("a", &BTreeMap::new())
}

fn rtp(sequence: u32, payload: &[u8]) -> Vec<u8> {
    let (sequence, timestamp) = (sequence as u16, sequence.wrapping_mul(160));
    rtp::Builder { payload_type: 8, sequence, timestamp, ssrc: 7, payload, ..Default::default() }
        .build()
}

/// A receiver report.
fn rtcp() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 7]
}

struct Secure {
    out: Outbound,
    inbound: Inbound,
}

impl Secure {
    fn says(&mut self, packet: &[u8], control: bool) -> Vec<u8> {
        let mut buffer = [packet, &[0; 64]].concat();
        let length = match control {
            true => self.out.protect_rtcp(&mut buffer, packet.len()),
            false => self.out.protect(&mut buffer, packet.len()),
        };
        buffer.truncate(length.unwrap());
        buffer
    }

    fn hears(&mut self, packet: &[u8], control: bool) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        let length = match control {
            true => self.inbound.unprotect_rtcp(&mut buffer, packet.len()),
            false => self.inbound.unprotect(&mut buffer, packet.len()),
        };
        buffer.truncate(length.unwrap());
        buffer
    }
}

/// Alice with SRTP calls Bob without; the request for Bob may want more. Her session, and the ports that face both.
fn call(bench: &mut Bench, more: impl FnOnce(Request) -> Request, bob: &str) -> (Secure, [u16; 2]) {
    let suite = Suite::AesCm128HmacSha1_80;
    let key = MasterKey::new(suite, &[9; 30]).unwrap();
    let (ip, port) = ALICE.split_once(':').unwrap();
    let line = Crypto::new(1, key.clone());
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/SAVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=crypto:{line}\r\n"
    );
    let plain = Some("RTP/AVP".to_owned());
    let at_bob = bench.sdp(&more(Request { transport_protocol: plain, ..offer(&sdp) }));
    let at_alice = bench.sdp(&answer(bob));
    let line = at_alice.lines().find_map(|line| line.strip_prefix("a=crypto:")).unwrap();
    let theirs = Crypto::parse(line).unwrap().key;
    let secure = Secure { out: Outbound::new(&key), inbound: Inbound::new(&theirs) };
    (secure, [port_of(&at_alice, 0), port_of(&at_bob, 0)])
}

fn bob() -> String {
    phone("192.0.2.2", 5000)
}

/// Both hear each other.
fn talk(bench: &mut Bench, alice: &mut Secure, ports: [u16; 2], sequences: std::ops::Range<u32>) {
    for sequence in sequences {
        let packet = rtp(sequence, b"what is said");
        let (out, clear) =
            bench.relay(BEHIND_NAT, ports[0], &alice.says(&packet, false)).expect("Bob hears");
        assert_eq!((out.to.to_string().as_str(), &clear), (BOB, &packet), "{sequence}");
        let (out, secure) = bench.relay(BOB, ports[1], &packet).expect("Alice hears");
        assert_eq!(out.to.to_string(), BEHIND_NAT);
        assert_eq!(alice.hears(&secure, false), packet, "{sequence}");
    }
    let (_, secure) = bench.relay("192.0.2.2:5001", ports[1] + 1, &rtcp()).expect("RTCP passes");
    assert_eq!(alice.hears(&secure, true), rtcp(), "no index was used before");
}

#[test]
fn srtp_goes_on_with_its_roll_over_counters() {
    let mut a = first();
    let (mut alice, ports) = call(&mut a, |request| request, &bob());
    // The sequence number rolls over, and goes on far from where that was told of.
    talk(&mut a, &mut alice, ports, 65_000..65_600);
    talk(&mut a, &mut alice, ports, 65_600..65_536 + 16_000);
    let before = a.records.clone();
    let mut b = a.heir("b");
    assert_eq!(b.ports.len(), 2, "{:?}", b.logs);
    assert!(b.logs.iter().any(|log| log.text.contains("1 calls that their relay left go on here")));
    assert_ne!(b.records, before, "the record is the heir's now");
    let next = 65_536 + 16_000;
    // Alice is where she was, before she says anything.
    let (out, secure) = b.relay(BOB, ports[1], &rtp(next, b"hello")).expect("Alice hears");
    assert_eq!(out.to.to_string(), BEHIND_NAT);
    assert_eq!(alice.hears(&secure, false), rtp(next, b"hello"));
    let next = next + 1;
    talk(&mut b, &mut alice, ports, next..next + 40_000);
    // Another heir finds what this one wrote.
    let mut c = b.heir("c");
    talk(&mut c, &mut alice, ports, next + 40_000..next + 40_010);
    // What came before does not come again, but for what was on its way when the record was written.
    let old = rtp(65_100, b"what is said");
    let mut again = Secure {
        out: Outbound::new(&MasterKey::new(Suite::AesCm128HmacSha1_80, &[9; 30]).unwrap()),
        inbound: alice.inbound,
    };
    assert_eq!(c.relay(BEHIND_NAT, ports[0], &again.says(&old, false)), None);
    // The call can be changed and ended there.
    let at_bob = c.sdp(&Request {
        transport_protocol: Some("RTP/AVP".into()),
        ..offer(&phone("192.0.2.1", 4000))
    });
    assert_eq!(port_of(&at_bob, 0), ports[1]);
    assert_eq!(c.ask(&delete()).warning, None);
    assert!(c.ports.is_empty());
    assert!(!c.records.keys().any(|(table, _)| *table == media::CALLS), "nothing is left of it");
}

#[test]
fn a_stream_of_our_own_repeats_no_number() {
    let mut a = first();
    let transcode =
        |request: Request| Request { other_flags: vec!["codec-transcode-PCMU".into()], ..request };
    let pcmu = bob().replace("RTP/AVP 8 101", "RTP/AVP 0");
    let (mut alice, ports) = call(&mut a, transcode, &pcmu);
    let mut numbers = BTreeSet::new();
    let mut said = |bench: &mut Bench, alice: &mut Secure, sequence: u32| {
        bench.now += Duration::from_millis(20);
        let packet = rtp::Builder {
            payload_type: 0,
            sequence: sequence as u16,
            timestamp: sequence * 160,
            ssrc: 5,
            payload: &[0xff; 160],
            ..Default::default()
        };
        bench.relay(BOB, ports[1], &packet.build());
        for (_, to, secure) in bench.leaving() {
            assert_eq!(to.to_string(), ALICE);
            let clear = alice.hears(&secure, false);
            let packet = rtp::Packet::parse(&clear).unwrap();
            assert_eq!(packet.payload_type(), 8);
            let number = (packet.ssrc(), packet.sequence());
            assert!(numbers.insert(number), "{number:?} leaves once");
        }
        numbers.len()
    };
    let mut heard = 0;
    for sequence in 1..=500 {
        heard = said(&mut a, &mut alice, sequence);
    }
    assert!(heard > 490, "{heard}");
    let mut b = a.heir("b");
    for sequence in 510..=600 {
        heard = said(&mut b, &mut alice, sequence);
    }
    assert!(heard > 580, "{heard}");
    let sources: BTreeSet<u32> = numbers.iter().map(|(ssrc, _)| *ssrc).collect();
    assert_eq!(sources.len(), 1, "it is the same stream");
    let sequences: Vec<u16> = numbers.iter().map(|(_, sequence)| *sequence).collect();
    assert!(sequences.last().unwrap() - sequences[0] < 2000, "the gap is one of seconds");
}

#[test]
fn numbers_behind_a_digit_do_not_leave_twice() {
    let mut a = first();
    let (mut alice, ports) = call(&mut a, |request| request, &bob());
    let mut numbers = BTreeSet::new();
    let mut said = |bench: &mut Bench, alice: &mut Secure, sequence: u32| {
        bench.now += Duration::from_millis(20);
        let passed = bench.relay(BOB, ports[1], &rtp(sequence, &[0xd5; 160]));
        if let Some(at) = bench.path.deadline().filter(|at| *at <= bench.now) {
            bench.path.expire(at);
        }
        let own = bench.leaving().into_iter().map(|(_, _, bytes)| bytes);
        for bytes in own.chain(passed.map(|(_, bytes)| bytes)) {
            let clear = alice.hears(&bytes, false);
            let number = rtp::Packet::parse(&clear).unwrap().sequence();
            assert!(numbers.insert(number), "{number} leaves once");
        }
    };
    // Once behind a digit, once within one.
    let parts = [(1..30, true), (30..60, false), (60..80, true), (80..84, false), (84..100, false)];
    for (range, digit_follows) in parts {
        for sequence in range.clone() {
            said(&mut a, &mut alice, sequence);
        }
        if digit_follows {
            let digit = Command::Unknown("play DTMF".into());
            // Bob seems to press the key: its end is said three times, so that more packets leave than came.
            let mut request = Request::about(digit, "call", "tt");
            request.other.push("code", 5u64);
            assert_eq!(a.ask(&request).error_reason, None);
        }
        if !digit_follows {
            a = a.heir(&format!("b{}", range.start));
        }
    }
}

#[test]
fn a_browser_needs_no_other_handshake() {
    let mut world = World::new(vec![Browser::new(ALICE, CHROME)], 1, 0);
    world.bench = first();
    let now = world.bench.now;
    let asked = Request {
        transport_protocol: Some("RTP/AVP".to_owned()),
        ice: Some(Ice::Remove),
        rtcp_mux: vec![RtcpMux::Demux],
        ..offer(&world.browsers[0].offers())
    };
    let at_bob = world.bench.sdp(&asked);
    let bobs = answer(&bob().replace("RTP/AVP 8 101", "RTP/AVP 111"));
    let at_alice = world.bench.sdp(&bobs);
    world.browsers[0].hears(&at_alice, now);
    assert!(world.run(Duration::from_secs(3), World::all_secure));
    let seen = world.browsers[0].keys_seen;
    let facing_bob = std::net::SocketAddr::new(bench::v4(), port_of(&at_bob, 0));
    let bob: std::net::SocketAddr = BOB.parse().unwrap();
    let talk = |world: &mut World, sequence: u32| {
        let packet = rtp(sequence, b"what is said");
        let said = world.browsers[0].says(&packet, false);
        world.send(said);
        world.send((bob, facing_bob, packet.clone()));
        world.run(Duration::from_millis(20), |_| false);
        assert_eq!(world.plain.pop(), Some((facing_bob, bob, packet.clone())), "{sequence}");
        assert_eq!(world.browsers[0].heard.pop(), Some(packet), "{sequence}");
    };
    (1..50).for_each(|sequence| talk(&mut world, sequence));
    world.bench = world.bench.heir("b");
    // From the first packet on, and when checks and consent have gone on for a while.
    (50..60).for_each(|sequence| talk(&mut world, sequence));
    world.run(Duration::from_secs(60), |_| false);
    (60..70).for_each(|sequence| talk(&mut world, sequence));
    // Another offer changes nothing: both relays show the same certificate.
    let asked = Request { sdp: Some(world.browsers[0].offers().into()), ..asked };
    world.bench.sdp(&asked);
    let again = world.bench.sdp(&bobs);
    let fingerprint = |sdp: &str| {
        sdp.lines().find(|line| line.starts_with("a=fingerprint")).map(str::to_owned).unwrap()
    };
    assert_eq!(fingerprint(&again), fingerprint(&at_alice));
    world.browsers[0].hears(&again, world.bench.now);
    (70..80).for_each(|sequence| talk(&mut world, sequence));
    assert!(world.browsers[0].failures.is_empty());
    assert_eq!(world.browsers[0].keys_seen, seen);
    let bad: Vec<_> = world.bench.logs.iter().filter(|log| log.counter == "media.no_way").collect();
    assert!(bad.is_empty(), "{bad:?}");
}

#[test]
fn whoever_cannot_have_the_ports_has_not_the_call() {
    let mut a = first();
    let (mut alice, ports) = call(&mut a, |request| request, &bob());
    talk(&mut a, &mut alice, ports, 1..10);
    // On one host the relay that is not dead has its ports.
    let mut b = Bench::relay_named("b", &a.records);
    b.now = a.now;
    b.taken = true;
    b.nobody_answers();
    assert_eq!((b.media.sessions(), b.ports.len()), (0, 0));
    assert_eq!(b.records.get(&call_key()), a.records.get(&call_key()), "it stays the other one's");
    let refused = b.ask(&offer(&phone("192.0.2.1", 4000))).error_reason.unwrap();
    assert!(refused.contains("relay a"), "{refused}");
    talk(&mut a, &mut alice, ports, 10..20);
    // They are free, or their address comes, within a while.
    b.pass(Duration::from_secs(1));
    b.taken = false;
    b.pass(Duration::from_millis(60));
    talk(&mut b, &mut alice, ports, 20..30);
    // Who hears that another one has its call has it no more.
    let value = b.records[&call_key()].clone();
    let (table, key) = call_key();
    a.input(Input::Restored { table, key, value });
    assert_eq!((a.media.sessions(), a.ports.len()), (0, 0));
    assert!(a.records.contains_key(&call_key()), "and deletes no record of it");
}

fn call_key() -> (base::store::Table, base::Bytes) {
    (media::CALLS, base::Bytes::from_static(b"call"))
}

#[test]
fn a_request_for_a_call_that_is_elsewhere_fetches_it() {
    let mut a = first();
    let (mut alice, ports) = call(&mut a, |request| request, &bob());
    talk(&mut a, &mut alice, ports, 1..10);
    // It knows of the call, and does not know yet that its relay is dead.
    let mut b = Bench::relay_named("b", &a.records);
    b.now = a.now;
    assert_eq!(b.media.sessions(), 0);
    assert!(b.query().contains("\"result\":\"ok\""));
    talk(&mut b, &mut alice, ports, 10..20);
    assert_eq!(
        b.ask(&Request::about(Command::Delete, "other", "ft")).warning.unwrap(),
        "Call-ID not found or tags didn't match"
    );
}

#[test]
fn a_relay_goes_on_with_its_own_calls_after_a_restart() {
    let mut a = first();
    let (mut alice, ports) = call(&mut a, |request| request, &bob());
    talk(&mut a, &mut alice, ports, 65_500..65_560);
    let mut again = Bench::relay_named("a", &a.records);
    talk(&mut again, &mut alice, ports, 65_560..65_570);
}

#[test]
fn the_next_living_relay_is_the_heir() {
    let mut a = first();
    call(&mut a, |request| request, &bob());
    let others = ["b", "c"].map(|name| Bench::relay_named(name, &a.records).records);
    let mut records = a.records.clone();
    records.extend(others.into_iter().flatten());
    // The third one sees that the first one is dead and the second one is not.
    let mut c = Bench::relay_named("c", &records);
    assert_eq!(c.opening.len(), 2);
    let [dead, living] = [c.opening[0], c.opening[1]];
    let flow =
        base::Flow { transport: base::Transport::Tcp, id: base::FlowId(77), ..Bench::flow() };
    c.input(Input::Opened { open: living, flow });
    let pong = base::Bytes::from_static(b"1 d6:result4:pong5:relay1:be");
    c.input(Input::Received { flow, message: pong });
    c.input(Input::OpenFailed { open: dead, error: base::FlowError::Refused });
    assert_eq!(c.media.sessions(), 0, "the second one is next");
    // Now that one dies too: it says nothing more.
    c.pass(Duration::from_millis(450));
    assert_eq!(c.media.sessions(), 1, "{:?}", c.logs);
}

#[test]
fn broken_records_are_left_alone() {
    let mut a = first();
    call(&mut a, |request| request, &bob());
    let whole = a.records[&call_key()].clone();
    for end in 0..whole.len() {
        let mut records = a.records.clone();
        records.insert(call_key(), whole.slice(..end));
        let b = Bench::relay_named("a", &records);
        assert_eq!(b.media.sessions(), 0, "{end}");
    }
    for at in 0..whole.len() {
        // Whatever it says, nobody falls over it.
        let mut bent = whole.to_vec();
        bent[at] ^= 0xff;
        let mut records = a.records.clone();
        records.insert(call_key(), bent.into());
        let mut b = Bench::relay_named("a", &records);
        b.pass(Duration::from_secs(1));
        b.query();
    }
    let mut other = whole.to_vec();
    other[0] += 1;
    let mut records = a.records.clone();
    records.insert(call_key(), other.into());
    let b = Bench::relay_named("a", &records);
    assert!(b.logs.iter().any(|log| log.text.contains("another version")), "{:?}", b.logs);
}
