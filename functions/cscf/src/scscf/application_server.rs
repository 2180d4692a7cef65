//! Requests at application servers, TS 24.229 §5.4.3.2 step 3 to 6 and §5.4.3.3 step 3 to 6: they go
//! there as the criteria say, come back by the original dialog identifier, and go on without a server
//! that is down.

use base::{Event, Instant, Severity};
use sip::header::{HeaderName, NameAddr, ServedUser, SessionCase};
use sip::{Message, ServerId, Stack, Uri};

use super::Scscf;
use super::gruu::Called;
use super::ifc::{ApplicationServer, Case, Criterion, Miss};
use super::session::{Leg, Pending, Side};
use crate::proxy::{ContextId, OwnRoute, Refusal, Upstream, loose, take_other_side};

/// A request at an application server.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    server: ApplicationServer,
    /// What went there, to go on without it.
    pending: Pending,
    /// It answered with a provisional response, or sent the request back: a failure after that is not
    /// its own.
    works: bool,
}

/// What became of a criterion that was looked at.
pub(super) fn verdict(criterion: &Criterion, served: &str, miss: Option<Miss<'_>>) -> Event {
    let Criterion { priority, server, .. } = criterion;
    let which = format!("{} of {served}, priority {priority},", server.uri);
    let (counter, text) = match miss {
        None => ("scscf.ifc_fired", format!("{which} fires")),
        Some(miss) => ("scscf.ifc_missed", format!("{which} does not fire: {miss}")),
    };
    Event::new(Severity::Debug, counter, text)
}

impl Scscf {
    /// The next criterion that fires, or onward.
    pub(super) fn through_criteria(
        &mut self,
        now: Instant,
        mut pending: Pending,
        context: Option<ContextId>,
    ) -> Result<(), Refusal> {
        let user = self.users.of(&pending.served);
        let registered = user.is_some_and(|user| user.is_registered());
        let case = match (pending.side, registered) {
            (Side::Originating, true) => Case::Originating,
            (Side::Originating, false) => Case::OriginatingUnregistered,
            (Side::Terminating, true) => Case::TerminatingRegistered,
            (Side::Terminating, false) => Case::TerminatingUnregistered,
        };
        let service = user.and_then(|user| user.profile.find(&pending.served));
        let criteria = service.map_or(&[][..], |(service, _)| &service.criteria[..]);
        let mut looked_at = Vec::new();
        let fired = criteria.iter().enumerate().skip(pending.next).find(|(_, criterion)| {
            let miss = criterion.miss(&pending.request, case, None);
            looked_at.push(verdict(criterion, &pending.served, miss));
            miss.is_none()
        });
        let fired = fired.map(|(index, criterion)| (index, criterion.server.clone()));
        for event in looked_at {
            self.tell(pending.upstream.about(event).impu(&pending.served));
        }
        let Some((index, server)) = fired else {
            return match pending.side {
                Side::Originating => self.reach_called_user(now, pending, context),
                Side::Terminating => self.reach_contacts(now, pending, context),
            };
        };
        pending.next = index + 1;
        self.ask_application_server(now, pending, context, server, registered)
    }

    fn ask_application_server(
        &mut self,
        now: Instant,
        pending: Pending,
        context: Option<ContextId>,
        server: ApplicationServer,
        registered: bool,
    ) -> Result<(), Refusal> {
        let Some(hop) = Stack::hop(&server.uri) else {
            return self.through_criteria(now, pending, context);
        };
        let mut request = pending.request.clone();
        let odi = OriginalDialog {
            side: pending.side,
            next: pending.next,
            server: pending.upstream.server(),
            served: pending.served.clone(),
        };
        let us = self.config.sent_by_towards(&server.uri);
        request.push_front(HeaderName::Route, format!("<sip:{odi}@{us};lr>"));
        request.push_front(HeaderName::Route, format!("<{}>", loose(&server.uri)));
        let case = match pending.side {
            Side::Originating => SessionCase::Originating,
            Side::Terminating => SessionCase::Terminating,
        };
        let served = ServedUser { uri: pending.served.clone(), case, registered };
        request.set(HeaderName::PServedUser, served.to_string());
        self.record_route(&mut request, &pending, false, Some(&server.uri));
        let mut leg = Leg::of(&request, false);
        let upstream = pending.upstream.clone();
        leg.server = Some(Box::new(Asked { server, pending, works: false }));
        self.send_on(now, upstream, vec![(request, hop)], leg, context);
        Ok(())
    }

