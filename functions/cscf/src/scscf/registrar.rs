//! REGISTER at the S-CSCF: TS 24.229 §5.4.1, RFC 3261 §10.3.

use base::redact::Secret;
use base::{Event, Instant, Severity};
use diameter::cx::{Assignment, AuthData, Maa, Mar, Saa, Sar};
use sip::Message;
use sip::gruu;
use sip::header::{Challenge, Credentials, HeaderName, NameAddr, delta_seconds, q_value};
use sip::lex::quote;
use sip::reginfo::ContactEvent;

use super::authenticate::Verdict;
use super::config::ScscfConfig;
use super::contact::{Contact, Said};
use super::ifc::RegistrationType;
use super::profile::Subscription;
use super::third_party::Exchange;
use super::user::User;
use super::{Scscf, Waiting, aor_of};
use crate::cx::{Answer, private_identity};
use crate::emergency::is_emergency_registration;
use crate::lifetime::Lifetime;
use crate::outbound;
use crate::proxy::{Refusal, Upstream};

/// A REGISTER that waits for the HSS.
#[derive(Clone, Debug)]
pub(super) struct Register {
    upstream: Upstream,
    request: Message,
    impi: String,
    impu: String,
    stale: bool,
}

impl Register {
    fn about(&self, event: Event) -> Event {
        self.upstream.about(event).impi(&self.impi)
    }
}

impl Scscf {
    pub(super) fn register(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: Message,
    ) -> Result<(), Refusal> {
        let impu = aor_of(&request, HeaderName::To).ok_or(Refusal::new(400, "To is no URI"))?;
        self.check_expiry(&request)?;
        let credentials = request.get(HeaderName::Authorization).and_then(Credentials::parse);
        let impi = private_identity(credentials.as_ref(), &impu, &self.config.home_domain);
        let answered = credentials.filter(|c| !c.response.is_empty() || c.auts.is_some());
        let verdict = answered.map(|answer| self.challenges.check(&impi, &request, &answer));
        let upstream = upstream.clone();
        let mut register = Register { upstream, request, impi, impu, stale: false };
        let Some(verdict) = verdict else {
            self.challenge_again(now, register);
            return Ok(());
        };
        match verdict {
            Verdict::Authenticated => self.authenticated(now, register),
            Verdict::Stale => {
                register.stale = true;
                self.challenge_again(now, register);
                Ok(())
            }
            Verdict::Resynchronise(rand_auts) => {
                self.ask_vector(now, register, Some(rand_auts));
                Ok(())
            }
            Verdict::Wrong => {
                if self.users.get(&register.impi).is_none() {
                    self.tell_hss(
                        now,
                        &register.impi,
                        &register.impu,
                        Assignment::AuthenticationFailure,
                    );
                }
                let text = format!("{} answered the challenge wrongly", register.impi);
                self.tell(register.about(Event::new(
                    Severity::Warning,
                    "scscf.wrong_response",
                    text,
                )));
                Err(Refusal::new(403, "the answer to the challenge is wrong"))
            }
        }
    }

    /// RFC 3261 §10.3 step 7: too short is a 423.
    fn check_expiry(&self, request: &Message) -> Result<(), Refusal> {
        let default = request.get(HeaderName::Expires).and_then(delta_seconds);
        let min = self.config.min_expires;
        let mut asked = request
            .list(HeaderName::Contact)
            .filter_map(NameAddr::parse)
            .filter_map(|c| c.expires().or(default));
        if asked.any(|seconds| seconds > 0 && seconds < min) {
            let header = Some((HeaderName::MinExpires, min.to_string()));
            return Err(Refusal { status: 423, header, why: "the registration is too short" });
        }
        Ok(())
    }

    fn challenge_again(&mut self, now: Instant, register: Register) {
        let until = now + self.config.await_auth;
        let (impi, stale) = (&register.impi, register.stale);
        match self.challenges.reissue(until, impi, stale, &mut self.random) {
            Some(challenges) => {
                // Nothing is kept of who has proved nothing, RFC 3261 §8.2.7: of several challenges to
                // a REGISTER that was repeated each can be answered.
                let response = challenging(register.upstream.untagged(401), &challenges);
                self.proxy.respond_once(now, &register.upstream, response);
            }
            None => self.ask_vector(now, register, None),
        }
    }

