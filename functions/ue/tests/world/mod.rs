//! Phones and a scripted server on a network in virtual time.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses its part")]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;

use base::flow::{Endpoint, FlowId, Service};
use base::machine::Target;
use base::redact::Secret;
use base::time::Duration;
use base::{Bytes, Flow, FlowError, Function, Input, Instant, Order, Output, Random, Transport};
use sip::{HeaderName, Message, Method};
use ue::{By, CallId, Credential, Ue, UeConfig, UeOrder, UeReport, What};

/// The server's address.
pub const SERVER: &str = "10.0.0.9:5060";

/// A description of the server's.
pub const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n\
                     m=audio 4000 RTP/AVP 8 0\r\n";

pub type Script = Box<dyn FnMut(&Message, Instant) -> Vec<Message>>;
pub type Loss = Box<dyn FnMut(&str, usize) -> bool>;

pub struct World {
    pub now: Instant,
    pub phones: Vec<Ue>,
    pub reports: Vec<Vec<UeReport>>,
    /// Start lines of SIP messages, with the sender's number.
    pub sent: Vec<(usize, String)>,
    pub messages: Vec<Bytes>,
    pub logs: Vec<String>,
    pub script: Script,
    /// Whether a message (SIP: its start line; media: "RTP") of a phone is lost.
    pub lose: Loss,
    queue: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    inputs: BTreeMap<u64, (SocketAddr, SocketAddr, Bytes)>,
    sockets: BTreeMap<SocketAddr, (usize, Flow)>,
    next: u64,
    pub latency: Duration,
    /// Names that were asked for.
    pub asked: Vec<String>,
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A phone's configuration; number 0 is Alice at 10.0.0.1.
pub fn config(number: usize) -> UeConfig {
    let name = ["alice", "bob", "carol"][number];
    let credential = Credential::Password(Secret::new("secret".to_owned()));
    let mut config = UeConfig::new(name, &format!("sip:{name}@ims.test"), credential, "ims.test");
    config.contact = format!("10.0.0.{}:5060", number + 1);
    config.media.address = [10, 0, 0, number as u8 + 1].into();
    config
}

impl World {
    pub fn new(configs: Vec<UeConfig>) -> World {
        let phones: Vec<Ue> = configs
            .into_iter()
            .enumerate()
            .map(|(n, c)| Ue::new(c, Random::from_u64(n as u64 + 1)))
            .collect();
        let mut world = World {
            now: Instant::from_unix_micros(1_800_000_000_000_000),
            reports: phones.iter().map(|_| Vec::new()).collect(),
            phones,
            sent: Vec::new(),
            messages: Vec::new(),
            logs: Vec::new(),
            script: Box::new(|_, _| Vec::new()),
            lose: Box::new(|_, _| false),
            queue: BinaryHeap::new(),
            inputs: BTreeMap::new(),
            sockets: BTreeMap::new(),
            next: 0,
            latency: Duration::from_millis(5),
            asked: Vec::new(),
        };
        for n in 0..world.phones.len() {
            let local = addr(&format!("10.0.0.{}:5060", n + 1));
            let flow = flow(n as u64 + 1, Service::Sip, local, local);
            world.sockets.insert(local, (n, flow));
        }
        world
    }

    pub fn order(&mut self, phone: usize, order: UeOrder) {
        self.input(phone, Input::Order(Order(Box::new(order))));
    }

    pub fn input(&mut self, phone: usize, input: Input) {
        self.phones[phone].handle(self.now, input);
        self.drain(phone);
    }

    /// A datagram from the server to a phone's SIP port.
    pub fn serve(&mut self, phone: usize, message: Bytes) {
        let to = addr(&format!("10.0.0.{}:5060", phone + 1));
        self.post(addr(SERVER), to, message);
    }

    fn post(&mut self, from: SocketAddr, to: SocketAddr, message: Bytes) {
        self.next += 1;
        self.inputs.insert(self.next, (from, to, message));
        self.queue.push(Reverse((self.now + self.latency, self.next, 0)));
    }

