//! A phone and a scripted registrar.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod world;

use std::cell::RefCell;
use std::rc::Rc;

use auth::aka::{check_auts, vector};
use auth::digest::{self, Algorithm, Covered, Qop};
use auth::digest_aka;
use auth::milenage::Milenage;
use auth::sqn::Sqn;
use base::Instant;
use base::redact::Secret;
use base::time::Duration;
use sip::header::{Challenge, Credentials};
use sip::{HeaderName, Message, Method};
use ue::{By, Credential, UeConfig, UeOrder, What};
use world::{World, answer, config, is, registered};

const K: [u8; 16] = [0x46; 16];
const OPC: [u8; 16] = [0xcd; 16];

fn challenge(request: &Message, status: u16, challenge: &Challenge) -> Message {
    let name =
        if status == 401 { HeaderName::WwwAuthenticate } else { HeaderName::ProxyAuthenticate };
    answer(request, status).with(name, challenge.to_string())
}

fn credentials(request: &Message) -> Option<Credentials<'_>> {
    let names = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
    names.into_iter().find_map(|name| request.get(name).and_then(Credentials::parse))
}

/// Whether the response is what this password gives.
fn right(request: &Message, given: &Credentials<'_>, password: &[u8]) -> bool {
    let algorithm = Algorithm::parse(&given.algorithm).unwrap_or(Algorithm::Md5);
    let ha1 = digest::ha1(algorithm.hash(), &given.username, &given.realm, password);
    let qop = if given.qop == "auth" { Qop::Auth } else { Qop::None };
    let covered = Covered {
        algorithm,
        nonce: &given.nonce,
        nc: &given.nc,
        cnonce: &given.cnonce,
        qop,
        method: request.method().unwrap().as_str(),
        uri: &given.uri,
    };
    given.uri == request.uri() && digest::verify(&ha1, &covered, &given.response)
}

fn sim(config: &mut UeConfig, sqn: Sqn) {
    let (k, opc) = (Secret::new(K), Secret::new(OPC));
    config.credential = Credential::Sim { k, opc, amf: [0x80, 0], sqn };
    config.username = "001010000000001@ims.test".into();
}

/// A world with Alice and this registrar; SUBSCRIBE is answered with 489.
fn alone(
    change: impl FnOnce(&mut UeConfig),
    mut registrar: impl FnMut(&Message, Instant) -> Message + 'static,
) -> World {
    let mut config = config(0);
    change(&mut config);
    let mut world = World::new(vec![config]);
    world.script = Box::new(move |request, now| match request.method() {
        Some(Method::Register) => vec![registrar(request, now)],
        Some(Method::Ack) => Vec::new(),
        _ => vec![answer(request, 489)],
    });
    world
}

fn is_registered(world: &World) -> Option<Duration> {
    world.find(0, |w| match w {
        What::Registered { delay, .. } => Some(*delay),
        _ => None,
    })
}

fn failure(world: &World) -> (u16, String, Option<Instant>) {
    world.told(0, |w| match w {
        What::RegistrationFailed { status, reason, retry } => {
            Some((*status, reason.clone(), *retry))
        }
        _ => None,
    })
}

#[test]
fn digest_is_answered_refreshed_and_taken_back() {
    for (algorithm, qop) in [("", ""), ("MD5", "auth"), ("SHA-256", "auth,auth-int")] {
        let counts = Rc::new(RefCell::new(Vec::new()));
        let seen = counts.clone();
        let mut world = alone(
            |_| {},
            move |request, _| {
                let c = Challenge {
                    realm: "ims.test".into(),
                    nonce: "n1".into(),
                    algorithm: algorithm.into(),
                    qop: qop.into(),
                    opaque: Some("o".into()),
                    ..Challenge::default()
                };
                match credentials(request) {
                    Some(given) if right(request, &given, b"secret") => {
                        assert_eq!(given.opaque.as_deref(), Some("o"));
                        seen.borrow_mut().push(given.nc.into_owned());
                        registered(request, 600)
                    }
                    _ => challenge(request, 401, &c),
                }
            },
        );
        world.order(0, UeOrder::Register);
        world.seconds(1);
        assert_eq!(is_registered(&world), Some(Duration::from_millis(20)));
        let uris = world.told(0, |w| match w {
            What::Registered { associated, .. } => Some(associated.clone()),
            _ => None,
        });
        assert_eq!(uris, ["sip:+491@ims.test", "tel:+491"]);
        world.seconds(1000);
        world.order(0, UeOrder::Deregister);
        world.seconds(1);
        world.told(0, |w| (*w == What::Deregistered { event: None }).then_some(()));
        assert!(!world.phones[0].is_registered());
        // The first, three refreshes at half of 600 s each, the last.
        let expected: &[&str] = match qop {
            "" => &["", "", "", "", ""],
            _ => &["00000001", "00000002", "00000003", "00000004", "00000005"],
        };
        assert_eq!(*counts.borrow(), expected);
    }
}

