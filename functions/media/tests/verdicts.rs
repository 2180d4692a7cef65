//! Faults, injected one at a time: each has its own verdict within three seconds of the answer, and no other; and it is
//! taken back when it is over.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use base::relay::{MasterKey, Suite};
use base::time::Duration;
use bench::{Bench, answer, offer, port_of};
use ng::Request;
use srtp::Outbound;
use srtp::sdes::Crypto;

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";
const TICK: Duration = Duration::from_millis(20);

/// What one end does, a packet every 20 ms.
#[derive(Clone)]
struct Talker {
    from: &'static str,
    to: u16,
    payload_type: u8,
    /// Units of the clock that a packet has.
    step: u32,
    silent: bool,
    mute: bool,
    /// One packet of so many does not arrive.
    lost: Option<u16>,
    /// Every other packet arrives this much later.
    late: u64,
    key: Option<MasterKey>,
}

impl Talker {
    fn new(from: &'static str, to: u16) -> Talker {
        Talker {
            from,
            to,
            payload_type: 8,
            step: 160,
            silent: false,
            mute: false,
            lost: None,
            late: 0,
            key: None,
        }
    }
}

fn sdp(address: &str, more: &str) -> String {
    let (ip, port) = address.split_once(':').unwrap();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n{more}"
    )
}

/// A call that was answered just now, and both talkers.
fn call() -> (Bench, [Talker; 2]) {
    let mut bench = Bench::new();
    let from =
        |host: &str, request: Request| Request { received_from: host.parse().ok(), ..request };
    let at_bob = bench.sdp(&from("192.0.2.1", offer(&sdp(ALICE, ""))));
    let at_alice = bench.sdp(&from("192.0.2.2", answer(&sdp(BOB, ""))));
    let talkers =
        [Talker::new(ALICE, port_of(&at_alice, 0)), Talker::new(BOB, port_of(&at_bob, 0))];
    (bench, talkers)
}

/// Both talk for a time.
fn talk(bench: &mut Bench, talkers: &[Talker; 2], begin: u16, time: Duration) -> u16 {
    let ticks = (time.as_millis() / TICK.as_millis()) as u16;
    let mut keys = talkers.each_ref().map(|talker| talker.key.as_ref().map(Outbound::new));
    for n in begin..begin + ticks {
        let mut delayed = None;
        for (talker, key) in talkers.iter().zip(&mut keys) {
            if talker.mute || talker.lost.is_some_and(|one| n % one == 0) {
                continue;
            }
            let said: Vec<u8> = (0..talker.step).map(|at| (at as u8) ^ (n as u8)).collect();
            let quiet = vec![0xd5; talker.step as usize];
            let bytes = rtp::Builder {
                payload_type: talker.payload_type,
                sequence: n,
                timestamp: u32::from(n) * talker.step,
                ssrc: u32::from(talker.to),
                payload: if talker.silent { &quiet } else { &said },
                ..Default::default()
            }
            .build();
            let mut buffer = [&bytes[..], &[0; 64]].concat();
            let length = match key {
                Some(key) => key.protect(&mut buffer, bytes.len()).unwrap(),
                None => bytes.len(),
            };
            if talker.late > 0 && n % 2 == 0 {
                delayed = Some((talker.late, talker.from, talker.to, bytes));
                continue;
            }
            bench.relay(talker.from, talker.to, &buffer[..length]);
        }
        let mut rest = TICK;
        if let Some((late, from, to, bytes)) = delayed {
            let late = Duration::from_millis(late);
            bench.pass(late);
            rest -= late;
            bench.relay(from, to, &bytes);
        }
        bench.pass(rest);
    }
    begin + ticks
}

/// The counters of the warnings that there were.
fn warnings(bench: &Bench) -> Vec<&'static str> {
    let of = |log: &base::log::Event| {
        log.counter.starts_with("media.") && log.severity != base::log::Severity::Debug
    };
    bench.logs.iter().filter(|log| of(log)).map(|log| log.counter).collect()
}

fn said(bench: &Bench) -> String {
    bench.logs.iter().map(|log| log.text.clone()).collect::<Vec<_>>().join("\n")
}

const SOON: Duration = Duration::from_millis(2900);

