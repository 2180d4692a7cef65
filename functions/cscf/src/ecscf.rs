//! E-CSCF, TS 24.229 §5.11 and TS 23.167 §6.2.2: brings emergency calls to a centre (PSAP).
//!
//! A call goes to the centres of its service one after the other, until one takes it. What the phone said
//! of its place goes with it untouched: Geolocation (RFC 6442) with its bodies, P-Access-Network-Info.
//! Requests within the call pass by the Record-Route of both its sides.
//!
//! Seams left open: LRF and RDF (the location is the centre's to read), EATF, and centres in the
//! circuit-switched network.

pub mod config;

use std::collections::VecDeque;

use base::census::{self, Census};
use base::machine::{Function, Input};
use base::time::Duration;
use base::{Deadline, Event as LogEvent, Flow, Instant, Output, Random, Severity};
use sip::header::{HeaderName, NameAddr};
use sip::transaction::TimerValues;
use sip::{Message, Method, ServiceUrn, Stack, StackConfig};

use crate::proxy::{self, ContextId, OwnRoute, Proxy, Refusal, Upstream, loose, preprocess};
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
        let proxy = Proxy::new(stack, random);
        Ecscf { config, proxy, draining: false, outputs: VecDeque::new() }
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
            self.proxy.respond_once(upstream, upstream.untagged(status));
            return Ok(());
        }
        if !self.config.trust.includes(&flow) {
            return Err(Refusal::new(403, "not from the trust domain"));
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
        let centre = centres.pop_front().ok_or(none)?;
        let text = format!("emergency call for {service} goes to {centre}");
        self.tell(upstream.about(LogEvent::new(Severity::Info, "ecscf.call", text)));
        let copy = self.towards(&request, &centre)?;
        let kept = Kept { call: Some(Box::new((request, centres))) };
        self.proxy.forward(now, upstream.clone(), vec![copy], kept);
        Ok(())
    }

    /// The call on its way to a centre: the Request-URI stays the service, the Route says who.
    fn towards(&self, request: &Message, centre: &str) -> Result<(Message, sip::Hop), Refusal> {
        let hop = Stack::hop(centre).ok_or(Refusal::new(500, "the centre is no SIP URI"))?;
        let mut copy = request.clone();
        self.config.door.record_route(&mut copy, TOKEN, centre, true);
        copy.push_front(HeaderName::Route, format!("<{}>", loose(centre)));
        Ok((copy, hop))
    }

    /// Within a call: along the routes that we were put into.
    fn within_dialog(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        own: Option<&OwnRoute>,
    ) -> Result<(), Refusal> {
        let ours = own.is_some_and(|own| own.user == TOKEN);
        let hop = if ours { proxy::onward(&request) } else { None };
        let hop = hop.ok_or(Refusal::new(481, "no emergency call of ours"))?;
        if request.method().is_some_and(Method::refreshes_target) {
            let route = format!("<sip:{TOKEN}@{};lr>", self.config.door.sent_by());
            request.push_front(HeaderName::RecordRoute, route);
        }
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], Kept::default());
        Ok(())
    }

    fn ack(&mut self, now: Instant, mut ack: Message, flow: Flow) {
        let door = &self.config.door;
        let own = preprocess(&mut ack, |h, p| door.is_us(h, p, &flow), &[]).ok().flatten();
        let ours = own.is_some_and(|own| own.user == TOKEN) && self.config.trust.includes(&flow);
        if let Some(hop) = proxy::onward(&ack).filter(|_| ours) {
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
            let (request, next) = (call.0.clone(), call.1.pop_front());
            let (call_id, status) =
                (request.get(HeaderName::CallId).unwrap_or(""), response.status());
            let onward = next.as_ref().map_or("there is no other", String::as_str);
            let text = format!("an emergency centre failed with {status}; next: {onward}");
            let event = LogEvent::new(Severity::Warning, "ecscf.centre_failed", text);
            self.tell(event.call_id(call_id));
            if let Some(Ok(copy)) = next.map(|centre| self.towards(&request, &centre)) {
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

fn in_dialog(request: &Message) -> bool {
    request.get(HeaderName::To).and_then(NameAddr::parse).is_some_and(|to| to.tag().is_some())
}

/// Whether the next centre is to be asked: not if the caller gave up, nor if a centre says that it speaks
/// for all (6xx).
fn is_failure(status: u16) -> bool {
    (300..600).contains(&status) && status != 487
}

impl Function for Ecscf {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Received { flow, message } => self.proxy.received(now, flow, message),
            Input::Opened { open, flow } => self.proxy.opened(now, open, flow),
            Input::OpenFailed { open, .. } => self.proxy.open_failed(now, open),
            Input::Closed { flow, .. } => self.proxy.closed(now, flow),
            Input::Resolved { query, targets } => self.proxy.resolved(now, query, targets),
            Input::Timeout => self.proxy.timeout(now),
            Input::Order(order) if census::Ask::is(&order) => {
                self.outputs.push_back(self.census().into());
            }
            Input::Drain => self.draining = true,
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
