//! Emergency calls at the P-CSCF, TS 24.229 §5.2.10: everybody gets to the E-CSCF, and nowhere else.
#![allow(clippy::unwrap_used)]

mod door;

use base::Input;
use base::machine::Function;
use cscf::pcscf::config::PcscfConfig;
use door::{Door, access, core};
use sip::Message;
use sip::header::HeaderName;

const ECSCF: &str = "sip:ecscf.test";

fn with_ecscf(config: &mut PcscfConfig) {
    config.ecscf = Some(ECSCF.to_owned());
    config.emergency_numbers = ["112", "110=urn:service:sos.police"]
        .map(|text| text.parse().unwrap())
        .into_iter()
        .collect();
}

fn calls(door: &Door) -> usize {
    let census = door.pcscf.census();
    census.0.iter().find(|(what, _)| *what == "emergency calls").map_or(0, |(_, count)| *count)
}

fn statuses(messages: &[Message]) -> Vec<u16> {
    messages.iter().filter(|message| !message.is_request()).map(Message::status).collect()
}

fn routes(message: &Message) -> Vec<&str> {
    message.list(HeaderName::Route).collect()
}

/// The centre takes the call; what the phone heard is the answer.
fn answered(door: &mut Door) {
    let recorded = door_routes(door.to_network.last().unwrap());
    door.network_answers(200, |ok| {
        ok.push(HeaderName::Contact, "<sip:desk7@192.0.2.7>");
        ok.push(HeaderName::RecordRoute, "<sip:psap.test;lr>");
        ok.push(HeaderName::RecordRoute, "<sip:sos@ecscf.test;lr>");
        for element in recorded {
            ok.push(HeaderName::RecordRoute, element);
        }
    });
}

fn door_routes(message: &Message) -> Vec<String> {
    message.list(HeaderName::RecordRoute).map(str::to_owned).collect()
}

const ANONYMOUS: &str = "To: <tel:112>\r\nContact: <sip:10.0.0.9:5060>\r\n\
     P-Asserted-Identity: <sip:king@test>\r\nP-Preferred-Identity: <sip:king@test>\r\n\
     Priority: emergency\r\nGeolocation: <cid:here@10.0.0.9>\r\nGeolocation-Routing: yes\r\n\
     P-Access-Network-Info: IEEE-802.11\r\n";

#[test]
fn somebody_who_is_not_registered_reaches_the_ecscf_with_what_he_says_of_his_place() {
    for (uri, service) in [
        ("tel:112", "urn:service:sos"),
        ("sip:112@10.0.0.1:5060", "urn:service:sos"),
        ("sip:110;phone-context=test@test;user=phone", "urn:service:sos.police"),
        ("URN:service:sos.fire", "urn:service:sos.fire"),
    ] {
        let mut door = Door::with(with_ecscf);
        door.phone_says(&format!("INVITE {uri}"), ANONYMOUS);
        let [invite] = &door.to_network[..] else { panic!("one request: {uri}") };
        assert_eq!(invite.uri(), service);
        assert_eq!(routes(invite), ["<sip:ecscf.test;lr>"]);
        assert_eq!(invite.get(HeaderName::PAssertedIdentity), None);
        assert_eq!(invite.get(HeaderName::PPreferredIdentity), None);
        assert_eq!(invite.get(HeaderName::Geolocation), Some("<cid:here@10.0.0.9>"));
        assert!(invite.to_bytes().windows(24).any(|w| w == b"Geolocation-Routing: yes"));
        assert_eq!(invite.get(HeaderName::PAccessNetworkInfo), Some("IEEE-802.11"));
        assert_eq!(invite.get(HeaderName::Priority), Some("emergency"));
        assert_eq!(statuses(&door.to_phone), [100]);
        door.network_answers(486, |_| {});
        assert_eq!(calls(&door), 0, "a call that failed is forgotten");
    }
}

#[test]
fn who_is_registered_is_asserted_with_a_number() {
    let mut door = Door::with(with_ecscf);
    door.register();
    door.phone_says("INVITE tel:112", ANONYMOUS);
    let invite = door.to_network.last().unwrap();
    let asserted: Vec<_> = invite.list(HeaderName::PAssertedIdentity).collect();
    assert_eq!(asserted, ["<sip:alice@test>", "<tel:+123456>"]);
    assert_eq!(routes(invite), ["<sip:ecscf.test;lr>"], "the S-CSCF is not in the way");
}

#[test]
fn nothing_but_an_emergency_call_gets_through() {
    let mut door = Door::with(with_ecscf);
    for start in
        ["INVITE tel:911", "MESSAGE tel:112", "OPTIONS urn:service:sos", "SUBSCRIBE sip:bob@test"]
    {
        door.phone_says(start, ANONYMOUS);
        assert_eq!(door.to_phone.last().map(Message::status), Some(403), "{start}");
    }
    let tagged = ANONYMOUS.replace("<tel:112>", "<tel:112>;tag=x");
    door.phone_says("INVITE tel:112", &tagged);
    assert_eq!(door.to_phone.last().map(Message::status), Some(481));
    assert!(door.to_network.is_empty());
}