#[test]
fn a_good_call_is_not_spoken_of() {
    let (mut bench, talkers) = call();
    talk(&mut bench, &talkers, 0, Duration::from_secs(60));
    assert_eq!(warnings(&bench), [""; 0], "{}", said(&bench));
    let told = bench.query();
    assert!(told.contains(r#""verdict":"good, MOS 4.4""#), "{told}");
}

#[test]
fn every_fault_has_its_own_verdict_within_three_seconds() {
    type Change = fn(&mut Talker);
    let faults: [(Change, &str, &str); 7] = [
        (
            |bob| bob.mute = true,
            "media.nothing",
            "leg B (audio): no packets arrive from 192.0.2.2:5000",
        ),
        (
            |bob| bob.payload_type = 96,
            "media.unknown_codec",
            "leg B (audio): it sends payload type 96",
        ),
        (
            |bob| bob.step = 240,
            "media.wrong_ptime",
            "its packets are 30 ms long, the other party asked for 20 ms",
        ),
        (|bob| bob.silent = true, "media.silence", "nothing but silence"),
        (|bob| bob.lost = Some(10), "media.loss", "% of its packets are lost on their way to us"),
        (|bob| bob.from = "203.0.113.9:9", "media.good", ""),
        (|_| {}, "media.good", ""),
    ];
    for (change, counter, words) in faults {
        let (mut bench, mut talkers) = call();
        change(&mut talkers[1]);
        let end = talk(&mut bench, &talkers, 0, SOON);
        let wanted: Vec<&str> = [counter].into_iter().filter(|c| *c != "media.good").collect();
        assert_eq!(warnings(&bench), wanted, "{}", said(&bench));
        assert!(said(&bench).contains(words), "{}", said(&bench));
        // It is over.
        bench.logs.clear();
        talkers[1] = Talker { from: talkers[1].from, ..Talker::new(BOB, talkers[1].to) };
        talk(&mut bench, &talkers, end, Duration::from_secs(25));
        let back: Vec<&str> = wanted.iter().map(|_| "media.good").collect();
        assert_eq!(warnings(&bench), back, "{}", said(&bench));
    }
}

#[test]
fn jitter_is_told_from_loss() {
    let (mut bench, mut talkers) = call();
    // Half of the packets are 15 ms late: 30 ms uneven. Then longer packets, so that they may be later.
    talkers[1].late = 15;
    talk(&mut bench, &talkers, 0, SOON);
    assert_eq!(warnings(&bench), [""; 0], "phones make up for that: {}", said(&bench));
    let (mut bench, mut talkers) = call();
    talkers[1].mute = true;
    // Every other packet comes after the next one, both ways.
    let arrivals = (0..140u64).map(|n| (n * 20 + 50 * (n % 2), n as u16));
    let mut arrivals: Vec<(u64, u16)> = arrivals.collect();
    arrivals.sort();
    let begin = bench.now;
    for (at, sequence) in arrivals {
        let rest = (begin + Duration::from_millis(at)).since(bench.now);
        bench.pass(rest);
        let timestamp = u32::from(sequence) * 160;
        let payload = &sequence.to_be_bytes()[..];
        let of = |payload_type| rtp::Builder {
            payload_type,
            sequence,
            timestamp,
            payload,
            ..Default::default()
        };
        bench.relay(BOB, talkers[1].to, &of(8).build());
        bench.relay(ALICE, talkers[0].to, &of(8).build());
    }
    assert_eq!(warnings(&bench), ["media.jitter"; 2], "{}", said(&bench));
}

#[test]
fn an_address_that_cannot_be_right_is_named() {
    let mut bench = Bench::new();
    let at_bob = bench.sdp(&offer(&sdp(ALICE, "")));
    let home = Request {
        received_from: "203.0.113.7".parse().ok(),
        ..answer(&sdp("192.168.1.93:5000", ""))
    };
    let at_alice = bench.sdp(&home);
    let mut talkers =
        [Talker::new(ALICE, port_of(&at_alice, 0)), Talker::new(BOB, port_of(&at_bob, 0))];
    talkers[1].mute = true;
    talk(&mut bench, &talkers, 0, SOON);
    assert_eq!(warnings(&bench), ["media.wrong_address"]);
    let words = "leg B (audio): no packets arrive; SDP says 192.168.1.93 but the peer is behind 203.0.113.7";
    assert!(said(&bench).contains(words), "{}", said(&bench));
}

#[test]
fn a_codec_that_the_other_one_did_not_ask_for_is_named() {
    let mut bench = Bench::new();
    let at_bob = bench.sdp(&offer(&sdp(ALICE, "")));
    let both = sdp(BOB, "").replace("RTP/AVP 8 101", "RTP/AVP 8 0 101");
    let at_alice = bench.sdp(&answer(&both));
    let mut talkers =
        [Talker::new(ALICE, port_of(&at_alice, 0)), Talker::new(BOB, port_of(&at_bob, 0))];
    talkers[1].payload_type = 0;
    talk(&mut bench, &talkers, 0, SOON);
    assert_eq!(warnings(&bench), ["media.wrong_payload_type"], "{}", said(&bench));
    assert!(said(&bench).contains("it sends payload type 0 (PCMU)"), "{}", said(&bench));
    assert!(said(&bench).contains("it wants 8 (PCMA)"), "{}", said(&bench));
}

#[test]
fn a_wrong_key_is_named() {
    let suite = Suite::AesCm128HmacSha1_80;
    let key = |seed: u8| MasterKey::new(suite, &[seed; 30]).unwrap();
    let secure = |address: &str, key: &MasterKey| {
        let line = Crypto::new(1, key.clone());
        sdp(address, &format!("a=crypto:{line}\r\n")).replace("RTP/AVP", "RTP/SAVP")
    };
    for (real, wanted) in [(key(2), ""), (key(3), "media.wrong_key")] {
        let mut bench = Bench::new();
        let at_bob = bench.sdp(&offer(&secure(ALICE, &key(1))));
        let at_alice = bench.sdp(&answer(&secure(BOB, &key(2))));
        let mut talkers =
            [Talker::new(ALICE, port_of(&at_alice, 0)), Talker::new(BOB, port_of(&at_bob, 0))];
        talkers[0].key = Some(key(1));
        talkers[1].key = Some(real);
        talk(&mut bench, &talkers, 0, SOON);
        let wanted: Vec<&str> = [wanted].into_iter().filter(|w| !w.is_empty()).collect();
        assert_eq!(warnings(&bench), wanted, "{}", said(&bench));
    }
}

/// A call that rings is not looked at too closely, one that was answered and is silent on both sides is.
#[test]
fn silence_on_both_sides_takes_longer() {
    let (mut bench, mut talkers) = call();
    talkers.iter_mut().for_each(|talker| talker.mute = true);
    talk(&mut bench, &talkers, 0, Duration::from_secs(5));
    assert_eq!(warnings(&bench), [""; 0]);
    talk(&mut bench, &talkers, 0, Duration::from_secs(10));
    assert_eq!(warnings(&bench), ["media.nothing", "media.nothing"]);
}
