//! A server in memory.

use std::net::Ipv4Addr;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, NAPTR, SRV};
use hickory_proto::rr::{Name as DnsName, RData, Record as DnsRecord};

use super::*;

const NOW: Instant = Instant::from_unix_micros(1_000_000);
const ASKER: FunctionId = FunctionId(7);

fn zone(name: &str) -> Vec<(u32, RData)> {
    let n = |text: &str| DnsName::from_ascii(text).unwrap();
    let srv =
        |priority, weight, target: &str| RData::SRV(SRV::new(priority, weight, 5061, n(target)));
    let naptr = |order, services: &[u8], to: &str| {
        let bytes = |b: &[u8]| b.to_vec().into_boxed_slice();
        RData::NAPTR(NAPTR::new(order, 10, bytes(b"S"), bytes(services), bytes(b""), n(to)))
    };
    let enum_rule = |order| {
        let bytes = |b: &[u8]| b.to_vec().into_boxed_slice();
        let regexp = bytes(b"!^.*$!sip:Info@example.com!");
        RData::NAPTR(NAPTR::new(order, 1, bytes(b"u"), bytes(b"E2U+sip"), regexp, DnsName::root()))
    };
    match name {
        "NAPTR home.test" => vec![
            (60, naptr(20, b"SIP+D2U", "_sip._udp.home.test.")),
            (60, naptr(10, b"SIP+D2T", "_sip._tcp.home.test.")),
            (60, naptr(5, b"SIPS+D2T", "_sips._tcp.home.test.")),
        ],
        "NAPTR 3.2.1.e164.test" => [10, 20].map(|order| (60, enum_rule(order))).into(),
        "SRV _sip._tcp.home.test" => vec![(60, srv(2, 0, "b.test.")), (60, srv(1, 0, "a.test."))],
        "SRV _sips._tcp.home.test" | "SRV _sips._tcp.only.test" => vec![(60, srv(1, 0, "b.test."))],
        "SRV _sip._udp.home.test" => vec![(60, srv(1, 0, "c.test."))],
        "SRV _sip._udp.only.test" => vec![(60, srv(1, 0, "c.test."))],
        "SRV _diameter._tcp.home.test" => vec![(60, srv(1, 0, "a.test."))],
        "A a.test" => vec![(60, RData::A(A(Ipv4Addr::new(192, 0, 2, 1))))],
        "A b.test" => vec![(60, RData::A(A(Ipv4Addr::new(192, 0, 2, 2))))],
        "A c.test" => vec![(0, RData::A(A(Ipv4Addr::new(192, 0, 2, 3))))],
        _ => vec![],
    }
}

fn answer(bytes: &[u8]) -> Vec<u8> {
    let mut message = Message::from_vec(bytes).unwrap();
    let query = message.queries[0].clone();
    let name = query.name().to_ascii();
    let key = format!("{} {}", query.query_type(), name.trim_end_matches('.'));
    message.metadata.message_type = MessageType::Response;
    for (ttl, data) in zone(&key) {
        message.answers.push(DnsRecord::from_rdata(query.name().clone(), ttl, data));
    }
    message.to_vec().unwrap()
}

fn resolver(servers: usize) -> Resolver {
    let servers = (1..=servers).map(|n| SocketAddr::from(([192, 0, 2, 50 + n as u8], 53)));
    let hosts = "192.0.2.9 fixed.test # comment\n";
    let hosts = DnsConfig::parse("", hosts).hosts;
    Resolver::new(DnsConfig { servers: servers.collect(), hosts }, Random::from_u64(1))
}

/// Lets the server answer everything; the targets as text, and how many questions were asked.
fn run(resolver: &mut Resolver, now: Instant) -> (Vec<String>, usize) {
    let (mut found, mut asked) = (Vec::new(), 0);
    while let Some(step) = resolver.poll() {
        match step {
            Step::Ask { server, bytes } => {
                asked += 1;
                resolver.datagram(now, server, &answer(&bytes));
            }
            Step::Answer { function, input } => {
                let Input::Resolved { query, targets } = input else { panic!("{input:?}") };
                assert_eq!((function, query), (ASKER, QueryId(1)));
                found.extend(targets.iter().map(|t| format!("{:?} {}", t.transport, t.endpoint)));
            }
        }
    }
    (found, asked)
}

fn name(service: Service, host: &str, port: Option<u16>, transport: Option<Transport>) -> Name {
    Name { service, host: host.into(), port, transport }
}

fn look(resolver: &mut Resolver, now: Instant, name: Name) -> (Vec<String>, usize) {
    resolver.resolve(now, ASKER, QueryId(1), name);
    run(resolver, now)
}

#[test]
fn naptr_chooses_the_transport_and_srv_the_order() {
    let mut resolver = resolver(1);
    let (found, asked) = look(&mut resolver, NOW, name(Service::Sip, "Home.Test.", None, None));
    let best =
        ["Tls 192.0.2.2:5061", "Tcp 192.0.2.1:5061", "Tcp 192.0.2.2:5061", "Udp 192.0.2.3:5061"];
    assert_eq!(found, best);
    assert!(asked > 5);
    let (found, asked) = look(&mut resolver, NOW, name(Service::Sip, "home.test", None, None));
    assert_eq!(found, best);
    assert_eq!(asked, 1, "only what had no time to live is asked again");
    let later = NOW + Duration::from_secs(61);
    assert!(look(&mut resolver, later, name(Service::Sip, "home.test", None, None)).1 > 5);
}

