//! The stateful proxy core that P-, I- and S-CSCF share: RFC 3261 §16.
//!
//! A CSCF decides *where* a request goes and *what* is rewritten; this core keeps the response
//! context (§16.7): it forks, cancels, picks the best answer, runs Timer C (§16.8) and turns silence
//! into a response. `T` is what the CSCF wants to remember about a request until it is answered.

mod checks;
mod context;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use base::machine::Input;
use base::slots::{Slot, Slots};
use base::time::Duration;
use base::timer::{Delays, Timers};
use base::{Deadline, Event as LogEvent, Flow, Instant, Output, Random};
use sip::header::{CSeq, HeaderName, NameAddr, delta_seconds};
use sip::{ClientId, Hop, Message, Method, ServerId, Stack, StackConfig};

use crate::limits::{Judge, Limits, LimitsConfig};
pub use checks::{OwnRoute, Refusal, in_dialog, loose, preprocess, take_other_side};
use context::{Branch, Context, Spare};

/// Timer C: longer than three minutes, RFC 3261 §16.6 step 11.
const TIMER_C: Duration = Duration::from_secs(190);

/// How long further 2xx, from forks or repeated, have to find their way: 64*T1.
const FURTHER: Duration = Duration::from_secs(32);

/// Where the answer to a request goes: its server transaction, and what every response repeats of it.
#[derive(Clone, Debug)]
pub struct Upstream {
    server: ServerId,
    /// A response with Via, From, To, Call-ID and CSeq, RFC 3261 §8.2.6.2.
    repeats: Arc<Message>,
    /// What the request is recognised by if it comes back as it was, RFC 5393 §4.2.
    mark: u64,
    /// So many branches it may have at a time, here and further on, RFC 5393 §5.3.
    breadth: u32,
    /// Other ways for some of the copies that it is forwarded as.
    ways: Vec<(String, Vec<Way>)>,
}

/// Another flow to the phone that a copy of a request goes to, RFC 5626 §7.
#[derive(Clone, Debug)]
pub struct Way {
    /// The Request-URI.
    pub uri: String,
    /// The Route.
    pub route: Vec<String>,
    /// The next hop.
    pub hop: Hop,
}

/// The Max-Breadth of a request that has none, and the largest that is taken: RFC 5393 §5.3.3.
const MAX_BREADTH: u32 = 60;

impl Upstream {
    fn of(server: ServerId, request: &Message, mark: u64) -> Upstream {
        let breadth = request.get(HeaderName::MaxBreadth).and_then(delta_seconds);
        let breadth = breadth.unwrap_or(MAX_BREADTH).min(MAX_BREADTH);
        let repeats = Arc::new(Message::answer(request, 100));
        Upstream { server, repeats, mark, breadth, ways: Vec::new() }
    }

    /// Other ways for this copy, the best one first: each is tried if those before are gone.
    pub fn otherwise(&mut self, copy: &Message, mut ways: Vec<Way>) {
        ways.reverse();
        self.ways.push((place_of(copy), ways));
    }

    /// What every response repeats of the request: Via, From, To, Call-ID and CSeq as they came.
    pub fn came(&self) -> Arc<Message> {
        Arc::clone(&self.repeats)
    }

    /// Its server transaction.
    pub fn server(&self) -> ServerId {
        self.server
    }

    /// The same log event, about the request's call; that of a REGISTER is also about whom it
    /// registers.
    pub fn about(&self, mut event: LogEvent) -> LogEvent {
        if let Some(call_id) = self.repeats.get(HeaderName::CallId) {
            event = event.call_id(call_id);
        }
        let to = self.repeats.get(HeaderName::To).and_then(NameAddr::parse);
        match to.and_then(|to| to.parsed_uri().map(|uri| uri.aor())) {
            Some(aor) if self.method() == Some(Method::Register) => event.impu(aor),
            _ => event,
        }
    }

    /// The request's method.
    pub fn method(&self) -> Option<Method> {
        self.repeats.get(HeaderName::CSeq).and_then(CSeq::parse).map(|cseq| cseq.method)
    }

    /// The line of the log for a refusal.
    pub fn refused(&self, refusal: &Refusal) -> String {
        let to = self.repeats.get(HeaderName::To).unwrap_or("");
        let method = self.method();
        let method = method.as_ref().map_or("", Method::as_str);
        format!("{method} to {to} refused with {}: {}", refusal.status, refusal.why)
    }

