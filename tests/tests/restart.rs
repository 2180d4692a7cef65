//! The process is killed and started again: what it had promised still holds.

use base::time::Duration;
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
