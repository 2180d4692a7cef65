//! Toy functions that ping and pong with numbers, four bytes of length in front.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::VecDeque;
use std::net::SocketAddr;

use base::machine::{Name, OpenId, QueryId, Report};
use base::store::{Change, CommitId, Durability, Table};
use base::time::Duration;
use base::{Bytes, Deadline, Endpoint, Flow, Function, Input, Instant, Output, Service, Transport};
use engine::shard::{FunctionSpec, Listener};

/// Counts what it was pinged, in the store.
pub const COUNT: Table = Table("toy.count");

pub fn message(number: u32) -> Bytes {
    let mut bytes = 4u32.to_be_bytes().to_vec();
    bytes.extend(number.to_be_bytes());
    bytes.into()
}

pub fn number(message: &[u8]) -> u32 {
    u32::from_be_bytes(message[4..8].try_into().unwrap())
}

/// Reported by a caller once all of its pings were answered, and on failures.
#[derive(Debug, PartialEq, Clone)]
pub enum Said {
    Done(u32),
    Failed(base::FlowError),
    Closed(base::FlowError),
}

/// Sends pings 1 to `last`, each again every 200 ms until it is answered.
pub struct Caller {
    pub to: String,
    pub transport: Transport,
    pub last: u32,
    pub local: Option<SocketAddr>,
    pub name: Option<String>,
    sent: u32,
    flow: Option<Flow>,
    again: Option<Instant>,
    out: VecDeque<Output>,
}

impl Caller {
    pub fn new(to: &str, transport: Transport, last: u32) -> Caller {
        let (to, out) = (to.to_owned(), VecDeque::new());
        let (local, name) = (None, None);
        Caller { to, transport, last, local, name, sent: 0, flow: None, again: None, out }
    }

    fn say(&mut self, said: Said) {
        self.out.push_back(Output::Report(Report(Box::new(said))));
    }

    fn ping(&mut self, now: Instant) {
        if let Some(flow) = self.flow {
            self.out.push_back(Output::Transmit { flow, message: message(self.sent) });
            if !self.transport.is_reliable() {
                self.again = Some(now + Duration::from_millis(200));
            }
        }
    }

    fn resolve(&mut self) {
        let name = match self.to.parse::<SocketAddr>() {
            Ok(addr) => Name {
                service: Service::Sip,
                host: addr.ip().to_string(),
                port: Some(addr.port()),
                transport: Some(self.transport),
            },
            Err(_) => Name {
                service: Service::Sip,
                host: self.to.clone(),
                port: None,
                transport: Some(self.transport),
            },
        };
        self.out.push_back(Output::Resolve { query: QueryId(1), name });
    }
}

impl Function for Caller {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start => self.resolve(),
            Input::Resolved { targets, .. } => match targets.first() {
                Some(target) => self.out.push_back(Output::Open {
                    open: OpenId(1),
                    service: Service::Sip,
                    transport: target.transport,
                    remote: Some(target.endpoint),
                    local: self.local,
                    name: self.name.clone(),
                }),
                None => self.say(Said::Failed(base::FlowError::Unreachable)),
            },
            Input::Opened { flow, .. } => {
                self.flow = Some(flow);
                self.sent = 1;
                self.ping(now);
            }
            Input::OpenFailed { error, .. } => self.say(Said::Failed(error)),
            Input::Closed { error, .. } => self.say(Said::Closed(error)),
            Input::Received { message, .. } if number(&message) == self.sent => {
                self.again = None;
                if self.sent == self.last {
                    self.say(Said::Done(self.last));
                } else {
                    self.sent += 1;
                    self.ping(now);
                }
            }
            Input::Timeout => {
                self.again = None;
                self.ping(now);
            }
            Input::Order(_) => self.resolve(),
            _ => {}
        }
    }
    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
    fn deadline(&self) -> Option<Deadline> {
        self.again.map(|at| Deadline { at, reason: "ping again" })
    }
}

/// Answers each ping once its number is durable; reports what it was restored with.
#[derive(Default)]
pub struct Echo {
    pub durable: bool,
    highest: u32,
    waiting: Vec<(CommitId, Flow, Bytes)>,
    next: u64,
    out: VecDeque<Output>,
}

impl Echo {
    pub fn new(durable: bool) -> Echo {
        Echo { durable, ..Echo::default() }
    }
}

impl Function for Echo {
    fn handle(&mut self, _: Instant, input: Input) {
        match input {
            Input::Restored { value, .. } => {
                self.highest = u32::from_be_bytes(value[..].try_into().unwrap());
            }
            Input::Start => {
                let restored = Report(Box::new(self.highest));
                self.out.push_back(Output::Report(restored));
            }
            Input::Received { flow, message } if self.durable => {
                self.highest = self.highest.max(number(&message));
                self.next += 1;
                let commit = CommitId(self.next);
                let value = Bytes::copy_from_slice(&self.highest.to_be_bytes());
                let put = Change::Put { table: COUNT, key: Bytes::from_static(b"n"), value };
                self.waiting.push((commit, flow, message));
                self.out.push_back(Output::Store {
                    durability: Durability::Before,
                    changes: vec![put],
                    commit: Some(commit),
                });
            }
            Input::Received { flow, message } => {
                self.out.push_back(Output::Transmit { flow, message });
            }
            Input::Committed { commit, result } => {
                let at = self.waiting.iter().position(|w| w.0 == commit).unwrap();
                let (_, flow, message) = self.waiting.remove(at);
                if result.is_ok() {
                    self.out.push_back(Output::Transmit { flow, message });
                }
            }
            _ => {}
        }
    }
    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
    fn deadline(&self) -> Option<Deadline> {
        None
    }
}

pub fn spec(name: &str, function: impl Function + 'static, listeners: &[&str]) -> FunctionSpec {
    let listeners = listeners.iter().flat_map(|addr| {
        [Transport::Udp, Transport::Tcp].map(|transport| Listener {
            service: Service::Sip,
            transport,
            addr: addr.parse().unwrap(),
        })
    });
    FunctionSpec {
        name: name.into(),
        hosts: vec![format!("{name}.test")],
        function: Box::new(function),
        listeners: listeners.collect(),
        tables: &[COUNT],
    }
}

pub fn said(report: &Report) -> Option<&Said> {
    report.0.downcast_ref()
}

pub fn wire(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Wire(_))
}
