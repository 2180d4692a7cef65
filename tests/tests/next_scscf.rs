//! The next S-CSCF when one is away, TS 24.229 §5.3.1.3: whoever registers again is served by another one,
//! which knows nothing of him yet.

use base::time::Duration;
use engine::sim::Weather;
use strowger_tests::nodes::Nodes;
use strowger_tests::scenario::WEATHER;
use strowger_tests::{Network, Phone};
use ue::{By, UeOrder, What};

const SOON: Duration = Duration::from_secs(2);

fn bindings(nodes: &mut Nodes, which: usize) -> u64 {
    let host = nodes.scscf[which];
    nodes.network.census(host, "scscf").count("bindings") as u64
}

/// One calls the other, who answers; then they hang up.
fn call(network: &mut Network, from: Phone, to: Phone) {
    network.order(from, UeOrder::Call { to: to.tel(), token: 1 });
    let mut id = None;
    let stands = network.until(Duration::from_secs(60), |host, report| match &report.what {
        What::Answered { call, .. } if host == from.host => {
            id = Some(*call);
            Some(())
        }
        What::Ended { status, reason, .. } => panic!("{host:?}: {status} {reason}"),
        _ => None,
    });
    assert!(stands.is_some(), "the call is answered");
    network.run(Duration::from_secs(8));
    network.order(from, UeOrder::Hangup(id.expect("it was just seen")));
    let mut ended = Vec::new();
    network.until(Duration::from_secs(40), |_, report| {
        if let What::Ended { by, .. } = &report.what {
            ended.push(*by);
        }
        (ended.len() == 2).then_some(())
    });
    assert!(ended.len() == 2 && !ended.contains(&By::Failure), "{ended:?}");
}

/// Alice and Bob are registered at the first S-CSCF, which dies. Who registers again moves to the second one.
fn moved(seed: u64, weather: Weather) -> (Nodes, [Phone; 2]) {
    let mut nodes = Nodes::apart(seed, weather);
    let phones = [1, 2].map(|number| nodes.network.sim_phone(number, |_| {}));
    for phone in phones {
        nodes.network.register(phone);
    }
    assert_eq!(bindings(&mut nodes, 0), 2);
    let [first, _] = nodes.scscf;
    nodes.network.sim.crash(first);
    for phone in phones {
        let before = nodes.network.sim.now();
        let after = nodes.network.register(phone);
        // The phone waits for one answer that does not come, and no longer.
        assert!(after < before + Duration::from_secs(20), "{before:?} {after:?}");
    }
    nodes.network.run(SOON);
    assert_eq!(bindings(&mut nodes, 1), 2);
    (nodes, phones)
}

#[test]
fn another_s_cscf_serves_whoever_registers_again() {
    for seed in 1..=5 {
        for weather in [Weather::CALM, WEATHER] {
            let (mut nodes, [alice, bob]) = moved(seed, weather);
            call(&mut nodes.network, alice, bob);
            call(&mut nodes.network, bob, alice);
            // A new one goes where somebody is.
            let carol = nodes.network.sim_phone(3, |_| {});
            nodes.network.register(carol);
            call(&mut nodes.network, carol, alice);
        }
    }
}

/// It comes back with what was on its disk: the HSS tells it who is not its user any more, and no phone hears
/// of that.
#[test]
fn an_s_cscf_that_comes_back_forgets_whom_it_lost() {
    let (mut nodes, [alice, bob]) = moved(1, Weather::CALM);
    let [first, _] = nodes.scscf;
    nodes.network.sim.restart(first);
    let heard = nodes.network.run(Duration::from_secs(60));
    assert!(heard.is_empty(), "{heard:?}");
    assert_eq!([bindings(&mut nodes, 0), bindings(&mut nodes, 1)], [0, 2]);
    call(&mut nodes.network, alice, bob);
    // Phones stay where they are.
    nodes.network.register(alice);
    assert_eq!([bindings(&mut nodes, 0), bindings(&mut nodes, 1)], [0, 2]);
}

#[test]
fn where_no_s_cscf_is_left_the_phone_is_told() {
    let (mut nodes, [alice, _]) = moved(2, Weather::CALM);
    let [_, second] = nodes.scscf;
    nodes.network.sim.crash(second);
    nodes.network.sim.logs();
    nodes.network.order(alice, UeOrder::Register);
    let status = nodes.network.until(Duration::from_secs(60), |host, report| match &report.what {
        What::RegistrationFailed { status, .. } if host == alice.host => Some(*status),
        _ => None,
    });
    assert!(status.is_some_and(|status| [408, 504].contains(&status)), "{status:?}");
    nodes.network.run(Duration::from_secs(40));
    let told = nodes.network.sim.logs();
    let refused = |line: &&engine::sim::Logged| line.event.counter == "icscf.refused";
    let why = told.iter().find(refused).map(|line| line.event.text.clone());
    assert!(why.is_some_and(|why| why.ends_with("504: no S-CSCF answers")), "{told:?}");
}
