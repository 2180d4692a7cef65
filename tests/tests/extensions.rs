//! SIP's extensions through the network: one test for each, named for its RFC.

use std::net::IpAddr;

use base::redact::Secret;
use base::time::Duration;
use engine::sim::{HostId, Weather};
use sip::header::HeaderName;
use sip::{Dialog, Message, Method};
use strowger_tests::ear::Ear;
use strowger_tests::network::{DOMAIN, ip, msisdn};
use strowger_tests::server::Manner;
use strowger_tests::{Network, Phone};
use ue::{Credential, Incoming, UeConfig, UeOrder, What};

const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 1));

/// A request of a phone with these further header fields.
fn request(from: Phone, method: Method, to: &str, fields: &[(HeaderName, &str)]) -> Message {
    let number = from.number;
    let call_id = format!("{method}{number}{}", fields.len());
    let own = format!("sip:+{}@{DOMAIN}", msisdn(number));
    let address = ip(number);
    let mut message = Message::request(method.clone(), to)
        .with(HeaderName::Via, format!("SIP/2.0/UDP {address};branch=z9hG4bK{call_id}{to}"))
        .with(HeaderName::MaxForwards, "70")
        .with(HeaderName::From, format!("<{own}>;tag=1"))
        .with(HeaderName::To, format!("<{to}>"))
        .with(HeaderName::CallId, call_id)
        .with(HeaderName::CSeq, format!("1 {method}"));
    if method == Method::Invite {
        message.push(HeaderName::Contact, format!("<sip:x@{address}>"));
    }
    fields.iter().for_each(|(name, value)| message.push(*name, *value));
    message
}

/// Who rings within ten seconds.
fn rung(network: &mut Network) -> Vec<HostId> {
    let heard = network.run(Duration::from_secs(10)).into_iter();
    let incoming = |what: &What| matches!(what, What::Incoming { .. });
    heard.filter(|(_, report)| incoming(&report.what)).map(|(host, _)| host).collect()
}

/// Changes a phone into one of `user1` that does this with calls; without SMS over IP if it is said so.
fn of_user1(incoming: Incoming, smsip: bool) -> impl Fn(&mut UeConfig) + 'static {
    move |config| {
        let credential = Credential::Password(Secret::new("secret1".to_owned()));
        let mut user1 = UeConfig::new("user1", &format!("sip:user1@{DOMAIN}"), credential, DOMAIN);
        (user1.contact, user1.media) = (config.contact.clone(), config.media.clone());
        user1.proxy.clone_from(&config.proxy);
        (user1.incoming, user1.options.smsip) = (incoming, smsip);
        *config = user1;
    }
}

/// Two phones of `user1`, of which the first one, which registers last and so is tried first, rejects calls, and one
/// that calls.
fn forked(network: &mut Network, first: Incoming) -> [Phone; 3] {
    let phones = [
        network.password_phone(1, of_user1(first, true)),
        network
            .password_phone(2, of_user1(Incoming::Answer { ring: Duration::from_secs(1) }, false)),
        network.sim_phone(3, |_| {}),
    ];
    for at in [1, 0, 2] {
        network.register(phones[at]);
    }
    phones
}

fn user1() -> String {
    format!("sip:user1@{DOMAIN}")
}

#[test]
fn rfc_3841_callers_choose_among_phones() {
    let text = "*;+g.3gpp.smsip";
    let required = "*;+g.3gpp.smsip;require;explicit";
    let accept = HeaderName::AcceptContact;
    let disposition = HeaderName::RequestDisposition;
    for (fields, expected) in [
        (vec![(accept, text)], &[1, 2][..]),
        (vec![(accept, required)], &[1]),
        (vec![(HeaderName::RejectContact, text)], &[2]),
        (vec![(disposition, "proxy, no-fork")], &[1]),
        // The first one refuses.
        (vec![(disposition, "sequential")], &[1, 2]),
        (vec![(disposition, "sequential"), (accept, required)], &[1]),
    ] {
        let mut network = Network::new(1, Weather::CALM);
        let phones = forked(&mut network, Incoming::Reject(486));
        let message = request(phones[2], Method::Invite, &user1(), &fields);
        network.send(phones[2], message.to_bytes());
        let mut rung = rung(&mut network);
        rung.sort();
        let expected: Vec<_> = expected.iter().map(|number| phones[number - 1].host).collect();
        assert_eq!(rung, expected, "{fields:?}");
    }
}

