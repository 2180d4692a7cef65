//! The machine: what comes in, what goes out, and who is waited for.

use std::collections::{BTreeMap, VecDeque};

use base::census::{self, Census};
use base::machine::{Deadline, Function, Input, Output};
use base::store::CommitId;
use base::time::Duration;
use base::timer::Expiries;
use base::{Event as LogEvent, Flow, Instant, Random, Severity};
use sip::header::{HeaderName, NameAddr};
use sip::stack::Event;
use sip::{ClientId, Message, Method, ServerId, Stack, StackConfig};

use crate::config::IpSmGwConfig;
use crate::queue::Queues;
use crate::record;
use crate::submit::Accepting;

/// Between the first attempts to two recipients after a restart.
const STAGGER: Duration = Duration::from_millis(10);

/// An IP-SM-GW.
#[derive(Debug)]
pub struct IpSmGw {
    pub(crate) config: IpSmGwConfig,
    pub(crate) stack: Stack,
    pub(crate) queues: Queues,
    /// Recipients by when something is to be done for them.
    pub(crate) wake: Expiries<String>,
    /// Recipients for whom something is to be done now.
    pub(crate) ready: VecDeque<String>,
    /// Texts that are not durable yet.
    pub(crate) accepting: BTreeMap<CommitId, Accepting>,
    pub(crate) sent: BTreeMap<ClientId, Sent>,
    pub(crate) next_commit: u64,
    pub(crate) next_reference: u8,
    draining: bool,
    outputs: VecDeque<Output>,
}

/// A MESSAGE of ours that has no final response.
#[derive(Debug)]
pub(crate) enum Sent {
    /// A text.
    Text { recipient: String, call_id: String },
    /// An answer to what this user sent.
    Answer { to: String },
}

impl IpSmGw {
    /// A gateway without texts.
    pub fn new(config: IpSmGwConfig, mut random: Random) -> IpSmGw {
        let stack = StackConfig { sent_by: Some(config.sent_by()), ..StackConfig::default() };
        IpSmGw {
            stack: Stack::new(stack, random.fork()),
            config,
            queues: Queues::default(),
            wake: Expiries::default(),
            ready: VecDeque::new(),
            accepting: BTreeMap::new(),
            sent: BTreeMap::new(),
            next_commit: 0,
            next_reference: 0,
            draining: false,
            outputs: VecDeque::new(),
        }
    }

    /// Takes over another configuration, which is also the order that a gateway takes. Name and port
    /// are to be those that it was built with.
    pub fn configure(&mut self, config: IpSmGwConfig) {
        self.config = config;
    }

    /// How many things are alive.
    pub fn census(&self) -> Census {
        let (client, server) = self.stack.transactions();
        Census(vec![
            ("client transactions", client),
            ("server transactions", server),
            ("texts", self.queues.total()),
            ("recipients", self.queues.recipients().count()),
            ("texts not durable yet", self.accepting.len()),
        ])
    }

    pub(crate) fn log(&mut self, severity: Severity, counter: &'static str, text: String) {
        self.output(Output::Log(LogEvent::new(severity, counter, text)));
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn restored(&mut self, key: &[u8], value: &[u8]) {
        match record::restore(key, value) {
            Some((recipient, order, text)) => self.queues.insert(recipient, order, text),
            None => {
                let text = format!("a stored text of {} bytes cannot be read", value.len());
                self.log(Severity::Error, "ipsmgw.unreadable_record", text);
            }
        }
    }

    /// What was restored is tried soon, not all at once.
    fn start(&mut self, now: Instant) {
        let recipients: Vec<String> = self.queues.recipients().cloned().collect();
        let mut at = now;
        for recipient in recipients {
            self.wake.set(at, recipient);
            at += STAGGER;
        }
    }

    fn request(&mut self, now: Instant, server: ServerId, mut request: Message, flow: Flow) {
        let status = match self.refusal(&request, &flow) {
            Some(status) => status,
            None => {
                let route = request.list(HeaderName::Route).next().and_then(NameAddr::parse);
                if route.is_some_and(|route| self.config.is_us(route.uri, &flow)) {
                    request.pop_element(HeaderName::Route);
                }
                match request.method() {
                    Some(Method::Message) => self.message(now, &request),
                    Some(Method::Register) => {
                        self.registered(&request);
                        200
                    }
                    _ => 200,
                }
            }
        };
        let mut response = self.stack.answer(&request, status);
        match status {
            405 => response.push(HeaderName::Allow, "MESSAGE, REGISTER, OPTIONS"),
            415 => response.push(HeaderName::Accept, sms::CONTENT_TYPE),
            _ => {}
        }
        self.stack.respond(now, server, response);
        if status >= 300 {
            let method = request.method().map_or("", Method::as_str);
            let text = format!("{method} from {}: {status}", flow.remote);
            self.log(Severity::Info, "ipsmgw.refused", text);
        }
    }

    fn refusal(&self, request: &Message, flow: &Flow) -> Option<u16> {
        match request.method() {
            Some(Method::Options) => return self.draining.then_some(503),
            Some(Method::Message | Method::Register) => {}
            _ => return Some(405),
        }
        if request.to_tag().is_some() {
            return Some(481);
        }
        // Whoever is believed may send texts in the name of any user.
        if !self.config.trust.includes(flow) {
            return Some(403);
        }
        None
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.stack.poll_event() {
                match event {
                    Event::Request { server, request, flow } => {
                        self.request(now, server, request, flow);
                    }
                    Event::Response { client, response, .. } if response.status() >= 200 => {
                        self.sent_is_over(now, client, response.status());
                    }
                    Event::Failed { client, failure } => {
                        self.sent_is_over(now, client, failure.status());
                    }
                    Event::Response { .. }
                    | Event::Ack { .. }
                    | Event::Cancel { .. }
                    | Event::FlowClosed { .. } => {}
                }
            } else if let Some(recipient) = self.ready.pop_front() {
                self.attend(now, &recipient);
            } else {
                return;
            }
        }
    }
}

impl Function for IpSmGw {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Restored { key, value, .. } => self.restored(&key, &value),
            Input::Start => self.start(now),
            Input::Received { flow, message } => self.stack.received(now, flow, message),
            Input::Opened { open, flow } => self.stack.opened(now, open, flow),
            Input::OpenFailed { open, .. } => self.stack.open_failed(now, open),
            Input::Closed { flow, .. } => self.stack.closed(now, flow),
            Input::Resolved { query, targets } => self.stack.resolved(now, query, targets),
            Input::Committed { commit, result } => self.committed(now, commit, result),
            Input::Overload { percent } => self.stack.overloaded(percent),
            Input::Timeout => {
                self.stack.timeout(now);
                while let Some(recipient) = self.wake.due(now) {
                    self.ready.push_back(recipient);
                }
            }
            Input::Order(order) if census::Ask::is(&order) => {
                let census = self.census();
                self.output(census.into());
            }
            Input::Order(order) => {
                if let Ok(config) = order.take() {
                    self.configure(config);
                }
            }
            Input::Drain => self.draining = true,
            _ => {}
        }
        self.settle(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.stack.poll_output().or_else(|| self.outputs.pop_front())
    }

    fn deadline(&self) -> Option<Deadline> {
        let wake = self.wake.next().map(|at| Deadline { at, reason: "text to deliver" });
        Deadline::earliest(self.stack.deadline(), wake)
    }

    fn is_busy(&self) -> bool {
        !self.accepting.is_empty() || !self.sent.is_empty()
    }
}
