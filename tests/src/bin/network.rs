//! A network and phones of ours as a process of its own: its first line on standard input is a
//! [`Spec`], the others are orders (`NAME register`, `NAME call URI`, `NAME hangup`, `NAME hold`,
//! `NAME resume`, `NAME text URI WORDS`, `NAME deregister`, `operator VERB …`, `talk`, `quit`); on standard output it reports, one line
//! of JSON each.
#![allow(clippy::print_stdout, reason = "the other end of the pipe reads it")]

use std::collections::BTreeMap;
use std::io::BufRead;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth::milenage::opc;
use base::flow::Service;
use base::machine::{Name, Order};
use base::redact::Secret;
use base::{Bytes, Transport};
use engine::net::Notice;
use engine::shard::Crossing;
use engine::{FunctionId, FunctionSpec, Listener, Live, LiveConfig, RelayConfig};
use hss::Subscriber;
use hss::import::Imported;
use hss::profile::FilterCriteria;
use hss::subscriber::OperatorKey;
use ladder::{Party, Record};
use serde_json::{Value, json};
use strowger::log::{Format, Log};
use strowger::plan::{Plan, Role, Seam};
use strowger::provision::{Answer, Ask, Provision, Provisioned, Provisioner, Request, names};
use strowger::recordings::{Recordings, RecordingsPlan};
use strowger::relay::RtpForward;
use strowger_tests::interop::spec::{AMF, K, OP, PASSWORD, PhoneSpec, certificate, key};
use strowger_tests::interop::{DOMAIN, HERE, Spec, prompt};
use ue::{Audio, CallId, Credential, Incoming, UeConfig, UeOrder, UeReport, What};

type Calls = Arc<Mutex<BTreeMap<String, CallId>>>;

fn main() {
    let mut lines = std::io::stdin().lock().lines().map_while(Result::ok);
    let spec = lines.next().expect("a spec");
    let spec: Spec = serde_json::from_str(&spec).expect("a legal spec");
    let framings = strowger::framing::framings;
    let plan = plan(&spec);
    let tls = strowger::tls::load(&plan).expect("certificates");
    let config = LiveConfig { framings, tls, ..LiveConfig::default() };
    let mut live = Live::new(config).expect("a loop");
    let mut random = live.random();
    let provisioner = FunctionSpec {
        name: "provisioner".to_owned(),
        hosts: Vec::new(),
        function: Box::<Provisioner>::default(),
        listeners: Vec::new(),
        tables: &[],
    };
    let provisioner = live.add(provisioner).expect("no listener can fail");
    let mut hss = None;
    for function in strowger::assembly::functions(&plan, &mut random) {
        let is_hss = function.name == Role::Hss.as_str();
        let id = live.add(function).unwrap_or_else(|e| panic!("{e}"));
        hss = hss.or(is_hss.then_some(id));
    }
    for (name, service, places) in strowger::assembly::topology(&plan) {
        live.topology(&name, service, places);
    }
    let recordings = plan.recordings.as_ref().map(|plan| {
        let log = Log { format: Format::Human, least: base::Severity::Info };
        Recordings::start(&plan.folder, log).expect("a folder")
    });
    let (recordings, files) = recordings.unzip();
    live.relay(RelayConfig::default(), RtpForward::recording(recordings)).expect("a relay");
    let mut phones = BTreeMap::new();
    for phone in &spec.phones {
        let id = live.add(phone_function(phone, random.fork())).unwrap_or_else(|e| panic!("{e}"));
        phones.insert(phone.name.clone(), id);
    }
    let (see, seen) = channel();
    let tap = move |now: base::Instant, crossing: &Crossing<'_>| {
        if crossing.service != Service::Rtp {
            let _ = see.send(record(now, crossing));
        }
    };
    let (console, notices) = engine::net::notices(engine::net::NOTICES);
    let handle = live.handle();
    let shard = std::thread::spawn(move || live.run(tap, console));
    let changes = subscribers(&spec).iter().flat_map(hss::records).collect();
    let provision = Order(Box::new(Provision { number: 1, changes }));
    handle.order(provisioner, provision).expect("the loop runs");
    let calls = Calls::default();
    let reporting = Arc::clone(&calls);
    let to_hss = handle.clone();
    let tell = move |operations: Vec<hss::Operation>| {
        if let Some(hss) = hss {
            to_hss.order(hss, Order(Box::new(operations))).expect("the loop runs");
        }
    };
    let reporter = std::thread::spawn(move || report(&notices, &reporting, tell));
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["quit"] => break,
            ["talk"] => {
                // Sound takes its time: no condition comes earlier than the end of the words.
                let longest = ["alice", "bob"].map(|name| prompt(name).len()).into_iter().max();
                let length = Duration::from_millis(longest.unwrap_or(0) as u64 / 8 + 700);
                std::thread::spawn(move || {
                    std::thread::sleep(length);
                    say(&json!({"what": "talked"}));
                });
            }
            ["operator", verb, who, rest @ ..] => {
                let ask = operator(verb, who, rest);
                let request = Order(Box::new(Request { number: 2, ask }));
                handle.order(provisioner, request).expect("the loop runs");
            }
            [name, order @ ..] => {
                let order = phone_order(order, calls.lock().expect("no panic").get(*name));
                let phone: FunctionId = phones[*name];
                handle.order(phone, Order(Box::new(order))).expect("the loop runs");
            }
            [] => {}
        }
    }
    handle.stop().expect("the loop runs");
    shard.join().expect("the loop does not panic").expect("the loop ends well");
    reporter.join().expect("the reporter does not panic");
    if let Some(files) = files {
        files.join().expect("the files are written");
    }
    if let Some(path) = &spec.capture {
        // As they are: a decoder shall see what others see.
        let records: Vec<Record> = seen.iter().collect();
        let correlation = ladder::Correlation::new(records);
        let capture = ladder::pcapng::write(correlation.records());
        std::fs::write(path, capture).expect("the capture is written");
    }
}

