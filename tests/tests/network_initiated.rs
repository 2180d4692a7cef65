//! What an operator changes while people are registered: the HSS tells the S-CSCF (RTR, PPR), that
//! tells phone and P-CSCF (NOTIFY), and calls follow. TS 29.228 §6.1.3 and §6.2.2, TS 24.229 §5.4.1.5.

use std::net::IpAddr;

use base::redact::Secret;
use base::time::Duration;
use engine::sim::Weather;
use hss::Subscriber;
use hss::profile::FilterCriteria;
use strowger::plan::Role;
use strowger::provision::{Ask, Refusal};
use strowger_tests::Network;
use strowger_tests::network::{DOMAIN, Phone, msisdn, sim_subscriber};
use strowger_tests::server::{Manner, SAW};
use ue::{UeOrder, What};

const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 1));

/// The core on one host, and on several.
fn networks() -> [Network; 2] {
    [false, true].map(|spread| {
        if !spread {
            return Network::new(1, Weather::CALM);
        }
        Network::spread_with(1, Weather::CALM, None, |plan| plan.trusted.push((SERVER, 32)))
    })
}

/// Two registered phones.
fn two(network: &mut Network) -> (Phone, Phone) {
    let phones = (network.sim_phone(1, |_| {}), network.sim_phone(2, |_| {}));
    network.register(phones.0);
    network.register(phones.1);
    // Everybody has subscribed to his registration.
    network.run(Duration::from_secs(2));
    network.sim.logs();
    phones
}

fn names(phone: Phone) -> Vec<String> {
    vec![phone.tel()]
}

fn bar(network: &mut Network, phone: Phone, barred: bool) {
    network.operator(Ask::Bar { names: names(phone), barred }).expect("the subscriber is there");
}

/// What the network tells a phone of its registration, at once.
fn told(network: &mut Network, phone: Phone) -> String {
    let event = network.until(Duration::from_secs(1), |host, report| match &report.what {
        What::Deregistered { event } if host == phone.host => Some(event.clone()),
        _ => None,
    });
    event.expect("the phone is told within a second").expect("it says why")
}

/// What [`call`] says of a call that is answered.
const ANSWERED: u16 = 200;

/// The status that a call ends with; 403 if the phone itself knows that it cannot call.
fn call(network: &mut Network, from: Phone, to: &str) -> u16 {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let status = network.until(Duration::from_secs(20), |host, report| match &report.what {
        What::Ended { status, .. } if host == from.host => Some(*status),
        What::OrderRefused { .. } if host == from.host => Some(403),
        What::Answered { .. } if host == from.host => Some(ANSWERED),
        _ => None,
    });
    status.expect("the call is answered or ends")
}

/// Lets a call ring and be answered; who called, as the called phone sees it.
fn rings(network: &mut Network, from: Phone, to: &str, at: Phone) -> String {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let (mut who, mut answered) = (None, None);
    let both = network.until(Duration::from_secs(10), |host, report| {
        match &report.what {
            What::Incoming { from, .. } if host == at.host => who = Some(from.clone()),
            What::Answered { call, .. } if host == from.host => answered = Some(*call),
            What::Ended { status, reason, .. } => panic!("the call fails: {status} {reason}"),
            _ => {}
        }
        who.clone().zip(answered)
    });
    let (who, call) = both.expect("the call is answered");
    network.order(from, UeOrder::Hangup(call));
    network.run(Duration::from_secs(2));
    who
}

/// The status with which a REGISTER is refused.
fn registers(network: &mut Network, phone: Phone) -> Result<(), u16> {
    network.order(phone, UeOrder::Register);
    let result = network.until(Duration::from_secs(20), |host, report| match &report.what {
        What::Registered { .. } if host == phone.host => Some(Ok(())),
        What::RegistrationFailed { status, .. } if host == phone.host => Some(Err(*status)),
        _ => None,
    });
    result.expect("the REGISTER is answered")
}

fn bindings(network: &mut Network, role: Role) -> usize {
    let host = network.hosts[&role];
    network.census(host, role.as_str()).count("bindings")
}

#[test]
fn who_is_barred_is_deregistered_and_comes_back_when_he_is_unbarred() {
    for mut network in networks() {
        let (alice, bob) = two(&mut network);
        bar(&mut network, alice, true);
        assert_eq!(told(&mut network, alice), "rejected");
        assert_eq!(bindings(&mut network, Role::Scscf), 1);
        assert_eq!(bindings(&mut network, Role::Pcscf), 1);
        assert_eq!(call(&mut network, alice, &bob.tel()), 403);
        assert_eq!(call(&mut network, bob, &alice.tel()), 480);
        assert_eq!(registers(&mut network, alice), Err(403));
        bar(&mut network, alice, false);
        assert_eq!(registers(&mut network, alice), Ok(()));
        rings(&mut network, bob, &alice.tel(), alice);
    }
}

