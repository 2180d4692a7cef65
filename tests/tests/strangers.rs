//! Who means harm: messages that are made to hurt, registrations and calls in the name of others, answers that were
//! heard and said again, loops. While the worst of them come, a hundred good calls go on, and none fails.
//!
//! Floods: `floods.rs`. What is torn or strange by accident: `torture.rs`, `interop_garbage.rs`. Connections:
//! `strowger/tests/strangers.rs`.

use base::time::Duration;
use engine::sim::{HostId, Weather};
use sip::{HeaderName, Message};
use strowger::plan::Role;
use strowger_tests::ear::Ear;
use strowger_tests::network::DOMAIN;
use strowger_tests::{Network, Phone};
use ue::{CallId, UeOrder, What};

/// Good calls while something bad happens.
const CALLS: usize = 100;
/// Phones that make them, and as many that are called.
const PAIRS: usize = 10;
/// A datagram over IPv4 has room for so much.
const DATAGRAM: usize = 65_507;

/// Somebody whose messages have a way to the P-CSCF, and who is not registered.
fn stranger(network: &mut Network, number: u32) -> Phone {
    let stranger = network.stranger(number, |_| {});
    network.order(stranger, UeOrder::Options { to: format!("sip:{DOMAIN}"), token: 1 });
    network.run(Duration::from_secs(1));
    stranger
}

/// The head of a request of a phone, with what else it says.
fn request(phone: Phone, method: &str, uri: &str, number: usize, more: &str) -> String {
    let ip = strowger_tests::network::ip(phone.number);
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:5060;branch=z9hG4bKbad{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:mallory@{DOMAIN}>;tag=bad\r\nTo: <{uri}>\r\n\
         Call-ID: bad{number}@{ip}\r\nCSeq: 1 {method}\r\nContact: <sip:mallory@{ip}:5060>\r\n{more}\
         Content-Length: 0\r\n\r\n"
    )
}

/// What the phone's requests with this method were answered with in the end.
fn statuses(ear: &Ear, phone: Phone, method: &str) -> Vec<u16> {
    let answers = ear.answers(phone.host, method);
    answers.iter().map(Message::status).filter(|status| *status >= 200).collect()
}

/// A hundred calls of registered phones; before each of them something else happens.
fn calls_go_on(network: &mut Network, mut before: impl FnMut(&mut Network, usize)) {
    let phones = network.sim_phones(100..100 + 2 * PAIRS as u32, |_| {});
    for phone in &phones {
        network.register(*phone);
    }
    let (mut answered, mut ended): (Vec<(HostId, CallId)>, usize) = (Vec::new(), 0);
    let mut hear = |network: &mut Network, time: Duration, answered: &mut Vec<_>| {
        for (host, report) in network.run(time) {
            match report.what {
                What::Answered { call, .. } => answered.push((host, call)),
                What::Ended { status, reason, .. } => {
                    assert!(status < 300, "a good call fails: {status} {reason}");
                    ended += 1;
                }
                _ => {}
            }
        }
    };
    for number in 0..CALLS {
        before(network, number);
        let pair = [phones[number % PAIRS], phones[PAIRS + number % PAIRS]];
        network.order(pair[0], UeOrder::Call { to: pair[1].tel(), token: 1 });
        hear(network, Duration::from_millis(100), &mut answered);
    }
    hear(network, Duration::from_secs(5), &mut answered);
    let callers: Vec<HostId> = phones[..PAIRS].iter().map(|phone| phone.host).collect();
    answered.retain(|(host, _)| callers.contains(host));
    assert_eq!(answered.len(), CALLS, "every good call is answered");
    for (host, call) in answered.clone() {
        network.order(Phone { host, number: 0 }, UeOrder::Hangup(call));
    }
    hear(network, Duration::from_secs(5), &mut answered);
    assert_eq!(ended, 2 * CALLS, "both ends of each good call");
}

