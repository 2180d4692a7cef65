//! P-CSCF, TS 24.229 §5.2: the phone's door into the IMS.
//!
//! - [`config`]: where it stands and whom it trusts.
//! - `binding`: what it remembers of a registered phone; survives a restart.
//! - `register`: §5.2.2. `originating`: §5.2.6.3. `terminating`: §5.2.6.4.
//! - `identity`: which identity is asserted, §5.2.6.3.1 and RFC 3325.
//! - `emergency`: emergency calls, §5.2.10, of registered phones and of all others; `emergency_call`:
//!   what is remembered of one.
//! - `another_flow`: what a phone sends within a dialog that it made over a flow to another P-CSCF.
//! - `access`: where a phone is. `gate`: what of a stranger's messages counts against his limits.
//! - `reg_event`: the subscription to the S-CSCF's reg event, §5.2.3.
//!
//! Direction is told by the token that this P-CSCF put into Path (`term.`) and Record-Route (`mo.`,
//! `mt.`): each carries the binding's number, so that a request finds its phone without a dialog
//! state. An emergency call has a number (`sos.`) and a state of its own: it outlives a registration, and
//! a phone that has none gets nowhere else with it. Seams left open: the IPsec association of a binding (its `flow`), Rx at `Direction`.

mod access;
mod another_flow;
mod binding;
pub mod config;
mod emergency;
mod emergency_call;
mod gate;
mod identity;
mod originating;
mod reg_event;
mod register;
mod terminating;

use std::collections::VecDeque;
use std::sync::Arc;

use base::census::{self, Census, Tally};
use base::machine::{Function, Input};
use base::{Deadline, Event as LogEvent, Flow, Instant, Output, Random, Severity};
use sip::header::HeaderName;
use sip::stack::Urgent;
use sip::{Message, Method, StackConfig};

use crate::outbound;
use crate::proxy::{
    self, ContextId, OwnRoute, Proxy, Refusal, Upstream, preprocess, take_other_side,
};
use crate::restoration::register_anew;
use binding::{Binding, Bindings};
use config::PcscfConfig;
use emergency_call::EmergencyCalls;
use gate::Gate;
use reg_event::Subscriptions;

/// The table of this function in the store.
pub const TABLE: base::store::Table = base::store::Table("pcscf.binding");

/// Its table of emergency calls that were answered.
pub const EMERGENCY_TABLE: base::store::Table = base::store::Table("pcscf.emergency");

/// So many transactions, and bindings, there may be for emergencies beyond those of everybody.
const RESERVE: usize = 4096;

/// Whether a record of [`TABLE`] can be read.
pub fn is_record(key: &[u8], value: &[u8]) -> bool {
    binding::is_record(key, value)
}

/// Whether a record of [`EMERGENCY_TABLE`] can be read.
pub fn is_emergency_record(key: &[u8], value: &[u8]) -> bool {
    emergency_call::is_record(key, value)
}

/// What is remembered of a request until it is answered.
#[derive(Debug)]
enum Kept {
    Register(register::Pending),
    /// From the phone to the network; `first` if it is an INVITE without a dialog.
    Originating {
        first: bool,
    },
    /// From the network to the phone: the identity that its responses are asserted with.
    Terminating {
        asserted: Option<Arc<str>>,
        icid: Option<String>,
    },
    /// An emergency call, or a request within one.
    Emergency(emergency::Pending),
}

/// A P-CSCF.
#[derive(Debug)]
pub struct Pcscf {
    config: PcscfConfig,
    proxy: Proxy<Kept>,
    bindings: Bindings,
    subscriptions: Subscriptions,
    emergency_calls: EmergencyCalls,
    random: Random,
    draining: bool,
    outputs: VecDeque<Output>,
}