    /// A response without a To tag: for [`Proxy::respond_once`], and for a tag of the CSCF's own.
    pub fn untagged(&self, status: u16) -> Message {
        Message::answer(&self.repeats, status)
    }
}

/// Why the other branches are cancelled when one answered, RFC 3326 §3.1: so that no phone tells of a
/// missed call.
fn elsewhere(status: u16) -> String {
    let text = if status < 300 { "Call completed elsewhere" } else { "Call declined elsewhere" };
    format!("SIP;cause={status};text=\"{text}\"")
}

/// Where a copy goes, as no other copy of the same request does.
fn place_of(copy: &Message) -> String {
    let route = copy.list(HeaderName::Route).next();
    format!("{} {}", route.unwrap_or_default(), copy.uri())
}

/// A request that is being proxied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ContextId(Slot);

/// What a CSCF hears from the core.
#[derive(Debug)]
pub enum Event {
    /// A new request. The CSCF forwards it, or answers it.
    Request {
        /// Where the answer goes.
        upstream: Upstream,
        /// The request.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// An ACK for a 2xx, to be sent on.
    Ack {
        /// The ACK.
        request: Message,
        /// Where it came from.
        flow: Flow,
    },
    /// A request that the CSCF has not forwarded yet is cancelled: it has to answer 487.
    Cancelled {
        /// The INVITE's server transaction.
        server: ServerId,
    },
    /// A response that is to be passed upstream with [`Proxy::pass`] once the CSCF has seen to it:
    /// a provisional one, a 2xx, or the best of the failures.
    Response {
        /// The request's context.
        context: ContextId,
        /// The response.
        response: Message,
        /// Where it came from; `None` if the core made it.
        flow: Option<Flow>,
    },
    /// The answer to a request of the CSCF's own, or the status that its failure counts as.
    Own {
        /// Its client transaction.
        client: ClientId,
        /// The response.
        response: Result<Message, u16>,
    },
    /// A connection ended.
    FlowClosed {
        /// The flow.
        flow: Flow,
    },
}

/// Where a request goes by its own routes: the first Route, else the Request-URI.
pub fn onward(request: &Message) -> Option<Hop> {
    let route = request.list(HeaderName::Route).next().and_then(sip::header::NameAddr::parse);
    Stack::hop(route.map_or(request.uri(), |address| address.uri))
}

/// The proxy core of one CSCF.
#[derive(Debug)]
pub struct Proxy<T> {
    /// The SIP stack, for requests and answers of the CSCF's own.
    pub stack: Stack,
    contexts: Slots<Context<T>>,
    by_server: HashMap<ServerId, Slot, foldhash::quality::FixedState>,
    by_client: HashMap<ClientId, Slot, foldhash::quality::FixedState>,
    /// Timers C.
    timers: Timers<Slot>,
    /// INVITEs that were answered with a 2xx.
    answered: Delays<Slot>,
    events: VecDeque<Event>,
    /// The INVITE that the CSCF looks at now.
    trying: Option<Upstream>,
    /// How much one source may ask.
    pub(crate) limits: Limits,
}

impl<T> Proxy<T> {
    /// A proxy without requests.
    pub fn new(config: StackConfig, mut random: Random) -> Proxy<T> {
        let seed = random.u64();
        let hasher = || foldhash::quality::FixedState::with_seed(seed);
        Proxy {
            stack: Stack::new(config, random),
            contexts: Slots::default(),
            by_server: HashMap::with_hasher(hasher()),
            by_client: HashMap::with_hasher(hasher()),
            timers: Timers::default(),
            answered: Delays::default(),
            events: VecDeque::new(),
            trying: None,
            limits: Limits::new(LimitsConfig::default()),
        }
    }

    /// Forwards a request to one or more targets at once (§16.6). Each copy carries its own
    /// Request-URI and Route. `keep` is handed back with every response. More copies than the
    /// request may have are a 440 (RFC 5393 §5.3.3.1).
    pub fn forward(
        &mut self,
        now: Instant,
        upstream: Upstream,
        copies: Vec<(Message, Hop)>,
        keep: T,
    ) {
        if copies.len() > upstream.breadth as usize {
            return self.reply(now, &upstream, 440);
        }
        let server = upstream.server;
        let invite = self.stack.is_invite(server);
        let slot = self.contexts.insert(Context::new(upstream, invite, keep));
        self.by_server.insert(server, slot);
        if invite {
            let at = now + TIMER_C;
            self.timers.arm(at, slot);
            if let Some(context) = self.contexts.get_mut(slot) {
                context.timer_c = Some(at);
            }
        }
        self.send_copies(now, slot, copies);
    }

