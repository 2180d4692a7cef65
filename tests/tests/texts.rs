//! Texts from phone to phone over IP, TS 24.341, through an IP-SM-GW that stands as an application server.

use std::net::IpAddr;

use base::Random;
use base::flow::{Service, Transport};
use base::machine::Name;
use base::time::Duration;
use base::trust::Networks;
use engine::sim::{HostId, Weather};
use engine::{FunctionSpec, Listener};
use ipsmgw::{IpSmGw, IpSmGwConfig, Limits, Patience};
use sms::rp::{Cause, Rpdu};
use sms::time_stamp::Zone;
use sms::tpdu::{DeliverReport, Parameters, Submit, SubmitReport, Tpdu};
use sms::{Address, Number, Reference, ShortMessage, Status};
use strowger::plan::Role;
use strowger_tests::network::DOMAIN;
use strowger_tests::{Network, Phone};
use ue::{UeConfig, UeOrder, What};

const GATEWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 1));

/// What a phone's texts go by.
const CRITERION: &str = "sip:10.254.0.1 when method=MESSAGE and \
                         header:Content-Type=application/vnd.3gpp.sms and case=originating";

/// What the gateway learns of a phone that is back by, TS 24.229 §5.4.1.7.
const REGISTRATION: &str = "sip:10.254.0.1 when method=REGISTER";

fn gateway(random: Random) -> FunctionSpec {
    let icscf = format!("icscf.{DOMAIN}");
    let config = IpSmGwConfig {
        host: GATEWAY.to_string(),
        port: None,
        icscf: Name { service: Service::Sip, host: icscf, port: None, transport: None },
        service_centre: Number::international("493099").expect("digits"),
        zone: Zone::UTC,
        dialling: None,
        trust: Networks::new(vec![(IpAddr::from([10, 255, 0, 0]), 16)]),
        limits: Limits::default(),
        patience: Patience::default(),
    };
    let addr = (GATEWAY, 5060).into();
    let listener = |transport| Listener { service: Service::Sip, transport, addr };
    FunctionSpec {
        name: "ipsmgw".to_owned(),
        hosts: Vec::new(),
        function: Box::new(IpSmGw::new(config, random)),
        listeners: [Transport::Udp, Transport::Tcp].map(listener).into(),
        tables: &[ipsmgw::TABLE],
    }
}

/// A network with a gateway, and the gateway's host.
fn network() -> (Network, HostId) {
    let mut network = Network::spread_with(7, Weather::CALM, None, |plan| {
        plan.trusted.push((GATEWAY, 24));
    });
    let host = network.sim.host("ipsmgw", GATEWAY, |boot| gateway(boot.random).into());
    (network, host)
}

/// A phone's MESSAGE with an RPDU; its number makes it another one than those before.
fn send(network: &mut Network, from: Phone, number: u32, rpdu: &Rpdu) {
    let body = rpdu.emit();
    let head = format!(
        "MESSAGE tel:+493099 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK{0}x{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <{1}>;tag=1\r\nTo: <tel:+493099>\r\nCall-ID: {0}-{number}\r\n\
         CSeq: 1 MESSAGE\r\nContent-Type: application/vnd.3gpp.sms\r\nContent-Length: {2}\r\n\r\n",
        from.number,
        from.tel(),
        body.len(),
    );
    network.send(from, [head.as_bytes(), &body].concat());
}

/// What phones get within so many seconds, in order.
fn get(network: &mut Network, seconds: u64) -> Vec<(HostId, Rpdu)> {
    let mut got = Vec::new();
    for (host, report) in network.run(Duration::from_secs(seconds)) {
        if let What::MessageReceived { content_type, body, .. } = report.what {
            assert_eq!(content_type, sms::CONTENT_TYPE);
            got.push((host, Rpdu::parse(&body).expect("an RPDU")));
        }
    }
    got
}

fn number_of(phone: Phone) -> Number {
    Number::international(phone.tel().trim_start_matches("tel:")).expect("a number")
}

fn ack(network: &mut Network, phone: Phone, number: u32, reference: u8) {
    let report = DeliverReport::Ack(Parameters::NONE);
    send(network, phone, number, &Rpdu::deliver_report(reference, &report, Cause::PROTOCOL_ERROR));
}

/// Such a phone leaves it to the test to answer the service centre.
fn by_hand(config: &mut UeConfig) {
    config.options.raw_sms = true;
}

/// Alice and Bob with their phones.
fn two(network: &mut Network) -> (Phone, Phone) {
    let mut phone = |number| network.served_phone(number, &[CRITERION], by_hand);
    (phone(1), phone(2))
}

fn submit(to: Phone, reference: u8, text: ShortMessage) -> Submit {
    Submit::new(reference, Address::Number(number_of(to)), text)
}