    /// MAR, TS 29.228 §6.3.
    fn ask_vector(&mut self, now: Instant, register: Register, rand_auts: Option<[u8; 30]>) {
        let algorithm = register
            .request
            .get(HeaderName::Authorization)
            .and_then(Credentials::parse)
            .map(|c| c.algorithm)
            .unwrap_or_default();
        let scheme = match algorithm.to_ascii_uppercase().as_str() {
            "AKAV1-MD5" => "Digest-AKAv1-MD5",
            _ if rand_auts.is_some() => "Digest-AKAv1-MD5",
            "MD5" | "SHA-256" => "SIP Digest",
            _ => "Unknown",
        };
        let mar = Mar {
            user_name: register.impi.clone(),
            public_identity: register.impu.clone(),
            items: 1,
            auth_data: AuthData {
                scheme: Some(scheme.to_owned()),
                authorization: rand_auts.map(|bytes| Secret::new(bytes.to_vec())),
                ..AuthData::default()
            },
            server_name: self.config.server_name(),
        };
        let id = self.cx.ask(now, &mar);
        self.waiting.insert(id, Waiting::Challenge(register));
    }

    /// MAA: the challenge goes out.
    pub(super) fn challenge(&mut self, now: Instant, register: Register, answer: &Answer) {
        let items = answer.body::<Maa>().map(|maa| maa.auth_data).unwrap_or_default();
        let until = now + self.config.await_auth;
        let ScscfConfig { home_domain, digest, .. } = &self.config;
        let (impi, random) = (&register.impi, &mut self.random);
        let challenges = self.challenges.issue(until, impi, home_domain, &items, digest, random);
        if challenges.is_empty() {
            let mut text = format!("no challenge for {impi}: {answer}");
            if items.iter().any(|item| item.digest.is_some()) {
                let wanted: Vec<_> = digest.iter().map(|algorithm| algorithm.name()).collect();
                text += &format!(
                    ", but has no H(A1) for {}: give the password anew, or more algorithms to \
                     `digest` below `[registration]`",
                    wanted.join(" or ")
                );
            }
            self.tell(register.about(Event::new(Severity::Warning, "scscf.no_challenge", text)));
            let refusal = answer.register_refusal("no authentication data");
            return self.refuse(now, &register.upstream, &refusal);
        }
        // What the HSS was asked for is kept: a repetition costs it no further vector.
        let response = challenging(self.proxy.answer(&register.upstream, 401), &challenges);
        self.proxy.respond(now, &register.upstream, response);
    }

    /// The user is who he says: first registrations and deregistrations go to the HSS.
    fn authenticated(&mut self, now: Instant, register: Register) -> Result<(), Refusal> {
        let user = self.users.get(&register.impi);
        let contacts = self.merged(now, &register)?;
        let assignment = match (user, contacts.is_empty()) {
            (Some(user), true) if !user.contacts.is_empty() => Assignment::UserDeregistration,
            (_, true) if !register.request.has(HeaderName::Contact) => {
                return Err(Refusal::new(400, "REGISTER without Contact"));
            }
            (_, true) => {
                let response = self.register_response(now, &register);
                self.proxy.respond(now, &register.upstream, response);
                return Ok(());
            }
            (Some(user), false) if has_contacts(user, &register) => {
                self.bind(now, &register, contacts);
                return Ok(());
            }
            _ => Assignment::Registration,
        };
        let sar = Sar {
            user_name: Some(register.impi.clone()),
            public_identities: vec![register.impu.clone()],
            server_name: self.config.server_name(),
            assignment,
            has_user_data: false,
            features: self.features(),
            restoration: self.leave(&register.impi, &contacts),
        };
        let id = self.cx.ask(now, &sar);
        self.waiting.insert(id, Waiting::Assign(register));
        Ok(())
    }