    fn send_copies(&mut self, now: Instant, slot: Slot, copies: Vec<(Message, Hop)>) {
        let upstream = self.contexts.get(slot).and_then(|context| context.upstream.as_deref());
        let Some(Upstream { mark, breadth, ways, .. }) = upstream else { return };
        let (mark, breadth, count) = (*mark, *breadth, copies.len() as u32);
        let ways = ways.clone();
        for (number, (mut copy, hop)) in copies.into_iter().enumerate() {
            // The branches share what there is.
            let share = breadth / count + u32::from((number as u32) < breadth % count);
            copy.set(HeaderName::MaxBreadth, share.to_string());
            let spare = (!ways.is_empty()).then(|| place_of(&copy));
            let spare = spare.and_then(|place| ways.iter().find(|(of, _)| *of == place));
            let spare = spare.map(|(_, ways)| Spare::new(copy.clone(), ways.clone()));
            let spare = spare.map(Box::new);
            checks::meet_strict_router(&mut copy);
            let client = self.stack.forward(now, copy, hop, mark);
            self.by_client.insert(client, slot);
            if let Some(context) = self.contexts.get_mut(slot) {
                context.branches.push(Branch::new(client, spare));
            }
        }
        self.settle(now);
    }

    /// Answers a request with a refusal, and returns a line for the log.
    pub fn refuse(&mut self, now: Instant, upstream: &Upstream, refusal: &Refusal) -> String {
        let mut response = self.answer(upstream, refusal.status);
        if let Some((name, value)) = &refusal.header {
            response.push(*name, value.as_str());
        }
        self.respond(now, upstream, response);
        upstream.refused(refusal)
    }

    /// A response with a To tag.
    pub fn answer(&mut self, upstream: &Upstream, status: u16) -> Message {
        self.stack.answer(&upstream.repeats, status)
    }

    /// Answers a request.
    pub fn respond(&mut self, now: Instant, upstream: &Upstream, response: Message) {
        self.stack.respond(now, upstream.server, response);
    }

    /// Answers a request with a status and nothing else.
    pub fn reply(&mut self, now: Instant, upstream: &Upstream, status: u16) {
        self.stack.reply(now, upstream.server, &upstream.repeats, status);
    }

    /// Answers a request and keeps nothing of it, see [`Stack::respond_once`].
    pub fn respond_once(&mut self, now: Instant, upstream: &Upstream, response: Message) {
        self.stack.respond_once(now, upstream.server, response);
    }

    /// Whether the request still waits for a final response.
    pub fn is_unanswered(&self, upstream: &Upstream) -> bool {
        self.stack.is_unanswered(upstream.server)
    }

    /// Sends further copies of a request that was forwarded and not answered: after an application
    /// server, an emergency centre or a trunk failed. A request that was cancelled meanwhile ends.
    pub fn again(&mut self, now: Instant, context: ContextId, copies: Vec<(Message, Hop)>) {
        let Some(record) = self.contexts.get_mut(context.0) else { return };
        if record.cancelled {
            return self.abort(now, context, 487);
        }
        record.answered = false;
        self.send_copies(now, context.0, copies);
    }

    /// Whether nobody has said anything to a request that was forwarded, not even 100.
    pub fn is_silent(&self, context: ContextId) -> bool {
        let record = self.contexts.get(context.0);
        record.is_some_and(|record| !record.branches.iter().any(|branch| branch.heard))
    }

    /// Cancels the copies of an INVITE that are not answered. Their answers come as others do, and the request may
    /// go on after them.
    pub fn cancel_copies(&mut self, now: Instant, context: ContextId) {
        let Some(record) = self.contexts.get(context.0).filter(|record| record.invite) else {
            return;
        };
        for branch in record.branches.iter().filter(|branch| branch.last.is_none()) {
            self.stack.cancel(now, branch.client, None);
        }
    }

    /// Waits no longer for an answer to a request that was forwarded: it counts as a 504. What comes later
    /// is nobody's; an INVITE is cancelled as soon as that is possible.
    pub fn give_up(&mut self, now: Instant, context: ContextId) {
        let upstream = self.contexts.get(context.0).and_then(|record| record.upstream.clone());
        let Some(upstream) = upstream else { return };
        let response = self.answer(&upstream, 504);
        let Some(record) = self.contexts.get_mut(context.0) else { return };
        for branch in record.branches.iter_mut().filter(|branch| branch.last.is_none()) {
            self.by_client.remove(&branch.client);
            self.stack.cancel(now, branch.client, None);
            branch.last = Some(Some(Box::new((response.clone(), None))));
        }
        self.settle_failure(context);
    }

