//! DTLS-SRTP and ICE: browsers with plain phones, with each other, and with less of it; bad networks; strangers.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use std::net::SocketAddr;

use base::time::Duration;
use bench::browser::{Browser, CHROME, Style, World};
use bench::{answer, offer, phone, port_of};
use dtls::{Certificate, Setup};
use ng::Request;
use ng::request::{Ice, RtcpMux};

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";
const SOON: Duration = Duration::from_secs(3);
/// The longest that a handshake may take before it has failed.
const LONG: Duration = Duration::from_secs(70);

fn towards_plain(request: Request) -> Request {
    Request {
        transport_protocol: Some("RTP/AVP".to_owned()),
        ice: Some(Ice::Remove),
        rtcp_mux: vec![RtcpMux::Demux],
        ..request
    }
}

fn towards_browser(request: Request) -> Request {
    Request {
        transport_protocol: Some("UDP/TLS/RTP/SAVPF".to_owned()),
        ice: Some(Ice::Force),
        rtcp_mux: vec![RtcpMux::Offer],
        ..request
    }
}

fn rtp(sequence: u16) -> Vec<u8> {
    rtp::Builder { sequence, ssrc: 7, payload: b"what is said", ..Default::default() }.build()
}

/// A receiver report.
fn rtcp() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 7]
}

fn logged(world: &World, counter: &str) -> bool {
    world.bench.logs.iter().any(|log| log.counter == counter)
}

/// Alice's browser calls Bob's plain phone, and both descriptions have gone through.
fn browser_calls_phone(style: Style, dtls: Option<&str>, seed: u64, loss: u64) -> (World, u16) {
    let mut world = World::new(vec![Browser::new(ALICE, style)], seed, loss);
    let asked = Request { dtls: dtls.map(str::to_owned), ..offer(&world.browsers[0].offers()) };
    let at_bob = world.bench.sdp(&towards_plain(asked));
    for word in ["candidate", "ice-", "fingerprint", "setup", "rtcp-mux", "crypto"] {
        assert!(!at_bob.contains(word), "{word} is not Bob's: {at_bob}");
    }
    assert!(at_bob.contains(" RTP/AVP 111\r\n"), "{at_bob}");
    let plain = phone("192.0.2.2", 5000).replace("RTP/AVP 8 101", "RTP/AVP 111");
    let at_alice = world.bench.sdp(&answer(&plain));
    assert!(at_alice.contains(" UDP/TLS/RTP/SAVPF 111\r\n"), "{at_alice}");
    assert!(at_alice.contains("a=mid:a0\r\n"), "{at_alice}");
    assert_eq!(at_alice.contains("a=rtcp-mux\r\n"), style.mux, "{at_alice}");
    let now = world.bench.now;
    world.browsers[0].hears(&at_alice, now);
    (world, port_of(&at_bob, 0))
}

/// Both hear what the other one says, RTP and RTCP.
fn assert_they_talk(world: &mut World, facing_bob: u16, sequence: u16) {
    let relay = |port| SocketAddr::new(bench::v4(), port);
    let bob: SocketAddr = BOB.parse().unwrap();
    for (packet, control) in [(rtp(sequence), false), (rtcp(), true)] {
        let said = world.browsers[0].says(&packet, control);
        world.send(said);
        let port = facing_bob + u16::from(control);
        let from = SocketAddr::new(bob.ip(), bob.port() + u16::from(control));
        world.send((from, relay(port), packet.clone()));
        world.run(Duration::from_millis(50), |_| false);
        assert_eq!(world.plain.pop(), Some((relay(port), from, packet.clone())));
        assert_eq!(world.browsers[0].heard.pop(), Some(packet));
    }
}

