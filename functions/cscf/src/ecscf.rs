//! E-CSCF, TS 24.229 §5.11 and TS 23.167 §6.2.2: brings emergency calls to a centre (PSAP).
//!
//! A call goes to the centres of its service one after the other, until one takes it. What the phone said
//! of its place goes with it untouched: Geolocation (RFC 6442) with its bodies, P-Access-Network-Info.
//! Requests within the call pass by the Record-Route of both its sides. A centre's call back may come in here,
//! too, and goes to the I-CSCF like every other.
//!
//! Seams left open: LRF and RDF (the location is the centre's to read), EATF.

pub mod config;

use std::collections::VecDeque;

use base::census::{self, Census};
use base::machine::{Function, Input};
use base::time::Duration;
use base::{Deadline, Event as LogEvent, Flow, Instant, Output, Random, Severity};
use sip::header::HeaderName;
use sip::transaction::TimerValues;
use sip::{Message, Method, ServiceUrn, SipUri, Stack, StackConfig, Uri};

use crate::emergency::CALL_BACK;
use crate::limits::Inner;
use crate::number;
use crate::proxy::{
    self, ContextId, OwnRoute, Proxy, Refusal, Upstream, in_dialog, loose, preprocess,
};
use crate::trust_domain::strip_internal;
use config::EcscfConfig;

/// The user part of our Record-Route.
const TOKEN: &str = "sos";

/// How long a centre may say nothing at all before the next one is asked.
const SILENCE: Duration = Duration::from_secs(8);

/// What is remembered of a request until it is answered.
#[derive(Debug, Default)]
struct Kept {
    /// An emergency call: as it came, and the centres that were not asked yet.
    call: Option<Box<(Message, VecDeque<String>)>>,
}

/// A call on its way.
type Copy = (Message, sip::Hop);

/// An E-CSCF.
#[derive(Debug)]
pub struct Ecscf {
    config: EcscfConfig,
    proxy: Proxy<Kept>,
    draining: bool,
    outputs: VecDeque<Output>,
}

impl Ecscf {
    /// An E-CSCF.
    pub fn new(config: EcscfConfig, random: Random) -> Ecscf {
        let stack = StackConfig {
            sent_by: Some(config.door.sent_by()),
            timers: TimerValues { b: SILENCE, ..TimerValues::RFC3261 },
            ..StackConfig::default()
        };
        let mut proxy = Proxy::new(stack, random);
        proxy.limits.configure(config.limits);
        Ecscf { config, proxy, draining: false, outputs: VecDeque::new() }
    }

