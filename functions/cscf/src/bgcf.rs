//! BGCF, TS 24.229 §5.6: calls to the public telephone network leave by a trunk, and come in by one.
//!
//! Which trunk takes a number is configured by its prefix; the next one of the same prefix is asked when one
//! cannot be reached or refuses with a 503. A trunk is a SIP connection to another network, so what only
//! our functions tell each other does not pass, and requests within a call pass by our address.
//!
//! What comes from the address of a trunk comes in; everything else is of our own functions and leaves.

pub mod config;

use std::collections::VecDeque;

use base::census::{self, Census};
use base::machine::{Function, Input};
use base::time::Duration;
use base::{Deadline, Event as LogEvent, Flow, Instant, Output, Random, Severity};
use sip::header::HeaderName;
use sip::transaction::TimerValues;
use sip::{Hop, Message, Method, SipUri, Stack, StackConfig, Uri};

use crate::limits::Inner;
use crate::number;
use crate::proxy::{self, ContextId, OwnRoute, Proxy, Refusal, Upstream, in_dialog, preprocess};
use crate::trust_domain::{leave_trust_domain, strip_internal};
use config::BgcfConfig;

/// The user part of our Record-Route.
const TOKEN: &str = "pstn";

/// How long a trunk may say nothing at all before the next one is asked.
const SILENCE: Duration = Duration::from_secs(8);

/// What is remembered of a request until it is answered.
#[derive(Debug)]
enum Kept {
    /// It leaves: as it came, its number, and the trunks that were not asked yet.
    Out(Box<(Message, String, VecDeque<String>)>),
    /// It came in by a trunk.
    In,
    /// It is within a call.
    Within,
}

/// A BGCF.
#[derive(Debug)]
pub struct Bgcf {
    config: BgcfConfig,
    proxy: Proxy<Kept>,
    draining: bool,
    outputs: VecDeque<Output>,
}

impl Bgcf {
    /// A BGCF.
    pub fn new(config: BgcfConfig, random: Random) -> Bgcf {
        let stack = StackConfig {
            sent_by: Some(config.door.sent_by()),
            timers: TimerValues { b: SILENCE, ..TimerValues::RFC3261 },
            ..StackConfig::default()
        };
        let mut proxy = Proxy::new(stack, random);
        proxy.limits.configure(config.limits);
        Bgcf { config, proxy, draining: false, outputs: VecDeque::new() }
    }

    /// Takes over another configuration, which is also the order that a BGCF takes. Name and addresses are
    /// to be those that it was built with.
    pub fn configure(&mut self, config: BgcfConfig) {
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
            self.tell(upstream.about(LogEvent::new(Severity::Info, "bgcf.refused", text)));
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
        let by_trunk = self.config.trunks.has(&flow);
        if !by_trunk && !self.config.trust.includes(&flow) {
            return Err(Refusal::new(403, "neither a trunk (`from` below `[bgcf]`) nor one of us"));
        }
        if in_dialog(&request) {
            return self.within_dialog(now, upstream, request, own.as_ref());
        }
        if self.draining {
            return Err(Refusal::new(503, "shutting down"));
        }
        match by_trunk {
            true => self.incoming(now, upstream, request, flow),
            false => self.outgoing(now, upstream, request),
        }
    }

    /// §5.6.2: a request for the public telephone network goes to the first trunk of its number.
    fn outgoing(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
    ) -> Result<(), Refusal> {
        let number = number::of(request.uri(), |_| true, None);
        let number = number.ok_or(Refusal::new(404, "the Request-URI is no telephone number"))?;
        let mut trunks: VecDeque<String> = self.config.routes.of(&number).to_vec().into();
        let trunk = trunks.pop_front();
        let trunk = trunk.ok_or(Refusal::new(404, "no trunk for this number: `routes`"))?;
        request.remove(HeaderName::Route);
        leave_trust_domain(&mut request);
        // Where a subscriber is, is nobody else's business.
        request.remove(HeaderName::PAccessNetworkInfo);
        let copy = self.by_trunk(&request, &number, &trunk)?;
        let kept = Kept::Out(Box::new((request, number, trunks)));
        self.proxy.forward(now, upstream.clone(), vec![copy], kept);
        Ok(())
    }

    /// The request as a trunk gets it: the number at the trunk's host.
    fn by_trunk(
        &self,
        request: &Message,
        number: &str,
        trunk: &str,
    ) -> Result<(Message, Hop), Refusal> {
        let wrong = Refusal::new(500, "the trunk is no SIP URI");
        let hop = Stack::hop(trunk).ok_or(wrong.clone())?;
        let uri = Uri::parse(trunk).and_then(Uri::sip).ok_or(wrong)?;
        let mut copy = request.clone();
        copy.set_uri(format!("{};user=phone", SipUri { user: Some(number), ..uri }));
        if makes_dialog(&copy) {
            self.config.door.record_route(&mut copy, TOKEN, trunk, true);
        }
        Ok((copy, hop))
    }

    /// A request of a trunk goes to whomever its number belongs to.
    fn incoming(
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
        let number = number::of(request.uri(), ours, self.config.dialling.as_ref());
        let number = number.filter(|number| number.starts_with('+'));
        let number = number.ok_or(Refusal::new(404, "no number of this network"))?;
        request.set_uri(format!("tel:{number}"));
        request.remove(HeaderName::Route);
        strip_internal(&mut request);
        // RFC 4412 §8: nobody here authorised it.
        request.remove(HeaderName::ResourcePriority);
        if makes_dialog(&request) {
            let from = format!("sip:{}", flow.remote);
            door.record_route(&mut request, TOKEN, &from, false);
        }
        let hop = Hop::Name(self.config.icscf.clone());
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], Kept::In);
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
        let hop = hop.ok_or(Refusal::new(481, "no call of ours"))?;
        strip_internal(&mut request);
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], Kept::Within);
        Ok(())
    }

    fn ack(&mut self, now: Instant, mut ack: Message, flow: Flow) {
        if !self.config.trunks.has(&flow) && !self.config.trust.includes(&flow) {
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
        let status = response.status();
        match self.proxy.kept(context) {
            Some(Kept::Out(call)) if status == 503 || (flow.is_none() && status >= 300) => {
                let (request, number) = (call.0.clone(), call.1.clone());
                let next = call.2.pop_front();
                let onward = next.as_ref().map_or("there is no other", String::as_str);
                let text = format!("a trunk failed with {status} for {number}; next: {onward}");
                let event = LogEvent::new(Severity::Warning, "bgcf.trunk_failed", text);
                self.tell(event.call_id(request.get(HeaderName::CallId).unwrap_or("")));
                let copy = next.map(|trunk| self.by_trunk(&request, &number, &trunk));
                if let Some(Ok(copy)) = copy {
                    return self.proxy.again(now, context, vec![copy]);
                }
            }
            Some(Kept::In) => leave_trust_domain(&mut response),
            _ => strip_internal(&mut response),
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

/// RFC 3261 §16.6 step 4.
fn makes_dialog(request: &Message) -> bool {
    matches!(request.method(), Some(Method::Invite | Method::Subscribe | Method::Refer))
}

impl Function for Bgcf {
    fn handle(&mut self, now: Instant, input: Input) {
        let judge = Inner { trust: &self.config.trust, others: Some(&self.config.trunks) };
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