#[test]
fn a_wrong_password_is_said_once_and_not_tried_for_ever() {
    let mut world = alone(
        |c| c.credential = Credential::Password(Secret::new("wrong".into())),
        |request, now| {
            let nonce = now.unix_micros().to_string();
            let c = Challenge { realm: "ims.test".into(), nonce, ..Challenge::default() };
            challenge(request, 401, &c)
        },
    );
    world.order(0, UeOrder::Register);
    world.seconds(1000);
    assert_eq!(world.count(0, "REGISTER"), 2);
    let (status, reason, retry) = failure(&world);
    assert_eq!((status, reason.as_str(), retry), (401, "the credentials were refused", None));
}

/// A registrar with an AuC: its sequence number, and whether its key is right.
fn aka(mut seq: u64, key: [u8; 16]) -> impl FnMut(&Message, Instant) -> Message + 'static {
    let milenage = Milenage::new(&Secret::new(key), &Secret::new(OPC));
    let mut issued: Option<auth::aka::Vector> = None;
    move |request, _| {
        let given = credentials(request).expect("an IMS phone always names its IMPI");
        assert_eq!(given.username, "001010000000001@ims.test");
        if let Some(vector) = &issued {
            if let Some(auts) = &given.auts {
                assert!(right(request, &given, b""), "with auts the password is empty");
                let auts = digest_aka::parse_auts(auts).unwrap();
                seq = check_auts(&milenage, &vector.rand, &auts).unwrap().seq();
            } else if right(request, &given, vector.xres.reveal()) {
                return registered(request, 3600);
            } else {
                assert_eq!(given.response, "", "a false challenge gets an empty response");
            }
        } else {
            assert_eq!((&*given.nonce, &*given.response), ("", ""));
        }
        seq += 1;
        let new = vector(&milenage, [seq as u8; 16], Sqn::new(seq, 0), [0x80, 0]);
        let nonce = digest_aka::nonce(&new.rand, &new.autn, b"");
        issued = Some(new);
        let (realm, algorithm) = ("ims.test".to_owned(), "AKAv1-MD5".to_owned());
        let c = Challenge { realm, nonce, algorithm, qop: "auth".into(), ..Challenge::default() };
        challenge(request, 401, &c)
    }
}

#[test]
fn aka_authenticates_both_ways() {
    let mut world = alone(|c| sim(c, Sqn::new(10, 0)), aka(10, K));
    world.order(0, UeOrder::Register);
    world.seconds(3100);
    assert!(is_registered(&world).is_some());
    assert_eq!(world.count(0, "REGISTER"), 3, "challenged once, refreshed at 3000 s");
}

#[test]
fn a_usim_that_is_ahead_resynchronises() {
    let mut world = alone(|c| sim(c, Sqn::new(500, 0)), aka(10, K));
    world.order(0, UeOrder::Register);
    world.seconds(1);
    assert!(is_registered(&world).is_some(), "{:?}", world.logs);
    assert_eq!(world.count(0, "REGISTER"), 3);
}

#[test]
fn a_network_with_another_key_is_refused() {
    let mut world = alone(|c| sim(c, Sqn::new(10, 0)), aka(10, [0; 16]));
    world.order(0, UeOrder::Register);
    world.seconds(1000);
    let (status, reason, retry) = failure(&world);
    assert_eq!((status, retry), (403, None));
    assert!(reason.contains("not genuine"), "{reason}");
    assert_eq!(world.count(0, "REGISTER"), 2);
}

#[test]
fn a_short_interval_is_made_longer() {
    let mut world = alone(
        |c| c.expires = 60,
        |request, _| match request.get(HeaderName::Expires) {
            Some("1800") => registered(request, 1800),
            _ => answer(request, 423).with(HeaderName::MinExpires, "1800"),
        },
    );
    world.order(0, UeOrder::Register);
    world.seconds(1);
    assert!(is_registered(&world).is_some());
}

#[test]
fn passing_failures_are_tried_again_with_back_off_and_final_ones_are_not() {
    let mut tries = 0;
    let mut world = alone(
        |_| {},
        move |request, _| {
            tries += 1;
            if tries < 4 { answer(request, 503) } else { registered(request, 3600) }
        },
    );
    world.order(0, UeOrder::Register);
    world.seconds(1);
    let wait = failure(&world).2.unwrap().since(world.now);
    assert!(wait <= Duration::from_secs(30) && wait >= Duration::from_secs(14), "{wait:?}");
    world.seconds(300);
    assert!(is_registered(&world).is_some());
    for status in [403, 404] {
        let mut world = alone(|_| {}, move |request, _| answer(request, status));
        world.order(0, UeOrder::Register);
        world.seconds(4000);
        assert_eq!((failure(&world).0, world.count(0, "REGISTER")), (status, 1));
    }
}