    /// The ways that copies of a request may take which was forwarded before, and goes on.
    pub fn goes_on(&mut self, context: ContextId, upstream: &Upstream) {
        let known = self.contexts.get_mut(context.0).and_then(|c| c.upstream.as_mut());
        if let Some(known) = known {
            known.ways.clone_from(&upstream.ways);
        }
    }

    /// Sends a request of the CSCF's own; its answer comes as [`Event::Own`].
    pub fn send(&mut self, now: Instant, request: Message, hop: Hop) -> ClientId {
        self.stack.request(now, request, hop)
    }

    /// The context of a request that was forwarded and is still remembered.
    pub fn context_of(&self, server: ServerId) -> Option<ContextId> {
        self.by_server.get(&server).copied().map(ContextId)
    }

    /// What was kept with a context.
    pub fn kept(&mut self, context: ContextId) -> Option<&mut T> {
        self.contexts.get_mut(context.0).map(|c| &mut c.keep)
    }

    /// Passes a response upstream.
    pub fn pass(&mut self, now: Instant, context: ContextId, response: Message) {
        let Some(record) = self.contexts.get_mut(context.0) else { return };
        let (invite, status) = (record.invite, response.status());
        self.stack.respond(now, record.server, response);
        if status < 200 {
            return;
        }
        record.upstream = None;
        record.timer_c = None;
        if invite && status < 300 {
            self.answered.after(now, FURTHER, context.0);
        } else {
            self.forget(context.0);
        }
    }

    /// Ends all branches of a request that has no final answer, and answers it with `status`.
    pub fn abort(&mut self, now: Instant, context: ContextId, status: u16) {
        self.cancel_branches(now, context.0, None, None);
        if let Some(upstream) = self.contexts.get(context.0).and_then(|c| c.upstream.clone()) {
            let response = self.answer(&upstream, status);
            self.pass(now, context, response);
        }
    }

    /// The other way that a request went in the end, if it did, and the user part of the Route that it had before.
    pub fn way_taken(&self, context: ContextId) -> Option<(&str, &Way)> {
        let branches = &self.contexts.get(context.0)?.branches;
        let taken =
            branches.iter().filter(|branch| branch.last.as_ref().is_none_or(Option::is_none));
        let mut spares = taken.filter_map(|branch| branch.spare.as_ref());
        let spare = spares.find(|spare| spare.taken.is_some())?;
        let way = spare.taken.as_ref()?;
        let route = spare.request.list(HeaderName::Route).next().and_then(NameAddr::parse)?;
        Some((sip::Uri::parse(route.uri)?.sip()?.user?, way))
    }

    /// Requests that were refused because the process does not keep up, for a tally.
    pub(crate) fn shed(&self) -> (&'static str, u64) {
        ("requests refused in overload", self.stack.shed())
    }

    /// Requests that are not answered yet or still waited for.
    pub fn contexts(&self) -> usize {
        self.contexts.len()
    }

    /// Whether a request is not answered yet.
    pub fn is_busy(&self) -> bool {
        self.contexts.iter().any(|(_, context)| !context.answered)
    }

    fn forget(&mut self, slot: Slot) {
        let Some(context) = self.contexts.remove(slot) else { return };
        self.by_server.remove(&context.server);
        for branch in context.branches {
            self.by_client.remove(&branch.client);
        }
    }

    /// Takes what is the proxy's, and hands the rest back; [`Input::Timeout`] may be others', too.
    pub fn handle(&mut self, now: Instant, input: Input) -> Option<Input> {
        let rest = match input {
            Input::Received { flow, message } => {
                self.stack.received(now, flow, message);
                None
            }
            Input::Opened { open, flow } => {
                self.stack.opened(now, open, flow);
                None
            }
            Input::OpenFailed { open, .. } => {
                self.stack.open_failed(now, open);
                None
            }
            Input::Closed { flow, .. } => {
                self.limits.closed(&flow);
                self.stack.closed(now, flow);
                None
            }
            Input::Resolved { query, targets } => {
                self.stack.resolved(now, query, targets);
                None
            }
            Input::Overload { percent } => {
                self.stack.overloaded(percent);
                None
            }
            Input::Timeout => {
                self.timeout(now);
                Some(Input::Timeout)
            }
            other => return Some(other),
        };
        self.settle(now);
        rest
    }