    /// SAA: the profile came, or the deregistration is done.
    pub(super) fn assigned(&mut self, now: Instant, register: Register, answer: &Answer) {
        let result: Result<(), Refusal> = match self.merged(now, &register) {
            Err(refusal) => Err(refusal),
            // TS 29.228 §6.1.2: a deregistration is done here whatever the HSS says.
            Ok(contacts) if contacts.is_empty() => {
                let gone = self.take_out(now, &register.impi, ContactEvent::Unregistered);
                let response = self.register_response(now, &register);
                self.proxy.respond(now, &register.upstream, response.clone());
                if let Some(user) = gone {
                    let exchange = Exchange { request: &register.request, response: &response };
                    self.deregistration_to_servers(now, &user, Some(&exchange));
                }
                return;
            }
            Ok(contacts) => {
                let saa = answer.body::<Saa>().unwrap_or_default();
                let data = saa.user_data.as_deref().map(String::from_utf8_lossy);
                match data.and_then(|data| Subscription::parse(&data)) {
                    Some(Subscription { profile, .. }) => {
                        let mut user = User::new(&register.impi, profile);
                        // Of one whom another S-CSCF served his other contacts come with him.
                        let took_over = self.restored(now, &mut user, &saa);
                        // `bind` stores him together with his contacts.
                        let _ = self.users.save(now, user);
                        let merged = took_over.then(|| self.merged(now, &register));
                        let contacts = merged.and_then(Result::ok).unwrap_or(contacts);
                        return self.bind(now, &register, contacts);
                    }
                    None => Err(answer.register_refusal("no usable profile")),
                }
            }
        };
        if let Err(refusal) = result {
            let text = format!("{} not registered: {answer}", register.impi);
            self.tell(register.about(Event::new(Severity::Warning, "scscf.not_assigned", text)));
            self.refuse(now, &register.upstream, &refusal);
        }
    }

    /// The user's contacts after this REGISTER, RFC 3261 §10.3 steps 6 and 7.
    fn merged(&self, now: Instant, register: &Register) -> Result<Vec<Contact>, Refusal> {
        let request = &register.request;
        let mut contacts =
            self.users.get(&register.impi).map(|user| user.contacts.clone()).unwrap_or_default();
        contacts.retain(|c| c.expires() > now);
        let default = request.get(HeaderName::Expires).and_then(delta_seconds);
        let call_id = request.get(HeaderName::CallId).unwrap_or("");
        let cseq = request.get(HeaderName::CSeq).and_then(sip::header::CSeq::parse);
        let cseq = cseq.map_or(0, |c| c.number);
        let several = outbound::applies(request);
        let path: Vec<&str> = request.list(HeaderName::Path).collect();
        for element in request.list(HeaderName::Contact) {
            if element == "*" {
                if default != Some(0) {
                    return Err(Refusal::new(400, "Contact * needs Expires 0"));
                }
                contacts.retain(|contact| contact.emergency);
                continue;
            }
            let address = NameAddr::parse(element)
                .filter(|a| a.parsed_uri().is_some())
                .ok_or(Refusal::new(400, "a Contact is no URI"))?;
            let asked = address.expires().or(default).unwrap_or(self.config.max_expires);
            let seconds = asked.min(self.config.max_expires);
            let lifetime = Lifetime::new(now, seconds);
            let said = Said {
                element: &without_expires(&address),
                uri: address.uri,
                instance: address.params.get("+sip.instance"),
                call_id,
                path: &path,
            };
            let mut contact = Contact::new(&said, lifetime);
            contact.reg_id = outbound::reg_id(&address).filter(|_| several);
            contact.q = address.params.get("q").and_then(q_value).unwrap_or(1000);
            contact.cseq = cseq;
            let old = contacts.iter().position(|c| c.is_same(&contact));
            if let Some(old) = old
                && contacts[old].call_id() == call_id
                && contacts[old].cseq >= cseq
            {
                return Err(Refusal::new(500, "the REGISTER is out of order"));
            }
            let old = old.map(|old| contacts.remove(old));
            if seconds > 0 {
                old.iter().for_each(|old| contact.share(old));
                self.gruus.register(now, &mut contacts, old.as_ref(), &mut contact);
                contacts.push(contact);
            }
        }
        for emergency in [false, true] {
            let same = |contact: &Contact| contact.emergency == emergency;
            while contacts.iter().filter(|contact| same(contact)).count() > self.config.max_contacts
            {
                let Some(oldest) = contacts.iter().position(same) else { break };
                contacts.remove(oldest);
            }
        }
        Ok(contacts)
    }

