//! Calls to the public telephone network and from it, TS 24.229 §5.6: by longest prefix, to the next trunk,
//! as people dial, and in by number.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use base::dialling::Dialling;
use base::flow::Service;
use base::time::Duration;
use engine::shard::{Crossing, Direction};
use engine::sim::Weather;
use sip::header::HeaderName;
use sip::{Message, Method};
use strowger::plan::{Plan, Role};
use strowger_tests::network::{ip, msisdn, sim_subscriber};
use strowger_tests::{Network, Phone};
use ue::{CallId, Incoming, UeConfig, UeOrder, What};

const TRUNK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 254, 0, 9));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 254, 0, 10));

/// What the trunks received.
type Heard = Rc<RefCell<Vec<Message>>>;

/// A network in Germany with these trunks, and what they hear.
fn network(routes: &[&str], change: impl Fn(&mut Plan) + 'static) -> (Network, Heard) {
    let routes: Vec<_> = routes.iter().map(|text| text.parse().expect("a route")).collect();
    let mut network = Network::new_with(1, Weather::CALM, move |plan| {
        plan.here.insert(Role::Bgcf, vec![SocketAddr::new(ip(0), 5080)]);
        plan.trunks_from.push((OTHER, 32));
        plan.routes.clone_from(&routes);
        let [country, trunk, international] = ["49", "0", "00"].map(str::to_owned);
        plan.dialling = Some(Dialling { country, trunk, international });
        change(plan);
    });
    let heard = Heard::default();
    let tap = Rc::clone(&heard);
    network.sim.tap(move |_, _, crossing: &Crossing<'_>| {
        let at = crossing.to.endpoint.ip();
        let trunk = at == Some(TRUNK) || at == Some(OTHER);
        if trunk && crossing.direction == Direction::Received && crossing.service == Service::Sip {
            tap.borrow_mut().extend(Message::parse(crossing.bytes.clone()));
        }
    });
    (network, heard)
}

fn far_end(network: &mut Network, change: impl Fn(&mut UeConfig) + 'static) -> Phone {
    network.outsider("gateway", TRUNK, change)
}

/// How a call ends that is begun now: answered there, or with a status.
fn call(network: &mut Network, from: Phone, to: &str, by: Phone) -> Result<(CallId, CallId), u16> {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let (mut caller, mut called) = (None, None);
    let end = network.until(Duration::from_secs(60), |host, report| {
        match &report.what {
            What::Answered { call, .. } if host == from.host => caller = Some(*call),
            What::Incoming { call, .. } if host == by.host => called = Some(*call),
            What::Ended { status, .. } if host == from.host => return Some(Err(*status)),
            _ => {}
        }
        caller.zip(called).map(Ok)
    });
    end.expect("the call is answered or ends")
}

/// Both ends learn of the end, have heard each other, and nothing is left.
fn ends(network: &mut Network, by: Phone, call: CallId) {
    network.run(Duration::from_secs(1));
    network.order(by, UeOrder::Hangup(call));
    let mut ended = 0;
    let both = network.until(Duration::from_secs(5), |_, report| {
        if let What::Ended { media, .. } = &report.what {
            assert!(media.stats.received > 20, "{:?}", media.stats);
            ended += 1;
        }
        (ended == 2).then_some(())
    });
    assert!(both.is_some(), "both ends learn of it");
    network.run(Duration::from_secs(40));
    for function in ["bgcf", "scscf", "icscf"] {
        let census = network.census(network.core, function);
        let stays = ["bindings", "watchers", "challenges"];
        assert!(census.0.iter().all(|(what, n)| *n == 0 || stays.contains(what)), "{census:?}");
    }
}

fn invite(heard: &Heard) -> Message {
    let heard = heard.borrow();
    let mut invites = heard.iter().filter(|message| message.method() == Some(&Method::Invite));
    invites.next_back().expect("the trunk gets an INVITE").clone()
}

#[test]
fn a_number_of_nobody_here_leaves_by_the_trunk() {
    for ends_by_caller in [true, false] {
        let (mut network, heard) = network(&["default=sip:10.254.0.9"], |_| {});
        let gateway = far_end(&mut network, |_| {});
        let alice = network.sim_phone(1, |_| {});
        network.register(alice);
        let (caller, called) =
            call(&mut network, alice, "tel:+45-301", gateway).expect("it is answered");
        let asked = invite(&heard);
        assert_eq!(asked.uri(), "sip:+45301@10.254.0.9;user=phone");
        let asserted = asked.list(HeaderName::PAssertedIdentity).last();
        assert_eq!(asserted, Some("<tel:+493000000001>"));
        for inner in [HeaderName::PChargingVector, HeaderName::PAccessNetworkInfo] {
            assert_eq!(asked.get(inner), None);
        }
        let (by, of) = if ends_by_caller { (alice, caller) } else { (gateway, called) };
        ends(&mut network, by, of);
    }
}