#[test]
fn a_browser_and_a_plain_phone_hear_each_other() {
    let without_ice = |mux| Style { ice: false, mux, setup: Setup::Actpass };
    for style in [CHROME, Style { mux: false, ..CHROME }, without_ice(true), without_ice(false)] {
        for (setup, dtls) in [
            (Setup::Actpass, None),
            (Setup::Actpass, Some("passive")),
            (Setup::Active, None),
            (Setup::Passive, Some("passive")),
        ] {
            let style = Style { setup, ..style };
            let (mut world, facing_bob) = browser_calls_phone(style, dtls, 1, 0);
            let case = (style.ice, style.mux, setup, dtls);
            assert!(world.run(SOON, World::all_secure), "{case:?} {:?}", world.bench.logs);
            assert!(world.browsers[0].failures.is_empty(), "{case:?}");
            assert_they_talk(&mut world, facing_bob, 1);
            let told = world.bench.query();
            let active = setup == Setup::Passive || (setup == Setup::Actpass && dtls.is_none());
            let role = if active { "DTLS role active" } else { "DTLS role passive" };
            assert!(told.contains("DTLS-SRTP") && told.contains(role), "{case:?} {told}");
            assert_eq!(told.contains("\"ICE\""), style.ice, "{case:?} {told}");
            // Nothing is left to be done again and again.
            world.run(Duration::from_secs(60), |_| false);
            assert!(world.browsers[0].failures.is_empty(), "{case:?}");
            assert_eq!(world.bench.logs.len(), 0, "{case:?} {:?}", world.bench.logs);
            assert_they_talk(&mut world, facing_bob, 2);
        }
    }
}

#[test]
fn a_plain_phone_calls_a_browser() {
    for setup in [Setup::Actpass, Setup::Passive] {
        let mut world = World::new(vec![Browser::new(BOB, Style { setup, ..CHROME })], 1, 0);
        let at_bob = world.bench.sdp(&towards_browser(offer(&phone("192.0.2.1", 4000))));
        assert!(at_bob.contains("a=setup:actpass\r\n"), "{at_bob}");
        assert!(!at_bob.contains("a=crypto"), "its keys come by DTLS alone: {at_bob}");
        let now = world.bench.now;
        let answered = world.browsers[0].answers(&at_bob, now);
        // Its checks, and its first flight if it begins, are faster than its answer.
        world.run(Duration::from_millis(300), |_| false);
        let at_alice = world.bench.sdp(&answer(&answered));
        for word in ["candidate", "ice-", "fingerprint", "setup", "SAVP"] {
            assert!(!at_alice.contains(word), "{word} is not Alice's: {at_alice}");
        }
        assert!(world.run(SOON, World::all_secure), "{:?}", world.bench.logs);
        let said = world.browsers[0].says(&rtp(1), false);
        world.send(said);
        world.run(Duration::from_millis(50), |_| false);
        let (_, to, bytes) = world.plain.pop().unwrap();
        assert_eq!((to.to_string().as_str(), bytes), (ALICE, rtp(1)));
    }
}

#[test]
fn two_browsers_have_keys_and_candidates_of_their_own() {
    let mut world = World::new(vec![Browser::new(ALICE, CHROME), Browser::new(BOB, CHROME)], 1, 0);
    let at_bob = world.bench.sdp(&offer(&world.browsers[0].offers()));
    let leads_to = |sdp: &str, host: &str| {
        sdp.lines().any(|line| !line.starts_with("o=") && line.contains(host))
    };
    assert!(!leads_to(&at_bob, "192.0.2.1"), "nothing leads past the relay: {at_bob}");
    let now = world.bench.now;
    let answered = world.browsers[1].answers(&at_bob, now);
    let at_alice = world.bench.sdp(&answer(&answered));
    assert!(!leads_to(&at_alice, "192.0.2.2"), "{at_alice}");
    world.browsers[0].hears(&at_alice, now);
    assert!(world.run(SOON, World::all_secure), "{:?}", world.bench.logs);
    for (from, to) in [(0, 1), (1, 0)] {
        for (packet, control) in [(rtp(1), false), (rtcp(), true)] {
            let said = world.browsers[from].says(&packet, control);
            world.send(said);
            world.run(Duration::from_millis(50), |_| false);
            assert_eq!(world.browsers[to].heard.pop(), Some(packet));
        }
    }
}

