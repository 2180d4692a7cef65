//! One run of a network is the same as another, or is not.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod flow;

use base::Service;
use flow::{Place, evening};
use ladder::compare::{Difference, Order, compare, steps};
use ladder::{Correlation, Ladder, Record};

fn whole(records: Vec<Record>) -> Ladder {
    let all = Correlation::new(records);
    all.ladder_of(all.threads())
}

fn changed(number: usize, from: &str, to: &str) -> Vec<Difference> {
    let mut records = evening(Place::HOSTS);
    // Both sights of a message.
    let bytes = records[number].bytes.clone();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    for record in records.iter_mut().filter(|r| r.bytes == bytes) {
        record.bytes = text.replace(from, to).into();
    }
    compare(&whole(evening(Place::PROCESS)), &whole(records), Order::EachPair, &[])
}

/// The number of the nth SIP record that begins so.
fn number(start: &str, nth: usize) -> usize {
    let records = evening(Place::HOSTS);
    let mut found =
        records.iter().enumerate().filter(|(_, r)| r.bytes.starts_with(start.as_bytes()));
    found.nth(nth).unwrap().0
}

#[test]
fn one_process_and_several_hosts_give_the_same_ladder() {
    let (left, right) = (whole(evening(Place::PROCESS)), whole(evening(Place::HOSTS)));
    assert_ne!(left.arrows[5].record.bytes, right.arrows[5].record.bytes);
    for order in [Order::Strict, Order::EachPair] {
        assert_eq!(compare(&left, &right, order, &[]), []);
        assert_eq!(compare(&right, &left, order, &[]), []);
    }
    let steps = steps(&left);
    assert_eq!(steps.len(), left.arrows.len() - 1, "without the retransmission");
    assert_eq!(steps[0].to_string(), "UE → P-CSCF: REGISTER");
}

#[test]
fn a_changed_header_field_is_found() {
    let found = changed(number("INVITE", 0), "tel:+491700000002", "tel:+491700000003");
    let fields: Vec<String> = found.iter().map(Difference::to_string).collect();
    assert!(fields.iter().any(|f| f.contains("Request-URI")), "{fields:#?}");
    let found = changed(number("SIP/2.0 180", 0), "Contact:", "X-Contact:");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(changed(number("REGISTER", 0), "Expires: 600000", "Expires: 3600").len(), 1);
}

#[test]
fn a_token_that_changes_on_the_way_is_found() {
    let number = number("SIP/2.0 180", 2);
    let records = evening(Place::HOSTS);
    let text = String::from_utf8(records[number].bytes.to_vec()).unwrap();
    let id = text.split("Call-ID: ").nth(1).unwrap().split('\r').next().unwrap();
    assert!(!changed(number, id, "0123456789abcdef").is_empty());
}

#[test]
fn missing_and_swapped_arrows_are_found() {
    let left = whole(evening(Place::PROCESS));
    let mut records = evening(Place::HOSTS);
    let last = records.iter().rposition(|r| r.service == Service::Ng).unwrap();
    let gone = records[last].bytes.clone();
    records.retain(|r| r.bytes != gone);
    let found = compare(&left, &whole(records), Order::EachPair, &[]);
    assert!(matches!(&found[..], [Difference::Arrow { left: Some(_), right: None }]), "{found:#?}");

    // Who works at the same time may be seen in either order, but not in the strict one.
    let mut records = evening(Place::PROCESS);
    let trying = records.iter().position(|r| r.bytes.starts_with(b"SIP/2.0 100")).unwrap();
    let (a, b) = (records[trying].at, records[trying + 1].at);
    (records[trying].at, records[trying + 1].at) = (b, a);
    let right = whole(records);
    assert_eq!(compare(&left, &right, Order::EachPair, &[]), []);
    assert!(!compare(&left, &right, Order::Strict, &[]).is_empty());
}

#[test]
fn names_that_are_known_to_differ_may() {
    let rename = |text: &str| text.replace("scscf.ims", "s.other.net");
    let mut records = evening(Place::PROCESS);
    for record in records.iter_mut().filter(|r| r.service == Service::Diameter) {
        // The name is as long as before, so that lengths in the message stay right.
        let bytes = record.bytes.to_vec();
        let at = memchr::memmem::find(&bytes, b"sip:scscf.ims");
        if let Some(at) = at {
            let mut bytes = bytes;
            bytes[at + 4..at + 13].copy_from_slice(b"xcscf.abc");
            record.bytes = bytes.into();
        }
    }
    assert_eq!(rename("scscf.ims"), "s.other.net");
    let (left, right) = (whole(evening(Place::PROCESS)), whole(records));
    assert!(!compare(&left, &right, Order::Strict, &[]).is_empty());
    assert_eq!(compare(&left, &right, Order::Strict, &[("scscf.ims", "xcscf.abc")]), []);
}