#[test]
fn people_dial_as_they_are_used_to() {
    let (mut network, heard) = network(&["default=sip:10.254.0.9"], |_| {});
    let gateway = far_end(&mut network, |_| {});
    let alice = network.sim_phone(1, |_| {});
    let bob = network.password_phone(2, |config| config.options.ims = false);
    network.register(alice);
    network.register(bob);
    for (from, dialled, number) in
        [(alice, "0045301", "+45301"), (bob, "0045301", "+45301"), (alice, "040123", "+4940123")]
    {
        let (caller, _) = call(&mut network, from, dialled, gateway).expect("it is answered");
        assert_eq!(invite(&heard).uri(), format!("sip:{number}@10.254.0.9;user=phone"));
        ends(&mut network, from, caller);
    }
    // A number of ours does not leave, however it is dialled.
    let before = heard.borrow().len();
    for dialled in ["03000000002", "00493000000002", "+493000000002"] {
        let (caller, _) = call(&mut network, alice, dialled, bob).expect("it is answered");
        ends(&mut network, alice, caller);
    }
    assert_eq!(heard.borrow().len(), before);
    // Short numbers are nobody's, nor is a name.
    assert_eq!(call(&mut network, bob, "1234", gateway), Err(404));
    assert_eq!(call(&mut network, alice, "nobody", gateway), Err(404));
    assert_eq!(heard.borrow().len(), before);
}

#[test]
fn the_next_trunk_of_the_same_prefix_is_asked() {
    let routes = [
        "+45=sip:10.254.0.11",
        "+45=sip:10.254.0.10",
        "+45=sip:10.254.0.9",
        "default=sip:10.254.0.10",
    ];
    let (mut network, heard) = network(&routes, |_| {});
    let full = Incoming::Reject(503);
    let _other = network.outsider("other", OTHER, move |config| config.incoming = full);
    let gateway = far_end(&mut network, |_| {});
    let alice = network.sim_phone(1, |_| {});
    network.register(alice);
    let (caller, _) = call(&mut network, alice, "+45301", gateway).expect("it is answered");
    assert_eq!(invite(&heard).uri(), "sip:+45301@10.254.0.9;user=phone");
    ends(&mut network, alice, caller);
    assert_eq!(call(&mut network, alice, "+46301", gateway), Err(503));
}

#[test]
fn what_the_far_end_decides_is_no_failure_of_the_trunk() {
    let (mut network, heard) = network(&["+45=sip:10.254.0.9", "+45=sip:10.254.0.10"], |_| {});
    let gateway = far_end(&mut network, |config| config.incoming = Incoming::Reject(486));
    let alice = network.sim_phone(1, |_| {});
    network.register(alice);
    assert_eq!(call(&mut network, alice, "+45301", gateway), Err(486));
    assert!(heard.borrow().iter().all(|message| !message.uri().contains("10.254.0.10")));
    assert_eq!(call(&mut network, alice, "+46301", gateway), Err(404), "no trunk for it");
}

#[test]
fn a_trunk_reaches_our_users_by_their_number_and_nobody_else_does() {
    let (mut network, _) = network(&["default=sip:10.254.0.9"], |_| {});
    let gateway = far_end(&mut network, |_| {});
    let alice = network.sim_phone(1, |_| {});
    network.register(alice);
    for (number, ends_by_caller) in [("+493000000001", true), ("03000000001", false)] {
        let to = format!("sip:{number}@10.0.0.1:5080");
        let (caller, called) = call(&mut network, gateway, &to, alice).expect("it is answered");
        let (by, of) = if ends_by_caller { (gateway, caller) } else { (alice, called) };
        ends(&mut network, by, of);
    }
    // It does not go round: a number that is not ours stays refused.
    assert_eq!(call(&mut network, gateway, "sip:+45301@10.0.0.1:5080", alice), Err(404));
    assert_eq!(call(&mut network, gateway, "sip:alice@10.0.0.1:5080", alice), Err(404));
    let stranger = network.outsider("stranger", IpAddr::from([10, 254, 0, 66]), |_| {});
    let to = "sip:+493000000001@10.0.0.1:5080";
    assert_eq!(call(&mut network, stranger, to, alice), Err(403));
}

#[test]
fn a_number_of_ours_that_is_barred_does_not_leave() {
    let (mut network, heard) = network(&["default=sip:10.254.0.9"], |_| {});
    let gateway = far_end(&mut network, |_| {});
    let alice = network.sim_phone(1, |_| {});
    let bob = network.sim_phone(2, |_| {});
    let mut barred = sim_subscriber(2, &[msisdn(2)]);
    for identity in barred.sets.iter_mut().flat_map(|set| &mut set.identities) {
        identity.barred |= identity.uri.starts_with("tel:");
    }
    network.replace(barred);
    network.register(alice);
    network.register(bob);
    assert_eq!(call(&mut network, alice, &bob.tel(), gateway), Err(404));
    assert!(heard.borrow().is_empty());
}

/// TS 24.229 §5.11.2: a centre that is reached by a number.
#[test]
fn an_emergency_centre_may_be_behind_a_trunk() {
    let (mut network, heard) = network(&["default=sip:10.254.0.9"], |plan| {
        plan.here.insert(Role::Ecscf, vec![SocketAddr::new(ip(0), 5070)]);
        plan.centres = vec!["tel:+49301122".parse().expect("a centre")];
    });
    let gateway = far_end(&mut network, |_| {});
    let stranger = network.stranger(1, |_| {});
    let (caller, _) = call(&mut network, stranger, "112", gateway).expect("it is answered");
    assert_eq!(invite(&heard).uri(), "sip:+49301122@10.254.0.9;user=phone");
    ends(&mut network, stranger, caller);
}
