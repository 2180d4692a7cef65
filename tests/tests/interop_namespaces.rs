//! The demonstration's call with every function and phone in a process and a namespace of its own is the
//! same as in one process: the ladder, and what tcpdump sees.
#![cfg(feature = "interop")]

use std::sync::{Mutex, PoisonError};

use base::Transport;
use ladder::Record;
use ladder::compare::{Difference, Order, compare};
use strowger_tests::interop::{
    Namespace, Peer, Race, Split, decode, evening, twice, within_one, without_races,
};

/// The program: `$STROWGER_PROGRAM`, such as the one that is shipped, else as it was just built.
fn program() -> String {
    std::env::var("STROWGER_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_shipped").to_owned())
}

/// The demonstration's capture: one process, functions on wires, everybody on loopback.
fn one_process(namespace: &Namespace, ipv6: bool) -> Vec<Record> {
    let args: &[&str] = if ipv6 { &["demo", "--ipv6"] } else { &["demo"] };
    Peer::start(namespace, &program(), args).succeeds();
    let capture = namespace.folder().join("strowger-demo/call.pcapng");
    let records = ladder::pcapng::read(&std::fs::read(&capture).expect("a capture"));
    let records = records.expect("a capture of ours");
    // A foreign decoder sees the same messages in it as we do.
    let bytes =
        |records: &[Record]| -> Vec<_> { records.iter().map(|r| r.bytes.clone()).collect() };
    assert_eq!(bytes(&decode(&capture, |_| None)), bytes(&records));
    records
}

/// What took different ways may come in either order; all else of a dialog is in its order between
/// each two functions.
const RACES: [Race; 3] = [
    // The I-CSCF is on the way of the SUBSCRIBE and its answer, and not on that of the NOTIFY.
    ("200 OK (SUBSCRIBE)", "NOTIFY"),
    // The S-CSCF asks the relay before it passes on what has a session description; ringing has none,
    // and is acknowledged meanwhile.
    ("200 OK (UPDATE)", "180 Ringing (INVITE)"),
    ("200 OK (UPDATE)", "PRACK"),
];

fn differences(left: &[Record], right: &[Record]) -> Vec<Difference> {
    let ladder = |records: &[Record]| without_races(evening(records.iter().cloned()), &RACES);
    compare(&ladder(left), &ladder(right), Order::EachPair, &[])
}

fn assert_same(what: &str, left: &[Record], right: &[Record]) {
    assert!(left.len() > 200, "{} messages", left.len());
    let found: Vec<String> = differences(left, right).iter().map(Difference::to_string).collect();
    assert!(found.is_empty(), "{what}: {} differences\n{}", found.len(), found.join("\n"));
    // Control: a message that were not there would be missed.
    for number in (0..right.len()).step_by(5) {
        let less = [&right[..number], &right[number + 1..]].concat();
        assert!(!differences(left, &less).is_empty(), "{what}: nobody misses {:?}", right[number]);
    }
}

fn the_same_in_namespaces(ipv6: bool, sip: Transport) {
    // Seven processes at a time are enough, for they check that sound flows without a break.
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let demo = one_process(&Namespace::bare(), ipv6);
    let mut split = Split::start(&program(), ipv6, sip);
    split.call();
    let traced = split.trace();
    let mut captured = split.captured();
    assert_same("the ladder", &demo, &traced);
    // What a function says to itself does not leave its process.
    let crossed: Vec<Record> = demo.into_iter().filter(|record| !within_one(record)).collect();
    // As the demonstration did with what it wrote.
    captured.iter_mut().for_each(ladder::redact);
    assert_same("the capture", &crossed, &captured);
}

#[test]
fn functions_in_namespaces_of_their_own_are_the_same_with_ipv4_and_tcp() {
    twice("IPv4 and TCP", || the_same_in_namespaces(false, Transport::Tcp));
}

#[test]
fn functions_in_namespaces_of_their_own_are_the_same_with_ipv6_and_udp() {
    twice("IPv6 and UDP", || the_same_in_namespaces(true, Transport::Udp));
}
