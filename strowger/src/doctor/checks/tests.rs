//! A good network, and everything that can be wrong with it: each fixture changes one thing, and
//! exactly its identifier is found.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use base::Transport;
use engine::net::Holder;
use engine::net::tls::{Fault, TlsError};
use hss::profile::FilterCriteria;

use crate::doctor::facts::*;
use crate::doctor::identifiers::*;
use crate::doctor::{Identifier, examine, report};
use crate::plan::{Plan, Role, Seam};
use crate::shared::SharedPlan;

const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A whole network on one host with a public address.
fn good() -> Facts {
    let mut plan = Plan::all_in_one(DOMAIN);
    plan.here.insert(Role::Pcscf, vec![addr("203.0.113.5:5060"), addr("[2001:db8::5]:5060")]);
    plan.media = vec![ip("203.0.113.5"), ip("2001:db8::5")];
    let interface = Interface {
        name: "eth0".into(),
        mtu: 1500,
        networks: vec![(ip("203.0.113.0"), 24), (ip("2001:db8::"), 64)],
    };
    let listening = |addr| Listening {
        role: Role::Pcscf,
        key: "listen",
        transport: Transport::Udp,
        addr,
        refused: None,
    };
    let row = Row {
        impi: format!("001010000000001@{DOMAIN}"),
        impus: vec![format!("sip:001010000000001@{DOMAIN}"), "tel:+15550101".into()],
        imsi: Some("001010000000001".into()),
        servers: Vec::new(),
    };
    let lines = [("pcscf.listen", 9), ("domain", 1)].map(|(key, line)| (key.to_owned(), line));
    Facts {
        configuration: Configuration {
            file: Some("strowger.toml".into()),
            lines: BTreeMap::from(lines),
            ..Configuration::default()
        },
        running: false,
        listeners: vec![listening(addr("203.0.113.5:5060")), listening(addr("[2001:db8::5]:5060"))],
        media: plan.media.iter().map(|ip| (*ip, None)).collect(),
        sounds: None,
        recordings: None,
        certificates: Certificates { names: vec![DOMAIN.into()], ..Certificates::default() },
        machine: Machine {
            addresses: vec![ip("203.0.113.5"), ip("127.0.0.1"), ip("2001:db8::5"), ip("::1")],
            interfaces: vec![interface],
            ipv6: true,
            unprivileged_from: 1024,
            files: Some(1024),
            receive_buffer: Some(4 << 20),
            memory: Some(1 << 30),
            ephemeral: Some((32768, 60999)),
            reserved: Vec::new(),
            sip_modules: Vec::new(),
            clock: 1_800_000_000,
            written: Some((1_790_000_000, "/usr/bin/strowger".into())),
            synchronised: Some(true),
        },
        store: Store {
            path: Some("/var/lib/strowger/strowger.redb".into()),
            opened: Opened::Well,
            mode: Some(0o100_600),
            free: Some(1 << 34),
            filesystem: Some("ext4".into()),
        },
        subscribers: Some(Subscribers { first: vec![row], more: false, damaged: None }),
        peers: Vec::new(),
        shared: Vec::new(),
        names: Names::default(),
        pages: Vec::new(),
        collector: None,
        plan,
    }
}

/// The same, with some functions on a host of their own.
fn split(roles: &[Role], elsewhere: &[(Role, &str)]) -> Facts {
    let mut facts = good();
    facts.plan.here.retain(|role, _| roles.contains(role));
    for (number, (role, listen)) in facts.plan.here.iter_mut().enumerate() {
        if *role != Role::Pcscf {
            *listen = vec![addr(&format!("203.0.113.5:{}", 6000 + number))];
        }
    }
    facts.listeners.clear();
    for (role, at) in elsewhere {
        let (transport, address) = (role.transports()[0], addr(at));
        facts.plan.elsewhere.entry(*role).or_default().push(Seam { transport, address });
        facts.peers.push(peer(Who::Function(*role), at, Answer::Well));
    }
    if !roles.contains(&Role::Hss) {
        facts.subscribers = None;
    }
    facts
}

/// An S-CSCF and an I-CSCF that ask an HSS of another host.
fn with_hss(answer: Answer) -> Facts {
    let roles = [Role::Pcscf, Role::Icscf, Role::Scscf, Role::Media];
    let mut facts = split(&roles, &[(Role::Hss, "198.51.100.7:3868")]);
    facts.peers[0].answer = answer;
    facts
}

