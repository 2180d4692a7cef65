//! A contact of a registered user. There may be a million of them: what REGISTER says of one is kept as one text
//! that its copies share, and that a refresh which says the same does not replace.

use std::sync::Arc;

use base::Instant;
use serde::{Deserialize, Serialize};

use super::gruu::Registration;
use crate::emergency::is_emergency_contact;
use crate::lifetime::Lifetime;

/// One contact of a user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Record", into = "Record")]
pub(super) struct Contact {
    /// What is [`Said`] of it.
    text: Arc<str>,
    /// Where it stands there.
    element: Place,
    uri: Place,
    instance: Place,
    call_id: Place,
    /// The routes of the Path, a line each.
    path: Place,
    pub(super) lifetime: Lifetime,
    /// Which temporary GRUUs of the instance are good, RFC 5627.
    pub(super) gruu: Option<Registration>,
    /// Which of the phone's flows it is, if it has several: RFC 5626 §4.2.
    pub(super) reg_id: Option<u32>,
    /// The CSeq of the last REGISTER, RFC 3261 §10.3 step 7.
    pub(super) cseq: u32,
    /// Preference in thousandths.
    pub(super) q: u16,
    /// Whether it is for emergency calls only, TS 24.229 §5.4.1.2.2.
    pub(super) emergency: bool,
}

/// From where to where. A message has no more than 64 KiB, so no part of it stands further on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Place(u16, u16);

impl Place {
    fn new(from: usize, length: usize) -> Place {
        let at = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Place(at(from), at(from + length))
    }

    /// Where a part stands, which is put behind the text if it is not in it.
    fn of(text: &mut String, part: &str) -> Place {
        let at = text.find(part).unwrap_or_else(|| {
            text.push_str(part);
            text.len() - part.len()
        });
        Place::new(at, part.len())
    }

    fn read(self, text: &str) -> &str {
        text.get(usize::from(self.0)..usize::from(self.1)).unwrap_or_default()
    }
}

/// What a REGISTER says of a contact.
#[derive(Clone, Copy, Default)]
pub(super) struct Said<'a> {
    /// The Contact element without its `expires`, to be echoed.
    pub(super) element: &'a str,
    /// Its URI.
    pub(super) uri: &'a str,
    /// The `+sip.instance`, if it has one.
    pub(super) instance: Option<&'a str>,
    /// The Call-ID, RFC 3261 §10.3 step 7.
    pub(super) call_id: &'a str,
    /// The Path that it came by, next hop first.
    pub(super) path: &'a [&'a str],
}

impl Contact {
    pub(super) fn new(said: &Said<'_>, lifetime: Lifetime) -> Contact {
        let parts = [said.element, said.call_id].into_iter().chain(said.path.iter().copied());
        let mut text = String::with_capacity(parts.map(|part| part.len() + 1).sum());
        text.push_str(said.element);
        let element = Place::new(0, text.len());
        // URI and instance are in the element.
        let uri = Place::of(&mut text, said.uri);
        let instance = Place::of(&mut text, said.instance.unwrap_or_default());
        let start = text.len();
        for (number, route) in said.path.iter().enumerate() {
            text.push_str(if number > 0 { "\n" } else { "" });
            text.push_str(route);
        }
        let path = Place::new(start, text.len() - start);
        let call_id = Place::new(text.len(), said.call_id.len());
        text.push_str(said.call_id);
        Contact {
            text: text.into(),
            element,
            uri,
            instance,
            call_id,
            path,
            lifetime,
            gruu: None,
            reg_id: None,
            cseq: 0,
            q: 1000,
            emergency: is_emergency_contact(said.uri),
        }
    }

    /// The Contact element without its `expires`.
    pub(super) fn element(&self) -> &str {
        self.element.read(&self.text)
    }

    pub(super) fn uri(&self) -> &str {
        self.uri.read(&self.text)
    }

    pub(super) fn instance(&self) -> Option<&str> {
        Some(self.instance.read(&self.text)).filter(|instance| !instance.is_empty())
    }

    pub(super) fn call_id(&self) -> &str {
        self.call_id.read(&self.text)
    }

    /// The Path, next hop first.
    pub(super) fn path(&self) -> impl Iterator<Item = &str> {
        self.path.read(&self.text).split('\n').filter(|route| !route.is_empty())
    }

    pub(super) fn expires(&self) -> Instant {
        self.lifetime.end()
    }

