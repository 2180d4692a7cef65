//! Requests that we have to answer: the server side of the transaction layer.

use std::hash::{BuildHasher, Hash, Hasher};

use base::slots::Slot;
use base::{Bytes, Flow, Instant, Random, Severity};
use foldhash::quality::FixedState;

use super::{Armed, Event, Over, ServerId, Stack, TimerKey, arm};
use crate::header::{CSeq, HeaderName, NameAddr, Via};
use crate::message::Message;
use crate::method::Method;
use crate::transaction::{Arm, Effects, ServerInvite, ServerNonInvite, Timer};

/// What makes a request belong to a transaction, RFC 3261 §17.2.3: 128 bits of hash over branch, sent-by and
/// method; for a branch without the magic cookie over what RFC 2543 compares.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ServerKey(u64, u64);

/// Makes [`ServerKey`]s. The seeds are a secret: who does not know them finds no two requests with one key.
#[derive(Debug)]
pub(super) struct Keys(FixedState, FixedState);

impl Keys {
    pub(super) fn new(random: &mut Random) -> Keys {
        Keys(FixedState::with_seed(random.u64()), FixedState::with_seed(random.u64()))
    }

    /// The key of a request with its top Via, as if its method were this one. `None` if the request cannot be
    /// told apart from others.
    pub(super) fn of(
        &self,
        request: &Message,
        via: &Via<'_>,
        method: &Method,
    ) -> Option<ServerKey> {
        let mut digest = Digest(self.0.build_hasher(), self.1.build_hasher());
        let branch = via.branch();
        digest.add(via.host);
        if branch.starts_with("z9hG4bK") {
            digest.add(branch);
        } else {
            let tag = |name| {
                let address = NameAddr::parse(request.get(name)?)?;
                address.tag().map(str::to_owned)
            };
            digest.add(&tag(HeaderName::From).unwrap_or_default());
            digest.add(request.get(HeaderName::CallId)?);
            digest.number(request.get(HeaderName::CSeq).and_then(CSeq::parse)?.number);
        }
        digest.number(via.port.unwrap_or(5060).into());
        digest.0.write(method.as_str().as_bytes());
        digest.1.write(method.as_str().as_bytes());
        Some(ServerKey(digest.0.finish(), digest.1.finish()))
    }
}

/// Two hashes of the same.
struct Digest<H>(H, H);

impl<H: Hasher> Digest<H> {
    /// A text, without case.
    fn add(&mut self, text: &str) {
        for part in text.as_bytes().chunks(64) {
            let mut lower = [0; 64];
            let lower = &mut lower[..part.len()];
            lower.copy_from_slice(part);
            lower.make_ascii_lowercase();
            self.0.write(lower);
            self.1.write(lower);
        }
        // No text may go on as the next one begins.
        self.number(text.len() as u32);
    }

    fn number(&mut self, number: u32) {
        self.0.write_u32(number);
        self.1.write_u32(number);
    }
}

/// The method that a request's transaction has: an ACK is its INVITE's.
pub(super) fn method_of(request: &Message) -> Option<&Method> {
    request.method().map(|method| if *method == Method::Ack { &Method::Invite } else { method })
}

/// A request that was taken. What is only of use until the final response is apart, so that a finished
/// transaction is its key and its last response.
#[derive(Debug)]
pub(super) struct Server {
    key: ServerKey,
    machine: Machine,
    /// Where responses go, RFC 3261 §18.2.2 and RFC 3581 §4: as long as there may be further ones.
    flow: Option<Box<Flow>>,
    /// What a retransmission gets.
    last: Bytes,
    /// Timers G and H, of an INVITE that was refused.
    timers: Option<Box<[Armed; 2]>>,
}

impl Server {
    /// Its timers.
    pub(super) fn armed(&self) -> [Armed; 2] {
        self.timers.as_deref().copied().unwrap_or_default()
    }

