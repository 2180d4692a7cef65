//! I-CSCF, TS 24.229 §5.3: asks the HSS which S-CSCF serves a user, and forwards.
//!
//! - [`config`]: where it stands and which S-CSCFs there are.
//! - `register`: §5.3.1, User-Authorization.
//! - `locate`: §5.3.2, Location-Info.
//! - `select`: the S-CSCF for a user who has none, TS 23.228 §5.1.2.3.
//!
//! It keeps no state beyond a transaction and does not record-route.

pub mod config;
mod locate;
mod register;
mod select;

use std::collections::BTreeMap;
use std::collections::VecDeque;

use base::census::{self, Census};
use base::machine::{Function, Input};
use base::{Deadline, Event as LogEvent, Flow, Instant, Output, Random, Severity};
use diameter::node::RequestId;
use sip::header::HeaderName;
use sip::{Message, Method, ServerId, StackConfig, Uri};

use crate::cx::{Answer, Cx};
use crate::emergency;
use crate::limits::Inner;
use crate::proxy::{self, OwnRoute, Proxy, Refusal, Upstream, in_dialog, preprocess};
use config::IcscfConfig;
use select::Choice;

/// A request that waits for the HSS.
#[derive(Debug)]
struct Waiting {
    upstream: Upstream,
    request: Message,
    asked: Asked,
}

/// What the HSS was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    UserAuthorization,
    /// For originating services, or to find a called user.
    LocationInfo {
        originating: bool,
    },
}

/// An I-CSCF.
#[derive(Debug)]
pub struct Icscf {
    config: IcscfConfig,
    proxy: Proxy<()>,
    cx: Cx,
    waiting: BTreeMap<RequestId, Waiting>,
    draining: bool,
    outputs: VecDeque<Output>,
}

