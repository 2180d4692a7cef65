//! Requests that we have to answer: the server side of the transaction layer.

use core::fmt::Write;
use std::hash::BuildHasher;
use std::sync::Arc;

use base::slots::Slot;
use base::{Bytes, Flow, Instant, Severity};

use super::{Armed, Event, ServerId, Stack, TimerKey, arm};
use crate::header::{CSeq, HeaderName, NameAddr, Via};
use crate::message::Message;
use crate::method::Method;
use crate::transaction::{Effects, ServerInvite, ServerNonInvite, Timer};

/// What makes a request belong to a transaction, RFC 3261 §17.2.3.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct ServerKey {
    /// Branch and sent-by; for a branch without the magic cookie what RFC 2543 compares.
    id: Arc<str>,
    method: Method,
}

impl ServerKey {
    /// The key of a request with its top Via; an ACK has that of its INVITE. `None` if the request cannot be told
    /// apart from others.
    pub(super) fn of(request: &Message, via: &Via<'_>) -> Option<ServerKey> {
        let method = match request.method()? {
            Method::Ack => Method::Invite,
            other => other.clone(),
        };
        let sent_by = (via.host, via.port.unwrap_or(5060));
        let branch = via.branch();
        let mut id = if branch.starts_with("z9hG4bK") {
            let mut id = String::with_capacity(branch.len() + sent_by.0.len() + 8);
            for part in [branch, "|", sent_by.0] {
                id.push_str(part);
            }
            if sent_by.1 != 5060 {
                let _ = write!(id, ":{}", sent_by.1);
            }
            id
        } else {
            let tag = |name| {
                let address = NameAddr::parse(request.get(name)?)?;
                address.tag().map(str::to_owned)
            };
            let cseq = request.get(HeaderName::CSeq).and_then(CSeq::parse)?;
            let from = tag(HeaderName::From).unwrap_or_default();
            let call = request.get(HeaderName::CallId)?;
            format!("{}|{}|{from}|{call}|{}", sent_by.0, sent_by.1, cseq.number)
        };
        id.make_ascii_lowercase();
        Some(ServerKey { id: id.into(), method })
    }

    /// The key of the INVITE that a CANCEL is for.
    pub(super) fn invite(self) -> ServerKey {
        ServerKey { method: Method::Invite, ..self }
    }
}

/// A request that was taken.
#[derive(Debug)]
pub(super) struct Server {
    key: ServerKey,
    machine: Machine,
    /// Where responses go, RFC 3261 §18.2.2 and RFC 3581 §4.
    flow: Flow,
    last: Bytes,
    retransmit: Armed,
    expire: Armed,
}

impl Server {
    /// Its timers.
    pub(super) fn armed(&self) -> [Armed; 2] {
        [self.retransmit, self.expire]
    }
}

#[derive(Debug)]
enum Machine {
    Invite(ServerInvite),
    NonInvite(ServerNonInvite),
}

impl Stack {
    pub(super) fn new_server(&mut self, key: ServerKey, flow: Flow) -> Slot {
        let reliable = flow.transport.is_reliable();
        let values = self.config.timers;
        let machine = if key.method == Method::Invite {
            Machine::Invite(ServerInvite::start(values, reliable))
        } else {
            Machine::NonInvite(ServerNonInvite::start(values, reliable))
        };
        let server = Server {
            key: key.clone(),
            machine,
            flow,
            last: Bytes::new(),
            retransmit: None,
            expire: None,
        };
        let slot = self.servers.insert(server);
        self.by_key.insert(key, slot);
        slot
    }

    /// A request came that belongs to a transaction.
    pub(super) fn server_again(&mut self, now: Instant, slot: Slot, request: Message, flow: Flow) {
        let Some(record) = self.servers.get_mut(slot) else { return };
        let ack = request.method() == Some(&Method::Ack);
        let effects = match (&mut record.machine, ack) {
            (Machine::Invite(machine), true) => machine.ack(),
            (Machine::Invite(machine), false) => machine.retransmission(),
            (Machine::NonInvite(machine), _) => machine.retransmission(),
        };
        self.server_effects(now, slot, effects);
        if ack && effects.deliver {
            self.events.push_back(Event::Ack { request, flow });
        }
    }

