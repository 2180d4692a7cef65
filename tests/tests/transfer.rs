//! Calls that are handed on through the network: REFER (RFC 3515), Referred-By (RFC 3892) and Replaces (RFC
//! 3891), as RFC 5589 has them.

use base::redact::Secret;
use base::time::Duration;
use engine::sim::{HostId, Weather};
use sip::header::HeaderName;
use strowger_tests::ear::Ear;
use strowger_tests::network::{DOMAIN, msisdn};
use strowger_tests::{Network, Phone};
use ue::{By, CallId, Credential, Incoming, UeConfig, UeOrder, UeReport, What};

fn phones(network: &mut Network) -> [Phone; 3] {
    [1, 2, 3].map(|number| {
        let phone = network.sim_phone(number, |_| {});
        network.register(phone);
        phone
    })
}

/// The two ends of an answered call, the caller's first.
fn answered(network: &mut Network, from: Phone, to: &str, by: HostId) -> (CallId, CallId) {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let (mut caller, mut called) = (None, None);
    let both = network.until(Duration::from_secs(10), |host, report| {
        match &report.what {
            What::Answered { call, .. } if host == from.host => caller = Some(*call),
            What::Answered { call, .. } if host == by => called = Some(*call),
            What::Ended { status, reason, .. } if host == from.host => {
                panic!("the call fails: {status} {reason}")
            }
            _ => {}
        }
        caller.zip(called)
    });
    both.expect("the call is answered")
}

/// What a phone said within ten seconds.
fn said(network: &mut Network, time: u64) -> Vec<(HostId, UeReport)> {
    network.run(Duration::from_secs(time))
}

fn ended(said: &[(HostId, UeReport)], at: Phone, call: CallId) -> Option<By> {
    said.iter().find_map(|(host, report)| match &report.what {
        What::Ended { call: which, by, .. } if *host == at.host && *which == call => Some(*by),
        _ => None,
    })
}

#[test]
fn a_blind_transfer() {
    let mut network = Network::spread(1, Weather::CALM, None);
    let ear = Ear::at(&mut network);
    let [alice, bob, carol] = phones(&mut network);
    let (call, theirs) = answered(&mut network, alice, &bob.tel(), bob.host);
    network.order(alice, UeOrder::Transfer { call, to: carol.tel() });
    let said = said(&mut network, 8);
    let find = |host, wanted: fn(&What) -> bool| {
        let mut reports = said.iter().filter(|(at, _)| *at == host).map(|(_, r)| &r.what);
        reports.find(|what| wanted(what)).cloned()
    };
    let Some(What::Referred { call: asked_in, new, .. }) =
        find(bob.host, |what| matches!(what, What::Referred { .. }))
    else {
        panic!("bob is asked: {said:?}")
    };
    assert_eq!(asked_in, theirs);
    let Some(What::Incoming { from, .. }) =
        find(carol.host, |what| matches!(what, What::Incoming { .. }))
    else {
        panic!("carol is called")
    };
    assert!(from.contains(&msisdn(2)), "by bob: {from}");
    let invites = ear.reached(carol.host, "INVITE");
    let referred_by = invites.last().and_then(|invite| invite.get(HeaderName::ReferredBy));
    assert_eq!(referred_by, Some(format!("<sip:+{}@{DOMAIN}>", msisdn(1)).as_str()));
    let done = find(alice.host, |what| matches!(what, What::Transferred { .. }));
    assert_eq!(done, Some(What::Transferred { call, status: 200 }));
    assert_eq!(ended(&said, alice, call), Some(By::Local));
    assert_eq!(ended(&said, bob, theirs), Some(By::Remote));
    // How it went was told step by step.
    let told: Vec<_> = ear.reached(alice.host, "NOTIFY").into_iter().collect();
    let told = told.iter().filter(|n| n.get(HeaderName::Event) == Some("refer"));
    let told: Vec<_> = told.map(|n| String::from_utf8_lossy(n.body())[8..11].to_owned()).collect();
    assert_eq!(told, ["100", "180", "200"]);
    // Bob and Carol go on.
    network.order(bob, UeOrder::Hangup(new));
    let gone = network.until(Duration::from_secs(5), |host, report| {
        (host == carol.host && matches!(report.what, What::Ended { .. })).then_some(())
    });
    assert!(gone.is_some());
}

#[test]
fn a_transfer_that_fails_leaves_the_call_as_it_is() {
    let mut network = Network::new(1, Weather::CALM);
    let [alice, bob, _] = phones(&mut network);
    let busy = network.sim_phone(4, |config| config.incoming = Incoming::Reject(486));
    network.register(busy);
    let (call, theirs) = answered(&mut network, alice, &bob.tel(), bob.host);
    for (to, expected) in [(busy.tel(), 486), ("tel:+4930000009999".to_owned(), 404)] {
        network.order(alice, UeOrder::Transfer { call, to });
        let said = said(&mut network, 8);
        let status = said.iter().find_map(|(host, report)| match report.what {
            What::Transferred { status, .. } if *host == alice.host => Some(status),
            _ => None,
        });
        assert_eq!(status, Some(expected));
        assert_eq!((ended(&said, alice, call), ended(&said, bob, theirs)), (None, None));
    }
    network.order(bob, UeOrder::Hangup(theirs));
    let said = said(&mut network, 2);
    assert_eq!(ended(&said, alice, call), Some(By::Remote));
}

