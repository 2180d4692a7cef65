//! What goes wrong around the network, seen from outside: each failure ends in a status, a counter and
//! one log line, and harms nobody else.

use base::Severity;
use base::redact::Secret;
use base::time::Duration;
use engine::sim::Weather;
use strowger_tests::network::DOMAIN;
use strowger_tests::{Fault, Network, Phone};
use ue::{Credential, UeOrder, What};

/// Two registered phones and a third one.
fn three(network: &mut Network) -> (Phone, Phone, Phone) {
    let alice = network.sim_phone(1, |_| {});
    let bob = network.sim_phone(2, |_| {});
    network.register(alice);
    network.register(bob);
    (alice, bob, network.sim_phone(3, |_| {}))
}

/// The status that a REGISTER of the phone ends with; 200 if it is registered.
fn register(network: &mut Network, phone: Phone) -> u16 {
    network.order(phone, UeOrder::Register);
    let status = network.until(Duration::from_secs(60), |host, report| match &report.what {
        _ if host != phone.host => None,
        What::Registered { .. } => Some(200),
        What::RegistrationFailed { status, .. } => Some(*status),
        _ => None,
    });
    status.expect("an answer within a minute")
}

/// A call, answered and hung up.
fn call(network: &mut Network, from: Phone, to: Phone) {
    network.order(from, UeOrder::Call { to: to.tel(), token: 1 });
    let call = network.until(Duration::from_secs(10), |host, report| match &report.what {
        What::Answered { call, .. } if host == from.host => Some(*call),
        What::Ended { status, reason, .. } => panic!("the call fails: {status} {reason}"),
        _ => None,
    });
    network.order(from, UeOrder::Hangup(call.expect("it is answered")));
    network.run(Duration::from_secs(2));
}

/// The log since the last time, but for who came and went, and for what is of interest to those only who
/// look closely.
fn complaints(network: &mut Network) -> Vec<String> {
    let logs = network.sim.logs().into_iter().map(|logged| logged.event);
    let expected = |counter: &str| counter.ends_with(".registered");
    logs.filter(|event| event.severity > Severity::Debug && !expected(event.counter))
        .map(|event| format!("{}: {}", event.counter, event.text))
        .collect()
}

/// Whether exactly one of the lines is of this counter.
fn once(complaints: &[String], counter: &str) -> bool {
    complaints.iter().filter(|line| line.starts_with(&format!("{counter}:"))).count() == 1
}

#[test]
fn a_store_that_cannot_be_written_refuses_only_what_needs_it() {
    for full in [true, false] {
        let mut network = Network::new(1, Weather::CALM);
        let (alice, bob, carol) = three(&mut network);
        network.run(Duration::from_secs(1));
        let disk = network.sim.disk(network.core).clone();
        if full {
            disk.limit(Some(0))
        } else {
            disk.read_only(true)
        }
        complaints(&mut network);
        // Her sequence numbers have to be durable before they are used.
        assert_eq!(register(&mut network, carol), 500);
        let said = complaints(&mut network);
        for counter in ["store.failed", "hss.store_failed", "scscf.no_challenge"] {
            assert!(once(&said, counter), "{counter}: {said:#?}");
        }
        // Alice's binding may be written later, and her call needs nothing written.
        assert_eq!(register(&mut network, alice), 200);
        call(&mut network, alice, bob);
        disk.limit(None);
        disk.read_only(false);
        assert_eq!(register(&mut network, carol), 200);
        let said = complaints(&mut network);
        assert!(said.iter().all(|line| line.starts_with("store.recovered")), "{said:#?}");
        network.sim.restart(network.core);
        for phone in [alice, carol] {
            call(&mut network, bob, phone);
        }
    }
}

#[test]
fn an_hss_that_answers_too_late() {
    let mut network = Network::spread(1, Weather::CALM, Some(Fault::HssLate));
    let (alice, bob, carol) = three(&mut network);
    complaints(&mut network);
    network.order(carol, UeOrder::Register);
    call(&mut network, alice, bob);
    let status = network.until(Duration::from_secs(20), |host, report| match report.what {
        What::RegistrationFailed { status, .. } if host == carol.host => Some(status),
        _ => None,
    });
    assert_eq!(status, Some(504), "before the phone gives up by itself");
    // The answer that comes after all is nobody's.
    network.run(Duration::from_secs(10));
    let said = complaints(&mut network);
    for counter in ["scscf.no_challenge", "diameter.unexpected_answer"] {
        assert!(once(&said, counter), "{counter}: {said:#?}");
    }
}

#[test]
fn an_hss_that_is_gone() {
    let mut network = Network::new(1, Weather::CALM);
    let (alice, _, carol) = three(&mut network);
    network.sim.stop(network.core, "hss");
    complaints(&mut network);
    assert_eq!(register(&mut network, carol), 504);
    assert_eq!(register(&mut network, alice), 504, "even a refresh asks the HSS for a vector");
    let said = complaints(&mut network);
    assert_eq!(said.iter().filter(|line| line.starts_with("icscf.cx_refused")).count(), 2);
}

#[test]
fn a_wrong_answer_to_the_challenge() {
    let mut network = Network::new(1, Weather::CALM);
    let (alice, bob, _) = three(&mut network);
    let wrong = Credential::Password(Secret::new("wrong".to_owned()));
    let mallory = network.password_phone(4, move |config| config.credential = wrong.clone());
    complaints(&mut network);
    assert_eq!(register(&mut network, mallory), 403);
    assert!(once(&complaints(&mut network), "scscf.wrong_response"));
    call(&mut network, alice, bob);
}

#[test]
fn an_unknown_user() {
    let mut network = Network::new(1, Weather::CALM);
    let nobody = network.sim_phone(1, |config| config.username = format!("nobody@{DOMAIN}"));
    complaints(&mut network);
    assert_eq!(register(&mut network, nobody), 403);
    assert!(once(&complaints(&mut network), "icscf.cx_refused"));
}

#[test]
fn a_sim_whose_sequence_numbers_are_ahead() {
    let mut network = Network::new(1, Weather::CALM);
    let ahead = network.sim_phone(1, |config| {
        if let Credential::Sim { sqn, .. } = &mut config.credential {
            *sqn = auth::sqn::Sqn::new(1 << 30, 3);
        }
    });
    complaints(&mut network);
    assert_eq!(register(&mut network, ahead), 200);
    assert!(once(&complaints(&mut network), "hss.resynchronised"));
}
