//! Requests that we send: the client side of the transaction layer.

use std::hash::{BuildHasher, Hash, Hasher};

use base::machine::Target;
use base::slots::Slot;
use base::{Bytes, Flow, Instant, Output, Severity};

use super::route::PeerName;
use super::{Armed, ClientId, Event, Failure, Hop, Over, Stack, TimerKey, arm};
use crate::header::{CSeq, HeaderName, Via, overload};
use crate::message::Message;
use crate::method::Method;
use crate::transaction::{Arm, ClientInvite, ClientNonInvite, Effects, Timer};
use crate::uri::split_host_port;

/// A request that we sent. What is only of use until the final response is apart, so that a finished transaction
/// is little more than what its responses are recognised by.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) machine: Machine,
    /// A hash of branch and method.
    mark: u64,
    /// Of a CANCEL: its INVITE.
    invite: Option<Slot>,
    /// Until the final response.
    pub(super) running: Option<Box<Running>>,
    /// The ACK for the failure of an INVITE, which is sent for each of its retransmissions.
    ack: Option<Box<(Flow, Bytes)>>,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Running {
    method: Method,
    /// The request, with our Via once it is on a flow.
    pub(super) request: Message,
    pub(super) route: Route,
    /// Targets still to be tried, last one first.
    pub(super) targets: Vec<Target>,
    pub(super) name: PeerName,
    pub(super) branch: String,
    /// What a proxy recognises its own request by, RFC 5393 §4.2.
    mark: Option<u64>,
    /// What is sent again.
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

#[derive(Clone, Copy, Debug)]
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
    fn new(running: Running) -> Client {
        let running = Some(Box::new(running));
        Client { machine: Machine::Unsent, mark: 0, invite: None, running, ack: None }
    }

    pub(super) fn ack(message: Message) -> Client {
        Client::new(Running { silent: true, ..Running::new(message) })
    }

    /// Its timers.
    pub(super) fn armed(&self) -> [Armed; 2] {
        self.running.as_ref().map_or([None; 2], |running| [running.retransmit, running.expire])
    }

    fn is_pending(&self) -> bool {
        match &self.machine {
            Machine::Unsent => true,
            Machine::Invite(machine) => machine.is_pending(),
            Machine::NonInvite(machine) => machine.is_pending(),
        }
    }
}

