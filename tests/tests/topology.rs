//! Topology hiding, TS 24.229 §5.10.4: calls through a trunk, and what its far end sees of this network. Every
//! function has a host of its own; nothing that reaches the far end may name one but the border and the
//! relay, or a phone.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use base::Bytes;
use base::flow::Service;
use base::time::Duration;
use cscf::bgcf::config::Peers;
use engine::shard::{Crossing, Direction};
use engine::sim::Weather;
use sip::header::{HeaderName, NameAddr};
use sip::{Message, Method};
use strowger::plan::{Plan, Role};
use strowger_tests::network::{DOMAIN, ip};
use strowger_tests::scenario::WEATHER;
use strowger_tests::{Network, Phone};
use ue::{CallId, Incoming, UeConfig, UeOrder, What};

const TRUNK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 254, 0, 9));
/// Where the BGCF is.
const BORDER: &str = "10.255.0.5";

/// What the far end received, byte for byte.
type Heard = Rc<RefCell<Vec<Bytes>>>;

fn network(change: impl Fn(&mut Plan)) -> (Network, Heard) {
    network_in(1, Weather::CALM, change)
}

fn network_in(seed: u64, weather: Weather, change: impl Fn(&mut Plan)) -> (Network, Heard) {
    let mut network = Network::with_border(seed, weather, move |plan| {
        plan.routes = vec!["default=sip:10.254.0.9".parse().expect("a route")];
        change(plan);
    });
    let heard = Heard::default();
    let tap = Rc::clone(&heard);
    network.sim.tap(move |_, _, crossing: &Crossing<'_>| {
        let there = crossing.to.endpoint.ip() == Some(TRUNK);
        if there && crossing.direction == Direction::Received && crossing.service == Service::Sip {
            tap.borrow_mut().push(crossing.bytes.clone());
        }
    });
    (network, heard)
}

/// A phone whose Call-IDs name its address, with an instance that names the device.
fn alice(network: &mut Network) -> Phone {
    let alice = network.sim_phone(1, |config| {
        config.options.call_id_host = Some(ip(1).to_string());
        config.options.instance = Some("urn:gsma:imei:90420156-025763-0".to_owned());
        config.options.gruu = false;
    });
    network.register(alice);
    alice
}

fn gateway(network: &mut Network, change: impl Fn(&mut UeConfig) + 'static) -> Phone {
    network.outsider("gateway", TRUNK, move |config| {
        config.options.call_id_host = Some(TRUNK.to_string());
        change(config);
    })
}

fn number_at_border(phone: Phone) -> String {
    format!("sip:{}@{BORDER}", phone.tel().trim_start_matches("tel:"))
}

/// Nothing of what the far end got names a host of this network.
fn nothing_shows(heard: &Heard) {
    let heard = heard.borrow();
    assert!(!heard.is_empty(), "the far end gets something");
    let functions = ["hss", "icscf", "scscf", "pcscf", "bgcf", "media"];
    let mut secrets: Vec<String> = functions.map(|name| format!("{name}.{DOMAIN}")).into();
    secrets.extend([1, 3, 4].map(|host| format!("10.255.0.{host}")));
    secrets.extend([ip(0), ip(1)].map(|address| address.to_string()));
    secrets.extend(["90420156", "icid-value", "utran-cell-id"].map(str::to_owned));
    for bytes in heard.iter() {
        let text = String::from_utf8_lossy(bytes);
        for secret in &secrets {
            let digit = |c: char| c.is_ascii_digit();
            let whole = |at: usize| !text[at + secret.len()..].starts_with(digit);
            let shows = text.match_indices(secret.as_str()).any(|(at, _)| whole(at));
            assert!(!shows, "{secret} in\n{text}");
        }
    }
}

fn messages(heard: &Heard) -> Vec<Message> {
    heard.borrow().iter().filter_map(|bytes| Message::parse(bytes.clone()).ok()).collect()
}

/// Holds and takes back: two re-INVITEs, whose other side hears of both.
fn changes(network: &mut Network, (by, call): (Phone, CallId), other: Phone) {
    for held in [true, false] {
        let order = if held { UeOrder::Hold(call) } else { UeOrder::Resume(call) };
        network.order(by, order);
        let (mut done, mut heard) = (false, false);
        let both = network.until(Duration::from_secs(40), |host, report| {
            match &report.what {
                What::Held(_) | What::Resumed(_) if host == by.host => done = true,
                What::HeldByPeer { held: now, .. } if host == other.host => heard = *now == held,
                What::ChangeRefused { status, .. } => panic!("refused with {status}"),
                What::Ended { status, reason, .. } => panic!("it ends: {status} {reason}"),
                _ => {}
            }
            (done && heard).then_some(())
        });
        assert!(both.is_some(), "held: {held}, done: {done}, heard: {heard}");
    }
}

