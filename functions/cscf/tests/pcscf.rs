//! The phone's door: what the P-CSCF adds, strips, refuses and asserts, TS 24.229 §5.2.

mod door;

use base::flow::FlowId;
use base::machine::{Function, Output};
use base::{Endpoint, Flow, Input, Transport};
use door::{Door, PHONE, access, core};
use sip::Message;
use sip::header::{Challenge, HeaderName};

const INVITE: &str = "INVITE sip:bob@test";

#[test]
fn a_register_goes_on_with_our_path_and_without_false_claims() {
    let mut door = Door::new();
    door.phone_says(
        "REGISTER sip:test",
        "To: <sip:alice@test>\r\nContact: <sip:a@10.0.0.9>\r\nRequire: sec-agree\r\n\
         P-Asserted-Identity: <sip:king@test>\r\nP-Charging-Vector: icid-value=mine\r\n\
         P-Access-Network-Info: IEEE-802.11, 3GPP-E-UTRAN-FDD;network-provided\r\n\
         Authorization: Digest username=\"a\",realm=\"t\",nonce=\"\",uri=\"sip:t\",response=\"\",integrity-protected=\"yes\"\r\n",
    );
    let request = &door.to_network[0];
    let path = request.get(HeaderName::Path).unwrap();
    assert!(path.starts_with("<sip:term.") && path.ends_with("@pcscf.test;lr>"), "{path}");
    assert!(request.lists(HeaderName::Require, "path"));
    assert!(!request.lists(HeaderName::Require, "sec-agree"));
    assert_eq!(request.get(HeaderName::PAssertedIdentity), None);
    assert_eq!(request.get(HeaderName::PVisitedNetworkId), Some("\"pcscf.test\""));
    assert_eq!(request.get(HeaderName::PAccessNetworkInfo), Some("IEEE-802.11"));
    assert!(!request.get(HeaderName::PChargingVector).unwrap().contains("mine"));
    assert!(!request.get(HeaderName::Authorization).unwrap().contains("integrity-protected"));
}

#[test]
fn keys_never_reach_the_air() {
    let mut door = Door::new();
    door.phone_says("REGISTER sip:test", "To: <sip:alice@test>\r\nContact: <sip:a@10.0.0.9>\r\n");
    door.network_answers(401, |challenge| {
        let value = "Digest realm=\"t\",nonce=\"n\",algorithm=AKAv1-MD5,ik=\"00\",ck=\"11\"";
        challenge.push(HeaderName::WwwAuthenticate, value);
    });
    let value = door.to_phone[0].get(HeaderName::WwwAuthenticate).unwrap();
    let challenge = Challenge::parse(value).unwrap();
    assert_eq!((challenge.nonce.as_str(), challenge.ck, challenge.ik), ("n", None, None));
}

#[test]
fn who_is_not_registered_is_refused() {
    let mut door = Door::new();
    door.phone_says(INVITE, "To: <sip:bob@test>\r\n");
    assert_eq!(door.to_phone[0].status(), 403);
    door.phone_says("REGISTER sip:test", "To: <sip:alice@test>\r\n");
    assert_eq!(door.to_phone[1].status(), 403, "REGISTER without Contact");
    assert!(door.to_network.is_empty());
}

#[test]
fn a_call_is_asserted_and_follows_the_service_route() {
    let mut door = Door::new();
    door.register();
    door.phone_says(
        INVITE,
        "To: <sip:bob@test>\r\nContact: <sip:a@10.0.0.9>\r\nRoute: <sip:evil.example;lr>\r\n\
         P-Asserted-Identity: <sip:king@test>\r\nP-Preferred-Identity: <tel:+123456>\r\n",
    );
    let invites = door.to_network.iter().filter(|m| m.uri() == "sip:bob@test");
    let invite = invites.last().expect("it is forwarded");
    assert_eq!(invite.get(HeaderName::PAssertedIdentity), Some("<tel:+123456>"));
    assert_eq!(invite.get(HeaderName::PPreferredIdentity), None);
    let routes: Vec<_> = invite.list(HeaderName::Route).collect();
    assert_eq!(routes, ["<sip:orig@scscf.test;lr>"]);
    let recorded: Vec<_> = invite.list(HeaderName::RecordRoute).collect();
    assert!(recorded[0].contains("@pcscf.test;lr"), "the network's side is on top: {recorded:?}");
    assert!(recorded[1].contains("@10.0.0.1:5060;lr"), "the phone's side: {recorded:?}");
}

