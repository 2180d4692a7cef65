//! The P-CSCF's subscription to the reg event of its phones, TS 24.229 §5.2.3: so that it learns when
//! the network ends a registration.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::time::Duration;
use base::timer::Expiries;
use base::{Event, Instant, Severity};
use sip::header::{HeaderName, SubscriptionState};
use sip::reginfo::{self, RegInfo, State};
use sip::{ClientId, Hop, Message, Method};

use super::Pcscf;
use super::binding::Binding;
use crate::emergency::same_contact;
use crate::proxy::Upstream;

/// How long the last NOTIFY of a phone that is gone is waited for: 64*T1.
const LAST_NOTIFY: Duration = Duration::from_secs(32);

/// Subscriptions by their Call-ID.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_call: BTreeMap<Arc<str>, u64>,
    by_binding: BTreeMap<u64, Arc<str>>,
    asked: BTreeMap<ClientId, Arc<str>>,
    /// Those of phones that are gone.
    ending: Expiries<Arc<str>>,
}

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.by_call.len()
    }

    /// Whether a NOTIFY belongs to one of ours.
    pub(super) fn owns(&self, request: &Message) -> bool {
        request.get(HeaderName::CallId).is_some_and(|call| self.by_call.contains_key(call))
    }

    /// The Call-ID of the one for this phone: none if the S-CSCF refused or ended it.
    pub(super) fn of(&self, binding: u64) -> Option<Arc<str>> {
        self.by_binding.get(&binding).cloned()
    }

    /// The answer to a SUBSCRIBE: a refusal ends the subscription of this phone.
    pub(super) fn answered(
        &mut self,
        client: ClientId,
        response: Result<Message, u16>,
    ) -> Option<u64> {
        let status = response.map_or_else(|status| status, |response| response.status());
        if status < 200 {
            return None;
        }
        let call = self.asked.remove(&client)?;
        if status >= 300 { self.remove(&call) } else { None }
    }

    /// The binding was read from the store, or changed by another node.
    pub(super) fn restore(&mut self, binding: &Binding) {
        let known = self.by_binding.get(&binding.id);
        if known != binding.subscription.as_ref() {
            known.cloned().and_then(|call| self.remove(&call));
        }
        if let Some(call) = &binding.subscription {
            self.insert(call, binding.id);
        }
    }

    fn insert(&mut self, call: &Arc<str>, binding: u64) {
        self.by_call.insert(Arc::clone(call), binding);
        self.by_binding.insert(binding, Arc::clone(call));
    }

    /// Ends one; the phone that has none any more.
    fn remove(&mut self, call: &str) -> Option<u64> {
        let (call, binding) = self.by_call.remove_entry(call)?;
        self.ending.remove(&call);
        if self.by_binding.get(&binding) != Some(&call) {
            return None;
        }
        self.by_binding.remove(&binding);
        Some(binding)
    }

    /// The phone is gone; the S-CSCF will say so once more.
    pub(super) fn end(&mut self, now: Instant, binding: u64) {
        if let Some(call) = self.by_binding.remove(&binding) {
            self.ending.set(now + LAST_NOTIFY, call);
        }
    }

    /// Forgets those whose last NOTIFY did not come.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(call) = self.ending.due(now) {
            self.remove(&call);
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.ending.next()
    }
}

impl Pcscf {
    /// The Call-ID of a new subscription.
    pub(super) fn subscription(&mut self) -> Arc<str> {
        format!("{}@{}", self.random.token::<12>(), self.config.host).into()
    }

    /// The S-CSCF does not tell us of this phone any more.
    pub(super) fn unsubscribed(&mut self, now: Instant, id: u64) {
        if let Some(binding) = self.bindings.get(id) {
            let binding = Binding { subscription: None, ..binding.clone() };
            let save = self.bindings.save(now, binding);
            self.outputs.extend(save);
        }
    }