    /// Writes the contacts down and answers.
    fn bind(&mut self, now: Instant, register: &Register, contacts: Vec<Contact>) {
        let Some(mut user) = self.users.get(&register.impi).cloned() else { return };
        let was = user.is_registered();
        let has_criteria = user.profile.services.iter().any(|s| !s.criteria.is_empty());
        let before = std::mem::replace(&mut user.contacts, contacts);
        // Only a P-CSCF that subscribed hears of it.
        let watched = self.watchers.has(&register.impi);
        let after = if watched { user.contacts.clone() } else { Vec::new() };
        let is = user.is_registered();
        let changed = self.config.restoration && is_changed(&before, &user.contacts);
        let save = self.users.save(now, user);
        self.outputs.extend(save);
        if changed && !before.is_empty() {
            self.leave_again(now, &register.impi);
        }
        if is && !was {
            let text = format!("{} registered as {}", register.impu, register.impi);
            self.tell(register.about(Event::new(Severity::Info, "scscf.registered", text)));
        }
        let response = self.register_response(now, register);
        let for_servers = has_criteria.then(|| response.clone());
        self.proxy.respond(now, &register.upstream, response);
        if watched {
            let gone = ContactEvent::Unregistered;
            self.contacts_changed(now, &register.impi, &before, &after, gone);
        }
        // §5.4.1.7: application servers hear nothing of emergency registrations.
        let ordinary = !is_emergency_registration(&register.request);
        if let Some(response) = for_servers.filter(|_| ordinary) {
            let kind = match (was, is) {
                (false, _) => RegistrationType::Initial,
                (true, true) => RegistrationType::ReRegistration,
                (true, false) => RegistrationType::DeRegistration,
            };
            let exchange = Exchange { request: &register.request, response: &response };
            self.registration_to_servers(now, &register.impi, kind, &exchange);
        }
    }

    /// The network takes the user out; watchers and application servers hear of it.
    pub(super) fn unbind(&mut self, now: Instant, impi: &str, event: ContactEvent) {
        let user = self.take_out(now, impi, event);
        // Of an emergency registration they never heard.
        if let Some(user) = user.filter(|user| user.is_registered() || user.contacts.is_empty()) {
            self.deregistration_to_servers(now, &user, None);
        }
    }

    /// Another S-CSCF took the user over, TS 29.228 §6.1.3 (NEW_SERVER_ASSIGNED): what we know of him goes,
    /// his registration does not.
    pub(super) fn forget_user(&mut self, impi: &str) {
        for watcher in self.watchers.of(impi) {
            self.watchers.remove(watcher);
        }
        self.outputs.extend(self.users.remove(impi).map(|(_, output)| output));
    }

    /// Takes the user out and tells the watchers.
    fn take_out(&mut self, now: Instant, impi: &str, event: ContactEvent) -> Option<User> {
        let before = self.users.get(impi).map(|u| u.contacts.clone()).unwrap_or_default();
        self.contacts_changed(now, impi, &before, &[], event);
        let (user, output) = self.users.remove(impi)?;
        self.outputs.push_back(output);
        let text = format!("{impi}: {}", event.as_str());
        self.tell(Event::new(Severity::Info, "scscf.deregistered", text).impi(impi));
        Some(user)
    }

