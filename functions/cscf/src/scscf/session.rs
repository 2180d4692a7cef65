//! Requests other than REGISTER: initial ones through the filter criteria, TS 24.229 §5.4.3, those
//! within dialogs along their routes, and their responses.

use base::Instant;
use sip::header::HeaderName;
use sip::{Hop, Message, Method};

use super::application_server::{Asked, OriginalDialog};
use super::{Scscf, aor_of};
use crate::anchor::{Anchored, Done, Held, Step};
use crate::proxy::{self, ContextId, OwnRoute, Refusal, Upstream, in_dialog};

/// Which half of the session we serve: what the user part of our Record-Route says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// The caller's half.
    Originating,
    /// The called user's half.
    Terminating,
}

/// What is kept of a request until it is answered.
#[derive(Clone, Debug)]
pub(super) struct Leg {
    /// If this pass anchors the session's media.
    anchored: Option<Anchored>,
    /// Whether the request has no To tag.
    initial: bool,
    /// The application server that was asked, and how to go on without it.
    pub(super) server: Option<Box<Asked>>,
    /// What follows a failure.
    pub(super) then: Then,
}

/// What follows if a request that goes on fails.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// Nothing: it has failed.
    Nothing,
    /// It is for a number that may be another network's: what goes there if nobody has it here.
    BreakOut(Box<Pending>),
    /// Its copies are sent one after the other.
    NextCopy,
    /// These copies are left.
    Copies(Vec<(Message, Hop)>),
}

/// An initial request on its way through the criteria.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) upstream: Upstream,
    pub(super) request: Message,
    /// The served user's address of record.
    pub(super) served: String,
    pub(super) side: Side,
    /// The next criterion to be looked at.
    pub(super) next: usize,
    /// The application server that it came back from.
    pub(super) from_server: Option<String>,
}

impl Pending {
    /// A request that no criterion was looked at for.
    pub(super) fn new(upstream: Upstream, request: Message, served: String, side: Side) -> Pending {
        Pending { upstream, request, served, side, next: 0, from_server: None }
    }
}

impl Leg {
    /// The called user rings: it is not for another network any more.
    pub(super) fn is_located(&mut self) {
        self.then = Then::Nothing;
    }

    pub(super) fn of(request: &Message, anchored: bool) -> Leg {
        Leg {
            anchored: anchored.then(|| Anchored::of(request)),
            initial: !in_dialog(request),
            server: None,
            then: Then::Nothing,
        }
    }
}

impl Scscf {
    /// A request that begins something. The Route that named us says for whom we act: `orig` in its
    /// user part or parameters for the caller, an original dialog identifier for a request that comes
    /// back from an application server, else for the called user.
    pub(super) fn initial(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: Message,
        own: &OwnRoute,
    ) -> Result<(), Refusal> {
        if let Some(odi) = OriginalDialog::parse(&own.user) {
            return self.back_from_server(now, upstream, request, odi);
        }
        if own.user == "orig" || own.has("orig") {
            return self.originating(now, upstream, request, own.user == "orig");
        }
        self.terminating(now, upstream, request)
    }

    /// Forwards, after the relay has put itself into the SDP if this pass anchors the media. `then` is
    /// what follows if it fails.
    pub(super) fn forward(
        &mut self,
        now: Instant,
        pending: Pending,
        context: Option<ContextId>,
        mut copies: Vec<(Message, Hop)>,
        then: Then,
    ) {
        let anchored = self.anchors(&pending.request);
        for (copy, _) in &mut copies {
            copy.remove(HeaderName::PServedUser);
            self.record_route(copy, &pending, anchored, None);
        }
        let leg = Leg { then, ..Leg::of(&pending.request, anchored) };
        self.send_on(now, pending.upstream, copies, leg, context);
    }

    pub(super) fn send_on(
        &mut self,
        now: Instant,
        upstream: Upstream,
        copies: Vec<(Message, Hop)>,
        mut leg: Leg,
        context: Option<ContextId>,
    ) {
        let first = copies.first().map(|(copy, _)| copy);
        let step = leg.anchored.as_mut().zip(first);
        let step = step.and_then(|(anchored, copy)| self.anchor.of_request(now, anchored, copy));
        self.hold(now, step, Held::Forward { upstream, copies, leg, context });
    }

    /// Whether this pass anchors the media of a new session: if nobody did before.
    fn anchors(&self, request: &Message) -> bool {
        if request.method() != Some(&Method::Invite) || !self.anchor.is_active() {
            return false;
        }
        let us = format!("a@{}", self.config.sent_by());
        !request.list(HeaderName::RecordRoute).any(|route| route.contains(&us))
    }

    /// Record-Route for both sides of this pass, RFC 5658 §5: with our name, and with our address
    /// towards an application server, which need not know the name.
    pub(super) fn record_route(
        &self,
        request: &mut Message,
        pending: &Pending,
        anchored: bool,
        to_server: Option<&str>,
    ) {
        if !records_route(request) {
            return;
        }
        let side = match pending.side {
            Side::Originating => "mo",
            Side::Terminating => "mt",
        };
        let anchored = if anchored { ".a" } else { "" };
        let us = |server: Option<&str>| match server {
            Some(server) => self.config.sent_by_towards(server),
            None => self.config.sent_by(),
        };
        let (from, to) = (us(pending.from_server.as_deref()), us(to_server));
        let route = |host: &str| ["<sip:", side, anchored, "@", host, ";lr>"].concat();
        if from != to {
            request.push_front(HeaderName::RecordRoute, route(&from));
        }
        request.push_front(HeaderName::RecordRoute, route(&to));
    }

