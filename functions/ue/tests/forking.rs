//! Calls that a proxy forks, RFC 3261 §13.2.2.4.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sip::header::CSeq;
use sip::{HeaderName, Message, Method};
use ue::{UeOrder, What};
use world::{OFFER, World, answer, config};

fn phone() -> World {
    World::new(vec![config(0)])
}

/// The response of one leg, with a description; a provisional one is reliable.
fn say(invite: &Message, status: u16, tag: &str) -> Message {
    let mut response = Message::answer(invite, status);
    response.tag_to(tag);
    let response = response.with(HeaderName::Contact, format!("<sip:{tag}@10.0.0.9>"));
    let response = response.with_body("application/sdp", OFFER);
    match status {
        ..200 => response.with(HeaderName::Require, "100rel").with(HeaderName::RSeq, "1"),
        _ => response,
    }
}

/// Two forks ring and both answer: the first one is the call, the other one gets ACK and BYE.
#[test]
fn of_two_forks_the_first_wins() {
    let mut world = phone();
    world.script = Box::new(|request, _| {
        let say = |status: u16, tag: &str| {
            let mut response = Message::answer(request, status);
            response.tag_to(tag);
            let response = response.with(HeaderName::Contact, format!("<sip:{tag}@10.0.0.9>"));
            if status == 180 { response } else { response.with_body("application/sdp", OFFER) }
        };
        match request.method().unwrap() {
            Method::Invite => vec![say(180, "a"), say(183, "b"), say(200, "b"), say(200, "a")],
            Method::Ack => Vec::new(),
            _ => vec![answer(request, 200)],
        }
    });
    world.lose = Box::new(|line, _| line == "RTP");
    world.order(0, UeOrder::Call { to: "tel:+4930123".into(), token: 1 });
    world.seconds(2);
    let of = |start: &str| world.sent.iter().filter(|(_, l)| l.starts_with(start)).count();
    assert_eq!((of("ACK sip:a@"), of("ACK sip:b@")), (1, 1), "{:?}", world.sent);
    assert_eq!((of("BYE sip:a@"), of("BYE sip:b@")), (1, 0));
    assert_eq!(world.phones[0].calls(), 1);
    world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
}

/// A forked INVITE: each leg's 183 is reliable, and the last one's 200 wins. The scripted callees keep the
/// order of CSeq numbers as RFC 3261 §12.2.2 wants it.
fn forked(legs: usize, challenge: bool) -> (World, Rc<RefCell<Vec<String>>>) {
    let mut world = phone();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (trouble, mut highest) = (seen.clone(), BTreeMap::<String, u32>::new());
    let mut invite = None;
    world.script = Box::new(move |request, _| {
        let cseq = request.get(HeaderName::CSeq).and_then(CSeq::parse).unwrap();
        let leg = request.uri().trim_start_matches("sip:").split('@').next().unwrap().to_owned();
        match request.method().unwrap() {
            Method::Invite if challenge && !request.has(HeaderName::ProxyAuthorization) => {
                let nonce = "Digest realm=\"ims.test\", nonce=\"n\", qop=\"auth\"";
                vec![answer(request, 407).with(HeaderName::ProxyAuthenticate, nonce)]
            }
            Method::Invite => {
                invite = Some(request.clone());
                (0..legs).map(|n| say(request, 183, &format!("l{n}"))).collect()
            }
            Method::Ack => {
                let success = leg.starts_with('l');
                if challenge && success && !request.has(HeaderName::ProxyAuthorization) {
                    trouble.borrow_mut().push(format!("no credentials in the ACK to {leg}"));
                }
                Vec::new()
            }
            method => {
                let last = highest.entry(leg.clone()).or_default();
                if cseq.number <= *last {
                    trouble.borrow_mut().push(format!("{method} to {leg} is out of order"));
                    return vec![answer(request, 500)];
                }
                *last = cseq.number;
                let mut out = vec![answer(request, 200)];
                if *method == Method::Prack && leg == format!("l{}", legs - 1) {
                    // The winner, then all losers, twice.
                    let invite = invite.as_ref().unwrap();
                    out.push(say(invite, 200, &leg));
                    let losers = (0..legs - 1).chain(0..legs - 1);
                    out.extend(losers.map(|n| say(invite, 200, &format!("l{n}"))));
                }
                out
            }
        }
    });
    world.lose = Box::new(|line, _| line == "RTP");
    world.order(0, UeOrder::Call { to: "tel:+4930123".into(), token: 1 });
    world.seconds(2);
    (world, seen)
}

/// The BYE to a fork that lost goes on where its PRACK was, it is sent once however often the 2xx
/// comes, and the ACK has the INVITE's credentials (RFC 3261 §12.2.1.1, §13.2.2.4).
#[test]
fn a_fork_that_lost_is_ended_in_its_own_dialog() {
    for challenge in [false, true] {
        let (world, trouble) = forked(3, challenge);
        assert_eq!(*trouble.borrow(), Vec::<String>::new(), "{:#?}", world.sent);
        world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
        let of = |start: &str| world.sent.iter().filter(|(_, l)| l.starts_with(start)).count();
        for leg in ["l0", "l1"] {
            assert_eq!((of(&format!("ACK sip:{leg}@")), of(&format!("BYE sip:{leg}@"))), (2, 1));
        }
        assert_eq!((of("ACK sip:l2@"), of("BYE sip:l2@")), (1, 0));
    }
}

