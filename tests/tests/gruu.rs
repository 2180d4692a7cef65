//! GRUUs, RFC 5627 as TS 24.229 §5.4.7A has it: a URI that reaches one phone of several.

use base::redact::Secret;
use base::time::Duration;
use base::{Service, Transport};
use engine::sim::{HostId, Weather};
use sip::gruu::Granted;
use sip::header::{HeaderName, NameAddr};
use sip::{Message, Uri};
use strowger::plan::Role;
use strowger_tests::ear::Ear;
use strowger_tests::network::{DOMAIN, msisdn};
use strowger_tests::{Network, Phone};
use ue::{Credential, UeConfig, UeOrder, What};

const FIRST: &str = "urn:uuid:00000000-0000-1000-8000-000a95a0e128";
const SECOND: &str = "urn:uuid:00000000-0000-1000-8000-000a95a0e129";
const IMEI: &str = "urn:gsma:imei:90420156-025763-0";

/// Changes a phone into one of `user1`, this instance of it.
fn of_user1(instance: &'static str) -> impl Fn(&mut UeConfig) + 'static {
    move |config| {
        let credential = Credential::Password(Secret::new("secret1".to_owned()));
        let mut user1 = UeConfig::new("user1", &format!("sip:user1@{DOMAIN}"), credential, DOMAIN);
        (user1.contact, user1.media) = (config.contact.clone(), config.media.clone());
        user1.proxy.clone_from(&config.proxy);
        user1.options.instance = Some(instance.to_owned());
        *config = user1;
    }
}

/// Two phones of one user and one of another.
fn three(network: &mut Network) -> [Phone; 3] {
    let phones = [
        network.password_phone(1, of_user1(FIRST)),
        network.password_phone(2, of_user1(SECOND)),
        network.sim_phone(3, |_| {}),
    ];
    phones.map(|phone| {
        network.register(phone);
        phone
    })
}

/// The GRUUs that the registrar gave a phone last.
fn granted(ear: &Ear, phone: Phone, instance: &str) -> Granted {
    let answers = ear.answers(phone.host, "REGISTER");
    let last = answers.iter().rfind(|answer| answer.status() == 200).expect("it registered");
    let mut contacts = last.list(HeaderName::Contact).filter_map(NameAddr::parse);
    let ours =
        contacts.find(|c| c.params.get("+sip.instance").is_some_and(|i| i.contains(instance)));
    Granted::of(&ours.expect("the phone is among the contacts"))
}

/// Who rings, and the status that the call is answered or refused with. It ends at once.
fn rings(network: &mut Network, from: Phone, to: &str) -> (Vec<HostId>, u16) {
    network.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
    let mut rung = Vec::new();
    let end = network.until(Duration::from_secs(40), |host, report| match &report.what {
        What::Incoming { .. } => {
            rung.push(host);
            None
        }
        What::Answered { call, .. } if host == from.host => Some((200, Some(*call))),
        What::Ended { status, .. } if host == from.host => Some((*status, None)),
        _ => None,
    });
    let (status, call) = end.expect("the call comes to something");
    call.into_iter().for_each(|call| network.order(from, UeOrder::Hangup(call)));
    network.run(Duration::from_secs(3));
    rung.sort();
    (rung, status)
}

fn contact(message: &Message) -> String {
    let contact = message.list(HeaderName::Contact).next().and_then(NameAddr::parse);
    contact.expect("it has a Contact").uri.to_owned()
}

#[test]
fn a_public_gruu_reaches_one_phone_of_two() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let [first, second, bob] = three(&mut network);
    let both = rings(&mut network, bob, &format!("sip:user1@{DOMAIN}"));
    assert_eq!(both, (vec![first.host, second.host], 200));
    for (phone, instance) in [(first, FIRST), (second, SECOND)] {
        let gruu = granted(&ear, phone, instance).public.expect("a public GRUU");
        assert_eq!(gruu, format!("sip:user1@{DOMAIN};gr={instance}"));
        assert_eq!(rings(&mut network, bob, &gruu), (vec![phone.host], 200));
        let invites = ear.reached(phone.host, "INVITE");
        let invite = invites.last().expect("it rang");
        let called = invite.get(HeaderName::PCalledPartyId);
        assert_eq!(called, Some(format!("<{gruu}>").as_str()), "it is told how it was called");
        // Whoever answers is asserted as an identity, never as a GRUU.
        let answers = ear.answers(bob.host, "INVITE");
        let asserted = answers.iter().filter_map(|a| a.get(HeaderName::PAssertedIdentity)).last();
        assert_eq!(asserted, Some(format!("<sip:user1@{DOMAIN}>").as_str()));
    }
    // RFC 5627 §5.3: the user has such a phone no more, or not now.
    let unknown = format!("sip:user1@{DOMAIN};gr=urn:uuid:00000000-0000-1000-8000-000000000000");
    assert_eq!(rings(&mut network, bob, &unknown), (vec![], 480));
    network.order(second, UeOrder::Deregister);
    network.run(Duration::from_secs(1));
    let gone = format!("sip:user1@{DOMAIN};gr={SECOND}");
    assert_eq!(rings(&mut network, bob, &gone), (vec![], 480));
    let nobody = format!("sip:nobody@{DOMAIN};gr={SECOND}");
    assert_eq!(rings(&mut network, bob, &nobody), (vec![], 404));
}

