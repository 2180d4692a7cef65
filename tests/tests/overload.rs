//! Overload control, RFC 7339, in whole networks; how it settles between two stacks is in
//! `protocols/sip/tests/overload.rs`.

use std::net::IpAddr;

use base::time::Duration;
use engine::sim::Weather;
use strowger_tests::server::{Manner, SAW};
use strowger_tests::{Network, Phone};
use ue::{UeOrder, What};

const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 1));

/// The status that a text is answered with.
fn text(network: &mut Network, from: Phone, to: Phone) -> u16 {
    let text = "hello".to_owned();
    network.order(from, UeOrder::Message { to: to.tel(), text, token: 1 });
    let status = network.until(Duration::from_secs(10), |host, report| match &report.what {
        What::MessageResult { status, .. } if host == from.host => Some(*status),
        _ => None,
    });
    status.expect("an answer")
}

/// An application server that asks for less gets less. What happens without it is the default handling; what
/// it asked for ends.
#[test]
fn a_server_that_asks_for_less_gets_less() {
    for (handling, without) in [("continued", 200), ("terminated", 503)] {
        let mut network = Network::spread_with(1, Weather::CALM, None, |plan| {
            plan.trusted.push((SERVER, 24));
        });
        network.server("server", SERVER, Manner::AskForLess(100));
        let ifc =
            format!("sip:10.254.0.1 default={handling} when method=MESSAGE and case=originating");
        let alice = network.served_phone(1, &[&ifc], |_| {});
        let bob = network.sim_phone(2, |_| {});
        network.register(alice);
        network.register(bob);
        network.run(Duration::from_secs(2));
        network.sim.logs();
        let seen = |network: &mut Network| {
            let logs: Vec<_> = network.sim.logs().into_iter().map(|l| l.event).collect();
            let count = |counter| logs.iter().filter(|event| event.counter == counter).count();
            (count(SAW), count("sip.asked_for_less"), count("sip.left_out"))
        };
        assert_eq!(text(&mut network, alice, bob), 200);
        assert_eq!(seen(&mut network), (1, 1, 0));
        assert_eq!(text(&mut network, alice, bob), without);
        assert_eq!(seen(&mut network), (0, 0, 1));
        network.run(Duration::from_secs(61));
        assert_eq!(text(&mut network, alice, bob), 200);
        assert_eq!(seen(&mut network).0, 1, "it has had its rest");
    }
}
