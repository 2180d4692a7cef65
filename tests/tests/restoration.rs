//! S-CSCF restoration, TS 23.380 §4: an S-CSCF dies, or comes back with nothing, and its users are called and call
//! before they register again.

use std::cell::RefCell;
use std::rc::Rc;

use base::flow::Service;
use base::time::Duration;
use engine::shard::{Crossing, Direction};
use engine::sim::Weather;
use sip::header::HeaderName;
use sip::{Message, Method};
use strowger::plan::Role;
use strowger_tests::network::ip;
use strowger_tests::nodes::Nodes;
use strowger_tests::scenario::WEATHER;
use strowger_tests::{Fault, Network, Phone};
use ue::{CallId, Incoming, UeOrder, What};

/// What crossed the air: requests of phones, and what they got.
type Air = Rc<RefCell<Vec<(bool, Message)>>>;

fn listen(network: &mut Network) -> Air {
    let air = Air::default();
    let tap = Rc::clone(&air);
    network.sim.tap(move |_, _, crossing: &Crossing<'_>| {
        let is = |end: base::Endpoint| [1, 2].map(ip).contains(&end.ip().unwrap_or(ip(0)));
        let (from, to) = (is(crossing.from.endpoint), is(crossing.to.endpoint));
        let once = crossing.direction == Direction::Received && crossing.service == Service::Sip;
        if once && (from || to) {
            let message = Message::parse(crossing.bytes.clone());
            tap.borrow_mut().extend(message.map(|message| (from, message)));
        }
    });
    air
}

/// Phones that registered since.
fn registers(air: &Air) -> usize {
    let is =
        |(from, message): &&(bool, Message)| *from && message.method() == Some(&Method::Register);
    air.borrow().iter().filter(is).count()
}

fn bindings(nodes: &mut Nodes, which: usize) -> u64 {
    let host = nodes.scscf[which];
    nodes.network.census(host, "scscf").count("bindings") as u64
}

/// One calls the other, who answers: the ends of the call, and how long the caller waited.
fn call(network: &mut Network, from: Phone, to: Phone) -> [(Phone, CallId); 2] {
    network.order(from, UeOrder::Call { to: to.tel(), token: 1 });
    let (mut caller, mut called) = (None, None);
    let both = network.until(Duration::from_secs(60), |host, report| {
        match &report.what {
            What::Answered { call, .. } if host == from.host => caller = Some(*call),
            What::Incoming { call, .. } if host == to.host => called = Some(*call),
            What::Ended { status, reason, .. } => panic!("{host:?}: {status} {reason}"),
            _ => {}
        }
        caller.zip(called)
    });
    let (caller, called) = both.expect("the call is answered");
    [(from, caller), (to, called)]
}

/// Media flows both ways; one hangs up and the other hears of it.
fn ends(network: &mut Network, (by, call): (Phone, CallId)) {
    network.run(Duration::from_secs(4));
    network.order(by, UeOrder::Hangup(call));
    let mut ended = 0;
    let both = network.until(Duration::from_secs(40), |_, report| {
        if let What::Ended { status, media, .. } = &report.what {
            assert!(*status == 200 && media.stats.received > 20, "{status} {:?}", media.stats);
            ended += 1;
        }
        (ended == 2).then_some(())
    });
    assert!(both.is_some(), "both ends learn of it");
}

/// How a call ends that is not answered.
fn fails(network: &mut Network, from: Phone, to: Phone) -> u16 {
    network.order(from, UeOrder::Call { to: to.tel(), token: 1 });
    let end = network.until(Duration::from_secs(60), |host, report| match &report.what {
        What::Ended { status, .. } if host == from.host => Some(*status),
        _ => None,
    });
    end.expect("the call ends")
}

/// The same of a call after which the phone registers by itself.
fn fails_and_registers(network: &mut Network, from: Phone, to: Phone) -> u16 {
    network.order(from, UeOrder::Call { to: to.tel(), token: 1 });
    let (mut ended, mut registered) = (None, false);
    let both = network.until(Duration::from_secs(90), |host, report| {
        match &report.what {
            What::Ended { status, .. } if host == from.host => ended = Some(*status),
            What::Registered { .. } if host == from.host => registered = true,
            What::RegistrationFailed { status, reason, .. } => panic!("{status} {reason}"),
            _ => {}
        }
        ended.filter(|_| registered)
    });
    both.unwrap_or_else(|| panic!("ended: {ended:?}, registered: {registered}"))
}

fn registered(nodes: &mut Nodes) -> [Phone; 2] {
    let phones = [1, 2].map(|number| nodes.network.sim_phone(number, |_| {}));
    for phone in phones {
        nodes.network.register(phone);
    }
    nodes.network.run(Duration::from_secs(2));
    assert_eq!([bindings(nodes, 0), bindings(nodes, 1)], [2, 0]);
    phones
}

/// Nobody but the HSS knows where Alice is: the other S-CSCF reaches her with what the dead one left there.
#[test]
fn a_user_of_a_dead_s_cscf_is_called_before_he_registers_again() {
    for seed in 1..=4 {
        for weather in [Weather::CALM, WEATHER] {
            let mut nodes = Nodes::apart(seed, weather);
            let [alice, bob] = registered(&mut nodes);
            let [first, _] = nodes.scscf;
            nodes.network.sim.crash(first);
            // Somebody new gets the S-CSCF that lives.
            let carol = nodes.network.sim_phone(3, |_| {});
            nodes.network.register(carol);
            let air = listen(&mut nodes.network);
            let side = seed as usize % 2;
            for called in [alice, bob, alice] {
                let ends_of = call(&mut nodes.network, carol, called);
                ends(&mut nodes.network, ends_of[side]);
            }
            assert_eq!(registers(&air), 0, "no phone noticed anything");
            assert_eq!(bindings(&mut nodes, 1), 3);
        }
    }
}

