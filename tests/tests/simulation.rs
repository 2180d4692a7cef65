//! Registrations and calls through the whole network, in virtual time.

use base::time::Duration;
use engine::sim::Weather;
use strowger_tests::Network;
use strowger_tests::network::sound;
use ue::{UeOrder, What};

#[test]
fn a_phone_with_a_password_registers() {
    let mut network = Network::new(1, Weather::CALM);
    let phone = network.password_phone(1, |_| {});
    network.register(phone);
}

#[test]
fn a_phone_with_a_sim_registers_and_deregisters() {
    let mut network = Network::new(1, Weather::CALM);
    let phone = network.sim_phone(1, |_| {});
    network.register(phone);
    network.order(phone, UeOrder::Deregister);
    let gone = network.until(Duration::from_secs(5), |_, report| {
        matches!(report.what, What::Deregistered { .. }).then_some(())
    });
    assert!(gone.is_some());
}

#[test]
fn two_phones_call_and_hear_each_other() {
    let mut network = Network::new(1, Weather::CALM);
    let alice = network.sim_phone(1, |c| c.audio = sound(rtp::prompts::ALICE));
    let bob = network.sim_phone(2, |c| c.audio = sound(rtp::prompts::BOB));
    network.register(alice);
    network.register(bob);
    network.order(alice, UeOrder::Call { to: bob.tel(), token: 7 });
    let call = network.until(Duration::from_secs(10), |host, report| match &report.what {
        What::Answered { call, .. } if host == alice.host => Some(*call),
        What::Ended { status, reason, .. } => panic!("{status} {reason}"),
        _ => None,
    });
    let call = call.expect("the call is answered");
    network.run(Duration::from_secs(6));
    network.order(alice, UeOrder::Hangup(call));
    let mut heard = Vec::new();
    network.until(Duration::from_secs(5), |host, report| {
        if let What::Ended { media, .. } = &report.what {
            heard.push((host, media.clone()));
        }
        (heard.len() == 2).then_some(())
    });
    for (host, media) in heard {
        let spoken = if host == alice.host { rtp::prompts::BOB } else { rtp::prompts::ALICE };
        let likeness = rtp::likeness::compare(&sound(spoken).samples, &media.recording);
        assert_eq!(
            likeness.verdict(),
            rtp::likeness::Verdict::Same,
            "{likeness:?} {:?}",
            media.stats
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let mut network = Network::new(seed, Weather::STORM);
        let phone = network.sim_phone(1, |_| {});
        network.register(phone);
        network.sim.trace().text().to_owned()
    };
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5), trace(6));
}