/// All but an I-CSCF.
fn with_icscf(answer: Answer) -> Facts {
    let roles = [Role::Pcscf, Role::Scscf, Role::Media, Role::Hss];
    let mut facts = split(&roles, &[(Role::Icscf, "198.51.100.7:5060")]);
    facts.peers[0].answer = answer;
    facts
}

fn peer(who: Who, at: &str, answer: Answer) -> Peer {
    let (transport, name) = match &who {
        Who::Function(role) => (role.transports()[0], format!("{role}.{DOMAIN}")),
        Who::Server(uri) => (Transport::Udp, uri.clone()),
    };
    Peer { who, transport, addr: addr(at), name, answer, instead: None }
}

fn cea(change: impl Fn(&mut Cea)) -> Answer {
    let mut cea = Cea {
        asked_as: format!("scscf.{DOMAIN}"),
        refusal: None,
        taken: false,
        host: format!("hss.{DOMAIN}"),
        realm: DOMAIN.into(),
        cx: true,
    };
    change(&mut cea);
    Answer::Cea(cea)
}

/// An application server that does everything right.
fn with_server(answer: Answer) -> Facts {
    let uri = "sip:203.0.113.80:5090";
    let mut facts = good();
    facts.plan.here.insert(Role::Scscf, vec![addr("203.0.113.5:5070")]);
    let criteria = [format!("{uri} when method=INVITE and case=originating")];
    facts.plan.criteria = FilterCriteria::parse_all(criteria.iter().map(String::as_str)).unwrap();
    facts.plan.trusted = vec![(ip("203.0.113.80"), 32)];
    facts.peers.push(peer(Who::Server(uri.into()), "203.0.113.80:5090", answer));
    facts
}

fn unknown(who: Who, host: &str) -> Names {
    let lookup = Lookup { who, host: host.into(), targets: Vec::new() };
    Names {
        lookups: vec![lookup],
        configured: true,
        servers: vec![(addr("203.0.113.53:53"), true)],
    }
}

fn refused(kind: ErrorKind) -> Option<Refused> {
    Some(Refused { kind, text: kind.to_string(), holder: None })
}

fn alone(file: impl Fn(&mut Configuration)) -> Facts {
    let mut facts = good();
    file(&mut facts.configuration);
    facts.subscribers = None;
    facts.store = Store::default();
    facts
}

type Broken = (Identifier, Facts);

fn change(identifier: Identifier, change: impl Fn(&mut Facts)) -> Broken {
    changed(identifier, good(), change)
}

fn changed(identifier: Identifier, mut facts: Facts, change: impl Fn(&mut Facts)) -> Broken {
    change(&mut facts);
    (identifier, facts)
}

