//! SRTP by keys in SDP: one side, both sides, other suites, and what is not authentic.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use base::relay::{MasterKey, Onward, Suite};
use bench::{Bench, answer, offer, port_of};
use ng::Request;
use srtp::sdes::Crypto;
use srtp::{Inbound, Outbound, SrtpError};

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";

/// A phone with SRTP, or without.
struct Phone {
    address: &'static str,
    keys: Vec<Crypto>,
}

/// A session of each direction.
struct Session {
    out: Outbound,
    inbound: Inbound,
}

impl Phone {
    fn new(address: &'static str, suites: &[Suite]) -> Phone {
        let key = |(suite, tag): (&Suite, u32)| {
            let octets: Vec<u8> =
                (0..MasterKey::length(*suite) as u8).map(|n| n ^ tag as u8).collect();
            Crypto::new(tag, MasterKey::new(*suite, &octets).unwrap())
        };
        Phone { address, keys: suites.iter().zip(1..).map(key).collect() }
    }

    fn describes(&self, keys: &[Crypto]) -> String {
        let (ip, port) = self.address.split_once(':').unwrap();
        let protocol = if self.keys.is_empty() { "RTP/AVP" } else { "RTP/SAVP" };
        let keys: String = keys.iter().map(|key| format!("a=crypto:{key}\r\n")).collect();
        format!("v=0\r\ns=-\r\nc=IN IP4 {ip}\r\nm=audio {port} {protocol} 8\r\n{keys}")
    }

    fn offers(&self) -> String {
        self.describes(&self.keys)
    }

    /// The session with the relay, whose line names one of ours.
    fn session(&self, relay: &Crypto) -> Session {
        let ours = self.keys.iter().find(|key| key.tag == relay.tag).unwrap();
        assert_eq!(ours.suite(), relay.suite());
        Session { out: Outbound::new(&ours.key), inbound: Inbound::new(&relay.key) }
    }
}

/// The lines that a description has.
fn keys(sdp: &str) -> Vec<Crypto> {
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    lines.map(|line| Crypto::parse(line).unwrap()).collect()
}

fn rtp(sequence: u16) -> Vec<u8> {
    rtp::Builder { sequence, ssrc: 7, payload: b"what is said", ..Default::default() }.build()
}

/// A receiver report.
fn rtcp() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0, 7]
}

fn protected(session: &mut Session, packet: &[u8], control: bool) -> Vec<u8> {
    let mut buffer = [packet, &[0; 64]].concat();
    let length = match control {
        true => session.out.protect_rtcp(&mut buffer, packet.len()),
        false => session.out.protect(&mut buffer, packet.len()),
    };
    buffer.truncate(length.unwrap());
    buffer
}

fn taken(session: &mut Session, packet: &[u8], control: bool) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let length = match control {
        true => session.inbound.unprotect_rtcp(&mut buffer, packet.len())?,
        false => session.inbound.unprotect(&mut buffer, packet.len())?,
    };
    buffer.truncate(length);
    Ok(buffer)
}

fn to(relayed: &(Onward, Vec<u8>)) -> String {
    relayed.0.to.to_string()
}

fn plain_towards(request: Request) -> Request {
    Request { transport_protocol: Some("RTP/AVP".to_owned()), ..request }
}

#[test]
fn one_end_speaks_srtp_and_the_other_one_does_not() {
    for suite in Suite::ALL {
        let (alice, bob) =
            (Phone::new(ALICE, &[Suite::AesCm128HmacSha1_32, suite]), Phone::new(BOB, &[]));
        let mut bench = Bench::new();
        let at_bob = bench.sdp(&plain_towards(offer(&alice.describes(&alice.keys[1..]))));
        assert!(at_bob.contains(" RTP/AVP 8\r\n") && keys(&at_bob).is_empty(), "{at_bob}");
        let at_alice = bench.sdp(&answer(&bob.offers()));
        assert!(at_alice.contains(" RTP/SAVP 8\r\n"), "{at_alice}");
        let [chosen] = &keys(&at_alice)[..] else { panic!("{at_alice}") };
        assert_eq!((chosen.tag, chosen.suite()), (2, suite));
        let mut session = alice.session(chosen);
        let (facing_alice, facing_bob) = (port_of(&at_alice, 0), port_of(&at_bob, 0));
        for sequence in 65_530..65_545u32 {
            let packet = rtp(sequence as u16);
            let secure = protected(&mut session, &packet, false);
            let clear = bench.relay(ALICE, facing_alice, &secure).expect("it passes");
            assert_eq!((to(&clear).as_str(), &clear.1), (BOB, &packet), "{suite:?}");
            let secure = bench.relay(BOB, facing_bob, &packet).expect("it passes");
            assert_eq!(to(&secure), ALICE);
            assert_eq!(taken(&mut session, &secure.1, false), Ok(packet), "{suite:?}");
        }
        let secure = protected(&mut session, &rtcp(), true);
        let clear = bench.relay("192.0.2.1:4001", facing_alice + 1, &secure).expect("it passes");
        assert_eq!((clear.0.rtcp, clear.1), (true, rtcp()));
        let secure = bench.relay("192.0.2.2:5001", facing_bob + 1, &rtcp()).expect("it passes");
        assert_eq!(taken(&mut session, &secure.1, true), Ok(rtcp()));
    }
}

