//! The called user's half, TS 24.229 §5.4.3.3.

use base::Instant;
use diameter::cx::{Assignment, Saa, Sar};
use sip::header::{Event, HeaderName, NameAddr};
use sip::{Hop, Message, Method, Stack, Uri};

use super::contact::Contact;
use super::gruu::Called;
use super::preferences::{self, Forking};
use super::session::{Pending, Side, Then};
use super::user::User;
use super::{Scscf, Waiting};
use crate::cx::Answer;
use crate::emergency::is_call_back;
use crate::proxy::{ContextId, Refusal, Upstream, Way};

impl Scscf {
    /// Whom the Request-URI is for.
    pub(super) fn called(&self, request: &Message) -> Option<Called> {
        self.gruus.called(request.uri(), &self.config.home_domain)
    }

    /// A request for a user whom we serve, or whom the HSS says that we should.
    pub(super) fn terminating(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: Message,
    ) -> Result<(), Refusal> {
        let called = self.called(&request).ok_or(Refusal::new(416, "no user in the URI"))?;
        if self.gruus.is_void(&called, &self.users) {
            return Err(Refusal::new(404, "the temporary GRUU is not valid, or not any more"));
        }
        let served = called.aor().unwrap_or_default().to_owned();
        let package = request.get(HeaderName::Event).and_then(Event::parse);
        let watches = request.method() == Some(&Method::Subscribe)
            && package.is_some_and(|event| event.package.eq_ignore_ascii_case("reg"));
        if watches {
            return self.subscribe(now, upstream, &request);
        }
        let side = Side::Terminating;
        let pending = Pending::new(upstream.clone(), request, served, side);
        // The profile of a service is asked for each time: nobody tells when it changes.
        let user = self.users.of(&pending.served).filter(|user| !user.profile.is_service());
        let Some(user) = user else {
            self.ask_profile(now, pending);
            return Ok(());
        };
        if is_call_back(&pending.request) {
            // RFC 7090 §3: no service of the user is to keep an emergency centre from him.
            return self.reach_contacts(now, pending, None);
        }
        let barred = user.profile.find(&pending.served).is_none_or(|(_, identity)| identity.barred);
        if barred {
            return Err(Refusal::new(404, "the called identity is barred"));
        }
        self.through_criteria(now, pending, None)
    }

    /// §5.4.3.3 step 1: services of a user who is not registered, TS 29.228 §6.1.2.
    fn ask_profile(&mut self, now: Instant, pending: Pending) {
        let sar = Sar {
            user_name: None,
            public_identities: vec![pending.served.clone()],
            server_name: self.config.server_name(),
            assignment: Assignment::UnregisteredUser,
            has_user_data: false,
            features: self.features(),
            restoration: Vec::new(),
        };
        let id = self.cx.ask(now, &sar);
        self.waiting.insert(id, Waiting::Unregistered(pending));
    }

    /// SAA for a user who is not registered: his profile is kept like a registered one's.
    pub(super) fn unregistered(&mut self, now: Instant, pending: Pending, answer: &Answer) {
        if !self.proxy.is_unanswered(&pending.upstream) {
            return;
        }
        let upstream = pending.upstream.clone();
        let saa = answer.body::<Saa>().unwrap_or_default();
        let user = User::of_answer(&saa);
        let result = match (user, answer) {
            (Some(mut user), _) => {
                let barred = user.profile.find(&pending.served).is_some_and(|(_, i)| i.barred);
                if user.profile.is_service() {
                    let _ = self.users.save(now, user);
                } else if self.users.get(&user.impi).is_none() {
                    // TS 23.380 §4.4.3: he is registered, and his S-CSCF is away.
                    self.restored(now, &mut user, &saa);
                    let save = self.users.save(now, user);
                    self.outputs.extend(save);
                }
                if barred {
                    Err(Refusal::new(404, "the called identity is barred"))
                } else {
                    self.through_criteria(now, pending, None)
                }
            }
            (None, Answer::Unavailable(_)) => {
                Err(Refusal::new(504, "the HSS did not answer the SAR"))
            }
            (None, _) => Err(Refusal::new(480, "the called user has no services here")),
        };
        if let Err(refusal) = result {
            self.refuse(now, &upstream, &refusal);
        }
    }