#[test]
fn who_is_not_there_gets_his_text_later() {
    let (mut network, gateway) = network();
    let (alice, bob) = two(&mut network);
    network.register(alice);
    let text = submit(bob, 1, ShortMessage::from_text("call me").expect("a short text"));
    send(&mut network, alice, 1, &Rpdu::submit(1, None, &text));
    let got = get(&mut network, 10);
    assert!(matches!(got[..], [(host, Rpdu::Ack { .. })] if host == alice.host), "{got:?}");
    // What was accepted outlives the gateway.
    network.sim.crash(gateway);
    network.run(Duration::from_secs(5));
    network.sim.restart(gateway);
    network.run(Duration::from_secs(5));
    assert_eq!(network.census(gateway, "ipsmgw").count("texts"), 1);
    network.register(bob);
    let got = get(&mut network, 60);
    let [(host, delivered)] = &got[..] else { panic!("{got:?}") };
    let Some(Ok(Tpdu::Deliver(deliver))) = delivered.tpdu() else { panic!("{delivered:?}") };
    assert_eq!((*host, deliver.user_data.text().as_deref()), (bob.host, Some("call me")));
    ack(&mut network, bob, 1, delivered.reference());
    assert_eq!(get(&mut network, 300), [], "it does not come again");
}

/// Long before the gateway would try again by itself.
#[test]
fn who_registers_gets_what_waits_at_once() {
    let (mut network, _) = network();
    let alice = network.served_phone(1, &[CRITERION], by_hand);
    let bob = network.served_phone(2, &[CRITERION, REGISTRATION], by_hand);
    network.register(alice);
    for number in 1..=2 {
        let text = ShortMessage::from_text(&format!("text {number}")).expect("a short text");
        let submit = submit(bob, number as u8, text);
        send(&mut network, alice, number, &Rpdu::submit(number as u8, None, &submit));
        assert_eq!(get(&mut network, 2).len(), 1, "it is accepted");
    }
    network.run(Duration::from_secs(600));
    network.order(bob, UeOrder::Register);
    for number in 1..=2 {
        let got = get(&mut network, 2);
        let [(host, delivered)] = &got[..] else { panic!("{got:?}") };
        let Some(Ok(Tpdu::Deliver(deliver))) = delivered.tpdu() else { panic!("{delivered:?}") };
        let text = format!("text {number}");
        assert_eq!((*host, deliver.user_data.text()), (bob.host, Some(text)));
        ack(&mut network, bob, number, delivered.reference());
    }
    assert_eq!(get(&mut network, 300), [], "it does not come again");
}

/// With the role in the configuration nobody needs filter criteria of his own.
#[test]
fn a_gateway_in_the_same_process_serves_everybody() {
    let mut network = Network::new_with(7, Weather::CALM, |plan| {
        plan.here.insert(Role::IpSmGw, Vec::new());
    });
    let [alice, bob] = [1, 2].map(|number| network.sim_phone(number, by_hand));
    network.register(alice);
    let submit = submit(bob, 1, ShortMessage::from_text("are you there?").expect("a short text"));
    send(&mut network, alice, 1, &Rpdu::submit(1, None, &submit));
    assert!(matches!(get(&mut network, 2)[..], [(host, Rpdu::Ack { .. })] if host == alice.host));
    network.run(Duration::from_secs(600));
    network.order(bob, UeOrder::Register);
    let got = get(&mut network, 2);
    let [(host, delivered)] = &got[..] else { panic!("{got:?}") };
    let Some(Ok(Tpdu::Deliver(deliver))) = delivered.tpdu() else { panic!("{delivered:?}") };
    let said = (*host, deliver.user_data.text(), deliver.originator.clone());
    let expected = Some("are you there?".to_owned());
    assert_eq!(said, (bob.host, expected, Address::Number(number_of(alice))));
    ack(&mut network, bob, 1, delivered.reference());
    assert_eq!(get(&mut network, 300), [], "it does not come again");
    let census = network.census(network.core, "ipsmgw");
    assert_eq!(census.alive().collect::<Vec<_>>(), [], "nothing is left");
}

#[test]
fn a_long_text_arrives_whole_and_is_reported() {
    let (mut network, gateway) = network();
    let (alice, bob) = two(&mut network);
    network.register(alice);
    network.register(bob);
    let text = "Ёлочка 🎄 ".repeat(20);
    let parts = sms::split(&text, Reference::Eight(9)).expect("a few parts");
    assert!(parts.len() > 2);
    let mut arrived = Vec::new();
    for (number, part) in (1..).zip(parts.clone()) {
        let mut submit = submit(bob, number as u8, part);
        submit.status_report = true;
        send(&mut network, alice, number, &Rpdu::submit(number as u8, None, &submit));
        let got = get(&mut network, 2);
        let [(first, accepted), (second, delivered)] = &got[..] else { panic!("{got:?}") };
        assert_eq!((*first, *second), (alice.host, bob.host));
        let taken = accepted.tpdu();
        let taken = matches!(taken, Some(Ok(Tpdu::SubmitReport(SubmitReport::Ack(..)))));
        assert!(taken && accepted.reference() == number as u8, "{accepted:?}");
        let Some(Ok(Tpdu::Deliver(deliver))) = delivered.tpdu() else { panic!("{delivered:?}") };
        assert_eq!(deliver.originator, Address::Number(number_of(alice)));
        arrived.push(deliver.user_data);

        ack(&mut network, bob, number, delivered.reference());
        let got = get(&mut network, 2);
        let [(host, reported)] = &got[..] else { panic!("{got:?}") };
        let Some(Ok(Tpdu::StatusReport(report))) = reported.tpdu() else { panic!("{reported:?}") };
        let said = (*host, report.status, report.reference);
        assert_eq!(said, (alice.host, Status::RECEIVED, number as u8));
        ack(&mut network, alice, 100 + number, reported.reference());
    }
    assert_eq!(arrived, parts);
    assert_eq!(sms::text_of(&arrived), Some(text));
    assert_eq!(get(&mut network, 300), [], "nothing comes again");
    let census = network.census(gateway, "ipsmgw");
    assert_eq!(census.alive().collect::<Vec<_>>(), [], "nothing is left");
}