    /// A request that an application server sends back.
    pub(super) fn back_from_server(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: Message,
        odi: OriginalDialog,
    ) -> Result<(), Refusal> {
        let OriginalDialog { side, next, server, served } = odi;
        let context = self.proxy.context_of(server);
        let kept = context.and_then(|context| self.proxy.kept(context));
        let asked = kept.and_then(|leg| leg.server.as_mut());
        let asked = asked.filter(|a| a.pending.next == next && a.pending.served == served);
        let from_server = asked.as_ref().map(|asked| asked.server.uri.clone());
        asked.into_iter().for_each(|asked| asked.works = true);
        let retargeted = side == Side::Terminating && !self.is_for(&request, &served);
        let mut pending = Pending::new(upstream.clone(), request, served, side);
        pending.next = next;
        // A server that was not asked lately is at the address that the request shows.
        pending.from_server = Some(from_server.unwrap_or_default());
        if retargeted {
            // §5.4.3.3 step 3: the called user's services end where the server chose another target.
            return self.reach_called_user(now, pending, None);
        }
        self.through_criteria(now, pending, None)
    }

    /// Whether the Request-URI is one of the served user's identities.
    fn is_for(&self, request: &Message, served: &str) -> bool {
        let called = self.called(request);
        let Some(target) = called.as_ref().and_then(Called::aor) else { return false };
        let user = self.users.of(served);
        target == served || user.is_some_and(|user| user.profile.find(target).is_some())
    }

    /// The final answer of an application server: whether the session goes on without it, §5.4.3.2
    /// step 6 with DefaultHandling SESSION_CONTINUED.
    pub(super) fn goes_on_without(
        &mut self,
        now: Instant,
        context: ContextId,
        asked: &Asked,
        status: u16,
    ) -> bool {
        if (101..200).contains(&status) {
            let kept = self.proxy.kept(context).and_then(|leg| leg.server.as_mut());
            kept.into_iter().for_each(|asked| asked.works = true);
            return false;
        }
        let failed = !asked.works && (status == 408 || (500..600).contains(&status));
        if !failed || !asked.server.continue_without {
            return false;
        }
        let text =
            format!("{} answered {status}: the session goes on without it", asked.server.uri);
        let event = Event::new(Severity::Warning, "scscf.as_failed", text);
        self.tell(asked.pending.upstream.about(event).impu(&asked.pending.served));
        if let Err(refusal) = self.through_criteria(now, asked.pending.clone(), Some(context)) {
            self.proxy.abort(now, context, refusal.status);
        }
        true
    }

    /// Within a dialog: takes off the entries of our own passes between which an application server
    /// stayed out of the dialog. Of the passes, the one counts that anchored the media.
    pub(super) fn past_servers(&self, request: &mut Message, own: &OwnRoute) -> OwnRoute {
        let mut own = own.clone();
        loop {
            let first = request.list(HeaderName::Route).next().and_then(NameAddr::parse);
            let uri = first.and_then(|address| Uri::parse(address.uri)?.sip());
            let Some(uri) = uri.filter(|uri| self.config.is_address(uri.host, uri.port)) else {
                return own;
            };
            let next = OwnRoute { user: uri.user.unwrap_or("").to_owned(), params: String::new() };
            request.pop_element(HeaderName::Route);
            take_other_side(request, &next);
            if next.user.ends_with(".a") {
                own = next;
            }
        }
    }
}

/// The original dialog identifier in the Route that goes to an application server, TS 24.229
/// §5.4.3.4: everything that we need when the request comes back, so that nothing has to be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OriginalDialog {
    side: Side,
    next: usize,
    /// The request that the server was asked for; it may be forgotten by then.
    server: ServerId,
    served: String,
}

impl OriginalDialog {
    pub(super) fn parse(user: &str) -> Option<OriginalDialog> {
        let mut parts = user.strip_prefix("odi.")?.splitn(4, '.');
        let side = match parts.next()? {
            "o" => Side::Originating,
            "t" => Side::Terminating,
            _ => return None,
        };
        let next = parts.next()?.parse().ok()?;
        let server = ServerId::from_bits(u64::from_str_radix(parts.next()?, 16).ok()?);
        let served = String::from_utf8(auth::hex::decode(parts.next()?)?).ok()?;
        Some(OriginalDialog { side, next, server, served })
    }
}

impl core::fmt::Display for OriginalDialog {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let side = if self.side == Side::Originating { "o" } else { "t" };
        let served = auth::hex::encode(self.served.as_bytes());
        write!(f, "odi.{side}.{}.{:x}.{served}", self.next, self.server.to_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_original_dialog_identifier_survives_the_wire() {
        let (server, served) = (ServerId::from_bits(0x2_0000_0007), "sip:a@b".to_owned());
        let odi = OriginalDialog { side: Side::Terminating, next: 3, server, served };
        assert_eq!(OriginalDialog::parse(&odi.to_string()), Some(odi));
        for bad in ["odi", "odi.x.1.0.61", "odi.o.a.0.61", "odi.o.1.0.6", "odi.o.1.0.ff", "mo.a"] {
            assert_eq!(OriginalDialog::parse(bad), None);
        }
    }
}