    /// Subscribes after a 200 to the first REGISTER.
    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        binding: u64,
        identity: &str,
        call: &Arc<str>,
    ) {
        let us = format!("sip:{}", self.config.sent_by());
        let tag = self.random.token::<8>();
        let mut request = Message::request(Method::Subscribe, identity)
            .with(HeaderName::MaxForwards, "70")
            .with(HeaderName::From, format!("<{us}>;tag={tag}"))
            .with(HeaderName::To, format!("<{identity}>"))
            .with(HeaderName::CallId, &**call)
            .with(HeaderName::CSeq, "1 SUBSCRIBE")
            .with(HeaderName::Contact, format!("<{us}>"))
            .with(HeaderName::PAssertedIdentity, format!("<{us}>"))
            .with(HeaderName::Event, "reg")
            .with(HeaderName::Accept, reginfo::CONTENT_TYPE)
            .with(HeaderName::Expires, "600000");
        self.add_charging_vector(&mut request);
        let client = self.proxy.send(now, request, Hop::Name(self.config.icscf.clone()));
        self.subscriptions.insert(call, binding);
        self.subscriptions.asked.insert(client, Arc::clone(call));
    }

    /// A NOTIFY about one of our phones.
    pub(super) fn notified(&mut self, now: Instant, upstream: &Upstream, request: &Message) {
        let call = request.get(HeaderName::CallId).unwrap_or("").to_owned();
        let Some(id) = self.subscriptions.by_call.get(&*call).copied() else {
            return self.proxy.reply(now, upstream, 481);
        };
        let state = request.get(HeaderName::SubscriptionState).and_then(SubscriptionState::parse);
        if state.is_some_and(|s| s.is_terminated())
            && let Some(id) = self.subscriptions.remove(&call)
        {
            self.unsubscribed(now, id);
        }
        if request.content_type() == reginfo::CONTENT_TYPE {
            let body = String::from_utf8_lossy(request.body());
            match RegInfo::parse(&body) {
                Some(info) => self.follow(now, id, &info),
                None => return self.proxy.reply(now, upstream, 400),
            }
        }
        self.proxy.reply(now, upstream, 200);
    }

    /// TS 24.229 §5.2.3: identities for which the phone's contact is active are its own from now on,
    /// those for which it was terminated are no longer; with the last one the phone is forgotten.
    fn follow(&mut self, now: Instant, id: u64, info: &RegInfo) {
        let Some(binding) = self.bindings.get(id) else { return };
        let (mut came, mut went) = (Vec::new(), Vec::new());
        let mut gruus = Vec::new();
        for registration in &info.registrations {
            let aor = sip::Uri::parse(&registration.aor).map(|uri| uri.aor());
            let same = |known: &&Arc<str>| sip::Uri::parse(known).map(|uri| uri.aor()) == aor;
            let known = binding.identities.iter().find(same);
            let ours = known.is_some() || same(&&binding.aor);
            let mut contacts = registration.contacts.iter();
            let contact = contacts.find(|c| same_contact(&c.uri, &binding.contact));
            let state = contact.map_or(registration.state, |contact| contact.state);
            if let Some(contact) = contact.filter(|contact| contact.state == State::Active) {
                let temporary = contact.temporary_gruu.as_ref().map(|(gruu, _)| gruu.clone());
                gruus.push((contact.public_gruu.clone(), temporary));
            }
            match state {
                State::Terminated if ours => went.push(known.unwrap_or(&binding.aor).clone()),
                State::Active if contact.is_some() && !ours && aor.is_some() => {
                    came.push(Arc::from(&*registration.aor));
                }
                _ => {}
            }
        }
        let old = binding.clone();
        let mut binding = old.clone();
        for (public, temporary) in gruus {
            binding.learn_gruus(public, temporary);
        }
        binding.identities.retain(|identity| !went.contains(identity));
        binding.identities.extend(came.iter().cloned());
        if !went.is_empty() && binding.identities.is_empty() {
            return self.unbind(now, id, "ended by the network");
        }
        if went.len() + came.len() > 0 {
            let text = format!("{}: identities came {came:?}, went {went:?}", binding.aor);
            let event = Event::new(Severity::Info, "pcscf.identities_changed", text);
            self.tell(event.impu(&*binding.aor));
        }
        if binding != old {
            let save = self.bindings.save(now, binding);
            self.outputs.extend(save);
        }
    }
}
