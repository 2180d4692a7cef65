//! The reg event notifier, TS 24.229 §5.4.2, RFC 3680: who watches a user's registration is told of
//! every change.

use base::Instant;
use base::fnv::fnv1a;
use base::time::Duration;
use sip::header::{HeaderName, NameAddr, delta_seconds};
use sip::reginfo::{
    self, Completeness, Contact as ContactInfo, ContactEvent, RegInfo, Registration, State,
};
use sip::{ClientId, Dialog, Message, Method, Stack, Uri};

use super::contact::Contact;
use super::profile::Profile;
use super::user::User;
use super::watchers::{Watcher, WatcherId};
use super::{Scscf, aor_of};
use crate::proxy::{Refusal, Upstream};

/// Longest subscription in seconds.
const MAX_EXPIRES: u32 = 600_000;

/// Subscriptions at most; beyond it a SUBSCRIBE gets a 503.
const MAX_WATCHERS: usize = 500_000;

impl Scscf {
    /// A new SUBSCRIBE to a user's reg event: from himself, his P-CSCF, or an application server.
    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: &Message,
    ) -> Result<(), Refusal> {
        let aor = Uri::parse(request.uri()).map(|u| u.aor()).unwrap_or_default();
        let user = self.users.of(&aor).ok_or(Refusal::new(480, "the user is not registered"))?;
        if !self.may_watch(request, user) {
            return Err(Refusal::new(403, "not allowed to watch this registration"));
        }
        if self.watchers.len() >= MAX_WATCHERS {
            return Err(Refusal::new(503, "too many subscriptions"));
        }
        let impi = user.impi.clone();
        let tag = self.proxy.stack.token();
        let dialog = Dialog::of_request(request, &tag, false)
            .ok_or(Refusal::new(400, "a SUBSCRIBE needs a Contact"))?;
        let id = self.watchers.insert(Watcher::new(impi, &dialog, now));
        self.accept(now, upstream, request, id, &tag);
        Ok(())
    }

    /// A SUBSCRIBE within its dialog: a refresh, or the end.
    pub(super) fn resubscribe(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: &Message,
    ) -> Result<(), Refusal> {
        let tag = request.get(HeaderName::From).and_then(NameAddr::parse).and_then(|a| a.tag());
        let call = request.get(HeaderName::CallId).unwrap_or("");
        let id = self.watchers.find(call, tag.unwrap_or(""));
        let known = id.and_then(|id| Some((id, self.watchers.dialog(id)?)));
        let ours = known.filter(|(_, dialog)| dialog.owns_request(request));
        let (id, mut dialog) = ours.ok_or(Refusal::new(481, "no such subscription"))?;
        let refused = |status| Refusal::new(status, "the SUBSCRIBE is out of order");
        dialog.take_request(request).map_err(refused)?;
        self.watchers.keep(id, &dialog);
        self.accept(now, upstream, request, id, &dialog.local_tag);
        Ok(())
    }

    fn accept(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: &Message,
        id: WatcherId,
        tag: &str,
    ) {
        let asked = request.get(HeaderName::Expires).and_then(delta_seconds).unwrap_or(3600);
        let seconds = asked.min(MAX_EXPIRES);
        let mut response = upstream.untagged(200);
        response.tag_to(tag);
        response.push(HeaderName::Contact, format!("<{}>", self.config.server_name()));
        response.push(HeaderName::Expires, seconds.to_string());
        for route in request.lines(HeaderName::RecordRoute) {
            response.push(HeaderName::RecordRoute, route);
        }
        self.proxy.respond(now, upstream, response);
        let until = now + Duration::from_secs(u64::from(seconds));
        self.watchers.prolong(id, until);
        self.notify_all(now, id, (seconds == 0).then_some("timeout"));
    }

    /// Ends subscriptions that were not refreshed, RFC 6665 §4.2.2.
    pub(super) fn expire_subscriptions(&mut self, now: Instant) {
        while let Some(id) = self.watchers.expired(now) {
            self.notify_all(now, id, Some("timeout"));
        }
    }

    /// Tells one watcher the whole state; `ended` is why it is the last time.
    fn notify_all(&mut self, now: Instant, id: WatcherId, ended: Option<&str>) {
        let Some(watcher) = self.watchers.get(id) else { return };
        let contacts = self.users.get(&watcher.impi).map(|u| u.contacts.clone());
        let contacts = contacts.unwrap_or_default().into_iter().filter(|c| !c.emergency);
        let events: Vec<_> = contacts.map(|c| (c, ContactEvent::Registered)).collect();
        self.notify(now, id, &events, Completeness::Full, ended);
    }

    /// §5.4.2.1.1: the user himself, whoever stands in the Path of his REGISTER, and application
    /// servers, which speak from within the trust domain with an identity of their own.
    fn may_watch(&self, request: &Message, user: &User) -> bool {
        let Some(watcher) = aor_of(request, HeaderName::PAssertedIdentity) else { return false };
        let own = user.profile.find(&watcher).is_some();
        let host = |text: &str| Uri::parse(text).and_then(Uri::sip).map(|u| u.host.to_owned());
        let watcher_host = host(&watcher);
        let in_path = user
            .contacts
            .iter()
            .flat_map(|c| c.path())
            .any(|path| NameAddr::parse(path).is_some_and(|a| host(a.uri) == watcher_host));
        let servers = user.profile.services.iter().flat_map(|s| &s.criteria[..]);
        let server = servers.into_iter().any(|c| host(&c.server.uri) == watcher_host);
        own || (watcher_host.is_some() && (in_path || server))
    }

    /// Tells the watchers what changed between two states of a user's contacts. `gone` is what
    /// happened to those that are no longer there.
    pub(super) fn contacts_changed(
        &mut self,
        now: Instant,
        impi: &str,
        before: &[Contact],
        after: &[Contact],
        gone: ContactEvent,
    ) {
        // Nobody watches emergency registrations.
        let before = || before.iter().filter(|contact| !contact.emergency);
        let after = || after.iter().filter(|contact| !contact.emergency);
        let mut events = Vec::new();
        for contact in after() {
            match before().find(|old| old.is_same(contact)) {
                Some(old) if old == contact => {}
                Some(_) => events.push((contact.clone(), ContactEvent::Refreshed)),
                None => events.push((contact.clone(), ContactEvent::Registered)),
            }
        }
        let missing = |old: &&Contact| !after().any(|new| new.is_same(old));
        events.extend(before().filter(missing).map(|old| (old.clone(), gone)));
        if events.is_empty() {
            return;
        }
        let over = after().next().is_none();
        let completeness = if over { Completeness::Full } else { Completeness::Partial };
        for id in self.watchers.of(impi) {
            if !over && self.watchers.get(id).is_some_and(|watcher| watcher.taken_over) {
                // RFC 3680 §5.2: only the full state mends what the watcher missed.
                let known = |c: &&Contact| !events.iter().any(|(other, _)| other.is_same(c));
                let others = after().filter(known).map(|c| (c.clone(), ContactEvent::Registered));
                let all: Vec<_> = events.iter().cloned().chain(others).collect();
                self.notify(now, id, &all, Completeness::Full, None);
                continue;
            }
            self.notify(now, id, &events, completeness, over.then_some("noresource"));
        }
    }

    /// The HSS changed the profile of a registered user: tells the watchers of the identities that
    /// came or went, the living ones with them.
    pub(super) fn identities_changed(&mut self, now: Instant, impi: &str, before: &Profile) {
        let Some(user) = self.users.get(impi) else { return };
        let contacts = user.contacts.iter().filter(|c| !c.emergency);
        let events: Vec<_> = contacts.map(|c| (c.clone(), ContactEvent::Registered)).collect();
        let was = |aor: &str| before.usable().any(|old| old == aor);
        let is = |aor: &str| user.profile.usable().any(|new| new == aor);
        let came = user
            .profile
            .usable()
            .map(|aor| (aor.to_owned(), if was(aor) { None } else { Some(ContactEvent::Created) }));
        let went = before.usable().filter(|aor| !is(aor));
        let went = went.map(|aor| (aor.to_owned(), Some(ContactEvent::Rejected)));
        let identities: Vec<_> = came.chain(went).collect();
        if events.is_empty() || identities.iter().all(|(_, event)| event.is_none()) {
            return;
        }
        for id in self.watchers.of(impi) {
            self.notify_of(now, id, &events, &identities, Completeness::Full, None);
        }
    }

    /// Tells one watcher of contacts, which are those of every identity.
    fn notify(
        &mut self,
        now: Instant,
        id: WatcherId,
        events: &[(Contact, ContactEvent)],
        completeness: Completeness,
        ended: Option<&str>,
    ) {
        let Some(watcher) = self.watchers.get(id) else { return };
        let Some(user) = self.users.get(&watcher.impi) else { return self.watchers.remove(id) };
        let identities: Vec<_> = user.profile.usable().map(|aor| (aor.to_owned(), None)).collect();
        self.notify_of(now, id, events, &identities, completeness, ended);
    }

    fn notify_of(
        &mut self,
        now: Instant,
        id: WatcherId,
        events: &[(Contact, ContactEvent)],
        identities: &[(String, Option<ContactEvent>)],
        completeness: Completeness,
        ended: Option<&str>,
    ) {
        let Some(until) = self.watchers.get(id).map(|watcher| watcher.until) else { return };
        let Some((mut dialog, version)) = self.watchers.next_number(id) else { return };
        let (us, home) = (self.config.sent_by(), &self.config.home_domain);
        let info = document(now, events, identities, completeness, version);
        let body = self.gruus.tell(info, events, &us, home).to_xml();
        let mut request = dialog.request(Method::Notify);
        let state = match ended {
            Some(reason) => format!("terminated;reason={reason}"),
            None => format!("active;expires={}", until.since(now).as_secs()),
        };
        request.push(HeaderName::Event, "reg");
        request.push(HeaderName::SubscriptionState, state);
        request.push(HeaderName::Contact, format!("<{}>", self.config.server_name()));
        request.set_body(reginfo::CONTENT_TYPE, body.into_bytes());
        let hop = Stack::hop(dialog.next_hop());
        if ended.is_some() {
            self.watchers.remove(id);
        }
        if let Some(hop) = hop {
            let client = self.proxy.send(now, request, hop);
            self.watchers.notified.insert(client, id);
        }
    }

    /// RFC 6665 §4.2.2: a watcher that refuses a NOTIFY, or does not answer, is none any more.
    pub(super) fn notify_answered(&mut self, client: ClientId, response: &Result<Message, u16>) {
        let status = response.as_ref().map_or_else(|status| *status, Message::status);
        if status < 200 {
            return;
        }
        if let Some(id) = self.watchers.notified.remove(&client)
            && matches!(status, 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 503 | 604)
        {
            self.watchers.remove(id);
        }
    }
}