    /// Answers a request. A second final response, and any after the transaction is over, is
    /// dropped; only a 2xx to INVITE may be repeated by a user agent (RFC 3261 §13.3.1.4).
    pub fn respond(&mut self, now: Instant, server: ServerId, mut response: Message) {
        let Some(record) = self.servers.get_mut(server.0) else { return };
        let status = response.status();
        let effects = match &mut record.machine {
            Machine::Invite(machine) => machine.respond(status),
            Machine::NonInvite(machine) => machine.respond(status),
        };
        if effects.transmit {
            if !self.config.product.is_empty() && !response.has(HeaderName::Server) {
                response.push(HeaderName::Server, self.config.product.clone());
            }
            self.announce(now, &mut response);
            if let Some(record) = self.servers.get_mut(server.0) {
                record.last = response.to_bytes();
            }
        }
        self.server_effects(now, server.0, effects);
    }

    /// Answers a request other than INVITE as a stateless user agent server does, RFC 3261 §8.2.7:
    /// nothing is kept, and a retransmission is a new request that gets the same answer, its To tag
    /// included.
    pub fn respond_once(&mut self, server: ServerId, mut response: Message) {
        let Some(record) = self.servers.remove(server.0) else { return };
        self.by_key.remove(&record.key);
        let tag = self.by_key.hasher().hash_one(&record.key);
        response.tag_to(&format!("{tag:016x}"));
        self.transmit(record.flow, response.to_bytes());
    }

    /// Whether the request is an INVITE.
    pub fn is_invite(&self, server: ServerId) -> bool {
        self.servers.get(server.0).is_some_and(|s| s.key.method == Method::Invite)
    }

    /// Whether the request still waits for a final response.
    pub fn is_unanswered(&self, server: ServerId) -> bool {
        self.servers.get(server.0).is_some_and(|s| match &s.machine {
            Machine::Invite(machine) => machine.is_pending(),
            Machine::NonInvite(machine) => machine.is_pending(),
        })
    }

    pub(super) fn server_timer(&mut self, now: Instant, at: Instant, slot: Slot, timer: Timer) {
        let Some(record) = self.servers.get_mut(slot) else { return };
        let armed = [&mut record.retransmit, &mut record.expire]
            .into_iter()
            .find(|armed| **armed == Some((timer, at)));
        let Some(armed) = armed else { return };
        *armed = None;
        let effects = match &mut record.machine {
            Machine::Invite(machine) => machine.timer(timer),
            Machine::NonInvite(machine) => machine.timer(timer),
        };
        self.server_effects(now, slot, effects);
    }

    fn server_effects(&mut self, now: Instant, slot: Slot, effects: Effects) {
        let Some(record) = self.servers.get_mut(slot) else { return };
        if effects.transmit && !record.last.is_empty() {
            let (flow, last) = (record.flow, record.last.clone());
            self.outputs.push_back(base::Output::Transmit { flow, message: last });
        }
        let changes = [
            arm(&mut record.retransmit, effects.retransmit, now),
            arm(&mut record.expire, effects.expire, now),
        ];
        for (timer, at) in changes.into_iter().flatten() {
            self.timers.arm(at, TimerKey::Server(slot, timer));
        }
        if matches!(&record.machine, Machine::Invite(machine) if !machine.repeats()) {
            record.last = Bytes::new();
        }
        if effects.timed_out {
            let text = format!("no ACK from {} for a final response to INVITE", record.flow.remote);
            self.log(Severity::Info, "sip.no_ack", text);
        }
        if effects.ended
            && let Some(record) = self.servers.remove(slot)
        {
            self.by_key.remove(&record.key);
        }
    }
}
