//! What belongs together, learned from the messages alone.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod flow;

use base::time::Duration;
use base::{Endpoint, Service, Transport};
use diameter::dictionary::*;
use flow::{HOME, Net, PHONES, Place, Sip, call, evening, impu, register};
use ladder::{Correlation, Filter, Key, Kind, Ladder, Limits, Party, Record, Role, Trace, text};

fn titles(ladder: &Ladder) -> Vec<String> {
    let label = |i: usize| &ladder.participants[i].label;
    ladder
        .arrows
        .iter()
        .map(|a| format!("{} > {}: {}", label(a.from), label(a.to), a.summary.title))
        .collect()
}

#[test]
fn an_evening_is_two_registrations_and_a_call() {
    for place in [Place::PROCESS, Place::HOSTS] {
        let all = Correlation::new(evening(place));
        assert_eq!(all.threads().len(), 3, "nothing is left over");
        assert_eq!(all.registrations().count(), 2);
        let call = all.calls().next().unwrap();
        assert_eq!(call.kind, Kind::Call);
        assert_eq!(call.title, format!("call {} → tel:+491700000002", impu(PHONES[0].1)));
        let ladder = all.ladder(call);
        let labels: Vec<&str> = ladder.participants.iter().map(|p| p.label.as_str()).collect();
        assert_eq!(labels, ["UE 1", "P-CSCF", "I-CSCF", "S-CSCF", "HSS", "media", "UE 2"]);
        let cx = |t: &&String| t.contains("Cx") || t.contains("NG");
        let seen = titles(&ladder);
        let others: Vec<&str> = seen.iter().filter(cx).map(String::as_str).collect();
        assert_eq!(
            others,
            [
                "I-CSCF > HSS: Cx LIR",
                "HSS > I-CSCF: Cx LIA 2001",
                "S-CSCF > media: NG offer",
                "media > S-CSCF: NG ok (offer)",
                "S-CSCF > media: NG answer",
                "media > S-CSCF: NG ok (answer)",
                "S-CSCF > media: NG delete",
                "media > S-CSCF: NG ok (delete)",
            ]
        );
        assert_eq!(seen[0], "UE 1 > P-CSCF: INVITE");
        assert!(ladder.arrows[1].retransmission && !ladder.arrows[0].retransmission);
        assert_eq!(ladder.arrows.iter().filter(|a| a.retransmission).count(), 1);
    }
}

#[test]
fn a_registration_has_its_cx_and_its_subscription() {
    let all = Correlation::new(evening(Place::PROCESS));
    let first = all.registrations().next().unwrap();
    let ladder = all.ladder(first);
    let seen = titles(&ladder);
    let expected = [
        "UE > P-CSCF: REGISTER",
        "P-CSCF > I-CSCF: REGISTER",
        "I-CSCF > HSS: Cx UAR",
        "HSS > I-CSCF: Cx UAA 2001",
        "I-CSCF > S-CSCF: REGISTER",
        "S-CSCF > HSS: Cx MAR",
        "HSS > S-CSCF: Cx MAA 2001",
        "S-CSCF > I-CSCF: 401 Unauthorized (REGISTER)",
        "I-CSCF > P-CSCF: 401 Unauthorized (REGISTER)",
        "P-CSCF > UE: 401 Unauthorized (REGISTER)",
    ];
    assert_eq!(seen[..10], expected);
    assert_eq!(
        seen[20..],
        [
            "P-CSCF > S-CSCF: SUBSCRIBE",
            "S-CSCF > P-CSCF: 200 OK (SUBSCRIBE)",
            "S-CSCF > P-CSCF: NOTIFY",
            "P-CSCF > S-CSCF: 200 OK (NOTIFY)",
        ]
    );
}