/// Nobody panicked, and nothing that was begun is still there.
fn is_clean(network: &mut Network) {
    network.run(Duration::from_secs(250));
    for role in Role::USUAL {
        let host = network.hosts[&role];
        let census = network.census(host, role.as_str());
        let lasting = ["bindings", "subscriptions", "watchers", "users with an S-CSCF"];
        let left: Vec<_> = census.alive().filter(|(what, _)| !lasting.contains(what)).collect();
        assert_eq!(left, [], "{role}");
    }
    let logs = network.sim.logs();
    assert!(!logs.iter().any(|line| line.event.counter.contains("panic")), "{logs:?}");
}

/// Messages that are large where nobody expects it.
fn bombs(phone: Phone, number: usize) -> Vec<Vec<u8>> {
    let fill = |what: &str, room: usize| what.repeat(room / what.len());
    let more = [
        fill("X-Bomb: 1\r\n", 60_000),
        fill("X: 1\r\n", 60_000),
        format!("Subject: {}\r\n", fill("a", 60_000)),
        format!("Subject: a\r\n{}", fill(" b\r\n", 60_000)),
        format!("Via: {}SIP/2.0/UDP x\r\n", fill("SIP/2.0/UDP x;branch=z9hG4bK1, ", 60_000)),
        format!("Route: {}<sip:x>\r\n", fill("<sip:x;lr>, ", 60_000)),
        format!("Record-Route: {}<sip:x>\r\n", fill("<sip:x;lr>,", 60_000)),
        format!("Contact: {}<sip:x>\r\n", fill("<sip:x>;q=0.1, ", 60_000)),
        format!("P-Asserted-Identity: \"{}\" <sip:x>\r\n", fill("\\\"", 50_000)),
        format!("Authorization: Digest {}\r\n", fill("nonce=\"a\",", 50_000)),
        format!("Accept-Contact: *;{}\r\n", fill("+a=\"<b>\";", 50_000)),
        format!("Warning: {}\r\n", fill("(", 60_000)),
        fill("Content-Length: 0\r\n", 30_000),
        "Content-Length: 4294967295\r\n".to_owned(),
        "Content-Length: 99999999999999999999999\r\n".to_owned(),
    ];
    let number = number * 100;
    let methods = ["INVITE", "REGISTER", "SUBSCRIBE", "MESSAGE"];
    let headers = more.iter().enumerate().map(|(at, more)| {
        request(phone, methods[at % 4], &format!("sip:alice@{DOMAIN}"), number + at, more)
    });
    let long = format!("sip:{}@{DOMAIN};{}", fill("a", 20_000), fill("b=c;", 30_000));
    let uri = request(phone, "OPTIONS", &long, number + 50, "");
    let mut all: Vec<Vec<u8>> = headers.chain([uri]).map(String::into_bytes).collect();
    all.push(vec![b'A'; DATAGRAM]);
    all.push(vec![0; DATAGRAM]);
    all.push(fill("\r\n", DATAGRAM).into_bytes());
    all.push(fill("INVITE sip:x SIP/2.0\r\n\r\n", DATAGRAM).into_bytes());
    all.iter_mut().for_each(|bytes| bytes.truncate(DATAGRAM));
    all
}

/// Header bombs and datagrams of 64 KiB: from somebody whom nobody knows, and from one of our own.
#[test]
fn a_hundred_calls_go_on_while_bombs_come() {
    let mut network = Network::new(1, Weather::CALM);
    let stranger = stranger(&mut network, 50);
    let ours = network.sim_phone(51, |_| {});
    network.register(ours);
    calls_go_on(&mut network, |network, number| {
        for who in [stranger, ours] {
            // One kind after the other: all at once would be a flood.
            let bombs = bombs(who, number);
            let kinds = bombs.len();
            network.send(who, bombs.into_iter().nth(number % kinds).expect("one of them"));
        }
    });
    is_clean(&mut network);
}