fn machine() -> Vec<Broken> {
    vec![
        (
            CONFIG_UNREADABLE,
            alone(|file| file.unreadable = Some("x.toml: permission denied".into())),
        ),
        (CONFIG_WRONG, alone(|file| file.wrong = vec!["error: unknown key `lisen`".into()])),
        change(MIN_EXPIRES_LONG, |f| f.plan.min_expires = 7200),
        change(MAX_EXPIRES_SHORT, |f| f.plan.max_expires = 60),
        change(PORT_IN_USE, |f| f.listeners[0].refused = refused(ErrorKind::AddrInUse)),
        change(PORT_IN_USE, |f| {
            f.listeners[0].refused = refused(ErrorKind::AddrInUse);
            let holder = Holder { pid: 812, command: "kamailio".into() };
            f.listeners[0].refused.as_mut().unwrap().holder = Some(holder);
            f.running = true;
            let tcp = Listening { transport: Transport::Tcp, ..f.listeners[0].clone() };
            f.listeners.push(tcp);
        }),
        change(PORT_PRIVILEGED, |f| {
            f.listeners[0].addr.set_port(506);
            f.listeners[0].refused = refused(ErrorKind::PermissionDenied);
        }),
        change(PORT_REFUSED, |f| f.listeners[0].refused = refused(ErrorKind::PermissionDenied)),
        change(ADDRESS_NOT_HERE, |f| f.listeners[0].refused = refused(ErrorKind::AddrNotAvailable)),
        change(IPV6_OFF, |f| {
            f.machine.ipv6 = false;
            f.listeners[1].refused = refused(ErrorKind::AddrNotAvailable);
        }),
        change(IPV6_OFF, |f| {
            f.machine.ipv6 = false;
            f.listeners[1].refused = refused(ErrorKind::Unsupported);
        }),
        change(NO_ENTRY, |f| _ = f.plan.here.insert(Role::Pcscf, Vec::new())),
        change(LOOPBACK_ONLY, |f| {
            f.plan.here.insert(Role::Pcscf, vec![addr("127.0.0.1:5060")]);
        }),
        change(LISTEN_WILDCARD, |f| {
            f.plan.here.insert(Role::Pcscf, vec![addr("0.0.0.0:5060")]);
        }),
        change(MTU_SMALL, |f| f.machine.interfaces[0].mtu = 1400),
        change(MEDIA_ADDRESS_NOT_HERE, |f| f.media[0].1 = refused(ErrorKind::AddrNotAvailable)),
        change(MEDIA_LOOPBACK, |f| f.plan.media = vec![ip("127.0.0.1")]),
        changed(
            MEDIA_LOOPBACK,
            split(
                &[Role::Icscf, Role::Scscf, Role::Media, Role::Hss],
                &[(Role::Pcscf, "198.51.100.7:5060")],
            ),
            |f| f.plan.media = vec![ip("127.0.0.1")],
        ),
        change(MEDIA_FAMILY, |f| f.plan.media = vec![ip("203.0.113.5")]),
        change(MEDIA_PRIVATE, |f| f.plan.media = vec![ip("10.0.0.5"), ip("fd00::5")]),
        change(SOUNDS_UNREADABLE, |f| f.sounds = Some("sounds/hold.wav: broken WAV file".into())),
        change(RECORDINGS_NOT_WRITABLE, |f| {
            f.recordings = Some(("/calls".into(), "read-only file system".into()));
        }),
        change(PORTS_FEW, |f| f.plan.media_ports = 30_000..=30_003),
        change(PORTS_EPHEMERAL, |f| f.plan.media_ports = 40_000..=40_999),
        change(PORTS_OVERLAP_LISTENER, |f| f.plan.media_ports = 5_000..=5_999),
        change(CLOCK_BEHIND, |f| f.machine.clock = 1_000),
        change(CLOCK_UNSYNCHRONISED, |f| f.machine.synchronised = Some(false)),
        change(FILES_FEW, |f| f.machine.files = Some(128)),
        change(FILES_FEW, |f| f.plan.media_ports = 20_000..=29_999),
        change(RECEIVE_BUFFER_SMALL, |f| f.machine.receive_buffer = Some(212_992)),
        change(MEMORY_SMALL, |f| f.machine.memory = Some(64 << 20)),
        change(SIP_HELPER, |f| f.machine.sip_modules = vec!["nf_nat_sip".into()]),
        change(STATE_NOWHERE, |f| f.store = Store::default()),
        change(STORE_NOT_WRITABLE, |f| {
            f.store.opened = Opened::NotWritable("/var/lib".into(), "read-only".into());
        }),
        change(STORE_FOREIGN, |f| f.store.opened = Opened::Foreign("no store".into())),
        change(STORE_VERSION, |f| f.store.opened = Opened::Version("schema 2".into())),
        change(STORE_IN_USE, |f| f.store.opened = Opened::InUse),
        change(CONTROL_REFUSED, |f| f.store.opened = Opened::ControlRefused("no".into())),
        change(CONTROL_PATH_LONG, |f| f.store.path = Some(format!("/{:0103}", 0).into())),
        change(DISK_FULL, |f| f.store.free = Some(1 << 20)),
        change(STORE_IN_MEMORY, |f| f.store.filesystem = Some("tmpfs".into())),
        change(STORE_READABLE, |f| f.store.mode = Some(0o100_644)),
    ]
}

/// With an emergency centre, one that is a number, and a trunk that has a name.
fn with_outside() -> Facts {
    let mut facts = good();
    let listen = |port| vec![SocketAddr::new(ip("203.0.113.5"), port)];
    facts.plan.here.insert(Role::Ecscf, listen(5090));
    facts.plan.here.insert(Role::Bgcf, listen(5080));
    facts.plan.centres =
        ["sip:psap@192.0.2.7", "tel:+49301122"].map(|text| text.parse().unwrap()).into();
    facts.plan.routes = vec!["default=sip:trunk.example".parse().unwrap()];
    facts.plan.trunks_from = vec![(ip("192.0.2.9"), 32)];
    facts
}

