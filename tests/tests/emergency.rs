//! Emergency calls through the whole network, TS 24.229 §5.2.10 and §5.11: with a registration, without
//! one, without a SIM; to the next centre, and back.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use base::flow::Service;
use base::machine::Name;
use base::time::Duration;
use engine::shard::{Crossing, Direction};
use engine::sim::Weather;
use sip::header::HeaderName;
use sip::{Message, Method};
use strowger::plan::Role;
use strowger_tests::network::{DOMAIN, ip};
use strowger_tests::{Network, Phone};
use ue::{CallId, Incoming, UeConfig, UeOrder, What};

const CENTRE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 254, 0, 7));
const POLICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 254, 0, 8));

/// What the centres received.
type Heard = Rc<RefCell<Vec<Message>>>;

/// A network with these centres, and what they hear.
fn network(centres: &[&str]) -> (Network, Heard) {
    let centres: Vec<_> = centres.iter().map(|text| text.parse().expect("a centre")).collect();
    let mut network = Network::new_with(1, Weather::CALM, move |plan| {
        plan.here.insert(Role::Ecscf, vec![SocketAddr::new(ip(0), 5070)]);
        plan.centres.clone_from(&centres);
        plan.emergency_numbers = ["112", "110=urn:service:sos.police"]
            .map(|text| text.parse().expect("a number"))
            .into_iter()
            .collect();
    });
    let heard = Heard::default();
    let tap = Rc::clone(&heard);
    network.sim.tap(move |_, _, crossing: &Crossing<'_>| {
        let at = crossing.to.endpoint.ip();
        let centre = at == Some(CENTRE) || at == Some(POLICE);
        if centre && crossing.direction == Direction::Received && crossing.service == Service::Sip {
            tap.borrow_mut().extend(Message::parse(crossing.bytes.clone()));
        }
    });
    (network, heard)
}

/// A centre, whose own calls go to the E-CSCF.
fn psap(network: &mut Network, change: impl Fn(&mut UeConfig) + 'static) -> Phone {
    network.outsider("psap", CENTRE, move |config| {
        let (service, host, port) = (Service::Sip, ip(0).to_string(), Some(5070));
        config.proxy = Some(Name { service, host, port, transport: None });
        change(config);
    })
}

/// How a call ends that is begun now: answered there, or with a status.
fn call(network: &mut Network, from: Phone, to: &str, by: Phone) -> Result<(CallId, CallId), u16> {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let (mut caller, mut called) = (None, None);
    let end = network.until(Duration::from_secs(60), |host, report| {
        match &report.what {
            What::Answered { call, .. } if host == from.host => caller = Some(*call),
            What::Incoming { call, .. } if host == by.host => called = Some(*call),
            What::Ended { status, .. } if host == from.host => return Some(Err(*status)),
            _ => {}
        }
        caller.zip(called).map(Ok)
    });
    end.expect("the call is answered or ends")
}

fn ends(network: &mut Network, by: Phone, call: CallId) {
    network.order(by, UeOrder::Hangup(call));
    let mut ended = 0;
    let both = network.until(Duration::from_secs(5), |_, report| {
        ended += usize::from(matches!(report.what, What::Ended { .. }));
        (ended == 2).then_some(())
    });
    assert!(both.is_some(), "both ends learn of it");
    network.run(Duration::from_secs(40));
    for function in ["pcscf", "ecscf", "media"] {
        let census = network.census(network.core, function);
        let over = ["bindings", "subscriptions"];
        assert!(census.0.iter().all(|(what, n)| *n == 0 || over.contains(what)), "{census:?}");
    }
}

fn invite(heard: &Heard) -> Message {
    let heard = heard.borrow();
    let mut invites = heard.iter().filter(|message| message.method() == Some(&Method::Invite));
    invites.next_back().expect("the centre gets an INVITE").clone()
}