    fn drain(&mut self, phone: usize) {
        while let Some(output) = self.phones[phone].poll() {
            match output {
                Output::Transmit { flow, message } => self.transmit(phone, flow, message),
                Output::Open { open, service: Service::Rtp, local, .. } => {
                    let local = local.unwrap();
                    let free = |p: u16| !self.sockets.contains_key(&(local.ip(), p).into());
                    let port = match local.port() {
                        0 => (20_001..).find(|p| free(*p)).unwrap(),
                        port if free(port) => port,
                        _ => {
                            let error = FlowError::NoPort;
                            self.input(phone, Input::OpenFailed { open, error });
                            continue;
                        }
                    };
                    self.next += 1;
                    let local = (local.ip(), port).into();
                    let flow = flow(self.next + 1000, Service::Rtp, local, local);
                    self.sockets.insert(local, (phone, flow));
                    self.input(phone, Input::Opened { open, flow });
                }
                Output::Open { open, transport: Transport::Udp, remote, .. } => {
                    let local = addr(&format!("10.0.0.{}:5060", phone + 1));
                    let remote = remote.unwrap().socket_addr().unwrap();
                    let flow = flow(phone as u64 + 1, Service::Sip, local, remote);
                    self.input(phone, Input::Opened { open, flow });
                }
                Output::Open { open, .. } => {
                    let error = FlowError::Refused;
                    self.input(phone, Input::OpenFailed { open, error });
                }
                Output::Resolve { query, name } => {
                    self.asked.push(name.host.clone());
                    let ip = name.host.parse().unwrap_or(addr(SERVER).ip());
                    let endpoint = Endpoint::Ip((ip, name.port.unwrap_or(5060)).into());
                    let targets = vec![Target { transport: Transport::Udp, endpoint }];
                    self.input(phone, Input::Resolved { query, targets });
                }
                Output::Close { flow } => {
                    self.sockets.remove(&flow.local.socket_addr().unwrap()).expect("closed once");
                }
                Output::Report(report) => {
                    self.reports[phone].push(*report.0.downcast::<UeReport>().unwrap());
                }
                Output::Log(event) => self.logs.push(format!("{phone} {}", event.text)),
                other => panic!("{other:?}"),
            }
        }
    }

    fn transmit(&mut self, phone: usize, flow: Flow, message: Bytes) {
        let line = if flow.service == Service::Sip {
            let text = String::from_utf8_lossy(&message);
            let line = text.lines().next().unwrap_or("").to_owned();
            self.sent.push((phone, line.clone()));
            self.messages.push(message.clone());
            line
        } else {
            "RTP".to_owned()
        };
        if !(self.lose)(&line, phone) {
            let from = flow.local.socket_addr().unwrap();
            self.post(from, flow.remote.socket_addr().unwrap(), message);
        }
    }

    fn deliver(&mut self, id: u64) {
        let Some((from, to, message)) = self.inputs.remove(&id) else { return };
        if to == addr(SERVER) {
            let Ok(message) = Message::parse(message) else { panic!("a phone sent no SIP") };
            for answer in (self.script)(&message, self.now) {
                let phone = usize::from(match from.ip() {
                    std::net::IpAddr::V4(ip) => ip.octets()[3] - 1,
                    std::net::IpAddr::V6(_) => 0,
                });
                self.serve(phone, answer.to_bytes());
            }
        } else if let Some((phone, flow)) = self.sockets.get(&to).copied() {
            let flow = flow.to(Endpoint::Ip(from));
            self.input(phone, Input::Received { flow, message });
        }
    }

    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut steps = 0u32;
        loop {
            let message = self.queue.peek().map(|Reverse((at, ..))| *at);
            let timer = self.phones.iter().filter_map(|p| p.deadline()).map(|d| d.at).min();
            let Some(next) = [message, timer].into_iter().flatten().min().filter(|t| *t <= end)
            else {
                break;
            };
            steps += 1;
            assert!(steps < 2_000_000, "the world does not come to rest");
            self.now = self.now.max(next);
            if message.is_some_and(|at| at <= next) {
                let Reverse((_, id, _)) = self.queue.pop().unwrap();
                self.deliver(id);
                continue;
            }
            for phone in 0..self.phones.len() {
                if self.phones[phone].deadline().is_some_and(|d| d.at <= self.now) {
                    self.input(phone, Input::Timeout);
                }
            }
        }
        self.now = end;
    }