    /// The same, if the limits of a message's source allow it.
    pub(crate) fn handle_from(
        &mut self,
        now: Instant,
        input: Input,
        judge: &impl Judge,
    ) -> Option<Input> {
        let Input::Received { flow, message } = input else { return self.handle(now, input) };
        self.limits.receive(now, &mut self.stack, judge, flow, message);
        self.settle(now);
        None
    }

    /// Fires what is due.
    fn timeout(&mut self, now: Instant) {
        self.stack.timeout(now);
        while let Some((at, slot)) = self.timers.due(now) {
            self.timer_c(now, at, slot);
        }
        while let Some((_, slot)) = self.answered.due(now) {
            self.forget(slot);
        }
    }

    /// The next event for the CSCF; what it did not answer by now will take its time.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        if let Some(upstream) = self.trying.take()
            && self.is_unanswered(&upstream)
        {
            // §17.2.1: nobody knows whether an answer comes within 200 ms.
            self.respond(now, &upstream, upstream.repeats.as_ref().clone());
        }
        let event = self.events.pop_front()?;
        if let Event::Request { upstream, request, .. } = &event
            && request.method() == Some(&Method::Invite)
        {
            self.trying = Some(upstream.clone());
        }
        Some(event)
    }

    /// The next output for the engine.
    pub fn poll_output(&mut self) -> Option<Output> {
        let said = || self.limits.poll_event().map(Output::Log);
        let output = self.stack.poll_output().or_else(said);
        if output.is_none() {
            let contexts = &self.contexts;
            let waited_for =
                |at, slot: &Slot| contexts.get(*slot).is_some_and(|c| c.timer_c == Some(at));
            while self.timers.peek().is_some_and(|(at, slot)| !waited_for(at, slot)) {
                self.timers.pop();
            }
            self.timers.tidy(contexts.len() - self.answered.len().min(contexts.len()), waited_for);
        }
        output
    }