/// RFC 5627 §3.1.2: each REGISTER gives another one; all are good as long as the phone is registered with one
/// Call-ID, and none shows who or what is behind it.
#[test]
fn temporary_gruus_live_as_long_as_the_registration() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let [first, second, bob] = three(&mut network);
    let mut temporary = Vec::new();
    for _ in 0..3 {
        network.register(first);
        temporary.push(granted(&ear, first, FIRST).temporary.expect("a temporary GRUU"));
    }
    temporary.push(granted(&ear, second, SECOND).temporary.expect("a temporary GRUU"));
    let mut different = temporary.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 4, "{temporary:?}");
    for gruu in &temporary {
        let uri = Uri::parse(gruu).and_then(Uri::sip).expect("a SIP URI");
        assert_eq!(uri.params.get("gr"), Some(""));
        assert!(!gruu.contains("user1") && !gruu.contains("a95a0e"), "{gruu}");
    }
    for gruu in &temporary[..3] {
        assert_eq!(rings(&mut network, bob, gruu), (vec![first.host], 200));
    }
    assert_eq!(rings(&mut network, bob, &temporary[3]), (vec![second.host], 200));
    // Another Call-ID: the phone has forgotten the old one.
    network.sim.restart(first.host);
    network.register(first);
    for gruu in &temporary[..3] {
        assert_eq!(rings(&mut network, bob, gruu), (vec![], 404), "another Call-ID");
    }
    let new = granted(&ear, first, FIRST).temporary.expect("a temporary GRUU");
    assert_eq!(rings(&mut network, bob, &new), (vec![first.host], 200));
    // The contact is gone, and comes back with the same Call-ID.
    network.order(second, UeOrder::Deregister);
    network.run(Duration::from_secs(3));
    assert_eq!(rings(&mut network, bob, &temporary[3]), (vec![], 404), "the contact is gone");
    network.register(second);
    assert_eq!(
        rings(&mut network, bob, &temporary[3]),
        (vec![], 404),
        "it is another registration"
    );
    // What was never given is nobody's.
    let forged = temporary[0].replacen("tgruu.", "tgruu.A", 1);
    assert_eq!(rings(&mut network, bob, &forged), (vec![], 404));
}

/// The key is in the store, and so is which registration is meant.
#[test]
fn gruus_outlive_a_crash_of_the_core() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let [first, _, bob] = three(&mut network);
    let gruus = granted(&ear, first, FIRST);
    network.run(Duration::from_millis(100));
    let core = network.core;
    network.sim.crash(core);
    network.sim.restart(core);
    network.run(Duration::from_secs(1));
    for gruu in [gruus.public, gruus.temporary] {
        let gruu = gruu.expect("a GRUU");
        assert_eq!(rings(&mut network, bob, &gruu), (vec![first.host], 200), "{gruu}");
    }
}

