//! Initial filter criteria at work: calls through application servers, as TS 24.229 §5.4.3 has them.

use std::net::IpAddr;

use base::time::Duration;
use engine::sim::{HostId, Weather};
use hss::profile::FilterCriteria;
use strowger::plan::Role;
use strowger_tests::server::{Manner, SAW};
use strowger_tests::{Network, Phone};
use ue::{CallId, UeOrder, What};

const FIRST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 1));
const SECOND: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 2));

/// A network that trusts the application servers; all subscribers share these filter criteria.
fn network(shared: &[&str]) -> Network {
    let criteria = FilterCriteria::parse_all(shared.iter().copied()).expect("filter criteria");
    Network::spread_with(1, Weather::CALM, None, |plan| {
        plan.trusted.push((FIRST, 24));
        plan.criteria.clone_from(&criteria);
    })
}

/// Two registered phones; the criteria are those of the first and the second one.
fn two(network: &mut Network, ifc: [&[&str]; 2]) -> (Phone, Phone) {
    let alice = network.served_phone(1, ifc[0], |_| {});
    let bob = network.served_phone(2, ifc[1], |_| {});
    network.register(alice);
    network.register(bob);
    network.sim.logs();
    (alice, bob)
}

/// What the servers saw since the last time. Nobody but the S-CSCF sends them anything.
fn seen(network: &mut Network) -> Vec<(HostId, String)> {
    let logs = network.sim.logs().into_iter().filter(|logged| logged.event.counter == SAW);
    let seen: Vec<_> = logs.map(|l| (l.host, l.event.text.to_string())).collect();
    assert!(seen.iter().all(|(_, text)| text.contains(" from 10.255.0.3:")), "{seen:?}");
    seen
}

fn methods(seen: &[(HostId, String)], at: HostId) -> Vec<&str> {
    let here = seen.iter().filter(|(host, _)| *host == at);
    here.map(|(_, text)| text.split(' ').next().unwrap_or_default()).collect()
}

fn hosts(seen: &[(HostId, String)]) -> Vec<HostId> {
    seen.iter().map(|(host, _)| *host).collect()
}

/// The status that a call ends with which nobody answers.
fn refused(network: &mut Network, from: Phone, to: &str) -> u16 {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let status = network.until(Duration::from_secs(10), |host, report| match &report.what {
        What::Ended { status, .. } if host == from.host => Some(*status),
        What::Answered { .. } => panic!("it is answered"),
        _ => None,
    });
    status.expect("the call ends")
}

fn ends(network: &mut Network, by: Phone, call: CallId) {
    network.order(by, UeOrder::Hangup(call));
    let mut ended = 0;
    let both = network.until(Duration::from_secs(5), |_, report| {
        ended += usize::from(matches!(report.what, What::Ended { .. }));
        (ended == 2).then_some(())
    });
    assert!(both.is_some(), "both ends learn of it");
    network.run(Duration::from_secs(40));
    let scscf = network.hosts[&Role::Scscf];
    let census = network.census(scscf, "scscf");
    assert!(
        census
            .0
            .iter()
            .all(|(what, n)| *n == 0 || ["bindings", "watchers", "challenges"].contains(what)),
        "{census:?}"
    );
}

#[test]
fn a_server_sees_what_the_caller_asks_for_and_what_follows() {
    for ends_by_caller in [true, false] {
        let mut network = network(&[]);
        let server = network.server("server", FIRST, Manner::RecordRoute);
        let ifc = "sip:10.254.0.1 when method=INVITE and case=originating";
        let (alice, bob) = two(&mut network, [&[ifc], &[]]);
        let (caller, called) = network.answered(alice, &bob.tel(), bob);
        network.run(Duration::from_secs(1));
        let saw = seen(&mut network);
        assert!(saw[0].1.ends_with(";sescase=orig;regstate=reg"), "{saw:?}");
        let (by, call) = if ends_by_caller { (alice, caller) } else { (bob, called) };
        ends(&mut network, by, call);
        let later = seen(&mut network);
        let saw = methods(&saw, server);
        assert!(saw.starts_with(&["INVITE"]) && saw.contains(&"ACK"), "{saw:?}");
        assert_eq!(methods(&later, server), ["BYE"]);
        // The other direction is not what the criteria are about.
        let (caller, _) = network.answered(bob, &alice.tel(), alice);
        ends(&mut network, bob, caller);
        assert_eq!(seen(&mut network), []);
    }
}