#[test]
fn both_ends_have_keys_of_their_own() {
    let alice = Phone::new(ALICE, &[Suite::AesCm128HmacSha1_80]);
    let mut bench = Bench::new();
    let at_bob = bench.sdp(&offer(&alice.offers()));
    let offered = keys(&at_bob);
    let suites: Vec<Suite> = offered.iter().map(Crypto::suite).collect();
    assert_eq!(
        suites[..2],
        [Suite::AesCm128HmacSha1_80, Suite::AeadAes256Gcm],
        "theirs come first"
    );
    assert!(!suites.contains(&Suite::NullHmacSha1_80), "nobody asked for it");
    assert_ne!(offered[0].key.octets(), alice.keys[0].key.octets());
    // Bob takes another suite than Alice has, under the tag that it was offered by.
    let chosen = offered.iter().find(|line| line.suite() == Suite::AeadAes128Gcm).unwrap();
    let mut bob = Phone::new(BOB, &[Suite::AeadAes128Gcm]);
    bob.keys[0].tag = chosen.tag;
    let at_alice = bench.sdp(&answer(&bob.offers()));
    let answered = keys(&at_alice);
    let (mut a, mut b) = (alice.session(&answered[0]), bob.session(chosen));
    let (facing_alice, facing_bob) = (port_of(&at_alice, 0), port_of(&at_bob, 0));
    for sequence in 1..20 {
        let secure = protected(&mut a, &rtp(sequence), false);
        let (_, relayed) = bench.relay(ALICE, facing_alice, &secure).expect("it passes");
        assert_eq!(taken(&mut b, &relayed, false), Ok(rtp(sequence)));
        let secure = protected(&mut b, &rtp(sequence), false);
        let (_, relayed) = bench.relay(BOB, facing_bob, &secure).expect("it passes");
        assert_eq!(taken(&mut a, &relayed, false), Ok(rtp(sequence)));
    }
    // Another offer with the same keys changes nothing that is in use.
    let again = bench.sdp(&offer(&alice.offers()));
    assert_eq!(keys(&again).len(), offered.len());
    assert_eq!(keys(&again)[0].key.octets(), offered[0].key.octets());
    bench.sdp(&answer(&bob.offers()));
    let secure = protected(&mut a, &rtp(20), false);
    let (_, relayed) = bench.relay(ALICE, facing_alice, &secure).expect("it passes");
    assert_eq!(taken(&mut b, &relayed, false), Ok(rtp(20)));
    assert_eq!(bench.relay(ALICE, facing_alice, &secure), None, "it came before");
    // Nor does one that nobody answers, whatever it offers.
    let plain = Phone::new(ALICE, &[]);
    assert!(keys(&bench.sdp(&offer(&plain.offers()))).is_empty());
    let secure = protected(&mut a, &rtp(21), false);
    let (_, relayed) = bench.relay(ALICE, facing_alice, &secure).expect("it passes");
    assert_eq!(taken(&mut b, &relayed, false), Ok(rtp(21)));
    // One that is answered does.
    bench.sdp(&answer(&Phone::new(BOB, &[]).offers()));
    let (_, relayed) = bench.relay(ALICE, facing_alice, &rtp(22)).expect("it passes");
    assert_eq!(relayed, rtp(22));
    // Who goes back to SRTP gets other keys: the indices begin anew.
    let again = keys(&bench.sdp(&offer(&alice.offers())));
    let line = again.iter().find(|line| line.tag == chosen.tag).unwrap();
    assert_eq!(line.suite(), chosen.suite());
    assert_ne!(line.key.octets(), chosen.key.octets());
    let at_alice = bench.sdp(&answer(&bob.offers()));
    assert_ne!(keys(&at_alice)[0].key.octets(), answered[0].key.octets());
    let (mut a, mut b) = (alice.session(&keys(&at_alice)[0]), bob.session(line));
    let secure = protected(&mut a, &rtp(1), false);
    let (_, relayed) = bench.relay(ALICE, facing_alice, &secure).expect("it passes");
    assert_eq!(taken(&mut b, &relayed, false), Ok(rtp(1)));
}

