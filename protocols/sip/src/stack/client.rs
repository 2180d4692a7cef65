//! Requests that we send: the client side of the transaction layer.

use std::hash::{BuildHasher, Hash, Hasher};

use base::machine::Target;
use base::slots::Slot;
use base::{Bytes, Flow, Instant, Severity};

use super::route::PeerName;
use super::{Armed, ClientId, Event, Failure, Hop, Stack, TimerKey, arm};
use crate::header::{CSeq, HeaderName, Via, overload};
use crate::message::Message;
use crate::method::Method;
use crate::transaction::{ClientInvite, ClientNonInvite, Effects, Timer};
use crate::uri::split_host_port;

/// A request on its way.
#[derive(Debug)]
pub(super) struct Client {
    method: Method,
    /// The request, with our Via once it is on a flow; `None` after a final response.
    pub(super) request: Option<Message>,
    pub(super) machine: Machine,
    pub(super) route: Route,
    /// Targets still to be tried, last one first.
    pub(super) targets: Vec<Target>,
    pub(super) name: PeerName,
    pub(super) branch: String,
    /// What a proxy recognises its own request by, RFC 5393 §4.2.
    mark: Option<u64>,
    /// What is sent again: the request, after the failure of an INVITE the ACK.
    encoded: Bytes,
    retransmit: Armed,
    expire: Armed,
    cancel: Cancel,
    /// It goes to a server, and less can go there: not to a flow, whose far end is a phone.
    pub(super) can_be_less: bool,
    /// A target of it has too much to do.
    left_out: bool,
    /// Whether the transaction user wants to hear of it: not for our CANCELs.
    silent: bool,
}

#[derive(Debug)]
pub(super) enum Machine {
    /// Not on a flow yet.
    Unsent,
    Invite(ClientInvite),
    NonInvite(ClientNonInvite),
}

#[derive(Debug)]
pub(super) enum Route {
    /// Waiting for a name's targets, or for a connection.
    Pending,
    Flow(Flow),
}

#[derive(Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// To be sent with the first provisional response, RFC 3261 §9.1.
    Wanted(Option<String>),
    Sent,
}

impl Client {
    fn new(request: Message) -> Client {
        Client {
            method: request.method().cloned().unwrap_or(Method::Options),
            request: Some(request),
            machine: Machine::Unsent,
            route: Route::Pending,
            targets: Vec::new(),
            name: None,
            branch: String::new(),
            mark: None,
            encoded: Bytes::new(),
            retransmit: None,
            expire: None,
            cancel: Cancel::No,
            can_be_less: false,
            left_out: false,
            silent: false,
        }
    }

    pub(super) fn ack(message: Message) -> Client {
        Client { silent: true, ..Client::new(message) }
    }

    /// Its timers.
    pub(super) fn armed(&self) -> [Armed; 2] {
        [self.retransmit, self.expire]
    }

    pub(super) fn is_ack(&self) -> bool {
        self.method == Method::Ack
    }

    fn is_invite(&self) -> bool {
        self.method == Method::Invite
    }

    /// Whether it has a flow that matches and no final response yet.
    pub(super) fn waits_on(&self, hit: impl Fn(&Flow) -> bool) -> bool {
        let pending = match &self.machine {
            Machine::Unsent => false,
            Machine::Invite(machine) => machine.is_pending(),
            Machine::NonInvite(machine) => machine.is_pending(),
        };
        pending && matches!(&self.route, Route::Flow(flow) if hit(flow))
    }
}

impl Stack {
    /// Sends a request in a new client transaction. Its Via is added here.
    pub fn request(&mut self, now: Instant, request: Message, hop: Hop) -> ClientId {
        let slot = self.clients.insert(Client::new(request));
        self.send(now, slot, hop);
        ClientId(slot)
    }

    /// The same for a proxy: the branch ends with a mark of the request that is forwarded, so that
    /// [`Stack::has_seen`] knows it again.
    pub fn forward(&mut self, now: Instant, request: Message, hop: Hop, mark: u64) -> ClientId {
        let slot = self.clients.insert(Client { mark: Some(mark), ..Client::new(request) });
        self.send(now, slot, hop);
        ClientId(slot)
    }