#[test]
fn a_stranger_cannot_use_the_path_of_a_phone() {
    let mut door = Door::new();
    door.register();
    let path = door.to_network[0].get(HeaderName::Path).unwrap().to_owned();
    let said = door.to_phone.len();
    let text = format!(
        "INVITE sip:a@10.0.0.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.66;branch=z9hG4bKx\r\n\
         Route: {path}\r\nFrom: <sip:m@x>;tag=1\r\nTo: <sip:a@x>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\r\n"
    );
    door.input(Input::Received { flow: access("10.0.0.66:5060"), message: text.into() });
    let answers = &door.to_phone[said..];
    assert_eq!(answers.iter().map(Message::status).collect::<Vec<_>>(), [403]);
}

#[test]
fn an_invite_that_goes_on_is_acknowledged_at_once() {
    let mut door = Door::new();
    door.register();
    let said = door.to_phone.len();
    door.phone_says(INVITE, "To: <sip:bob@test>\r\nContact: <sip:a@10.0.0.9>\r\n");
    let answers = &door.to_phone[said..];
    assert_eq!(answers.iter().map(Message::status).collect::<Vec<_>>(), [100]);
    assert_eq!(answers[0].get(HeaderName::To), Some("<sip:bob@test>"), "a 100 has no tag of ours");
}

#[test]
fn options_are_answered_without_a_memory_and_always_alike() {
    let mut door = Door::new();
    let text = "OPTIONS sip:pcscf.test SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKo\r\n\
                From: <sip:m@x>;tag=1\r\nTo: <sip:p@x>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n";
    for _ in 0..2 {
        door.input(Input::Received { flow: access(PHONE), message: text.into() });
        assert!(door.pcscf.deadline().is_none(), "no Timer J runs");
    }
    assert_eq!(door.to_phone[0].status(), 200);
    assert_eq!(door.to_phone[0].to_bytes(), door.to_phone[1].to_bytes());
}

#[test]
fn an_ack_of_a_stranger_goes_nowhere() {
    let mut door = Door::new();
    door.register();
    let path = door.to_network[0].get(HeaderName::Path).unwrap().to_owned();
    let token = path.trim_start_matches("<sip:term.").split('@').next().unwrap();
    for number in [token, "123"] {
        let text = format!(
            "ACK sip:a@10.0.0.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.66;branch=z9hG4bKx\r\n\
             Route: <sip:mo.{number}@pcscf.test;lr>, <sip:victim.test;lr>\r\n\
             From: <sip:m@x>;tag=1\r\nTo: <sip:a@x>;tag=2\r\nCall-ID: x\r\nCSeq: 1 ACK\r\n\r\n"
        );
        let before = (door.to_phone.len(), door.to_network.len());
        door.input(Input::Received { flow: access("10.0.0.66:5060"), message: text.into() });
        assert_eq!((door.to_phone.len(), door.to_network.len()), before);
    }
}

/// The NOTIFY of the S-CSCF about a phone, in the dialog of the P-CSCF's SUBSCRIBE.
fn notify(subscribe: &Message, number: u32, state: &str) -> String {
    format!(
        "NOTIFY sip:pcscf.test SIP/2.0\r\nVia: SIP/2.0/TCP s.test;branch=z9hG4bKn{number}\r\n\
         From: <sip:alice@test>;tag=s\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} NOTIFY\r\n\
         Event: reg\r\nSubscription-State: {state}\r\n\r\n",
        subscribe.get(HeaderName::From).expect("a From"),
        subscribe.get(HeaderName::CallId).expect("a Call-ID"),
    )
}

