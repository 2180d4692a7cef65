//! S-CSCF restoration, TS 23.380 §4: what this S-CSCF leaves with the HSS of its users' contacts, and what it makes
//! of that which another one left.

use base::{Event, Instant, Severity};
use diameter::cx::{Assignment, IMS_RESTORATION, Restoration, RestoredContact, Saa, Sar};
use sip::Message;
use sip::header::{HeaderName, NameAddr, q_value};
use sip::lex::elements;

use super::contact::{Contact, Said};
use super::registrar::without_expires;
use super::user::User;
use super::{Scscf, Waiting};
use crate::cx::Answer;
use crate::lifetime::Lifetime;
use crate::outbound;
use crate::proxy::{Refusal, Upstream};
use crate::restoration::register_anew;

impl Scscf {
    /// The Cx features that we have.
    pub(super) fn features(&self) -> u32 {
        if self.config.restoration { IMS_RESTORATION } else { 0 }
    }

    /// What a SAR leaves of a user's contacts.
    pub(super) fn leave(&self, impi: &str, contacts: &[Contact]) -> Vec<Vec<u8>> {
        let ordinary = contacts.iter().filter(|contact| !contact.emergency);
        let contacts: Vec<RestoredContact> = ordinary.map(left_of).collect();
        if !self.config.restoration || contacts.is_empty() {
            return Vec::new();
        }
        vec![Restoration { user_name: impi.to_owned(), contacts }.to_bytes()]
    }

    /// A user has other contacts than those that were left of him.
    pub(super) fn leave_again(&mut self, now: Instant, impi: &str) {
        let Some(user) = self.users.get(impi).filter(|_| self.config.restoration) else { return };
        let restoration = self.leave(impi, &user.contacts);
        let identity = user.profile.usable().next();
        let identity = identity.or_else(|| user.profile.identities().next().map(|i| &*i.uri));
        let (Some(impu), false) = (identity, restoration.is_empty()) else { return };
        let sar = Sar {
            user_name: Some(impi.to_owned()),
            public_identities: vec![impu.to_owned()],
            server_name: self.config.server_name(),
            assignment: Assignment::ReRegistration,
            has_user_data: true,
            features: self.features(),
            restoration,
        };
        let id = self.cx.ask(now, &sar);
        self.waiting.insert(id, Waiting::Quiet);
    }

    /// The contacts that another S-CSCF left of this user. Each lasts as long again as it was granted: when it
    /// was refreshed last nobody knows.
    pub(super) fn restored(&mut self, now: Instant, user: &mut User, saa: &Saa) -> bool {
        let all = saa.restoration.iter().filter_map(|data| Restoration::parse(data).ok());
        let his = all.filter(|restoration| *restoration.user_name == *user.impi);
        let max = self.config.max_expires;
        let contacts = his.flat_map(|restoration| restoration.contacts);
        user.contacts = contacts.filter_map(|left| contact_of(now, &left, max)).collect();
        if user.contacts.is_empty() {
            return false;
        }
        let text = format!("{}: {} contacts as the HSS had them", user.impi, user.contacts.len());
        self.tell(Event::new(Severity::Info, "scscf.restored", text).impi(&*user.impi));
        true
    }

    /// §5.4.3.2: a phone that has us in its Service-Route, but whom we do not know. The HSS may have what we
    /// lost.
    pub(super) fn ask_for_caller(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: Message,
        served: String,
    ) {
        let sar = Sar {
            user_name: None,
            public_identities: vec![served],
            server_name: self.config.server_name(),
            assignment: Assignment::NoAssignment,
            has_user_data: false,
            features: IMS_RESTORATION,
            restoration: Vec::new(),
        };
        let id = self.cx.ask(now, &sar);
        let waiting = Waiting::Caller(Box::new((upstream.clone(), request)));
        self.waiting.insert(id, waiting);
    }

