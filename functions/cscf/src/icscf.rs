//! I-CSCF, TS 24.229 §5.3: asks the HSS which S-CSCF serves a user, and forwards.
//!
//! - [`config`]: where it stands and which S-CSCFs there are.
//! - `register`: §5.3.1, User-Authorization.
//! - `locate`: §5.3.2, Location-Info.
//! - `select`: the S-CSCF for a user who has none, TS 23.228 §5.1.2.3.
//! - `next`: another one when the first does not answer, §5.3.1.3.
//!
//! It keeps no state beyond a transaction and does not record-route.

pub mod config;
mod locate;
mod next;
mod register;
mod select;

use std::collections::BTreeMap;
use std::collections::VecDeque;

use base::census::{self, Census};
use base::machine::{Function, Input};
use base::timer::Timers;
use base::{Deadline, Event as LogEvent, Flow, Instant, Output, Random, Severity};
use diameter::cx::ServerCapabilities;
use diameter::node::RequestId;
use sip::header::HeaderName;
use sip::{Hop, Message, Method, ServerId, StackConfig, Uri};

use crate::cx::{Answer, Cx};
use crate::emergency;
use crate::limits::Inner;
use crate::proxy::{self, ContextId, OwnRoute, Proxy, Refusal, Upstream, in_dialog, preprocess};
use config::IcscfConfig;
use next::{Away, Trying};
use select::{Choice, select};

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
    /// The same, for another S-CSCF than those that were tried.
    Capabilities(ContextId),
    /// For originating services, or to find a called user.
    LocationInfo {
        originating: bool,
    },
}

/// An I-CSCF.
#[derive(Debug)]
pub struct Icscf {
    config: IcscfConfig,
    proxy: Proxy<Option<Box<Trying>>>,
    cx: Cx,
    /// How long S-CSCFs may take to answer.
    patience: Timers<ContextId>,
    away: Away,
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
            patience: Timers::default(),
            away: Away::default(),
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
                self.proxy.respond_once(now, upstream, upstream.untagged(status));
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
            Asked::Capabilities(context) => return self.reassigned(now, context, answer),
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

    /// The S-CSCF for a user. Those that did not answer lately are asked last.
    fn choose(
        &self,
        now: Instant,
        serving: Option<String>,
        wanted: Option<&ServerCapabilities>,
        tried: &[String],
    ) -> Option<Choice> {
        let tried = |uri: &str| tried.iter().any(|other| select::is_same(other, uri));
        let out = |uri: &str| tried(uri) || self.away.has(now, uri);
        let scscfs = &self.config.scscfs;
        select(scscfs, serving.clone(), wanted, out)
            .or_else(|| select(scscfs, serving, wanted, tried))
    }

    /// Sends a request to an S-CSCF.
    fn forward(
        &mut self,
        now: Instant,
        waiting: Waiting,
        to: &Choice,
        keep: Option<Box<Trying>>,
    ) -> Result<(), Refusal> {
        let hop = self.hop(&waiting.upstream, to)?;
        self.proxy.forward(now, waiting.upstream, vec![(waiting.request, hop)], keep);
        Ok(())
    }

    /// Where a chosen S-CSCF is.
    fn hop(&mut self, upstream: &Upstream, to: &Choice) -> Result<Hop, Refusal> {
        let text = format!("{}: {}", to.uri, to.why);
        let event = LogEvent::new(Severity::Debug, "icscf.chosen", text);
        self.tell(upstream.about(event));
        sip::Stack::hop(&to.uri).ok_or(Refusal::new(500, "the S-CSCF's name is no SIP URI"))
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
                proxy::Event::Response { context, response, flow } => {
                    self.response(now, context, response, flow);
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
            Some(Input::Timeout) => self.lose_patience(now),
            _ => {}
        }
        self.settle(now);
    }

    fn poll(&mut self) -> Option<Output> {
        let next = self.cx.poll_output().or_else(|| self.proxy.poll_output());
        let output = next.or_else(|| self.outputs.pop_front());
        if output.is_none() {
            self.drop_stale();
        }
        output
    }

    fn deadline(&self) -> Option<Deadline> {
        let patience = self.patience.next().map(|at| Deadline { at, reason: "an S-CSCF's answer" });
        let own = Deadline::earliest(self.cx.deadline(), patience);
        Deadline::earliest(self.proxy.deadline(), own)
    }

    fn is_busy(&self) -> bool {
        self.proxy.is_busy() || !self.waiting.is_empty()
    }
}