    /// The 200 OK, §5.4.1.2.2F: what is registered, and how to reach us.
    fn register_response(&mut self, now: Instant, register: &Register) -> Message {
        self.tally.add(super::ACCEPTED);
        let mut response = self.proxy.answer(&register.upstream, 200);
        for path in register.request.lines(HeaderName::Path) {
            response.push(HeaderName::Path, path);
        }
        if let Some(user) = self.users.get(&register.impi) {
            let emergency = is_emergency_registration(&register.request);
            let identity = user.profile.find(&register.impu).map(|(_, identity)| identity);
            let reachable = identity.is_some_and(|identity| !identity.barred);
            let gruus = reachable && register.request.lists(HeaderName::Supported, gruu::OPTION);
            let ScscfConfig { home_domain, .. } = &self.config;
            for contact in user.contacts.iter().filter(|c| c.emergency == emergency) {
                let left = contact.lifetime.left(now).to_string();
                let mut value = [contact.element(), ";expires=", &left].concat();
                if gruus {
                    let (impu, us) = (&register.impu, self.config.sent_by());
                    let public = self.gruus.public(impu, contact);
                    let temporary = self.gruus.temporary(impu, contact, &us, home_domain);
                    for (name, gruu) in [("pub-gruu", public), ("temp-gruu", temporary)] {
                        let given = gruu.map(|gruu| format!(";{name}={}", quote(&gruu)));
                        value.extend(given);
                    }
                }
                response.push(HeaderName::Contact, value);
            }
            let mut identities = String::with_capacity(64);
            for uri in user.profile.usable() {
                let comma = if identities.is_empty() { "" } else { ", " };
                [comma, "<", uri, ">"].into_iter().for_each(|part| identities.push_str(part));
            }
            if !identities.is_empty() {
                response.push(HeaderName::PAssociatedUri, identities);
            }
            let route = ["<sip:orig@", &self.config.sent_by(), ";lr>"].concat();
            response.push(HeaderName::ServiceRoute, route);
        }
        let contact = register.request.list(HeaderName::Contact).filter_map(NameAddr::parse);
        let several = outbound::applies(&register.request);
        if several && contact.into_iter().any(|contact| outbound::reg_id(&contact).is_some()) {
            response.push(HeaderName::Require, outbound::OUTBOUND);
        }
        response.push(HeaderName::Supported, "path, outbound, gruu");
        response
    }

    /// Contacts ran out.
    pub(super) fn expire_contacts(&mut self, now: Instant, impi: &str) {
        let Some(mut user) = self.users.get(impi).cloned() else { return };
        let before = user.contacts.clone();
        user.contacts.retain(|c| c.expires() > now);
        let impu = user.profile.identities().next().map_or("", |identity| &*identity.uri);
        let impu = user.profile.usable().next().unwrap_or(impu).to_owned();
        if user.contacts.is_empty() {
            self.unbind(now, impi, ContactEvent::Expired);
            self.tell_hss(now, impi, &impu, Assignment::TimeoutDeregistration);
        } else {
            let after = user.contacts.clone();
            let gone = !user.is_registered() && before.iter().any(|c| !c.emergency);
            let save = self.users.save(now, user.clone());
            self.outputs.extend(save);
            self.leave_again(now, impi);
            self.contacts_changed(now, impi, &before, &after, ContactEvent::Expired);
            if gone {
                self.deregistration_to_servers(now, &user, None);
            }
        }
    }

    /// A SAR whose answer changes nothing here.
    pub(super) fn tell_hss(
        &mut self,
        now: Instant,
        impi: &str,
        impu: &str,
        assignment: Assignment,
    ) {
        let sar = Sar {
            user_name: Some(impi.to_owned()),
            public_identities: vec![impu.to_owned()],
            server_name: self.config.server_name(),
            assignment,
            has_user_data: true,
            features: self.features(),
            restoration: Vec::new(),
        };
        let id = self.cx.ask(now, &sar);
        self.waiting.insert(id, Waiting::Quiet);
    }
}

/// One header field for each challenge, the most preferred first: RFC 8760 §2.4.
fn challenging(mut response: Message, challenges: &[Challenge]) -> Message {
    for challenge in challenges {
        response.push(HeaderName::WwwAuthenticate, challenge.to_value());
    }
    response
}

/// Whether the HSS knows of the registration: the user has contacts, and the identity is his. Of one whom
/// we have from a record it is asked once.
fn has_contacts(user: &User, register: &Register) -> bool {
    user.confirmed && !user.contacts.is_empty() && user.profile.find(&register.impu).is_some()
}

/// Whether other contacts are to be left with the HSS than before.
fn is_changed(before: &[Contact], after: &[Contact]) -> bool {
    let same = |(a, b): (&Contact, &Contact)| a.is_said_as(b);
    before.len() != after.len() || !before.iter().zip(after).all(same)
}

/// The element to be echoed: as it was registered, with our `expires` and GRUUs to come.
pub(super) fn without_expires(address: &NameAddr<'_>) -> String {
    let mut out = String::new();
    if !address.display.is_empty() {
        out.push_str(address.display);
        out.push(' ');
    }
    ["<", address.uri, ">"].into_iter().for_each(|part| out.push_str(part));
    // GRUUs are ours to give, RFC 5627 §5.1.
    address.params.write_others(&mut out, &["expires", "pub-gruu", "temp-gruu"]);
    out
}
