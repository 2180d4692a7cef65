//! One source sends more than it may; others notice nothing.

use base::Transport;
use base::redact::Secret;
use base::time::Duration;
use engine::sim::{HostId, Weather};
use strowger_tests::flooder::{self, Flood};
use strowger_tests::network::{DOMAIN, ip};
use strowger_tests::{Network, Phone};
use ue::{Credential, UeOrder, What};

fn flood(network: &mut Network, transport: Transport, rate: u32, sources: u32) {
    let flood = Flood { target: (ip(0), 5060).into(), transport, rate, sources };
    flood.start(&mut network.sim);
}

/// The log lines of a counter since the last time.
fn lines(network: &mut Network, counter: &str) -> Vec<String> {
    let logs = network.sim.logs().into_iter().map(|logged| logged.event);
    logs.filter(|event| event.counter == counter).map(|event| event.text).collect()
}

/// The status that a REGISTER of the phone ends with; 200 if it is registered.
fn register(network: &mut Network, phone: Phone) -> u16 {
    network.order(phone, UeOrder::Register);
    let status = network.until(Duration::from_secs(60), |host, report| match &report.what {
        _ if host != phone.host => None,
        What::Registered { .. } => Some(200),
        What::RegistrationFailed { status, .. } => Some(*status),
        _ => None,
    });
    status.expect("an answer within a minute")
}

/// A hundred calls, and refreshes of registrations, while somebody floods; how many transactions the P-CSCF had
/// at a time, and what the log says of the flood.
fn a_hundred_calls_under(rate: u32, sources: u32) -> (usize, Vec<String>) {
    let mut network = Network::new(1, Weather::CALM);
    let phones = network.sim_phones(1..201, |_| {});
    for pair in phones.chunks(10) {
        pair.iter().for_each(|phone| network.order(*phone, UeOrder::Register));
        network.run(Duration::from_millis(500));
    }
    network.run(Duration::from_secs(5));
    assert_eq!(network.census(network.core, "pcscf").count("bindings"), phones.len());
    network.sim.logs();
    let mut said = Vec::new();
    flood(&mut network, Transport::Udp, rate, sources);
    let (mut answered, mut ended, mut most) = (Vec::new(), 0, 0);
    let mut hear = |network: &mut Network, time: Duration, answered: &mut Vec<_>| {
        let logs = network.sim.logs().into_iter().map(|logged| logged.event);
        let limits = logs.filter(|e| ["sip.limited", "sip.crowded"].contains(&e.counter));
        said.extend(limits.map(|event| format!("{}: {}", event.counter, event.text)));
        for (host, report) in network.run(time) {
            match report.what {
                What::Answered { call, .. } => answered.push((host, call)),
                What::Ended { status, reason, .. } => {
                    assert!(status < 300, "a call fails: {status} {reason}");
                    ended += 1;
                }
                What::RegistrationFailed { status, .. } => panic!("a phone gets a {status}"),
                _ => {}
            }
        }
        let census = network.census(network.core, "pcscf");
        most = most.max(census.count("server transactions"));
    };
    for (number, pair) in phones.chunks(2).enumerate() {
        let token = number as u64;
        network.order(pair[0], UeOrder::Call { to: pair[1].tel(), token });
        // A refresh asks the HSS.
        network.order(pair[1], UeOrder::Register);
        hear(&mut network, Duration::from_millis(100), &mut answered);
    }
    hear(&mut network, Duration::from_secs(5), &mut answered);
    let callers: Vec<HostId> = phones.iter().step_by(2).map(|phone| phone.host).collect();
    answered.retain(|(host, _)| callers.contains(host));
    assert_eq!(answered.len(), 100);
    for (host, call) in answered.clone() {
        let caller = phones.iter().find(|phone| phone.host == host).expect("one of ours");
        network.order(*caller, UeOrder::Hangup(call));
    }
    hear(&mut network, Duration::from_secs(5), &mut answered);
    assert_eq!(ended, 200, "both ends of each call");
    (most, said)
}

#[test]
fn a_hundred_calls_go_on_while_one_source_floods() {
    let (most, said) = a_hundred_calls_under(10_000, 1);
    // A newcomer's bucket, and 50 a second for the 32 s that a transaction lasts.
    assert!(most < 3000, "{most} transactions at a time");
    assert!(said.len() == 1 && said[0].contains("198.18.0.1"), "{said:?}");
}

#[test]
fn a_hundred_calls_go_on_while_sources_are_forged() {
    let (most, said) = a_hundred_calls_under(6000, 20_000);
    assert!(most < 50_000, "{most} transactions at a time");
    assert!(said.len() == 1 && said[0].starts_with("sip.crowded"), "{said:?}");
}

#[test]
fn a_connection_is_told_once_and_then_closed() {
    let mut network = Network::new(1, Weather::CALM);
    flood(&mut network, Transport::Tcp, 500, 1);
    network.run(Duration::from_secs(60));
    let heard = lines(&mut network, flooder::HEARD);
    // Its REGISTERs for nobody get another 503, as guesses.
    let told = heard.iter().filter(|line| *line == "503, again after 10").count();
    assert_eq!((told, heard.last().map(String::as_str)), (1, Some("closed")), "{heard:?}");
}

#[test]
fn a_guesser_is_stopped_and_the_subscriber_is_not() {
    let mut network = Network::new(1, Weather::CALM);
    let subscriber = network.password_phone(4, |_| {});
    let guesser = network.stranger(9, |config| {
        let wrong = Credential::Password(Secret::new("wrong".to_owned()));
        "user4".clone_into(&mut config.username);
        config.identity = format!("sip:user4@{DOMAIN}");
        config.credential = wrong;
    });
    let tries: Vec<u16> = (0..15).map(|_| register(&mut network, guesser)).collect();
    assert_eq!(tries[..10], [403; 10], "{tries:?}");
    assert_eq!(tries[11..], [503; 4], "{tries:?}");
    let said = lines(&mut network, "pcscf.guessing");
    assert!(said.len() == 1 && said[0].contains("10.0.0.10"), "{said:?}");
    assert_eq!(register(&mut network, subscriber), 200);
    // Where nobody guessed for a while, a right answer is good again.
    network.run(Duration::from_secs(600));
    assert_eq!(register(&mut network, guesser), 403, "it is asked again");
}