/// The call of somebody who is not registered, answered; and the headers that a request within it has.
fn talking() -> (Door, String) {
    let mut door = Door::with(with_ecscf);
    door.phone_says("INVITE tel:112", ANONYMOUS);
    answered(&mut door);
    let ok = door.to_phone.last().unwrap();
    assert_eq!(ok.status(), 200);
    let to = ok.get(HeaderName::To).unwrap().to_owned();
    let mut route = door_routes(ok);
    route.reverse();
    let headers = format!("To: {to}\r\nRoute: {}\r\n", route.join(", "));
    (door, headers)
}

/// A request of a phone within the call, whose Call-ID is that of the INVITE.
fn within(door: &mut Door, from: &str, start: &str, headers: &str) {
    let method = start.split(' ').next().unwrap();
    let text = format!(
        "{start} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKw{}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@test>;tag=1\r\nCall-ID: cINVITE\r\nCSeq: 2 {method}\r\n{headers}\r\n",
        door.to_phone.len() + door.to_network.len(),
    );
    door.input(Input::Received { flow: access(from), message: text.into() });
}

#[test]
fn what_a_stranger_sends_within_his_call_goes_to_its_other_end_whatever_it_says() {
    let (mut door, headers) = talking();
    let forged = headers.replace("<sip:psap.test;lr>", "<sip:scscf.test;lr>");
    for headers in [&headers, &forged] {
        for start in ["ACK sip:bob@test", "INFO sip:bob@test", "INVITE sip:bob@test"] {
            within(&mut door, door::PHONE, start, headers);
            let sent = door.to_network.last().unwrap();
            assert_eq!(sent.uri(), "sip:desk7@192.0.2.7", "{start}");
            assert_eq!(routes(sent), ["<sip:sos@ecscf.test;lr>", "<sip:psap.test;lr>"], "{start}");
        }
    }
    let sent = door.to_network.len();
    // Another dialog, another call, another phone.
    let other = headers.replace(";tag=n", ";tag=o");
    within(&mut door, door::PHONE, "INVITE sip:bob@test", &other);
    assert_eq!(door.to_phone.last().map(Message::status), Some(481));
    door.phone_says("INFO sip:bob@test", &headers);
    assert_eq!(door.to_phone.last().map(Message::status), Some(481));
    within(&mut door, "10.0.0.66:5060", "BYE sip:bob@test", &headers);
    assert_eq!(door.to_phone.last().map(Message::status), Some(403));
    assert_eq!((door.to_network.len(), calls(&door)), (sent, 1));
    within(&mut door, door::PHONE, "BYE sip:desk7@192.0.2.7", &headers);
    door.network_answers(200, |_| {});
    assert_eq!(calls(&door), 0);
    within(&mut door, door::PHONE, "INFO sip:desk7@192.0.2.7", &headers);
    assert_eq!(door.to_phone.last().map(Message::status), Some(481));
}

#[test]
fn the_centre_reaches_the_phone_within_the_call() {
    let (mut door, headers) = talking();
    let route = headers.split("Route: ").nth(1).unwrap();
    let elements: Vec<_> = route.trim().split(", ").take(2).collect();
    let ours = format!("{}, {}", elements[1], elements[0]);
    let bye = |call: &str, tag: &str| {
        format!(
            "BYE sip:10.0.0.9:5060 SIP/2.0\r\nVia: SIP/2.0/TCP ecscf.test;branch=z9hG4bK{call}{tag}\r\n\
             Max-Forwards: 70\r\nFrom: <tel:112>;tag={tag}\r\nTo: <sip:alice@test>;tag=1\r\n\
             Call-ID: {call}\r\nCSeq: 9 BYE\r\nRoute: {ours}\r\n\r\n"
        )
    };
    for (call, tag, status) in [("other", "n", 481), ("cINVITE", "x", 403)] {
        door.input(Input::Received { flow: core(), message: bye(call, tag).into() });
        assert_eq!(door.to_network.last().map(Message::status), Some(status), "{call} {tag}");
    }
    door.input(Input::Received { flow: core(), message: bye("cINVITE", "n").into() });
    let heard = door.to_phone.last().unwrap();
    assert_eq!((heard.uri(), routes(heard)), ("sip:10.0.0.9:5060", vec![]));
    let mut ok = Message::answer(heard, 200);
    ok.push(HeaderName::PAssertedIdentity, "<sip:king@test>");
    door.input(Input::Received { flow: access(door::PHONE), message: ok.to_bytes() });
    let answer = door.to_network.last().unwrap();
    assert_eq!((answer.status(), answer.get(HeaderName::PAssertedIdentity)), (200, None));
    assert_eq!(calls(&door), 0);
}

#[test]
fn a_call_whose_end_nobody_tells_is_forgotten_some_day() {
    let (mut door, _) = talking();
    while let Some(deadline) = door.pcscf.deadline() {
        door.now = deadline.at;
        door.input(Input::Timeout);
    }
    assert_eq!(calls(&door), 0);
}

