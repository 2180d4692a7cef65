//! A Diameter node: all peers of one function, as one sans-I/O machine.
//!
//! The function hands in its inputs ([`Node::handle`] picks those that are the node's), then takes
//! [`poll_event`](Node::poll_event) and [`poll_output`](Node::poll_output) until both are empty.
//! Every request ends in exactly one [`Event::Answer`] or [`Event::Failed`]; every
//! [`Event::Request`] should be given to [`Node::answer`] once.

mod config;
mod peering;
mod routing;
pub mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base::machine::{Deadline, Input, OpenId, Output, QueryId, Target};
use base::time::{Duration, Instant};
use base::timer::Timers;
use base::trust::Networks;
use base::{Flow, FlowError, FlowId, Random, Service, Severity};
use bytes::Bytes;

pub use config::{Application, NodeConfig, PeerConfig, RELAY};

use crate::avp::Writer;
use crate::message::Message;
use crate::peer::State;
use crate::watchdog::Watchdog;

/// Names a request of ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// A request to send. The node adds Session-Id, origin and destination.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The application id.
    pub application: u32,
    /// The command code.
    pub command: u32,
    /// Destination-Realm.
    pub realm: String,
    /// Destination-Host, if one must answer.
    pub host: Option<String>,
    /// Session-Id; `None` makes a new one, RFC 6733 §8.8.
    pub session: Option<String>,
    /// The other AVPs.
    pub avps: Writer,
}

/// Where the answer to somebody's request goes.
#[derive(Clone, Debug)]
pub struct AnswerHandle {
    pub(crate) flow: Flow,
    pub(crate) request: Message,
}

impl AnswerHandle {
    /// The flow that the request came by.
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// The request.
    pub fn request(&self) -> &Message {
        &self.request
    }
}

/// What a node tells its function.
#[derive(Debug)]
pub enum Event {
    /// A request to be answered.
    Request {
        /// Give this to [`Node::answer`].
        handle: AnswerHandle,
        /// The request.
        message: Message,
    },
    /// The answer to a request of ours; it may tell an error.
    Answer {
        /// The request.
        id: RequestId,
        /// The answer.
        message: Message,
    },
    /// No answer will come.
    Failed {
        /// The request.
        id: RequestId,
        /// Why.
        reason: Failure,
    },
    /// Capabilities are exchanged with a peer.
    PeerUp {
        /// Its DiameterIdentity.
        host: String,
        /// Its realm.
        realm: String,
    },
    /// A peer that was up is not any more.
    PeerDown {
        /// Its DiameterIdentity.
        host: String,
    },
}

/// Why a request got no answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Failure {
    /// No peer leads to that host or realm, or the last one was lost.
    #[error("no Diameter peer for the destination")]
    NoPeer,
    /// The time given to the request is over.
    #[error("no Diameter answer in time")]
    Timeout,
    /// Too many requests are waiting already.
    #[error("too many Diameter requests are waiting")]
    Overloaded,
}

/// All Diameter peers of one function.
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    random: Random,
    peers: BTreeMap<PeerId, Peer>,
    connections: BTreeMap<FlowId, Connection>,
    opens: BTreeMap<u64, PeerId>,
    queries: BTreeMap<u64, PeerId>,
    /// Requests of ours by id, and the hop-by-hop identifiers that they were sent under.
    pending: BTreeMap<RequestId, Pending>,
    by_hop: BTreeMap<u32, RequestId>,
    timers: Timers<RequestId>,
    /// Requests of others that wait for our answer.
    inbound: BTreeSet<(FlowId, u32)>,
    events: VecDeque<Event>,
    outputs: VecDeque<Output>,
    next_id: u64,
    next_request: u64,
    next_peer: u32,
    next_hop: u32,
    next_end: u32,
    session_high: u32,
    session_low: u32,
    draining: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct PeerId(u32);

/// One peer; the map's order is the configuration's.
#[derive(Debug)]
struct Peer {
    config: Option<PeerConfig>,
    host: String,
    realm: String,
    state: State,
    wins: bool,
    watchdog: Option<Watchdog>,
    /// The watchdog closed the last connection: the next must prove itself.
    proving: bool,
    /// The last attempt to connect failed, or the connection was lost.
    failed: bool,
    targets: VecDeque<Target>,
    attempt: Option<u64>,
    deadline: Option<Instant>,
    backoff: Duration,
    applications: Vec<u32>,
}

#[derive(Debug)]
struct Connection {
    flow: Flow,
    peer: Option<PeerId>,
    since: Instant,
    cer: Option<Message>,
    /// The applications of its CER or CEA: the peer's, once it is open on this connection.
    announced: Vec<u32>,
}

impl Connection {
    fn new(flow: Flow, since: Instant) -> Connection {
        Connection { flow, peer: None, since, cer: None, announced: Vec::new() }
    }
}

#[derive(Debug)]
struct Pending {
    message: Message,
    realm: String,
    host: Option<String>,
    deadline: Instant,
    sent: Option<(PeerId, FlowId, u32)>,
    tried: Vec<PeerId>,
    /// Whether the next transmission may be a second one: then the T-bit is set.
    again: bool,
}

/// How long a connection may take to identify itself, and a peer to say CEA or DPA.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that have not identified themselves, at most.
const MAX_STRANGERS: usize = 256;