#[test]
fn the_last_notify_of_a_phone_that_left_is_still_taken() {
    let mut door = Door::new();
    door.register();
    let subscribe = door.to_network.last().expect("a SUBSCRIBE").clone();
    assert_eq!(subscribe.get(HeaderName::Event), Some("reg"));
    door.network_answers(200, |_| {});
    door.phone_says(
        "REGISTER sip:test",
        "To: <sip:alice@test>\r\nContact: <sip:a@10.0.0.9>\r\nExpires: 0\r\n",
    );
    door.network_answers(200, |_| {});
    assert_eq!(door.pcscf.registered(), 0);
    for (number, state, status) in [(1, "terminated;reason=noresource", 200), (2, "active", 481)] {
        let message = notify(&subscribe, number, state);
        door.input(Input::Received { flow: core(), message: message.into() });
        assert_eq!(door.to_network.last().map(Message::status), Some(status), "{state}");
    }
}

fn network_says(door: &mut Door, start: &str, headers: &str) {
    let method = start.split(' ').next().unwrap_or_default();
    let text = format!(
        "{start} SIP/2.0\r\nVia: SIP/2.0/TCP scscf.test;branch=z9hG4bKn{}\r\nMax-Forwards: 70\r\n\
         From: <sip:n@test>;tag=n\r\nTo: <sip:a@test>;tag=1\r\nCSeq: 7 {method}\r\n{headers}\r\n",
        door.to_network.len(),
    );
    door.input(Input::Received { flow: core(), message: text.into() });
}

#[test]
fn both_our_routes_are_taken_off_towards_the_phone() {
    let mut door = Door::new();
    door.register();
    door.phone_says(INVITE, "To: <sip:bob@test>\r\nContact: <sip:a@10.0.0.9>\r\n");
    let invites = door.to_network.iter().filter(|m| m.uri() == "sip:bob@test");
    let invite = invites.last().expect("it is forwarded");
    // What the callee sends goes along Record-Route as it stands, RFC 3261 §12.1.1.
    let route: Vec<_> = invite.list(HeaderName::RecordRoute).collect();
    let headers = format!("Call-ID: c\r\nRoute: {}\r\n", route.join(", "));
    network_says(&mut door, "BYE sip:a@10.0.0.9", &headers);
    let bye = door.to_phone.last().expect("it is forwarded");
    assert_eq!(bye.uri(), "sip:a@10.0.0.9");
    assert_eq!(bye.get(HeaderName::Route), None);
}

#[test]
fn a_phone_that_left_hears_the_last_notify_of_its_own_subscription() {
    let mut door = Door::new();
    door.register();
    let path = door.to_network[0].get(HeaderName::Path).expect("a Path").to_owned();
    door.phone_says(
        "REGISTER sip:test",
        "To: <sip:alice@test>\r\nContact: <sip:a@10.0.0.9>;expires=0\r\n",
    );
    door.network_answers(200, |_| {});
    let route = path.replace("term.", "mo.");
    let notify = format!("Call-ID: own\r\nEvent: reg\r\nRoute: {route}\r\n");
    network_says(&mut door, "NOTIFY sip:a@10.0.0.9", &notify);
    assert_eq!(door.to_phone.last().map(Message::uri), Some("sip:a@10.0.0.9"));
    while let Some(deadline) = door.pcscf.deadline() {
        door.now = deadline.at;
        door.input(Input::Timeout);
    }
    network_says(&mut door, "NOTIFY sip:a@10.0.0.9", &notify);
    assert_eq!(door.to_network.last().map(Message::status), Some(481));
}

