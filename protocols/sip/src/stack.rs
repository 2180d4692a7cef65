//! The SIP stack of one function: transport (RFC 3261 §18), targets (RFC 3263) and transactions (§17).
//!
//! A function hands in what happens on its SIP flows and takes [`Event`]s for its own logic, the
//! transaction user, and [`Output`]s for the engine. Proxies and user agents use it alike.

mod client;
mod failed;
mod overload;
mod receive;
mod respond;
mod route;
mod server;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use base::flow::Service;
use base::machine::{Name, OpenId, QueryId};
use base::slots::{Slot, Slots};
use base::time::Duration;
use base::timer::{Delays, Timers};
use base::{Bytes, Deadline, Endpoint, Event as LogEvent, Flow, Instant, Output, Random, Severity};
use foldhash::quality::FixedState;

use crate::header::HeaderName;
use crate::message::Message;
use crate::transaction::{Timer, TimerValues};
use client::Client;
use failed::Failed;
use overload::Overload;
pub use route::name_of;
use route::{Opening, PeerName};
use server::{Keys, Server, ServerKey};
use waiting::Waiting;

/// Largest request that is sent over UDP to a resolved target: RFC 3261 §18.1.1 with the usual MTU
/// of 1500 bytes unknown.
const UDP_LIMIT: usize = 1300;

/// How a stack is set up.
#[derive(Clone, Debug)]
pub struct StackConfig {
    /// The sent-by of our Via, `host` or `host:port`; `None` is the local address of the flow.
    pub sent_by: Option<String>,
    /// The local address stands in our Via instead of that on flows that have one.
    pub by_address: bool,
    /// The values that timers derive from.
    pub timers: TimerValues,
    /// Added to every [`QueryId`] and [`OpenId`] of this stack, so that a function that runs several
    /// stacks can tell whose an answer is. Only the top byte may be set.
    pub id_base: u64,
    /// Requests at most that are not answered for good; beyond it new ones get a 503 (§21.5.4).
    pub max_transactions: usize,
    /// Finished transactions at most; beyond it the oldest are forgotten before their time.
    pub max_finished: usize,
    /// What still passes then.
    pub urgent: Option<Urgent>,
    /// Whether we say that we send less when a server wants that, RFC 7339.
    pub overload_control: bool,
    /// The Server text of a user agent's responses; a proxy leaves it empty.
    pub product: String,
}

impl Default for StackConfig {
    fn default() -> StackConfig {
        StackConfig {
            sent_by: None,
            by_address: false,
            timers: TimerValues::RFC3261,
            id_base: 0,
            max_transactions: 200_000,
            max_finished: 2_000_000,
            urgent: None,
            overload_control: true,
            product: String::new(),
        }
    }
}

/// Requests that are taken where others get a 503, from a reserve of their own.
#[derive(Clone)]
pub struct Urgent {
    /// How many transactions there may be beyond [`StackConfig::max_transactions`].
    pub reserve: usize,
    /// Which requests may use them.
    pub is: Arc<dyn Fn(&Message) -> bool + Send + Sync>,
}

impl fmt::Debug for Urgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Urgent({})", self.reserve)
    }
}

/// A client transaction: a request that we sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub(crate) Slot);

/// A server transaction: a request that we have to answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerId(pub(crate) Slot);

impl ServerId {
    /// As a number that may travel in a token.
    pub const fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// From a number that came from outside; it may name nothing.
    pub const fn from_bits(bits: u64) -> ServerId {
        ServerId(Slot::from_bits(bits))
    }
}

/// Where a request goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hop {
    /// On this flow and no other: a registered contact's.
    Flow(Flow),
    /// To the targets of this name in their order, RFC 3263.
    Name(Name),
}

/// Why a request got no response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// Timer B or F: to be treated as a 408 (RFC 3261 §8.1.3.1).
    TimedOut,
    /// No target could be reached: to be treated as a 503.
    Unreachable,
    /// The targets have too much to do, RFC 7339 §5.5: to be treated as a 503.
    LeftOut,
}

impl Failure {
    /// The status that the failure counts as.
    pub const fn status(self) -> u16 {
        match self {
            Failure::TimedOut => 408,
            Failure::Unreachable | Failure::LeftOut => 503,
        }
    }
}

/// What is done with a message that a function looked at before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It is taken.
    Taken,
    /// Nobody hears of it.
    Dropped,
    /// A request gets a 503 with Retry-After that nothing is kept of; all else is dropped.
    Refused,
}