#[test]
fn a_registered_phone_calls_for_help_and_is_called_back() {
    for ends_by_caller in [true, false] {
        let (mut network, heard) = network(&["sip:psap@10.254.0.7"]);
        let centre = psap(&mut network, |_| {});
        let alice = network.sim_phone(1, |_| {});
        network.register(alice);
        let (caller, called) = call(&mut network, alice, "112", centre).expect("it is answered");
        let asked = invite(&heard);
        assert_eq!(asked.uri(), "urn:service:sos");
        let asserted: Vec<_> = asked.list(HeaderName::PAssertedIdentity).collect();
        let sip = format!("<sip:+493000000001@{DOMAIN}>");
        assert_eq!(asserted, [sip.as_str(), "<tel:+493000000001>"]);
        assert!(asked.get(HeaderName::PAccessNetworkInfo).unwrap().contains("0010100010019b01"));
        network.run(Duration::from_secs(2));
        let (by, of) = if ends_by_caller { (alice, caller) } else { (centre, called) };
        ends(&mut network, by, of);
        // The centre calls the identity that was asserted.
        let back = sip.trim_matches(['<', '>']).to_owned();
        let (caller, _) = call(&mut network, centre, &back, alice).expect("it is answered");
        ends(&mut network, centre, caller);
    }
}

#[test]
fn a_phone_without_a_sim_gets_to_the_centre_and_nowhere_else() {
    let (mut network, heard) = network(&["sip:psap@10.254.0.7"]);
    let centre = psap(&mut network, |_| {});
    let alice = network.sim_phone(1, |_| {});
    network.register(alice);
    let stranger = network.stranger(2, |_| {});
    let (caller, _) =
        call(&mut network, stranger, "urn:service:sos.fire", centre).expect("it is answered");
    assert_eq!(invite(&heard).uri(), "urn:service:sos.fire");
    assert_eq!(invite(&heard).get(HeaderName::PAssertedIdentity), None);
    assert_eq!(call(&mut network, stranger, &alice.tel(), alice), Err(403));
    ends(&mut network, stranger, caller);
    assert_eq!(call(&mut network, stranger, "911", centre), Err(403), "no number of this place");
    let (caller, _) = call(&mut network, stranger, "112", centre).expect("it is answered");
    ends(&mut network, stranger, caller);
}

#[test]
fn a_call_for_help_outlives_a_restart_of_the_network() {
    for ends_by_caller in [true, false] {
        let (mut network, _) = network(&["sip:psap@10.254.0.7"]);
        let centre = psap(&mut network, |_| {});
        let stranger = network.stranger(2, |_| {});
        let (caller, called) = call(&mut network, stranger, "112", centre).expect("it is answered");
        network.run(Duration::from_secs(1));
        network.sim.crash(network.core);
        network.restart(Role::Pcscf);
        let census = network.census(network.core, "pcscf");
        assert!(census.0.contains(&("emergency calls", 1)), "{census:?}");
        let (by, of) = if ends_by_caller { (stranger, caller) } else { (centre, called) };
        ends(&mut network, by, of);
    }
}

const SDP: &str = "application/sdp";