    pub fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    // ---- what was told

    pub fn find<T>(&self, phone: usize, wanted: impl FnMut(&What) -> Option<T>) -> Option<T> {
        self.reports[phone].iter().map(|r| &r.what).find_map(wanted)
    }

    #[track_caller]
    pub fn told<T>(&self, phone: usize, wanted: impl FnMut(&What) -> Option<T>) -> T {
        match self.find(phone, wanted) {
            Some(found) => found,
            None => panic!(
                "not told; reports {:?}\nsent {:#?}\nlogs {:#?}",
                self.reports[phone]
                    .iter()
                    .map(|r| format!("{:.120}", format!("{:?}", r.what)))
                    .collect::<Vec<_>>(),
                self.sent,
                self.logs
            ),
        }
    }

    #[track_caller]
    pub fn ended(&self, phone: usize) -> (By, u16, String, Box<ue::MediaReport>) {
        self.told(phone, |w| match w {
            What::Ended { by, status, reason, media, .. } => {
                Some((*by, *status, reason.clone(), media.clone()))
            }
            _ => None,
        })
    }

    /// The last call that a phone knows of.
    #[track_caller]
    pub fn call(&self, phone: usize) -> CallId {
        let ids = self.reports[phone].iter().filter_map(|r| match &r.what {
            What::Calling { call, .. } | What::Incoming { call, .. } => Some(*call),
            _ => None,
        });
        ids.last().expect("a call")
    }

    /// Alice calls Bob without anybody between them.
    pub fn dial(&mut self) {
        let to = "sip:bob@10.0.0.2:5060".to_owned();
        self.order(0, UeOrder::Call { to, token: 7 });
    }

    pub fn methods(&self, phone: usize) -> Vec<String> {
        let of = self.sent.iter().filter(|(p, _)| *p == phone);
        of.map(|(_, l)| {
            let line = l.strip_prefix("SIP/2.0 ").unwrap_or(l);
            line.split(' ').next().unwrap_or("").to_owned()
        })
        .collect()
    }

    pub fn count(&self, phone: usize, start: &str) -> usize {
        self.sent.iter().filter(|(p, l)| *p == phone && l.starts_with(start)).count()
    }
}

pub fn flow(id: u64, service: Service, local: SocketAddr, remote: SocketAddr) -> Flow {
    let transport = Transport::Udp;
    Flow {
        id: FlowId(id),
        service,
        transport,
        local: local.into(),
        remote: remote.into(),
        proved: false,
    }
}

/// An answer of the server.
pub fn answer(request: &Message, status: u16) -> Message {
    let mut response = Message::answer(request, status);
    response.tag_to("srv");
    response
}

/// The 200 to a REGISTER.
pub fn registered(request: &Message, expires: u32) -> Message {
    let contact = request.get(HeaderName::Contact).unwrap();
    let bare = contact.split(";expires").next().unwrap();
    answer(request, 200)
        .with(HeaderName::Contact, format!("{bare};expires={expires}"))
        .with(HeaderName::ServiceRoute, "<sip:orig@scscf.ims.test;lr>")
        .with(HeaderName::PAssociatedUri, "<sip:+491@ims.test>, <tel:+491>")
}

pub fn is(request: &Message, method: Method) -> bool {
    request.method() == Some(&method)
}