fn plan(spec: &Spec) -> Plan {
    let mut plan = Plan::all_in_one(DOMAIN);
    let here: std::net::IpAddr = HERE.parse().expect("an address");
    plan.here.insert(Role::Pcscf, vec![(here, 5060).into()]);
    plan.media = vec![here];
    let role = |word: &str| Role::parse(word).expect("a role");
    if let Some(roles) = &spec.here {
        plan.here = roles.iter().map(|(word, at)| (role(word), at.clone())).collect();
    }
    for (word, address) in &spec.elsewhere {
        plan.here.remove(&role(word));
        let seam = Seam { transport: role(word).transports()[0], address: *address };
        plan.elsewhere.insert(role(word), vec![seam]);
    }
    let optional = [(Role::Ecscf, &spec.centres, 5090), (Role::Bgcf, &spec.routes, 5080)];
    for (role, _, port) in optional.into_iter().filter(|(_, uses, _)| !uses.is_empty()) {
        plan.here.insert(role, vec![(here, port).into()]);
    }
    plan.centres = spec.centres.iter().map(|text| text.parse().expect("a centre")).collect();
    plan.routes = spec.routes.iter().map(|text| text.parse().expect("a route")).collect();
    plan.enum_suffix.clone_from(&spec.enum_suffix);
    let criteria = FilterCriteria::parse_all(spec.ifc.iter().map(String::as_str));
    plan.criteria = criteria.expect("filter criteria");
    if spec.tls {
        plan.tls.here.insert(Role::Pcscf, vec![(here, 5061).into()]);
        plan.tls.certificate = Some(certificate("proxy.pem"));
        plan.tls.key = Some(certificate("proxy.key"));
        plan.tls.ca = Some(certificate("authority.pem"));
    }
    plan.recordings = spec
        .recordings
        .clone()
        .map(|folder| RecordingsPlan { folder, form: base::relay::Form::Stereo });
    plan.sounds = strowger::sounds::load(spec.sounds.as_deref()).expect("sounds");
    plan.trusted = spec.trusted.iter().map(|ip| (*ip, 32)).collect();
    plan
}