/// Whoever takes over gets all contacts of a user: of one who is called, and of one of whose phones one registers.
#[test]
fn all_phones_of_a_user_move_with_him() {
    for registers_first in [false, true] {
        let mut nodes = Nodes::apart(1, Weather::CALM);
        let network = &mut nodes.network;
        let desk = network.password_phone(1, |config| config.incoming = Incoming::Manual);
        let mobile = network.another_phone(2, 1, |config| config.incoming = Incoming::Manual);
        let tablet = network.another_phone(4, 1, |_| {});
        for phone in [desk, mobile, tablet] {
            network.register(phone);
        }
        // Who has left is not called.
        network.order(tablet, UeOrder::Deregister);
        network.run(Duration::from_secs(2));
        let [first, _] = nodes.scscf;
        nodes.network.sim.crash(first);
        let carol = nodes.network.sim_phone(3, |_| {});
        nodes.network.register(carol);
        if registers_first {
            nodes.network.register(mobile);
        }
        nodes.network.order(carol, UeOrder::Call { to: desk.tel(), token: 1 });
        let mut rings = Vec::new();
        let both = nodes.network.until(Duration::from_secs(30), |host, report| {
            if let What::Incoming { .. } = report.what {
                rings.push(host);
            }
            (rings.len() == 2).then_some(())
        });
        assert!(both.is_some() && !rings.contains(&tablet.host), "{rings:?}");
        assert_eq!(bindings(&mut nodes, 1), 3);
    }
}

/// The phone of a user whose S-CSCF is dead hears of it when it calls, and registers anew: §5.2.6.3.3, §5.1.2A.1.6.
#[test]
fn a_phone_whose_s_cscf_is_dead_registers_anew_when_it_calls() {
    for seed in 1..=2 {
        let mut nodes = Nodes::apart(seed, Weather::CALM);
        let [alice, bob] = registered(&mut nodes);
        let air = listen(&mut nodes.network);
        let [first, second] = nodes.scscf;
        nodes.network.sim.crash(first);
        assert_eq!(fails_and_registers(&mut nodes.network, alice, bob), 504);
        let (_, answer) = air.borrow().iter().rfind(|(_, m)| m.status() == 504).cloned().unwrap();
        assert!(answer.is_of_type("application/3gpp-ims+xml"));
        let body = String::from_utf8_lossy(answer.body()).into_owned();
        assert!(body.contains("<type>restoration</type>"), "{body}");
        assert!(body.contains("<action>initial-registration</action>"), "{body}");
        assert!(answer.has(HeaderName::PAssertedIdentity));
        nodes.network.run(Duration::from_secs(2));
        // Bob is fetched from what the dead one left.
        let ends_of = call(&mut nodes.network, alice, bob);
        ends(&mut nodes.network, ends_of[1]);
        assert_eq!(bindings(&mut nodes, 1), 2);
        // It comes back with what was on its disk, and hears that they are not its users any more.
        nodes.network.sim.restart(first);
        nodes.network.run(Duration::from_secs(60));
        assert_eq!([bindings(&mut nodes, 0), bindings(&mut nodes, 1)], [0, 2]);
        assert!(nodes.network.sim.is_up(second));
        let ends_of = call(&mut nodes.network, alice, bob);
        ends(&mut nodes.network, ends_of[0]);
    }
}

/// An S-CSCF lost its disk, but the HSS has what it left there: nobody notices.
#[test]
fn an_s_cscf_that_lost_everything_gets_its_users_back_as_they_call_and_are_called() {
    let mut nodes = Nodes::forgetful(1, Weather::CALM);
    let [alice, bob] = registered(&mut nodes);
    let air = listen(&mut nodes.network);
    let [first, _] = nodes.scscf;
    nodes.network.sim.restart(first);
    nodes.network.run(Duration::from_secs(2));
    assert_eq!(bindings(&mut nodes, 0), 0);
    let ends_of = call(&mut nodes.network, alice, bob);
    assert_eq!([bindings(&mut nodes, 0), bindings(&mut nodes, 1)], [2, 0]);
    ends(&mut nodes.network, ends_of[1]);
    let ends_of = call(&mut nodes.network, bob, alice);
    ends(&mut nodes.network, ends_of[0]);
    assert_eq!(registers(&air), 0);
    // Who is gone is gone: the HSS has nothing left of him.
    nodes.network.order(bob, UeOrder::Deregister);
    nodes.network.run(Duration::from_secs(2));
    nodes.network.sim.restart(first);
    nodes.network.run(Duration::from_secs(2));
    assert_eq!(fails(&mut nodes.network, alice, bob), 480);
    assert_eq!(bindings(&mut nodes, 0), 1);
}

/// Of a network with one S-CSCF nobody leaves anything with the HSS. When that lost everything, phones register
/// anew as soon as they call, §5.4.3.2.
#[test]
fn a_phone_whom_the_s_cscf_does_not_know_registers_anew() {
    let mut network = Network::spread(1, Weather::CALM, Some(Fault::DiskLost));
    let [alice, bob] = [1, 2].map(|number| network.sim_phone(number, |_| {}));
    for phone in [alice, bob] {
        network.register(phone);
    }
    network.restart(Role::Scscf);
    network.run(Duration::from_secs(2));
    for (from, to) in [(bob, alice), (alice, bob)] {
        assert_eq!(fails_and_registers(&mut network, from, to), 504);
    }
    let ends_of = call(&mut network, alice, bob);
    ends(&mut network, ends_of[0]);
}
