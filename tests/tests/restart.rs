//! The process is killed and started again: what it had promised still holds.

use base::store::Table;
use base::time::Duration;
use engine::DiskStore;
use engine::shard::Store;
use engine::sim::Weather;
use strowger_tests::Network;
use strowger_tests::scenario::WEATHER;
use ue::{UeOrder, What};

/// The core dies at any moment after the registration; its disk loses or tears what was not synced.
/// The phone does not register again, and a call to it still rings and is answered.
#[test]
fn an_incoming_call_still_rings_after_a_crash() {
    for seed in 1..=20 {
        for weather in [Weather::CALM, WEATHER] {
            let mut network = Network::new(seed, weather);
            let alice = network.sim_phone(1, |_| {});
            let bob = network.sim_phone(2, |_| {});
            network.register(alice);
            network.register(bob);
            // Bindings are written behind, within 50 ms.
            network.run(Duration::from_millis(60 + 7 * seed));
            let core = network.core;
            network.sim.crash(core);
            network.run(Duration::from_secs(seed % 5));
            network.sim.restart(core);
            network.run(Duration::from_millis(500));
            network.order(alice, UeOrder::Call { to: bob.tel(), token: 1 });
            let mut rings = false;
            let answered = network.until(Duration::from_secs(60), |host, report| {
                match &report.what {
                    What::Registered { .. } => panic!("seed {seed}: {host:?} registered again"),
                    What::Incoming { .. } if host == bob.host => rings = true,
                    What::Answered { .. } if host == alice.host => return Some(()),
                    What::Ended { status, reason, .. } => {
                        panic!("seed {seed} {weather:?}: {host:?}: {status} {reason}")
                    }
                    _ => {}
                }
                None
            });
            assert!(rings && answered.is_some(), "seed {seed} {weather:?}: rings: {rings}");
        }
    }
}

/// What the disk of the crashed core has in a table.
fn records(network: &Network, table: Table) -> usize {
    let mut count = 0;
    let mut store = DiskStore::simulated(network.sim.disk(network.core).clone());
    store.restore(table, &mut |_, _| count += 1).expect("the disk can be read");
    count
}

/// A registration that ran out while the core was down is not kept for ever.
#[test]
fn what_ran_out_meanwhile_is_forgotten() {
    let mut network = Network::new(1, Weather::CALM);
    let phone = network.sim_phone(1, |config| config.expires = 600);
    network.register(phone);
    network.run(Duration::from_secs(1));
    let core = network.core;
    network.sim.crash(core);
    let tables = [cscf::pcscf::TABLE, cscf::scscf::TABLE];
    for table in tables {
        assert_eq!(records(&network, table), 1, "{table:?}");
    }
    // The phone tries again at 300 s; nobody hears it.
    network.run(Duration::from_secs(20));
    network.order(phone, UeOrder::Deregister);
    // Half a lifetime more than is stored: a refresh may not have been written.
    network.run(Duration::from_secs(900));
    network.sim.restart(core);
    network.run(Duration::from_secs(10));
    network.sim.crash(core);
    for table in tables {
        assert_eq!(records(&network, table), 0, "{table:?}");
    }
}

/// Calls outlive the crash of the core: its functions keep nothing of a dialog, so that the BYE of
/// either side still finds its way.
#[test]
fn a_call_is_ended_properly_after_a_crash() {
    for seed in 1..=10 {
        let mut network = Network::new(seed, Weather::CALM);
        let alice = network.sim_phone(1, |_| {});
        let bob = network.sim_phone(2, |_| {});
        network.register(alice);
        network.register(bob);
        network.order(alice, UeOrder::Call { to: bob.tel(), token: 1 });
        let mut calls = Vec::new();
        network.until(Duration::from_secs(10), |host, report| {
            if let What::Answered { call, .. } = report.what {
                calls.push((host, call));
            }
            (calls.len() == 2).then_some(())
        });
        network.run(Duration::from_millis(200 + 10 * seed));
        let core = network.core;
        network.sim.restart(core);
        network.run(Duration::from_secs(1));
        let (host, call) = calls[seed as usize % 2];
        let phone = if host == alice.host { alice } else { bob };
        network.order(phone, UeOrder::Hangup(call));
        let mut ended = Vec::new();
        network.until(Duration::from_secs(40), |host, report| {
            if let What::Ended { by, status, .. } = report.what {
                ended.push((host, by, status));
            }
            (ended.len() == 2).then_some(())
        });
        assert_eq!(ended.len(), 2, "seed {seed}: {ended:?}");
        assert!(ended.iter().all(|(_, by, _)| *by != ue::By::Failure), "seed {seed}: {ended:?}");
    }
}

/// A proxy that crashed cancels nothing any more: the called phone does not ring for ever.
#[test]
fn a_ringing_phone_gives_up_when_the_core_forgot_the_call() {
    let mut network = Network::new(1, Weather::CALM);
    let alice = network.sim_phone(1, |_| {});
    let bob = network.sim_phone(2, |config| config.incoming = ue::Incoming::Manual);
    network.register(alice);
    network.register(bob);
    network.order(alice, UeOrder::Call { to: bob.tel(), token: 1 });
    let rings = network.until(Duration::from_secs(10), |host, report| {
        (host == bob.host && matches!(report.what, What::Incoming { .. })).then_some(())
    });
    assert!(rings.is_some());
    let core = network.core;
    network.sim.restart(core);
    let ended = network.until(Duration::from_secs(300), |host, report| {
        (host == bob.host && matches!(report.what, What::Ended { .. })).then_some(())
    });
    assert!(ended.is_some(), "bob's phone rings for ever");
}