fn subscribers(spec: &Spec) -> Vec<Subscriber> {
    let password = Secret::new(PASSWORD.to_owned());
    let passwords = spec.passwords.iter().map(|(name, number)| {
        Subscriber::with_password(name, &password, std::slice::from_ref(number), DOMAIN)
    });
    let sims = spec.sims.iter().map(|(imsi, number)| {
        let operator = OperatorKey::Op(key(OP));
        Subscriber::from_sim(imsi, std::slice::from_ref(number), key(K), operator, AMF, DOMAIN)
    });
    passwords.chain(sims).map(|subscriber| subscriber.expect("a legal subscriber")).collect()
}

fn phone_function(phone: &PhoneSpec, random: base::Random) -> FunctionSpec {
    let at = SocketAddr::new(phone.address, phone.port);
    let (k, op) = (key(K), key(OP));
    let sqn = auth::sqn::Sqn::new(phone.seq, 0);
    let identity = format!("sip:{}@{DOMAIN}", phone.user);
    let (username, credential) = if phone.sim {
        let username = format!("{}@{DOMAIN}", phone.user);
        (username, Credential::Sim { opc: opc(&k, &op), k, amf: AMF, sqn })
    } else {
        (phone.user.clone(), Credential::Password(Secret::new(PASSWORD.to_owned())))
    };
    let mut config = UeConfig::new(&username, &identity, credential, DOMAIN);
    let transport = if phone.tcp { Transport::Tcp } else { Transport::Udp };
    config.transport = transport;
    config.contact = at.to_string();
    config.media.address = at.ip();
    config.audio = Audio { samples: prompt(&phone.says).into(), repeat: false };
    config.incoming = Incoming::Answer { ring: base::time::Duration::from_millis(300) };
    config.proxy = Some(Name {
        service: Service::Sip,
        host: phone.proxy.ip().to_string(),
        port: Some(phone.proxy.port()),
        transport: Some(transport),
    });
    let listener = |transport| Listener { service: Service::Sip, transport, addr: at };
    FunctionSpec {
        name: phone.name.clone(),
        hosts: Vec::new(),
        function: Box::new(ue::Ue::new(config, random)),
        listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
        tables: &[],
    }
}

fn phone_order(words: &[&str], call: Option<&CallId>) -> UeOrder {
    match (words, call) {
        (["register"], _) => UeOrder::Register,
        (["deregister"], _) => UeOrder::Deregister,
        (["call", to], _) => UeOrder::Call { to: (*to).to_owned(), token: 1 },
        (["text", to, words @ ..], _) => {
            UeOrder::Message { to: (*to).to_owned(), text: words.join(" "), token: 1 }
        }
        (["hangup"], Some(call)) => UeOrder::Hangup(*call),
        (["hold"], Some(call)) => UeOrder::Hold(*call),
        (["resume"], Some(call)) => UeOrder::Resume(*call),
        _ => panic!("no order: {words:?}"),
    }
}

/// What an operator asks for: `number IMSI NUMBER` gives a SIM one more, `deregister WHO`.
fn operator(verb: &str, who: &str, rest: &[&str]) -> Ask {
    let names = names(who, DOMAIN);
    match (verb, rest) {
        ("deregister", []) => {
            Ask::Deregister { names, again: false, reason: Some("maintenance".to_owned()) }
        }
        ("number", [number]) => {
            let numbers = ["4930200", number].map(str::to_owned);
            let operator = OperatorKey::Op(key(OP));
            let subscriber = Subscriber::from_sim(who, &numbers, key(K), operator, AMF, DOMAIN);
            let subscriber = subscriber.expect("a legal subscriber");
            let subscribers = vec![Imported { subscriber, seq: None }];
            Ask::Put { subscribers, replace: true, check: false }
        }
        _ => panic!("no order: {verb} {rest:?}"),
    }
}

