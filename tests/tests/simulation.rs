//! Registrations and calls through the whole network, in virtual time.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use auth::digest::Algorithm;
use base::Transport;
use base::redact::Secret;
use base::time::Duration;
use engine::sim::Weather;
use strowger::plan::{Plan, Role};
use strowger_tests::Network;
use strowger_tests::network::{DOMAIN, Phone, sound};
use ue::{Credential, UeConfig, UeOrder, What};

#[test]
fn a_phone_with_a_password_registers() {
    let mut network = Network::new(1, Weather::CALM);
    let phone = network.password_phone(1, |_| {});
    network.register(phone);
}

/// RFC 8760 §2.4: the phone answers the first challenge that it can; where only SHA-256 is offered
/// nothing else can have been the proof.
#[test]
fn a_phone_proves_its_password_with_what_is_offered() {
    for digest in
        [&[Algorithm::Sha256][..], &[Algorithm::Md5], &[Algorithm::Sha256, Algorithm::Md5]]
    {
        let offered = digest.to_vec();
        let change = move |plan: &mut Plan| plan.digest.clone_from(&offered);
        let mut network = Network::new_with(1, Weather::CALM, change);
        let phone = network.password_phone(1, |_| {});
        let host = phone.host;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let see = Arc::clone(&seen);
        network.sim.tap(move |_, at, crossing| {
            let text = String::from_utf8_lossy(crossing.bytes);
            let lines = text
                .lines()
                .filter(|line| line.contains("uthenticat") || line.contains("Authorization"));
            let named = lines.filter_map(|line| line.split_once("algorithm="));
            let named = named.filter_map(|(_, rest)| rest.split([',', ';']).next());
            if at == host {
                see.lock().unwrap().extend(named.map(str::to_owned));
            }
        });
        network.register(phone);
        // What the 401 offers, then what the REGISTER answers with.
        let mut expected: Vec<_> = digest.iter().map(|algorithm| algorithm.name()).collect();
        expected.push(digest[0].name());
        assert_eq!(seen.lock().unwrap()[..expected.len()], expected);
    }
}

/// To functions TLS is another transport; the simulator carries it as it carries TCP.
#[test]
fn phones_over_tls_call_and_come_back() {
    for seed in 1..=10 {
        let weather = Weather { loss: 0.05, ..Weather::CALM };
        let mut network = Network::new_with(seed, weather, |plan| {
            let at = plan.here[&Role::Pcscf].iter().map(|at| (at.ip(), 5061).into()).collect();
            plan.tls.here.insert(Role::Pcscf, at);
        });
        let over_tls = |config: &mut UeConfig| {
            config.transport = Transport::Tls;
            let proxy = config.proxy.as_mut().unwrap();
            (proxy.port, proxy.transport) = (Some(5061), Some(Transport::Tls));
        };
        let (alice, bob) = (network.sim_phone(1, over_tls), network.password_phone(2, over_tls));
        let call = |network: &mut Network| {
            network.order(alice, UeOrder::Call { to: bob.tel(), token: 7 });
            let call = network.until(Duration::from_secs(20), |host, report| match &report.what {
                What::Answered { call, .. } if host == alice.host => Some(*call),
                What::Ended { status, reason, .. } => panic!("seed {seed}: {status} {reason}"),
                _ => None,
            });
            network.order(alice, UeOrder::Hangup(call.expect("an answer")));
            network.run(Duration::from_secs(5));
        };
        network.register(alice);
        network.register(bob);
        call(&mut network);
        // All connections are gone; the phones come back over new ones.
        network.restart(Role::Pcscf);
        network.run(Duration::from_secs(1));
        network.register(alice);
        network.register(bob);
        call(&mut network);
    }
}

/// RFC 5626: a phone with two flows, played by two hosts. A call takes the newer one alone, and the other
/// one once that is gone.
#[test]
fn a_phone_is_reached_by_the_flow_that_is_left() {
    for transport in [Transport::Tcp, Transport::Tls] {
        let port = if transport == Transport::Tls { 5061 } else { 5060 };
        let mut network = Network::new_with(1, Weather::CALM, |plan| {
            let at = plan.here[&Role::Pcscf].iter().map(|at| (at.ip(), 5061).into()).collect();
            plan.tls.here.insert(Role::Pcscf, at);
        });
        let flow = move |reg_id| {
            move |config: &mut UeConfig| {
                let credential = Credential::Password(Secret::new("secret1".to_owned()));
                let identity = format!("sip:user1@{DOMAIN}");
                let mut user1 = UeConfig::new("user1", &identity, credential, DOMAIN);
                (user1.contact, user1.media) = (config.contact.clone(), config.media.clone());
                user1.proxy.clone_from(&config.proxy);
                let proxy = user1.proxy.as_mut().unwrap();
                (proxy.port, proxy.transport) = (Some(port), Some(transport));
                user1.transport = transport;
                user1.options.instance =
                    Some("urn:uuid:00000000-0000-1000-8000-000A95A0E128".into());
                user1.options.reg_id = Some(reg_id);
                *config = user1;
            }
        };
        let first = network.password_phone(1, flow(1));
        let second = network.password_phone(2, flow(2));
        let bob = network.sim_phone(3, |_| {});
        for phone in [first, second, bob] {
            network.register(phone);
        }
        let core = network.core;
        assert_eq!(network.census(core, "scscf").count("bindings"), 3);
        // Who rings, the status that the call ends or is answered with; then a host is gone.
        let mut rings = |gone: Phone| {
            network.order(bob, UeOrder::Call { to: first.tel(), token: 7 });
            let mut rung = Vec::new();
            let end = network.until(Duration::from_secs(20), |host, report| match &report.what {
                What::Incoming { .. } => {
                    rung.push(host);
                    None
                }
                What::Answered { call, .. } if host == bob.host => Some((200, Some(*call))),
                What::Ended { status, .. } if host == bob.host => Some((*status, None)),
                _ => None,
            });
            let (status, call) = end.expect("the call is answered");
            call.into_iter().for_each(|call| network.order(bob, UeOrder::Hangup(call)));
            network.run(Duration::from_secs(5));
            network.sim.crash(gone.host);
            network.run(Duration::from_secs(1));
            (rung, status)
        };
        assert_eq!(rings(second), (vec![second.host], 200), "{transport:?}");
        assert_eq!(rings(first), (vec![first.host], 200), "{transport:?}");
        assert_eq!(rings(first), (vec![], 480), "{transport:?}");
    }
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