    /// When a timer is due.
    pub fn deadline(&self) -> Option<Deadline> {
        let next = [self.timers.next(), self.answered.next()].into_iter().flatten().min();
        let own = next.map(|at| Deadline { at, reason: "sip Timer C" });
        Deadline::earliest(self.stack.deadline(), own)
    }

    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.stack.poll_event() {
            match event {
                sip::Event::Request { server, request, flow } => {
                    let mark = self.stack.mark_of(&request);
                    let upstream = Upstream::of(server, &request, mark);
                    if self.stack.has_seen(&request, mark) {
                        self.reply(now, &upstream, 482);
                        continue;
                    }
                    self.events.push_back(Event::Request { upstream, request, flow });
                }
                sip::Event::Ack { request, flow } => {
                    self.events.push_back(Event::Ack { request, flow });
                }
                sip::Event::Cancel { server, request } => self.cancelled(now, server, &request),
                sip::Event::Response { client, response, flow } => {
                    self.response(now, client, response, Some(flow));
                }
                sip::Event::Failed { client, failure } => self.failed(now, client, failure),
                sip::Event::FlowClosed { flow } => {
                    self.events.push_back(Event::FlowClosed { flow });
                }
            }
        }
    }

    /// RFC 3261 §16.10.
    fn cancelled(&mut self, now: Instant, server: ServerId, cancel: &Message) {
        match self.by_server.get(&server) {
            Some(slot) => {
                if let Some(context) = self.contexts.get_mut(*slot) {
                    context.cancelled = true;
                }
                let reason = cancel.get(HeaderName::Reason).map(str::to_owned);
                self.cancel_branches(now, *slot, None, reason);
            }
            None => self.events.push_back(Event::Cancelled { server }),
        }
    }

    fn cancel_branches(
        &mut self,
        now: Instant,
        slot: Slot,
        but: Option<ClientId>,
        reason: Option<String>,
    ) {
        let Some(context) = self.contexts.get_mut(slot) else { return };
        context.ending = true;
        for branch in &context.branches {
            if branch.last.is_none() && Some(branch.client) != but {
                self.stack.cancel(now, branch.client, reason.clone());
            }
        }
    }

    fn failed(&mut self, now: Instant, client: ClientId, failure: sip::Failure) {
        let Some(slot) = self.by_client.get(&client).copied() else {
            let response = Err(failure.status());
            return self.events.push_back(Event::Own { client, response });
        };
        let Some(context) = self.contexts.get(slot) else { return };
        let Some(upstream) = context.upstream.clone() else { return };
        // TS 24.229 §5.2.6.3, §5.3.2.1: a next hop that cannot be reached is a 504; RFC 4320 §4.2: a
        // 408 is not sent for other requests than INVITE, the client times out by itself.
        let status = match failure {
            sip::Failure::TimedOut if context.invite => 408,
            sip::Failure::LeftOut => 503,
            _ => 504,
        };
        let response = self.answer(&upstream, status);
        self.response(now, client, response, None);
    }

    /// RFC 3261 §16.7.
    fn response(&mut self, now: Instant, client: ClientId, response: Message, flow: Option<Flow>) {
        let Some(slot) = self.by_client.get(&client).copied() else {
            return self.events.push_back(Event::Own { client, response: Ok(response) });
        };
        let gone = matches!(response.status(), 408 | 430 | 504);
        if gone && self.another_way(now, slot, client) {
            return;
        }
        // That all flows are gone is nobody's business but ours: RFC 5626 §11.5.
        let upstream = self.contexts.get(slot).and_then(|context| context.upstream.clone());
        let (response, flow) = match upstream.filter(|_| response.status() == 430) {
            Some(upstream) => (self.answer(&upstream, 480), None),
            None => (response, flow),
        };
        let Some(context) = self.contexts.get_mut(slot) else { return };
        let id = ContextId(slot);
        let from = context.branches.iter_mut().find(|branch| branch.client == client);
        if let Some(branch) = from.filter(|_| flow.is_some()) {
            branch.heard = true;
        }
        match response.status() {
            100 => {}
            101..200 => {
                if context.answered {
                    return;
                }
                if context.invite {
                    let at = now + TIMER_C;
                    context.timer_c = Some(at);
                    self.timers.arm(at, slot);
                }
                self.events.push_back(Event::Response { context: id, response, flow });
            }
            200..300 => {
                let again = context.answered && !context.invite;
                context.answered = true;
                context.finish(client, None);
                if again {
                    return;
                }
                self.events.push_back(Event::Response { context: id, response, flow });
                self.cancel_branches(now, slot, Some(client), Some(elsewhere(200)));
            }
            status => {
                context.finish(client, Some((response, flow)));
                if status >= 600 {
                    self.cancel_branches(now, slot, Some(client), Some(elsewhere(status)));
                }
                self.settle_failure(id);
            }
        }
    }

    /// RFC 5626 §7: the flow of a branch is gone; its phone may have another one.
    fn another_way(&mut self, now: Instant, slot: Slot, client: ClientId) -> bool {
        let Some(context) = self.contexts.get_mut(slot) else { return false };
        let Some(mark) = context.upstream.as_ref().map(|upstream| upstream.mark) else {
            return false;
        };
        let open = !context.answered && !context.ending;
        let branch = context.branches.iter_mut().find(|branch| branch.client == client);
        let Some(branch) = branch.filter(|_| open) else { return false };
        let Some(spare) = &mut branch.spare else { return false };
        let Some(way) = spare.ways.pop() else { return false };
        let mut copy = spare.request.clone();
        copy.set_uri(&way.uri);
        copy.remove(HeaderName::Route);
        for route in &way.route {
            copy.push(HeaderName::Route, route.as_str());
        }
        checks::meet_strict_router(&mut copy);
        branch.client = self.stack.forward(now, copy, way.hop.clone(), mark);
        spare.taken = Some(way);
        self.by_client.insert(branch.client, slot);
        self.by_client.remove(&client);
        true
    }

    /// Once every branch has failed, the best failure goes upstream, §16.7 step 6.
    fn settle_failure(&mut self, id: ContextId) {
        let Some(context) = self.contexts.get_mut(id.0) else { return };
        if context.answered || context.branches.iter().any(|b| b.last.is_none()) {
            return;
        }
        if let Some((response, flow)) = context.best_failure() {
            context.answered = true;
            self.events.push_back(Event::Response { context: id, response, flow });
        }
    }

    /// RFC 3261 §16.8: nobody answered for too long.
    fn timer_c(&mut self, now: Instant, at: Instant, slot: Slot) {
        let due = self.contexts.get(slot).is_some_and(|c| c.timer_c == Some(at) && !c.answered);
        if due {
            self.cancel_branches(now, slot, None, None);
            self.abort(now, ContextId(slot), 408);
        }
    }
}