    /// A request within a dialog follows its Route; its SDP goes through the relay again if our
    /// Record-Route says that we anchored it.
    pub(super) fn within_dialog(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        own: &OwnRoute,
    ) -> Result<(), Refusal> {
        if !self.has_flow(&mut request, own) {
            return Err(Refusal::new(403, "the phone has not the flow of this dialog"));
        }
        let own = self.past_servers(&mut request, own);
        let mut upstream = upstream.clone();
        let detour = self.follow_detour(&mut request).map(|way| way.hop);
        let hop = detour.or_else(|| proxy::onward(&request));
        let hop = hop.ok_or(Refusal::new(404, "no way onward"))?;
        let ways = self.other_flows(now, &request);
        if !ways.is_empty() {
            upstream.otherwise(&request, ways);
        }
        let anchored = own.user.ends_with(".a") && self.anchor.is_there();
        if request.method().is_some_and(Method::refreshes_target) && !own.user.is_empty() {
            let route = format!("<sip:{}@{};lr>", own.user, self.config.sent_by());
            request.push_front(HeaderName::RecordRoute, route);
        }
        let leg = Leg::of(&request, anchored);
        self.send_on(now, upstream, vec![(request, hop)], leg, None);
        Ok(())
    }

    /// An ACK for a 2xx; it may carry the answer to an offer that a response made.
    pub(super) fn relay_ack(&mut self, now: Instant, mut ack: Message, own: &OwnRoute) {
        if !self.has_flow(&mut ack, own) {
            return;
        }
        let own = self.past_servers(&mut ack, own);
        let detour = self.follow_detour(&mut ack).map(|way| way.hop);
        let Some(hop) = detour.or_else(|| proxy::onward(&ack)) else { return };
        let anchored = own.user.ends_with(".a") && self.anchor.is_there();
        let step = self.anchor.of_ack(anchored, &ack);
        self.hold(now, step, Held::Ack { ack, hop });
    }

    /// A response to what we forwarded.
    pub(super) fn leg_response(
        &mut self,
        now: Instant,
        context: ContextId,
        leg: &Leg,
        response: Message,
    ) {
        let status = response.status();
        if let Some(asked) = &leg.server
            && self.goes_on_without(now, context, asked, status)
        {
            return;
        }
        match &leg.then {
            Then::BreakOut(pending) if self.breaks_out(now, context, pending, status) => return,
            Then::Copies(_) if self.tries_next(now, context, status) => return,
            _ => {}
        }
        if !leg.initial && status >= 200 {
            self.remember_detour(now, context, response.get(HeaderName::CallId).unwrap_or(""));
        }
        let anchored = leg.anchored.as_ref();
        let step = anchored.and_then(|leg| self.anchor.of_response(now, leg, &response));
        self.hold(now, step, Held::Pass { context, response });
    }

    /// A message goes on once the relay was asked, if it has to be.
    fn hold(&mut self, now: Instant, step: Option<Step>, then: Held<Leg>) {
        match step {
            Some(step) => self.anchor.ask(now, step, then),
            None => self.carry_out(now, then),
        }
    }

    /// The relay answered, or did not.
    pub(super) fn anchored(&mut self, now: Instant, mut done: Done<Leg>) {
        if let Some(why) = done.failed {
            let text = format!("media is not anchored: {why}");
            self.log(base::Severity::Warning, "scscf.not_anchored", text);
            if let Held::Forward { leg, .. } = &mut done.then {
                self.anchor.goes_on_without(now, leg.anchored.take());
            }
        }
        self.carry_out(now, done.then);
    }

    fn carry_out(&mut self, now: Instant, mut then: Held<Leg>) {
        let mut first = None;
        if let Held::Forward { upstream, copies, leg, .. } = &mut then
            && matches!(leg.then, Then::NextCopy)
        {
            leg.then = Then::Copies(copies.split_off(1.min(copies.len())));
            first = Some(upstream.server());
        }
        then.carry_out(now, &mut self.proxy);
        if let Some(context) = first.and_then(|server| self.proxy.context_of(server)) {
            self.begin_turn(now, context);
        }
    }
}

/// Requests that make a dialog, RFC 3261 §16.6 step 4.
fn records_route(request: &Message) -> bool {
    matches!(request.method(), Some(Method::Invite | Method::Subscribe | Method::Refer))
}

/// The caller, by P-Served-User or P-Asserted-Identity, TS 24.229 §5.4.3.2 step 1.
pub(super) fn caller(request: &Message) -> Option<String> {
    let served = request.get(HeaderName::PServedUser).and_then(sip::header::ServedUser::parse);
    match served {
        Some(served) => sip::Uri::parse(&served.uri).map(|uri| uri.aor()),
        None => aor_of(request, HeaderName::PAssertedIdentity),
    }
}
