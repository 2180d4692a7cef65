//! A phone's subscription to its own registration, RFC 3680 and RFC 6665.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod world;

use std::cell::RefCell;
use std::rc::Rc;

use sip::{HeaderName, Message, Method};
use ue::{UeOrder, What};
use world::{World, answer, config, registered};

/// A registered phone, and the 200 to its SUBSCRIBE.
fn subscribed() -> (World, Message) {
    let mut world = World::new(vec![config(0)]);
    let ok = Rc::new(RefCell::new(None));
    let kept = ok.clone();
    world.script = Box::new(move |request, _| match request.method() {
        Some(Method::Register) => vec![registered(request, 3600)],
        Some(Method::Subscribe) => {
            let ok = answer(request, 200)
                .with(HeaderName::Contact, "<sip:10.0.0.9>")
                .with(HeaderName::Expires, "3600");
            *kept.borrow_mut() = Some(ok.clone());
            vec![ok]
        }
        _ => Vec::new(),
    });
    world.order(0, UeOrder::Register);
    world.seconds(1);
    let ok = ok.borrow().clone().unwrap();
    (world, ok)
}

fn notify(ok: &Message, cseq: u32, state: &str, contact: &str) -> Message {
    let body = format!(
        "<reginfo version=\"0\" state=\"full\"><registration aor=\"sip:alice@ims.test\" id=\"a\" \
         state=\"active\"><contact id=\"1\" {contact}><uri>sip:alice@10.0.0.1:5060</uri></contact>\
         </registration></reginfo>"
    );
    Message::request(Method::Notify, "sip:alice@10.0.0.1:5060")
        .with(HeaderName::Via, format!("SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKn{cseq}"))
        .with(HeaderName::From, ok.get(HeaderName::To).unwrap())
        .with(HeaderName::To, ok.get(HeaderName::From).unwrap())
        .with(HeaderName::CallId, ok.get(HeaderName::CallId).unwrap())
        .with(HeaderName::CSeq, format!("{cseq} NOTIFY"))
        .with(HeaderName::Event, "reg")
        .with(HeaderName::SubscriptionState, state)
        .with_body("application/reginfo+xml", body.into_bytes())
}

/// Loses the next REGISTER once, so that its answer takes half a second.
fn delay_register(world: &mut World) {
    let mut lost = false;
    world.lose = Box::new(move |line, _| {
        line.starts_with("REGISTER") && !std::mem::replace(&mut lost, true)
    });
}

/// Both are refreshed after 3000 s: the subscription's turn comes while the REGISTER is under way.
#[test]
fn a_refresh_that_meets_a_reregistration_is_made_up_for() {
    let (mut world, _) = subscribed();
    delay_register(&mut world);
    world.seconds(3010);
    assert_eq!((world.count(0, "REGISTER"), world.count(0, "SUBSCRIBE")), (3, 2));
}

/// The last NOTIFY comes while a REGISTER is under way: the dead subscription is not kept.
#[test]
fn a_subscription_that_ends_during_a_reregistration_is_made_anew() {
    let (mut world, ok) = subscribed();
    delay_register(&mut world);
    world.order(0, UeOrder::Register);
    let gone = "state=\"terminated\" event=\"deactivated\"";
    world.serve(0, notify(&ok, 1, "terminated;reason=timeout", gone).to_bytes());
    world.seconds(5);
    assert_eq!((world.count(0, "REGISTER"), world.count(0, "SUBSCRIBE")), (3, 2));
}

/// TS 24.229 §5.1.1.5A: a shortened registration is made anew before it ends.
#[test]
fn a_shortened_registration_is_refreshed_in_time() {
    let (mut world, ok) = subscribed();
    let short = "state=\"active\" event=\"shortened\" expires=\"30\"";
    world.serve(0, notify(&ok, 1, "active;expires=3600", short).to_bytes());
    world.seconds(14);
    assert_eq!(world.count(0, "REGISTER"), 1);
    world.seconds(2);
    assert_eq!(world.count(0, "REGISTER"), 2);
    assert!(world.find(0, |w| matches!(w, What::Deregistered { .. }).then_some(())).is_none());
}