impl Running {
    fn new(request: Message) -> Running {
        Running {
            method: request.method().cloned().unwrap_or(Method::Options),
            request,
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

    pub(super) fn is_ack(&self) -> bool {
        self.method == Method::Ack
    }

    fn is_invite(&self) -> bool {
        self.method == Method::Invite
    }
}

impl Stack {
    /// Sends a request in a new client transaction. Its Via is added here.
    pub fn request(&mut self, now: Instant, request: Message, hop: Hop) -> ClientId {
        let slot = self.clients.insert(Client::new(Running::new(request)));
        self.send(now, slot, hop);
        ClientId(slot)
    }

    /// The same for a proxy: the branch ends with a mark of the request that is forwarded, so that
    /// [`Stack::has_seen`] knows it again.
    pub fn forward(&mut self, now: Instant, request: Message, hop: Hop, mark: u64) -> ClientId {
        let running = Running { mark: Some(mark), ..Running::new(request) };
        let slot = self.clients.insert(Client::new(running));
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
        // Nearly no Via has it: nearly all that have a dot differ in what follows it.
        let mark = text.as_bytes();
        let has_mark = |line: &&str| {
            let line = line.as_bytes();
            let is_mark = |at| line.get(at + 1) == Some(&mark[1]) && line[at..].starts_with(mark);
            (0..line.len().saturating_sub(16)).any(|at| line[at] == b'.' && is_mark(at))
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
        let Some(record) = self.running(client.0) else { return };
        if !record.is_invite() || record.cancel != Cancel::No {
            return;
        }
        record.cancel = Cancel::Wanted(reason);
        self.cancel_if_possible(now, client.0);
    }

    /// Whether the transaction still waits for a final response.
    pub fn is_pending(&self, client: ClientId) -> bool {
        self.clients.get(client.0).is_some_and(Client::is_pending)
    }

    /// A request that has no final response yet.
    pub(super) fn running(&mut self, slot: Slot) -> Option<&mut Running> {
        self.clients.get_mut(slot)?.running.as_deref_mut()
    }

    fn cancel_if_possible(&mut self, now: Instant, slot: Slot) {
        let values = &self.config.timers;
        let Some(Client { machine: Machine::Invite(machine), running: Some(record), .. }) =
            self.clients.get_mut(slot)
        else {
            return;
        };
        let Route::Flow(flow) = record.route else { return };
        if !machine.can_cancel() || !matches!(record.cancel, Cancel::Wanted(_)) {
            return;
        }
        let Cancel::Wanted(reason) = std::mem::replace(&mut record.cancel, Cancel::Sent) else {
            return;
        };
        let mut cancel = same_transaction(&record.request, Method::Cancel);
        if let Some(reason) = reason {
            cancel.push(HeaderName::Reason, reason);
        }
        let branch = record.branch.clone();
        let effects = machine.cancelled(values);
        self.client_effects(now, slot, effects, None);
        let running = Running { silent: true, branch, ..Running::new(cancel) };
        let client = Client { invite: Some(slot), ..Client::new(running) };
        let cancel = self.clients.insert(client);
        self.cancels.insert(slot, cancel);
        self.start_client(now, cancel, flow);
    }

    /// Puts the request on a flow with a new Via and starts the transaction.
    pub(super) fn put_on_flow(&mut self, now: Instant, slot: Slot, flow: Flow) {
        let sent_by = self.sent_by(&flow);
        let token = self.random.token::<6>();
        let asked = self.overload.is_asked();
        let record = self.running(slot).filter(|record| record.can_be_less && asked);
        let request = record.map(|record| record.request.clone());
        let left_out = request.is_some_and(|request| self.is_left_out(now, &request, &flow));
        let Some(record) = self.running(slot) else { return };
        if left_out {
            record.left_out = true;
            // It is the same server by whatever transport.
            record.targets.retain(|target| target.endpoint != flow.remote);
            return self.target_failed(now, slot);
        }
        let request = &mut record.request;
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
        let hasher = self.by_key.hasher();
        let values = &self.config.timers;
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(record) = client.running.as_deref_mut() else { return };
        record.route = Route::Flow(flow);
        record.encoded = record.request.to_bytes();
        if record.is_ack() {
            let encoded = record.encoded.clone();
            self.clients.remove(slot);
            return self.transmit(flow, encoded);
        }
        self.waiting.begins(&flow, slot);
        client.mark = recognised(hasher, &record.branch, &record.method);
        let reliable = flow.transport.is_reliable();
        let effects = if record.is_invite() {
            let (machine, effects) = ClientInvite::start(values, reliable);
            client.machine = Machine::Invite(machine);
            effects
        } else {
            let (machine, effects) = ClientNonInvite::start(values, reliable);
            client.machine = Machine::NonInvite(machine);
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
        let method = message.get(HeaderName::CSeq).and_then(CSeq::parse).map(|cseq| cseq.method);
        let mut slot = slot_of_branch(branch);
        if method == Some(Method::Cancel) {
            // A CANCEL shares the branch of its INVITE but lives in a slot of its own.
            slot = slot.and_then(|invite| self.cancels.get(&invite).copied());
        }
        let mark = method.map(|method| recognised(self.by_key.hasher(), branch, &method));
        let same = |client: &Client| Some(client.mark) == mark;
        let found = slot.filter(|slot| self.clients.get(*slot).is_some_and(same));
        let Some(slot) = found else {
            let text =
                format!("response {} to no request of ours from {}", message.status(), flow.remote);
            return self.log(Severity::Debug, "sip.stray_response", text);
        };
        self.failed.answers((flow.transport, flow.remote));
        let record = self.running(slot).filter(|record| record.can_be_less);
        if let Some(Route::Flow(flow)) = record.map(|record| &record.route) {
            let server = flow.remote;
            self.hear_of_overload(now, server, &message);
        }
        let values = &self.config.timers;
        let Some(client) = self.clients.get_mut(slot) else { return };
        let status = message.status();
        let effects = match &mut client.machine {
            Machine::Invite(machine) => machine.response(values, status),
            Machine::NonInvite(machine) => machine.response(values, status),
            Machine::Unsent => return,
        };
        self.client_effects(now, slot, effects, Some((message, flow)));
        self.cancel_if_possible(now, slot);
    }

    pub(super) fn client_timer(&mut self, now: Instant, at: Instant, slot: Slot, timer: Timer) {
        let values = &self.config.timers;
        let Some(Client { machine, running: Some(record), .. }) = self.clients.get_mut(slot) else {
            return;
        };
        let armed = [&mut record.retransmit, &mut record.expire]
            .into_iter()
            .find(|armed| **armed == Some((timer, at)));
        let Some(armed) = armed else { return };
        *armed = None;
        let effects = match machine {
            Machine::Invite(machine) => machine.timer(values, timer),
            Machine::NonInvite(machine) => machine.timer(values, timer),
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
        let Some(client) = self.clients.get_mut(slot) else { return };
        let silent = client.running.as_ref().is_some_and(|record| record.silent);
        if let Some(record) = &mut client.running {
            let Route::Flow(flow) = record.route else { return };
            if effects.transmit {
                let message = record.encoded.clone();
                self.outputs.push_back(Output::Transmit { flow, message });
            }
            let final_response = response.as_ref().filter(|(response, _)| response.status() >= 200);
            if let Some((response, _)) = final_response {
                if effects.ack {
                    let ack = failure_ack(&record.request, response).to_bytes();
                    client.ack = Some(Box::new((flow, ack)));
                }
                client.running = None;
                self.waiting.ends(&flow, slot);
            } else {
                let changes = [
                    arm(&mut record.retransmit, effects.retransmit, now),
                    arm(&mut record.expire, effects.expire, now),
                ];
                for (timer, at) in changes.into_iter().flatten() {
                    self.timers.arm(at, TimerKey::Client(slot, timer));
                }
            }
        }
        if let Some((flow, ack)) = client.ack.as_deref().filter(|_| effects.ack) {
            self.outputs.push_back(Output::Transmit { flow: *flow, message: ack.clone() });
        }
        if let Some((mut response, flow)) = response
            && effects.deliver
            && !silent
        {
            response.pop_element(HeaderName::Via);
            self.events.push_back(Event::Response { client: ClientId(slot), response, flow });
        }
        if effects.timed_out && !silent {
            let client = self.clients.get(slot).and_then(|client| client.running.as_ref());
            if let Some(Running { request, route: Route::Flow(flow), .. }) = client.map(|r| &**r) {
                let (request, text) =
                    (request.clone(), format!("heard nothing from {}", flow.remote));
                self.log_of(&request, Severity::Debug, "sip.silent", text);
            }
            let failure = Failure::TimedOut;
            self.events.push_back(Event::Failed { client: ClientId(slot), failure });
        }
        match effects.expire {
            _ if effects.ended => drop(self.remove_client(slot)),
            Arm::After(timer, delay) if timer.only_tidies() => {
                self.finish(now, delay, Over::Client(slot));
            }
            _ => {}
        }
    }

    pub(super) fn remove_client(&mut self, slot: Slot) -> Option<Client> {
        let client = self.clients.remove(slot)?;
        if let Some(invite) = client.invite {
            self.cancels.remove(&invite);
        }
        if let Some(Route::Flow(flow)) = client.running.as_ref().map(|running| &running.route) {
            self.waiting.ends(flow, slot);
        }
        Some(client)
    }

    /// The target did not work: the next one, or failure.
    pub(super) fn target_failed(&mut self, now: Instant, slot: Slot) {
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(record) = &mut client.running else { return };
        let remote = match record.route {
            Route::Flow(flow) => {
                self.failed.failed(now, (flow.transport, flow.remote));
                self.waiting.ends(&flow, slot);
                Some(flow.remote)
            }
            Route::Pending => None,
        };
        client.machine = Machine::Unsent;
        record.retransmit = None;
        record.expire = None;
        record.route = Route::Pending;
        if !record.targets.is_empty() {
            return self.next_target(now, slot);
        }
        let (silent, left_out) = (record.silent, record.left_out);
        let gone = self.remove_client(slot).and_then(|client| client.running);
        if let Some(gone) = gone.filter(|_| !silent) {
            if !left_out {
                let remote = remote.map(|remote| remote.to_string());
                let who = remote.as_deref().unwrap_or(gone.request.uri());
                let text = format!("cannot reach {who}");
                self.log_of(&gone.request, Severity::Debug, "sip.unreachable", text);
            }
            let failure = if left_out { Failure::LeftOut } else { Failure::Unreachable };
            self.events.push_back(Event::Failed { client: ClientId(slot), failure });
        }
    }
}

/// What a response is recognised by: a hash of branch and method, with the seed of this stack.
fn recognised(hasher: &impl BuildHasher, branch: &str, method: &Method) -> u64 {
    hasher.hash_one((branch, method))
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