/// Both ends learn of the end, and nothing is left.
fn ends(network: &mut Network, (by, call): (Phone, CallId)) {
    network.run(Duration::from_secs(1));
    network.order(by, UeOrder::Hangup(call));
    let mut ended = 0;
    let both = network.until(Duration::from_secs(40), |_, report| {
        if let What::Ended { status, media, .. } = &report.what {
            assert_eq!(*status, 200);
            assert!(media.stats.received > 20, "{:?}", media.stats);
            ended += 1;
        }
        (ended == 2).then_some(())
    });
    assert!(both.is_some(), "both ends learn of it");
    network.run(Duration::from_secs(40));
    let census = network.census(network.hosts[&Role::Bgcf], "bgcf");
    assert!(census.0.iter().all(|(_, n)| *n == 0), "{census:?}");
}

#[test]
fn a_call_out_shows_nothing_and_is_changed_and_ended_from_both_sides() {
    for ends_by_caller in [true, false] {
        let (mut network, heard) = network(|_| {});
        let gateway = gateway(&mut network, |_| {});
        let alice = alice(&mut network);
        let (caller, called) = network.answered(alice, "tel:+45301", gateway);
        changes(&mut network, (alice, caller), gateway);
        changes(&mut network, (gateway, called), alice);
        ends(&mut network, if ends_by_caller { (alice, caller) } else { (gateway, called) });
        nothing_shows(&heard);
        let all = messages(&heard);
        let invite = all.iter().find(|m| m.method() == Some(&Method::Invite)).expect("an INVITE");
        assert_eq!(invite.list(HeaderName::Via).count(), 1);
        assert_eq!(invite.list(HeaderName::RecordRoute).count(), 1);
        // The dialog has one Call-ID, and the same user as before.
        let calls = |m: &&Message| m.get(HeaderName::CallId) == invite.get(HeaderName::CallId);
        assert!(all.iter().all(|m| calls(&m)), "one Call-ID");
        let contact = invite.list(HeaderName::Contact).next().expect("a Contact");
        assert!(contact.contains("+g.3gpp.icsi-ref"), "{contact}");
    }
}

#[test]
fn a_call_in_shows_nothing_and_is_changed_and_ended_from_both_sides() {
    for ends_by_caller in [true, false] {
        let (mut network, heard) = network(|_| {});
        let gateway = gateway(&mut network, |_| {});
        let alice = alice(&mut network);
        let (caller, called) = network.answered(gateway, &number_at_border(alice), alice);
        changes(&mut network, (gateway, caller), alice);
        changes(&mut network, (alice, called), gateway);
        ends(&mut network, if ends_by_caller { (gateway, caller) } else { (alice, called) });
        nothing_shows(&heard);
    }
}

/// Messages are lost, come twice and out of order: what is repeated is hidden, too.
#[test]
fn bad_weather_shows_nothing() {
    for seed in 1..=10 {
        let (mut network, heard) = network_in(seed, WEATHER, |_| {});
        let gateway = gateway(&mut network, |_| {});
        let alice = alice(&mut network);
        let at_border = number_at_border(alice);
        for (from, to, by) in [(alice, "tel:+45301", gateway), (gateway, &at_border, alice)] {
            let (caller, called) = network.answered(from, to, by);
            changes(&mut network, (by, called), from);
            ends(&mut network, if seed % 2 == 0 { (from, caller) } else { (by, called) });
        }
        nothing_shows(&heard);
    }
}

/// Nothing but the store outlives the BGCF: the calls go on.
#[test]
fn calls_outlive_the_border() {
    let (mut network, heard) = network(|_| {});
    let gateway = gateway(&mut network, |_| {});
    let alice = alice(&mut network);
    let (caller, called) = network.answered(alice, "tel:+45301", gateway);
    network.run(Duration::from_secs(1));
    network.restart(Role::Bgcf);
    network.run(Duration::from_secs(1));
    changes(&mut network, (gateway, called), alice);
    changes(&mut network, (alice, caller), gateway);
    network.restart(Role::Bgcf);
    ends(&mut network, (gateway, called));
    let (caller, _) = network.answered(gateway, &number_at_border(alice), alice);
    network.run(Duration::from_secs(1));
    network.restart(Role::Bgcf);
    changes(&mut network, (gateway, caller), alice);
    ends(&mut network, (gateway, caller));
    nothing_shows(&heard);
}