/// Towards one side the relay only answers checks.
#[test]
fn a_lite_relay_is_found_too() {
    for (direction, word) in [("backward", false), ("both", true), ("off", false)] {
        let mut world =
            World::new(vec![Browser::new(ALICE, CHROME), Browser::new(BOB, CHROME)], 1, 0);
        let mut asked = offer(&world.browsers[0].offers());
        asked.other.push("ICE-lite", direction);
        let at_bob = world.bench.sdp(&asked);
        assert_eq!(at_bob.contains("a=ice-lite\r\n"), word, "{at_bob}");
        let now = world.bench.now;
        let answered = world.browsers[1].answers(&at_bob, now);
        let at_alice = world.bench.sdp(&answer(&answered));
        assert_eq!(at_alice.contains("a=ice-lite\r\n"), direction != "off", "{at_alice}");
        world.browsers[0].hears(&at_alice, now);
        assert!(world.run(SOON, World::all_secure), "{direction}: {:?}", world.bench.logs);
        let said = world.browsers[1].says(&rtp(1), false);
        world.send(said);
        world.run(Duration::from_millis(50), |_| false);
        assert_eq!(world.browsers[0].heard.pop(), Some(rtp(1)));
    }
}

/// RFC 8842 §5.5, RFC 8445 §9: an offer that changes nothing changes nothing, and other credentials begin ICE anew, but not
/// DTLS.
#[test]
fn offers_in_a_call_keep_what_they_do_not_change() {
    let (mut world, facing_bob) = browser_calls_phone(CHROME, None, 1, 0);
    assert!(world.run(SOON, World::all_secure));
    let plain = phone("192.0.2.2", 5000).replace("RTP/AVP 8 101", "RTP/AVP 111");
    let again = |world: &mut World| {
        let asked = Request { to_tag: Some("tt".to_owned()), ..offer(&world.browsers[0].offers()) };
        world.bench.sdp(&towards_plain(asked));
        let at_alice = world.bench.sdp(&answer(&plain));
        let now = world.bench.now;
        world.browsers[0].hears(&at_alice, now);
        at_alice
    };
    let name =
        |sdp: &str| sdp.lines().find(|line| line.starts_with("a=ice-ufrag:")).unwrap().to_owned();
    let first = again(&mut world);
    assert_they_talk(&mut world, facing_bob, 10);
    world.browsers[0].credentials = ice::credentials(&mut base::Random::from_u64(99));
    let restarted = again(&mut world);
    assert_ne!(name(&first), name(&restarted), "a restart is answered with one");
    // Media goes on meanwhile.
    assert_they_talk(&mut world, facing_bob, 11);
    world.run(Duration::from_secs(60), |_| false);
    assert_they_talk(&mut world, facing_bob, 12);
    assert_eq!(world.browsers[0].keys_seen, 1, "one handshake for all");
    assert!(world.browsers[0].failures.is_empty());
    assert_eq!(world.bench.logs.len(), 0, "{:?}", world.bench.logs);
}

/// Whatever the network does, both ends have keys in the end, or the relay says by name why not.
#[test]
fn five_hundred_bad_networks() {
    let (mut secure, mut named) = (0, 0);
    for seed in 0..500 {
        let loss = [5, 15, 30, 60, 100][seed as usize % 5];
        let (mut world, _) =
            browser_calls_phone(CHROME, [None, Some("passive")][seed as usize % 2], seed, loss);
        if world.run(LONG, World::all_secure) {
            secure += 1;
        } else {
            let failed = ["media.no_candidate", "media.consent_lost", "media.no_handshake"];
            assert!(
                failed.iter().any(|c| logged(&world, c)),
                "{seed}, {loss} %: {:?}",
                world.bench.logs
            );
            named += 1;
        }
    }
    assert!(secure > 290 && named >= 100, "{secure} secure, {named} failed by name");
}