#[test]
fn a_server_that_stays_out_is_not_asked_again() {
    let mut network = network(&[]);
    let (first, second) = (
        network.server("first", FIRST, Manner::StayOut),
        network.server("second", SECOND, Manner::StayOut),
    );
    let bobs = ["sip:10.254.0.2 when case=terminating", "sip:10.254.0.1 when method=MESSAGE"];
    let (alice, bob) = two(&mut network, [&["sip:10.254.0.1", "sip:10.254.0.2 priority=5"], &bobs]);
    for ends_by_caller in [true, false] {
        let (caller, called) = network.answered(alice, &bob.tel(), bob);
        network.run(Duration::from_secs(1));
        let (by, call) = if ends_by_caller { (alice, caller) } else { (bob, called) };
        ends(&mut network, by, call);
        let saw = seen(&mut network);
        assert_eq!(hosts(&saw), [first, second, second], "in the order of their priority: {saw:?}");
        assert!(saw[2].1.ends_with(";sescase=term;regstate=reg"), "{saw:?}");
    }
}

#[test]
fn a_server_sends_a_call_to_somebody_else() {
    let mut network = network(&[]);
    let carol = network.sim_phone(3, |_| {});
    network.register(carol);
    network.server("server", FIRST, Manner::Retarget(carol.tel()));
    let (alice, bob) = two(&mut network, [&[], &["sip:10.254.0.1 when case=terminating"]]);
    let (caller, _) = network.answered(alice, &bob.tel(), carol);
    ends(&mut network, alice, caller);
}

#[test]
fn what_happens_without_a_server_is_the_default_handling() {
    let down = "sip:10.254.0.2 when method=INVITE and case=originating";
    let terminated = "sip:10.254.0.1 default=terminated when method=INVITE and case=originating";
    for manner in [Manner::Answer(503), Manner::Answer(408)] {
        let mut network = network(&[]);
        network.server("server", SECOND, manner);
        let (alice, bob) = two(&mut network, [&[down], &[]]);
        let (caller, _) = network.answered(alice, &bob.tel(), bob);
        let logs = network.sim.logs();
        assert_eq!(logs.iter().filter(|l| l.event.counter == "scscf.as_failed").count(), 1);
        ends(&mut network, alice, caller);
    }
    let mut network = network(&[]);
    network.server("server", FIRST, Manner::Answer(503));
    let (alice, bob) = two(&mut network, [&[terminated], &[]]);
    assert_eq!(refused(&mut network, alice, &bob.tel()), 503);
    // What the server decides is no failure of the server.
    let dave = network.served_phone(4, &["sip:10.254.0.2"], |_| {});
    network.server("other", SECOND, Manner::Answer(486));
    network.register(dave);
    assert_eq!(refused(&mut network, dave, &bob.tel()), 486);
}

/// TS 24.229 §5.4.3.2 step 6: a server that sent the request back is not down.
#[test]
fn a_failure_further_on_is_not_the_servers() {
    let mut network = network(&[]);
    network.server("server", FIRST, Manner::Spoil(503));
    let (alice, _) = two(&mut network, [&["sip:10.254.0.1 when case=originating"], &[]]);
    let nobody = network.sim_phone(3, |_| {});
    assert_eq!(refused(&mut network, alice, &nobody.tel()), 503);
    let saw = seen(&mut network);
    assert_eq!(saw.len(), 1, "{saw:?}");
}

/// TS 29.228 Annex F: content is an expression; what is none is text.
#[test]
fn criteria_look_for_expressions() {
    let mut network = network(&[]);
    let server = network.server("server", FIRST, Manner::Answer(486));
    let ifc = "sip:10.254.0.1 when method=INVITE and uri=\"^(tel|sip):\\\\+49300000000[3-5]$\"";
    let (alice, bob) = two(&mut network, [&[ifc], &[]]);
    let (caller, _) = network.answered(alice, &bob.tel(), bob);
    ends(&mut network, alice, caller);
    assert_eq!(seen(&mut network), []);
    let nobody = format!("tel:+{}", strowger_tests::network::msisdn(4));
    assert_eq!(refused(&mut network, alice, &nobody), 486);
    assert_eq!(methods(&seen(&mut network), server), ["INVITE"]);
}

#[test]
fn somebody_who_is_not_registered_has_services() {
    let mut network = network(&[]);
    let server = network.server("server", FIRST, Manner::Answer(486));
    let (alice, _) = two(&mut network, [&[], &[]]);
    let ifc = "sip:10.254.0.1 when case=terminating-unregistered";
    let away = network.served_phone(3, &[ifc], |_| {});
    assert_eq!(refused(&mut network, alice, &away.tel()), 486);
    let saw = seen(&mut network);
    assert_eq!(methods(&saw, server), ["INVITE"]);
    assert!(saw[0].1.ends_with(";sescase=term;regstate=unreg"), "{saw:?}");
    // Who has no such services is unknown there.
    let nobody = network.sim_phone(4, |_| {});
    assert_eq!(refused(&mut network, alice, &nobody.tel()), 480);
    assert_eq!(seen(&mut network), []);
}