/// Messages that are to go in circles: they die where RFC 3261 §16.3 and RFC 5393 say, and the network sends
/// no more for each than it takes hops.
#[test]
fn a_hundred_calls_go_on_while_requests_are_to_go_in_circles() {
    let mut network = Network::new(1, Weather::CALM);
    let ours = network.sim_phone(51, |_| {});
    network.register(ours);
    let ear = Ear::at(&mut network);
    let core = network.core;
    let proxy = strowger_tests::network::ip(0);
    let routes = [
        // Our own address and names, again and again.
        format!("<sip:{proxy};lr>, ").repeat(60),
        format!("<sip:{proxy};lr>, <sip:{proxy}:5060;lr;a>, ").repeat(30),
        format!("<sip:icscf.{DOMAIN};lr>, <sip:{proxy};lr>, ").repeat(30),
        format!("<sip:orig@scscf.{DOMAIN};lr>, <sip:scscf.{DOMAIN};lr>, ").repeat(30),
    ];
    let mut sent = 0;
    calls_go_on(&mut network, |network, number| {
        let route = routes[number % routes.len()].trim_end_matches(", ");
        let (method, to) = (["INVITE", "OPTIONS", "MESSAGE"][number % 3], format!("sip:{proxy}"));
        let uri = if number % 2 == 0 { to } else { format!("sip:+493000009999@{DOMAIN}") };
        let hops = if number % 5 == 0 { "255" } else { "70" };
        let text = request(ours, method, &uri, number, &format!("Route: {route}\r\n"));
        let text = text.replace("Max-Forwards: 70", &format!("Max-Forwards: {hops}"));
        network.send(ours, text.into_bytes());
        sent += 1;
    });
    assert_eq!(sent, CALLS);
    // Every message of a bad request that leaves the core's host goes to a phone.
    let bad = |message: &Message| {
        message.get(HeaderName::CallId).is_some_and(|call| call.starts_with("bad"))
    };
    let out: Vec<Message> =
        ["INVITE", "OPTIONS", "MESSAGE"].iter().flat_map(|m| ear.sent(core, m)).collect();
    let out = out.iter().filter(|message| bad(message)).count();
    assert!(out <= 2 * CALLS, "{out} requests left the network for {CALLS} bad ones");
    is_clean(&mut network);
}

/// Two users who forward to each other by their Contacts: `REGISTER` with a Contact that is somebody's address
/// of record is no way back into the network.
#[test]
fn a_contact_that_is_another_user_makes_no_circle() {
    let mut network = Network::new(1, Weather::CALM);
    let alice = network.sim_phone(1, |config| config.contact = format!("icscf.{DOMAIN}"));
    let bob = network.sim_phone(2, |_| {});
    network.register(alice);
    network.register(bob);
    let ear = Ear::at(&mut network);
    network.order(bob, UeOrder::Call { to: alice.tel(), token: 1 });
    network.run(Duration::from_secs(60));
    // The P-CSCF sends to the phone's flow, whatever its Contact says.
    assert_eq!(ear.reached(alice.host, "INVITE").len(), 1);
}

/// Who proves nothing costs nothing, RFC 3261 §8.2.7: a challenge is not remembered as a transaction, and the one
/// whom it was asked of still registers.
#[test]
fn a_challenge_leaves_nothing_behind() {
    // Each function has a host of its own: between them is UDP, where transactions outlive their answers.
    let mut network = Network::spread(1, Weather::CALM, None);
    let ear = Ear::at(&mut network);
    let alice = network.password_phone(1, |_| {});
    network.register(alice);
    let mallory = stranger(&mut network, 50);
    network.run(Duration::from_secs(60));
    let to = ear.sent(alice.host, "REGISTER")[0].get(HeaderName::To).unwrap_or("").to_owned();
    let scscf = network.hosts[&Role::Scscf];
    let alive = network.census(scscf, "scscf").count("server transactions");
    for number in 0..20 {
        let register = request(mallory, "REGISTER", &format!("sip:{DOMAIN}"), number, "");
        let register = register.replacen(&format!("To: <sip:{DOMAIN}>"), &format!("To: {to}"), 1);
        network.send(mallory, register.into_bytes());
        network.run(Duration::from_secs(1));
    }
    assert_eq!(statuses(&ear, mallory, "REGISTER"), [401; 20]);
    assert_eq!(network.census(scscf, "scscf").count("server transactions"), alive);
    network.register(alice);
}