#[test]
fn a_certificate_that_nobody_signalled_gets_no_media() {
    for setup in [Setup::Active, Setup::Passive] {
        let style = Style { setup, ice: false, mux: true };
        let mut world = World::new(vec![Browser::new(ALICE, style)], 1, 0);
        world.browsers[0].claims = Some(Certificate::generate().unwrap());
        let asked = offer(&world.browsers[0].offers());
        let facing_bob = port_of(&world.bench.sdp(&towards_plain(asked)), 0);
        let at_alice = world.bench.sdp(&answer(&phone("192.0.2.2", 5000)));
        let now = world.bench.now;
        world.browsers[0].hears(&at_alice, now);
        world.run(SOON, |world| logged(world, "media.wrong_certificate"));
        assert!(logged(&world, "media.wrong_certificate"), "{:?}", world.bench.logs);
        assert!(
            world.bench.relay(BOB, facing_bob, &rtp(1)).is_none(),
            "nothing goes out in the clear"
        );
    }
}

#[test]
fn strangers_are_neither_heard_nor_answered() {
    let (mut world, facing_bob) = browser_calls_phone(CHROME, Some("passive"), 1, 0);
    let facing_alice = facing_bob - 2;
    let stranger = "203.0.113.9:9";
    let hello = |world: &mut World| {
        let mut random = base::Random::from_u64(5);
        let mut stun = [0u8; 28];
        stun[..8].copy_from_slice(&[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42]);
        stun[8..20].copy_from_slice(&random.bytes::<12>());
        let mut dtls = random.bytes::<60>();
        dtls[..3].copy_from_slice(&[22, 254, 253]);
        for bytes in [&stun[..], &dtls[..], &rtp(1), &rtcp()] {
            for port in [facing_alice, facing_alice + 1] {
                assert!(world.bench.relay(stranger, port, bytes).is_none());
            }
        }
        let answered = world.bench.leaving();
        assert!(answered.iter().all(|(_, to, _)| to.to_string() != stranger));
    };
    hello(&mut world);
    assert!(world.run(SOON, World::all_secure));
    // The relay's own checks were lost with what it sent to strangers: they are sent again.
    world.run(Duration::from_secs(1), |_| false);
    hello(&mut world);
    // Not even what Alice says, if it comes from elsewhere.
    let (_, _, said) = world.browsers[0].says(&rtp(5), false);
    assert!(world.bench.relay(stranger, facing_alice, &said).is_none());
    assert_they_talk(&mut world, facing_bob, 6);
}

#[test]
fn flags_say_who_begins_and_what_is_offered() {
    let browser = Browser::new(ALICE, CHROME);
    let ask = |request: Request| bench::Bench::new().sdp(&request);
    let plain = || offer(&phone("192.0.2.1", 4000));
    // SRTP without saying by what: both ways are offered.
    let to_srtp =
        |request: Request| Request { transport_protocol: Some("RTP/SAVP".to_owned()), ..request };
    let both = ask(to_srtp(plain()));
    assert!(both.contains("a=crypto:1 ") && both.contains("a=fingerprint:sha-256 "), "{both}");
    let off = |request: Request| Request { dtls: Some("off".to_owned()), ..request };
    assert!(!ask(off(to_srtp(plain()))).contains("fingerprint"));
    let mut no_sdes = to_srtp(plain());
    no_sdes.other.push("SDES", ng::Value::from_iter(["off"].map(ng::Value::from)));
    let handshake = ask(no_sdes);
    assert!(!handshake.contains("crypto") && handshake.contains("a=setup:actpass"), "{handshake}");
    let mut hashed = to_srtp(plain());
    hashed.other.push("DTLS-fingerprint", "SHA-512");
    assert!(ask(hashed).contains("a=fingerprint:sha-512 "));
    // ICE: as the offer does, or as is asked.
    let candidates = |sdp: &str| sdp.matches("a=candidate:").count();
    assert_eq!(candidates(&ask(offer(&browser.offers()))), 2, "RTCP may have a port of its own");
    assert_eq!(candidates(&ask(plain())), 0);
    for (wish, wanted) in [(Ice::Force, 2), (Ice::Optional, 2), (Ice::Default, 0), (Ice::Remove, 0)]
    {
        assert_eq!(candidates(&ask(Request { ice: Some(wish), ..plain() })), wanted, "{wish:?}");
    }
}