/// TS 24.229 §5.1.1.7: who must not register again ends his calls.
#[test]
fn a_call_of_somebody_who_is_barred_ends() {
    for mut network in networks() {
        let (alice, bob) = two(&mut network);
        for (from, to) in [(alice, bob), (bob, alice)] {
            assert_eq!(call(&mut network, from, &to.tel()), ANSWERED);
            network.run(Duration::from_secs(2));
            bar(&mut network, alice, true);
            let mut ended = 0;
            let both = network.until(Duration::from_secs(2), |_, report| {
                ended += usize::from(matches!(report.what, What::Ended { .. }));
                (ended == 2).then_some(())
            });
            assert!(both.is_some(), "both ends learn of it at once");
            bar(&mut network, alice, false);
            assert_eq!(registers(&mut network, alice), Ok(()));
            network.run(Duration::from_secs(2));
        }
    }
}

#[test]
fn who_is_removed_is_deregistered_and_unknown() {
    for mut network in networks() {
        let (alice, bob) = two(&mut network);
        network.operator(Ask::Remove(names(alice))).expect("the subscriber is there");
        assert_eq!(told(&mut network, alice), "rejected");
        assert_eq!(bindings(&mut network, Role::Scscf), 1);
        assert_eq!(bindings(&mut network, Role::Pcscf), 1);
        assert_eq!(call(&mut network, bob, &alice.tel()), 404);
        assert_eq!(registers(&mut network, alice), Err(403));
        let gone = network.operator(Ask::Remove(names(alice)));
        assert!(matches!(gone, Err(Refusal::Unknown(_))));
        // Nothing old is his when he comes back.
        network.replace(sim_subscriber(1, &[msisdn(1)]));
        assert_eq!(call(&mut network, bob, &alice.tel()), 480);
    }
}

#[test]
fn an_operator_ends_a_registration() {
    for mut network in networks() {
        let (alice, bob) = two(&mut network);
        let reason = Some("maintenance".to_owned());
        let ask = |again| Ask::Deregister { names: names(alice), again, reason: reason.clone() };
        network.operator(ask(false)).expect("he is registered");
        assert_eq!(told(&mut network, alice), "rejected");
        assert!(network.sim.logs().iter().any(|l| l.event.text.contains("maintenance")));
        assert_eq!(call(&mut network, bob, &alice.tel()), 480);
        assert!(matches!(network.operator(ask(false)), Err(Refusal::NotRegistered(_))));
        assert_eq!(registers(&mut network, alice), Ok(()));
        network.run(Duration::from_secs(2));
        // This time he is to come back by himself.
        network.operator(ask(true)).expect("he is registered");
        let mut ended = false;
        let again = network.until(Duration::from_secs(2), |host, report| match &report.what {
            What::Deregistered { event } if host == alice.host => {
                assert_eq!(event.as_deref(), Some("deactivated"));
                ended = true;
                None
            }
            What::Registered { .. } if host == alice.host => Some(ended),
            _ => None,
        });
        assert_eq!(again, Some(true), "the phone is told, and registers again");
        rings(&mut network, bob, &alice.tel(), alice);
    }
}

#[test]
fn numbers_come_and_go_while_their_phone_is_registered() {
    for mut network in networks() {
        let (alice, bob) = two(&mut network);
        let new = format!("tel:+{}", msisdn(71));
        assert_eq!(call(&mut network, bob, &new), 404);
        network.replace(sim_subscriber(1, &[msisdn(1), msisdn(71)]));
        for number in [&new, &alice.tel()] {
            assert!(rings(&mut network, bob, number, alice).contains(&msisdn(2)));
        }
        network.replace(sim_subscriber(1, &[msisdn(71)]));
        network.run(Duration::from_secs(1));
        assert_eq!(call(&mut network, bob, &alice.tel()), 404);
        rings(&mut network, bob, &new, alice);
        // The P-CSCF asserts the new number: it learnt it by NOTIFY.
        let who = rings(&mut network, alice, &bob.tel(), bob);
        assert!(who.contains(&msisdn(71)), "{who}");
    }
}