/// The limit is for early dialogs: whoever answers is acknowledged.
#[test]
fn the_seventeenth_fork_may_answer() {
    let mut world = phone();
    world.script = Box::new(|request, _| match request.method().unwrap() {
        Method::Invite => (0..18)
            .map(|n| {
                let status = if n < 17 { 180 } else { 200 };
                let mut response = Message::answer(request, status);
                response.tag_to(&format!("l{n}"));
                response
                    .with(HeaderName::Contact, "<sip:x@10.0.0.9>")
                    .with_body("application/sdp", OFFER)
            })
            .collect(),
        Method::Ack => Vec::new(),
        _ => vec![answer(request, 200)],
    });
    world.lose = Box::new(|line, _| line == "RTP");
    world.order(0, UeOrder::Call { to: "tel:+4930123".into(), token: 1 });
    world.seconds(2);
    assert_eq!(world.methods(0), ["INVITE", "ACK"]);
    world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
}

/// The callee hangs up in the early dialog while its 2xx is under way: the dialog is ended where its
/// PRACK was.
#[test]
fn a_2xx_may_come_after_the_call_is_gone() {
    let mut world = phone();
    let invite = Rc::new(RefCell::new(None));
    let kept = invite.clone();
    world.script = Box::new(move |request, _| match request.method() {
        Some(Method::Invite) => {
            *kept.borrow_mut() = Some(request.clone());
            vec![say(request, 183, "x")]
        }
        Some(Method::Ack) | None => Vec::new(),
        _ => vec![answer(request, 200)],
    });
    world.order(0, UeOrder::Call { to: "bob".into(), token: 1 });
    world.seconds(1);
    let invite = invite.borrow().clone().unwrap();
    let of = |name| invite.get(name).unwrap();
    let mut early = Message::answer(&invite, 183);
    early.tag_to("x");
    let bye = Message::request(Method::Bye, "sip:alice@10.0.0.1")
        .with(HeaderName::Via, "SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKbye")
        .with(HeaderName::From, early.get(HeaderName::To).unwrap())
        .with(HeaderName::To, of(HeaderName::From))
        .with(HeaderName::CallId, of(HeaderName::CallId))
        .with(HeaderName::CSeq, "1 BYE");
    world.serve(0, bye.to_bytes());
    world.seconds(1);
    assert_eq!(world.ended(0).1, 487);
    for _ in 0..2 {
        world.serve(0, say(&invite, 200, "x").to_bytes());
        world.seconds(1);
    }
    let methods = ["INVITE", "PRACK", "200", "CANCEL", "ACK", "BYE", "ACK"];
    assert_eq!(world.methods(0), methods);
    let bye = world.messages.iter().find(|m| m.starts_with(b"BYE")).unwrap();
    let bye = Message::parse(bye.clone()).unwrap();
    assert_eq!(bye.get(HeaderName::CSeq), Some("3 BYE"), "after INVITE 1 and PRACK 2");
}

/// One fork does not answer its PRACK, or refuses the reservation: the others go on.
#[test]
fn a_dead_fork_does_not_end_the_call() {
    for dead in [Method::Prack, Method::Update] {
        let mut world = phone();
        let mut invite = None;
        let refused = dead.clone();
        world.script = Box::new(move |request, _| {
            let leg = request.uri().trim_start_matches("sip:").split('@').next().unwrap();
            let describe = |message: Message, own: &str| {
                let qos = format!(
                    "{OFFER}a=curr:qos local {own}\r\na=curr:qos remote none\r\n\
                     a=des:qos mandatory local sendrecv\r\na=des:qos mandatory remote sendrecv\r\n"
                );
                message.with_body("application/sdp", qos.into_bytes())
            };
            match request.method() {
                Some(Method::Invite) => {
                    invite = Some(request.clone());
                    ["l0", "l1"].map(|leg| describe(say(request, 183, leg), "none")).to_vec()
                }
                Some(Method::Ack) | None => Vec::new(),
                Some(method) if leg == "l0" && *method == refused => {
                    vec![answer(request, if refused == Method::Prack { 481 } else { 580 })]
                }
                Some(Method::Update) => {
                    let ok = describe(answer(request, 200), "sendrecv");
                    let ok = ok.with(HeaderName::Contact, format!("<sip:{leg}@10.0.0.9>"));
                    vec![ok, say(invite.as_ref().unwrap(), 200, leg)]
                }
                Some(_) => vec![answer(request, 200)],
            }
        });
        world.lose = Box::new(|line, _| line == "RTP");
        world.order(0, UeOrder::Call { to: "tel:+4930123".into(), token: 1 });
        world.seconds(5);
        world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
        assert_eq!(world.count(0, "CANCEL"), 0, "{dead}: {:#?}", world.sent);
        assert_eq!(world.count(0, "ACK sip:l1@"), 1);
        assert_eq!(world.phones[0].calls(), 1);
    }
}