#[test]
fn criteria_of_the_network_count_for_everybody() {
    let mut network = network(&["sip:10.254.0.1 when method=MESSAGE and case=originating"]);
    let server = network.server("server", FIRST, Manner::StayOut);
    let (alice, bob) = two(&mut network, [&["sip:10.254.0.2 when method=PUBLISH"], &[]]);
    for (from, to) in [(alice, bob), (bob, alice)] {
        let text = "hello".to_owned();
        network.order(from, UeOrder::Message { to: to.tel(), text, token: 1 });
        let arrived = network.until(Duration::from_secs(5), |host, report| {
            (host == to.host && matches!(report.what, What::MessageReceived { .. })).then_some(())
        });
        assert!(arrived.is_some());
        assert_eq!(methods(&seen(&mut network), server), ["MESSAGE"]);
    }
}

/// TS 24.229 §5.4.1.7.
#[test]
fn servers_hear_who_registers_and_who_is_gone() {
    let mut network = network(&[]);
    let (first, second) = (
        network.server("first", FIRST, Manner::StayOut),
        network.server("second", SECOND, Manner::StayOut),
    );
    let ifc = [
        "sip:10.254.0.1 service-info=<a&b> include-register-request include-register-response \
         when method=REGISTER/initial/de",
        "sip:10.254.0.2 when method=REGISTER and header:Contact",
        "sip:10.254.0.1 when method=INVITE",
    ];
    let alice = network.served_phone(1, &ifc, |config| config.expires = 600);
    network.register(alice);
    network.run(Duration::from_secs(1));
    let mut saw = seen(&mut network);
    // Long requests go by TCP and come later.
    saw.sort();
    assert_eq!(hosts(&saw), [first, second]);
    let to = format!("for <sip:+493000000001@{}> 600 ", strowger_tests::network::DOMAIN);
    for part in
        [&to, "<service-info>&lt;a&amp;b&gt;</service-info>", "\r\n\r\nREGISTER sip:", "200 OK\r\n"]
    {
        assert!(saw[0].1.contains(part), "{part}: {}", saw[0].1);
    }
    assert!(saw[1].1.ends_with(&to), "{saw:?}");
    // The second one is told of a registration that goes on, the first one is not.
    network.run(Duration::from_secs(400));
    let saw = seen(&mut network);
    assert_eq!(hosts(&saw), [second]);
    network.order(alice, UeOrder::Deregister);
    network.run(Duration::from_secs(1));
    let mut saw = seen(&mut network);
    saw.sort();
    assert_eq!(hosts(&saw), [first, second]);
    assert!(saw.iter().all(|(_, text)| text.contains("> 0 ")), "{saw:?}");
}

#[test]
fn a_phone_that_falls_silent_is_gone_for_servers_too() {
    let mut network = network(&[]);
    network.server("server", FIRST, Manner::StayOut);
    let ifc = "sip:10.254.0.1 include-register-request when method=REGISTER/de";
    let alice = network.served_phone(1, &[ifc], |config| config.expires = 120);
    network.register(alice);
    network.sim.crash(alice.host);
    network.run(Duration::from_secs(200));
    let saw = seen(&mut network);
    assert_eq!(saw.len(), 1);
    assert!(saw[0].1.ends_with("> 0 "), "there is no REGISTER to be included: {saw:?}");
}

#[test]
fn who_is_refused_by_a_server_that_must_agree_is_deregistered() {
    for (handling, stays) in [("continued", 1), ("terminated", 0)] {
        let mut network = network(&[]);
        let server = network.server("server", FIRST, Manner::Answer(503));
        let ifc = format!("sip:10.254.0.1 default={handling} when method=REGISTER");
        let alice = network.served_phone(1, &[&ifc], |_| {});
        network.register(alice);
        network.run(Duration::from_secs(1));
        let census = network.census(network.hosts[&Role::Scscf], "scscf");
        assert!(census.0.contains(&("bindings", stays)), "{census:?}");
        assert_eq!(methods(&seen(&mut network), server)[0], "REGISTER");
    }
}

#[test]
fn a_server_that_must_agree_and_is_down_ends_registrations() {
    for (handling, stays) in [("continued", true), ("terminated", false)] {
        let mut network = network(&[]);
        let server = network.server("server", FIRST, Manner::StayOut);
        let ifc = format!("sip:10.254.0.1 default={handling} when method=REGISTER");
        let alice = network.served_phone(1, &[&ifc], |config| config.expires = 600);
        network.register(alice);
        network.run(Duration::from_secs(10));
        network.sim.crash(server);
        let gone = network.until(Duration::from_secs(400), |_, report| match &report.what {
            What::Deregistered { event } => event.clone(),
            _ => None,
        });
        let expected = if stays { None } else { Some("probation") };
        assert_eq!(gone.as_deref(), expected, "{handling}");
    }
}