/// A SIM registers with an identity that is barred: its GRUUs come with reg event (RFC 5628), also at the
/// P-CSCF, which takes large requests on a further connection by them. Requests within the dialog, and later
/// ones to its Contact, find the phone.
#[test]
fn a_phone_is_called_back_by_its_contact() {
    for privacy in [None, Some("id")] {
        let mut network = Network::spread(1, Weather::CALM, None);
        let ear = Ear::at(&mut network);
        let alice = network.sim_phone(1, move |config| {
            config.options.instance = Some(IMEI.to_owned());
            config.options.privacy = privacy.map(str::to_owned);
            config.options.same_flow = false;
        });
        let bob = network.sim_phone(2, |_| {});
        network.register(alice);
        network.register(bob);
        network.run(Duration::from_secs(2));
        network.order(alice, UeOrder::Call { to: bob.tel(), token: 1 });
        let call = network.until(Duration::from_secs(10), |host, report| match &report.what {
            What::Answered { call, .. } if host == bob.host => Some(*call),
            What::Ended { status, reason, .. } => panic!("{status} {reason}"),
            _ => None,
        });
        let invite = ear.reached(bob.host, "INVITE").remove(0);
        let gruu = contact(&invite);
        assert!(sip::gruu::Gruu::is(&gruu), "{gruu}");
        assert!(!invite.headers().any(|(_, value)| value.contains("90420156")), "the device shows");
        let number = msisdn(1);
        let shown = [HeaderName::From, HeaderName::PAssertedIdentity, HeaderName::Contact]
            .map(|name| invite.get(name).is_some_and(|value| value.contains(&number)));
        assert_eq!(shown, [privacy.is_none(); 3], "{privacy:?}");
        // The other side ends it: its BYE goes to the GRUU.
        network.order(bob, UeOrder::Hangup(call.expect("the call is answered")));
        let ended = network.until(Duration::from_secs(5), |host, report| match &report.what {
            What::Ended { by, .. } if host == alice.host => Some(*by),
            _ => None,
        });
        assert_eq!(ended, Some(ue::By::Remote));
        assert_eq!(ear.reached(alice.host, "BYE")[0].uri(), gruu);
        assert_eq!(rings(&mut network, bob, &gruu), (vec![alice.host], 200));
    }
}

/// RFC 5627 §5.2: a phone cannot have others send to somebody else's.
#[test]
fn a_borrowed_gruu_is_refused() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let [first, second, bob] = three(&mut network);
    let theirs = granted(&ear, first, FIRST);
    let own = granted(&ear, second, SECOND);
    let mut ask = |contact: &str, number: u32| {
        let text = format!(
            "INVITE tel:+{bob} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.{number};branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:x@{DOMAIN}>;tag=1\r\nTo: <tel:+{bob}>\r\n\
             Call-ID: c{number}{contact}\r\nCSeq: 1 INVITE\r\nContact: <{contact}>\r\n\
             Content-Length: 0\r\n\r\n",
            bob = msisdn(3),
        );
        ear.forget();
        network.send(if number == 2 { second } else { bob }, text);
        network.run(Duration::from_millis(500));
        let from = if number == 2 { second } else { bob };
        ear.answers(from.host, "INVITE").last().map(Message::status)
    };
    let (theirs, own) = (theirs.temporary.expect("one"), own.temporary.expect("one"));
    assert_eq!(ask(&theirs, 4), Some(403));
    assert_eq!(ask(&format!("sip:user1@{DOMAIN};gr={FIRST}"), 4), Some(403));
    assert_ne!(ask(&own, 2), Some(403));
}

/// RFC 5626 §7 with RFC 5627: the instance that a GRUU names has two flows.
#[test]
fn a_gruu_takes_the_flow_that_is_left() {
    let mut network = Network::new(1, Weather::CALM);
    let ear = Ear::at(&mut network);
    let flow = |reg_id| {
        move |config: &mut UeConfig| {
            of_user1(FIRST)(config);
            config.options.reg_id = Some(reg_id);
            config.transport = Transport::Tcp;
            if let Some(proxy) = &mut config.proxy {
                proxy.service = Service::Sip;
                proxy.transport = Some(Transport::Tcp);
            }
        }
    };
    let first = network.password_phone(1, flow(1));
    let second = network.password_phone(2, flow(2));
    let bob = network.sim_phone(3, |_| {});
    for phone in [first, second, bob] {
        network.register(phone);
    }
    let gruus = granted(&ear, second, FIRST);
    let temporary = gruus.temporary.expect("a temporary GRUU");
    assert_eq!(rings(&mut network, bob, &temporary), (vec![second.host], 200));
    network.sim.crash(second.host);
    network.run(Duration::from_secs(1));
    for gruu in [gruus.public.expect("a public GRUU"), temporary] {
        assert_eq!(rings(&mut network, bob, &gruu), (vec![first.host], 200), "{gruu}");
    }
    assert_eq!(network.census(network.hosts[&Role::Scscf], "scscf").count("bindings"), 3);
}
