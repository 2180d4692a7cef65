//! What either side changes in a call, and session timers, against a scripted server.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod world;

use std::cell::RefCell;
use std::rc::Rc;

use base::time::Duration;
use sip::header::CSeq;
use sip::{HeaderName, Message, Method};
use ue::{Incoming, UeOrder, What};
use world::{OFFER, World, answer, config, is};

/// What the server answers to requests inside the dialog, as a list that grows while it is asked.
type Later = Box<dyn FnMut(&Message, usize) -> Message>;

/// A call to a server that answers at once, and the requests that it saw.
fn call(ok: fn(Message) -> Message, mut later: Later) -> (World, Rc<RefCell<Vec<Message>>>) {
    let mut world = World::new(vec![config(0)]);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let kept = seen.clone();
    let mut count = 0;
    world.script = Box::new(move |request, _| {
        kept.borrow_mut().push(request.clone());
        let inside = request.get(HeaderName::To).is_some_and(|to| to.contains("tag="));
        match request.method() {
            Some(Method::Ack) | None => Vec::new(),
            Some(Method::Invite) if !inside => vec![ok(established(request))],
            Some(Method::Invite | Method::Update) => {
                count += 1;
                vec![later(request, count)]
            }
            Some(_) => vec![answer(request, 200)],
        }
    });
    world.lose = Box::new(|line, _| line == "RTP");
    world.order(0, UeOrder::Call { to: "bob".into(), token: 1 });
    world.seconds(1);
    (world, seen)
}

/// The 200 of the server.
fn established(request: &Message) -> Message {
    let ok = answer(request, 200).with(HeaderName::Contact, "<sip:x@10.0.0.9>");
    ok.with_body("application/sdp", OFFER)
}

fn of<'a>(seen: &'a [Message], method: &Method) -> Vec<&'a Message> {
    seen.iter().filter(|m| m.method() == Some(method)).collect()
}

fn refused(world: &World) -> Option<u16> {
    world.find(0, |w| match w {
        What::ChangeRefused { status, .. } => Some(*status),
        _ => None,
    })
}

/// A 422 that asks for no more than it was given is no reason to ask again.
#[test]
fn a_422_that_makes_no_sense_is_a_refusal() {
    let too_small: Later = Box::new(|r, _| answer(r, 422).with(HeaderName::MinSe, "90"));
    let (mut world, seen) = call(|ok| ok, too_small);
    let call = world.call(0);
    world.order(0, UeOrder::Hold(call));
    world.seconds(1);
    assert_eq!(of(&seen.borrow(), &Method::Invite).len(), 2);
    assert_eq!(refused(&world), Some(422));
}

/// RFC 3311 §5.2: 500 with Retry-After is for later, as 491 is.
#[test]
fn a_hold_that_comes_too_early_is_made_again() {
    let later: Later = Box::new(|request, count| match count {
        1 => answer(request, 500).with(HeaderName::RetryAfter, "4"),
        _ => established(request),
    });
    let (mut world, seen) = call(|ok| ok, later);
    let call = world.call(0);
    world.order(0, UeOrder::Hold(call));
    world.run(Duration::from_millis(3900));
    assert_eq!(of(&seen.borrow(), &Method::Invite).len(), 2);
    world.seconds(1);
    assert_eq!(of(&seen.borrow(), &Method::Invite).len(), 3);
    world.told(0, |w| (*w == What::Held(call)).then_some(()));
}

/// Who answers our hold with `inactive` does not hold us.
#[test]
fn an_inactive_answer_to_a_hold_is_no_hold() {
    let inactive: Later = Box::new(|request, _| {
        let ok = answer(request, 200).with(HeaderName::Contact, "<sip:x@10.0.0.9>");
        ok.with_body("application/sdp", format!("{OFFER}a=inactive\r\n").into_bytes())
    });
    let (mut world, _) = call(|ok| ok, inactive);
    let call = world.call(0);
    world.order(0, UeOrder::Hold(call));
    world.seconds(1);
    world.told(0, |w| (*w == What::Held(call)).then_some(()));
    assert!(world.find(0, |w| matches!(w, What::HeldByPeer { .. }).then_some(())).is_none());
}

