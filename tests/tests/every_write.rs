//! The process dies at each operation of its disk in turn, a commit torn in the middle: it opens its store
//! again, knows every subscriber, uses no sequence number twice, and everybody can register and call.

use base::time::Duration;
use engine::sim::Weather;
use strowger_tests::{Network, Phone};
use ue::{UeOrder, What};

/// Operations of the disk in such an evening, roughly: what is tested must not shrink unseen.
const LEAST: u64 = 50;

/// Lets the network go on for a while; if it dies meanwhile, it starts again. Whether it died.
fn go_on(network: &mut Network, seconds: u64) -> bool {
    let core = network.core;
    let mut died = false;
    for _ in 0..seconds * 10 {
        network.run(Duration::from_millis(100));
        if !network.sim.is_up(core) {
            network.sim.restart(core);
            died = true;
        }
    }
    died
}

/// Alice calls Bob, who answers.
fn call(network: &mut Network, alice: Phone, bob: Phone) -> Result<(), String> {
    network.order(alice, UeOrder::Call { to: bob.tel(), token: 9 });
    let answered = network.until(Duration::from_secs(60), |host, report| match &report.what {
        What::Answered { .. } if host == alice.host => Some(Ok(())),
        What::Ended { status, reason, .. } if host == alice.host => {
            Some(Err(format!("{status} {reason}")))
        }
        _ => None,
    });
    answered.unwrap_or(Err("nobody answers".to_owned()))
}

/// An evening in which the disk fails at its operation of this number; whether it came to that.
fn evening(operation: u64) -> bool {
    let mut network = Network::new(operation, Weather::CALM);
    let phones = [1, 2].map(|number| network.sim_phone(number, |_| {}));
    let [alice, bob] = phones;
    network.run(Duration::from_secs(1));
    network.sim.crash_at_write(network.core, operation);
    let mut died = false;
    for order in [UeOrder::Register, UeOrder::Deregister, UeOrder::Register] {
        for phone in phones {
            network.order(phone, order.clone());
            died |= go_on(&mut network, 2);
        }
    }
    network.order(alice, UeOrder::Call { to: bob.tel(), token: 1 });
    died |= go_on(&mut network, 5);
    // Whatever a phone was in the middle of has failed by now.
    died |= go_on(&mut network, 120);
    // What comes now is not disturbed any more.
    network.sim.crash_at_write(network.core, u64::MAX);
    let logs = network.sim.logs();
    let again = logs.iter().find(|line| line.event.counter == "hss.resynchronised");
    assert!(again.is_none(), "operation {operation}: a sequence number was used twice: {again:?}");
    for phone in phones {
        network.register(phone);
    }
    if let Err(why) = call(&mut network, alice, bob) {
        panic!("operation {operation}: the call fails: {why}");
    }
    died
}

#[test]
fn whatever_was_being_written() {
    let mut operation = 1;
    while evening(operation) {
        operation += 1;
    }
    assert!(operation > LEAST, "{operation} operations");
}