/// The document about contacts of identities. What happened to an identity itself stands for what
/// happened to its contacts.
fn document(
    now: Instant,
    events: &[(Contact, ContactEvent)],
    identities: &[(String, Option<ContactEvent>)],
    completeness: Completeness,
    version: u32,
) -> RegInfo {
    let gone = |event: ContactEvent| {
        use ContactEvent::{Created, Refreshed, Registered, Shortened};
        !matches!(event, Registered | Created | Refreshed | Shortened)
    };
    let registration = |(aor, own): &(String, Option<ContactEvent>)| {
        let contact = |(contact, event): &(Contact, ContactEvent)| {
            let event = own.unwrap_or(*event);
            ContactInfo {
                id: name('c', contact.uri()),
                state: if gone(event) { State::Terminated } else { State::Active },
                event: Some(event),
                expires: if gone(event) { 0 } else { contact.lifetime.left(now) },
                uri: contact.uri().to_owned(),
                public_gruu: None,
                temporary_gruu: None,
            }
        };
        let contacts: Vec<ContactInfo> = events.iter().map(contact).collect();
        let ended = completeness == Completeness::Full
            && contacts.iter().all(|c| c.state == State::Terminated);
        let state = if ended { State::Terminated } else { State::Active };
        Registration { aor: aor.clone(), id: name('r', aor), state, contacts }
    };
    RegInfo { version, completeness, registrations: identities.iter().map(registration).collect() }
}

/// The id of a contact or an identity: the same in every document.
fn name(kind: char, uri: &str) -> String {
    format!("{kind}{:x}", fnv1a(uri.bytes()))
}