/// RFC 3261 §22.1: the ACK has the credentials of its own INVITE.
#[test]
fn the_ack_of_a_challenged_reinvite_has_its_credentials() {
    let challenged: Later = Box::new(|request, count| match count {
        1 => answer(request, 407).with(
            HeaderName::ProxyAuthenticate,
            "Digest realm=\"ims.test\", nonce=\"second\", qop=\"auth\"",
        ),
        _ => established(request),
    });
    let (mut world, seen) = call(|ok| ok, challenged);
    let call = world.call(0);
    world.order(0, UeOrder::Hold(call));
    world.seconds(1);
    world.told(0, |w| (*w == What::Held(call)).then_some(()));
    let seen = seen.borrow();
    let credentials = of(&seen, &Method::Ack).last().unwrap().get(HeaderName::ProxyAuthorization);
    assert!(credentials.unwrap().contains("nonce=\"second\""));
}

/// RFC 4028 §7.4: a refresh asks for the agreed interval, not for the first wish.
#[test]
fn a_refresh_keeps_the_agreed_interval() {
    let (mut world, seen) = call(
        |ok| {
            ok.with(HeaderName::SessionExpires, "600;refresher=uac")
                .with(HeaderName::Allow, "UPDATE")
        },
        Box::new(|request, _| answer(request, 200)),
    );
    world.seconds(310);
    let seen = seen.borrow();
    let updates = of(&seen, &Method::Update);
    assert_eq!(updates[0].get(HeaderName::SessionExpires), Some("600;refresher=uac"));
}

/// The 200 to an UPDATE of before the answer comes after it: the timer that the answer agreed on runs.
#[test]
fn an_answer_to_an_early_update_ends_no_timer() {
    let mut world = World::new(vec![config(0)]);
    let (mut invite, refreshed) = (None, Rc::new(RefCell::new(0)));
    let count = refreshed.clone();
    world.script = Box::new(move |request, _| {
        let say = |request: &Message, status| {
            let described = format!("{OFFER}{RESERVING}");
            answer(request, status)
                .with(HeaderName::Contact, "<sip:x@10.0.0.9>")
                .with(HeaderName::Allow, "UPDATE")
                .with_body("application/sdp", described.into_bytes())
        };
        match request.method() {
            Some(Method::Invite) => {
                invite = Some(request.clone());
                let early = say(request, 183).with(HeaderName::Require, "100rel");
                vec![early.with(HeaderName::RSeq, "1")]
            }
            Some(Method::Update) if request.has(HeaderName::SessionExpires) => {
                *count.borrow_mut() += 1;
                vec![answer(request, 200).with(HeaderName::SessionExpires, "90;refresher=uac")]
            }
            Some(Method::Update) => {
                let ok = say(invite.as_ref().unwrap(), 200);
                vec![ok.with(HeaderName::SessionExpires, "90;refresher=uac"), say(request, 200)]
            }
            Some(Method::Ack) | None => Vec::new(),
            Some(_) => vec![answer(request, 200)],
        }
    });
    world.lose = Box::new(|line, _| line == "RTP");
    world.order(0, UeOrder::Call { to: "bob".into(), token: 1 });
    world.seconds(100);
    world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
    assert_eq!(*refreshed.borrow(), 2);
}

/// RFC 4028 §7.4: the largest Min-SE that was seen is said in every request from then on.
#[test]
fn the_largest_min_se_is_repeated() {
    let mut world = World::new(vec![config(0)]);
    let mut last = None;
    let seen = Rc::new(RefCell::new(Vec::new()));
    let kept = seen.clone();
    world.script = Box::new(move |request, _| {
        if is(request, Method::Invite) {
            kept.borrow_mut().push(request.get(HeaderName::MinSe).unwrap_or("").to_owned());
            let first = last.replace(()).is_none();
            return match first {
                true => vec![answer(request, 422).with(HeaderName::MinSe, "2400")],
                false => vec![established(request)],
            };
        }
        Vec::new()
    });
    world.lose = Box::new(|line, _| line == "RTP");
    world.order(0, UeOrder::Call { to: "bob".into(), token: 1 });
    world.seconds(1);
    let call = world.call(0);
    world.order(0, UeOrder::Hold(call));
    world.seconds(1);
    assert_eq!(*seen.borrow(), ["90", "2400", "2400"]);
}