/// How the caller's call ends that `caller` cancels while it rings.
fn cancelled(network: &mut Network, from: Phone, to: &str, by: Phone) -> u16 {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let (mut call, mut rings) = (None, false);
    let ringing = network.until(Duration::from_secs(40), |host, report| {
        match &report.what {
            What::Ringing { call: id, .. } if host == from.host => call = Some(*id),
            What::Incoming { .. } if host == by.host => rings = true,
            What::Ended { status, reason, .. } => panic!("it ends: {status} {reason}"),
            _ => {}
        }
        call.filter(|_| rings)
    });
    network.order(from, UeOrder::Hangup(ringing.expect("it rings")));
    let (mut here, mut there) = (None, false);
    let both = network.until(Duration::from_secs(40), |host, report| {
        if let What::Ended { status, .. } = &report.what {
            match host == from.host {
                true => here = Some(*status),
                false => there = true,
            }
        }
        here.filter(|_| there)
    });
    let status = both.expect("both ends learn of it");
    network.run(Duration::from_secs(40));
    let census = network.census(network.hosts[&Role::Bgcf], "bgcf");
    assert!(census.0.iter().all(|(_, n)| *n == 0), "{census:?}");
    status
}

#[test]
fn a_call_that_is_cancelled_shows_nothing() {
    let (mut network, heard) = network(|_| {});
    let gateway = gateway(&mut network, |config| config.incoming = Incoming::Manual);
    let alice = network.sim_phone(1, |config| {
        config.options.call_id_host = Some(ip(1).to_string());
        config.incoming = Incoming::Manual;
    });
    network.register(alice);
    assert_eq!(cancelled(&mut network, alice, "tel:+45301", gateway), 487);
    assert_eq!(cancelled(&mut network, gateway, &number_at_border(alice), alice), 487);
    nothing_shows(&heard);
    let all = messages(&heard);
    assert!(all.iter().any(|m| m.method() == Some(&Method::Cancel)));
    assert!(all.iter().any(|m| m.status() == 487));
}

/// The status that a call ends with.
fn refused(network: &mut Network, from: Phone, to: &str) -> u16 {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let end = network.until(Duration::from_secs(60), |host, report| match &report.what {
        What::Ended { status, .. } if host == from.host => Some(*status),
        _ => None,
    });
    end.expect("the call ends")
}

#[test]
fn a_refusal_shows_nothing() {
    let (mut network, heard) = network(|_| {});
    let gateway = gateway(&mut network, |config| config.incoming = Incoming::Reject(486));
    let alice = network.sim_phone(1, |config| config.incoming = Incoming::Reject(302));
    network.register(alice);
    // Of the far end, of a phone (with a Contact), of the I-CSCF and of the border itself.
    assert_eq!(refused(&mut network, alice, "tel:+45301"), 486);
    assert_eq!(refused(&mut network, gateway, &number_at_border(alice)), 302);
    let nobody = format!("sip:+493000000077@{BORDER}");
    assert_eq!(refused(&mut network, gateway, &nobody), 404);
    assert_eq!(refused(&mut network, gateway, &format!("sip:alice@{BORDER}")), 404);
    nothing_shows(&heard);
    // Nor does a dead phone.
    network.sim.crash(alice.host);
    let status = refused(&mut network, gateway, &number_at_border(alice));
    assert!([408, 480, 504].contains(&status), "{status}");
    nothing_shows(&heard);
}