// ---- phones that do it all themselves

const CENTRE: &str = "+999000";

/// A network whose core has a gateway, and two phones that are registered.
fn talkers() -> (Network, Phone, Phone) {
    let mut network = Network::new_with(7, Weather::CALM, |plan| {
        plan.here.insert(Role::IpSmGw, Vec::new());
    });
    let [alice, bob] = [1, 2].map(|number| network.sim_phone(number, |_| {}));
    network.register(alice);
    network.register(bob);
    (network, alice, bob)
}

fn write(network: &mut Network, from: Phone, to: &str, text: &str, token: u64) {
    let (to, text, centre) = (to.to_owned(), text.to_owned(), CENTRE.to_owned());
    let order = UeOrder::ShortMessage { to, text, centre, status_report: true, token };
    network.order(from, order);
}

/// What phones tell of texts within so many seconds, in order.
fn told(network: &mut Network, seconds: u64) -> Vec<(HostId, What)> {
    let reports = network.run(Duration::from_secs(seconds)).into_iter();
    let of_texts = reports.filter(|(_, report)| {
        matches!(
            report.what,
            What::ShortMessageResult { .. }
                | What::ShortMessageStatus { .. }
                | What::ShortMessageReceived { .. }
        )
    });
    of_texts.map(|(host, report)| (host, report.what)).collect()
}

#[test]
fn a_text_of_many_parts_goes_from_phone_to_phone() {
    let (mut network, alice, bob) = talkers();
    let text = "Ёлочка 🎄 ".repeat(20);
    write(&mut network, alice, &bob.tel(), &text, 5);
    let told = told(&mut network, 10);
    let status = Status::RECEIVED.name();
    for expected in [
        (alice.host, What::ShortMessageResult { token: 5, refused: None }),
        (alice.host, What::ShortMessageStatus { token: 5, delivered: true, status }),
    ] {
        assert!(told.contains(&expected), "{told:?}");
    }
    let from = alice.tel().trim_start_matches("tel:").to_owned();
    let received = What::ShortMessageReceived { from, text: Some(text) };
    assert_eq!(told.iter().filter(|one| **one == (bob.host, received.clone())).count(), 1);
    assert_eq!(told.len(), 3, "{told:?}");
    let census = network.census(network.core, "ipsmgw");
    assert_eq!(census.alive().collect::<Vec<_>>(), [], "nothing is left");
}

#[test]
fn what_cannot_be_delivered_is_told() {
    let (mut network, alice, _) = talkers();
    write(&mut network, alice, "bob", "hello", 1);
    let told_now = told(&mut network, 1);
    let [(_, What::ShortMessageResult { token: 1, refused: Some(why) })] = &told_now[..] else {
        panic!("{told_now:?}")
    };
    assert_eq!(why, "bob is not a telephone number");
    // Nobody has this number: the centre finds out when it tries.
    write(&mut network, alice, "+15559999", "hello", 2);
    let told = told(&mut network, 10);
    let status = Status::NOT_OBTAINABLE.name();
    let last = What::ShortMessageStatus { token: 2, delivered: false, status };
    assert_eq!(told.last(), Some(&(alice.host, last)), "{told:?}");
}

#[test]
fn a_full_phone_gets_its_text_when_it_has_memory_again() {
    let (mut network, alice, bob) = talkers();
    network.order(bob, UeOrder::Memory { full: true, centre: CENTRE.to_owned() });
    write(&mut network, alice, &bob.tel(), "hello", 1);
    let accepted = told(&mut network, 5);
    let result = (alice.host, What::ShortMessageResult { token: 1, refused: None });
    assert_eq!(accepted, [result]);
    network.order(bob, UeOrder::Memory { full: false, centre: CENTRE.to_owned() });
    // Long before the centre would try again by itself.
    let told = told(&mut network, 2);
    assert!(
        matches!(&told[0], (host, What::ShortMessageReceived { text: Some(text), .. })
        if *host == bob.host && text == "hello"),
        "{told:?}"
    );
    assert!(
        matches!(told[1], (host, What::ShortMessageStatus { delivered: true, .. })
        if host == alice.host),
        "{told:?}"
    );
}