/// Changes a phone into one of `user1`, with a GRUU if it has an instance.
fn of_user1(instance: Option<&'static str>) -> impl Fn(&mut UeConfig) + 'static {
    move |config| {
        let credential = Credential::Password(Secret::new("secret1".to_owned()));
        let mut user1 = UeConfig::new("user1", &format!("sip:user1@{DOMAIN}"), credential, DOMAIN);
        (user1.contact, user1.media) = (config.contact.clone(), config.media.clone());
        user1.proxy.clone_from(&config.proxy);
        user1.options.instance = instance.map(str::to_owned);
        user1.incoming = Incoming::Manual;
        *config = user1;
    }
}

/// Alice speaks to Bob, then to one of Carol's two phones, and connects both. By its GRUU that phone alone is
/// called; without one the other phone is called, too, and knows no such call.
#[test]
fn an_attended_transfer_takes_the_place_of_the_call() {
    let instances = [
        "urn:uuid:00000000-0000-1000-8000-000a95a0e128",
        "urn:uuid:00000000-0000-1000-8000-000a95a0e129",
    ];
    for gruu in [true, false] {
        let mut network = Network::new(1, Weather::CALM);
        let ear = Ear::at(&mut network);
        let carol = network.password_phone(1, of_user1(gruu.then_some(instances[0])));
        let other = network.password_phone(2, of_user1(gruu.then_some(instances[1])));
        let alice = network.sim_phone(3, |_| {});
        let bob = network.sim_phone(4, |_| {});
        for phone in [carol, other, alice, bob] {
            network.register(phone);
        }
        let (first, bobs) = answered(&mut network, alice, &bob.tel(), bob.host);
        network.order(alice, UeOrder::Call { to: carol.tel(), token: 1 });
        let call = network.until(Duration::from_secs(5), |host, report| match report.what {
            What::Incoming { call, .. } if host == carol.host => Some(call),
            _ => None,
        });
        let carols = call.expect("Carol's phone rings");
        network.order(carol, UeOrder::Answer(carols));
        let second = network.until(Duration::from_secs(5), |host, report| match report.what {
            What::Answered { call, .. } if host == alice.host => Some(call),
            _ => None,
        });
        let second = second.expect("she answers");
        network.run(Duration::from_secs(2));
        ear.forget();
        network.order(alice, UeOrder::TransferTo { call: first, other: second });
        let said = said(&mut network, 8);
        assert_eq!(ear.reached(other.host, "INVITE").is_empty(), gruu);
        let by = said.iter().find_map(|(host, report)| match report.what {
            What::Replaced { call, by } if *host == carol.host => {
                assert_eq!(call, carols);
                Some(by)
            }
            _ => None,
        });
        assert!(by.is_some(), "{said:?}");
        assert_eq!(ended(&said, carol, carols), Some(By::Local));
        assert_eq!(ended(&said, alice, second), Some(By::Remote));
        assert_eq!(ended(&said, alice, first), Some(By::Local));
        assert_eq!(ended(&said, bob, bobs), Some(By::Remote));
        // Carol's phones answer nothing by themselves: whoever spoke there goes on.
        let new = said.iter().find_map(|(host, report)| match report.what {
            What::Referred { new, .. } if *host == bob.host => Some(new),
            _ => None,
        });
        network.order(carol, UeOrder::Hangup(by.expect("a call")));
        let said = self::said(&mut network, 2);
        assert_eq!(ended(&said, bob, new.expect("a call")), Some(By::Remote));
    }
}

/// RFC 3891 §3: a dialog that is not there is not replaced.
#[test]
fn an_unknown_dialog_is_not_replaced() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let [alice, bob, _] = phones(&mut network);
    answered(&mut network, alice, &bob.tel(), bob.host);
    let invite = ear.reached(bob.host, "INVITE").pop().expect("an INVITE");
    let call_id = invite.get(HeaderName::CallId).unwrap_or("").to_owned();
    for (number, value) in [
        (1, format!("{call_id};to-tag=wrong;from-tag=wrong")),
        (2, "none;to-tag=1;from-tag=2".to_owned()),
        (3, "no tags".to_owned()),
    ] {
        ear.forget();
        let text = format!(
            "INVITE {bob} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKr{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:x@{DOMAIN}>;tag=1\r\nTo: <{bob}>\r\nCall-ID: r{number}\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:x@10.0.0.2>\r\nReplaces: {value}\r\n\
             Content-Length: 0\r\n\r\n",
            bob = bob.tel(),
        );
        network.send(alice, text);
        network.run(Duration::from_secs(1));
        let status = ear.answers(alice.host, "INVITE").last().map(sip::Message::status);
        assert_eq!(status, Some(if number == 3 { 400 } else { 481 }), "{value}");
    }
}