    /// What distinguishes a request from a spiral of itself, RFC 5393 §4.2.1: all that decides where
    /// it goes.
    pub fn mark_of(&self, request: &Message) -> u64 {
        let mut hasher = self.by_key.hasher().build_hasher();
        let routes = request.lines(HeaderName::Route);
        let fields = [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq];
        let fields = fields.into_iter().filter_map(|name| request.get(name));
        for part in std::iter::once(request.uri()).chain(routes).chain(fields) {
            part.hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Whether a request with this mark was forwarded here before, and has come back as it was.
    pub fn has_seen(&self, request: &Message, mark: u64) -> bool {
        let Some((host, port)) = self.config.sent_by.as_deref().and_then(split_host_port) else {
            return false;
        };
        let mut text = String::with_capacity(17);
        text.push('.');
        push_hex(&mut text, mark);
        // Nearly no Via has it.
        let has_mark = |line: &&str| {
            let mut dots = memchr::memchr_iter(b'.', line.as_bytes());
            dots.any(|at| line.as_bytes()[at..].starts_with(text.as_bytes()))
        };
        let lines = request.lines(HeaderName::Via).filter(has_mark);
        // Where our Via has one address or another, the mark alone says that it is ours.
        let named = |via: &Via<'_>| via.host.eq_ignore_ascii_case(host) && via.port == port;
        lines
            .flat_map(crate::lex::elements)
            .filter_map(Via::parse)
            .any(|via| (self.config.by_address || named(&via)) && via.branch().ends_with(&text))
    }

    /// Cancels an INVITE, RFC 3261 §9.1: at once if a provisional response has come, else when one
    /// comes. Nothing happens after a final response.
    pub fn cancel(&mut self, now: Instant, client: ClientId, reason: Option<String>) {
        let Some(record) = self.clients.get_mut(client.0) else { return };
        if !record.is_invite() || record.cancel != Cancel::No {
            return;
        }
        record.cancel = Cancel::Wanted(reason);
        self.cancel_if_possible(now, client.0);
    }

    /// Whether the transaction still waits for a final response.
    pub fn is_pending(&self, client: ClientId) -> bool {
        self.clients.get(client.0).is_some_and(|c| match &c.machine {
            Machine::Unsent => true,
            Machine::Invite(machine) => machine.is_pending(),
            Machine::NonInvite(machine) => machine.is_pending(),
        })
    }

    fn cancel_if_possible(&mut self, now: Instant, slot: Slot) {
        let Some(record) = self.clients.get_mut(slot) else { return };
        let (Machine::Invite(machine), Route::Flow(flow)) = (&mut record.machine, &record.route)
        else {
            return;
        };
        if !machine.can_cancel() || !matches!(record.cancel, Cancel::Wanted(_)) {
            return;
        }
        let Cancel::Wanted(reason) = std::mem::replace(&mut record.cancel, Cancel::Sent) else {
            return;
        };
        let (flow, Some(request)) = (*flow, &record.request) else { return };
        let mut cancel = same_transaction(request, Method::Cancel);
        if let Some(reason) = reason {
            cancel.push(HeaderName::Reason, reason);
        }
        let branch = record.branch.clone();
        let effects = machine.cancelled();
        self.client_effects(now, slot, effects, None);
        let mut client = Client { silent: true, branch, ..Client::new(cancel) };
        client.route = Route::Flow(flow);
        let cancel = self.clients.insert(client);
        self.cancels.insert(slot, cancel);
        self.start_client(now, cancel, flow);
    }

    /// Puts the request on a flow with a new Via and starts the transaction.
    pub(super) fn put_on_flow(&mut self, now: Instant, slot: Slot, flow: Flow) {
        let sent_by = self.sent_by(&flow);
        let token = self.random.token::<6>();
        let record = self.clients.get(slot).filter(|record| record.can_be_less);
        let request = record.and_then(|record| record.request.as_ref());
        let request = request.filter(|_| self.overload.is_asked()).cloned();
        let left_out = request.is_some_and(|request| self.is_left_out(now, &request, &flow));
        let Some(record) = self.clients.get_mut(slot) else { return };
        if left_out {
            record.left_out = true;
            // It is the same server by whatever transport.
            record.targets.retain(|target| target.endpoint != flow.remote);
            return self.target_failed(now, slot);
        }
        let Some(request) = &mut record.request else { return };
        if !record.branch.is_empty() {
            // A second target is a new transaction with a new branch, RFC 3263 §4.3.
            request.pop_element(HeaderName::Via);
        }
        let mut branch = String::with_capacity(64);
        branch.push_str("z9hG4bK");
        push_hex(&mut branch, slot.to_bits());
        branch.push('.');
        branch.push_str(&token);
        if let Some(mark) = record.mark {
            branch.push('.');
            push_hex(&mut branch, mark);
        }
        record.branch = branch;
        let transport = super::via_transport(flow.transport);
        let rport = if flow.transport.is_reliable() { "" } else { ";rport" };
        let offer = if record.can_be_less { overload::OFFER } else { "" };
        let via = ["SIP/2.0/", transport, " ", &sent_by, ";branch=", &record.branch, rport, offer];
        let via = via.concat();
        request.push_front(HeaderName::Via, via);
        self.start_client(now, slot, flow);
    }

    fn start_client(&mut self, now: Instant, slot: Slot, flow: Flow) {
        let values = self.config.timers;
        let Some(record) = self.clients.get_mut(slot) else { return };
        record.route = Route::Flow(flow);
        record.encoded = record.request.as_ref().map(Message::to_bytes).unwrap_or_default();
        if record.is_ack() {
            let encoded = record.encoded.clone();
            self.clients.remove(slot);
            return self.transmit(flow, encoded);
        }
        let reliable = flow.transport.is_reliable();
        let effects = if record.is_invite() {
            let (machine, effects) = ClientInvite::start(values, reliable);
            record.machine = Machine::Invite(machine);
            effects
        } else {
            let (machine, effects) = ClientNonInvite::start(values, reliable);
            record.machine = Machine::NonInvite(machine);
            effects
        };
        self.client_effects(now, slot, effects, None);
    }

    /// A response whose top Via has our branch form.
    pub(super) fn client_response(
        &mut self,
        now: Instant,
        branch: &str,
        flow: Flow,
        message: Message,
    ) {
        let cseq = message.get(HeaderName::CSeq).and_then(CSeq::parse);
        let method = cseq.map(|cseq| cseq.method);
        let mut slot = slot_of_branch(branch);
        if method == Some(Method::Cancel) {
            // A CANCEL shares the branch of its INVITE but lives in a slot of its own.
            slot = slot.and_then(|invite| self.cancels.get(&invite).copied());
        }
        let same = |c: &Client| c.branch == branch && Some(&c.method) == method.as_ref();
        let found = slot.filter(|slot| self.clients.get(*slot).is_some_and(same));
        let Some(slot) = found else {
            let text =
                format!("response {} to no request of ours from {}", message.status(), flow.remote);
            return self.log(Severity::Debug, "sip.stray_response", text);
        };
        self.failed.answers((flow.transport, flow.remote));
        let record = self.clients.get(slot).filter(|record| record.can_be_less);
        if let Some(Route::Flow(flow)) = record.map(|record| &record.route) {
            self.hear_of_overload(now, flow.remote, &message);
        }
        let Some(record) = self.clients.get_mut(slot) else { return };
        let status = message.status();
        let effects = match &mut record.machine {
            Machine::Invite(machine) => machine.response(status),
            Machine::NonInvite(machine) => machine.response(status),
            Machine::Unsent => return,
        };
        self.client_effects(now, slot, effects, Some((message, flow)));
        self.cancel_if_possible(now, slot);
    }

    pub(super) fn client_timer(&mut self, now: Instant, at: Instant, slot: Slot, timer: Timer) {
        let Some(record) = self.clients.get_mut(slot) else { return };
        let armed = [&mut record.retransmit, &mut record.expire]
            .into_iter()
            .find(|armed| **armed == Some((timer, at)));
        let Some(armed) = armed else { return };
        *armed = None;
        let effects = match &mut record.machine {
            Machine::Invite(machine) => machine.timer(timer),
            Machine::NonInvite(machine) => machine.timer(timer),
            Machine::Unsent => return,
        };
        if effects.timed_out && !record.targets.is_empty() && !record.silent {
            // RFC 3263 §4.3: no answer at all is a reason to try the next target.
            return self.target_failed(now, slot);
        }
        self.client_effects(now, slot, effects, None);
    }

    fn client_effects(
        &mut self,
        now: Instant,
        slot: Slot,
        effects: Effects,
        response: Option<(Message, Flow)>,
    ) {
        let Some(record) = self.clients.get_mut(slot) else { return };
        let Route::Flow(flow) = record.route else { return };
        if effects.transmit {
            let encoded = record.encoded.clone();
            self.outputs.push_back(base::Output::Transmit { flow, message: encoded });
        }
        let changes = [
            arm(&mut record.retransmit, effects.retransmit, now),
            arm(&mut record.expire, effects.expire, now),
        ];
        for (timer, at) in changes.into_iter().flatten() {
            self.timers.arm(at, TimerKey::Client(slot, timer));
        }
        let silent = record.silent;
        if let Some((mut response, from)) = response {
            let request = record.request.take_if(|_| response.status() >= 200);
            if effects.ack {
                if let Some(request) = request {
                    record.encoded = failure_ack(&request, &response).to_bytes();
                }
                let ack = record.encoded.clone();
                self.outputs.push_back(base::Output::Transmit { flow, message: ack });
            } else if response.status() >= 200 {
                record.encoded = Bytes::new();
            }
            if effects.deliver && !silent {
                response.pop_element(HeaderName::Via);
                let client = ClientId(slot);
                self.events.push_back(Event::Response { client, response, flow: from });
            }
        }
        if effects.timed_out && !silent {
            let failure = Failure::TimedOut;
            self.events.push_back(Event::Failed { client: ClientId(slot), failure });
        }
        if effects.ended {
            self.remove_client(slot);
        }
    }

    fn remove_client(&mut self, slot: Slot) -> Option<Client> {
        let record = self.clients.remove(slot)?;
        if record.method == Method::Cancel
            && let Some(invite) = slot_of_branch(&record.branch)
        {
            self.cancels.remove(&invite);
        }
        Some(record)
    }

    /// The target did not work: the next one, or failure.
    pub(super) fn target_failed(&mut self, now: Instant, slot: Slot) {
        let Some(record) = self.clients.get_mut(slot) else { return };
        if let Route::Flow(flow) = record.route {
            self.failed.failed(now, (flow.transport, flow.remote));
        }
        record.retransmit = None;
        record.expire = None;
        record.machine = Machine::Unsent;
        record.route = Route::Pending;
        if !record.targets.is_empty() {
            return self.next_target(now, slot);
        }
        let Some(record) = self.remove_client(slot) else { return };
        if !record.silent {
            let failure = if record.left_out { Failure::LeftOut } else { Failure::Unreachable };
            self.events.push_back(Event::Failed { client: ClientId(slot), failure });
        }
    }
}

/// A number as hexadecimal digits, without leading zeros.
fn push_hex(out: &mut String, number: u64) {
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for at in (0..digits).rev() {
        let digit = (number >> (4 * at)) as u32 & 15;
        out.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

/// The slot in a branch of ours.
fn slot_of_branch(branch: &str) -> Option<Slot> {
    let (bits, _) = branch.strip_prefix("z9hG4bK")?.split_once('.')?;
    u64::from_str_radix(bits, 16).ok().map(Slot::from_bits)
}

/// A request that shares transaction and route with another: CANCEL (RFC 3261 §9.1) and the ACK for
/// a failure (§17.1.1.3).
fn same_transaction(request: &Message, method: Method) -> Message {
    let mut out = Message::request(method.clone(), request.uri());
    if let Some(via) = request.list(HeaderName::Via).next() {
        out.push(HeaderName::Via, via);
    }
    for route in request.lines(HeaderName::Route) {
        out.push(HeaderName::Route, route);
    }
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        out.push(name, request.get(name).unwrap_or(""));
    }
    let number = request.get(HeaderName::CSeq).and_then(CSeq::parse).map_or(0, |c| c.number);
    out.push(HeaderName::CSeq, CSeq { number, method }.to_string());
    out.push(HeaderName::MaxForwards, "70");
    out
}

fn failure_ack(request: &Message, response: &Message) -> Message {
    let mut ack = same_transaction(request, Method::Ack);
    if let Some(to) = response.get(HeaderName::To) {
        ack.set(HeaderName::To, to);
    }
    ack
}