#[test]
fn a_phone_that_the_store_knew_is_found_and_still_watched() {
    let mut before = Door::new();
    let mut records = Vec::new();
    let text = "REGISTER sip:test SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKr\r\n\
                From: <sip:bob@test>;tag=1\r\nTo: <sip:bob@test>\r\nCall-ID: r\r\n\
                CSeq: 1 REGISTER\r\nContact: <sip:b@10.0.0.8>\r\n\r\n";
    let phone = access("10.0.0.8:5060");
    before.input(Input::Received { flow: phone, message: text.into() });
    let mut ok = Message::answer(before.to_network.last().unwrap(), 200);
    ok.push(HeaderName::Contact, "<sip:b@10.0.0.8>;expires=600");
    let ok = Input::Received { flow: core(), message: ok.to_bytes() };
    before.pcscf.handle(before.now, ok);
    while let Some(output) = before.pcscf.poll() {
        if let Output::Store { changes, .. } = output {
            records.extend(changes);
        }
    }
    let [base::store::Change::Put { table, key, value }] = &records[..] else {
        panic!("one record: {records:?}")
    };
    let mut after = Door::new();
    let (table, key, value) = (*table, key.clone(), value.clone());
    let text_of = String::from_utf8_lossy(&value).into_owned();
    let call = text_of.split("\"subscription\":\"").nth(1).and_then(|rest| rest.split('"').next());
    let call = call.expect("the subscription's Call-ID").to_owned();
    after.input(Input::Restored { table, key: key.clone(), value });
    assert_eq!(after.pcscf.registered(), 1);
    after.input(Input::Received { flow: phone, message: text.replace("kr", "ks").into() });
    let register = after.to_network.last().expect("it goes on");
    let mut ok = Message::answer(register, 200);
    ok.push(HeaderName::Contact, "<sip:b@10.0.0.8>;expires=600");
    after.input(Input::Received { flow: core(), message: ok.to_bytes() });
    assert_eq!(after.pcscf.registered(), 1, "the same binding");
    let last = after.to_network.last().expect("the REGISTER");
    assert_eq!(last.get(HeaderName::Event), None, "it is watched already");
    let notify = format!("Call-ID: {call}\r\nEvent: reg\r\nSubscription-State: active\r\n");
    network_says(&mut after, "NOTIFY sip:p.test", &notify);
    assert_eq!(after.to_network.last().map(Message::status), Some(200));
    // Another node of ours forgot the phone.
    after.input(Input::Forgotten { table, key });
    assert_eq!(after.pcscf.registered(), 0);
    assert!(std::iter::from_fn(|| after.pcscf.poll()).all(|o| !matches!(o, Output::Store { .. })));
}

#[test]
fn a_last_notify_is_not_waited_for_forever() {
    let mut door = Door::new();
    door.register();
    door.phone_says(
        "REGISTER sip:test",
        "To: <sip:alice@test>\r\nContact: <sip:a@10.0.0.9>;expires=0\r\n",
    );
    door.network_answers(200, |_| {});
    let subscriptions = |door: &Door| {
        door.pcscf.census().0.iter().find(|(what, _)| *what == "subscriptions").map(|(_, n)| *n)
    };
    assert_eq!(subscriptions(&door), Some(1));
    while let Some(deadline) = door.pcscf.deadline() {
        door.now = deadline.at;
        door.input(Input::Timeout);
    }
    assert_eq!(subscriptions(&door), Some(0));
}

/// RFC 3261 §16.6 step 4, RFC 5630: a phone over TLS is told of TLS, and has to stay with it.
#[test]
fn a_phone_over_tls_stays_there() {
    let mut door = Door::new();
    let local = Endpoint::Ip("10.0.0.1:5061".parse().expect("an address"));
    let tls = Flow { id: FlowId(7), transport: Transport::Tls, local, ..access(PHONE) };
    door.register_on(tls);
    let recorded = |door: &Door| {
        let invite = door.to_network.last().expect("it is forwarded");
        let phone: Vec<_> = invite.list(HeaderName::RecordRoute).collect();
        phone[1].to_owned()
    };
    let headers = "To: <sip:bob@test>\r\nContact: <sip:a@10.0.0.9>\r\n\
                   Route: <sip:pcscf.test:5061;transport=tls;lr>\r\n";
    door.phone_says_on(tls, INVITE, headers);
    let route = recorded(&door);
    assert!(route.starts_with("<sip:mo.") && route.ends_with("@10.0.0.1:5061;transport=tls;lr>"));
    door.phone_says_on(tls, "INVITE sips:bob@test", headers);
    assert!(recorded(&door).starts_with("<sips:mo."), "{}", recorded(&door));
    let before = door.to_network.len();
    let remote = Endpoint::Ip("10.0.0.9:6060".parse().expect("an address"));
    let plain = Flow { id: FlowId(8), transport: Transport::Tcp, remote, ..access(PHONE) };
    door.phone_says_on(plain, INVITE, headers);
    assert_eq!((door.to_network.len(), door.to_phone.last().unwrap().status()), (before, 403));
    // A further connection with TLS is one of the phone's, as over TCP.
    door.phone_says_on(Flow { id: FlowId(9), remote, ..tls }, INVITE, headers);
    assert_eq!(door.to_network.len(), before + 1);
}

