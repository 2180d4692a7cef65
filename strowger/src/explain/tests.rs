use std::net::SocketAddr;

use base::{Bytes, Event, Service, Severity, Transport};
use ladder::{Party, Record};

use super::*;

const PHONE: &str = "192.0.2.7:5060";

fn party(name: &str) -> Party {
    let address: SocketAddr = match name {
        "ue" => PHONE.parse().unwrap(),
        "pcscf" => "10.0.0.1:5060".parse().unwrap(),
        _ => "10.0.0.2:5060".parse().unwrap(),
    };
    if name == "ue" { Party::unnamed(address) } else { Party::named(address, name) }
}

fn record(at: u64, from: &str, to: &str, text: String) -> Record {
    Record {
        at: Instant::from_unix_micros(at),
        service: Service::Sip,
        transport: Transport::Udp,
        from: party(from),
        to: party(to),
        bytes: Bytes::from(text),
        flow: 1,
    }
}

fn fields(method: &str, number: u32) -> String {
    let to = if method == "REGISTER" { "alice" } else { "bob" };
    format!(
        "Via: SIP/2.0/UDP h;branch=z9hG4bK{number}\r\nFrom: <sip:alice@x>;tag=1\r\n\
         To: <sip:{to}@x>\r\nCall-ID: c{method}\r\nCSeq: {number} {method}\r\n\r\n"
    )
}

fn request(at: u64, from: &str, to: &str, method: &str, number: u32) -> Record {
    record(at, from, to, format!("{method} sip:x SIP/2.0\r\n{}", fields(method, number)))
}

fn answer(at: u64, from: &str, to: &str, method: &str, number: u32, status: &str) -> Record {
    record(at, from, to, format!("SIP/2.0 {status}\r\n{}", fields(method, number)))
}

/// A request that goes to the S-CSCF and is answered there.
fn exchange(at: u64, method: &str, number: u32, status: &str) -> Vec<Record> {
    vec![
        request(at, "ue", "pcscf", method, number),
        request(at + 1, "pcscf", "scscf", method, number),
        answer(at + 2, "scscf", "pcscf", method, number, status),
        answer(at + 3, "pcscf", "ue", method, number, status),
    ]
}

fn refused(at: u64, from: &str, text: &str) -> Noted {
    let event = Event::new(Severity::Info, "scscf.refused", text);
    Noted::of(Instant::from_unix_micros(at), from, &event.call_id("cREGISTER"))
}

fn told(records: Vec<Record>, events: Option<&[Noted]>) -> Explanation {
    explain_last(&Correlation::new(records), events, &Places::default()).unwrap()
}

#[test]
fn a_challenge_belongs_to_the_attempt_and_an_older_attempt_does_not() {
    let mut records = exchange(100, "REGISTER", 1, "401 Unauthorized");
    records.extend(exchange(200, "REGISTER", 2, "200 OK"));
    records.extend(exchange(300, "REGISTER", 3, "401 Unauthorized"));
    assert_eq!(told(records.clone(), None).outcome, Outcome::Challenged);
    records.extend(exchange(400, "REGISTER", 4, "403 Forbidden"));
    let events = [
        refused(102, "scscf", "x refused with 403: too early"),
        refused(402, "scscf", "<sip:a refused with 403: forged> refused with 403: the real one"),
        refused(402, "icscf", "x refused with 403: of another function"),
        refused(402 + 2_000_000, "scscf", "x refused with 403: too late"),
    ];
    let told = told(records, Some(&events));
    assert_eq!((told.outcome, told.at.unix_micros()), (Outcome::Refused, 300));
    let refuser = told.refuser.unwrap();
    assert_eq!(refuser.reason.as_deref(), Some("the real one"));
    assert_eq!(refuser.message.number, 15, "the S-CSCF's own answer, not the P-CSCF's copy");
    assert_eq!(told.way.len(), 3);
    assert_eq!(told.steps.len(), 1, "the other function's event: {:?}", told.steps);
}

#[test]
fn the_last_refusal_counts_even_if_something_went_well_later() {
    let mut records = exchange(100, "INVITE", 1, "486 Busy Here");
    records.extend(exchange(200, "REGISTER", 1, "200 OK"));
    let last = told(records, None);
    assert_eq!((last.method.as_str(), last.outcome), ("INVITE", Outcome::Refused));
    let fine = told(exchange(200, "REGISTER", 1, "200 OK"), None);
    assert_eq!((fine.outcome, fine.refuser), (Outcome::Accepted, None));
    let gone = told(exchange(100, "INVITE", 1, "487 Request Terminated"), None);
    assert_eq!(gone.outcome, Outcome::Cancelled);
}

#[test]
fn what_is_not_answered_is_told_up_to_where_it_came() {
    let mut records = exchange(100, "INVITE", 1, "");
    records.truncate(2);
    let told = told(records, None);
    assert_eq!((told.outcome, told.way.len()), (Outcome::Unanswered, 3));
    assert!(explain_last(&Correlation::new([]), None, &Places::default()).is_none());
}

#[test]
fn advice_names_the_line_of_the_configuration() {
    let records = exchange(400, "REGISTER", 4, "423 Interval Too Brief");
    let correlation = Correlation::new(records);
    let events = [refused(402, "scscf", "x refused with 423: the registration is too short")];
    let lines = [("registration.min_expires".to_owned(), 7)].into();
    let places = Places { file: Some("a.toml".to_owned()), lines };
    let told = explain_last(&correlation, Some(&events), &places).unwrap();
    assert_eq!(told.advice[0].place.as_deref(), Some("a.toml:7"));
    assert!(report::text(&told).contains("a.toml:7: registration.min_expires\n"));
    let nowhere = explain_last(&correlation, Some(&events), &Places::default()).unwrap();
    let text = report::text(&nowhere);
    assert!(text.contains("registration.min_expires is not in the configuration\n"), "{text}");
    assert_eq!(report::json(&nowhere)["advice"][0]["key"], "registration.min_expires");
}

/// In one process everything may happen within one microsecond.
#[test]
fn events_of_the_same_time_stand_where_their_function_logged_them() {
    let records: Vec<Record> = exchange(100, "REGISTER", 1, "403 Forbidden")
        .into_iter()
        .map(|record| Record { at: Instant::from_unix_micros(100), ..record })
        .collect();
    let mut events = vec![refused(100, "pcscf", "first"), refused(100, "scscf", "second")];
    let order = |events: &[Noted]| {
        let told = told(records.clone(), Some(events));
        told.steps.into_iter().map(|step| step.text).collect::<Vec<_>>()
    };
    assert_eq!(order(&events), ["first", "second"]);
    events.swap(0, 1);
    assert_eq!(order(&events), ["second", "first"], "the P-CSCF logs about the answer, too");
}
