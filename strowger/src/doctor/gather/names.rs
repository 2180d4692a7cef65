//! Looks names up exactly as the running process would: with the engine's own loop.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use base::machine::{Name, QueryId, Target};
use base::{Deadline, Endpoint, Event, Function, Input, Output, Report};
use engine::net::DnsConfig;
use engine::shard::Console;
use engine::{FunctionId, FunctionSpec, Live, LiveConfig};

use crate::assembly;
use crate::doctor::facts::{Lookup, Names, Who};
use crate::plan::Plan;

/// How long all lookups may take together.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a name server may take, with one repetition.
const SERVER: Duration = Duration::from_millis(1000);

/// Looks these names up; the servers are asked only if one is not found.
pub(super) fn look_up(
    wanted: Vec<(Who, Name)>,
    plan: &Plan,
    progress: &(dyn Fn(&str) + Sync),
) -> Names {
    if wanted.is_empty() {
        return Names::default();
    }
    let literal = |name: &&Name| sip::uri::literal(&name.host).is_some();
    let hosts = wanted.iter().map(|(_, name)| name).filter(|name| !literal(name));
    let hosts: Vec<&str> = hosts.map(|name| name.host.as_str()).collect();
    if !hosts.is_empty() {
        progress(&format!("looks up {}", hosts.join(", ")));
    }
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let configured = !DnsConfig::parse(&read("/etc/resolv.conf"), "").servers.is_empty();
    let mut found = resolve(wanted.iter().map(|(_, name)| name.clone()).collect(), plan);
    let lookups = wanted.into_iter().enumerate().map(|(number, (who, name))| {
        let targets = found.remove(&(number as u64)).unwrap_or_default();
        let ip = |target: &Target| match target.endpoint {
            Endpoint::Ip(addr) => Some((target.transport, addr)),
            Endpoint::Wire(_) => None,
        };
        Lookup { who, host: name.host, targets: targets.iter().filter_map(ip).collect() }
    });
    let lookups: Vec<Lookup> = lookups.collect();
    // Whose fault it is, if there is one.
    let missing = lookups.iter().find(|lookup| lookup.targets.is_empty());
    let servers = missing.map(|lookup| servers(&lookup.host)).unwrap_or_default();
    Names { lookups, configured, servers }
}

type Found = BTreeMap<u64, Vec<Target>>;

fn resolve(names: Vec<Name>, plan: &Plan) -> Found {
    let mut found = Found::new();
    let count = names.len();
    let Ok(mut live) = Live::new(LiveConfig::default()) else { return found };
    for (name, service, places) in assembly::topology(plan) {
        live.topology(&name, service, places);
    }
    let spec = FunctionSpec {
        name: "doctor".to_owned(),
        hosts: Vec::new(),
        function: Box::new(Asker { names, outputs: VecDeque::new() }),
        listeners: Vec::new(),
        tables: &[],
    };
    if live.add(spec).is_err() {
        return found;
    }
    let handle = live.handle();
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        scope.spawn(move || live.run((), Post(sender)));
        let end = Instant::now() + PATIENCE;
        while found.len() < count {
            let left = end.saturating_duration_since(Instant::now());
            let Ok((number, targets)) = receiver.recv_timeout(left) else { break };
            found.insert(number, targets);
        }
        let _ = handle.stop();
    });
    found
}

/// A function that asks for names and reports the answers.
struct Asker {
    names: Vec<Name>,
    outputs: VecDeque<Output>,
}

impl Function for Asker {
    fn handle(&mut self, _: base::Instant, input: Input) {
        match input {
            Input::Start => {
                for (number, name) in self.names.drain(..).enumerate() {
                    let query = QueryId(number as u64);
                    self.outputs.push_back(Output::Resolve { query, name });
                }
            }
            Input::Resolved { query, targets } => {
                let report = Report(Box::new((query.0, targets)));
                self.outputs.push_back(Output::Report(report));
            }
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Deadline> {
        None
    }
}

/// Hands the answers over.
struct Post(Sender<(u64, Vec<Target>)>);

impl Console for Post {
    fn log(&mut self, _: base::Instant, _: &str, _: Event) {}

    fn report(&mut self, _: base::Instant, _: FunctionId, _: &str, report: Report) {
        if let Ok(answer) = report.0.downcast::<(u64, Vec<Target>)>() {
            let _ = self.0.send(*answer);
        }
    }
}

/// Which of the configured servers answer at all.
fn servers(host: &str) -> Vec<(SocketAddr, bool)> {
    let question = question(host);
    let servers = DnsConfig::system().servers;
    std::thread::scope(|scope| {
        let ask = |server: SocketAddr| {
            let question = &question;
            scope.spawn(move || (server, answers(server, question)))
        };
        let asked: Vec<_> = servers.iter().copied().map(ask).collect();
        asked.into_iter().filter_map(|asked| asked.join().ok()).collect()
    })
}

/// A question for the address of a host, RFC 1035 §4.1.
fn question(host: &str) -> Vec<u8> {
    // Identification, recursion desired, one question.
    let mut bytes = vec![0x57, 0x52, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.split('.').filter(|label| (1..=63).contains(&label.len())) {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    // The root, type A, class IN.
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    bytes
}

fn answers(server: SocketAddr, question: &[u8]) -> bool {
    let any = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let any: std::net::IpAddr = any;
    let asked = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(SERVER))?;
        let mut answer = [0; 512];
        for _ in 0..2 {
            socket.send(question)?;
            if matches!(socket.recv(&mut answer), Ok(length) if length >= 12 && answer[..2] == question[..2])
            {
                return Ok(true);
            }
        }
        std::io::Result::Ok(false)
    };
    asked().unwrap_or(false)
}