/// What the far end says within the call, made of what it got.
fn bye(invite: &Message, route: &str, to_tag: &str) -> Vec<u8> {
    let get = |name| invite.get(name).expect("every INVITE has it");
    let contact = NameAddr::parse(get(HeaderName::Contact)).expect("a Contact").uri.to_owned();
    let (from, to, call) = (get(HeaderName::From), get(HeaderName::To), get(HeaderName::CallId));
    let branch = route.bytes().fold(0u64, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte));
    format!(
        "BYE {contact} SIP/2.0\r\nVia: SIP/2.0/UDP {TRUNK}:5060;branch=z9hG4bKforged{branch}\r\n\
         Max-Forwards: 70\r\nRoute: {route}\r\nFrom: {to};tag={to_tag}\r\nTo: {from}\r\n\
         Call-ID: {call}\r\nCSeq: 77 BYE\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn a_token_that_is_forged_or_garbled_is_refused() {
    let (mut network, heard) = network(|_| {});
    let gateway = gateway(&mut network, |_| {});
    let alice = alice(&mut network);
    let (caller, _) = network.answered(alice, "tel:+45301", gateway);
    network.run(Duration::from_secs(1));
    let invite = messages(&heard).into_iter().find(|m| m.method() == Some(&Method::Invite));
    let invite = invite.expect("an INVITE");
    let route = invite.list(HeaderName::RecordRoute).next().expect("a route").to_owned();
    let at = route.find("thig.").expect("a token") + 20;
    let other = if &route[at..=at] == "A" { "B" } else { "A" };
    let garbled = [&route[..at], other, &route[at + 1..]].concat();
    let contact = invite.get(HeaderName::Contact).expect("a Contact");
    let target = NameAddr::parse(contact).expect("a Contact").uri;
    network.sim.logs();
    for wrong in [
        garbled,
        // The token of a Contact is none of routes, and nor is what stands in our inner Record-Route.
        format!("<{target};lr>"),
        format!("<sip:thig.out@{BORDER};lr>, <sip:10.255.0.3;lr>"),
        format!("<sip:thig.in.000000000000@{BORDER};lr>, <sip:10.255.0.3;lr>"),
        // Only who sees this network may choose its own way in it.
        format!("<sip:pstn@{BORDER};lr>, <sip:10.255.0.3;lr>"),
    ] {
        let before = heard.borrow().len();
        network.send(gateway, bye(&invite, &wrong, "x"));
        network.run(Duration::from_secs(2));
        let answers = messages(&heard).split_off(before);
        let statuses: Vec<u16> = answers.iter().map(Message::status).collect();
        assert_eq!(statuses, [481], "{wrong}");
        // The border itself refuses it, and nobody behind it hears of it.
        let logs = network.sim.logs();
        let refusals = logs.iter().filter(|line| line.event.counter.ends_with(".refused"));
        let refusals: Vec<_> = refusals.map(|line| line.event.text.as_str()).collect();
        let [refusal] = refusals[..] else { panic!("{wrong}: {refusals:?}") };
        assert!(refusal.starts_with(&format!("from {TRUNK}")), "{wrong}: {refusal}");
    }
    // The call stands.
    ends(&mut network, (alice, caller));
    nothing_shows(&heard);
}

/// Whoever has nothing but the tokens cannot tell that two calls are of one phone.
#[test]
fn no_token_stands_in_two_calls() {
    let (mut network, heard) = network(|_| {});
    let gateway = gateway(&mut network, |_| {});
    let alice = alice(&mut network);
    for _ in 0..2 {
        let (caller, _) = network.answered(alice, "tel:+45301", gateway);
        ends(&mut network, (alice, caller));
    }
    let all = messages(&heard);
    let invites: Vec<_> = all.iter().filter(|m| m.method() == Some(&Method::Invite)).collect();
    let [first, second] = invites[..] else { panic!("{}", invites.len()) };
    for name in [HeaderName::RecordRoute, HeaderName::Contact, HeaderName::CallId] {
        assert_ne!(first.get(name), second.get(name), "{name:?}");
    }
}

#[test]
fn who_may_see_this_network_sees_it() {
    let (mut network, heard) = network(|plan| {
        plan.shown_to =
            Peers { names: Vec::new(), networks: base::trust::Networks::new(vec![(TRUNK, 32)]) };
    });
    let gateway = gateway(&mut network, |_| {});
    let alice = alice(&mut network);
    let (caller, called) = network.answered(alice, "tel:+45301", gateway);
    changes(&mut network, (gateway, called), alice);
    ends(&mut network, (alice, caller));
    let (caller, _) = network.answered(gateway, &number_at_border(alice), alice);
    ends(&mut network, (gateway, caller));
    let all = messages(&heard);
    let invite = all.iter().find(|m| m.method() == Some(&Method::Invite)).expect("an INVITE");
    assert!(invite.list(HeaderName::Via).count() > 2);
    assert!(invite.get(HeaderName::CallId).is_some_and(|call| call.ends_with("@10.0.0.2")));
    let contact = invite.get(HeaderName::Contact).expect("a Contact");
    assert!(contact.contains("10.0.0.2"), "{contact}");
    // What is internal stays behind nevertheless.
    assert!(all.iter().all(|m| !m.has(HeaderName::PChargingVector)));
    assert!(all.iter().all(|m| !m.has(HeaderName::PAccessNetworkInfo)));
}
