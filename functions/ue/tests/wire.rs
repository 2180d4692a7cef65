//! One phone and whatever a server may send it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod world;

use base::time::Duration;
use base::{Bytes, Input};
use proptest::prelude::*;
use sip::header::CSeq;
use sip::{HeaderName, Message, Method};
use ue::{By, Incoming, UeOrder, What};
use world::{OFFER, World, answer, config, is};

fn request(method: &str, extra: &str, body: &str) -> Bytes {
    let kind = if body.starts_with("v=") { "Content-Type: application/sdp\r\n" } else { "" };
    format!(
        "{method} sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{method}\r\n\
         From: <sip:bob@ims.test>;tag=f\r\nTo: <sip:alice@ims.test>\r\nCall-ID: raw-{method}\r\n\
         CSeq: 1 {method}\r\nContact: <sip:bob@10.0.0.9>\r\nMax-Forwards: 70\r\n{kind}{extra}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

fn phone() -> World {
    World::new(vec![config(0)])
}

/// The last message of the phone, as a message.
fn last(world: &World) -> Message {
    Message::parse(world.messages.last().expect("something was sent").clone()).unwrap()
}

#[test]
fn what_cannot_be_taken_gets_its_status() {
    let tagged = |method: &str| {
        let text = request(method, "", "");
        let text = String::from_utf8(text.to_vec()).unwrap();
        Bytes::from(text.replace("To: <sip:alice@ims.test>", "To: <sip:alice@ims.test>;tag=x"))
    };
    let cases: Vec<(Bytes, u16, HeaderName, &str)> = vec![
        (request("JUMP", "", ""), 405, HeaderName::Allow, "INVITE"),
        (request("PUBLISH", "", ""), 405, HeaderName::Allow, "INVITE"),
        (request("REFER", "Refer-To: <sip:c@x>\r\n", ""), 603, HeaderName::To, "tag"),
        (tagged("REFER"), 481, HeaderName::To, "tag=x"),
        (request("OPTIONS", "Require: fly, timer\r\n", ""), 420, HeaderName::Unsupported, "fly"),
        (tagged("BYE"), 481, HeaderName::To, "tag=x"),
        (tagged("UPDATE"), 481, HeaderName::To, "tag=x"),
        (request("PRACK", "RAck: 1 1 INVITE\r\n", ""), 481, HeaderName::To, "tag"),
        (request("CANCEL", "", ""), 481, HeaderName::To, "tag"),
        (request("NOTIFY", "Event: dialog\r\n", ""), 489, HeaderName::To, "tag"),
        (request("NOTIFY", "Event: reg\r\n", ""), 481, HeaderName::To, "tag"),
        (
            request("INVITE", "Content-Type: text/plain\r\n", "hello"),
            415,
            HeaderName::Accept,
            "sdp",
        ),
        (
            request("INVITE", "Supported: timer\r\nSession-Expires: 60\r\n", OFFER),
            422,
            HeaderName::MinSe,
            "90",
        ),
        (request("INVITE", "", "v=0\r\nm=audio 1 RTP/AVP 18\r\n"), 488, HeaderName::Warning, "399"),
        (request("OPTIONS", "", ""), 200, HeaderName::Supported, "100rel"),
    ];
    for (bytes, status, name, text) in cases {
        let mut world = phone();
        world.serve(0, bytes);
        world.run(Duration::from_millis(20));
        let answer = last(&world);
        assert_eq!(answer.status(), status);
        let value = answer.get(name).unwrap_or("");
        assert!(value.contains(text), "{status} {value:?}");
        assert_eq!(world.phones[0].calls(), 0);
    }
    let no_contact = String::from_utf8(request("INVITE", "", OFFER).to_vec()).unwrap();
    let no_contact = no_contact.replace("Contact: <sip:bob@10.0.0.9>\r\n", "");
    let mut world = phone();
    world.serve(0, no_contact.into());
    world.seconds(1);
    assert_eq!(last(&world).status(), 400);
}

#[test]
fn a_merged_request_and_a_drained_phone_refuse() {
    let mut world = phone();
    let first = request("INVITE", "", OFFER);
    let second = String::from_utf8(first.to_vec()).unwrap().replace("z9hG4bK", "z9hG4bKother");
    world.serve(0, first.clone());
    world.serve(0, second.into());
    world.run(Duration::from_millis(20));
    assert_eq!(world.count(0, "SIP/2.0 482"), 1);
    assert_eq!(world.phones[0].calls(), 1);
    let mut world = phone();
    world.input(0, Input::Drain);
    world.serve(0, first);
    world.seconds(1);
    assert_eq!(last(&world).status(), 480);
}

/// RFC 3261 §13.2.1: an INVITE without offer is answered with one; the answer is in the ACK, or with
/// 100rel in the PRACK.
#[test]
fn an_offer_may_come_late() {
    for reliable in [false, true] {
        let mut world = phone();
        world.script = Box::new(move |response, _| {
            let to = response.get(HeaderName::To).unwrap_or("").to_owned();
            let follow = |method: Method, branch: &str| {
                let number = if method == Method::Prack { 2 } else { 1 };
                let cseq = CSeq { number, method: method.clone() };
                Message::request(method, "sip:alice@10.0.0.1:5060")
                    .with(HeaderName::Via, format!("SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{branch}"))
                    .with(HeaderName::From, "<sip:bob@ims.test>;tag=f")
                    .with(HeaderName::To, to.as_str())
                    .with(HeaderName::CallId, "raw-INVITE")
                    .with(HeaderName::CSeq, cseq.to_string())
            };
            let invite = response.get(HeaderName::CSeq) == Some("1 INVITE");
            let has_offer = response.content_type() == "application/sdp";
            match response.status() {
                180 => {
                    assert_eq!(has_offer, reliable);
                    let Some(rseq) = response.get(HeaderName::RSeq) else { return Vec::new() };
                    vec![
                        follow(Method::Prack, "prack")
                            .with(HeaderName::RAck, format!("{rseq} 1 INVITE"))
                            .with_body("application/sdp", OFFER),
                    ]
                }
                200 if invite => {
                    assert_eq!(has_offer, !reliable);
                    let ack = follow(Method::Ack, "ack");
                    vec![if reliable { ack } else { ack.with_body("application/sdp", OFFER) }]
                }
                _ => Vec::new(),
            }
        });
        let extra = if reliable { "Require: 100rel\r\n" } else { "" };
        world.serve(0, request("INVITE", extra, ""));
        let heard = std::rc::Rc::new(std::cell::Cell::new(0));
        let count = heard.clone();
        world.lose = Box::new(move |line, _| {
            count.set(count.get() + u32::from(line == "RTP"));
            line == "RTP"
        });
        world.seconds(4);
        world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
        assert!(heard.get() > 100, "{reliable} {}", heard.get());
        assert_eq!(world.phones[0].calls(), 1);
    }
}

/// RFC 3262 §3: a PRACK that acknowledges nothing of ours gets a 481.
#[test]
fn only_the_right_prack_is_taken() {
    let mut world = phone();
    world.serve(0, request("INVITE", "Supported: 100rel\r\n", OFFER));
    world.run(Duration::from_millis(20));
    let ringing = last(&world);
    let rseq: u32 = ringing.get(HeaderName::RSeq).unwrap().parse().unwrap();
    let to = ringing.get(HeaderName::To).unwrap();
    let cases = [(rseq + 1, 1, 481), (rseq, 2, 481), (rseq, 1, 200), (rseq, 1, 481)];
    for (number, (rseq, cseq, status)) in (2..).zip(cases) {
        let prack = Message::request(Method::Prack, "sip:alice@10.0.0.1")
            .with(HeaderName::Via, format!("SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKp{number}"))
            .with(HeaderName::From, "<sip:bob@ims.test>;tag=f")
            .with(HeaderName::To, to)
            .with(HeaderName::CallId, "raw-INVITE")
            .with(HeaderName::CSeq, format!("{number} PRACK"))
            .with(HeaderName::RAck, format!("{rseq} {cseq} INVITE"));
        world.serve(0, prack.to_bytes());
        world.run(Duration::from_millis(20));
        assert_eq!(last(&world).status(), status, "{number}");
    }
}

/// A 2xx crosses our CANCEL: it is acknowledged and ended at once, RFC 3261 §9.1.
#[test]
fn a_2xx_may_cross_the_cancel() {
    let mut world = phone();
    let mut invite = None;
    world.script = Box::new(move |request, _| match request.method().unwrap() {
        Method::Invite => {
            invite = Some(request.clone());
            vec![answer(request, 180).with(HeaderName::Contact, "<sip:x@10.0.0.9>")]
        }
        Method::Cancel => {
            let late = answer(invite.as_ref().unwrap(), 200)
                .with(HeaderName::Contact, "<sip:x@10.0.0.9>")
                .with_body("application/sdp", OFFER);
            vec![answer(request, 200), late]
        }
        Method::Ack => Vec::new(),
        _ => vec![answer(request, 200)],
    });
    world.order(0, UeOrder::Call { to: "bob".into(), token: 1 });
    world.seconds(1);
    let call = world.call(0);
    world.order(0, UeOrder::Hangup(call));
    world.seconds(1);
    assert_eq!(world.methods(0), ["INVITE", "CANCEL", "ACK", "BYE"]);
    assert_eq!((world.ended(0).0, world.ended(0).1), (By::Local, 487));
}

#[test]
fn an_interval_that_is_too_small_is_raised_and_a_redirection_is_told() {
    let mut world = phone();
    world.script = Box::new(|request, _| match request.get(HeaderName::SessionExpires) {
        _ if !is(request, Method::Invite) => Vec::new(),
        Some("2400") => vec![answer(request, 302).with(HeaderName::Contact, "<sip:c@d>")],
        _ => vec![answer(request, 422).with(HeaderName::MinSe, "2400")],
    });
    world.order(0, UeOrder::Call { to: "bob".into(), token: 1 });
    world.seconds(1);
    let (by, status, reason, _) = world.ended(0);
    assert_eq!((by, status), (By::Remote, 302));
    assert_eq!(reason, "Moved Temporarily; now at sip:c@d");
}

/// What the phone asks for in its INVITE, TS 24.229 §5.1.3.1 and IR.92 §2.2.
#[test]
fn the_invite_is_that_of_an_ims_phone() {
    let mut world = phone();
    world.script = Box::new(|request, _| match request.method().unwrap() {
        Method::Register => vec![world::registered(request, 3600)],
        Method::Ack => Vec::new(),
        _ => vec![answer(request, 404)],
    });
    world.order(0, UeOrder::Register);
    world.seconds(1);
    world.order(0, UeOrder::Call { to: "1001".into(), token: 1 });
    world.seconds(1);
    let invite = world.messages.iter().find(|m| m.starts_with(b"INVITE")).unwrap();
    let invite = Message::parse(invite.clone()).unwrap();
    assert_eq!(invite.uri(), "sip:1001;phone-context=ims.test@ims.test;user=phone");
    let want = [
        (HeaderName::Route, "<sip:orig@scscf.ims.test;lr>"),
        (HeaderName::PPreferredIdentity, "<sip:+491@ims.test>"),
        (HeaderName::Supported, "timer, replaces, 100rel, precondition"),
        (HeaderName::PEarlyMedia, "supported"),
        (HeaderName::SessionExpires, "1800"),
        (HeaderName::PPreferredService, "urn:urn-7:3gpp-service.ims.icsi.mmtel"),
    ];
    for (name, value) in want {
        assert_eq!(invite.get(name), Some(value));
    }
    assert!(invite.has(HeaderName::PAccessNetworkInfo) && invite.has(HeaderName::AcceptContact));
    let register = Message::parse(world.messages[0].clone()).unwrap();
    let contact = register.get(HeaderName::Contact).unwrap();
    assert!(contact.contains("+g.3gpp.icsi-ref=") && contact.contains("+g.3gpp.smsip"));
    assert!(String::from_utf8_lossy(invite.body()).contains("a=curr:qos local none"));
    assert_eq!((world.ended(0).0, world.ended(0).1), (By::Remote, 404));
}

#[test]
fn info_is_taken_in_a_call_only() {
    let mut world = phone();
    world.serve(0, request("INVITE", "", OFFER));
    world.run(Duration::from_millis(20));
    let to = last(&world).get(HeaderName::To).unwrap().to_owned();
    for (number, extra, status) in
        [(2, "Content-Type: application/dtmf-relay\r\n", 200), (3, "Info-Package: x\r\n", 469)]
    {
        let body = "Signal=7\r\nDuration=100";
        let text = format!(
            "INFO sip:alice@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{number}\r\n\
             From: <sip:bob@ims.test>;tag=f\r\nTo: {to}\r\nCall-ID: raw-INVITE\r\n\
             CSeq: {number} INFO\r\n{extra}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        world.serve(0, text.into());
        world.run(Duration::from_millis(20));
        assert_eq!(last(&world).status(), status);
    }
    world.told(0, |w| matches!(w, What::DtmfReceived { digit: '7', .. }).then_some(()));
}

/// All SIP messages of a whole call, in order, from one side.
fn script_of_a_call() -> Vec<Bytes> {
    let mut world = World::new(vec![config(0), config(1)]);
    world.order(0, UeOrder::Call { to: "sip:bob@10.0.0.2:5060".into(), token: 1 });
    world.seconds(3);
    let call = world.call(0);
    world.order(0, UeOrder::Hold(call));
    world.seconds(1);
    world.order(0, UeOrder::Hangup(call));
    world.seconds(1);
    world.messages
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Damaged messages of a real call, into both ends of one under way: nothing panics, and all
    /// calls come to an end.
    #[test]
    fn damaged_messages_never_panic(
        damage in proptest::collection::vec((0usize..40, 0usize..2, 0usize..2000, any::<u8>()), 1..30)
    ) {
        thread_local!(static MESSAGES: Vec<Bytes> = script_of_a_call());
        let mut world = World::new(vec![config(0), config(1)]);
        world.order(0, UeOrder::Call { to: "sip:bob@10.0.0.2:5060".into(), token: 1 });
        for (index, phone, at, byte) in damage {
            let mut bytes =
                MESSAGES.with(|messages| messages[index % messages.len()].to_vec());
            let at = at % bytes.len();
            match byte % 4 {
                0 => bytes[at] = byte,
                1 => bytes.truncate(at),
                2 => { bytes.remove(at); }
                _ => {
                    let slice = bytes[..at].to_vec();
                    bytes.splice(at..at, slice);
                }
            }
            world.serve(phone, bytes.into());
            world.run(Duration::from_millis(u64::from(byte)));
        }
        for phone in 0..2 {
            for slot in 0..8 {
                world.order(phone, UeOrder::Hangup(ue::CallId(1 << 32 | slot)));
            }
        }
        world.seconds(200);
        prop_assert_eq!((world.phones[0].calls(), world.phones[1].calls()), (0, 0));
    }

    /// Any bytes at a media socket.
    #[test]
    fn any_datagram_is_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..3) {
        let mut bytes = bytes;
        if let (Some(first), 1..) = (bytes.first_mut(), kind) {
            *first = 0x80 | (*first & 0x3f);
        }
        if let (Some(second), 2) = (bytes.get_mut(1), kind) {
            *second = 200 + *second % 6;
        }
        let mut config = config(0);
        config.incoming = Incoming::Answer { ring: Duration::ZERO };
        let mut world = World::new(vec![config]);
        world.serve(0, request("INVITE", "", OFFER));
        world.run(Duration::from_millis(20));
        let (local, remote) = (world::addr("10.0.0.1:20002"), world::addr("10.0.0.9:4000"));
        for id in 1000..1010 {
            let flow = world::flow(id, base::Service::Rtp, local, remote);
            world.input(0, Input::Received { flow, message: bytes.clone().into() });
        }
        world.run(Duration::from_millis(200));
    }
}
