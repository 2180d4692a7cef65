//! The caller's half, TS 24.229 §5.4.3.2.

use base::Instant;
use sip::gruu::Gruu;
use sip::header::{HeaderName, NameAddr, Privacy};
use sip::{Hop, Message, SipUri, Stack, Uri};

use super::Scscf;
use super::gruu::is_temporary;
use super::session::{Leg, Pending, Side, Then, caller};
use crate::number;
use crate::proxy::{self, ContextId, Refusal, Upstream};

impl Scscf {
    /// A request of a user whom we serve; `by_service_route` if it is a phone's.
    pub(super) fn originating(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        by_service_route: bool,
    ) -> Result<(), Refusal> {
        let served = caller(&request).ok_or(Refusal::new(403, "no asserted identity"))?;
        if by_service_route && self.users.of(&served).is_none() {
            self.ask_for_caller(now, upstream, request, served);
            return Ok(());
        }
        let user =
            self.users.of(&served).ok_or(Refusal::new(403, "the caller is not registered"))?;
        let barred = user.profile.find(&served).is_none_or(|(_, identity)| identity.barred);
        if barred {
            return Err(Refusal::new(403, "the caller's identity is barred"));
        }
        let contact = request.list(HeaderName::Contact).next().and_then(NameAddr::parse);
        if contact.is_some_and(|contact| self.is_borrowed(contact.uri, &served)) {
            return Err(Refusal::new(403, "the Contact is no GRUU of the caller"));
        }
        // RFC 3323 §5: who would rather not be heard than be seen.
        let privacy = Privacy::of(request.lines(HeaderName::Privacy));
        if privacy.critical && (privacy.header || (privacy.session && !self.anchor.is_active())) {
            return Err(Refusal::new(500, "the privacy that is critical is not provided here"));
        }
        // §5.4.3.2 step 4b: a second identity, of the other kind, for networks that know only one.
        let is_tel = |uri: &str| uri.starts_with("tel:");
        let other = user.profile.usable().find(|uri| is_tel(uri) != is_tel(&served));
        if request.list(HeaderName::PAssertedIdentity).count() == 1
            && let Some(other) = other
        {
            let other = format!("<{other}>");
            request.push(HeaderName::PAssertedIdentity, other);
        }
        assert_service(&mut request);
        let side = Side::Originating;
        self.through_criteria(now, Pending::new(upstream.clone(), request, served, side), None)
    }

    /// Whether a Contact is a GRUU of this network, but none of this user: RFC 5627 §5.2.
    fn is_borrowed(&self, contact: &str, served: &str) -> bool {
        let uri = Uri::parse(contact).and_then(Uri::sip);
        let home = &self.config.home_domain;
        let here = |uri: &SipUri<'_>| {
            is_temporary(uri) && uri.host.eq_ignore_ascii_case(&self.config.host)
                || uri.host.eq_ignore_ascii_case(home)
        };
        if !uri.is_some_and(|uri| Gruu::of(&uri).is_some() && here(&uri)) {
            return false;
        }
        let called = self.gruus.called(contact, home);
        let Some((called, user)) = called.zip(self.users.of(served)) else { return true };
        let own = called.aor().is_some_and(|aor| user.profile.find(aor).is_some());
        !own || !user.contacts.iter().any(|contact| self.gruus.reaches(&called, contact))
    }

    /// §5.4.3.2 step 5 and 10: the criteria are done, the called user's network is next. A number is
    /// looked for by ENUM, among our own, and in the public telephone network, in this order.
    pub(super) fn reach_called_user(
        &mut self,
        now: Instant,
        mut pending: Pending,
        context: Option<ContextId>,
    ) -> Result<(), Refusal> {
        let number = self.called_number(&pending.request);
        if let Some(number) = number.as_ref().filter(|number| number.starts_with('+')) {
            pending.request.set_uri(format!("tel:{number}"));
            if self.ask_enum(now, &pending, context, number) {
                return Ok(());
            }
        }
        self.route_onward(now, pending, context, number)
    }

    /// Where the Request-URI leads. A `number` that nobody here has may be another network's.
    pub(super) fn route_onward(
        &mut self,
        now: Instant,
        pending: Pending,
        context: Option<ContextId>,
        number: Option<String>,
    ) -> Result<(), Refusal> {
        let request = pending.request.clone();
        let hop = match Uri::parse(request.uri()) {
            _ if request.has(HeaderName::Route) => proxy::onward(&request),
            Some(Uri::Sip(uri)) if !uri.host.eq_ignore_ascii_case(&self.config.home_domain) => {
                proxy::onward(&request)
            }
            Some(Uri::Sip(_) | Uri::Tel(_)) => Some(Hop::Name(self.config.icscf.clone())),
            _ => None,
        };
        let hop = hop.ok_or(Refusal::new(416, "no route to this kind of URI"))?;
        let breakout = number.is_some() && self.config.bgcf.is_some();
        let then = if breakout { Then::BreakOut(Box::new(pending.clone())) } else { Then::Nothing };
        self.forward(now, pending, context, vec![(request, hop)], then);
        Ok(())
    }

    /// The number that a request is for, unless an application server sends it elsewhere.
    fn called_number(&self, request: &Message) -> Option<String> {
        // A GRUU is more than the number in it.
        if request.has(HeaderName::Route) || Gruu::is(request.uri()) {
            return None;
        }
        let home = &self.config.home_domain;
        let ours = |uri: &sip::SipUri<'_>| uri.host.eq_ignore_ascii_case(home);
        number::of(request.uri(), ours, self.config.dialling.as_ref())
    }

    /// §5.4.3.2 step 10: nobody here has the number, so it is for the BGCF. Whoever rings is here, and so is
    /// a user whom we serve: he may be barred.
    pub(super) fn breaks_out(
        &mut self,
        now: Instant,
        context: ContextId,
        pending: &Pending,
        status: u16,
    ) -> bool {
        if status < 200 {
            let ringing = status > 100;
            self.proxy.kept(context).filter(|_| ringing).into_iter().for_each(Leg::is_located);
            return false;
        }
        let hop = self.config.bgcf.as_deref().and_then(|uri| Some((uri, Stack::hop(uri)?)));
        let Some((bgcf, hop)) = hop.filter(|_| matches!(status, 404 | 604)) else { return false };
        let called = Uri::parse(pending.request.uri()).map(|uri| uri.aor());
        if called.is_some_and(|aor| self.users.of(&aor).is_some()) {
            return false;
        }
        let mut request = pending.request.clone();
        request.push_front(HeaderName::Route, format!("<{}>", proxy::loose(bgcf)));
        self.forward(now, pending.clone(), Some(context), vec![(request, hop)], Then::Nothing);
        true
    }
}

/// RFC 6050 §4.1: what the phone prefers is what we assert; what it asserts is gone at the P-CSCF.
fn assert_service(request: &mut Message) {
    if let Some(service) = request.get(HeaderName::PPreferredService).map(str::to_owned) {
        request.remove(HeaderName::PPreferredService);
        request.set(HeaderName::PAssertedService, service);
    }
}