impl Node {
    /// A node that does nothing before [`start`](Node::start).
    pub fn new(config: NodeConfig, mut random: Random) -> Node {
        let mut node = Node {
            peers: BTreeMap::new(),
            connections: BTreeMap::new(),
            opens: BTreeMap::new(),
            queries: BTreeMap::new(),
            pending: BTreeMap::new(),
            by_hop: BTreeMap::new(),
            timers: Timers::default(),
            inbound: BTreeSet::new(),
            events: VecDeque::new(),
            outputs: VecDeque::new(),
            next_id: 0,
            next_request: 0,
            next_peer: 0,
            next_hop: random.u32(),
            next_end: random.u32(),
            session_high: 0,
            session_low: random.u32(),
            draining: false,
            random,
            config,
        };
        for peer in node.config.peers.clone() {
            node.add_peer(peer.host.clone(), peer.realm.clone(), Some(peer));
        }
        node
    }

    /// What the node was told.
    pub fn config(&self) -> &NodeConfig {
        &self.config
    }

    /// Who may connect from now on. Connections that are open stay.
    pub fn trust(&mut self, trusted: Networks) {
        self.config.trusted = trusted;
    }

    /// Requests that wait for an answer: ours, and those of others.
    pub fn pending(&self) -> (usize, usize) {
        (self.pending.len(), self.inbound.len())
    }

    /// Connects to the configured peers.
    pub fn start(&mut self, now: Instant) {
        // RFC 6733 §3 and §8.8: what outlives a restart begins with the time.
        let seconds = now.unix_seconds() as u32;
        self.next_end = seconds << 20 | self.next_end & 0x000f_ffff;
        self.session_high = seconds;
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for peer in peers {
            self.step(now, peer, crate::peer::Event::Start);
        }
    }

    /// Whether an `OpenId` or `QueryId` was minted here.
    pub fn owns(&self, open_or_query: u64) -> bool {
        open_or_query >> 56 == self.config.id_base >> 56
    }

    /// Takes an input if it is the node's, and hands it back if it is not. Start, Timeout and Drain
    /// are acted upon and handed back, because the function wants them too.
    pub fn handle(&mut self, now: Instant, input: Input) -> Option<Input> {
        match input {
            Input::Start => self.start(now),
            Input::Timeout => self.timeout(now),
            Input::Drain => self.drain(now),
            Input::Order(order) if status::Ask::is(&order) => {
                let report = self.report_status();
                self.outputs.push_back(report);
                return None;
            }
            Input::Received { flow, message } if flow.service == Service::Diameter => {
                self.received(now, flow, message);
                return None;
            }
            Input::Closed { flow, error } if flow.service == Service::Diameter => {
                self.closed(now, flow, error);
                return None;
            }
            Input::Opened { open, flow } if self.owns(open.0) => {
                self.opened(now, open, flow);
                return None;
            }
            Input::OpenFailed { open, error } if self.owns(open.0) => {
                self.open_failed(now, open, error);
                return None;
            }
            Input::Resolved { query, targets } if self.owns(query.0) => {
                self.resolved(now, query, targets);
                return None;
            }
            _ => {}
        }
        Some(input)
    }

    /// Takes no more requests, and disconnects from all peers once nothing is running.
    pub fn drain(&mut self, now: Instant) {
        self.draining = true;
        self.disconnect_if_drained(now);
    }

    /// The next event, `None` when there are no more.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next output, `None` when there are no more.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`timeout`](Node::timeout) is wanted.
    pub fn deadline(&self) -> Option<Deadline> {
        let peers = self.peers.values().flat_map(|peer| {
            let watchdog = peer.watchdog.as_ref().map(Watchdog::deadline);
            [(peer.deadline, "diameter peer"), (watchdog, "diameter Tw")]
        });
        let strangers = self.connections.values().filter(|c| c.peer.is_none());
        let strangers = strangers.map(|c| (Some(c.since + HANDSHAKE), "diameter CER"));
        let request = (self.timers.next(), "diameter request");
        peers
            .chain(strangers)
            .chain([request])
            .filter_map(|(at, reason)| at.map(|at| Deadline { at, reason }))
            .min()
    }

    /// A new Session-Id, RFC 6733 §8.8.
    pub fn session_id(&mut self) -> String {
        self.session_low = self.session_low.wrapping_add(1);
        if self.session_low == 0 {
            self.session_high = self.session_high.wrapping_add(1);
        }
        format!("{};{};{}", self.config.origin_host, self.session_high, self.session_low)
    }

    /// Whether any peer is open that leads to `realm`.
    pub fn is_reachable(&self, realm: &str, application: u32) -> bool {
        self.peers.values().any(|peer| {
            peer.state.open().is_some()
                && peer.supports(application)
                && (peer.realm.eq_ignore_ascii_case(realm) || peer.applications.contains(&RELAY))
        })
    }

    /// Whether the peer of this DiameterIdentity is open.
    pub fn is_open(&self, host: &str) -> bool {
        let mut peers = self.peers.values();
        peers.any(|peer| peer.state.open().is_some() && peer.host.eq_ignore_ascii_case(host))
    }

    /// The DiameterIdentities of all peers that are open.
    pub fn open_peers(&self) -> impl Iterator<Item = &str> + '_ {
        let open = self.peers.values().filter(|peer| peer.state.open().is_some());
        open.map(|peer| peer.host.as_str())
    }

    fn mint(&mut self) -> u64 {
        self.next_id += 1;
        (self.config.id_base & (0xff << 56)) | self.next_id & ((1 << 56) - 1)
    }

    fn log(&mut self, severity: Severity, counter: &'static str, text: String) {
        self.outputs.push_back(Output::Log(base::Event::new(severity, counter, text)));
    }

    fn transmit(&mut self, flow: Flow, message: &Message) {
        self.outputs.push_back(Output::Transmit { flow, message: message.bytes().clone() });
    }
}

impl Peer {
    fn supports(&self, application: u32) -> bool {
        self.applications.iter().any(|id| *id == application || *id == RELAY)
    }
}
