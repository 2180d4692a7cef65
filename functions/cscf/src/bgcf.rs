//! BGCF, TS 24.229 §5.6: calls to the public telephone network leave by a trunk, and come in by one.
//!
//! Which trunk takes a number is configured by its prefix; the next one of the same prefix is asked when one
//! cannot be reached or refuses with a 503. A trunk is a SIP connection to another network, so what only
//! our functions tell each other does not pass, and requests within a call pass by our address.
//!
//! What comes from the address of a trunk comes in; everything else is of our own functions and leaves. What a
//! trunk would see of this network on the way is hidden (`border`), unless it is in `shown_to`: a dialog
//! that began hidden stays so, by the token of our Record-Route.

pub mod config;

use std::collections::VecDeque;
use std::sync::Arc;

use base::census::{self, Census};
use base::machine::{Function, Input};
use base::time::Duration;
use base::{Deadline, Event as LogEvent, Flow, Instant, Output, Random, Severity};
use sip::header::{HeaderName, NameAddr};
use sip::transaction::TimerValues;
use sip::{Hop, Message, Method, SipUri, Stack, StackConfig, Uri};

use crate::border::{Border, Crossed, Forged, Sides};
use crate::limits::Inner;
use crate::number;
use crate::own::address_towards;
use crate::proxy::{
    self, ContextId, OwnRoute, Proxy, Refusal, Upstream, in_dialog, onward, preprocess,
};
use crate::trust_domain::{leave_trust_domain, strip_internal};
use config::BgcfConfig;

/// The table of this function in the store: the key of what it hides.
pub const TABLE: base::store::Table = base::store::Table("bgcf.border");

/// Whether a record of [`TABLE`] can be read.
pub fn is_record(key: &[u8], value: &[u8]) -> bool {
    crate::key::is_record(key, value)
}

/// The user part of our Record-Route in a dialog of which nothing is hidden.
const TOKEN: &str = "pstn";

/// How long a trunk may say nothing at all before the next one is asked.
const SILENCE: Duration = Duration::from_secs(8);

/// What is remembered of a request until it is answered.
#[derive(Debug)]
struct Kept {
    way: Way,
    crossed: Crossed,
}

#[derive(Debug)]
enum Way {
    /// It leaves: as it came, its number, and the trunks that were not asked yet.
    First(Box<(Message, String, VecDeque<String>)>),
    /// It leaves within a call.
    Out,
    /// It came in by a trunk.
    In,
}

/// A BGCF.
#[derive(Debug)]
pub struct Bgcf {
    config: BgcfConfig,
    proxy: Proxy<Kept>,
    border: Border,
    draining: bool,
    outputs: VecDeque<Output>,
}

impl Bgcf {
    /// A BGCF.
    pub fn new(config: BgcfConfig, mut random: Random) -> Bgcf {
        let border = Border::new(TABLE, random.fork(), &config.home_domain, config.trunks.clone());
        let stack = StackConfig {
            sent_by: Some(config.door.sent_by()),
            by_address: true,
            timers: TimerValues { b: SILENCE, ..TimerValues::RFC3261 },
            ..StackConfig::default()
        };
        let mut proxy = Proxy::new(stack, random);
        proxy.limits.configure(config.limits);
        Bgcf { config, proxy, border, draining: false, outputs: VecDeque::new() }
    }

    /// Takes over another configuration, which is also the order that a BGCF takes. Name and addresses are
    /// to be those that it was built with.
    pub fn configure(&mut self, config: BgcfConfig) {
        self.proxy.limits.configure(config.limits);
        self.border.configure(&config.home_domain, config.trunks.clone());
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
            self.proxy.respond_once(now, upstream, upstream.untagged(status));
            return Ok(());
        }
        let by_trunk = self.config.trunks.has(&flow);
        if !by_trunk && !self.config.trust.includes(&flow) {
            return Err(Refusal::new(403, "neither a trunk (`from` below `[bgcf]`) nor one of us"));
        }
        if in_dialog(&request) {
            return self.within_dialog(now, upstream, request, own.as_ref(), &flow);
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
        leave(&mut request);
        let (copy, crossed) = self.by_trunk(upstream.came(), &request, &number, &trunk)?;
        let way = Way::First(Box::new((request, number, trunks)));
        self.proxy.forward(now, upstream.clone(), vec![copy], Kept { way, crossed });
        Ok(())
    }

    /// The request as a trunk gets it: the number at the trunk's host.
    fn by_trunk(
        &self,
        came: Arc<Message>,
        request: &Message,
        number: &str,
        trunk: &str,
    ) -> Result<((Message, Hop), Crossed), Refusal> {
        let wrong = Refusal::new(500, "the trunk is no SIP URI");
        let hop = Stack::hop(trunk).ok_or(wrong.clone())?;
        let uri = Uri::parse(trunk).and_then(Uri::sip).ok_or(wrong)?;
        let mut copy = request.clone();
        copy.set_uri(format!("{};user=phone", SipUri { user: Some(number), ..uri }));
        let stays = makes_dialog(&copy);
        let crossed = if !self.config.shown_to.names(uri.host) {
            self.border.leave(&mut copy, came, &self.sides(trunk), None, stays)
        } else {
            if stays {
                self.config.door.record_route(&mut copy, TOKEN, trunk, true);
            }
            Crossed::Openly
        };
        Ok(((copy, hop), crossed))
    }

