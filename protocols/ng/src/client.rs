//! Who asks a relay: finds it, writes requests, repeats them over UDP, matches the responses.
//!
//! ```text
//! request() -> Output::Resolve -> resolved() -> Output::Open -> opened() -> Output::Transmit
//!           -> 0.5 s, 1 s, 2 s: again over UDP -> received() -> ClientEvent::Answered
//!                                              -> 2 s later:   ClientEvent::Failed
//! ```

use std::collections::{BTreeMap, VecDeque};

use base::machine::{Name, OpenId, QueryId, Target};
use base::time::Duration;
use base::timer::Timers;
use base::{Bytes, Deadline, Endpoint, Flow, FlowError, Instant, Output, Service};

use crate::message::{Encoding, Message};
use crate::request::Request;
use crate::response::Response;

/// When a request is sent again, counted from the time before; after the last one it has failed.
const SCHEDULE: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
    Duration::from_millis(2000),
];

/// Names a request to who made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// Why there is no response.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer to all repetitions.
    #[error("the media relay does not answer")]
    TimedOut,
    /// The name of the relay has no address.
    #[error("the media relay's name is not known")]
    NotFound,
    /// The relay cannot be reached.
    #[error("the media relay cannot be reached: {0}")]
    Unreachable(FlowError),
    /// The response has the right cookie and no sense.
    #[error("the media relay's response makes no sense")]
    Malformed,
}

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClientEvent {
    /// The relay answered.
    Answered {
        /// The request.
        id: RequestId,
        /// The answer; an error of the relay is an answer.
        response: Response,
    },
    /// No answer will come.
    Failed {
        /// The request.
        id: RequestId,
        /// Why.
        error: ClientError,
    },
}

#[derive(Debug)]
struct Pending {
    bytes: Bytes,
    /// How often it was sent.
    sent: usize,
    /// When the armed timer is due; others are stale.
    due: Instant,
    /// The client's epoch when it was first sent.
    epoch: Option<u64>,
}

#[derive(Debug)]
enum Link {
    Down,
    Resolving(QueryId),
    Opening(OpenId),
    Up(Flow),
}

/// The client of one relay.
#[derive(Debug)]
pub struct Client {
    relay: Name,
    id_base: u64,
    seed: u64,
    next: u64,
    link: Link,
    /// What the name stands for, the best first; the one in use is the first.
    targets: VecDeque<Target>,
    /// How many of them were tried in vain since the last response.
    tried: usize,
    /// Counts connections and responses: what is still the same says that the relay in use has been
    /// silent since.
    epoch: u64,
    pending: BTreeMap<RequestId, Pending>,
    timers: Timers<RequestId>,
    outputs: VecDeque<Output>,
    events: VecDeque<ClientEvent>,
}