fn report(notices: &Receiver<Notice>, calls: &Calls, tell: impl Fn(Vec<hss::Operation>)) {
    for notice in notices {
        match notice {
            Notice::Log { from, event, .. } => eprintln!("{from}: {event:?}"),
            Notice::Report { name, report, .. } => match report.0.downcast::<UeReport>() {
                Ok(report) => phone_report(&name, &report.what, calls),
                Err(other) if other.is::<Answer>() => {
                    let answer = other.downcast::<Answer>().expect("it is one");
                    answer.result.expect("it is done");
                    tell(answer.operations);
                    say(&json!({"what": "done"}));
                }
                Err(other) => {
                    if let Some(done) = other.downcast_ref::<Provisioned>() {
                        done.result.as_ref().expect("the subscribers are stored");
                        say(&json!({"what": "ready"}));
                    }
                }
            },
            Notice::Lost(lost) => eprintln!("{lost} notices lost"),
        }
    }
}

fn phone_report(name: &str, what: &What, calls: &Calls) {
    eprintln!("{name}: {}", brief(what));
    let current = |call: &CallId| {
        calls.lock().expect("no panic").insert(name.to_owned(), *call);
    };
    let word = match what {
        What::Registered { .. } => "registered",
        What::RegistrationFailed { .. } => "registration failed",
        What::Deregistered { .. } => "deregistered",
        What::Calling { call, .. } => {
            current(call);
            "calling"
        }
        What::Ringing { .. } => "ringing",
        What::Incoming { call, .. } => {
            current(call);
            "incoming"
        }
        What::Answered { .. } => "answered",
        What::MediaFlowing { .. } => "media",
        What::HeldByPeer { held: true, .. } => "held",
        What::HeldByPeer { held: false, .. } => "taken back",
        What::OrderRefused { .. } => "refused",
        What::MessageReceived { body, .. } => {
            let text = String::from_utf8_lossy(body);
            return say(&json!({"phone": name, "what": "text", "text": text}));
        }
        What::MessageResult { status, reason, .. } => {
            let answer = json!({"status": status, "reason": reason});
            return say(&json!({"phone": name, "what": "text sent", "answer": answer}));
        }
        What::Ended { by, status, reason, media, .. } => {
            let like = |spoken: &str| {
                let likeness = rtp::likeness::compare(&prompt(spoken), &media.recording);
                eprintln!("{name} heard {spoken}: {:?} {:.3}", likeness.verdict(), likeness.worst);
                Value::from(format!("{:?}", likeness.verdict()))
            };
            let heard = json!({"alice": like("alice"), "bob": like("bob")});
            let by = format!("{by:?}");
            let (sent, received) = (media.stats.sent, media.stats.received);
            let stats = json!({"sent": sent, "received": received, "lost": media.stats.lost});
            return say(&json!({
                "phone": name, "what": "ended", "by": by, "status": status, "reason": reason,
                "heard": heard, "stats": stats,
            }));
        }
        _ => "other",
    };
    say(&json!({"phone": name, "what": word, "text": brief(what)}));
}

fn brief(what: &What) -> String {
    match what {
        What::Ended { by, status, reason, media, .. } => {
            format!("Ended {by:?} {status} {reason} {:?}", media.stats)
        }
        other => format!("{other:?}"),
    }
}

fn say(value: &Value) {
    println!("{value}");
}

fn record(now: base::Instant, crossing: &Crossing<'_>) -> Record {
    let party = |party: &engine::shard::Party<'_>| Party {
        endpoint: party.endpoint,
        name: party.name.map(Into::into),
    };
    Record {
        at: now,
        service: crossing.service,
        transport: crossing.transport,
        from: party(&crossing.from),
        to: party(&crossing.to),
        bytes: Bytes::clone(crossing.bytes),
        flow: crossing.flow.0,
    }
}