/// REGISTERs in the name of others: without an answer to the challenge, with a wrong one, with one that was heard,
/// at once and later, from another address and from the same one.
#[test]
fn nobody_registers_in_the_name_of_another() {
    for password in [false, true] {
        let mut network = Network::new(1, Weather::CALM);
        let ear = Ear::at(&mut network);
        let alice = match password {
            true => network.password_phone(1, |_| {}),
            false => network.sim_phone(1, |_| {}),
        };
        let bob = network.sim_phone(2, |_| {});
        network.register(alice);
        network.register(bob);
        let mallory = stranger(&mut network, 50);
        let heard = ear.sent(alice.host, "REGISTER");
        let true_one = heard.last().expect("she registered").clone();
        assert!(true_one.get(HeaderName::Authorization).is_some_and(|v| v.contains("response=\"")));
        let fields = [HeaderName::From, HeaderName::To, HeaderName::Authorization];
        let [from, to, answer] = fields.map(|name| true_one.get(name).unwrap_or("").to_owned());
        let wrong = answer.replacen("response=\"", "response=\"0", 1);
        let forged = |number: usize, answer: Option<&str>, contact: &str| {
            let ip = strowger_tests::network::ip(50);
            let answer = answer.map(|a| format!("Authorization: {a}\r\n")).unwrap_or_default();
            format!(
                "REGISTER sip:{DOMAIN} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {ip}:5060;branch=z9hG4bKreg{number};rport\r\nMax-Forwards: 70\r\n\
                 From: {from}\r\nTo: {to}\r\nCall-ID: reg{number}\r\nCSeq: {} REGISTER\r\n{contact}\
                 {answer}Content-Length: 0\r\n\r\n",
                number + 10
            )
        };
        let mine = "Contact: <sip:mallory@10.0.0.51:5060>\r\nExpires: 600\r\n";
        let none = "Contact: *\r\nExpires: 0\r\n";
        let mut number = 0;
        for wait in [0, 5, 120, 600] {
            network.run(Duration::from_secs(wait));
            // A wrong answer ends what the right one was for: it comes last.
            for answer in [Some(answer.as_str()), None, Some(wrong.as_str())] {
                for contact in [mine, none] {
                    number += 1;
                    ear.forget();
                    network.send(mallory, forged(number, answer, contact).into_bytes());
                    network.run(Duration::from_secs(2));
                    let said = statuses(&ear, mallory, "REGISTER");
                    let refused = |status: &u16| [401, 403, 503].contains(status);
                    assert!(!said.is_empty() && said.iter().all(refused), "{said:?}: {answer:?}");
                }
            }
            // What she said, from where she said it, but for the branch: else it is a retransmission.
            ear.forget();
            let again = String::from_utf8_lossy(&true_one.to_bytes()).into_owned();
            let again = again.replacen("branch=z9hG4bK", &format!("branch=z9hG4bKx{wait}"), 1);
            network.send(alice, again.into_bytes());
            network.run(Duration::from_secs(2));
            let said = statuses(&ear, alice, "REGISTER");
            assert!(!said.is_empty() && !said.contains(&200), "{password} {wait}: {said:?}");
            let core = network.core;
            assert_eq!(network.census(core, "scscf").count("bindings"), 2);
            let call = network.answered(bob, &alice.tel(), alice);
            network.order(bob, UeOrder::Hangup(call.0));
            network.run(Duration::from_secs(2));
        }
        // Her own next REGISTER is taken.
        network.register(alice);
    }
}