/// RFC 5626 §5.1 and §5.3: our Path says that we keep the flow, and when it is gone so is the way.
#[test]
fn a_flow_that_is_gone_is_told_as_430() {
    let contact = "<sip:a@10.0.0.9>;+sip.instance=\"<urn:uuid:1>\";reg-id=1";
    let tcp = Flow { id: FlowId(7), transport: Transport::Tcp, ..access(PHONE) };
    for (supported, status) in [("path, outbound", Some(430)), ("path", None)] {
        let mut door = Door::new();
        let headers =
            format!("To: <sip:alice@test>\r\nContact: {contact}\r\nSupported: {supported}\r\n");
        door.phone_says_on(tcp, "REGISTER sip:test", &headers);
        let path = door.to_network[0].get(HeaderName::Path).unwrap().to_owned();
        assert_eq!(path.ends_with(";ob>"), status.is_some(), "{path}");
        door.network_answers(200, |ok| {
            ok.push(HeaderName::Contact, format!("{contact};expires=600"));
            if status.is_some() {
                ok.push(HeaderName::Require, "outbound");
            }
        });
        let invite = |door: &mut Door| {
            let phone = (door.to_phone.len(), door.to_network.len());
            let headers = format!("Call-ID: n{}\r\nRoute: {path}\r\n", phone.0);
            network_says(door, "INVITE sip:a@10.0.0.9", &headers);
            let answers = door.to_network[phone.1..].iter();
            let answered = answers.map(Message::status).find(|status| *status >= 200);
            (door.to_phone.len() > phone.0, answered)
        };
        assert_eq!(invite(&mut door), (true, None), "it goes along the flow");
        door.input(Input::Closed { flow: tcp, error: base::FlowError::Closed });
        assert_eq!(invite(&mut door).1, status, "{supported}");
    }
}

/// §5.2.6.3.3: the S-CSCF of the Service-Route does not answer, so the phone has to register anew.
#[test]
fn a_phone_whose_s_cscf_does_not_answer_is_to_register_anew() {
    let mut door = Door::new();
    door.register();
    door.phone_says(INVITE, "To: <sip:bob@test>\r\n");
    door.now += base::time::Duration::from_secs(33);
    door.input(Input::Timeout);
    let answer = door.to_phone.last().expect("an answer");
    assert_eq!(answer.status(), 504);
    assert!(answer.is_of_type("application/3gpp-ims+xml"));
    assert_eq!(answer.get(HeaderName::PAssertedIdentity), Some("<sip:pcscf.test>"));
    // What the S-CSCF itself says is not ours to explain.
    let mut door = Door::new();
    door.register();
    door.phone_says(INVITE, "To: <sip:bob@test>\r\n");
    door.network_answers(504, |_| {});
    let answer = door.to_phone.last().expect("an answer");
    assert_eq!((answer.status(), answer.body().len()), (504, 0));
    // Whether it or the other phone does not answer a text, nobody knows (RFC 4320).
    door.phone_says("MESSAGE sip:bob@test", "To: <sip:bob@test>\r\n");
    door.now += base::time::Duration::from_secs(33);
    door.input(Input::Timeout);
    let answer = door.to_phone.last().expect("an answer");
    assert_eq!((answer.status(), answer.body().len()), (504, 0));
}
