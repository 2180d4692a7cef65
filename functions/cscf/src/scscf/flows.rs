//! A phone's other flows within a dialog, RFC 5626: when the P-CSCF of the flow that it was made over is gone, what
//! is left of the dialog goes over another one.
//!
//! Towards the phone the Route that names the dead P-CSCF gives way to the Path of another flow, as soon as the
//! first one fails; the ACK follows the INVITE. From the phone another P-CSCF tells which flow the Route named,
//! and we know from the registrations whether the phone has both.

use std::collections::BTreeMap;

use base::Instant;
use base::time::Duration;
use base::timer::Expiries;
use sip::header::{HeaderName, NameAddr};
use sip::{Message, Uri};

use super::contact::Contact;
use super::terminating::hop_to;
use super::user::User;
use super::{Scscf, aor_of};
use crate::outbound;
use crate::proxy::{ContextId, OwnRoute, Way};

/// How long a way is remembered that a dialog took: an ACK comes within 64*T1.
const REMEMBERED: Duration = Duration::from_secs(32);

/// A dialog, and the flow that it was made over.
type Over = (String, u64);

/// The ways that dialogs took when their first ones were gone.
#[derive(Debug, Default)]
pub(super) struct Detours {
    ways: BTreeMap<Over, Way>,
    ends: Expiries<Over>,
}

impl Detours {
    fn take(&mut self, now: Instant, over: Over, way: Way) {
        self.ends.set(now + REMEMBERED, over.clone());
        self.ways.insert(over, way);
    }

    pub(super) fn len(&self) -> usize {
        self.ways.len()
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(over) = self.ends.due(now) {
            self.ways.remove(&over);
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.ends.next()
    }
}

impl Scscf {
    /// The other ways to the phone that a request within a dialog is for: those of its flows, but for the one
    /// that the Route names.
    pub(super) fn other_flows(&self, now: Instant, request: &Message) -> Vec<Way> {
        let Some(flow) = outbound::next_flow(request) else { return Vec::new() };
        let named = [Some(request.uri().to_owned()), to_of(request)].into_iter().flatten();
        let users = named.filter_map(|uri| {
            let called = self.gruus.called(&uri, &self.config.home_domain)?;
            self.users.of(called.aor()?)
        });
        let phone = users.filter_map(|user| flows_of(user, flow)).next();
        let way = |contact: &Contact| {
            let uri = request.uri().to_owned();
            let route = contact.path().map(str::to_owned).collect();
            Some(Way { uri, route, hop: hop_to(contact)? })
        };
        // The newest first, RFC 5626 §7.
        let others = phone.into_iter().flatten().rev();
        others.filter(|contact| contact.expires() > now).filter_map(way).collect()
    }

    /// Puts a request of a dialog on the way that one before it took.
    pub(super) fn follow_detour(&self, request: &mut Message) -> Option<Way> {
        let way = self.detours.ways.get(&over(request)?)?.clone();
        request.remove(HeaderName::Route);
        for route in &way.route {
            request.push(HeaderName::Route, route.as_str());
        }
        Some(way)
    }

    /// A request within a dialog was answered: the ACK, and what follows soon, takes the same way.
    pub(super) fn remember_detour(&mut self, now: Instant, context: ContextId, call_id: &str) {
        if let Some((from, way)) = self.proxy.way_taken(context)
            && let Some(flow) = outbound::flow_of(from, &["mo", "mt"])
        {
            let way = way.clone();
            self.detours.take(now, (call_id.to_owned(), flow), way);
        }
    }

    /// Whether what a P-CSCF says of a phone within a dialog is so: it has the flow that the Route named, and
    /// others. What says nothing of the kind is.
    pub(super) fn has_flow(&self, request: &mut Message, own: &OwnRoute) -> bool {
        let Some(flow) = own.get(outbound::FLOW) else { return true };
        let user = aor_of(request, HeaderName::PAssertedIdentity);
        request.remove(HeaderName::PAssertedIdentity);
        let flow = u64::from_str_radix(flow, 16).ok();
        let user = user.and_then(|aor| self.users.of(&aor));
        let others = user.zip(flow).and_then(|(user, flow)| flows_of(user, flow));
        others.is_some_and(|mut others| others.next().is_some())
    }
}

/// The other flows of the phone that has this one.
fn flows_of(user: &User, flow: u64) -> Option<impl DoubleEndedIterator<Item = &Contact>> {
    let of =
        |contact: &Contact| contact.reg_id.filter(|_| !contact.emergency).and(flow_to(contact));
    let first = user.contacts.iter().find(|contact| of(contact) == Some(flow))?;
    let same = move |contact: &&Contact| {
        contact.reg_id.is_some()
            && contact.instance() == first.instance()
            && !std::ptr::eq(*contact, first)
    };
    Some(user.contacts.iter().filter(same))
}

/// The number of a contact's flow, which is in its Path.
fn flow_to(contact: &Contact) -> Option<u64> {
    let uri = Uri::parse(NameAddr::parse(contact.path().next()?)?.uri)?.sip()?;
    outbound::flow_of(uri.user?, &["term"])
}

fn to_of(request: &Message) -> Option<String> {
    let to = request.get(HeaderName::To).and_then(NameAddr::parse)?;
    Some(to.uri.to_owned())
}

/// The dialog of a request, and the flow that its Route names.
fn over(request: &Message) -> Option<Over> {
    let flow = outbound::next_flow(request)?;
    Some((request.get(HeaderName::CallId)?.to_owned(), flow))
}