    /// Takes over another configuration, which is also the order that an E-CSCF takes. Name and addresses are
    /// to be those that it was built with.
    pub fn configure(&mut self, config: EcscfConfig) {
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
        ])
    }

    fn request(&mut self, now: Instant, upstream: Upstream, request: Message, flow: Flow) {
        if let Err(refusal) = self.route(now, &upstream, request, flow) {
            let text = self.proxy.refuse(now, &upstream, &refusal);
            let text = format!("from {}: {text}", flow.remote);
            self.tell(upstream.about(LogEvent::new(Severity::Warning, "ecscf.refused", text)));
        }
    }

    fn route(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
    ) -> Result<(), Refusal> {
        let door = &self.config.door;
        let own = preprocess(&mut request, |h, p| door.is_us(h, p, &flow), &["path", "sec-agree"])?;
        if request.method() == Some(&Method::Options) && own.is_none() {
            let status = if self.draining { 503 } else { 200 };
            self.proxy.respond_once(now, upstream, upstream.untagged(status));
            return Ok(());
        }
        let centre = self.config.from.has(&flow);
        if !centre && !self.config.trust.includes(&flow) {
            return Err(Refusal::new(
                403,
                "neither a centre (`from` below `[ecscf]`) nor one of us",
            ));
        }
        if in_dialog(&request) {
            return self.within_dialog(now, upstream, request, own.as_ref());
        }
        if self.draining {
            return Err(Refusal::new(503, "shutting down"));
        }
        let service = ServiceUrn::parse(request.uri()).filter(ServiceUrn::is_emergency);
        match (request.method(), service) {
            (Some(Method::Invite), Some(service)) => self.call(now, upstream, request, &service),
            (Some(Method::Invite), None) if centre => self.call_back(now, upstream, request, flow),
            _ => Err(Refusal::new(403, "no emergency call")),
        }
    }

    /// §5.11.2: an emergency call goes to the first centre.
    fn call(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        service: &ServiceUrn,
    ) -> Result<(), Refusal> {
        // The centre is ours to choose.
        request.remove(HeaderName::Route);
        let mut centres: VecDeque<String> = self.config.centres.of(service).into();
        let none = Refusal::new(503, "no emergency centre is configured: `centre` below `[ecscf]`");
        let (centre, copy) = self.next(&request, &mut centres).ok_or(none)?;
        let text = format!("emergency call for {service} goes to {centre}");
        self.tell(upstream.about(LogEvent::new(Severity::Info, "ecscf.call", text)));
        let kept = Kept { call: Some(Box::new((request, centres))) };
        self.proxy.forward(now, upstream.clone(), vec![copy], kept);
        Ok(())
    }

    /// The next centre that can be asked, and the call on its way there.
    fn next(&self, request: &Message, centres: &mut VecDeque<String>) -> Option<(String, Copy)> {
        std::iter::from_fn(|| centres.pop_front()).find_map(|centre| {
            let copy = self.towards(request, &centre)?;
            Some((centre, copy))
        })
    }

    /// The Request-URI stays the service, the Route says who. A centre in the public telephone network has
    /// its number in the Request-URI, and the BGCF in Route.
    fn towards(&self, request: &Message, centre: &str) -> Option<Copy> {
        let mut copy = request.clone();
        let next = if centre.starts_with("tel:") {
            copy.set_uri(centre);
            self.config.bgcf.as_deref()?
        } else {
            centre
        };
        let hop = Stack::hop(next)?;
        self.config.door.record_route(&mut copy, TOKEN, next, true);
        copy.push_front(HeaderName::Route, format!("<{}>", loose(next)));
        Some((copy, hop))
    }

    /// RFC 7090: a centre, which need not know more than our address, calls somebody back.
    fn call_back(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
    ) -> Result<(), Refusal> {
        let (door, home) = (&self.config.door, &self.config.home_domain);
        let ours = |uri: &SipUri<'_>| {
            let host = uri.host.to_ascii_lowercase();
            host == *home || door.is_us(&host, uri.port, &flow)
        };
        let at_home = |uri: &SipUri<'_>| uri.host.eq_ignore_ascii_case(home);
        let user = Uri::parse(request.uri()).and_then(Uri::sip).is_some_and(|uri| at_home(&uri));
        match number::of(request.uri(), ours, None).filter(|number| number.starts_with('+')) {
            Some(number) => request.set_uri(format!("tel:{number}")),
            None if user => {}
            None => return Err(Refusal::new(404, "no emergency call, and nobody of this network")),
        }
        request.remove(HeaderName::Route);
        strip_internal(&mut request);
        request.set(HeaderName::Priority, CALL_BACK);
        door.record_route(&mut request, TOKEN, &format!("sip:{}", flow.remote), false);
        let hop = sip::Hop::Name(self.config.icscf.clone());
        let text = format!("{} calls {} back", flow.remote, request.uri());
        self.tell(upstream.about(LogEvent::new(Severity::Info, "ecscf.call_back", text)));
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], Kept::default());
        Ok(())
    }

    /// Within a call: along the routes that we were put into.
    fn within_dialog(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        own: Option<&OwnRoute>,
    ) -> Result<(), Refusal> {
        let hop = self.config.door.within(&mut request, own, TOKEN);
        let hop = hop.ok_or(Refusal::new(481, "no emergency call of ours"))?;
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], Kept::default());
        Ok(())
    }

    fn ack(&mut self, now: Instant, mut ack: Message, flow: Flow) {
        if !self.config.from.has(&flow) && !self.config.trust.includes(&flow) {
            return;
        }
        if let Some(hop) = self.config.door.ack(&mut ack, &flow, TOKEN) {
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
        let call = self.proxy.kept(context).and_then(|kept| kept.call.as_mut());
        if let Some(call) = call.filter(|_| is_failure(response.status())) {
            let (request, mut centres) = (call.0.clone(), call.1.clone());
            let next = self.next(&request, &mut centres);
            if let Some(Kept { call: Some(call) }) = self.proxy.kept(context) {
                call.1 = centres;
            }
            let (call_id, status) =
                (request.get(HeaderName::CallId).unwrap_or(""), response.status());
            let onward = next.as_ref().map_or("there is no other", |(centre, _)| centre);
            let text = format!("an emergency centre failed with {status}; next: {onward}");
            let event = LogEvent::new(Severity::Warning, "ecscf.centre_failed", text);
            self.tell(event.call_id(call_id));
            if let Some((_, copy)) = next {
                return self.proxy.again(now, context, vec![copy]);
            }
            if flow.is_none() {
                // Nobody could be reached: the phone may try another network.
                response = Message::answer(&response, 503);
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
                // Everything is forwarded at once, so that a CANCEL always finds its context.
                proxy::Event::Cancelled { .. }
                | proxy::Event::Own { .. }
                | proxy::Event::FlowClosed { .. } => {}
            }
        }
    }
}

/// Whether the next centre is to be asked: not if the caller gave up, nor if a centre says that it speaks
/// for all (6xx).
fn is_failure(status: u16) -> bool {
    (300..600).contains(&status) && status != 487
}

impl Function for Ecscf {
    fn handle(&mut self, now: Instant, input: Input) {
        let judge = Inner { trust: &self.config.trust, others: Some(&self.config.from) };
        match self.proxy.handle_from(now, input, &judge) {
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
        self.proxy.poll_output().or_else(|| self.outputs.pop_front())
    }

    fn deadline(&self) -> Option<Deadline> {
        self.proxy.deadline()
    }

    fn is_busy(&self) -> bool {
        self.proxy.is_busy()
    }
}
