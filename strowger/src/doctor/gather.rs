//! The only I/O of the doctor: looks at this machine and asks the others, within seconds.

mod machine;
mod names;
mod peers;
mod shared;
mod store;
mod tls;
mod watchers;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;

use base::Transport;
use engine::net::{ListenError, probe};
use sip::Uri;
use toml::de::{DeTable, DeValue};

use super::facts::{
    Certificates, Configuration, Facts, Listening, Lookup, Machine, Names, Refused, Row, Store,
    Who, servers,
};
use crate::config::{Config, ConfigError, loopback};
use crate::plan::{Plan, Role};
use crate::run::config_file;
use crate::state::State;
use peers::Question;

/// Where to look, from the command line.
#[derive(Clone, Debug, Default)]
pub struct Where {
    /// The configuration's file.
    pub config: Option<PathBuf>,
    /// The folder of the store.
    pub state: Option<PathBuf>,
    /// The functions that are to run.
    pub roles: Option<BTreeSet<Role>>,
}

/// Observes everything; `progress` hears what takes time.
pub fn gather(place: &Where, progress: &(dyn Fn(&str) + Sync)) -> Facts {
    let (config, configuration) = configuration(place);
    let plan = config.plan(place.roles.as_ref(), &loopback());
    let mut facts = Facts {
        configuration,
        running: false,
        listeners: Vec::new(),
        media: Vec::new(),
        sounds: None,
        recordings: None,
        certificates: Certificates::default(),
        machine: Machine::default(),
        store: Store::default(),
        subscribers: None,
        peers: Vec::new(),
        shared: Vec::new(),
        names: Names::default(),
        pages: Vec::new(),
        collector: None,
        plan,
    };
    if !facts.configuration.is_right() {
        return facts;
    }
    facts.machine = machine::look();
    if let Ok(state) = State::find(place.state.as_deref(), &config) {
        progress(&format!("opens {}", state.store.display()));
        let seen = store::look(&state, facts.runs(Role::Hss));
        facts.machine.written = newest(facts.machine.written.take(), seen.written);
        (facts.store, facts.running, facts.subscribers) =
            (seen.store, seen.running, seen.subscribers);
    }
    facts.listeners = listeners(&facts.plan);
    facts.pages = watchers::pages(&config);
    facts.collector = watchers::collector(&config);
    facts.certificates = tls::look(&facts.plan, facts.machine.clock);
    let sounds = crate::sounds::load(facts.plan.sounds_folder.as_deref());
    facts.sounds = sounds.err().map(|error| error.to_string());
    let recordings = facts.plan.recordings.as_ref();
    facts.recordings = recordings.and_then(|plan| store::folder_not_writable(&plan.folder));
    if facts.runs(Role::Media) {
        facts.media = facts.plan.media.iter().map(|ip| (*ip, bound((*ip, 0).into()))).collect();
    }
    let rows = facts.subscribers.iter().flat_map(|subscribers| &subscribers.first);
    let servers = servers(&facts.plan, rows);
    facts.names = names(&facts.plan, &servers, progress);
    let questions = questions(&facts, &servers);
    let asked = questions.len();
    if asked > 0 {
        progress(&format!("asks {asked} address{} of others", if asked == 1 { "" } else { "es" }));
    }
    facts.peers = peers::ask(questions, facts.running);
    facts.shared = shared::ask(&facts.plan);
    facts
}

fn newest(a: Option<(u64, PathBuf)>, b: Option<(u64, PathBuf)>) -> Option<(u64, PathBuf)> {
    a.into_iter().chain(b).max()
}

fn configuration(place: &Where) -> (Config, Configuration) {
    let Some(file) = config_file(place.config.clone()) else {
        return (Config::default(), Configuration::default());
    };
    let mut told = Configuration { file: Some(file.clone()), ..Configuration::default() };
    match Config::load(&file) {
        Ok(config) => {
            told.lines = lines(&std::fs::read_to_string(&file).unwrap_or_default());
            (config, told)
        }
        Err(ConfigError::Wrong(problems)) => {
            told.wrong = problems;
            (Config::default(), told)
        }
        Err(error) => {
            told.unreadable = Some(error.to_string());
            (Config::default(), told)
        }
    }
}

/// The line of each key of a configuration.
pub(crate) fn lines(text: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    let Ok(table) = DeTable::parse(text) else { return lines };
    let line = |at: usize| {
        text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
    };
    for (key, value) in table.get_ref() {
        let name = key.get_ref();
        lines.insert(name.to_string(), line(key.span().start));
        if let DeValue::Table(section) = value.get_ref() {
            for (key, _) in section {
                lines.insert(format!("{name}.{}", key.get_ref()), line(key.span().start));
            }
        }
    }
    lines
}