/// Path, Route, Record-Route and identities as only the network says them: from somebody whom nobody knows nothing
/// of it gets anywhere, and of one of our own nothing is believed.
#[test]
fn nobody_speaks_for_the_network() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let [alice, bob, ours] = [1, 2, 51].map(|number| network.sim_phone(number, |_| {}));
    for phone in [alice, bob, ours] {
        network.register(phone);
    }
    let stranger = stranger(&mut network, 50);
    // The way to Alice's phone, as a call of Bob's shows it.
    let call = network.answered(bob, &alice.tel(), alice);
    network.run(Duration::from_secs(1));
    let invite = ear.reached(alice.host, "INVITE").pop().expect("his INVITE");
    let record = invite.list(HeaderName::RecordRoute).collect::<Vec<_>>().join(", ");
    network.order(bob, UeOrder::Hangup(call.0));
    network.run(Duration::from_secs(2));
    let claims = format!(
        "P-Asserted-Identity: <{0}>\r\nP-Preferred-Identity: <{0}>\r\nP-Served-User: <{0}>;sescase=orig\r\n\
         P-Charging-Vector: icid-value=stolen\r\nPath: <sip:evil.test;lr>\r\n\
         Service-Route: <sip:evil.test;lr>\r\nRecord-Route: <sip:evil.test;lr>\r\nHistory-Info: <{0}>\r\n",
        bob.tel()
    );
    let routes = [
        String::new(),
        format!("Route: {record}\r\n"),
        format!("Route: <sip:orig@scscf.{DOMAIN};lr>\r\n"),
        format!("Route: <sip:scscf.{DOMAIN};lr>\r\n"),
        format!("Route: <sip:icscf.{DOMAIN};lr>\r\n"),
        "Route: <sip:term.1@pcscf.test;lr>, <sip:evil.test;lr>\r\n".to_owned(),
    ];
    for (number, route) in routes.iter().enumerate() {
        for (who, at) in [(stranger, 0), (ours, 100)] {
            ear.forget();
            let text =
                request(who, "MESSAGE", &alice.tel(), number + at, &format!("{route}{claims}"));
            network.send(who, text.into_bytes());
            network.run(Duration::from_secs(40));
            let reached = ear.reached(alice.host, "MESSAGE");
            if who == stranger {
                assert_eq!(statuses(&ear, who, "MESSAGE"), [403], "{route}");
                assert!(reached.is_empty(), "{route}");
                continue;
            }
            if route.contains("<sip:mt.") {
                assert_eq!(statuses(&ear, who, "MESSAGE"), [403], "a way of others: {route}");
                continue;
            }
            assert_eq!(reached.len(), 1, "what he may say goes by his own way: {route}");
            let message = reached[0].to_bytes();
            let text = String::from_utf8_lossy(&message);
            let identity = reached[0].get(HeaderName::PAssertedIdentity).unwrap_or("");
            assert!(identity.contains("+493000000051"), "{identity}");
            for word in ["stolen", "P-Served-User"] {
                assert!(!text.contains(word), "{word}: {text}");
            }
        }
    }
    // In Bob's dialog, which is over, and over a way that is not theirs.
    for (who, at) in [(stranger, 200), (ours, 300)] {
        ear.forget();
        let more = format!("Route: {record}\r\n");
        let text = request(who, "BYE", "sip:x@10.0.0.2:5060", at, &more);
        let text = text.replacen(">\r\nCall-ID", ">;tag=1\r\nCall-ID", 1);
        network.send(who, text.into_bytes());
        network.run(Duration::from_secs(40));
        let said = statuses(&ear, who, "BYE");
        assert!(said == [403] || said == [481], "{said:?}");
        assert!(ear.reached(alice.host, "BYE").is_empty());
    }
}

/// An expression in a filter criterion that makes other engines count for ever, and a value for it.
#[test]
fn a_hundred_calls_go_on_while_a_filter_is_to_count_for_ever() {
    let mut network = Network::new(1, Weather::CALM);
    let criterion = "sip:10.254.0.1 when header:Subject=\"^(a*)*(a|aa)+(a|a?)+$\"";
    let ours = network.served_phone(51, &[criterion], |_| {});
    network.register(ours);
    calls_go_on(&mut network, |network, number| {
        for length in [30, 4000, 60_000] {
            let subject = format!("Subject: {}b\r\n", "a".repeat(length));
            let uri = format!("sip:+493000000100@{DOMAIN}");
            let text = request(ours, "MESSAGE", &uri, number * 3 + length % 7, &subject);
            network.send(ours, text.into_bytes());
        }
    });
    is_clean(&mut network);
}