#[test]
fn what_is_not_authentic_is_neither_passed_on_nor_believed() {
    let (alice, bob) = (Phone::new(ALICE, &[Suite::AesCm128HmacSha1_80]), Phone::new(BOB, &[]));
    let mut bench = Bench::new();
    let at_bob = bench.sdp(&plain_towards(offer(&alice.offers())));
    let (facing_alice, facing_bob) = (port_of(&at_bob, 0) - 2, port_of(&at_bob, 0));
    // Nobody has answered: there is no key for either direction.
    let mut early = Session {
        out: Outbound::new(&alice.keys[0].key),
        inbound: Inbound::new(&alice.keys[0].key),
    };
    let secure = protected(&mut early, &rtp(1), false);
    assert_eq!(bench.relay(ALICE, facing_alice, &secure), None);
    assert_eq!(bench.relay(BOB, facing_bob, &rtp(1)), None, "nothing goes to Alice in the clear");
    let at_alice = bench.sdp(&answer(&bob.offers()));
    assert_eq!(port_of(&at_alice, 0), facing_alice);
    let mut session = alice.session(&keys(&at_alice)[0]);
    // A stranger is first: in the clear, and with a key of his own.
    let stranger =
        Phone::new("203.0.113.9:9", &[Suite::AesCm128HmacSha1_80, Suite::AesCm128HmacSha1_80]);
    let mut forged = Session {
        out: Outbound::new(&stranger.keys[1].key),
        inbound: Inbound::new(&stranger.keys[1].key),
    };
    let secure = protected(&mut forged, &rtp(1), false);
    for bytes in [rtp(1), secure, rtcp(), Vec::new(), vec![0x80; 11]] {
        assert_eq!(bench.relay(stranger.address, facing_alice, &bytes), None);
    }
    // Alice comes from behind a router: hers is the address that is learned.
    let secure = protected(&mut session, &rtp(1), false);
    assert!(bench.relay("198.51.100.99:1234", facing_alice, &secure).is_some());
    let relayed = bench.relay(BOB, facing_bob, &rtp(2)).expect("it passes");
    assert_eq!(to(&relayed), "198.51.100.99:1234");
}

#[test]
fn without_a_key_in_common_nothing_passes_and_somebody_is_told() {
    let alice = Phone::new(ALICE, &[Suite::AesCm128HmacSha1_80]);
    let mut bench = Bench::new();
    let at_bob = bench.sdp(&offer(&alice.offers()));
    let mut bob = Phone::new(BOB, &[Suite::AesCm128HmacSha1_80]);
    bob.keys[0].tag = 77;
    let at_alice = bench.sdp(&answer(&bob.offers()));
    assert!(bench.logs.iter().any(|log| log.counter == "media.no_key"), "{:?}", bench.logs);
    let mut session = alice.session(&keys(&at_alice)[0]);
    let secure = protected(&mut session, &rtp(1), false);
    assert_eq!(bench.relay(ALICE, port_of(&at_alice, 0), &secure), None);
    assert_eq!(bench.relay(BOB, port_of(&at_bob, 0), &rtp(1)), None);
}

#[test]
fn flags_say_which_suites_are_offered() {
    let alice = Phone::new(ALICE, &[Suite::NullHmacSha1_80, Suite::AesCm128HmacSha1_32]);
    let offered = |flags: &[&str]| {
        let other_flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let at_bob = Bench::new().sdp(&Request { other_flags, ..offer(&alice.offers()) });
        keys(&at_bob).iter().map(Crypto::suite).collect::<Vec<_>>()
    };
    let theirs = [Suite::NullHmacSha1_80, Suite::AesCm128HmacSha1_32];
    assert_eq!(offered(&["SDES-nonew"]), theirs);
    assert_eq!(offered(&["SDES-only-AEAD_AES_128_GCM"])[2..], [Suite::AeadAes128Gcm]);
    assert!(!offered(&["sdes-no-aead_aes_256_gcm"]).contains(&Suite::AeadAes256Gcm));
    assert_eq!(offered(&[]).len(), 9);
    // A plain phone is offered keys if its side is to have them.
    let plain = Phone::new(ALICE, &[]);
    let to_srtp =
        Request { transport_protocol: Some("RTP/SAVP".to_owned()), ..offer(&plain.offers()) };
    let mut bench = Bench::new();
    let at_bob = bench.sdp(&to_srtp);
    assert_eq!((at_bob.contains(" RTP/SAVP 8"), keys(&at_bob).len()), (true, 8));
    let mut bob = Phone::new(BOB, &[Suite::AeadAes256Gcm]);
    bob.keys[0].tag = 1;
    let at_alice = bench.sdp(&answer(&bob.offers()));
    assert!(at_alice.contains(" RTP/AVP 8") && keys(&at_alice).is_empty(), "{at_alice}");
}

#[test]
fn srtp_without_keys_is_refused_in_words() {
    let mut bench = Bench::new();
    for sdp in [
        "v=0\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 UDP/TLS/RTP/SAVPF 8\r\na=setup:actpass\r\n",
        "v=0\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/SAVP 8\r\na=crypto:1 XYZ inline:x\r\n",
    ] {
        let response = bench.ask(&offer(sdp));
        assert!(response.error_reason.unwrap().contains("RFC 4568"), "{sdp}");
    }
}