    /// The HSS told of a caller whom we did not know.
    pub(super) fn caller_told(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        request: Message,
        answer: &Answer,
    ) {
        if !self.proxy.is_unanswered(upstream) {
            return;
        }
        let saa = answer.body::<Saa>();
        let user = saa.as_ref().and_then(User::of_answer);
        if let (Some(mut user), Some(saa)) = (user, saa)
            && self.restored(now, &mut user, &saa)
        {
            let save = self.users.save(now, user);
            self.outputs.extend(save);
            if let Err(refusal) = self.originating(now, upstream, request, false) {
                self.refuse(now, upstream, &refusal);
            }
            return;
        }
        let mut response = self.proxy.answer(upstream, 504);
        let why = match answer {
            // Who registers anew would not get further.
            Answer::Unavailable(_) => "the HSS did not answer the SAR",
            _ => {
                let us = format!("sip:{}", self.config.sent_by());
                register_anew(&mut response, &us, "the S-CSCF does not know the caller");
                "the caller is not registered at this S-CSCF"
            }
        };
        self.proxy.respond(now, upstream, response);
        let text = upstream.refused(&Refusal::new(504, why));
        self.tell(upstream.about(Event::new(Severity::Info, "scscf.refused", text)));
    }
}

fn left_of(contact: &Contact) -> RestoredContact {
    RestoredContact {
        path: contact.path().collect::<Vec<_>>().join(", "),
        contact: format!("{};expires={}", contact.element(), contact.lifetime.granted()),
        cseq: Some(contact.cseq),
        call_id: Some(contact.call_id().to_owned()).filter(|call_id| !call_id.is_empty()),
    }
}

fn contact_of(now: Instant, left: &RestoredContact, max_expires: u32) -> Option<Contact> {
    let address = NameAddr::parse(&left.contact).filter(|a| a.parsed_uri().is_some())?;
    let seconds = address.expires().unwrap_or(max_expires).min(max_expires);
    let lifetime = Lifetime::new(now, seconds);
    let path: Vec<&str> = elements(&left.path).collect();
    let said = Said {
        element: &without_expires(&address),
        uri: address.uri,
        instance: address.params.get("+sip.instance"),
        call_id: left.call_id.as_deref().unwrap_or_default(),
        path: &path,
    };
    let mut contact = Contact::new(&said, lifetime);
    // `ob` in the first hop's URI is what it said of the phone's flows.
    let registered = Message::request(sip::Method::Register, "sip:x")
        .with(HeaderName::Supported, outbound::OUTBOUND)
        .with(HeaderName::Path, left.path.as_str());
    contact.reg_id = outbound::reg_id(&address).filter(|_| outbound::applies(&registered));
    contact.q = address.params.get("q").and_then(q_value).unwrap_or(1000);
    contact.cseq = left.cseq.unwrap_or(0);
    (seconds > 0 && !path.is_empty()).then_some(contact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_contact_makes_it_again() {
        let now = Instant::from_unix_micros(1_000_000);
        let element = "<sip:a@10.0.0.1:5060>;+sip.instance=\"<urn:x:y>\";reg-id=2;q=0.5";
        let lifetime = Lifetime::new(now, 600);
        let said = Said {
            element,
            uri: "sip:a@10.0.0.1:5060",
            instance: Some("\"<urn:x:y>\""),
            call_id: "c@10.0.0.1",
            path: &["<sip:x.test;lr>", "<sip:term.1@p.test;lr;ob>"],
        };
        let mut contact = Contact::new(&said, lifetime);
        contact.reg_id = Some(2);
        contact.q = 500;
        contact.cseq = 7;
        let left = left_of(&contact);
        assert_eq!(contact_of(now, &left, 600_000), Some(contact));
        // Of others: no longer than we would grant, without what we do not know.
        let theirs = RestoredContact {
            path: "<sip:p.test;lr>".to_owned(),
            contact: "<sip:b@10.0.0.2>;reg-id=1;+sip.instance=\"<urn:x:y>\"".to_owned(),
            ..RestoredContact::default()
        };
        let made = contact_of(now, &theirs, 3600).expect("a contact");
        assert_eq!((made.reg_id, made.lifetime.left(now)), (None, 3600));
        let wrong = RestoredContact { contact: "<>".to_owned(), ..theirs };
        assert_eq!(contact_of(now, &wrong, 3600), None);
    }
}