#[test]
fn a_subscriber_is_found_by_all_names() {
    let all = Correlation::new(evening(Place::PROCESS));
    for name in [
        PHONES[1].1,
        "+491700000002",
        "491700000002",
        "tel:+49-170-0000002",
        &format!("sip:+491700000002@{HOME}"),
        &format!("{}@{HOME}", PHONES[1].1),
        &impu(PHONES[1].1),
    ] {
        let kinds: Vec<Kind> = all.of_subscriber(name).iter().map(|t| t.kind).collect();
        assert_eq!(kinds, [Kind::Registration, Kind::Call], "{name}");
    }
    assert!(all.of_subscriber("001010000000003").is_empty());
    assert!(all.of_subscriber("").is_empty());
    let id = all.calls().next().unwrap().call_ids().next().unwrap().to_owned();
    assert_eq!(all.of_call(&id).unwrap().kind, Kind::Call);
    assert!(all.of_call("nobody").is_none());
}

/// Somebody else's S-CSCF: what it and others than our functions exchange is not seen, nothing there
/// has a name, and on its way the call gets another Call-ID.
#[test]
fn a_foreign_scscf_in_the_middle_does_not_part_a_call() {
    let mut net = Net::new(Place::HOSTS);
    register(&mut net, "alice");
    register(&mut net, "bob");
    call(&mut net);
    let (old, foreign) = (net.token("call"), net.ip("scscf"));
    let is_foreign = |e: Endpoint| e.ip().unwrap().to_string() == foreign;
    let is_phone = |e: Endpoint| e.ip().unwrap().to_string() == net.ip("bob");
    let half = net.records.len() - 100;
    let records: Vec<Record> = net
        .records
        .iter()
        .enumerate()
        .filter(|(_, r)| r.service != Service::Ng)
        .map(|(at, r)| {
            let mut r = r.clone();
            for party in [&mut r.from, &mut r.to] {
                if is_foreign(party.endpoint) {
                    party.name = None;
                }
            }
            // Bob's leg is another dialog.
            if at > half && (is_phone(r.from.endpoint) || is_phone(r.to.endpoint)) {
                let text = String::from_utf8(r.bytes.to_vec()).unwrap();
                r.bytes = text.replace(&old, "another-call-id").into();
            }
            r
        })
        .collect();
    let all = Correlation::new(records);
    let calls: Vec<_> = all.calls().collect();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].call_ids().any(|id| id == "another-call-id"));
    assert!(calls[0].call_ids().any(|id| id == old));
    let ladder = all.ladder(calls[0]);
    let roles: Vec<Role> = ladder.participants.iter().map(|p| p.role).collect();
    // The foreign one did nothing in this call that tells it from a proxy.
    assert_eq!(roles, [Role::Ue, Role::Pcscf, Role::Proxy, Role::Icscf, Role::Hss, Role::Ue]);
    assert!(titles(&ladder).iter().any(|t| t.ends_with("Cx LIR")));
    // In the registration it asked the HSS like an S-CSCF.
    let registration = all.ladder(all.registrations().next().unwrap());
    assert!(registration.participants.iter().any(|p| p.role == Role::Scscf && p.name.is_none()));
}

/// Topology hiding: the far side knows the call by a sealed Call-ID and has no icid.
#[test]
fn a_border_does_not_part_a_call() {
    let mut net = Net::new(Place::HOSTS);
    let half = net.records.len();
    call(&mut net);
    let (old, far) = (net.token("call"), net.ip("bob"));
    let legs = |sealed: &str| -> Vec<Record> {
        let beyond = |r: &Record| {
            [r.from.endpoint, r.to.endpoint].iter().any(|e| e.ip().unwrap().to_string() == far)
        };
        let hide = |r: &Record| {
            let mut r = r.clone();
            if r.service == Service::Sip && beyond(&r) {
                let text = String::from_utf8(r.bytes.to_vec()).unwrap().replace(&old, sealed);
                let told = |line: &&str| !line.starts_with("P-Charging-Vector");
                r.bytes = text.split("\r\n").filter(told).collect::<Vec<_>>().join("\r\n").into();
            }
            r
        };
        net.records[half..].iter().map(hide).collect()
    };
    let calls = |sealed: &str| Correlation::new(legs(sealed)).calls().count();
    assert_eq!(calls("thig.abc"), 1);
    assert_eq!(calls("somebody-elses"), 2, "only a border of ours seals");
}