#[test]
fn without_an_ecscf_the_phone_is_sent_to_another_network() {
    let mut door = Door::new();
    door.phone_says("INVITE tel:112", ANONYMOUS);
    let answer = door.to_phone.last().unwrap();
    assert_eq!(answer.status(), 380);
    assert_eq!(answer.get(HeaderName::PAssertedIdentity), Some("<sip:pcscf.test>"));
    assert_eq!(answer.content_type(), "application/3gpp-ims+xml");
    let body = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(body.contains("<alternative-service><type>emergency</type>"), "{body}");
    assert_eq!((door.to_network.len(), calls(&door)), (0, 0));
}

#[test]
fn an_emergency_passes_where_everything_else_is_refused() {
    let mut door = Door::with(|config| {
        with_ecscf(config);
        config.max_transactions = 0;
        config.max_bindings = 0;
    });
    let contact = "To: <sip:alice@test>\r\nContact: <sip:a@10.0.0.9>\r\n";
    for start in ["REGISTER sip:test", "INVITE sip:bob@test"] {
        door.phone_says(start, contact);
        assert_eq!(door.to_phone.last().map(Message::status), Some(503), "{start}");
    }
    door.phone_says("INVITE tel:112", ANONYMOUS);
    answered(&mut door);
    assert_eq!(door.to_phone.last().map(Message::status), Some(200));
    door.phone_says("REGISTER sip:test", &contact.replace("9>", "9;sos>"));
    assert_eq!(door.to_network.last().map(Message::uri), Some("sip:test"));
}

#[test]
fn emergency_calls_are_limited_too() {
    let mut door = Door::with(|config| {
        with_ecscf(config);
        config.max_emergency_calls = 1;
    });
    door.phone_says("INVITE tel:112", ANONYMOUS);
    door.phone_says("INVITE tel:112", ANONYMOUS);
    let answer = door.to_phone.last().unwrap();
    assert_eq!((answer.status(), answer.has(HeaderName::RetryAfter)), (503, true));
    assert_eq!(calls(&door), 1);
}

/// A registration for emergency calls, TS 24.229 §5.1.6.2.
fn register_for_emergencies(door: &mut Door) {
    door.phone_says(
        "REGISTER sip:test",
        "To: <sip:alice@test>\r\nContact: <sip:a@10.0.0.9;sos>\r\n",
    );
    door.network_answers(200, |ok| {
        ok.push(HeaderName::Contact, "<sip:a@10.0.0.9;sos>;expires=600");
        ok.push(HeaderName::ServiceRoute, "<sip:orig@scscf.test;lr>");
    });
    assert_eq!(door.to_phone.last().map(Message::status), Some(200));
}

#[test]
fn an_emergency_registration_serves_for_emergencies_alone() {
    let mut door = Door::with(with_ecscf);
    register_for_emergencies(&mut door);
    let register = door.to_network.last().unwrap();
    assert_eq!(register.get(HeaderName::Event), None, "nobody watches it");
    let path = register.get(HeaderName::Path).unwrap().to_owned();
    door.phone_says("INVITE sip:bob@test", "To: <sip:bob@test>\r\n");
    assert_eq!(door.to_phone.last().map(Message::status), Some(403));
    door.phone_says("INVITE tel:112", ANONYMOUS);
    let invite = door.to_network.last().unwrap();
    assert_eq!(invite.get(HeaderName::PAssertedIdentity), Some("<sip:alice@test>"));
    for (number, priority, status) in [(1, "emergency", 480), (2, "psap-callback", 0)] {
        let text = format!(
            "INVITE sip:a@10.0.0.9 SIP/2.0\r\nVia: SIP/2.0/TCP s.test;branch=z9hG4bKi{number}\r\n\
             Route: {path}\r\nFrom: <sip:psap@x>;tag=1\r\nTo: <sip:alice@test>\r\nCall-ID: x{number}\r\n\
             Priority: {priority}\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        let said = door.to_phone.len();
        door.input(Input::Received { flow: core(), message: text.into() });
        match status {
            0 => assert_eq!(door.to_phone[said].get(HeaderName::Priority), Some("psap-callback")),
            _ => assert_eq!(door.to_network.last().map(Message::status), Some(status)),
        }
    }
}

#[test]
fn an_emergency_registration_and_another_one_are_two() {
    let mut door = Door::with(with_ecscf);
    register_for_emergencies(&mut door);
    door.register();
    assert_eq!(door.pcscf.registered(), 2);
    door.phone_says(
        "INVITE sip:bob@test",
        "To: <sip:bob@test>\r\nContact: <sip:a@10.0.0.9>\r\nPriority: psap-callback\r\n",
    );
    let invite = door.to_network.last().unwrap();
    assert_eq!(invite.uri(), "sip:bob@test");
    assert_eq!(invite.get(HeaderName::Priority), None, "a phone is no emergency centre");
}