#[test]
fn a_silent_registrar_is_asked_again() {
    let mut world = alone(|_| {}, |request, _| registered(request, 3600));
    world.lose = Box::new(|_, _| true);
    world.order(0, UeOrder::Register);
    world.seconds(40);
    assert_eq!(failure(&world).0, 408);
    world.lose = Box::new(|_, _| false);
    world.seconds(60);
    assert!(is_registered(&world).is_some());
}

#[test]
fn a_closed_flow_registers_again() {
    let mut world = alone(|_| {}, |request, _| registered(request, 3600));
    world.order(0, UeOrder::Register);
    world.seconds(1);
    let (local, remote) = (world::addr("10.0.0.1:5060"), world::addr(world::SERVER));
    let flow = world::flow(1, base::Service::Sip, local, remote);
    world.input(0, base::Input::Closed { flow, error: base::FlowError::Closed });
    world.seconds(1);
    assert_eq!(world.count(0, "REGISTER"), 2);
    assert!(world.phones[0].is_registered());
}

/// RFC 3680 with TS 24.229 §5.1.1.7: `deactivated` means again, `rejected` means never.
#[test]
fn the_network_may_end_the_registration() {
    for (event, registers) in [("deactivated", 2), ("rejected", 1)] {
        let mut world = World::new(vec![config(0)]);
        world.script = Box::new(move |request, _| {
            if is(request, Method::Register) {
                return vec![registered(request, 3600)];
            }
            if !is(request, Method::Subscribe) {
                return Vec::new();
            }
            assert_eq!(request.get(HeaderName::Route), Some("<sip:orig@scscf.ims.test;lr>"));
            assert_eq!(request.uri(), "sip:+491@ims.test");
            let ok = answer(request, 200)
                .with(HeaderName::Contact, "<sip:10.0.0.9>")
                .with(HeaderName::Expires, "3600");
            let body = format!(
                "<?xml version=\"1.0\"?><reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" \
                 version=\"0\" state=\"full\"><registration aor=\"sip:alice@ims.test\" id=\"a\" \
                 state=\"terminated\"><contact id=\"1\" state=\"terminated\" event=\"{event}\">\
                 <uri>sip:alice@10.0.0.1:5060</uri></contact></registration></reginfo>"
            );
            let notify = Message::request(Method::Notify, "sip:alice@10.0.0.1:5060")
                .with(HeaderName::Via, "SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKn")
                .with(HeaderName::From, ok.get(HeaderName::To).unwrap())
                .with(HeaderName::To, ok.get(HeaderName::From).unwrap())
                .with(HeaderName::CallId, ok.get(HeaderName::CallId).unwrap())
                .with(HeaderName::CSeq, "1 NOTIFY")
                .with(HeaderName::Event, "reg")
                .with(HeaderName::SubscriptionState, "active;expires=3600")
                .with_body("application/reginfo+xml", body.into_bytes());
            // Either may come first, RFC 6665 §4.1.2.4.
            if registers == 2 { vec![notify, ok] } else { vec![ok, notify] }
        });
        world.order(0, UeOrder::Register);
        world.run(Duration::from_millis(25));
        let told = world.told(0, |w| match w {
            What::Deregistered { event } => event.clone(),
            _ => None,
        });
        assert_eq!(told, event);
        assert_eq!(world.count(0, "SIP/2.0 200"), 1, "the NOTIFY is answered");
        world.run(Duration::from_millis(20));
        assert_eq!(world.count(0, "REGISTER"), registers);
    }
}

/// RFC 3261 §22.3: the proxy challenges an INVITE; the ACK of the 2xx carries the credentials, too.
#[test]
fn an_invite_is_challenged() {
    let mut world = alone(|_| {}, |request, _| registered(request, 3600));
    let acks = Rc::new(RefCell::new(0));
    let seen = acks.clone();
    world.script = Box::new(move |request, _| {
        let c = Challenge {
            realm: "ims.test".into(),
            nonce: "n".into(),
            qop: "auth".into(),
            ..Challenge::default()
        };
        match (request.method().unwrap(), credentials(request)) {
            (Method::Ack, Some(_)) => {
                *seen.borrow_mut() += 1;
                Vec::new()
            }
            (Method::Ack, None) => Vec::new(),
            (_, Some(given)) if right(request, &given, b"secret") => {
                let sdp = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n\
                           m=audio 4000 RTP/AVP 0\r\n";
                let ok = answer(request, 200).with(HeaderName::Contact, "<sip:x@10.0.0.9>");
                vec![if is(request, Method::Invite) {
                    ok.with_body("application/sdp", sdp)
                } else {
                    ok
                }]
            }
            _ => vec![challenge(request, 407, &c)],
        }
    });
    world.order(0, UeOrder::Call { to: "bob".into(), token: 1 });
    world.lose = Box::new(|line, _| line == "RTP");
    world.seconds(2);
    let codec = world.told(0, |w| match w {
        What::Answered { codec, .. } => Some(codec.clone()),
        _ => None,
    });
    assert_eq!((codec.as_str(), *acks.borrow()), ("PCMU", 1));
    let call = world.call(0);
    world.order(0, UeOrder::Hangup(call));
    world.seconds(1);
    assert_eq!((world.ended(0).0, world.ended(0).1), (By::Local, 200));
    assert_eq!(world.count(0, "BYE"), 2, "challenged as well");
}