#[test]
fn what_the_hss_pushes_belongs_to_the_registration() {
    let mut net = Net::new(Place::PROCESS);
    register(&mut net, "alice");
    register(&mut net, "bob");
    net.wait(3_600_000_000);
    net.cx(
        "hss",
        "scscf",
        CMD_REGISTRATION_TERMINATION,
        |out| {
            out.utf8(USER_NAME, &format!("{}@{HOME}", PHONES[1].1));
        },
        |out| {
            out.u32(RESULT_CODE, 2001);
        },
    );
    let all = Correlation::new(net.records);
    assert_eq!(all.threads().len(), 2);
    let theirs = all.registrations().nth(1).unwrap();
    assert_eq!(all.summaries()[*theirs.records.last().unwrap()].title, "Cx RTA 2001");
}

/// An answer of the base protocol may lack even its Session-Id, RFC 6733 §6.2 with E-bit.
#[test]
fn an_answer_without_keys_follows_its_request() {
    let mut net = Net::new(Place::PROCESS);
    register(&mut net, "alice");
    let maa = net.records.iter_mut().find(|r| ladder::dissect(r).title == "Cx MAA 2001").unwrap();
    let header = *diameter::Message::parse(maa.bytes.clone()).unwrap().header();
    let bare = diameter::Message::write(header, |out| {
        out.u32(RESULT_CODE, 3002);
    });
    maa.bytes = bare.bytes().clone();
    let all = Correlation::new(net.records);
    assert_eq!(all.threads().len(), 1);
    let seen = titles(&all.ladder(&all.threads()[0]));
    assert_eq!(seen[6], "HSS > S-CSCF: Cx MAA 3002");
}

#[test]
fn two_sights_of_a_message_are_one_arrow_and_retransmissions_stay() {
    let mut net = Net::new(Place::HOSTS);
    let options = net.sip(&Sip {
        start: "OPTIONS sip:icscf SIP/2.0",
        vias: &["pcscf"],
        from: "sip:p@ims.test",
        to: "sip:i@ims.test",
        to_tag: false,
        call_id: "o",
        cseq: "1 OPTIONS",
        extra: &[],
        body: "",
    });
    for _ in 0..3 {
        net.send(Service::Sip, "pcscf", "icscf", options.clone());
        net.wait(500_000);
    }
    assert_eq!(net.records.len(), 6);
    // A socket that is bound to no address is seen by its owner as such.
    net.records[1].to.endpoint = Endpoint::Ip("0.0.0.0:5060".parse().unwrap());
    let ladder = Ladder::new("options", net.records.clone());
    let again: Vec<bool> = ladder.arrows.iter().map(|a| a.retransmission).collect();
    assert_eq!(again, [false, true, true]);
    assert_eq!(ladder.participants.len(), 2);
    assert_eq!(ladder.arrows[0].record.to.name.as_deref(), Some("icscf"));
    assert_eq!(ladder.arrows[1].offset, Duration::from_micros(500_137));

    let mut trace = Trace::default();
    net.records.into_iter().for_each(|record| trace.push(record));
    assert_eq!((trace.len(), trace.records().count()), (6, 3));
    assert!(trace.records().all(|r| r.from.name.is_some() && r.to.name.is_some()));
}

#[test]
fn the_ring_is_bounded_and_redacts() {
    let records = evening(Place::PROCESS);
    let limits = Limits { records: 10, bytes: 4_000, waiting: 3 };
    let (mut trace, mut open) = (Trace::new(limits), Trace::default().with_secrets());
    let all = trace.subscribe(Filter::default());
    let total = records.len();
    for record in records {
        trace.push(record.clone());
        open.push(record);
    }
    assert!(trace.len() <= 10);
    assert!(trace.records().map(|r| r.bytes.len()).sum::<usize>() <= 4_000);
    assert_eq!(trace.forgotten() as usize + trace.len(), total);
    assert_eq!(trace.lost(all) as usize, total - 3);
    assert_eq!(std::iter::from_fn(|| trace.poll(all)).count(), 3);
    trace.unsubscribe(all);
    assert!(trace.poll(all).is_none());
    let key = "c0".repeat(16);
    let shows = |r: &Record| String::from_utf8_lossy(&r.bytes).contains(&key);
    assert!(open.records().any(|r| shows(&r)));
    let mut closed = Trace::default();
    let live = closed.subscribe(Filter::default());
    open.records().for_each(|r| closed.push(r));
    assert!(!closed.records().any(|r| shows(&r)));
    assert!(!std::iter::from_fn(|| closed.poll(live)).any(|r| shows(&r)));
}