    /// §5.4.3.3 steps 4 to 11: the criteria are done, the user's contacts are next, all at once.
    pub(super) fn reach_contacts(
        &mut self,
        now: Instant,
        mut pending: Pending,
        context: Option<ContextId>,
    ) -> Result<(), Refusal> {
        let contacts = self.users.of(&pending.served).map(|u| u.contacts.clone());
        let mut contacts = contacts.unwrap_or_default();
        // They stand in the order of their registration. The newest comes first where nothing else decides: a phone
        // that went without a word has left an older one behind.
        contacts.reverse();
        // A contact for emergency calls takes nothing but the call back.
        let call_back = is_call_back(&pending.request);
        contacts.retain(|contact| contact.expires() > now && (call_back || !contact.emergency));
        if contacts.is_empty() {
            return Err(Refusal::new(480, "the called user is not registered"));
        }
        // RFC 5627 §5.3: of a GRUU the contacts of its instance and no others.
        if let Some(called) = self.called(&pending.request) {
            contacts.retain(|contact| self.gruus.reaches(&called, contact));
        }
        if contacts.is_empty() {
            return Err(Refusal::new(480, "the phone that the GRUU names is not registered"));
        }
        let forking = if call_back { Forking::Parallel } else { Forking::of(&pending.request) };
        if !call_back {
            preferences::apply(&pending.request, &mut contacts);
        }
        if contacts.is_empty() {
            return Err(Refusal::new(
                480,
                "no contact of the called user is what the caller wants",
            ));
        }
        let mut copies = Vec::with_capacity(contacts.len());
        for (contact, others) in phones(contacts) {
            let mut copy = pending.request.clone();
            copy.set(HeaderName::PCalledPartyId, format!("<{}>", pending.request.uri()));
            copy.set_uri(without_headers(contact.uri()));
            copy.remove(HeaderName::Route);
            for route in contact.path() {
                copy.push(HeaderName::Route, route);
            }
            let Some(hop) = hop_to(&contact) else { continue };
            let way = |other: &Contact| {
                let uri = without_headers(other.uri()).to_owned();
                let route = other.path().map(str::to_owned).collect();
                Some(Way { uri, route, hop: hop_to(other)? })
            };
            let ways: Vec<Way> = others.iter().filter_map(way).collect();
            if !ways.is_empty() {
                pending.upstream.otherwise(&copy, ways);
            }
            copies.push((copy, hop));
        }
        if let Some(context) = context {
            self.proxy.goes_on(context, &pending.upstream);
        }
        if copies.is_empty() {
            return Err(Refusal::new(480, "no contact of the called user can be reached"));
        }
        let then = if forking == Forking::Sequential { Then::NextCopy } else { Then::Nothing };
        if forking == Forking::No {
            copies.truncate(1);
        }
        self.forward(now, pending, context, copies, then);
        Ok(())
    }
}

/// One contact for each phone, and its other flows, of those that are wanted most: of several flows the newest
/// comes first, RFC 5626 §7.
fn phones(contacts: Vec<Contact>) -> Vec<(Contact, Vec<Contact>)> {
    let mut phones: Vec<(Contact, Vec<Contact>)> = Vec::with_capacity(contacts.len());
    for contact in contacts {
        let several = |(first, _): &&mut (Contact, Vec<Contact>)| {
            contact.reg_id.is_some()
                && first.reg_id.is_some()
                && first.instance() == contact.instance()
        };
        match phones.iter_mut().find(several) {
            Some((_, others)) => others.push(contact),
            None => phones.push((contact, Vec::new())),
        }
    }
    phones.sort_by_key(|(first, _)| std::cmp::Reverse(first.q));
    phones
}

/// Where a contact is reached: by its Path, else by itself.
pub(super) fn hop_to(contact: &Contact) -> Option<Hop> {
    let next = contact.path().next().and_then(NameAddr::parse);
    Stack::hop(next.map_or(contact.uri(), |path| path.uri))
}

/// A Contact's URI as Request-URI, which has no header fields (RFC 3261 §19.1.1). Those that a phone
/// put there are not honoured: one could be a Route.
fn without_headers(uri: &str) -> &str {
    let headers = Uri::parse(uri).and_then(Uri::sip).and_then(|uri| uri.headers);
    headers.map_or(uri, |headers| &uri[..uri.len() - headers.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::without_headers;

    #[test]
    fn a_request_uri_has_no_headers() {
        for uri in ["sip:a?b@10.0.0.1:5060;x", "tel:+1", "urn:a?b"] {
            assert_eq!(without_headers(uri), uri);
        }
        assert_eq!(without_headers("sip:a?b@10.0.0.1?Route=%3Csip:c%3E"), "sip:a?b@10.0.0.1");
        assert_eq!(without_headers("sip:10.0.0.1?"), "sip:10.0.0.1");
    }
}