/// A challenge of another server is no business of the registrar's.
#[test]
fn the_registrar_gets_its_own_credentials() {
    let mut world = World::new(vec![config(0)]);
    let realms = Rc::new(RefCell::new(Vec::new()));
    let seen = realms.clone();
    world.script = Box::new(move |request, _| {
        let register = is(request, Method::Register);
        let realm = if register { "ims.test" } else { "other.test" };
        let given = credentials(request);
        if register {
            seen.borrow_mut().push(given.as_ref().map(|g| g.realm.to_string()).unwrap_or_default());
        }
        let c = Challenge { realm: realm.into(), nonce: "n".into(), ..Challenge::default() };
        vec![match given.filter(|given| given.realm == realm) {
            Some(_) if register => registered(request, 1000),
            Some(_) => answer(request, 200),
            None => challenge(request, 401, &c),
        }]
    });
    world.order(0, UeOrder::Options { to: "bob".into(), token: 1 });
    world.seconds(1);
    world.order(0, UeOrder::Register);
    world.seconds(501);
    assert_eq!(*realms.borrow(), ["", "ims.test", "ims.test"]);
}

/// RFC 5626 §4.3, TS 24.229 §5.1.2A.1.1: the P-CSCF is the first route, and it is reached by the flow
/// that it knows the phone from; so is its Record-Route.
#[test]
fn everything_goes_through_the_proxy_by_the_registrations_flow() {
    let proxy = base::machine::Name {
        service: base::Service::Sip,
        host: "10.0.0.9".into(),
        port: Some(5060),
        transport: Some(base::Transport::Udp),
    };
    let mut world = alone(|c| c.proxy = Some(proxy), |_, _| unreachable!());
    world.script = Box::new(|request, _| match request.method().unwrap() {
        Method::Register => vec![registered(request, 3600)],
        Method::Subscribe => vec![answer(request, 489)],
        Method::Ack => Vec::new(),
        Method::Invite => {
            let routes: Vec<_> = request.lines(HeaderName::Route).collect();
            assert_eq!(routes, ["<sip:10.0.0.9:5060;lr>", "<sip:orig@scscf.ims.test;lr>"]);
            vec![
                answer(request, 200)
                    .with(HeaderName::RecordRoute, "<sip:mo@10.0.0.9:5060;lr>")
                    .with(HeaderName::Contact, "<sip:bob@192.0.2.77>")
                    .with_body(
                        "application/sdp",
                        "v=0\r\nc=IN IP4 10.0.0.9\r\nm=audio 4000 RTP/AVP 8\r\n",
                    ),
            ]
        }
        _ => {
            assert_eq!(request.uri(), "sip:bob@192.0.2.77");
            vec![answer(request, 200)]
        }
    });
    world.lose = Box::new(|line, _| line == "RTP");
    world.order(0, UeOrder::Register);
    world.seconds(1);
    world.order(0, UeOrder::Call { to: "tel:+492".into(), token: 1 });
    world.seconds(1);
    let call = world.call(0);
    world.order(0, UeOrder::Hangup(call));
    world.seconds(1);
    assert_eq!(world.ended(0).1, 200);
    assert_eq!(world.asked, ["10.0.0.9"], "only the REGISTER looked for it");
}

/// An order that comes while a REGISTER is under way is carried out after it.
#[test]
fn the_registration_can_be_ended_while_it_is_made() {
    let mut world = alone(
        |_| {},
        |request, _| {
            registered(request, request.get(HeaderName::Expires).unwrap().parse().unwrap())
        },
    );
    world.order(0, UeOrder::Register);
    world.order(0, UeOrder::Deregister);
    world.seconds(1);
    assert_eq!(world.count(0, "REGISTER"), 2);
    world.told(0, |w| (*w == What::Deregistered { event: None }).then_some(()));
    world.order(0, UeOrder::Register);
    world.seconds(1);
    assert!(world.phones[0].is_registered());
}