fn network() -> Vec<Broken> {
    let at = |role| Who::Function(role);
    let server = || Who::Server("sip:as.example.org".into());
    vec![
        changed(RESOLVER_MISSING, with_server(Answer::Well), |f| {
            f.names = unknown(server(), "as.example.org");
            f.names.configured = false;
            f.names.servers = vec![(addr("127.0.0.1:53"), false)];
        }),
        change(RESOLVER_SILENT, |f| {
            f.names = unknown(at(Role::Scscf), "scscf");
            f.names.servers[0].1 = false;
        }),
        change(FUNCTION_NOWHERE, |f| f.names = unknown(at(Role::Scscf), "scscf")),
        (PEER_REFUSES, with_icscf(Answer::Refused)),
        (PEER_SILENT, with_icscf(Answer::Silent)),
        (PEER_SILENT, with_hss(Answer::Silent)),
        (PEER_UNREACHABLE, with_icscf(Answer::Unreachable("no route to host".into()))),
        changed(PEER_OTHER_TRANSPORT, with_icscf(Answer::Silent), |f| {
            f.peers[0].instead = Some(Transport::Tcp);
        }),
        (PEER_OTHER_PROTOCOL, with_icscf(Answer::Gibberish("HTTP/1.1 400".into()))),
        (PEER_OTHER_PROTOCOL, with_icscf(Answer::Closed)),
        (PEER_UNWELL, with_icscf(Answer::Sip(503))),
        (PEER_CLOSES, with_hss(Answer::Closed)),
        (PEER_REJECTS, with_hss(cea(|cea| cea.refusal = Some("3010".into())))),
        (
            IDENTITY_TAKEN,
            with_hss(cea(|cea| {
                cea.refusal = Some("ELECTION_LOST (4003)".into());
                cea.taken = true;
            })),
        ),
        (PEER_WITHOUT_CX, with_hss(cea(|cea| cea.cx = false))),
        (
            REALM_OTHER,
            with_hss(cea(|cea| {
                cea.realm = "example.org".into();
                cea.host = "hss.example.org".into();
            })),
        ),
        (PEER_NAME_OTHER, with_hss(cea(|cea| cea.host = "hss1.example.org".into()))),
        changed(
            RELAY_NO_PONG,
            split(
                &[Role::Pcscf, Role::Icscf, Role::Scscf, Role::Hss],
                &[(Role::Media, "198.51.100.7:2223")],
            ),
            |f| f.peers[0].answer = Answer::Ng("error (busy)".into()),
        ),
        change(NO_SUBSCRIBERS, |f| f.subscribers = Some(Subscribers::default())),
        change(SUBSCRIBER_OTHER_DOMAIN, |f| {
            let row = &mut f.subscribers.as_mut().unwrap().first[0];
            row.impus = vec!["sip:alice@example.org".into(), "tel:+15550101".into()];
        }),
        change(SUBSCRIBER_DAMAGED, |f| {
            f.subscribers = Some(Subscribers {
                damaged: Some("a@x: no JSON".into()),
                ..Subscribers::default()
            });
        }),
        change(IMSI_OTHER_NETWORK, |f| {
            f.subscribers.as_mut().unwrap().first[0].imsi = Some("262010000000001".into());
        }),
        changed(SCSCF_WITHOUT_ADDRESS, with_server(Answer::Well), |f| {
            f.plan.here.insert(Role::Scscf, Vec::new());
        }),
        (SERVER_UNREACHABLE, with_server(Answer::Silent)),
        (SERVER_UNREACHABLE, with_server(Answer::Sip(503))),
        changed(SERVER_NAME_UNKNOWN, with_server(Answer::Well), |f| {
            f.names = unknown(server(), "as.example.org");
        }),
        changed(SERVER_UNTRUSTED, with_server(Answer::Well), |f| f.plan.trusted.clear()),
        changed(SERVER_CIRCLE, with_server(Answer::Ourselves), |f| {
            f.peers[0].addr = addr("203.0.113.5:5070");
        }),
        change(OUTSIDE_UNUSED, |f| f.plan.routes = vec!["+49=sip:192.0.2.9".parse().unwrap()]),
        changed(OUTSIDE_WITHOUT_ADDRESS, with_outside(), |f| {
            f.plan.here.insert(Role::Ecscf, Vec::new());
        }),
        changed(OUTSIDE_FROM_UNKNOWN, with_outside(), |f| f.plan.trunks_from.clear()),
        change(TRUST_EVERYBODY, |f| f.plan.trusted = vec![(ip("0.0.0.0"), 0)]),
        change(TLS_FILE_UNREADABLE, |f| {
            f.certificates.files = vec![("key", "tls.key: Permission denied".into())];
        }),
        change(TLS_FILE_UNREADABLE, |f| {
            f.certificates.faults = vec![Fault::Unreadable(TlsError::Certificate)];
        }),
        change(TLS_KEY_OTHER, |f| f.certificates.faults = vec![Fault::OtherKey]),
        change(TLS_EXPIRED, |f| f.certificates.faults = vec![Fault::Expired(1_799_000_000)]),
        change(TLS_NOT_YET_VALID, |f| {
            f.certificates.faults = vec![Fault::NotYetValid(1_801_000_000)]
        }),
        change(TLS_NAME_OTHER, |f| {
            f.certificates.faults = vec![Fault::OtherNames(vec!["example.org".into()])];
        }),
        change(TRUST_PHONES, |f| f.plan.trusted = vec![(ip("203.0.113.0"), 24)]),
        (NOBODY_ADMITTED, split(&[Role::Hss], &[])),
        changed(SEAM_CIRCLE, with_icscf(Answer::Ourselves), |f| {
            f.peers[0].addr = addr("203.0.113.5:5060");
        }),
        changed(FUNCTION_UNREACHABLE, with_icscf(Answer::Well), |f| {
            f.plan.here.insert(Role::Scscf, Vec::new());
        }),
        changed(SEAM_LOOPBACK, with_icscf(Answer::Well), |f| {
            f.plan.here.insert(Role::Hss, vec![addr("127.0.0.1:3868")]);
        }),
    ]
}