/// What the transaction user hears.
#[derive(Debug)]
pub enum Event {
    /// A new request, other than ACK and CANCEL. It has to be answered by [`Stack::respond`].
    Request {
        /// Its transaction.
        server: ServerId,
        /// The request, received and rport noted in its Via.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// An ACK for a 2xx: it has no transaction and no answer.
    Ack {
        /// The ACK.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// The INVITE is cancelled. The CANCEL itself has been answered; the INVITE still has to be.
    Cancel {
        /// The INVITE's transaction.
        server: ServerId,
        /// The CANCEL, for its Reason.
        request: Message,
    },
    /// A response, our own Via already taken off. A 2xx to INVITE may come several times.
    Response {
        /// The request's transaction.
        client: ClientId,
        /// The response.
        response: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// The request will get no (more) response.
    Failed {
        /// The request's transaction.
        client: ClientId,
        /// Why.
        failure: Failure,
    },
    /// A connection ended; registrations and dialogs on it may care.
    FlowClosed {
        /// The flow.
        flow: Flow,
    },
}

/// A timer's owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum TimerKey {
    Client(Slot, Timer),
    Server(Slot, Timer),
}

/// A transaction whose last timer is all that it still has: Timer D, I, J, K, L or M.
#[derive(Clone, Copy, Debug)]
enum Over {
    Client(Slot),
    Server(Slot),
}

/// Transport and transactions of one function. See the module.
#[derive(Debug)]
pub struct Stack {
    config: StackConfig,
    random: Random,
    clients: Slots<Client>,
    servers: Slots<Server>,
    waiting: Waiting,
    /// The CANCEL of each INVITE that was cancelled.
    cancels: HashMap<Slot, Slot, FixedState>,
    keys: Keys,
    by_key: HashMap<ServerKey, Slot, FixedState>,
    timers: Timers<TimerKey>,
    finished: Delays<Over>,
    /// Those of them that are server transactions.
    answered: usize,
    /// Connections and wires by their far end, to be used again; over TLS also by who was asked for.
    connections: HashMap<(base::Transport, Endpoint, PeerName), Flow, FixedState>,
    opening: HashMap<OpenId, Opening, FixedState>,
    resolving: HashMap<QueryId, Slot, FixedState>,
    failed: Failed,
    next_id: u64,
    overload: Overload,
    events: VecDeque<Event>,
    outputs: VecDeque<Output>,
}

impl Stack {
    /// A stack without transactions.
    pub fn new(config: StackConfig, mut random: Random) -> Stack {
        let seed = random.u64();
        let hasher = || FixedState::with_seed(seed);
        Stack {
            next_id: config.id_base,
            config,
            clients: Slots::default(),
            servers: Slots::default(),
            waiting: Waiting::default(),
            cancels: HashMap::with_hasher(hasher()),
            keys: Keys::new(&mut random),
            random,
            by_key: HashMap::with_hasher(hasher()),
            timers: Timers::default(),
            finished: Delays::default(),
            answered: 0,
            connections: HashMap::with_hasher(hasher()),
            opening: HashMap::with_hasher(hasher()),
            resolving: HashMap::with_hasher(hasher()),
            failed: Failed::default(),
            overload: Overload::new(hasher()),
            events: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// What passes from now on where there is no room for others.
    pub fn set_urgent(&mut self, urgent: Option<Urgent>) {
        self.config.urgent = urgent;
    }

    /// Where to send a request with this Route or Request-URI; `None` if it is no `sip:` URI.
    pub fn hop(uri: &str) -> Option<Hop> {
        name_of(uri).map(Hop::Name)
    }

    /// Whether an [`OpenId`] or [`QueryId`] is one of this stack's.
    pub fn owns(&self, id: u64) -> bool {
        id >> 56 == self.config.id_base >> 56
    }

    /// The next event for the transaction user.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next output for the engine. After the last one the deadline is read: timers that nobody waits
    /// for any more are gone by then, so that they do not wake the loop.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front();
        if output.is_none() {
            while self
                .timers
                .peek()
                .is_some_and(|(at, key)| !is_armed(&self.clients, &self.servers, at, *key))
            {
                self.timers.pop();
            }
            // Of those further on no more are kept than a few for each transaction that is not over.
            let running = self.clients.len() + self.servers.len() - self.finished.len();
            let (clients, servers) = (&self.clients, &self.servers);
            self.timers.tidy(2 * running, |at, key| is_armed(clients, servers, at, *key));
        }
        output
    }

    /// When a timer is due.
    pub fn deadline(&self) -> Option<Deadline> {
        let running = self.timers.peek().map(|(at, key)| {
            let (TimerKey::Client(_, timer) | TimerKey::Server(_, timer)) = key;
            Deadline { at, reason: timer.as_str() }
        });
        let finished = self.finished.next();
        let finished = finished.map(|at| Deadline { at, reason: "sip finished transactions" });
        Deadline::earliest(running, finished)
    }

    /// Fires what is due.
    pub fn timeout(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.due(now) {
            match key {
                TimerKey::Client(slot, timer) => self.client_timer(now, at, slot, timer),
                TimerKey::Server(slot, timer) => self.server_timer(now, at, slot, timer),
            }
        }
        while let Some((_, over)) = self.finished.due(now) {
            self.forget(over);
        }
    }

    /// A finished transaction is over; the oldest one, too, if they are too many.
    fn forget(&mut self, over: Over) {
        match over {
            Over::Client(slot) => drop(self.remove_client(slot)),
            Over::Server(slot) => {
                self.answered -= 1;
                self.remove_server(slot);
            }
        }
    }

    /// It waits for nothing but its last timer.
    fn finish(&mut self, now: Instant, delay: Duration, over: Over) {
        self.answered += usize::from(matches!(over, Over::Server(_)));
        self.finished.after(now, delay, over);
        if self.finished.len() > self.config.max_finished
            && let Some((_, oldest)) = self.finished.pop()
        {
            self.forget(oldest);
        }
    }

    /// Requests that are not answered for good yet.
    fn unanswered(&self) -> usize {
        self.servers.len() - self.answered
    }

    /// Transactions that are not over: client and server.
    pub fn transactions(&self) -> (usize, usize) {
        (self.clients.len(), self.servers.len())
    }

    /// Sends a message outside all transactions: the ACK for a 2xx, whose Via this adds.
    pub fn send_ack(&mut self, now: Instant, message: Message, hop: Hop) {
        let slot = self.clients.insert(Client::ack(message));
        self.send(now, slot, hop);
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn log(&mut self, severity: Severity, counter: &'static str, text: String) {
        self.outputs.push_back(Output::Log(LogEvent::new(severity, counter, text)));
    }

    /// Tells the log of a request.
    fn log_of(
        &mut self,
        request: &Message,
        severity: Severity,
        counter: &'static str,
        text: String,
    ) {
        let event = LogEvent::new(severity, counter, text);
        let call_id = request.get(HeaderName::CallId);
        self.outputs.push_back(Output::Log(call_id.into_iter().fold(event, LogEvent::call_id)));
    }

    fn transmit(&mut self, flow: Flow, message: Bytes) {
        self.outputs.push_back(Output::Transmit { flow, message });
    }

    /// Remembers a connection for the requests that follow: those to its far end's address, and, over
    /// TLS, to the name that it was opened for.
    fn remember(&mut self, flow: Flow, name: PeerName) {
        if flow.transport.is_reliable() && flow.service == Service::Sip {
            if name.is_some() {
                self.connections.insert((flow.transport, flow.remote, name), flow);
            }
            self.connections.insert((flow.transport, flow.remote, None), flow);
        }
    }

    /// Ends a connection.
    pub fn close(&mut self, now: Instant, flow: Flow) {
        self.outputs.push_back(Output::Close { flow });
        self.closed(now, flow);
    }

    /// A connection or wire ended, or a UDP destination is unreachable.
    pub fn closed(&mut self, now: Instant, flow: Flow) {
        if flow.transport == base::Transport::Tls {
            self.connections.retain(|_, known| known.id != flow.id);
        } else {
            let key = (flow.transport, flow.remote, None);
            if self.connections.get(&key).is_some_and(|known| known.id == flow.id) {
                self.connections.remove(&key);
            }
        }
        for client in self.waiting.on(&flow) {
            self.target_failed(now, client);
        }
        self.events.push_back(Event::FlowClosed { flow });
    }
}

/// Whether a transaction waits for a timer at this time.
fn is_armed(clients: &Slots<Client>, servers: &Slots<Server>, at: Instant, key: TimerKey) -> bool {
    let (armed, timer) = match key {
        TimerKey::Client(slot, timer) => (clients.get(slot).map(Client::armed), timer),
        TimerKey::Server(slot, timer) => (servers.get(slot).map(Server::armed), timer),
    };
    armed.is_some_and(|armed| armed.contains(&Some((timer, at))))
}

/// The text of a transport in Via. A wire is TCP to SIP.
fn via_transport(transport: base::Transport) -> &'static str {
    match transport {
        base::Transport::Udp => "UDP",
        base::Transport::Tcp | base::Transport::Wire => "TCP",
        base::Transport::Tls => "TLS",
    }
}

/// One of a transaction's two timer slots: which timer, and when.
type Armed = Option<(Timer, Instant)>;

/// Applies an [`Arm`](crate::transaction::Arm) to a slot; what has to be armed is returned.
fn arm(slot: &mut Armed, change: crate::transaction::Arm, now: Instant) -> Armed {
    use crate::transaction::Arm;
    match change {
        Arm::Keep => None,
        Arm::Stop => {
            *slot = None;
            None
        }
        Arm::After(timer, after) => {
            let at = now + after;
            *slot = Some((timer, at));
            *slot
        }
    }
}
