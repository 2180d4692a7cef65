//! The P-CSCF's subscription to the reg event of its phones, TS 24.229 §5.2.3: so that it learns when
//! the network ends a registration.

use std::collections::{BTreeMap, VecDeque};

use base::Instant;
use base::time::Duration;
use sip::header::{HeaderName, SubscriptionState};
use sip::{ClientId, Hop, Message, Method, ServerId};

use super::Pcscf;
use crate::reginfo::{self, RegInfo, State};

/// Subscriptions by their Call-ID.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    by_call: BTreeMap<String, u64>,
    asked: BTreeMap<ClientId, String>,
    /// Those whose phones are gone, and until when their last NOTIFY is waited for.
    ending: VecDeque<(Instant, String)>,
}

/// The last NOTIFY may come after the 200 to the REGISTER that ends it: Timer N, RFC 6665 §4.1.2.4.
const LAST_NOTIFY: Duration = Duration::from_secs(32);

impl Subscriptions {
    pub(super) fn len(&self) -> usize {
        self.by_call.len()
    }

    /// Whether a NOTIFY belongs to one of ours.
    pub(super) fn owns(&self, request: &Message) -> bool {
        request.get(HeaderName::CallId).is_some_and(|call| self.by_call.contains_key(call))
    }

    /// The answer to a SUBSCRIBE: a refusal ends the subscription.
    pub(super) fn answered(&mut self, client: ClientId, response: Result<Message, u16>) {
        let done = response.as_ref().map_or(true, |r| r.status() >= 200);
        let refused = response.map_or(true, |r| r.status() >= 300);
        if !done {
            return;
        }
        if let Some(call) = self.asked.remove(&client)
            && refused
        {
            self.by_call.remove(&call);
        }
    }

    /// The phone is gone; the S-CSCF will say so, too.
    pub(super) fn forget(&mut self, now: Instant, binding: u64) {
        let theirs = self.by_call.iter().filter(|(_, id)| **id == binding);
        let until = now + LAST_NOTIFY;
        self.ending.extend(theirs.map(|(call, _)| (until, call.clone())));
    }

    /// Those that nothing came for in time.
    pub(super) fn end(&mut self, now: Instant) {
        while let Some((_, call)) = self.ending.pop_front_if(|(at, _)| *at <= now) {
            self.by_call.remove(&call);
        }
    }

    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ending.front().map(|(at, _)| *at)
    }
}

impl Pcscf {
    /// Subscribes after the first 200 to a REGISTER.
    pub(super) fn subscribe(&mut self, now: Instant, binding: u64, identity: &str) {
        let call = format!("{}@{}", self.random.token::<12>(), self.config.host);
        let us = format!("sip:{}", self.config.sent_by());
        let tag = self.random.token::<8>();
        let mut request = Message::request(Method::Subscribe, identity)
            .with(HeaderName::MaxForwards, "70")
            .with(HeaderName::From, format!("<{us}>;tag={tag}"))
            .with(HeaderName::To, format!("<{identity}>"))
            .with(HeaderName::CallId, call.as_str())
            .with(HeaderName::CSeq, "1 SUBSCRIBE")
            .with(HeaderName::Contact, format!("<{us}>"))
            .with(HeaderName::PAssertedIdentity, format!("<{us}>"))
            .with(HeaderName::Event, "reg")
            .with(HeaderName::Accept, reginfo::CONTENT_TYPE)
            .with(HeaderName::Expires, "600000");
        self.add_charging_vector(&mut request);
        let client = self.proxy.send(now, request, Hop::Name(self.config.icscf.clone()));
        self.subscriptions.by_call.insert(call.clone(), binding);
        self.subscriptions.asked.insert(client, call);
    }

    /// A NOTIFY about one of our phones.
    pub(super) fn notified(&mut self, now: Instant, server: ServerId, request: &Message) {
        let call = request.get(HeaderName::CallId).unwrap_or("").to_owned();
        let Some(id) = self.subscriptions.by_call.get(&call).copied() else {
            return self.proxy.stack.reply(now, server, request, 481);
        };
        let state = request.get(HeaderName::SubscriptionState).and_then(SubscriptionState::parse);
        if state.is_some_and(|s| s.is_terminated()) {
            self.subscriptions.by_call.remove(&call);
        }
        if request.content_type() == reginfo::CONTENT_TYPE {
            let body = String::from_utf8_lossy(request.body());
            match RegInfo::parse(&body) {
                Some(info) => self.follow(now, id, &info),
                None => return self.proxy.stack.reply(now, server, request, 400),
            }
        }
        self.proxy.stack.reply(now, server, request, 200);
    }

    /// Forgets the phone when its contact, or its whole registration, was terminated.
    fn follow(&mut self, now: Instant, id: u64, info: &RegInfo) {
        let Some(binding) = self.bindings.get(id) else { return };
        let ours = |aor: &str| {
            let aor = sip::Uri::parse(aor).map(|u| u.aor());
            let identities = binding.identities.iter().chain([&binding.aor]);
            identities.into_iter().any(|i| sip::Uri::parse(i).map(|u| u.aor()) == aor)
        };
        let ended = info.registrations.iter().filter(|r| ours(&r.aor)).any(|r| {
            let contact = r.contacts.iter().find(|c| sip::uri::equal(&c.uri, &binding.contact));
            match contact {
                Some(contact) => contact.state == State::Terminated,
                None => r.state == State::Terminated,
            }
        });
        if ended {
            self.unbind(now, id, "ended by the network");
        }
    }
}
