//! The numbers that dashboards made for rtpengine ask for.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use base::census::{Ask, Census, Tally};
use base::time::Duration;
use base::{Function, Input, Output};
use bench::{Bench, answer, delete, offer, phone, port_of};
use ng::Request;

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";

/// What was done, and what is alive.
fn asked(bench: &mut Bench) -> (Tally, Census) {
    bench.media.handle(bench.now, Input::Order(Ask::order()));
    let mut report = || match bench.media.poll() {
        Some(Output::Report(report)) => report.0,
        other => panic!("{other:?}"),
    };
    (*report().downcast().unwrap(), *report().downcast().unwrap())
}

/// Alice calls Bob, and each sends so many packets.
fn call(bench: &mut Bench, packets: [u16; 2]) {
    let at_bob = bench.sdp(&offer(&phone("192.0.2.1", 4000)));
    let at_alice = bench.sdp(&answer(&phone("192.0.2.2", 5000)));
    for (from, at, count) in [(ALICE, &at_alice, packets[0]), (BOB, &at_bob, packets[1])] {
        for sequence in 0..count {
            bench.packet(from, port_of(at, 0), sequence).unwrap();
        }
    }
}

fn numbers(tally: &Tally) -> Vec<(&str, u64)> {
    tally.0.iter().filter(|(_, count)| *count > 0).copied().collect()
}

#[test]
fn calls_and_packets_are_counted() {
    let mut bench = Bench::new();
    call(&mut bench, [3, 2]);
    bench.packet("203.0.113.9:9", 30_000, 7);
    bench.ask(&delete());
    let (tally, census) = asked(&mut bench);
    let bytes = 5 * (12 + 160);
    let expected = [
        ("sessions", 1),
        ("packets", 5),
        ("bytes", bytes),
        ("packet errors", 1),
        ("closed terminated", 1),
    ];
    assert_eq!(numbers(&tally), expected);
    assert_eq!(census.count("sessions"), 0);
}

#[test]
fn who_is_not_heard_is_counted() {
    let mut bench = Bench::new();
    for packets in [[4, 0], [0, 0], [1, 1]] {
        call(&mut bench, packets);
        bench.ask(&delete());
    }
    let (tally, _) = asked(&mut bench);
    assert_eq!(tally.count("one-way sessions"), 1);
    assert_eq!(tally.count("streams without packets"), 1);
}

#[test]
fn each_end_has_its_reason() {
    let mut bench = Bench::new();
    bench.sdp(&offer(&phone("192.0.2.1", 4000)));
    bench.pass(Duration::from_secs(4000));
    call(&mut bench, [1, 1]);
    bench.pass(Duration::from_secs(4000));
    bench.most = 1;
    bench.ask(&offer(&phone("192.0.2.1", 4000)));
    let (tally, _) = asked(&mut bench);
    let closed: Vec<_> =
        numbers(&tally).into_iter().filter(|(n, _)| n.starts_with("closed")).collect();
    assert_eq!(
        closed,
        [("closed timeout", 1), ("closed offer_timeout", 1), ("closed rejected", 1)]
    );
}

#[test]
fn streams_that_are_converted_are_alive() {
    let mut bench = Bench::new();
    let wideband = phone("192.0.2.1", 4000).replace("8 101", "9");
    bench.sdp(&Request { other_flags: vec!["transcode-PCMA".to_owned()], ..offer(&wideband) });
    assert_eq!(asked(&mut bench).1.count("transcoded streams"), 0);
    bench.sdp(&answer(&phone("192.0.2.2", 5000)));
    assert_eq!(asked(&mut bench).1.count("transcoded streams"), 1);
    bench.ask(&delete());
    assert_eq!(asked(&mut bench).1.count("transcoded streams"), 0);
}