#[test]
fn live_subscribers_get_what_the_ladder_would_show() {
    let records = evening(Place::PROCESS);
    let all = Correlation::new(records.clone());
    let call = all.calls().next().unwrap();
    let id = call.call_ids().next().unwrap().to_owned();
    let mut trace = Trace::default().with_secrets();
    let by_call = trace.subscribe(Filter { call: Some(id), ..Filter::default() });
    let bob = Some("+491700000002".to_owned());
    let by_bob = trace.subscribe(Filter { subscriber: bob, ..Filter::default() });
    let party = Some("hss".to_owned());
    let by_hss = trace.subscribe(Filter { party, ..Filter::default() });
    let service = Some(Service::Ng);
    let by_ng = trace.subscribe(Filter { service, ..Filter::default() });
    records.into_iter().for_each(|r| trace.push(r));
    let mut got = |id| std::iter::from_fn(|| trace.poll(id)).collect::<Vec<_>>();
    let wanted: Vec<Record> = call.records.iter().map(|i| all.records()[*i].clone()).collect();
    assert_eq!(got(by_call), wanted);
    let bobs = got(by_bob);
    assert!(bobs.iter().filter(|r| r.service == Service::Ng).count() == 6);
    assert!(wanted.iter().all(|r| bobs.contains(r)));
    assert!(got(by_hss).iter().all(|r| r.service == Service::Diameter));
    assert_eq!(got(by_ng).len(), 6);
}

#[test]
fn keys_are_read_from_messages() {
    let all = Correlation::new(evening(Place::PROCESS));
    let keys = &all.registrations().next().unwrap().keys;
    for key in [
        Key::Impi(format!("{}@{HOME}", PHONES[0].1)),
        Key::Impu("tel:+491700000001".into()),
        Key::UeAddress("10.0.0.11".parse().unwrap()),
    ] {
        assert!(keys.contains(&key), "{key:?}");
    }
    assert!(keys.iter().any(|key| matches!(key, Key::Icid(_))));
    assert_eq!(keys.iter().filter(|key| matches!(key, Key::SessionId(_))).count(), 4);
}

#[test]
fn a_ladder_fits_its_terminal() {
    let all = Correlation::new(evening(Place::PROCESS));
    let ladder = all.ladder_of(all.threads());
    for width in [0, 40, 60, 80, 100, 120, 200] {
        for (colour, detail) in [(false, false), (false, true), (true, false)] {
            let options = text::Options { width, colour, detail, ..text::Options::default() };
            let drawn = text::render(&ladder, &options);
            assert_eq!(drawn.contains('\x1b'), colour);
            assert_eq!(
                drawn.matches('▶').count() + drawn.matches('◀').count(),
                ladder.arrows.len()
            );
            if !colour {
                let longest = drawn.lines().map(|l| l.chars().count()).max().unwrap();
                assert!(longest <= width.max(40), "{longest} columns of {width}");
            }
        }
    }
    let drawn = text::render(&all.ladder(all.calls().next().unwrap()), &text::Options::default());
    assert!(drawn.contains("├─────── ↻ INVITE ──────▶│"), "{drawn}");
    assert!(drawn.contains("◀ 180 Ringing (INVITE) ╌"));
    assert!(drawn.starts_with("call sip:001010000000001@"));
    assert!(drawn.contains("2026-01-02 03:04:07.899165 UTC"));
    assert!(drawn.ends_with("46 messages, 5.3 s, 1 retransmission\n"));
}