impl Client {
    /// A client of the relay of this name. `id_base` becomes the top byte of all [`QueryId`]s and
    /// [`OpenId`]s, so that the owner can tell whose they are; `seed` is a random number that keeps
    /// the cookies of two clients apart.
    pub fn new(relay: Name, id_base: u8, seed: u64) -> Client {
        Client {
            relay,
            id_base: u64::from(id_base) << 56,
            seed,
            next: 0,
            link: Link::Down,
            targets: VecDeque::new(),
            tried: 0,
            epoch: 0,
            pending: BTreeMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Sends a request, as soon as the relay is found.
    pub fn request(&mut self, now: Instant, request: &Request) -> RequestId {
        let id = RequestId(self.id());
        let cookie = self.cookie(id);
        let message = Message { cookie, encoding: Encoding::Bencode, dict: request.to_dict() };
        let due = now + SCHEDULE[0];
        let bytes = message.emit().into();
        self.pending.insert(id, Pending { bytes, sent: 0, due, epoch: None });
        self.timers.arm(due, id);
        match self.link {
            Link::Up(flow) => self.send(flow, id),
            Link::Down => self.connect(),
            Link::Resolving(_) | Link::Opening(_) => {}
        }
        id
    }

    /// Forgets a request: no event will come.
    pub fn forget(&mut self, id: RequestId) {
        self.pending.remove(&id);
    }

    /// A message came in on a flow of [`Service::Ng`]. Returns whether it was an answer to us.
    pub fn received(&mut self, flow: &Flow, bytes: &[u8]) -> bool {
        match self.link {
            Link::Up(own) if own.id == flow.id && own.remote == flow.remote => {}
            _ => return false,
        }
        let Ok(message) = Message::parse(bytes) else { return false };
        let Some(id) = self.id_of(&message.cookie) else { return false };
        if self.pending.remove(&id).is_none() {
            return false;
        }
        self.tried = 0;
        self.epoch += 1;
        self.events.push_back(match Response::from_dict(&message.dict) {
            Some(response) => ClientEvent::Answered { id, response },
            None => ClientEvent::Failed { id, error: ClientError::Malformed },
        });
        true
    }

    /// The answer to a lookup. Returns whether it was ours.
    pub fn resolved(&mut self, query: QueryId, targets: &[Target]) -> bool {
        if !matches!(self.link, Link::Resolving(own) if own == query) {
            return false;
        }
        self.link = Link::Down;
        self.targets = targets.iter().copied().collect();
        self.tried = 0;
        if self.targets.is_empty() {
            self.fail_all(ClientError::NotFound)
        } else {
            self.connect()
        }
        true
    }

    /// A flow was opened. Returns whether it is ours.
    pub fn opened(&mut self, open: OpenId, flow: Flow) -> bool {
        if !matches!(self.link, Link::Opening(own) if own == open) {
            return false;
        }
        self.link = Link::Up(flow);
        self.epoch += 1;
        let waiting: Vec<RequestId> = self.pending.keys().copied().collect();
        waiting.into_iter().for_each(|id| self.send(flow, id));
        true
    }

    /// A flow could not be opened. Returns whether it would have been ours.
    pub fn open_failed(&mut self, open: OpenId, error: FlowError) -> bool {
        if !matches!(self.link, Link::Opening(own) if own == open) {
            return false;
        }
        self.unreachable(error);
        true
    }

    /// A flow ended, or nothing can be sent on it. Returns whether it is ours.
    pub fn closed(&mut self, flow: &Flow, error: FlowError) -> bool {
        match self.link {
            Link::Up(own) if own.id == flow.id && own.remote == flow.remote => {}
            _ => return false,
        }
        self.unreachable(error);
        true
    }

    /// The deadline has come.
    pub fn timeout(&mut self, now: Instant) {
        while let Some((at, id)) = self.timers.due(now) {
            let Some(pending) = self.pending.get_mut(&id).filter(|p| p.due == at) else { continue };
            let step = pending.sent.max(1);
            let unreliable = matches!(self.link, Link::Up(f) if !f.transport.is_reliable());
            if step < SCHEDULE.len() {
                pending.due = now + SCHEDULE[step];
                self.timers.arm(pending.due, id);
                match self.link {
                    Link::Up(flow) if unreliable => self.send(flow, id),
                    // Not sent again, but its time runs.
                    _ => pending.sent = step + 1,
                }
                continue;
            }
            let deaf = pending.epoch == Some(self.epoch);
            self.pending.remove(&id);
            self.events.push_back(ClientEvent::Failed { id, error: ClientError::TimedOut });
            // A relay that answered others since has lost this one only.
            if deaf && matches!(self.link, Link::Up(_)) {
                self.next_target();
                if !self.pending.is_empty() {
                    self.connect();
                }
            }
        }
    }

    /// When [`timeout`](Client::timeout) is wanted.
    pub fn deadline(&self) -> Option<Deadline> {
        self.timers.next().map(|at| Deadline { at, reason: "ng request" })
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<ClientEvent> {
        self.events.pop_front()
    }

    fn connect(&mut self) {
        let number = self.id();
        match self.targets.front().filter(|_| self.tried < self.targets.len()) {
            Some(Target { transport, endpoint }) => {
                let open = OpenId(number);
                self.link = Link::Opening(open);
                self.outputs.push_back(Output::Open {
                    open,
                    service: Service::Ng,
                    transport: *transport,
                    remote: Some(*endpoint),
                    local: None,
                    name: None,
                });
            }
            None => {
                let query = QueryId(number);
                self.link = Link::Resolving(query);
                self.outputs.push_back(Output::Resolve { query, name: self.relay.clone() });
            }
        }
    }

    /// The target in use cannot be reached: what waits goes to the next one.
    fn unreachable(&mut self, error: FlowError) {
        self.next_target();
        if self.tried >= self.targets.len() {
            self.targets.clear();
            self.fail_all(ClientError::Unreachable(error));
        } else if !self.pending.is_empty() {
            self.connect();
        }
    }

    /// Leaves the target in use; its socket or connection is closed, whatever it was that ended.
    fn next_target(&mut self) {
        if let Link::Up(flow) = std::mem::replace(&mut self.link, Link::Down) {
            self.outputs.push_back(Output::Close { flow });
        }
        if let Some(target) = self.targets.pop_front() {
            self.targets.push_back(target);
        }
        self.tried += 1;
    }

    fn fail_all(&mut self, error: ClientError) {
        let failed = std::mem::take(&mut self.pending).into_keys();
        self.events.extend(failed.map(|id| ClientEvent::Failed { id, error }));
    }

    fn send(&mut self, flow: Flow, id: RequestId) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.sent = (pending.sent + 1).min(SCHEDULE.len());
            pending.epoch.get_or_insert(self.epoch);
            self.outputs.push_back(Output::Transmit { flow, message: pending.bytes.clone() });
        }
    }

    fn id(&mut self) -> u64 {
        self.next += 1;
        self.id_base | self.next & ((1 << 56) - 1)
    }

    fn cookie(&self, id: RequestId) -> String {
        format!("{:016x}_{:x}", self.seed, id.0)
    }

    fn id_of(&self, cookie: &str) -> Option<RequestId> {
        let (seed, id) = cookie.split_once('_')?;
        let same = u64::from_str_radix(seed, 16).ok()? == self.seed;
        let id = RequestId(u64::from_str_radix(id, 16).ok()?);
        (same && cookie == self.cookie(id)).then_some(id)
    }

    /// The relay's address in use, for a log line.
    pub fn remote(&self) -> Option<Endpoint> {
        match self.link {
            Link::Up(flow) => Some(flow.remote),
            _ => None,
        }
    }
}