    /// Whether a REGISTER said the same of both, its Call-ID left out.
    pub(super) fn is_said_as(&self, other: &Contact) -> bool {
        let same = |place: Place, others: Place| place.read(&self.text) == others.read(&other.text);
        same(self.element, other.element) && same(self.path, other.path)
    }

    /// Keeps no second copy of what was said before.
    pub(super) fn share(&mut self, old: &Contact) {
        if self.text == old.text {
            self.text = Arc::clone(&old.text);
        }
    }

    /// Whether two are the same binding: the same flow of the same instance, or the same URI. One for
    /// emergency calls is another one.
    pub(super) fn is_same(&self, other: &Contact) -> bool {
        if self.emergency != other.emergency {
            return false;
        }
        match (self.instance(), other.instance()) {
            (Some(a), Some(b)) => {
                // Without a reg-id it was the phone's only flow.
                let flows = self.reg_id.zip(other.reg_id);
                a == b && flows.is_none_or(|(a, b)| a == b)
            }
            _ => sip::uri::equal(self.uri(), other.uri()),
        }
    }
}

/// A contact in the store.
#[derive(Serialize, Deserialize)]
struct Record {
    element: String,
    uri: String,
    instance: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gruu: Option<Registration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reg_id: Option<u32>,
    path: Vec<String>,
    lifetime: Lifetime,
    call_id: String,
    cseq: u32,
    q: u16,
    #[serde(default)]
    emergency: bool,
}

impl From<Record> for Contact {
    fn from(record: Record) -> Contact {
        let path: Vec<&str> = record.path.iter().map(String::as_str).collect();
        let said = Said {
            element: &record.element,
            uri: &record.uri,
            instance: record.instance.as_deref(),
            call_id: &record.call_id,
            path: &path,
        };
        let Record { lifetime, gruu, reg_id, cseq, q, emergency, .. } = record;
        Contact { gruu, reg_id, cseq, q, emergency, ..Contact::new(&said, lifetime) }
    }
}

impl From<Contact> for Record {
    fn from(contact: Contact) -> Record {
        Record {
            element: contact.element().to_owned(),
            uri: contact.uri().to_owned(),
            instance: contact.instance().map(str::to_owned),
            gruu: contact.gruu,
            reg_id: contact.reg_id,
            path: contact.path().map(str::to_owned).collect(),
            lifetime: contact.lifetime,
            call_id: contact.call_id().to_owned(),
            cseq: contact.cseq,
            q: contact.q,
            emergency: contact.emergency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_found_again_also_in_a_record() {
        let lifetime = Lifetime::new(Instant::from_unix_micros(5), 60);
        let path = ["<sip:term.1@p.test;lr>", "<sip:edge.test;lr>"];
        let said = Said {
            element: "\"A\" <sip:a@10.0.0.1>;+sip.instance=\"<urn:x>\"",
            uri: "sip:a@10.0.0.1",
            instance: Some("\"<urn:x>\""),
            call_id: "c@h",
            path: &path,
        };
        let mut contact = Contact::new(&said, lifetime);
        (contact.reg_id, contact.cseq, contact.q) = (Some(2), 7, 500);
        let record = serde_json::to_vec(&contact).expect("a record");
        let again: Contact = serde_json::from_slice(&record).expect("the same contact");
        assert_eq!(again, contact);
        assert_eq!((again.element(), again.uri()), (said.element, said.uri));
        assert_eq!((again.instance(), again.call_id()), (said.instance, said.call_id));
        assert_eq!(again.path().collect::<Vec<_>>(), path);
        let bare = Said { uri: "sip:b@h", instance: None, path: &[], ..said };
        let bare = Contact::new(&bare, lifetime);
        assert_eq!((bare.uri(), bare.instance(), bare.path().count()), ("sip:b@h", None, 0));
        let huge = "x".repeat(1 << 17);
        let huge = Contact::new(&Said { element: &huge, ..said }, lifetime);
        assert_eq!((huge.uri(), huge.call_id()), ("", ""));
    }

    #[test]
    fn a_refresh_that_says_the_same_is_no_second_copy() {
        let lifetime = Lifetime::new(Instant::from_unix_micros(5), 60);
        let said = Said { element: "<sip:a@h>", uri: "sip:a@h", ..Said::default() };
        let old = Contact::new(&said, lifetime);
        let mut new = Contact::new(&said, lifetime);
        new.share(&old);
        assert!(Arc::ptr_eq(&new.text, &old.text) && new.is_said_as(&old));
        let mut other = Contact::new(&Said { call_id: "d", ..said }, lifetime);
        other.share(&old);
        assert!(other.is_said_as(&old) && other.call_id() == "d");
    }
}