#[test]
fn a_function_that_speaks_with_itself_has_a_loop() {
    let mut records = evening(Place::PROCESS);
    records.retain(|r| r.transport == Transport::Wire);
    records.truncate(1);
    records[0].to = records[0].from.clone();
    let drawn = text::render(&Ladder::new("loop", records), &text::Options::default());
    assert!(drawn.contains("├─╮ REGISTER") && drawn.contains("│◀╯"), "{drawn}");
}

#[test]
fn unnamed_ends_on_one_host_are_told_apart_on_loopback_only() {
    let record = |from: &str, to: &str| Record {
        at: flow::START,
        service: Service::Sip,
        transport: Transport::Udp,
        from: Party::unnamed(Endpoint::Ip(from.parse().unwrap())),
        to: Party::unnamed(Endpoint::Ip(to.parse().unwrap())),
        bytes: "OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nCSeq: 1 OPTIONS\r\n\r\n".into(),
        flow: 1,
    };
    let local = Ladder::new(
        "",
        [record("127.0.0.1:1", "127.0.0.1:2"), record("127.0.0.1:3", "127.0.0.1:2")],
    );
    assert_eq!(local.participants.len(), 3);
    let hosts =
        Ladder::new("", [record("10.0.0.9:1", "10.0.0.1:2"), record("10.0.0.9:3", "10.0.0.1:2")]);
    assert_eq!(hosts.participants.len(), 2);
}

/// A phone on the host of its P-CSCF, over UDP or TCP, is not the P-CSCF; a connection that the
/// P-CSCF made is.
#[test]
fn a_phone_on_the_host_of_a_function_is_told_apart() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let record = |from: &str, to: Party, vias: &str| Record {
            at: flow::START,
            service: Service::Sip,
            transport: if to.name.is_some() { transport } else { Transport::Tcp },
            from: Party::unnamed(Endpoint::Ip(from.parse().unwrap())),
            to,
            bytes: format!(
                "REGISTER sip:a SIP/2.0\r\n{vias}Call-ID: 1\r\nCSeq: 1 REGISTER\r\n\r\n"
            )
            .into(),
            flow: 1,
        };
        let at = |text: &str| Endpoint::Ip(text.parse().unwrap());
        let pcscf = Party { endpoint: at("10.0.0.1:5060"), name: Some("pcscf".into()) };
        let far = Party::unnamed(at("10.0.0.2:5060"));
        let ladder = Ladder::new(
            "",
            [
                record("10.0.0.1:5070", pcscf, "Via: SIP/2.0/UDP a\r\n"),
                record("10.0.0.1:41000", far, "Via: SIP/2.0/TCP p\r\nVia: SIP/2.0/UDP a\r\n"),
            ],
        );
        let columns: Vec<_> = ladder.arrows.iter().map(|a| (a.from, a.to)).collect();
        assert_eq!(ladder.participants.len(), 3, "{transport:?}");
        assert_ne!(columns[0].0, columns[0].1, "{transport:?}");
        assert_eq!(columns[1].0, columns[0].1, "{transport:?}");
    }
}

/// What the relay could not do is a failure whatever it is called.
#[test]
fn a_result_of_ng_tells_of_failure() {
    let say = |dict: &str| {
        let end = || Party::unnamed(Endpoint::Ip("10.0.0.1:2223".parse().unwrap()));
        let bytes = format!("1_1 {dict}").into();
        let (service, transport, flow) = (Service::Ng, Transport::Udp, 1);
        let (at, from, to) = (flow::START, end(), end());
        ladder::dissect::dissect(&Record { at, service, transport, from, to, bytes, flow })
    };
    assert!(say("d6:result10:load limite").is_failure());
    assert!(say("d6:result5:error12:error-reason4:nonee").is_failure());
    assert!(!say("d6:result2:ok12:error-reason8:no errore").is_failure());
    assert!(!say("d6:result4:ponge").is_failure());
}