/// RFC 3261 §13.2.1: the description of an unreliable response is the answer if the 2xx has none.
#[test]
fn the_answer_may_have_come_in_a_provisional_response() {
    let mut world = World::new(vec![config(0)]);
    world.script = Box::new(|request, _| match request.method() {
        Some(Method::Invite) => {
            let contact = "<sip:x@10.0.0.9>";
            let say = |status| answer(request, status).with(HeaderName::Contact, contact);
            vec![say(183).with_body("application/sdp", OFFER), say(200)]
        }
        _ => Vec::new(),
    });
    world.lose = Box::new(|line, _| line == "RTP");
    world.order(0, UeOrder::Call { to: "bob".into(), token: 1 });
    world.seconds(1);
    world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
    assert_eq!(world.phones[0].calls(), 1);
}

const RESERVING: &str = "a=curr:qos local none\r\na=curr:qos remote none\r\n\
    a=des:qos mandatory local sendrecv\r\na=des:qos mandatory remote sendrecv\r\n\
    a=conf:qos remote sendrecv\r\n";

/// A caller: INVITE and what follows it in the dialog.
fn theirs(method: Method, number: u32, to: &str, extra: &[(HeaderName, &str)]) -> Message {
    let branch = format!("SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK{number}{method}");
    let mut request = Message::request(method.clone(), "sip:alice@10.0.0.1")
        .with(HeaderName::Via, branch)
        .with(HeaderName::From, "<sip:bob@ims.test>;tag=f")
        .with(HeaderName::To, to)
        .with(HeaderName::CallId, "theirs")
        .with(HeaderName::CSeq, CSeq { number, method }.to_string())
        .with(HeaderName::Contact, "<sip:bob@10.0.0.9>");
    for (name, value) in extra {
        request.push(*name, *value);
    }
    request
}

fn last(world: &World) -> Message {
    Message::parse(world.messages.last().unwrap().clone()).unwrap()
}

/// RFC 3311 §5.1: the callee makes no offer before the PRACK.
#[test]
fn a_reservation_is_told_after_the_prack() {
    let mut world = World::new(vec![config(0)]);
    let supported =
        [(HeaderName::Supported, "100rel, precondition"), (HeaderName::Allow, "UPDATE")];
    let invite = theirs(Method::Invite, 1, "<sip:alice@ims.test>", &supported);
    let invite = invite.with_body("application/sdp", format!("{OFFER}{RESERVING}").into_bytes());
    world.serve(0, invite.to_bytes());
    world.run(Duration::from_millis(400));
    let progress = last(&world);
    assert_eq!((progress.status(), world.count(0, "UPDATE")), (183, 0));
    let rack = format!("{} 1 INVITE", progress.get(HeaderName::RSeq).unwrap());
    let to = progress.get(HeaderName::To).unwrap();
    world.serve(0, theirs(Method::Prack, 2, to, &[(HeaderName::RAck, &rack)]).to_bytes());
    world.run(Duration::from_millis(400));
    assert_eq!(world.count(0, "UPDATE"), 1);
}

/// RFC 3311 §5.2: 491 if our offer waits for its answer, 500 with Retry-After if theirs does.
#[test]
fn an_offer_that_meets_another_is_refused_by_whose_that_is() {
    for (offered, status) in [(true, 500), (false, 491)] {
        let mut phone = config(0);
        phone.incoming = Incoming::Manual;
        let mut world = World::new(vec![phone]);
        // With the offer, the ringing is unreliable and has no answer.
        let reliable = (HeaderName::Require, "100rel");
        let extra = if offered { vec![] } else { vec![reliable] };
        let invite = theirs(Method::Invite, 1, "<sip:alice@ims.test>", &extra);
        let body = if offered { OFFER } else { "" };
        let invite = if offered { invite.with_body("application/sdp", body) } else { invite };
        world.serve(0, invite.to_bytes());
        world.run(Duration::from_millis(50));
        let ringing = last(&world);
        assert_eq!(ringing.status(), 180);
        let to = ringing.get(HeaderName::To).unwrap();
        let update = theirs(Method::Update, 2, to, &[]).with_body("application/sdp", OFFER);
        world.serve(0, update.to_bytes());
        world.run(Duration::from_millis(50));
        let refusal = last(&world);
        assert_eq!(refusal.status(), status);
        assert_eq!(refusal.has(HeaderName::RetryAfter), status == 500);
    }
}