    /// What we are called on both sides; `outside` is a URI of the outer one.
    fn sides(&self, outside: &str) -> Sides {
        let inner = self.config.door.sent_by();
        let outer = address_towards(&self.config.door.addresses, outside);
        Sides { outer: outer.map_or_else(|| inner.clone(), |outer| outer.to_string()), inner }
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
        let from = format!("sip:{}", flow.remote);
        let stays = makes_dialog(&request);
        let crossed = if !self.config.shown_to.has(&flow) {
            self.border.enter(&mut request, upstream.came(), &self.sides(&from), stays)
        } else {
            if stays {
                door.record_route(&mut request, TOKEN, &from, false);
            }
            Crossed::Openly
        };
        let hop = Hop::Name(self.config.icscf.clone());
        let kept = Kept { way: Way::In, crossed };
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], kept);
        Ok(())
    }

    /// Within a call: along the routes that we were put into.
    fn within_dialog(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        own: Option<&OwnRoute>,
        flow: &Flow,
    ) -> Result<(), Refusal> {
        let (hop, kept) = self.within(&mut request, upstream.came(), own, flow)?;
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], kept);
        Ok(())
    }

    /// The same of an ACK for a 2xx, which was not looked at yet.
    fn ack(&mut self, now: Instant, mut ack: Message, flow: Flow) {
        if !self.config.trunks.has(&flow) && !self.config.trust.includes(&flow) {
            return;
        }
        let is_us = |host: &str, port| self.config.door.is_us(host, port, &flow);
        let Ok(own) = preprocess(&mut ack, is_us, &[]) else { return };
        let nobody = Arc::new(Message::response(200));
        if let Ok((hop, _)) = self.within(&mut ack, nobody, own.as_ref(), &flow) {
            self.proxy.stack.send_ack(now, ack, hop);
        }
    }

    /// Makes a request within a call what the other side gets. `came` is what its answer repeats.
    fn within(
        &self,
        request: &mut Message,
        came: Arc<Message>,
        own: Option<&OwnRoute>,
        flow: &Flow,
    ) -> Result<(Hop, Kept), Refusal> {
        let nobody = Refusal::new(481, "no call of ours");
        let inwards = self.config.trunks.has(flow);
        let way = if inwards { Way::In } else { Way::Out };
        let user = own.map_or("", |own| own.user.as_str());
        if inwards {
            strip_internal(request);
        } else {
            leave(request);
        }
        if !Border::hides(user) {
            // A Route of its own making leads a trunk nowhere that it was not shown.
            if inwards && !self.config.shown_to.has(flow) {
                return Err(nobody);
            }
            let hop = self.config.door.within(request, own, TOKEN).ok_or(nobody)?;
            return Ok((hop, Kept { way, crossed: Crossed::Openly }));
        }
        let stays = request.method().is_some_and(Method::refreshes_target);
        let is_us = |uri: &SipUri<'_>| self.config.door.is_us(uri.host, uri.port, flow);
        if inwards {
            let sides = self.sides(&format!("sip:{}", flow.remote));
            self.border
                .open(request, user, is_us)
                .map_err(|Forged| Refusal::new(481, "what it hands back was not sealed here"))?;
            let crossed = self.border.enter(request, came, &sides, stays);
            let hop = onward(request).ok_or(nobody)?;
            return Ok((hop, Kept { way, crossed }));
        }
        let hop = onward(request).ok_or(nobody)?;
        let first = request.list(HeaderName::Route).next().and_then(NameAddr::parse);
        let there = first.map_or(request.uri(), |route| route.uri).to_owned();
        let crossed = self.border.leave(request, came, &self.sides(&there), Some(user), stays);
        Ok((hop, Kept { way, crossed }))
    }

    fn response(
        &mut self,
        now: Instant,
        context: ContextId,
        mut response: Message,
        flow: Option<Flow>,
    ) {
        let status = response.status();
        let failed = status == 503 || (flow.is_none() && status >= 300);
        if let Some(Kept { way: Way::First(call), .. }) = self.proxy.kept(context)
            && failed
        {
            let (request, number) = (call.0.clone(), call.1.clone());
            let next = call.2.pop_front();
            let onward = next.as_ref().map_or("there is no other", String::as_str);
            let text = format!("a trunk failed with {status} for {number}; next: {onward}");
            let event = LogEvent::new(Severity::Warning, "bgcf.trunk_failed", text);
            self.tell(event.call_id(request.get(HeaderName::CallId).unwrap_or("")));
            let came = Arc::new(request.clone());
            let copy = next.map(|trunk| self.by_trunk(came, &request, &number, &trunk));
            if let Some(Ok((copy, crossed))) = copy {
                if let Some(kept) = self.proxy.kept(context) {
                    kept.crossed = crossed;
                }
                return self.proxy.again(now, context, vec![copy]);
            }
        }
        let border = &self.border;
        match self.proxy.kept(context) {
            Some(Kept { way: Way::In, crossed }) => {
                leave(&mut response);
                border.answered_here(crossed, &mut response);
            }
            Some(Kept { way: Way::First(_) | Way::Out, crossed }) => {
                strip_internal(&mut response);
                border.answered_there(crossed, &mut response);
            }
            None => {}
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

/// What a trunk does not get: what is internal, and where a subscriber is.
fn leave(message: &mut Message) {
    leave_trust_domain(message);
    message.remove(HeaderName::PAccessNetworkInfo);
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
            Some(Input::Restored { table, value, .. }) if table == TABLE => {
                self.border.restore(&value);
            }
            Some(Input::Start) => self.outputs.extend(self.border.start()),
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
