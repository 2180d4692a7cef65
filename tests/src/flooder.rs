//! Somebody who sends as much as he likes, and does not listen.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use base::machine::{Deadline, Function, Input, OpenId, Output};
use base::time::Duration;
use base::{Bytes, Event as LogEvent, Flow, Instant, Service, Severity, Transport};
use engine::FunctionSpec;
use engine::sim::Simulation;
use sip::{HeaderName, Message};

use crate::network::DOMAIN;

/// The counter of its log lines: `STATUS, again after SECONDS`, and `closed`.
pub const HEARD: &str = "flooder.heard";

/// How long it rests between its bursts.
const PAUSE: Duration = Duration::from_millis(10);

/// What it is to do.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// Whom it floods.
    pub target: SocketAddr,
    /// Over UDP or TCP.
    pub transport: Transport,
    /// Messages a second.
    pub rate: u32,
    /// Addresses that it sends from, one after the other, from [`FIRST`] on.
    pub sources: u32,
}

/// The first of a flooder's addresses, of the network for benchmarks (RFC 2544).
pub const FIRST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

impl Flood {
    /// A host that does it.
    pub fn start(self, sim: &mut Simulation) {
        sim.host_with("flooder", self.addresses(), move |_| Flooder::spec(self).into());
    }

    fn addresses(self) -> Vec<IpAddr> {
        let first = FIRST.to_bits();
        (first..first + self.sources).map(|bits| Ipv4Addr::from_bits(bits).into()).collect()
    }
}

/// A flooder. It rotates through REGISTER, INVITE, OPTIONS, MESSAGE, SUBSCRIBE and what is no message.
#[derive(Debug)]
pub struct Flooder {
    flood: Flood,
    flows: Vec<Flow>,
    next: Option<Instant>,
    sent: u64,
    outputs: VecDeque<Output>,
}

impl Flooder {
    fn spec(flood: Flood) -> FunctionSpec {
        let (flows, next, sent, outputs) = (Vec::new(), None, 0, VecDeque::new());
        let function = Box::new(Flooder { flood, flows, next, sent, outputs });
        let name = "flooder".to_owned();
        FunctionSpec { name, hosts: Vec::new(), function, listeners: Vec::new(), tables: &[] }
    }

    fn message(&mut self) -> Bytes {
        self.sent += 1;
        let (n, address) = (self.sent, FIRST);
        let methods = ["REGISTER", "INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE"];
        let udp = self.flood.transport == Transport::Udp;
        let Some(method) = methods.get(n as usize % if udp { 6 } else { 5 }) else {
            return Bytes::from(format!("garbage {n}\r\n\r\n"));
        };
        let via = if udp { "UDP" } else { "TCP" };
        Bytes::from(format!(
            "{method} sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{via} {address}:5060;rport;branch=z9hG4bK{n}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:x{n}@{DOMAIN}>;tag={n}\r\nTo: <sip:x{n}@{DOMAIN}>\r\n\
             Call-ID: {n}@{address}\r\nCSeq: 1 {method}\r\nContact: <sip:x{n}@{address}>\r\n\
             Content-Length: 0\r\n\r\n"
        ))
    }

    fn heard(&mut self, text: String) {
        self.outputs.push_back(Output::Log(LogEvent::new(Severity::Info, HEARD, text)));
    }
}

impl Function for Flooder {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Start => {
                for (number, address) in self.flood.addresses().into_iter().enumerate() {
                    self.outputs.push_back(Output::Open {
                        open: OpenId(number as u64),
                        service: Service::Sip,
                        transport: self.flood.transport,
                        remote: Some(self.flood.target.into()),
                        local: Some((address, 5060).into()),
                        name: None,
                    });
                }
            }
            Input::Opened { flow, .. } => {
                self.flows.push(flow);
                self.next = Some(now);
            }
            Input::Received { message, .. } if self.flood.transport != Transport::Udp => {
                let Ok(response) = Message::parse(message) else { return };
                let again = response.get(HeaderName::RetryAfter).unwrap_or("never");
                self.heard(format!("{}, again after {again}", response.status()));
            }
            Input::Closed { .. } if self.flood.transport != Transport::Udp => {
                (self.flows, self.next) = (Vec::new(), None);
                self.heard("closed".to_owned());
            }
            Input::Timeout if self.next.is_some_and(|next| next <= now) => {
                for _ in 0..self.flood.rate / 100 {
                    let message = self.message();
                    let flow = self.flows[self.sent as usize % self.flows.len()];
                    self.outputs.push_back(Output::Transmit { flow, message });
                }
                self.next = Some(now + PAUSE);
            }
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Deadline> {
        self.next.map(|at| Deadline { at, reason: "the next burst" })
    }
}
