//! Public service identities, TS 23.228 §5.4.12: addresses of services, distinct or wildcarded, which the
//! I-CSCF leads to their server, or an S-CSCF by filter criteria.

use std::net::IpAddr;

use base::time::Duration;
use engine::sim::{HostId, Weather};
use hss::Psi;
use strowger::plan::Role;
use strowger_tests::network::DOMAIN;
use strowger_tests::server::{Manner, SAW};
use strowger_tests::{Network, Phone};
use ue::{UeOrder, What};

const FIRST: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 1));
const SECOND: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 2));

fn psis(texts: &[&str]) -> Vec<Psi> {
    let whole = |text: &&str| text.replace("@", &format!("@{DOMAIN}"));
    texts.iter().map(|text| whole(text).parse().expect("a public service identity")).collect()
}

/// A network with these services, its two servers, and a registered phone.
fn network(texts: &[&str]) -> (Network, Phone, [HostId; 2]) {
    let psis = psis(texts);
    let mut network = Network::spread_with(1, Weather::CALM, None, |plan| {
        plan.trusted.push((FIRST, 24));
        plan.psis.clone_from(&psis);
    });
    let servers = [
        network.server("first", FIRST, Manner::Answer(486)),
        network.server("second", SECOND, Manner::Answer(603)),
    ];
    let alice = network.sim_phone(1, |_| {});
    network.register(alice);
    network.run(Duration::from_secs(1));
    network.sim.logs();
    (network, alice, servers)
}

/// The status that a call ends with, and which servers saw what of it.
fn call(network: &mut Network, from: Phone, to: &str) -> (u16, Vec<(HostId, String)>) {
    let to = if to.contains('@') { to.to_owned() } else { format!("sip:{to}@{DOMAIN}") };
    network.order(from, UeOrder::Call { to, token: 1 });
    let status = network.until(Duration::from_secs(10), |host, report| match &report.what {
        What::Ended { status, .. } if host == from.host => Some(*status),
        _ => None,
    });
    let logs = network.sim.logs().into_iter().filter(|logged| logged.event.counter == SAW);
    (status.expect("the call ends"), logs.map(|l| (l.host, l.event.text)).collect())
}

#[test]
fn the_icscf_leads_to_the_server() {
    let (mut network, alice, [first, _]) = network(&["sip:weather@ at sip:10.254.0.1"]);
    let (status, saw) = call(&mut network, alice, "weather");
    assert_eq!(status, 486);
    let [(host, text)] = &saw[..] else { panic!("{saw:?}") };
    assert_eq!(*host, first);
    assert!(text.starts_with("INVITE from 10.255.0.1:"), "from the I-CSCF: {text}");
    assert_eq!(call(&mut network, alice, "climate"), (404, vec![]));
}

#[test]
fn an_scscf_runs_the_criteria_of_a_wildcarded_service() {
    let (mut network, alice, [first, second]) = network(&[
        "sip:room-!\\d+!@ by sip:10.254.0.1 when method=INVITE and case=terminating-unregistered",
        "sip:room-7@ by sip:10.254.0.2",
    ]);
    for _ in 0..2 {
        for room in ["room-1", "room-23"] {
            let (status, saw) = call(&mut network, alice, room);
            assert_eq!(status, 486, "{room}");
            let [(host, text)] = &saw[..] else { panic!("{saw:?}") };
            assert_eq!(*host, first);
            assert!(text.starts_with("INVITE from 10.255.0.3:"), "from the S-CSCF: {text}");
            let served = format!(" for <sip:{room}@{DOMAIN}>;sescase=term;regstate=unreg");
            assert!(text.ends_with(&served), "{text}");
        }
        let (status, saw) = call(&mut network, alice, "room-7");
        assert_eq!((status, saw[0].0), (603, second), "the distinct one goes first");
        assert_eq!(call(&mut network, alice, "room-x"), (404, vec![]));
        // Who begins anew asks the HSS again.
        network.restart(Role::Scscf);
        network.run(Duration::from_millis(500));
        network.register(alice);
        network.run(Duration::from_secs(1));
        network.sim.logs();
    }
    let users = network.census(network.hosts[&Role::Scscf], "scscf").count("bindings");
    assert_eq!(users, 1, "the phone alone");
}

/// What an operator changes counts for the next call.
#[test]
fn a_changed_service_counts_at_once() {
    let (mut network, alice, [first, second]) = network(&["sip:room-!.*!@ by sip:10.254.0.1"]);
    assert_eq!(call(&mut network, alice, "room-1").1[0].0, first);
    let mut plan = strowger::plan::Plan::all_in_one(DOMAIN);
    plan.trusted.push((IpAddr::from([10, 255, 0, 0]), 16));
    for (now, expected) in [
        (&["sip:room-!.*!@ by sip:10.254.0.2"][..], Some(second)),
        (&["sip:room-!.*!@ at sip:10.254.0.1"][..], Some(first)),
        (&[][..], None),
    ] {
        plan.psis = psis(now);
        let order = strowger::assembly::order(&plan, Role::Hss);
        assert!(network.sim.order(network.core, "hss", order), "the HSS runs");
        let (status, saw) = call(&mut network, alice, "room-1");
        assert_eq!(saw.first().map(|(host, _)| *host), expected, "{now:?}");
        assert_eq!(status == 404, expected.is_none());
    }
}

/// A subscriber's identity is no service's, whatever expression it fits.
#[test]
fn subscribers_go_before_services() {
    let (mut network, alice, _) = network(&["sip:!.*!@ by sip:10.254.0.1"]);
    let bob = network.password_phone(2, |config| config.incoming = ue::Incoming::Reject(488));
    network.register(bob);
    network.sim.logs();
    assert_eq!(call(&mut network, alice, "user2"), (488, vec![]));
    assert_eq!(call(&mut network, alice, "user3").0, 486);
}