/// An INVITE by hand, with these bytes as its body.
fn by_hand(kind: &str, body: &str) -> String {
    format!(
        "INVITE urn:service:sos SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bKplace\r\n\
         Max-Forwards: 70\r\nFrom: <sip:anonymous@anonymous.invalid>;tag=1\r\nTo: <urn:service:sos>\r\n\
         Call-ID: place\r\nCSeq: 1 INVITE\r\nContact: <sip:10.0.0.3>\r\n\
         Geolocation: <cid:here@10.0.0.3>\r\nGeolocation-Routing: no\r\n\
         Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A phone behind a router has an address that no centre reaches: its media goes through the relay, and both hear
/// each other. What is left of it after the call `ends` looks at.
#[test]
fn the_media_of_a_call_for_help_goes_through_the_relay() {
    let (mut network, heard) = network(&["sip:psap@10.254.0.9", "sip:psap@10.254.0.7"]);
    let centre = psap(&mut network, |_| {});
    let stranger = network.stranger(2, |_| {});
    let (_, called) = call(&mut network, stranger, "112", centre).expect("it is answered");
    let offer = invite(&heard).part(SDP).expect("an offer");
    let offer = String::from_utf8_lossy(&offer).into_owned();
    assert!(offer.contains(&format!("c=IN IP4 {}\r\n", ip(0))), "{offer}");
    assert!(network.census(network.core, "media").count("sessions") > 0);
    network.run(Duration::from_secs(3));
    network.order(centre, UeOrder::Hangup(called));
    let mut received = Vec::new();
    let both = network.until(Duration::from_secs(5), |_, report| {
        if let What::Ended { media, .. } = &report.what {
            received.push(media.stats.received);
        }
        (received.len() == 2).then_some(())
    });
    assert!(both.is_some() && received.iter().all(|packets| *packets > 100), "{received:?}");
    let (caller, _) = call(&mut network, stranger, "112", centre).expect("it is answered");
    ends(&mut network, stranger, caller);
}

/// Help comes without the relay, too.
#[test]
fn a_call_for_help_goes_on_without_the_relay() {
    let mut network = Network::one_each(1, Weather::CALM, None, |plan| {
        plan.centres = vec!["sip:psap@10.254.0.7".parse().expect("a centre")];
        plan.emergency_numbers = ["112".parse().expect("a number")].into_iter().collect();
    });
    let centre = network.outsider("psap", CENTRE, |_| {});
    let stranger = network.stranger(2, |_| {});
    let [ecscf, media] = [Role::Ecscf, Role::Media].map(|role| network.hosts[&role]);
    network.sim.partition(ecscf, media);
    let began = network.sim.now();
    let (caller, _) = call(&mut network, stranger, "112", centre).expect("it is answered");
    let took = network.sim.now().since(began);
    let once = Duration::from_secs(5)..Duration::from_secs(8);
    assert!(once.contains(&took), "the relay is waited for once: {took:?}");
    network.order(stranger, UeOrder::Hangup(caller));
    network.run(Duration::from_secs(40));
    // Who gives up while the relay is waited for rings nowhere.
    network.order(stranger, UeOrder::Call { to: "112".to_owned(), token: 2 });
    let caller = network.until(Duration::from_secs(1), |_, report| match report.what {
        What::Calling { call, token: 2 } => Some(call),
        _ => None,
    });
    network.run(Duration::from_secs(1));
    let caller = caller.expect("it calls");
    network.order(stranger, UeOrder::Hangup(caller));
    let mut ended = false;
    for (host, report) in network.run(Duration::from_secs(40)) {
        match report.what {
            What::Ended { call, .. } => ended |= host == stranger.host && call == caller,
            What::Incoming { .. } => panic!("the centre rings"),
            _ => {}
        }
    }
    assert!(ended);
    let census = network.census(ecscf, "ecscf");
    assert!(census.0.iter().all(|(_, n)| *n == 0), "{census:?}");
}

/// RFC 6442 §4.2: a phone with SDP and its place in one body. Of it the relay rewrites the SDP alone.
#[test]
fn the_place_of_the_caller_stands_beside_rewritten_sdp() {
    let (mut network, heard) = network(&["sip:psap@10.254.0.7"]);
    let _centre = psap(&mut network, |config| config.incoming = Incoming::Reject(486));
    let stranger = network.stranger(2, |_| {});
    assert_eq!(call(&mut network, stranger, "999", stranger), Err(403));
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.168.1.93\r\ns=-\r\nc=IN IP4 192.168.1.93\r\nt=0 0\r\n\
               m=audio 4000 RTP/AVP 0\r\n";
    let place = "--x\r\nContent-Type: application/pidf+xml\r\nContent-ID: <here@10.0.0.3>\r\n\r\n\
                 <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:a@b\"/>\r\n";
    let body = format!("{place}--x\r\nContent-Type: {SDP}\r\n\r\n{sdp}\r\n--x--\r\n");
    network.send(stranger, by_hand("multipart/mixed;boundary=x", &body));
    network.run(Duration::from_secs(5));
    let asked = invite(&heard);
    let offer = asked.part(SDP).expect("an offer");
    let offer = String::from_utf8_lossy(&offer).into_owned();
    assert!(!offer.contains("192.168.1.93") && offer.contains(&ip(0).to_string()), "{offer}");
    let body = String::from_utf8_lossy(asked.body()).into_owned();
    assert_eq!(body, format!("{place}--x\r\nContent-Type: {SDP}\r\n\r\n{offer}\r\n--x--\r\n"));
}

/// RFC 6442: by value, in a body of several parts.
#[test]
fn the_place_of_the_caller_reaches_the_centre_untouched() {
    let (mut network, heard) = network(&["sip:psap@10.254.0.7"]);
    let _centre = psap(&mut network, |config| config.incoming = Incoming::Reject(486));
    let stranger = network.stranger(2, |_| {});
    // The phone finds its P-CSCF.
    assert_eq!(call(&mut network, stranger, "999", stranger), Err(403));
    let body = "--x\r\nContent-Type: application/pidf+xml\r\nContent-ID: <here@10.0.0.3>\r\n\r\n\
                <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:a@b\"/>\r\n--x--\r\n";
    network.send(stranger, by_hand("multipart/mixed;boundary=x", body));
    network.run(Duration::from_secs(5));
    let asked = invite(&heard);
    assert_eq!(asked.get(HeaderName::Geolocation), Some("<cid:here@10.0.0.3>"));
    let text = String::from_utf8(asked.to_bytes().to_vec()).expect("text");
    assert!(text.contains("\r\nGeolocation-Routing: no\r\n"), "{text}");
    assert_eq!(asked.body(), body.as_bytes());
}

#[test]
fn the_next_centre_is_asked_when_one_does_not_answer() {
    // The first one has an address where nobody is, the second one is too busy.
    let centres = ["sip:psap@10.254.0.9", "sip:police@10.254.0.8", "sip:psap@10.254.0.7"];
    let (mut network, heard) = network(&centres);
    let _police =
        network.outsider("police", POLICE, |config| config.incoming = Incoming::Reject(486));
    let centre = psap(&mut network, |_| {});
    let stranger = network.stranger(2, |_| {});
    let began = network.sim.now();
    let (caller, _) = call(&mut network, stranger, "112", centre).expect("it is answered");
    assert!(network.sim.now().since(began) < Duration::from_secs(12), "nobody waits for long");
    let asked: Vec<_> = heard.borrow().iter().filter_map(|m| m.method().cloned()).collect();
    assert!(asked.starts_with(&[Method::Invite, Method::Ack, Method::Invite]), "{asked:?}");
    ends(&mut network, stranger, caller);
}

#[test]
fn a_service_has_centres_of_its_own() {
    let centres = ["sip:psap@10.254.0.7", "urn:service:sos.police=sip:police@10.254.0.8"];
    let (mut network, heard) = network(&centres);
    let centre = psap(&mut network, |_| {});
    let police = network.outsider("police", POLICE, |_| {});
    let alice = network.password_phone(1, |_| {});
    network.register(alice);
    for (number, by) in [("110", police), ("112", centre)] {
        let (caller, _) = call(&mut network, alice, number, by).expect("it is answered");
        ends(&mut network, alice, caller);
    }
    assert_eq!(invite(&heard).uri(), "urn:service:sos");
}

#[test]
fn what_no_centre_takes_is_refused_clearly() {
    let (mut network, _) = network(&["sip:psap@10.254.0.9"]);
    let alice = network.sim_phone(1, |_| {});
    network.register(alice);
    assert_eq!(call(&mut network, alice, "112", alice), Err(503), "nobody is there");
    let mut network = Network::new(1, Weather::CALM);
    let stranger = network.stranger(1, |_| {});
    assert_eq!(call(&mut network, stranger, "112", stranger), Err(380), "no centre is configured");
}

/// TS 24.229 §5.1.6.2: who may not even register can for an emergency, and be called back.
#[test]
fn an_emergency_registration_is_for_everybody_and_for_nothing_else() {
    let (mut network, heard) = network(&["sip:psap@10.254.0.7"]);
    let centre = psap(&mut network, |_| {});
    let carol = network.sim_phone(3, |config| config.options.emergency = true);
    let alice = network.sim_phone(1, |_| {});
    network.register(alice);
    let mut barred =
        strowger_tests::network::sim_subscriber(3, &[strowger_tests::network::msisdn(3)]);
    barred.set_barred(true);
    network.replace(barred);
    network.register(carol);
    assert_eq!(call(&mut network, carol, &alice.tel(), alice), Err(403));
    assert!(call(&mut network, alice, &carol.tel(), carol).is_err());
    let (caller, _) = call(&mut network, carol, "112", centre).expect("it is answered");
    let asserted = invite(&heard);
    let asserted = asserted.list(HeaderName::PAssertedIdentity).next().expect("an identity");
    let back = asserted.trim_matches(['<', '>']).to_owned();
    ends(&mut network, carol, caller);
    let (caller, _) = call(&mut network, centre, &back, carol).expect("it is answered");
    ends(&mut network, centre, caller);
}