/// One after the other: the second one rings when the first one has refused, and not before.
#[test]
fn rfc_3841_sequential_forking_takes_its_time() {
    let mut network = Network::new(1, Weather::CALM);
    let ring = Duration::from_secs(3);
    let phones = forked(&mut network, Incoming::Manual);
    let sequential = [(HeaderName::RequestDisposition, "sequential")];
    let message = request(phones[2], Method::Invite, &user1(), &sequential);
    network.send(phones[2], message.to_bytes());
    let mut first = None;
    for (host, report) in network.run(ring) {
        if let What::Incoming { call, .. } = report.what {
            assert_eq!(host, phones[0].host);
            first = Some(call);
        }
    }
    let call = first.expect("the first one rings");
    network.order(phones[0], UeOrder::Reject { call, status: 486 });
    assert_eq!(rung(&mut network), [phones[1].host]);
}

/// Who neither answers nor refuses has rung for long enough some time: then the next one rings, and he no more.
#[test]
fn rfc_3841_sequential_forking_gives_up_who_does_not_answer() {
    let mut network = Network::new(1, Weather::CALM);
    let [first, second, bob] = forked(&mut network, Incoming::Manual);
    let sequential = [(HeaderName::RequestDisposition, "sequential")];
    let message = request(bob, Method::Invite, &user1(), &sequential);
    let began = network.sim.now();
    network.send(bob, message.to_bytes());
    let (mut ended, mut answers) = (false, None);
    let both = network.until(Duration::from_secs(40), |host, report| {
        match report.what {
            What::Incoming { .. } if host == second.host => answers = Some(()),
            What::Ended { .. } if host == first.host => ended = true,
            _ => {}
        }
        answers.filter(|()| ended)
    });
    assert!(
        both.is_some(),
        "the first one rings no more: {ended}, the second one rings: {answers:?}"
    );
    let waited = network.sim.now().since(began);
    let turn = Duration::from_secs(20)..Duration::from_secs(25);
    assert!(turn.contains(&waited), "{waited:?}");
    network.run(Duration::from_secs(60));
    let census = network.census(network.core, "scscf");
    assert_eq!(census.count("contexts"), 0);
}

/// A phone that did not answer in time tells of no missed call.
#[test]
fn rfc_3326_phones_hear_that_another_one_answered() {
    let mut network = Network::new(1, Weather::CALM);
    let [first, _, bob] = forked(&mut network, Incoming::Manual);
    network.order(bob, UeOrder::Call { to: user1(), token: 1 });
    let reason = network.until(Duration::from_secs(10), |host, report| match &report.what {
        What::Ended { reason, .. } if host == first.host => Some(reason.clone()),
        _ => None,
    });
    assert_eq!(reason.as_deref(), Some("SIP;cause=200;text=\"Call completed elsewhere\""));
}

#[test]
fn rfc_3323_what_is_private_stays_behind() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let (alice, bob) = (network.sim_phone(1, |_| {}), network.sim_phone(2, |_| {}));
    network.register(alice);
    network.register(bob);
    let mut arrives = |privacy: &str| {
        ear.forget();
        let fields = [
            (HeaderName::Privacy, privacy),
            (HeaderName::Subject, "secret"),
            (HeaderName::UserAgent, "secret"),
        ];
        let mut message = request(alice, Method::Message, &bob.tel(), &fields);
        message.set(HeaderName::CallId, privacy);
        let via = format!("SIP/2.0/UDP {};branch=z9hG4bK{privacy}", ip(1)).replace(';', "");
        message.set(HeaderName::Via, via.replace("branch", ";branch"));
        network.send(alice, message.to_bytes());
        network.run(Duration::from_secs(1));
        let message = ear.reached(bob.host, "MESSAGE").pop();
        let shown = message.map(|message| {
            let identity = message.has(HeaderName::PAssertedIdentity);
            (identity, message.has(HeaderName::Subject) || message.has(HeaderName::UserAgent))
        });
        let status = ear.answers(alice.host, "MESSAGE").last().map_or(0, Message::status);
        (shown, status)
    };
    assert_eq!(arrives("none"), (Some((true, true)), 200));
    assert_eq!(arrives("id"), (Some((false, true)), 200));
    assert_eq!(arrives("user"), (Some((true, false)), 200));
    assert_eq!(arrives("user;id;critical"), (Some((false, false)), 200));
    // The way is not hidden here: rather nothing.
    assert_eq!(arrives("header;id;critical"), (None, 500));
    assert_eq!(arrives("header;id"), (Some((false, true)), 200));
}