impl Pcscf {
    /// A P-CSCF without registered phones.
    pub fn new(config: PcscfConfig, mut random: Random) -> Pcscf {
        let stack = StackConfig {
            sent_by: Some(config.sent_by()),
            timers: config.timers,
            max_transactions: config.max_transactions,
            urgent: Some(urgent(&config)),
            ..StackConfig::default()
        };
        let mut proxy = Proxy::new(stack, random.fork());
        proxy.limits.configure(config.limits);
        Pcscf {
            proxy,
            bindings: Bindings::new(&mut random),
            subscriptions: Subscriptions::default(),
            emergency_calls: EmergencyCalls::default(),
            random,
            draining: false,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes over another configuration, which is also the order that a P-CSCF takes. Name, port and
    /// timers are to be those that it was built with.
    pub fn configure(&mut self, config: PcscfConfig) {
        self.proxy.stack.set_urgent(Some(urgent(&config)));
        self.proxy.limits.configure(config.limits);
        self.config = config;
    }

    /// Phones that are registered.
    pub fn registered(&self) -> usize {
        self.bindings.len()
    }

    /// How many things are alive.
    pub fn census(&self) -> Census {
        let (client, server) = self.proxy.stack.transactions();
        Census(vec![
            ("client transactions", client),
            ("server transactions", server),
            ("contexts", self.proxy.contexts()),
            ("bindings", self.bindings.len()),
            ("subscriptions", self.subscriptions.len()),
            ("emergency calls", self.emergency_calls.len()),
        ])
    }

    /// What was done so far.
    fn tally(&self) -> Tally {
        Tally(vec![("messages over the limit", self.proxy.limits.dropped()), self.proxy.shed()])
    }

    fn request(&mut self, now: Instant, upstream: Upstream, request: Message, flow: Flow) {
        if let Err(refusal) = self.route(now, &upstream, request, flow) {
            let text = self.proxy.refuse(now, &upstream, &refusal);
            let text = format!("from {}: {text}", flow.remote);
            self.tell(upstream.about(LogEvent::new(Severity::Info, "pcscf.refused", text)));
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
            preprocess(&mut request, |h, p| config.is_us(h, p, &flow), &["sec-agree", "path"])?;
        take_our_other_side(&mut request, own.as_ref());
        let token = own.as_ref().and_then(|own| Token::parse(&own.user));
        let trusted = self.config.trust.includes(&flow) && !self.bindings.is_access(&flow);
        // The network sends no emergency calls here but to phones.
        let from_phone = !trusted || token.is_none();
        let service = self.config.emergency_numbers.called(&request).filter(|_| from_phone);
        if let Some(service) = service {
            return self.emergency_call(now, upstream, request, flow, &service);
        }
        if is_for_us(&self.config, &request, &flow, own.as_ref()) {
            return self.for_us(now, upstream, &request);
        }
        if request.method() == Some(&Method::Register) {
            return self.register(now, upstream, request, flow);
        }
        match (token, trusted) {
            (Some(Token::Emergency(id)), _) => {
                self.within_emergency_call(now, upstream, request, flow, id)
            }
            (Some(Token::Path(id)), true) => self.terminating(now, upstream, request, id),
            (Some(Token::Dialog(id)), true) => self.towards_phone(now, upstream, request, id),
            (Some(Token::Dialog(id)), false) => {
                self.phone_in_dialog(now, upstream, request, flow, id)
            }
            (None, false) if self.is_of_another_flow(&request) => {
                self.by_another_flow(now, upstream, request, flow)
            }
            (_, false) => self.originating(now, upstream, request, flow),
            (None, true) if self.subscriptions.owns(&request) => {
                self.notified(now, upstream, &request);
                Ok(())
            }
            (None, true) => Err(Refusal::new(404, "no phone of ours in the Route")),
        }
    }

    /// What is for ourselves: OPTIONS, a health check (RFC 3261 §11.2), and the NOTIFYs of our
    /// subscriptions.
    fn for_us(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: &Message,
    ) -> Result<(), Refusal> {
        if request.method() == Some(&Method::Notify) {
            self.notified(now, upstream, request);
            return Ok(());
        }
        if request.method() != Some(&Method::Options) {
            return Err(Refusal::new(405, "only OPTIONS is for the P-CSCF itself"));
        }
        let status = if self.draining { 503 } else { 200 };
        let mut response = upstream.untagged(status);
        response
            .push(HeaderName::Allow, "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, MESSAGE");
        response.push(HeaderName::Supported, "path");
        self.proxy.respond_once(now, upstream, response);
        Ok(())
    }

    fn ack(&mut self, now: Instant, mut ack: Message, flow: Flow) {
        let config = &self.config;
        let own = preprocess(&mut ack, |h, p| config.is_us(h, p, &flow), &[]).ok().flatten();
        take_our_other_side(&mut ack, own.as_ref());
        let token = own.and_then(|own| Token::parse(&own.user));
        let trusted = self.config.trust.includes(&flow);
        let hop = match token {
            Some(Token::Emergency(id)) => return self.emergency_ack(now, ack, flow, id),
            // By its Path comes what could not come by another P-CSCF.
            Some(Token::Path(id)) if trusted => self.bindings.get(id).map(Binding::hop),
            Some(Token::Dialog(id)) => match self.bindings.get(id) {
                Some(binding) if binding.owns(&flow) => proxy::onward(&ack),
                Some(binding) if trusted => Some(binding.hop()),
                _ => self.ack_by_another_flow(&mut ack, &flow, id),
            },
            None if !trusted => outbound::next_flow(&ack)
                .and_then(|id| self.ack_by_another_flow(&mut ack, &flow, id)),
            _ => None,
        };
        if let Some(hop) = hop {
            self.proxy.stack.send_ack(now, ack, hop);
        }
    }

    fn response(
        &mut self,
        now: Instant,
        context: ContextId,
        mut response: Message,
        flow: Option<Flow>,
    ) {
        let silent = flow.is_none() && self.proxy.is_silent(context);
        let Some(kept) = self.proxy.kept(context) else { return };
        match kept {
            Kept::Register(pending) => {
                let pending = pending.clone();
                self.registered_or_not(now, &pending, &mut response);
            }
            Kept::Originating { first } => {
                // §5.2.6.3.3: nobody is where the Service-Route leads; an S-CSCF would have said 100.
                if *first && silent && matches!(response.status(), 408 | 504) {
                    response = Message::answer(&response, 504);
                    let us = format!("sip:{}", self.config.sent_by());
                    register_anew(&mut response, &us, "the S-CSCF does not answer");
                    let text = "an S-CSCF says nothing to an INVITE: the phone is to register anew";
                    let event =
                        LogEvent::new(Severity::Warning, "pcscf.scscf_silent", text.to_owned());
                    let call = response.get(HeaderName::CallId).unwrap_or("");
                    self.outputs.push_back(Output::Log(event.call_id(call)));
                } else {
                    identity::leave_trust_domain(&mut response);
                }
            }
            Kept::Terminating { asserted, icid } => {
                identity::enter_trust_domain(&mut response, asserted.as_deref(), icid.as_deref());
            }
            Kept::Emergency(pending) => {
                let pending = pending.clone();
                self.emergency_response(now, &pending, &mut response);
            }
        }
        self.proxy.pass(now, context, response);
    }

    fn tell(&mut self, event: LogEvent) {
        self.outputs.push_back(Output::Log(event));
    }

    fn settle(&mut self, now: Instant) {
        while let Some(event) = self.proxy.poll_event(now) {
            match event {
                proxy::Event::Request { upstream, request, flow } => {
                    self.request(now, upstream, request, flow);
                }
                proxy::Event::Ack { request, flow } => self.ack(now, request, flow),
                proxy::Event::Response { context, response, flow } => {
                    self.response(now, context, response, flow);
                }
                proxy::Event::Own { client, response } => {
                    if let Some(id) = self.subscriptions.answered(client, response) {
                        self.unsubscribed(now, id);
                    }
                }
                proxy::Event::FlowClosed { flow } => {
                    self.bindings.flow_closed(&flow);
                    self.emergency_calls.flow_closed(&flow);
                }
                // Everything is forwarded at once, so that a CANCEL always finds its context.
                proxy::Event::Cancelled { .. } => {}
            }
        }
    }
}

/// What is taken where there is no room for others.
fn urgent(config: &PcscfConfig) -> Urgent {
    let numbers = config.emergency_numbers.clone();
    let is = Arc::new(move |request: &Message| emergency::is_urgent(&numbers, request));
    Urgent { reserve: RESERVE, is }
}

/// The user parts that this P-CSCF mints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    /// `term.N`, in Path.
    Path(u64),
    /// `mo.N` or `mt.N`, in Record-Route.
    Dialog(u64),
    /// `sos.N`, in Record-Route.
    Emergency(u64),
}

impl Token {
    fn parse(user: &str) -> Option<Token> {
        let of = |kinds| outbound::flow_of(user, kinds);
        let dialog = || of(&["mo", "mt"]).map(Token::Dialog);
        of(&["term"])
            .map(Token::Path)
            .or_else(dialog)
            .or_else(|| of(&["sos"]).map(Token::Emergency))
    }
}

/// Of the two Record-Routes of a call one has the address of the phone's side, which a request from the
/// network need not have come in at.
fn take_our_other_side(request: &mut Message, own: Option<&OwnRoute>) {
    if let Some(own) = own.filter(|own| Token::parse(&own.user).is_some()) {
        take_other_side(request, own);
    }
}

/// Whether the Request-URI is this P-CSCF itself and no token says otherwise.
fn is_for_us(config: &PcscfConfig, request: &Message, flow: &Flow, own: Option<&OwnRoute>) -> bool {
    let token = own.and_then(|own| Token::parse(&own.user));
    let register = request.method() == Some(&Method::Register);
    let uri = sip::Uri::parse(request.uri()).and_then(sip::Uri::sip);
    token.is_none()
        && !register
        && !request.has(HeaderName::Route)
        && uri.is_some_and(|u| config.is_us(&u.host.to_ascii_lowercase(), u.port, flow))
}

impl Function for Pcscf {
    fn handle(&mut self, now: Instant, input: Input) {
        let Pcscf { proxy, config, bindings, emergency_calls, .. } = self;
        let judge = Gate { config, bindings, emergency_calls };
        match proxy.handle_from(now, input, &judge) {
            Some(Input::Restored { table, key, value }) if table == TABLE => {
                match self.bindings.restore(now, &key, &value) {
                    Some(Ok(binding)) => self.subscriptions.restore(binding),
                    Some(Err(over)) => self.outputs.push_back(over),
                    None => {}
                }
            }
            Some(Input::Forgotten { table, key }) if table == TABLE => {
                if let Some(id) = self.bindings.forget(now, &key) {
                    self.subscriptions.end(now, id);
                }
            }
            Some(Input::Forgotten { table, key }) if table == EMERGENCY_TABLE => {
                self.emergency_calls.forget(&key);
            }
            Some(Input::Restored { table, key, value }) if table == EMERGENCY_TABLE => {
                self.emergency_calls.restore(now, &key, &value);
            }
            Some(Input::Timeout) => {
                self.expire(now);
                self.expire_emergency_calls(now);
            }
            Some(Input::Order(order)) if census::Ask::is(&order) => {
                self.outputs.push_back(self.tally().into());
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
        self.proxy.poll_output().or_else(|| self.outputs.pop_front())
    }

    fn deadline(&self) -> Option<Deadline> {
        let timers = [
            (self.bindings.next_expiry(), "registration expiry"),
            (self.subscriptions.next_expiry(), "subscription end"),
            (self.emergency_calls.next_expiry(), "emergency call end"),
        ];
        timers.into_iter().fold(self.proxy.deadline(), |next, (at, reason)| {
            Deadline::earliest(next, at.map(|at| Deadline { at, reason }))
        })
    }

    fn is_busy(&self) -> bool {
        self.proxy.is_busy()
    }
}
