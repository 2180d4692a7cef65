//! E-CSCF, TS 24.229 §5.11 and TS 23.167 §6.2.2: brings emergency calls to a centre (PSAP).
//!
//! A call goes to the centres of its service one after the other, until one takes it. What the phone said
//! of its place goes with it untouched: Geolocation (RFC 6442) with its bodies, P-Access-Network-Info.
//! Requests within the call pass by the Record-Route of both its sides. Its media goes through the relay, as that of
//! other calls does, so that a phone behind a router is heard; without the relay the call goes on as it came. A
//! centre's call back may come in here, too, and goes to the I-CSCF like every other, whose S-CSCF asks the relay.
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

use crate::anchor::{Anchor, Anchored, Done, Held, Step};
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
/// The same in a call whose media goes through the relay.
const ANCHORED: &str = "sos.a";

/// How long a centre may say nothing at all before the next one is asked.
const SILENCE: Duration = Duration::from_secs(8);

/// What is remembered of a request until it is answered.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// If its media goes through the relay.
    anchored: Option<Anchored>,
    call: Option<Box<Call>>,
}

/// An emergency call, until a centre takes it.
#[derive(Clone, Debug)]
struct Call {
    upstream: Upstream,
    /// As it came.
    request: Message,
    /// Those that were not asked yet.
    centres: VecDeque<String>,
}

impl Kept {
    fn of(request: &Message, token: &str) -> Kept {
        let anchored = (token == ANCHORED).then(|| Anchored::of(request));
        Kept { anchored, call: None }
    }
}

/// A call on its way.
type Copy = (Message, sip::Hop);

/// An E-CSCF.
#[derive(Debug)]
pub struct Ecscf {
    config: EcscfConfig,
    proxy: Proxy<Kept>,
    anchor: Anchor<Kept>,
    draining: bool,
    outputs: VecDeque<Output>,
}

impl Ecscf {
    /// An E-CSCF.
    pub fn new(config: EcscfConfig, mut random: Random) -> Ecscf {
        let stack = StackConfig {
            sent_by: Some(config.door.sent_by()),
            timers: TimerValues { b: SILENCE, ..TimerValues::RFC3261 },
            ..StackConfig::default()
        };
        let anchor = Anchor::new(config.relay.clone(), random.fork());
        let mut proxy = Proxy::new(stack, random);
        proxy.limits.configure(config.limits);
        Ecscf { config, proxy, anchor, draining: false, outputs: VecDeque::new() }
    }

    /// Takes over another configuration, which is also the order that an E-CSCF takes. Name and addresses are
    /// to be those that it was built with. Calls keep the media relay that they have.
    pub fn configure(&mut self, config: EcscfConfig) {
        self.anchor.configure(config.relay.clone());
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
            ("relay requests", self.anchor.len()),
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
        let kept = Kept::of(&request, self.token());
        let call = Box::new(Call { upstream: upstream.clone(), request, centres });
        self.send_on(now, upstream.clone(), copy, Kept { call: Some(call), ..kept }, None);
        Ok(())
    }

