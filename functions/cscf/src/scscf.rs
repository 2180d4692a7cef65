//! S-CSCF, TS 24.229 §5.4: registrar, service control, routing.
//!
//! - [`config`]: where it stands and its limits.
//! - `registrar`: REGISTER, §5.4.1; `authenticate`: the challenge, §5.4.1.2.1; `user`: who is
//!   registered, kept in the store.
//! - `third_party`: REGISTER to application servers, §5.4.1.7.
//! - `gruu`: URIs that reach one instance of a phone, §5.4.7A, RFC 5627.
//! - `reg_event`: the notifier, §5.4.2, RFC 3680; `watchers`: its subscriptions, kept in the store.
//! - [`profile`]: Cx-User-Data; [`ifc`]: initial filter criteria; [`pattern`]: what they look for.
//! - `session`: initial requests, §5.4.3.2 (`originating`) and §5.4.3.3 (`terminating`), through the
//!   criteria (`application_server`), and requests within dialogs.
//! - `flows`: a phone's other flows within a dialog, RFC 5626.
//! - `preferences`: which contacts a caller wants, RFC 3841.
//! - `sequence`: contacts that are tried one after the other, RFC 3841 §9.1.
//! - `enum_query`: numbers that DNS knows, RFC 6116.
//! - `network_initiated`: RTR and PPR of the HSS, §5.4.1.5.
//!
//! Seams left open: Ro at `session`. Sessions are not released when a registration ends (§5.4.5.1.2):
//! no dialogs are kept.

mod application_server;
mod authenticate;
pub mod config;
mod contact;
mod enum_query;
mod flows;
pub(crate) mod gruu;
pub mod ifc;
mod network_initiated;
mod originating;
pub mod pattern;
mod preferences;
pub mod profile;
mod reg_event;
mod registrar;
mod restoration;
mod sequence;
mod session;
mod terminating;
mod third_party;
mod user;
mod watchers;

use std::collections::{BTreeMap, VecDeque};

use base::census::{self, Census, Tally};
use base::machine::{Function, Input};
use base::{Deadline, Event as LogEvent, Flow, Instant, Output, Random, Severity};
use diameter::node::RequestId;
use sip::header::HeaderName;
use sip::{Message, Method, ServerId, StackConfig, Uri};

use crate::anchor::Anchor;
use crate::cx::{Answer, Cx};
use crate::limits::Inner;
use crate::proxy::{self, ContextId, OwnRoute, Proxy, Refusal, Upstream, in_dialog, preprocess};
use authenticate::Challenges;
use config::ScscfConfig;
use enum_query::EnumQueries;
use flows::Detours;
use gruu::Gruus;
pub use network_initiated::SERVES;
use sequence::Turns;
use session::Leg;
use third_party::ThirdParty;
use user::Users;
use watchers::Watchers;

/// The table of this function in the store.
pub const TABLE: base::store::Table = base::store::Table("scscf.user");

/// Its table of subscriptions to the reg event.
pub const WATCHERS: base::store::Table = base::store::Table("scscf.watcher");

/// Its table with the key of the GRUUs.
pub const GRUU_TABLE: base::store::Table = base::store::Table("scscf.gruu");

/// Tallied: REGISTERs that were answered with 200.
const ACCEPTED: &str = "REGISTER accepted";
/// Tallied: REGISTERs that were refused for good; a challenge is none.
const REFUSED: &str = "REGISTER refused";

/// Whether a record of [`TABLE`] can be read.
pub fn is_record(key: &[u8], value: &[u8]) -> bool {
    user::is_record(key, value)
}

/// Whether a record of [`WATCHERS`] can be read.
pub fn is_watcher_record(key: &[u8], value: &[u8]) -> bool {
    watchers::is_record(key, value)
}

/// Whether a record of [`GRUU_TABLE`] can be read.
pub fn is_gruu_record(key: &[u8], value: &[u8]) -> bool {
    crate::key::is_record(key, value)
}