/// What stands before the first section is said for all of them, RFC 8122 §5 and RFC 8839 §5.4.
#[test]
fn a_description_may_say_it_once_for_all_sections() {
    let browser = Browser::new(ALICE, CHROME);
    let (mut head, mut section) = (Vec::new(), Vec::new());
    let offered = browser.offers();
    for line in offered.lines() {
        let of_all = ["a=fingerprint", "a=setup", "a=ice-ufrag", "a=ice-pwd"];
        let first = section.is_empty() && !line.starts_with("m=");
        if first || of_all.iter().any(|name| line.starts_with(name)) {
            head.push(line);
        } else {
            section.push(line);
        }
    }
    let moved = [head, section].concat().join("\r\n") + "\r\n";
    let mut bench = bench::Bench::new();
    let at_bob = bench.sdp(&offer(&moved));
    assert_ne!(port_of(&at_bob, 0), 0, "{at_bob}");
    assert_eq!(at_bob.matches("a=fingerprint:").count(), 1, "ours and no other: {at_bob}");
    assert_eq!(at_bob.matches("a=ice-pwd:").count(), 1, "{at_bob}");
    assert!(!at_bob.contains(browser.credentials.pwd.reveal()), "{at_bob}");
}

/// The party that was offered both takes keys in the description.
#[test]
fn who_is_offered_both_may_take_keys_in_the_description() {
    let mut world = World::new(vec![], 1, 0);
    let asked = Request {
        transport_protocol: Some("RTP/SAVP".to_owned()),
        ..offer(&phone("192.0.2.1", 4000))
    };
    let at_bob = world.bench.sdp(&asked);
    let line = at_bob.lines().find(|line| line.starts_with("a=crypto:")).unwrap();
    let theirs = srtp::sdes::Crypto::parse(&line["a=crypto:".len()..]).unwrap();
    let answered = phone("192.0.2.2", 5000).replace("RTP/AVP", "RTP/SAVP") + line + "\r\n";
    world.bench.sdp(&answer(&answered));
    let mut buffer = [&rtp(1)[..], &[0; 64]].concat();
    let length = srtp::Outbound::new(&theirs.key).protect(&mut buffer, rtp(1).len()).unwrap();
    let (_, clear) =
        world.bench.relay(BOB, port_of(&at_bob, 0), &buffer[..length]).expect("it passes");
    assert_eq!(clear, rtp(1));
}

/// Whatever arrives at a port with ICE and DTLS, before and after they are done.
#[test]
fn garbage_does_no_harm() {
    let mut random = base::Random::from_u64(11);
    for ice in [true, false] {
        let (mut world, facing_bob) =
            browser_calls_phone(Style { ice, ..CHROME }, Some("passive"), 1, 0);
        for round in 0..2 {
            for _ in 0..5000 {
                let mut bytes = random.bytes::<120>();
                let length = random.below(120) as usize;
                bytes[0] = [0, 1, 20, 22, 23, 63, 128, 144, 255][random.below(9) as usize];
                if random.below(2) == 0 {
                    bytes[1..3].copy_from_slice(&[254, 253]);
                    bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
                }
                let port = facing_bob - 2 + random.below(2) as u16;
                let from = if random.below(2) == 0 { ALICE } else { "203.0.113.9:9" };
                world.bench.relay(from, port, &bytes[..length]);
                world.bench.leaving();
            }
            if round == 0 {
                world.run(SOON, World::all_secure);
            }
        }
        // With ICE none of it came from where Alice had proved to be, but what came from her very address.
        assert!(world.bench.ports.len() == 2);
    }
}