    /// The user part of our Record-Route in a new call.
    fn token(&self) -> &'static str {
        if self.anchor.is_active() { ANCHORED } else { TOKEN }
    }

    /// Forwards, after the relay has put itself into the SDP if it is to: in a context of its own, or to one more
    /// centre.
    fn send_on(
        &mut self,
        now: Instant,
        upstream: Upstream,
        copy: Copy,
        mut leg: Kept,
        context: Option<ContextId>,
    ) {
        let anchored = leg.anchored.as_mut();
        let step = anchored.and_then(|leg| self.anchor.of_request(now, leg, &copy.0));
        self.hold(now, step, Held::Forward { upstream, copies: vec![copy], leg, context });
    }

    /// A message goes on once the relay was asked, if it has to be.
    fn hold(&mut self, now: Instant, step: Option<Step>, then: Held<Kept>) {
        match step {
            Some(step) => self.anchor.ask(now, step, then),
            None => then.carry_out(now, &mut self.proxy),
        }
    }

    /// The relay answered, or did not.
    fn asked(&mut self, now: Instant, mut done: Done<Kept>) {
        if let Some(why) = done.failed {
            let text = format!("media is not anchored: {why}");
            self.tell(LogEvent::new(Severity::Warning, "ecscf.not_anchored", text));
            if let Held::Forward { leg, .. } = &mut done.then {
                self.anchor.goes_on_without(now, leg.anchored.take());
            }
        }
        done.then.carry_out(now, &mut self.proxy);
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
        self.config.door.record_route(&mut copy, self.token(), next, true);
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
        let token = token_of(own);
        let hop = self.config.door.within(&mut request, own, token);
        let hop = hop.ok_or(Refusal::new(481, "no emergency call of ours"))?;
        let kept = Kept::of(&request, token);
        self.send_on(now, upstream.clone(), (request, hop), kept, None);
        Ok(())
    }

    fn ack(&mut self, now: Instant, mut ack: Message, flow: Flow) {
        if !self.config.from.has(&flow) && !self.config.trust.includes(&flow) {
            return;
        }
        let Some((own, hop)) = self.config.door.ack(&mut ack, &flow) else { return };
        if own.user != token_of(Some(&own)) {
            return;
        }
        let step = self.anchor.of_ack(own.user == ANCHORED, &ack);
        self.hold(now, step, Held::Ack { ack, hop });
    }

    fn response(
        &mut self,
        now: Instant,
        context: ContextId,
        mut response: Message,
        flow: Option<Flow>,
    ) {
        let kept = self.proxy.kept(context).cloned().unwrap_or_default();
        let status = response.status();
        if let Some(mut call) = kept.call.filter(|_| is_failure(status)) {
            let next = self.next(&call.request, &mut call.centres);
            let onward = next.as_ref().map_or("there is no other", |(centre, _)| centre);
            let text = format!("an emergency centre failed with {status}; next: {onward}");
            let event = LogEvent::new(Severity::Warning, "ecscf.centre_failed", text);
            self.tell(call.upstream.about(event));
            if let Some((_, copy)) = next {
                let upstream = call.upstream.clone();
                let leg = Kept { call: Some(call), ..kept };
                return self.send_on(now, upstream, copy, leg, Some(context));
            }
            if flow.is_none() {
                // Nobody could be reached: the phone may try another network.
                response = Message::answer(&response, 503);
            }
        }
        let anchored = kept.anchored.as_ref();
        let step = anchored.and_then(|leg| self.anchor.of_response(now, leg, &response));
        self.hold(now, step, Held::Pass { context, response });
    }

    fn tell(&mut self, event: LogEvent) {
        self.outputs.push_back(Output::Log(event));
    }

    fn settle(&mut self, now: Instant) {
        loop {
            if let Some(done) = self.anchor.poll() {
                self.asked(now, done);
                continue;
            }
            let Some(event) = self.proxy.poll_event(now) else { return };
            match event {
                proxy::Event::Request { upstream, request, flow } => {
                    self.request(now, upstream, request, flow);
                }
                proxy::Event::Ack { request, flow } => self.ack(now, request, flow),
                proxy::Event::Response { context, response, flow } => {
                    self.response(now, context, response, flow);
                }
                // What does not wait for the relay was forwarded at once.
                proxy::Event::Cancelled { server } => {
                    if let Some(upstream) = self.anchor.cancel(server) {
                        self.proxy.reply(now, &upstream, 487);
                    }
                }
                proxy::Event::Own { .. } | proxy::Event::FlowClosed { .. } => {}
            }
        }
    }
}

/// The user part that our Route in a call has.
fn token_of(own: Option<&OwnRoute>) -> &'static str {
    if own.is_some_and(|own| own.user == ANCHORED) { ANCHORED } else { TOKEN }
}

/// Whether the next centre is to be asked: not if the caller gave up, nor if a centre says that it speaks
/// for all (6xx).
fn is_failure(status: u16) -> bool {
    (300..600).contains(&status) && status != 487
}

impl Function for Ecscf {
    fn handle(&mut self, now: Instant, input: Input) {
        let input = self.anchor.handle(now, input);
        let judge = Inner { trust: &self.config.trust, others: Some(&self.config.from) };
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
        let next = self.proxy.poll_output().or_else(|| self.anchor.poll_output());
        next.or_else(|| self.outputs.pop_front())
    }

    fn deadline(&self) -> Option<Deadline> {
        Deadline::earliest(self.proxy.deadline(), self.anchor.deadline())
    }

    fn is_busy(&self) -> bool {
        self.proxy.is_busy()
    }
}