#[test]
fn nothing_is_wrong_with_what_is_good() {
    let reserved = {
        let mut facts = good();
        facts.plan.media_ports = 40_000..=40_999;
        facts.machine.reserved = vec![(40_000, 40_999)];
        facts
    };
    let running = {
        let mut facts = good();
        facts.running = true;
        facts.listeners[0].refused = refused(ErrorKind::AddrInUse);
        facts
    };
    let well = cea(|_| ());
    // Any answer but 503 comes from somebody who is there.
    let alive = [with_icscf(Answer::Sip(403)), with_server(Answer::Sip(404))];
    let border = split(
        &[Role::Icscf, Role::Scscf, Role::Media, Role::Hss],
        &[(Role::Pcscf, "198.51.100.7:5060")],
    );
    let others = [good(), border, reserved, running, with_hss(well), with_icscf(Answer::Well)];
    let more = [with_server(Answer::Well), with_outside()];
    for facts in alive.into_iter().chain(others).chain(more) {
        assert_eq!(examine(&facts), [], "{}", report::text(&facts, &examine(&facts)));
    }
}

/// A node whose server answers so.
fn sharing(answer: SharedAnswer) -> Facts {
    let mut facts = good();
    let servers = vec![("valkey.test".to_owned(), None)];
    let shared = SharedPlan { servers, node: "a".into(), ..SharedPlan::default() };
    facts.plan.shared = Some(shared);
    facts.shared = vec![SharedServer { name: "valkey.test:6379".into(), answer }];
    facts
}

fn nodes() -> Vec<Broken> {
    vec![
        (SHARED_AWAY, sharing(SharedAnswer::Away("connection refused".into()))),
        (SHARED_DENIES, sharing(SharedAnswer::Denied("NOAUTH".into()))),
        (SHARED_OTHER_PROTOCOL, sharing(SharedAnswer::Foreign)),
        (RELAY_UNWATCHED, unwatched()),
    ]
}

/// A network that other programs watch and change, from this host.
fn watched() -> Facts {
    let mut facts = good();
    let page = |key, at| Page { key, addr: addr(at), refused: None };
    facts.pages =
        vec![page("observe.metrics", "203.0.113.5:9464"), page("api.listen", "[::1]:8080")];
    facts.collector = Some((addr("203.0.113.9:9060"), false));
    facts
}

