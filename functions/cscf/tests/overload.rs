//! RFC 7339 at the P-CSCF, as server of its phones and as client of the network.
#![allow(clippy::unwrap_used)]

mod door;

use base::Input;
use base::time::Duration;
use door::{Door, PHONE, access};
use sip::Message;
use sip::header::{HeaderName, OverloadControl, Sequence, Via, overload};

const REGISTER: &str = "REGISTER sip:test";

fn headers(name: &str) -> String {
    format!("To: <sip:{name}@test>\r\nContact: <sip:{name}@10.0.0.9>\r\n")
}

fn top_via(message: &Message) -> Via<'_> {
    message.list(HeaderName::Via).next().and_then(Via::parse).unwrap()
}

/// The network asks for less in its answer to the last request.
fn network_asks(door: &mut Door, reduction: u8) {
    let sequence = Sequence::of_micros(door.now.unix_micros());
    door.network_answers(403, |answer| {
        let validity = Duration::from_secs(5);
        let via = OverloadControl { reduction, validity, sequence }.put_into(&top_via(answer));
        answer.set_element(HeaderName::Via, &via);
    });
}

#[test]
fn new_requests_are_left_out_but_not_emergencies() {
    let mut door = Door::with(|config| {
        config.ecscf = Some("sip:ecscf.test".to_owned());
        config.emergency_numbers = [("112".parse().unwrap())].into_iter().collect();
    });
    door.phone_says(REGISTER, &headers("alice"));
    assert!(overload::is_offered(&top_via(&door.to_network[0])), "it says that it listens");
    network_asks(&mut door, 100);
    let sent = door.to_network.len();
    door.phone_says(REGISTER, &headers("bob"));
    let refusal = door.to_phone.last().unwrap();
    assert_eq!((refusal.status(), refusal.has(HeaderName::RetryAfter)), (503, false));
    assert_eq!(door.to_network.len(), sent);
    // All are at one place here: the wire.
    door.phone_says("INVITE tel:112", "To: <tel:112>\r\nContact: <sip:10.0.0.9>\r\n");
    assert_eq!(door.to_network.len(), sent + 1, "an emergency call");
    door.phone_says(REGISTER, "To: <sip:carol@test>\r\nContact: <sip:carol@10.0.0.9;sos>\r\n");
    assert_eq!(door.to_network.len(), sent + 2, "an emergency registration");
    // A phone cannot make itself important (RFC 4412 §8).
    let claim = format!("{}Resource-Priority: ets.0\r\n", headers("dave"));
    door.phone_says(REGISTER, &claim);
    assert_eq!(door.to_network.len(), sent + 2);
    door.now += Duration::from_secs(6);
    door.phone_says(REGISTER, &headers("bob"));
    assert_eq!(door.to_network.len(), sent + 3, "it is over");
}

#[test]
fn phones_that_listen_are_told_when_there_is_little_room() {
    let mut door = Door::with(|config| config.max_transactions = 10);
    let ask = |door: &mut Door, number: u32, offer: &str| {
        let message = format!(
            "MESSAGE sip:bob@test SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};branch=z9hG4bK{number}{offer}\r\n\
             From: <sip:alice@test>;tag=1\r\nTo: <sip:bob@test>\r\nCall-ID: c\r\n\
             CSeq: {number} MESSAGE\r\nMax-Forwards: 70\r\n\r\n"
        );
        door.input(Input::Received { flow: access(PHONE), message: message.into() });
        let answer = door.to_phone.last().unwrap();
        let control = OverloadControl::parse(&top_via(answer));
        (answer.status(), control.map(|control| control.reduction))
    };
    // The network takes its time.
    for number in 0..9 {
        assert_eq!(ask(&mut door, number, overload::OFFER), (403, None), "there is room");
        door.phone_says(REGISTER, &headers(&format!("user{number}")));
    }
    assert_eq!(ask(&mut door, 9, overload::OFFER), (403, Some(100)));
    door.phone_says(REGISTER, &headers("user9"));
    assert_eq!(ask(&mut door, 10, ""), (503, None));
    assert_eq!(ask(&mut door, 11, overload::OFFER), (503, Some(100)));
}

#[test]
fn what_the_process_has_no_time_for_is_refused_at_the_door() {
    let mut door = Door::with(|config| {
        config.ecscf = Some("sip:ecscf.test".to_owned());
        config.emergency_numbers = [("112".parse().unwrap())].into_iter().collect();
    });
    door.phone_says(REGISTER, &headers("alice"));
    door.input(Input::Overload { percent: 100 });
    let sent = door.to_network.len();
    door.phone_says(REGISTER, &headers("bob"));
    let refusal = door.to_phone.last().unwrap();
    assert_eq!((refusal.status(), refusal.has(HeaderName::RetryAfter)), (503, true));
    assert_eq!(door.to_network.len(), sent);
    door.phone_says("INVITE tel:112", "To: <tel:112>\r\nContact: <sip:10.0.0.9>\r\n");
    assert_eq!(door.to_network.len(), sent + 1, "an emergency call");
    door.input(Input::Overload { percent: 0 });
    door.phone_says(REGISTER, &headers("bob"));
    assert_eq!(door.to_network.len(), sent + 2, "it keeps up again");
}