impl Icscf {
    /// An I-CSCF.
    pub fn new(config: IcscfConfig, mut random: Random) -> Icscf {
        let stack = StackConfig { sent_by: Some(config.sent_by()), ..StackConfig::default() };
        let mut proxy = Proxy::new(stack, random.fork());
        proxy.limits.configure(config.limits);
        Icscf {
            proxy,
            cx: Cx::new(
                config.diameter.clone(),
                config.diameter_realm.clone(),
                config.cx_timeout,
                random.fork(),
            ),
            waiting: BTreeMap::new(),
            draining: false,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes over another configuration, which is also the order that an I-CSCF takes. Names, ports
    /// and Diameter peers are to be those that it was built with.
    pub fn configure(&mut self, config: IcscfConfig) {
        self.cx.node.trust(config.diameter.trusted.clone());
        self.proxy.limits.configure(config.limits);
        self.config = config;
    }

    /// How many things are alive.
    pub fn census(&self) -> Census {
        let (client, server) = self.proxy.stack.transactions();
        Census(vec![
            ("client transactions", client),
            ("server transactions", server),
            ("contexts", self.proxy.contexts()),
            ("Cx requests", self.waiting.len().max(self.cx.node.pending().0)),
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
        if !self.config.trust.includes(&flow) {
            // TS 24.229 §5.3.2.1: what comes from outside the trust domain loses what it asserts.
            let claims = [
                HeaderName::PAssertedIdentity,
                HeaderName::PChargingVector,
                HeaderName::ResourcePriority,
            ];
            claims.into_iter().for_each(|name| request.remove(name));
            emergency::strip_call_back(&mut request);
        }
        match request.method() {
            Some(Method::Register) => self.authorize(now, upstream, request),
            Some(Method::Options) if self.is_for_us(&request, &flow) => {
                let status = if self.draining { 503 } else { 200 };
                self.proxy.respond_once(upstream, upstream.untagged(status));
                Ok(())
            }
            _ if in_dialog(&request) => Err(Refusal::new(481, "the I-CSCF has no dialogs")),
            _ => self.locate(now, upstream, request, own.as_ref()),
        }
    }

    fn is_for_us(&self, request: &Message, flow: &Flow) -> bool {
        let uri = Uri::parse(request.uri()).and_then(Uri::sip);
        uri.is_some_and(|u| {
            u.user.is_none() && self.config.is_us(&u.host.to_ascii_lowercase(), u.port, flow)
        })
    }

    fn answered(&mut self, now: Instant, id: RequestId, answer: &Answer) {
        let Some(waiting) = self.waiting.remove(&id) else { return };
        if !self.proxy.is_unanswered(&waiting.upstream) {
            return;
        }
        let upstream = waiting.upstream.clone();
        let result = match waiting.asked {
            Asked::UserAuthorization => self.authorized(now, waiting, answer),
            Asked::LocationInfo { originating } => self.located(now, waiting, originating, answer),
        };
        if let Err(refusal) = result {
            let text = format!("{}: {answer}", refusal.why);
            let event = LogEvent::new(Severity::Info, "icscf.cx_refused", text);
            self.tell(upstream.about(event));
            self.refuse(now, &upstream, &refusal);
        }
    }

    /// Sends a request to an S-CSCF.
    fn forward(&mut self, now: Instant, waiting: Waiting, to: &Choice) -> Result<(), Refusal> {
        let text = format!("{}: {}", to.uri, to.why);
        let event = LogEvent::new(Severity::Debug, "icscf.chosen", text);
        self.tell(waiting.upstream.about(event));
        let hop =
            sip::Stack::hop(&to.uri).ok_or(Refusal::new(500, "the S-CSCF's name is no SIP URI"))?;
        self.proxy.forward(now, waiting.upstream, vec![(waiting.request, hop)], ());
        Ok(())
    }

    fn refuse(&mut self, now: Instant, upstream: &Upstream, refusal: &Refusal) {
        let text = self.proxy.refuse(now, upstream, refusal);
        self.tell(upstream.about(LogEvent::new(Severity::Info, "icscf.refused", text)));
    }

    fn tell(&mut self, event: LogEvent) {
        self.outputs.push_back(Output::Log(event));
    }

    /// An INVITE that waits for the HSS was cancelled, RFC 3261 §9.2.
    fn cancelled(&mut self, now: Instant, server: ServerId) {
        let ours = |waiting: &Waiting| waiting.upstream.server() == server;
        let waiting = self.waiting.iter().find(|(_, w)| ours(w)).map(|(id, _)| *id);
        if let Some(waiting) = waiting.and_then(|id| self.waiting.remove(&id)) {
            self.proxy.reply(now, &waiting.upstream, 487);
        }
    }

    fn settle(&mut self, now: Instant) {
        loop {
            if let Some((id, answer)) = self.cx.poll() {
                self.answered(now, id, &answer);
                continue;
            }
            let Some(event) = self.proxy.poll_event(now) else { return };
            match event {
                proxy::Event::Request { upstream, request, flow } => {
                    self.request(now, upstream, request, flow);
                }
                proxy::Event::Response { context, response, .. } => {
                    self.proxy.pass(now, context, response);
                }
                proxy::Event::Cancelled { server } => self.cancelled(now, server),
                // We are in no dialog: an ACK for a 2xx does not come this way.
                proxy::Event::Ack { .. }
                | proxy::Event::Own { .. }
                | proxy::Event::FlowClosed { .. } => {}
            }
        }
    }
}

/// Whether the Route that named us asks for the originating services, TS 24.229 §5.3.2.1A.
fn asks_originating(own: Option<&OwnRoute>) -> bool {
    own.is_some_and(|own| own.has("orig"))
}

impl Function for Icscf {
    fn handle(&mut self, now: Instant, input: Input) {
        let judge = Inner { trust: &self.config.trust, others: None };
        let input = self.cx.node.handle(now, input);
        match input.and_then(|input| self.proxy.handle_from(now, input, &judge)) {
            Some(Input::Order(order)) if census::Ask::is(&order) => {
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
        next.or_else(|| self.outputs.pop_front())
    }

    fn deadline(&self) -> Option<Deadline> {
        Deadline::earliest(self.proxy.deadline(), self.cx.deadline())
    }

    fn is_busy(&self) -> bool {
        self.proxy.is_busy() || !self.waiting.is_empty()
    }
}