fn watchers() -> Vec<Broken> {
    let in_use = || refused(ErrorKind::AddrInUse);
    vec![
        changed(PAGE_REFUSED, watched(), |f| f.pages[0].refused = in_use()),
        changed(PAGE_REFUSED, watched(), |f| f.pages[1].refused = in_use()),
        changed(PAGE_REFUSED, watched(), |f| {
            f.running = true;
            f.pages[0].refused = refused(ErrorKind::AddrNotAvailable);
        }),
        changed(API_IN_CLEAR, watched(), |f| f.pages[1].addr = addr("203.0.113.5:8080")),
        changed(COLLECTOR_AWAY, watched(), |f| {
            f.collector = Some((addr("203.0.113.9:9060"), true))
        }),
    ]
}

#[test]
fn a_running_process_holds_its_pages() {
    let mut facts = watched();
    assert_eq!(examine(&facts), []);
    facts.running = true;
    facts.pages[0].refused = refused(ErrorKind::AddrInUse);
    assert_eq!(examine(&facts), []);
}

#[test]
fn a_floating_address_may_be_elsewhere() {
    let mut facts = sharing(SharedAnswer::Well);
    assert_eq!(examine(&facts), []);
    facts.listeners[0].refused = refused(ErrorKind::AddrNotAvailable);
    assert_eq!(examine(&facts)[0].identifier, ADDRESS_NOT_HERE);
    let address = facts.listeners[0].addr.ip();
    facts.plan.shared.as_mut().expect("it shares").floating.push(address);
    assert_eq!(examine(&facts), []);
}

fn unwatched() -> Facts {
    let mut facts = sharing(SharedAnswer::Well);
    facts.plan.takeover = true;
    facts
}

#[test]
fn a_relay_that_shares_its_calls_has_a_door_where_others_look() {
    let mut facts = unwatched();
    let found = examine(&facts);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].identifier, RELAY_UNWATCHED);
    let own: std::net::SocketAddr = "192.0.2.7:2223".parse().expect("an address");
    facts.plan.media_doors.tcp_ng = vec![own];
    assert_eq!(examine(&facts), []);
    // What moves to the other one says nothing of this one.
    facts.plan.shared.as_mut().expect("it shares").floating.push(own.ip());
    assert_eq!(examine(&facts)[0].identifier, RELAY_UNWATCHED);
}

/// Of several listeners of one function the advice names the key of the one that is meant.
#[test]
fn a_way_into_the_relay_is_named_by_its_key() {
    let mut facts = good();
    facts.listeners.push(Listening {
        role: Role::Media,
        key: "listen_cli",
        transport: Transport::Tcp,
        addr: addr("127.0.0.1:9900"),
        refused: refused(ErrorKind::AddrInUse),
    });
    let found = examine(&facts);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].fix.ends_with("[media]\nlisten_cli = \"127.0.0.1:9910\""), "{:?}", found[0]);
}

#[test]
fn each_fault_has_its_identifier_and_no_other() {
    let mut seen = BTreeSet::new();
    let all = machine().into_iter().chain(network()).chain(nodes()).chain(watchers());
    for (identifier, facts) in all {
        let found = examine(&facts);
        let names: Vec<&str> = found.iter().map(|finding| finding.identifier.name).collect();
        assert_eq!(names, [identifier.name], "{}", report::text(&facts, &found));
        let finding = &found[0];
        assert!(finding.evidence.len() > 3 && finding.fix.len() > 8, "{finding:?}");
        seen.insert(identifier.name);
    }
    let all: BTreeSet<&str> = crate::doctor::ALL.iter().map(|identifier| identifier.name).collect();
    assert_eq!(seen, all, "each identifier has a fixture");
    assert!(all.len() >= 30);
}

/// What a person reads.
#[test]
fn a_finding_names_its_culprit_and_its_line() {
    let (_, facts) = machine().into_iter().filter(|(id, _)| *id == PORT_IN_USE).nth(1).unwrap();
    let found = examine(&facts);
    let text = report::text(&facts, &found);
    let expected = "\nstops calls: port-in-use  (strowger.toml:9)\n    pcscf cannot listen on udp and tcp \
                    203.0.113.5:5060: address in use; kamailio (process 812) holds it\n  fix: stop \
                    process 812, or set another port:\n       [pcscf]\n       listen = \
                    \"203.0.113.5:5070\"\n\n1 finding stops calls; 0 other findings, 0 notes\n";
    assert!(text.ends_with(expected), "{text}");
    let json = report::json(&facts, &found);
    assert_eq!(json["findings"][0]["id"], "port-in-use");
    assert_eq!(json["findings"][0]["place"], "strowger.toml:9");
    assert_eq!(json["stops_calls"], true);
}