/// RFC 4412 §8: what nobody authorised is taken away.
#[test]
fn rfc_4412_phones_cannot_claim_a_priority() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let (alice, bob) = (network.sim_phone(1, |_| {}), network.sim_phone(2, |_| {}));
    network.register(alice);
    network.register(bob);
    let priority = [(HeaderName::ResourcePriority, "ets.0, wps.1")];
    let message = request(alice, Method::Message, &bob.tel(), &priority);
    network.send(alice, message.to_bytes());
    network.run(Duration::from_secs(1));
    let arrived = ear.reached(bob.host, "MESSAGE").pop().expect("it arrives");
    assert!(!arrived.has(HeaderName::ResourcePriority));
}

/// A phone's state is kept by the server that a filter criterion leads to.
#[test]
fn rfc_3903_publications_reach_the_presence_server() {
    let mut network = Network::spread_with(1, Weather::CALM, None, |plan| {
        plan.trusted.push((SERVER, 24));
    });
    let ear = Ear::at(&mut network);
    network.server("presence", SERVER, Manner::Compositor);
    let ifc = "sip:10.254.0.1 when method=PUBLISH and case=originating";
    let alice = network.served_phone(1, &[ifc], |_| {});
    network.register(alice);
    let own = format!("sip:+{}@{DOMAIN}", msisdn(1));
    let mut publish = |fields: &[(HeaderName, &str)]| {
        ear.forget();
        let mut message = request(alice, Method::Publish, &own, fields)
            .with(HeaderName::Event, "presence")
            .with(HeaderName::Expires, "3600");
        let branch = format!("SIP/2.0/UDP {};branch=z9hG4bKp{}", ip(1), fields.len());
        let call = fields.first().map_or("first", |(_, tag)| tag);
        message.set(HeaderName::CallId, call);
        message.set(HeaderName::Via, format!("{branch}{call}"));
        message.set_body("application/pidf+xml", "<presence/>");
        network.send(alice, message.to_bytes());
        network.run(Duration::from_secs(1));
        let answer = ear.answers(alice.host, "PUBLISH").pop().expect("an answer");
        (answer.status(), answer.get(HeaderName::SipEtag).unwrap_or("").to_owned())
    };
    let (status, tag) = publish(&[]);
    assert_eq!((status, tag.as_str()), (200, "1"));
    assert_eq!(publish(&[(HeaderName::SipIfMatch, "1")]), (200, "2".to_owned()));
    assert_eq!(publish(&[(HeaderName::SipIfMatch, "9")]).0, 412);
}

/// A phone says which packages it takes, and refuses others; the network carries all of it.
#[test]
fn rfc_6086_info_packages_are_between_the_phones() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let (alice, bob) = (network.sim_phone(1, |_| {}), network.sim_phone(2, |_| {}));
    network.register(alice);
    network.register(bob);
    network.answered(alice, &bob.tel(), bob);
    network.run(Duration::from_secs(1));
    let invite = ear.sent(alice.host, "INVITE").pop().expect("an INVITE");
    let ok = ear.answers(alice.host, "INVITE").pop().expect("a 200");
    assert_eq!(invite.get(HeaderName::RecvInfo), Some(""), "it takes none");
    let mut dialog = Dialog::of_response(&invite, &ok).expect("a dialog");
    dialog.local_cseq += 10;
    let mut info = |package: Option<&str>, body: &str| {
        ear.forget();
        let branch = package.unwrap_or("none");
        let mut info = dialog.request(Method::Info);
        info.push_front(HeaderName::Via, format!("SIP/2.0/UDP {};branch=z9hG4bKi{branch}", ip(1)));
        package.into_iter().for_each(|package| info.push(HeaderName::InfoPackage, package));
        info.set_body("application/dtmf-relay", body.as_bytes().to_vec());
        network.send(alice, info.to_bytes());
        network.run(Duration::from_secs(1));
        let arrived = ear.reached(bob.host, "INFO").pop().expect("it arrives");
        assert_eq!(arrived.get(HeaderName::InfoPackage), package);
        let answer = ear.answers(alice.host, "INFO").pop().expect("an answer");
        (answer.status(), answer.get(HeaderName::RecvInfo).map(str::to_owned))
    };
    assert_eq!(info(None, "Signal=5\r\n"), (200, None));
    assert_eq!(info(Some("nosuch"), ""), (469, Some(String::new())));
}
