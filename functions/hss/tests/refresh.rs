//! Shared criteria that change while users are registered: TS 29.228 §6.2.2 for each of them.

#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "shared with the tests of requests")]
mod bench;

use base::machine::{Input, Order};
use base::redact::Secret;
use bench::*;
use diameter::cx::*;
use diameter::dictionary::*;
use diameter::{Message, Outcome, ResultCode};
use hss::Subscriber;
use hss::profile::FilterCriteria;
use hss::records;

/// More than two pages.
const USERS: usize = 150;

fn subscriber(number: usize) -> Subscriber {
    let password = Secret::new("p".to_owned());
    Subscriber::with_password(&format!("u{number}"), &password, &[], "example").unwrap()
}

/// Many users, of whom those with an even number are registered.
fn bench() -> Bench {
    let subscribers: Vec<Subscriber> = (0..USERS).map(subscriber).collect();
    let mut bench = Bench::new(&subscribers);
    for subscriber in subscribers.iter().step_by(2) {
        let sar = Sar {
            user_name: Some(subscriber.impi.clone()),
            public_identities: vec![subscriber.sets[0].name().to_owned()],
            server_name: SCSCF.to_owned(),
            assignment: Assignment::Registration,
            has_user_data: false,
            features: 0,
            restoration: Vec::new(),
        };
        assert_eq!(bench.outcome(&sar), Outcome::Base(ResultCode::SUCCESS));
    }
    bench.counters.clear();
    bench
}

fn criteria(server: &str) -> Vec<FilterCriteria> {
    FilterCriteria::parse_all([server]).unwrap()
}

fn configure(bench: &mut Bench, server: &str) {
    bench.input(Input::Order(Order(Box::new(config(criteria(server))))));
}

/// Answers what the S-CSCF is told, a round after the other; who was told of this server, and how many
/// in the fullest round.
fn told(bench: &mut Bench, server: &str) -> (Vec<String>, usize) {
    let (mut who, mut most) = (Vec::new(), 0);
    while !bench.answers.is_empty() {
        let round = core::mem::take(&mut bench.answers);
        most = most.max(round.len());
        for request in round {
            let ppr = Ppr::parse(&request).unwrap();
            let xml = String::from_utf8(ppr.user_data.unwrap()).unwrap();
            assert!(xml.contains(server), "{xml}");
            who.push(ppr.user_name);
            let answer = Message::write(request.header().answer(), |out| {
                out.utf8(SESSION_ID, request.session_id().unwrap());
                Outcome::Base(ResultCode::SUCCESS).write(out);
                out.utf8(ORIGIN_HOST, "cscf.example").utf8(ORIGIN_REALM, "example");
            });
            bench.send(&answer);
        }
    }
    (who, most)
}

#[test]
fn all_who_are_registered_get_them_once_and_nobody_else() {
    let mut bench = bench();
    configure(&mut bench, "sip:as.example");
    let (mut who, most) = told(&mut bench, "sip:as.example");
    assert!(most <= 64, "{most} at a time");
    let mut registered: Vec<String> = (0..USERS).step_by(2).map(|n| subscriber(n).impi).collect();
    who.sort();
    registered.sort();
    assert_eq!(who, registered);
    // The same again is nothing new, also to a process that remembers nothing.
    configure(&mut bench, "sip:as.example");
    assert!(bench.answers.is_empty());
    bench.restart();
    configure(&mut bench, "sip:as.example");
    assert!(bench.answers.is_empty());
}

#[test]
fn a_change_in_the_middle_of_another_wins() {
    let mut bench = bench();
    configure(&mut bench, "sip:first.example");
    let first = core::mem::take(&mut bench.answers);
    assert!(!first.is_empty());
    configure(&mut bench, "sip:second.example");
    // The S-CSCF answers nothing of the first round; what waits behind it is told the second.
    bench.disconnect();
    bench.greet();
    let (mut who, _) = told(&mut bench, "sip:second.example");
    who.sort();
    who.dedup();
    assert_eq!(who.len(), USERS / 2);
}

#[test]
fn a_store_that_cannot_be_read_is_said_so() {
    let mut bench = bench();
    bench.broken_loads = Some(records::REGISTRATION);
    configure(&mut bench, "sip:as.example");
    assert!(bench.answers.is_empty());
    assert_eq!(bench.counters, ["hss.not_told"]);
}