/// What waits for the HSS.
#[derive(Debug)]
enum Waiting {
    /// MAR: a REGISTER to be challenged.
    Challenge(registrar::Register),
    /// SAR: a REGISTER to be answered.
    Assign(registrar::Register),
    /// SAR: a request for a user who is not registered.
    Unregistered(session::Pending),
    /// SAR: a request of a phone whom we do not know.
    Caller(Box<(proxy::Upstream, Message)>),
    /// SAR that nobody waits for.
    Quiet,
}

/// An S-CSCF.
#[derive(Debug)]
pub struct Scscf {
    config: ScscfConfig,
    proxy: Proxy<Leg>,
    cx: Cx,
    waiting: BTreeMap<RequestId, Waiting>,
    users: Users,
    gruus: Gruus,
    challenges: Challenges,
    watchers: Watchers,
    third_party: ThirdParty,
    anchor: Anchor<Leg>,
    enum_queries: EnumQueries,
    detours: Detours,
    turns: Turns,
    random: Random,
    draining: bool,
    tally: Tally,
    outputs: VecDeque<Output>,
}

impl Scscf {
    /// An S-CSCF without users.
    pub fn new(config: ScscfConfig, mut random: Random) -> Scscf {
        let stack = StackConfig { sent_by: Some(config.sent_by()), ..StackConfig::default() };
        let mut proxy = Proxy::new(stack, random.fork());
        proxy.limits.configure(config.limits);
        Scscf {
            proxy,
            cx: Cx::new(
                config.diameter.clone(),
                config.diameter_realm.clone(),
                config.cx_timeout,
                random.fork(),
            ),
            waiting: BTreeMap::new(),
            users: Users::default(),
            gruus: Gruus::new(random.fork()),
            challenges: Challenges::default(),
            watchers: Watchers::new(random.u64()),
            third_party: ThirdParty::default(),
            anchor: Anchor::new(config.relay.clone(), random.fork()),
            enum_queries: EnumQueries::default(),
            detours: Detours::default(),
            turns: Turns::default(),
            random,
            draining: false,
            tally: Tally::of(&[ACCEPTED, REFUSED]),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes over another configuration, which is also the order that an S-CSCF takes. Names, ports
    /// and Diameter peers are to be those that it was built with. Calls keep the media relay that they
    /// have.
    pub fn configure(&mut self, config: ScscfConfig) {
        self.cx.node.trust(config.diameter.trusted.clone());
        self.anchor.configure(config.relay.clone());
        self.proxy.limits.configure(config.limits);
        self.config = config;
    }

    /// Users with at least one contact.
    pub fn registered(&self) -> usize {
        self.users.len()
    }

    /// How many things are alive.
    pub fn census(&self) -> Census {
        let (client, server) = self.proxy.stack.transactions();
        Census(vec![
            ("client transactions", client),
            ("server transactions", server),
            ("contexts", self.proxy.contexts()),
            ("Cx requests", self.waiting.len().max(self.cx.node.pending().0)),
            ("bindings", self.users.contacts()),
            ("watchers", self.watchers.len()),
            ("third-party REGISTERs", self.third_party.len()),
            ("challenges", self.challenges.len()),
            ("relay requests", self.anchor.len()),
            ("ENUM queries", self.enum_queries.len()),
            ("detours", self.detours.len()),
        ])
    }

    fn request(&mut self, now: Instant, upstream: Upstream, request: Message, flow: Flow) {
        if let Err(refusal) = self.route(now, &upstream, request, flow) {
            self.refuse(now, &upstream, &refusal);
        }
    }

    fn route(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
    ) -> Result<(), Refusal> {
        let config = &self.config;
        let own =
            preprocess(&mut request, |h, p| config.is_us(h, p, &flow), &["path", "sec-agree"])?;
        let ours = Uri::parse(request.uri())
            .and_then(Uri::sip)
            .filter(|uri| !gruu::is_temporary(uri))
            .is_some_and(|u| config.is_us(&u.host.to_ascii_lowercase(), u.port, &flow));
        let trusted = self.config.trust.includes(&flow);
        match request.method() {
            Some(Method::Register) => return self.register(now, upstream, request),
            Some(Method::Options) if ours && own.is_none() => {
                let status = if self.draining { 503 } else { 200 };
                self.proxy.respond_once(now, upstream, upstream.untagged(status));
                return Ok(());
            }
            Some(Method::Subscribe) if ours && in_dialog(&request) => {
                return self.resubscribe(now, upstream, &request);
            }
            _ if !trusted => {
                let text = base::trust::Networks::refusal(&flow);
                let event = LogEvent::new(Severity::Info, "scscf.not_trusted", text);
                self.tell(upstream.about(event));
                return Err(Refusal::new(403, "not from the trust domain"));
            }
            _ => {}
        }
        let own = own.unwrap_or_default();
        if in_dialog(&request) {
            return self.within_dialog(now, upstream, request, &own);
        }
        if self.draining {
            return Err(Refusal::new(503, "shutting down"));
        }
        self.initial(now, upstream, request, &own)
    }

    fn refuse(&mut self, now: Instant, upstream: &Upstream, refusal: &Refusal) {
        let text = self.proxy.refuse(now, upstream, refusal);
        if upstream.method() == Some(Method::Register) {
            self.tally.add(REFUSED);
        }
        self.tell(upstream.about(LogEvent::new(Severity::Info, "scscf.refused", text)));
    }

    fn log(&mut self, severity: Severity, counter: &'static str, text: String) {
        self.tell(LogEvent::new(severity, counter, text));
    }

    fn tell(&mut self, event: LogEvent) {
        self.outputs.push_back(Output::Log(event));
    }

    fn answered(&mut self, now: Instant, id: RequestId, answer: &Answer) {
        match self.waiting.remove(&id) {
            Some(Waiting::Challenge(register)) => self.challenge(now, register, answer),
            Some(Waiting::Assign(register)) => self.assigned(now, register, answer),
            Some(Waiting::Unregistered(pending)) => self.unregistered(now, pending, answer),
            Some(Waiting::Caller(caller)) => {
                let (upstream, request) = *caller;
                self.caller_told(now, &upstream, request, answer);
            }
            Some(Waiting::Quiet) | None => {}
        }
    }

    fn ack(&mut self, now: Instant, mut ack: Message, flow: Flow) {
        let config = &self.config;
        let own = preprocess(&mut ack, |h, p| config.is_us(h, p, &flow), &[]);
        let own: OwnRoute = own.ok().flatten().unwrap_or_default();
        if self.config.trust.includes(&flow) {
            self.relay_ack(now, ack, &own);
        }
    }

    fn cancelled(&mut self, now: Instant, server: ServerId) {
        let upstream_of = |waiting: &Waiting| match waiting {
            Waiting::Unregistered(pending) => Some(pending.upstream.clone()),
            Waiting::Caller(caller) => Some(caller.0.clone()),
            _ => None,
        };
        let waits = self.waiting.iter().find_map(|(id, waiting)| {
            let upstream = upstream_of(waiting).filter(|u| u.server() == server)?;
            Some((*id, upstream))
        });
        if let Some((id, upstream)) = waits {
            self.waiting.remove(&id);
            return self.proxy.reply(now, &upstream, 487);
        }
        let waits = self.enum_queries.cancel(server).or_else(|| self.anchor.cancel(server));
        if let Some(upstream) = waits {
            self.proxy.reply(now, &upstream, 487);
        }
    }

    fn settle(&mut self, now: Instant) {
        loop {
            if let Some((id, answer)) = self.cx.poll() {
                self.answered(now, id, &answer);
                continue;
            }
            if let Some((handle, message)) = self.cx.poll_request() {
                self.network_initiated(now, handle, &message);
                continue;
            }
            if let Some(job) = self.anchor.poll() {
                self.anchored(now, job);
                continue;
            }
            let Some(event) = self.proxy.poll_event(now) else { return };
            match event {
                proxy::Event::Request { upstream, request, flow } => {
                    self.request(now, upstream, request, flow);
                }
                proxy::Event::Ack { request, flow } => self.ack(now, request, flow),
                proxy::Event::Response { context, response, .. } => {
                    self.response(now, context, response);
                }
                proxy::Event::Own { client, response } => {
                    if !self.registered_at_server(now, client, &response) {
                        self.notify_answered(client, &response);
                    }
                }
                proxy::Event::Cancelled { server } => self.cancelled(now, server),
                proxy::Event::FlowClosed { .. } => {}
            }
        }
    }

    fn response(&mut self, now: Instant, context: ContextId, response: Message) {
        match self.proxy.kept(context).map(|leg| leg.clone()) {
            Some(leg) => self.leg_response(now, context, &leg, response),
            None => self.proxy.pass(now, context, response),
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some(impi) = self.users.expired(now) {
            self.expire_contacts(now, &impi);
        }
        self.challenges.expire(now);
        self.detours.expire(now);
        self.end_turns(now);
        self.expire_subscriptions(now);
    }
}

/// The address of record in a name-addr header field.
fn aor_of(message: &Message, name: HeaderName) -> Option<String> {
    let address = message.list(name).next().and_then(sip::header::NameAddr::parse)?;
    address.parsed_uri().map(|uri| uri.aor())
}

impl Function for Scscf {
    fn handle(&mut self, now: Instant, input: Input) {
        let input = self.cx.node.handle(now, input);
        let input = input.and_then(|input| self.anchor.handle(now, input));
        let judge = Inner { trust: &self.config.trust, others: None };
        match input.and_then(|input| self.proxy.handle_from(now, input, &judge)) {
            Some(Input::Restored { table, value, .. }) if table == TABLE => {
                self.users.restore(&value);
            }
            Some(Input::Restored { table, key, value }) if table == WATCHERS => {
                self.watchers.restore(&key, &value);
            }
            Some(Input::Forgotten { table, key }) if table == TABLE => self.users.forget(&key),
            Some(Input::Forgotten { table, key }) if table == WATCHERS => {
                self.watchers.forget(&key);
            }
            Some(Input::Restored { table, value, .. }) if table == GRUU_TABLE => {
                self.gruus.restore(&value);
            }
            Some(Input::Start) => self.outputs.extend(self.gruus.start()),
            Some(Input::Naptr { query, records }) => self.enum_answered(now, query, &records),
            Some(Input::Timeout) => {
                self.expire_enum(now);
                self.expire(now);
            }
            Some(Input::Order(order)) if census::Ask::is(&order) => {
                let mut tally = self.tally.clone();
                tally.0.push(self.proxy.shed());
                self.outputs.push_back(tally.into());
                self.outputs.push_back(self.census().into());
            }
            Some(Input::Order(order)) => {
                if let Ok(config) = order.take() {
                    self.configure(config);
                }
            }
            Some(Input::Drain) => self.draining = true,
            _ => {}
        }
        self.settle(now);
    }

    fn poll(&mut self) -> Option<Output> {
        let next = self.cx.poll_output().or_else(|| self.proxy.poll_output());
        next.or_else(|| self.anchor.poll_output())
            .or_else(|| self.watchers.poll_output())
            .or_else(|| self.outputs.pop_front())
    }

    fn deadline(&self) -> Option<Deadline> {
        let mut next = Deadline::earliest(self.proxy.deadline(), self.cx.deadline());
        next = Deadline::earliest(next, self.anchor.deadline());
        let timers = [
            (self.users.next_expiry(), "registration expiry"),
            (self.challenges.next_expiry(), "reg-await-auth"),
            (self.detours.next_expiry(), "another flow"),
            (self.turns.next(), "the next contact's turn"),
            (self.watchers.next_expiry(), "subscription expiry"),
            (self.enum_queries.next_expiry(), "ENUM patience"),
        ];
        for (at, reason) in timers {
            next = Deadline::earliest(next, at.map(|at| Deadline { at, reason }));
        }
        next
    }

    fn is_busy(&self) -> bool {
        self.proxy.is_busy() || !self.waiting.is_empty() || self.enum_queries.len() > 0
    }
}