    fn is_pending(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_pending(),
            Machine::NonInvite(machine) => machine.is_pending(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Machine {
    Invite(ServerInvite),
    NonInvite(ServerNonInvite),
}

impl Stack {
    pub(super) fn new_server(&mut self, key: ServerKey, method: &Method, flow: Flow) -> Slot {
        let reliable = flow.transport.is_reliable();
        let machine = if *method == Method::Invite {
            Machine::Invite(ServerInvite::start(reliable))
        } else {
            Machine::NonInvite(ServerNonInvite::start(reliable))
        };
        let flow = Some(Box::new(flow));
        let server = Server { key, machine, flow, last: Bytes::new(), timers: None };
        let slot = self.servers.insert(server);
        self.by_key.insert(key, slot);
        slot
    }

    /// A request came that belongs to a transaction. A response to it goes to `reply`, as the first one's did.
    pub(super) fn server_again(
        &mut self,
        now: Instant,
        slot: Slot,
        request: Message,
        flow: Flow,
        reply: Flow,
    ) {
        let values = &self.config.timers;
        let Some(record) = self.servers.get_mut(slot) else { return };
        let ack = request.method() == Some(&Method::Ack);
        let effects = match (&mut record.machine, ack) {
            (Machine::Invite(machine), true) => machine.ack(values),
            (Machine::Invite(machine), false) => machine.retransmission(),
            (Machine::NonInvite(machine), _) => machine.retransmission(),
        };
        if effects.transmit && !record.last.is_empty() {
            let message = record.last.clone();
            self.outputs.push_back(base::Output::Transmit { flow: reply, message });
        }
        self.server_effects(now, slot, Effects { transmit: false, ..effects });
        if ack && effects.deliver {
            self.events.push_back(Event::Ack { request, flow });
        }
    }

    /// Answers a request. A second final response, and any after the transaction is over, is
    /// dropped; only a 2xx to INVITE may be repeated by a user agent (RFC 3261 §13.3.1.4).
    pub fn respond(&mut self, now: Instant, server: ServerId, mut response: Message) {
        let values = &self.config.timers;
        let Some(record) = self.servers.get_mut(server.0) else { return };
        let status = response.status();
        let effects = match &mut record.machine {
            Machine::Invite(machine) => machine.respond(values, status),
            Machine::NonInvite(machine) => machine.respond(values, status),
        };
        if effects.transmit {
            if !self.config.product.is_empty() && !response.has(HeaderName::Server) {
                response.push(HeaderName::Server, self.config.product.clone());
            }
            let flow = record.flow.as_deref().copied();
            self.announce(now, flow.as_ref(), &mut response);
            if let Some(record) = self.servers.get_mut(server.0) {
                record.last = response.to_bytes();
            }
        }
        self.server_effects(now, server.0, effects);
    }

    /// Answers a request other than INVITE as a stateless user agent server does, RFC 3261 §8.2.7:
    /// nothing is kept, and a retransmission is a new request that gets the same answer, its To tag
    /// included.
    pub fn respond_once(&mut self, now: Instant, server: ServerId, mut response: Message) {
        let Some(record) = self.servers.remove(server.0) else { return };
        self.by_key.remove(&record.key);
        response.tag_to(&self.tag_once(&record.key));
        self.announce(now, record.flow.as_deref(), &mut response);
        if let Some(flow) = record.flow {
            self.transmit(*flow, response.to_bytes());
        }
    }

    /// The To tag of an answer that nothing is kept of.
    pub(super) fn tag_once(&self, key: &ServerKey) -> String {
        format!("{:016x}", self.by_key.hasher().hash_one(key))
    }

    /// Whether the request is an INVITE.
    pub fn is_invite(&self, server: ServerId) -> bool {
        self.servers.get(server.0).is_some_and(|s| matches!(s.machine, Machine::Invite(_)))
    }

    /// Whether the request still waits for a final response.
    pub fn is_unanswered(&self, server: ServerId) -> bool {
        self.servers.get(server.0).is_some_and(Server::is_pending)
    }

    pub(super) fn server_timer(&mut self, now: Instant, at: Instant, slot: Slot, timer: Timer) {
        let values = &self.config.timers;
        let Some(record) = self.servers.get_mut(slot) else { return };
        let timers = record.timers.as_deref_mut().into_iter().flatten();
        let armed = timers.into_iter().find(|armed| **armed == Some((timer, at)));
        let Some(armed) = armed else { return };
        *armed = None;
        let effects = match &mut record.machine {
            Machine::Invite(machine) => machine.timer(values, timer),
            Machine::NonInvite(_) => return,
        };
        self.server_effects(now, slot, effects);
    }

    fn server_effects(&mut self, now: Instant, slot: Slot, effects: Effects) {
        let Some(record) = self.servers.get_mut(slot) else { return };
        if effects.transmit
            && let Some(flow) = record.flow.as_deref().copied()
            && !record.last.is_empty()
        {
            let message = record.last.clone();
            self.outputs.push_back(base::Output::Transmit { flow, message });
        }
        let accepted = match &record.machine {
            Machine::Invite(machine) => machine.is_accepted(),
            Machine::NonInvite(_) => false,
        };
        if accepted {
            // A 2xx is repeated by who made it.
            record.last = Bytes::new();
        }
        if effects.timed_out {
            let from = record.flow.as_deref().map(|flow| flow.remote.to_string());
            let from = from.unwrap_or_default();
            let text = format!("no ACK from {from} for a final response to INVITE");
            let event = base::Event::new(Severity::Info, "sip.no_ack", text);
            self.outputs.push_back(base::Output::Log(event));
        }
        if effects.ended {
            return self.remove_server(slot);
        }
        match effects.expire {
            Arm::After(timer, delay) if timer.only_tidies() => {
                record.timers = None;
                record.flow.take_if(|_| !accepted);
                self.finish(now, delay, Over::Server(slot));
            }
            Arm::Keep if effects.retransmit == Arm::Keep => {}
            expire => {
                let [again, end] = &mut **record.timers.get_or_insert_default();
                let changes = [arm(again, effects.retransmit, now), arm(end, expire, now)];
                for (timer, at) in changes.into_iter().flatten() {
                    self.timers.arm(at, TimerKey::Server(slot, timer));
                }
            }
        }
    }

    pub(super) fn remove_server(&mut self, slot: Slot) {
        if let Some(record) = self.servers.remove(slot) {
            self.by_key.remove(&record.key);
        }
    }
}