/// RFC 6116: the records are the asker's business, with the case of their expressions.
#[test]
fn naptr_records_are_handed_over_as_they_are() {
    let mut resolver = resolver(1);
    for (domain, count) in [("3.2.1.E164.test.", 2), ("4.2.1.e164.test", 0)] {
        resolver.look_up(NOW, ASKER, QueryId(9), domain);
        let mut found = None;
        while let Some(step) = resolver.poll() {
            match step {
                Step::Ask { server, bytes } => resolver.datagram(NOW, server, &answer(&bytes)),
                Step::Answer { input: Input::Naptr { query, records }, .. } => {
                    assert_eq!(query, QueryId(9));
                    found = Some(records);
                }
                step => panic!("{step:?}"),
            }
        }
        let found = found.expect("an answer");
        assert_eq!(found.len(), count, "{domain}");
        for record in found {
            assert_eq!((record.services.as_str(), record.flags.as_str()), ("e2u+sip", "u"));
            assert_eq!(record.regexp, "!^.*$!sip:Info@example.com!");
        }
    }
}

#[test]
fn without_naptr_srv_and_without_srv_addresses() {
    let mut resolver = resolver(1);
    let mut of = |name| look(&mut resolver, NOW, name).0;
    assert_eq!(of(name(Service::Sip, "only.test", None, None)), ["Udp 192.0.2.3:5061"]);
    assert_eq!(of(name(Service::Sip, "a.test", None, None)), ["Udp 192.0.2.1:5060"]);
    let tcp = Some(Transport::Tcp);
    assert_eq!(of(name(Service::Sip, "a.test", None, tcp)), ["Tcp 192.0.2.1:5060"]);
    assert_eq!(of(name(Service::Sip, "home.test", Some(5070), None)), [""; 0]);
    assert_eq!(of(name(Service::Sip, "a.test", Some(5070), None)), ["Udp 192.0.2.1:5070"]);
    assert_eq!(of(name(Service::Diameter, "home.test", None, None)), ["Tcp 192.0.2.1:5061"]);
    assert_eq!(of(name(Service::Diameter, "b.test", None, None)), ["Tcp 192.0.2.2:3868"]);
    assert_eq!(of(name(Service::Ng, "b.test", None, None)), ["Udp 192.0.2.2:2223"]);
    assert_eq!(of(name(Service::Sip, "fixed.test", None, None)), ["Udp 192.0.2.9:5060"]);
    assert_eq!(of(name(Service::Sip, "none.test", None, None)), [""; 0]);
}

/// RFC 3263 §4.1 and §4.2, RFC 5630 §3.1: nothing but TLS, by NAPTR, SRV, or at its own port.
#[test]
fn tls_is_found_and_nothing_else() {
    let mut resolver = resolver(1);
    let mut of = |host, port| {
        look(&mut resolver, NOW, name(Service::Sip, host, port, Some(Transport::Tls))).0
    };
    assert_eq!(of("home.test", None), ["Tls 192.0.2.2:5061"]);
    assert_eq!(of("only.test", None), ["Tls 192.0.2.2:5061"]);
    assert_eq!(of("a.test", None), ["Tls 192.0.2.1:5061"]);
    assert_eq!(of("a.test", Some(7000)), ["Tls 192.0.2.1:7000"]);
    assert_eq!(of("fixed.test", None), ["Tls 192.0.2.9:5061"]);
}

#[test]
fn silent_and_failing_servers_are_left() {
    let mut resolver = resolver(2);
    resolver.resolve(NOW, ASKER, QueryId(1), name(Service::Sip, "a.test", Some(1), None));
    let Some(Step::Ask { server, .. }) = resolver.poll() else { panic!() };
    let late = resolver.deadline().unwrap();
    assert_eq!(late, NOW + PATIENCE);
    resolver.timeout(late);
    let Some(Step::Ask { server: second, bytes }) = resolver.poll() else { panic!() };
    assert_ne!(second, server);
    resolver.datagram(late, server, &answer(&bytes));
    assert!(resolver.poll().is_none(), "an answer of somebody else");
    let mut failed = Message::from_vec(&answer(&bytes)).unwrap();
    failed.metadata.response_code = ResponseCode::ServFail;
    resolver.datagram(late, second, &failed.to_vec().unwrap());
    assert_eq!(run(&mut resolver, late).0, ["Udp 192.0.2.1:1"], "the first one again");
}

#[test]
fn nobody_answers_at_last() {
    for servers in [0, 2] {
        let mut resolver = resolver(servers);
        resolver.resolve(NOW, ASKER, QueryId(1), name(Service::Sip, "a.test", None, None));
        let mut answered = false;
        for _ in 0..100 {
            while let Some(step) = resolver.poll() {
                if let Step::Answer { input: Input::Resolved { targets, .. }, .. } = step {
                    assert!(targets.is_empty());
                    answered = true;
                }
            }
            if let Some(at) = resolver.deadline() {
                resolver.timeout(at);
            }
        }
        assert!(answered);
    }
}

#[test]
fn weights_share_the_load() {
    let mut random = Random::from_u64(5);
    let mut first = [0; 3];
    for _ in 0..1000 {
        let order = ordered(vec![(1, 75, 0), (1, 25, 1), (2, 100, 2)], &mut random);
        assert_eq!(order.len(), 3);
        assert_eq!(order[2], 2, "the lower priority comes last");
        first[order[0]] += 1;
    }
    assert!((650..850).contains(&first[0]) && first[1] > 150, "{first:?}");
}