#[test]
fn a_filter_criterion_fires_from_now_on() {
    let mut network = networks().into_iter().nth(1).expect("two networks");
    network.server("server", SERVER, Manner::StayOut);
    let (alice, bob) = two(&mut network);
    let saw = |network: &mut Network| {
        network.sim.logs().iter().filter(|logged| logged.event.counter == SAW).count()
    };
    rings(&mut network, alice, &bob.tel(), bob);
    assert_eq!(saw(&mut network), 0);
    let ifc = ["sip:10.254.0.1 when method=INVITE and case=originating"];
    let criteria = FilterCriteria::parse_all(ifc).expect("filter criteria");
    let subscriber = sim_subscriber(1, &[msisdn(1)]);
    network.replace(subscriber.clone().with_criteria(criteria).expect("legal criteria"));
    network.run(Duration::from_millis(100));
    rings(&mut network, alice, &bob.tel(), bob);
    assert_eq!(saw(&mut network), 1);
    network.replace(subscriber);
    network.run(Duration::from_millis(100));
    rings(&mut network, alice, &bob.tel(), bob);
    assert_eq!(saw(&mut network), 0);
}

#[test]
fn what_changes_nothing_for_the_network_is_not_told() {
    for mut network in networks() {
        let (alice, bob) = two(&mut network);
        network.replace(sim_subscriber(1, &[msisdn(1)]));
        network.run(Duration::from_secs(1));
        let told = ["hss.told", "hss.not_told"];
        assert!(network.sim.logs().iter().all(|l| !told.contains(&l.event.counter)));
        rings(&mut network, bob, &alice.tel(), alice);
    }
}

/// What the HSS knows of the S-CSCF is on its disk.
#[test]
fn an_hss_that_was_restarted_still_tells_the_scscf() {
    for removed in [false, true] {
        let mut network = networks().into_iter().nth(1).expect("two networks");
        let (alice, bob) = two(&mut network);
        network.sim.crash(network.core);
        network.restart(Role::Hss);
        network.run(Duration::from_secs(40));
        if removed {
            network.operator(Ask::Remove(names(alice))).expect("the subscriber is there");
        } else {
            bar(&mut network, alice, true);
        }
        assert_eq!(told(&mut network, alice), "rejected");
        let status = if removed { 404 } else { 480 };
        assert_eq!(call(&mut network, bob, &alice.tel()), status);
    }
}

/// The S-CSCF is told as soon as it is there again.
#[test]
fn an_scscf_that_was_down_learns_it_later() {
    for removed in [false, true] {
        let mut network = networks().into_iter().nth(1).expect("two networks");
        let (alice, bob) = two(&mut network);
        network.run(Duration::from_secs(1));
        network.sim.crash(network.hosts[&Role::Scscf]);
        network.run(Duration::from_secs(if removed { 0 } else { 60 }));
        if removed {
            network.operator(Ask::Remove(names(alice))).expect("the subscriber is there");
        } else {
            network.replace(sim_subscriber(1, &[msisdn(71)]));
        }
        network.run(Duration::from_secs(10));
        let logs = network.sim.logs();
        assert!(logs.iter().any(|l| l.event.counter == "hss.not_told"), "{logs:?}");
        network.restart(Role::Scscf);
        network.run(Duration::from_secs(40));
        let logs = network.sim.logs();
        assert!(logs.iter().any(|l| l.event.counter == "hss.told"), "{logs:?}");
        assert_eq!(bindings(&mut network, Role::Scscf), if removed { 1 } else { 2 });
        assert_eq!(call(&mut network, bob, &alice.tel()), 404);
        if !removed {
            let new = format!("tel:+{}", msisdn(71));
            assert_eq!(call(&mut network, bob, &new), ANSWERED);
        }
    }
}

/// The S-CSCF, which keeps H(A1) for further challenges, learns that it is another one.
#[test]
fn an_old_password_is_good_for_nothing() {
    for mut network in networks() {
        let alice = network.password_phone(1, |_| {});
        network.register(alice);
        network.run(Duration::from_secs(2));
        let password = Secret::new("another one".to_owned());
        let subscriber = Subscriber::with_password("user1", &password, &[msisdn(1)], DOMAIN);
        network.replace(subscriber.expect("a legal subscriber"));
        network.run(Duration::from_secs(1));
        network.order(alice, UeOrder::Register);
        let status = network.until(Duration::from_secs(10), |_, report| match &report.what {
            What::Registered { .. } => Some(ANSWERED),
            What::RegistrationFailed { status, .. } => Some(*status),
            _ => None,
        });
        assert_eq!(status, Some(403));
    }
}
