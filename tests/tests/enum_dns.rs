//! ENUM, RFC 6116 and TS 24.229 §5.4.3.2: DNS says whose a number is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base::machine::Naptr;
use base::time::Duration;
use engine::sim::Weather;
use strowger::plan::Role;
use strowger_tests::network::DOMAIN;
use strowger_tests::{Network, Phone};
use ue::{UeOrder, What};

const FOREIGN: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 254, 0, 7));
const TRUNK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 254, 0, 9));

/// A network that asks DNS, and has a trunk for what it does not know there.
fn network(rules: &[(&str, &str, &str)]) -> Network {
    let mut network = Network::new_with(1, Weather::CALM, |plan| {
        plan.here.insert(Role::Bgcf, vec![SocketAddr::new(strowger_tests::network::ip(0), 5080)]);
        plan.routes = vec![format!("default=sip:{TRUNK}").parse().expect("a route")];
        plan.enum_suffix = Some("e164.arpa".to_owned());
    });
    for (domain, regexp, replacement) in rules {
        let to_domain = regexp.is_empty();
        let record = Naptr {
            order: 10,
            preference: 10,
            flags: if to_domain { "" } else { "u" }.to_owned(),
            services: if to_domain { "" } else { "e2u+sip" }.to_owned(),
            regexp: (*regexp).to_owned(),
            replacement: (*replacement).to_owned(),
        };
        network.sim.naptr(domain, vec![record]);
    }
    network
}

/// Where a call arrives, and as what, or the status that it ends with.
fn arrives(network: &mut Network, from: Phone, to: &str, at: Phone) -> Result<String, u16> {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let mut begun = None;
    let end = network.until(Duration::from_secs(20), |host, report| match &report.what {
        What::Calling { call, .. } if host == from.host => {
            begun = Some(*call);
            None
        }
        What::Incoming { called, .. } if host == at.host => Some(Ok(called.clone())),
        What::Incoming { .. } => panic!("it arrives elsewhere"),
        What::Ended { status, .. } if host == from.host => Some(Err(*status)),
        _ => None,
    });
    let end = end.expect("the call arrives or ends");
    if end.is_ok() {
        network.order(from, UeOrder::Hangup(begun.expect("it has begun")));
        network.run(Duration::from_secs(40));
    }
    let census = network.census(network.core, "scscf");
    let stays = ["bindings", "watchers", "challenges"];
    assert!(census.0.iter().all(|(what, n)| *n == 0 || stays.contains(what)), "{census:?}");
    end
}

#[test]
fn a_number_is_where_dns_says() {
    let foreign = format!("!^\\+45(.*)$!sip:\\1@{FOREIGN}!");
    let ours = format!("!^.*$!sip:+493000000002@{DOMAIN}!");
    let mut network = network(&[
        ("1.0.3.5.4.e164.arpa", &foreign, ""),
        ("2.0.3.5.4.e164.arpa", &ours, ""),
        ("3.0.3.5.4.e164.arpa", "!(!sip:a@b!", ""),
        ("4.0.3.5.4.e164.arpa", "", "elsewhere.test"),
        ("elsewhere.test", &ours, ""),
        ("5.0.3.5.4.e164.arpa", "", "loop.test"),
        ("loop.test", "", "loop.test"),
    ]);
    let alice = network.sim_phone(1, |_| {});
    let bob = network.sim_phone(2, |_| {});
    network.register(alice);
    network.register(bob);
    let other = network.outsider("other", FOREIGN, |_| {});
    let gateway = network.outsider("gateway", TRUNK, |_| {});
    assert_eq!(arrives(&mut network, alice, "+45301", other), Ok(format!("sip:301@{FOREIGN}")));
    let bobs = format!("sip:+493000000002@{DOMAIN}");
    assert_eq!(arrives(&mut network, alice, "+45302", bob), Ok(bobs.clone()), "our own domain");
    assert_eq!(arrives(&mut network, alice, "+45304", bob), Ok(bobs), "another domain knows");
    // What DNS does not know is looked for here, and then leaves by the trunk.
    for (number, why) in
        [("+45303", "an unusable rule"), ("+45305", "a circle"), ("+45309", "none")]
    {
        let called = format!("sip:{number}@{TRUNK};user=phone");
        assert_eq!(arrives(&mut network, alice, number, gateway), Ok(called), "{why}");
    }
    let called = arrives(&mut network, alice, &bob.tel(), bob).expect("it arrives");
    assert_eq!(called, bob.tel(), "a number of ours that DNS does not know");
}