fn listeners(plan: &Plan) -> Vec<Listening> {
    let mut found = Vec::new();
    for (role, addrs) in &plan.here {
        for addr in addrs {
            for transport in role.transports() {
                let refused = probe(role.as_str(), *transport, *addr).err().map(refused);
                let (role, key, transport, addr) = (*role, "listen", *transport, *addr);
                found.push(Listening { role, key, transport, addr, refused });
            }
        }
    }
    for (role, addrs) in &plan.tls.here {
        for addr in addrs {
            let transport = Transport::Tls;
            let refused = probe(role.as_str(), transport, *addr).err().map(refused);
            let key = "listen";
            found.push(Listening { role: *role, key, transport, addr: *addr, refused });
        }
    }
    for (key, _, addr) in plan.media_doors.all().filter(|_| plan.here.contains_key(&Role::Media)) {
        let (role, transport) = (Role::Media, Transport::Tcp);
        let refused = probe(role.as_str(), transport, addr).err().map(refused);
        found.push(Listening { role, key, transport, addr, refused });
    }
    found
}

fn refused(error: ListenError) -> Refused {
    match error {
        ListenError::InUse { holder, .. } => Refused {
            kind: std::io::ErrorKind::AddrInUse,
            text: "address in use".to_owned(),
            holder,
        },
        ListenError::Refused { error, .. } => Refused::from(error),
    }
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Refused {
        Refused { kind: error.kind(), text: error.to_string(), holder: None }
    }
}

/// Why no socket can have this address.
fn bound(addr: SocketAddr) -> Option<Refused> {
    UdpSocket::bind(addr).err().map(Refused::from)
}

/// Looks up the functions that others of this process need and whose place nobody told, and the
/// application servers that are named.
fn names(plan: &Plan, servers: &[String], progress: &(dyn Fn(&str) + Sync)) -> Names {
    let mut wanted: Vec<(Who, base::machine::Name)> = Vec::new();
    for role in plan.needed() {
        let host = plan.host(role);
        let name =
            base::machine::Name { service: role.service(), host, port: None, transport: None };
        wanted.push((Who::Function(role), name));
    }
    if plan.here.contains_key(&Role::Scscf) {
        for server in servers {
            let Some(uri) = Uri::parse(server).and_then(Uri::sip) else { continue };
            let name = base::machine::Name {
                service: base::Service::Sip,
                host: uri.host.to_owned(),
                port: uri.port,
                transport: match uri.transport().as_deref() {
                    Some("tcp") => Some(Transport::Tcp),
                    Some("udp") => Some(Transport::Udp),
                    Some("tls") => Some(Transport::Tls),
                    _ => None,
                },
            };
            wanted.push((Who::Server(server.clone()), name));
        }
    }
    names::look_up(wanted, plan, progress)
}

/// Whom to ask, where.
fn questions(facts: &Facts, servers: &[String]) -> Vec<Question> {
    let plan = &facts.plan;
    let mut questions = Vec::new();
    let mut push = |who: Who, transport, addr, name: String| {
        let ours = facts.own_listener(transport, addr).is_some();
        let identities = match &who {
            Who::Function(Role::Hss) => identities(plan),
            _ => Vec::new(),
        };
        let domain = plan.domain.clone();
        questions.push(Question { who, transport, addr, name, ours, identities, domain });
    };
    // A firewall may well keep the others from us.
    let used = |role: &Role| plan.users(*role).iter().any(|user| plan.here.contains_key(user));
    for (role, seams) in plan.elsewhere.iter().filter(|(role, _)| used(role)) {
        // Over TLS nobody is asked: only the name that a process asks for tells whom to believe.
        for seam in seams.iter().filter(|seam| seam.transport != Transport::Tls) {
            push(Who::Function(*role), seam.transport, seam.address, plan.host(*role));
        }
    }
    for Lookup { who, targets, host, .. } in &facts.names.lookups {
        let name = match who {
            Who::Function(_) => host.clone(),
            Who::Server(uri) => servers.iter().find(|s| *s == uri).cloned().unwrap_or_default(),
        };
        // The others are tried when the first fails; one is enough to say what is wrong.
        let asked = targets.iter().find(|(transport, _)| *transport != Transport::Tls);
        if let Some((transport, addr)) = asked {
            push(who.clone(), *transport, *addr, name);
        }
    }
    questions
}

/// The Diameter identities of the functions here that speak to the HSS.
fn identities(plan: &Plan) -> Vec<String> {
    let clients = [Role::Icscf, Role::Scscf].into_iter();
    clients.filter(|role| plan.here.contains_key(role)).map(|role| plan.host(role)).collect()
}

/// A subscriber as the checks see him.
fn row(subscriber: &hss::Subscriber) -> Row {
    let criteria = subscriber.sets.iter().flat_map(|set| &set.criteria);
    Row {
        impi: subscriber.impi.clone(),
        impus: subscriber.identities().map(|identity| identity.uri.clone()).collect(),
        imsi: subscriber.imsi.as_ref().map(|imsi| imsi.as_str().to_owned()),
        servers: criteria.map(|criteria| criteria.server.name.clone()).collect(),
    }
}
