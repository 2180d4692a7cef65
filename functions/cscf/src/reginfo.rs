//! The reg event package's document, `application/reginfo+xml`, RFC 3680 §5.

use core::fmt::Write;

use quick_xml::events::Event as Xml;

/// Media type of the document.
pub const CONTENT_TYPE: &str = "application/reginfo+xml";

/// Whether a document tells all or only what changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completeness {
    /// Everything.
    Full,
    /// Changes since the version before.
    Partial,
}

/// State of a registration (of one public identity), or of a contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing registered yet.
    Init,
    /// Registered.
    Active,
    /// No longer registered.
    Terminated,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            State::Init => "init",
            State::Active => "active",
            State::Terminated => "terminated",
        }
    }
}

/// What last happened to a contact, RFC 3680 §5.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContactEvent {
    /// By its own REGISTER.
    Registered,
    /// By an administrator, or implicitly.
    Created,
    /// Its own REGISTER again.
    Refreshed,
    /// It ran out.
    Expired,
    /// The network removed it; the phone may register again.
    Deactivated,
    /// The network removed it; the phone may register again after a while.
    Probation,
    /// By its own REGISTER with Expires 0.
    Unregistered,
    /// The network removed it; the phone must not register again.
    Rejected,
}

impl ContactEvent {
    const ALL: [(ContactEvent, &'static str); 8] = [
        (ContactEvent::Registered, "registered"),
        (ContactEvent::Created, "created"),
        (ContactEvent::Refreshed, "refreshed"),
        (ContactEvent::Expired, "expired"),
        (ContactEvent::Deactivated, "deactivated"),
        (ContactEvent::Probation, "probation"),
        (ContactEvent::Unregistered, "unregistered"),
        (ContactEvent::Rejected, "rejected"),
    ];

    /// The event's word in the document.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(event, _)| *event == self).map_or("", |(_, word)| word)
    }
}

/// One contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contact {
    /// Unique within the document.
    pub id: String,
    /// Active or terminated.
    pub state: State,
    /// What last happened.
    pub event: ContactEvent,
    /// Seconds that are left.
    pub expires: u32,
    /// The contact's URI.
    pub uri: String,
}

/// One public identity with its contacts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The address of record.
    pub aor: String,
    /// Unique within the document.
    pub id: String,
    /// The identity's state.
    pub state: State,
    /// Its contacts.
    pub contacts: Vec<Contact>,
}

/// The whole document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegInfo {
    /// Counts up by one with each NOTIFY of a subscription.
    pub version: u32,
    /// Whether it tells all.
    pub completeness: Completeness,
    /// The identities.
    pub registrations: Vec<Registration>,
}

impl RegInfo {
    /// The document's text.
    pub fn to_xml(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\"?>\n");
        let state = match self.completeness {
            Completeness::Full => "full",
            Completeness::Partial => "partial",
        };
        let esc = |text: &str| quick_xml::escape::escape(text).into_owned();
        let _ = writeln!(
            out,
            "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"{}\" state=\"{state}\">",
            self.version
        );
        for r in &self.registrations {
            let (aor, id) = (esc(&r.aor), esc(&r.id));
            let _ = writeln!(
                out,
                " <registration aor=\"{aor}\" id=\"{id}\" state=\"{}\">",
                r.state.as_str()
            );
            for c in &r.contacts {
                let _ = writeln!(
                    out,
                    "  <contact id=\"{}\" state=\"{}\" event=\"{}\" expires=\"{}\">\n   <uri>{}</uri>\n  </contact>",
                    esc(&c.id),
                    c.state.as_str(),
                    c.event.as_str(),
                    c.expires,
                    esc(&c.uri)
                );
            }
            out.push_str(" </registration>\n");
        }
        out.push_str("</reginfo>\n");
        out
    }

    /// Reads a document; elements and attributes that are not known are skipped. `None` if it is no
    /// well-formed reginfo.
    pub fn parse(text: &str) -> Option<RegInfo> {
        let mut reader = quick_xml::Reader::from_str(text);
        let mut info = None;
        let mut in_uri = false;
        loop {
            match reader.read_event().ok()? {
                Xml::Start(element) | Xml::Empty(element) => {
                    let get = |name: &str| {
                        let attribute = element.try_get_attribute(name).ok()??;
                        let value = String::from_utf8_lossy(&attribute.value).into_owned();
                        quick_xml::escape::unescape(&value).ok().map(|v| v.into_owned())
                    };
                    in_uri = false;
                    match element.local_name().as_ref() {
                        b"reginfo" => info = Some(open_document(get)?),
                        b"registration" => info.as_mut()?.registrations.push(registration(get)?),
                        b"contact" => {
                            let contact = contact(get)?;
                            info.as_mut()?.registrations.last_mut()?.contacts.push(contact);
                        }
                        b"uri" => in_uri = true,
                        _ => {}
                    }
                }
                Xml::Text(text) if in_uri => {
                    let text = text.decode().ok()?;
                    let contact = info.as_mut()?.registrations.last_mut()?.contacts.last_mut()?;
                    contact.uri.push_str(text.trim());
                }
                Xml::GeneralRef(name) if in_uri => {
                    let name = name.decode().ok()?;
                    let text = quick_xml::escape::unescape(&format!("&{name};")).ok()?.into_owned();
                    info.as_mut()?
                        .registrations
                        .last_mut()?
                        .contacts
                        .last_mut()?
                        .uri
                        .push_str(&text);
                }
                Xml::End(element) if element.local_name().as_ref() == b"uri" => in_uri = false,
                Xml::Eof => return info,
                _ => {}
            }
        }
    }
}

fn open_document(get: impl Fn(&str) -> Option<String>) -> Option<RegInfo> {
    let full = get("state").is_none_or(|state| state == "full");
    let completeness = if full { Completeness::Full } else { Completeness::Partial };
    Some(RegInfo {
        version: get("version")?.parse().ok()?,
        completeness,
        registrations: Vec::new(),
    })
}

fn registration(get: impl Fn(&str) -> Option<String>) -> Option<Registration> {
    let state = state(get("state"))?;
    let id = get("id").unwrap_or_default();
    Some(Registration { aor: get("aor")?, id, state, contacts: Vec::new() })
}

fn contact(get: impl Fn(&str) -> Option<String>) -> Option<Contact> {
    let word = get("event").unwrap_or_default();
    let event = ContactEvent::ALL.iter().find(|(_, w)| *w == word).map(|(event, _)| *event);
    Some(Contact {
        id: get("id").unwrap_or_default(),
        state: state(get("state"))?,
        event: event.unwrap_or(ContactEvent::Created),
        expires: get("expires").and_then(|e| e.parse().ok()).unwrap_or(0),
        uri: String::new(),
    })
}

fn state(word: Option<String>) -> Option<State> {
    match word?.as_str() {
        "init" => Some(State::Init),
        "active" => Some(State::Active),
        "terminated" => Some(State::Terminated),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_survives_the_wire() {
        let info = RegInfo {
            version: 3,
            completeness: Completeness::Partial,
            registrations: vec![Registration {
                aor: "sip:a&b@x".into(),
                id: "r1".into(),
                state: State::Terminated,
                contacts: vec![Contact {
                    id: "c1".into(),
                    state: State::Terminated,
                    event: ContactEvent::Deactivated,
                    expires: 0,
                    uri: "sip:a@[::1]:5060;x=\"1\"&<2>".into(),
                }],
            }],
        };
        assert_eq!(RegInfo::parse(&info.to_xml()), Some(info));
    }

    #[test]
    fn foreign_elements_are_skipped_and_nonsense_refused() {
        let text = "<r:reginfo xmlns:r='urn:ietf:params:xml:ns:reginfo' version='0' state='full'>\
            <r:registration aor='sip:a@x' id='1' state='active'><r:contact id='2' state='active' \
            event='shortened' expires='5' q='0.8'><x:y xmlns:x='z'/><r:uri> sip:a@1.2.3.4 </r:uri>\
            <r:display-name>A</r:display-name></r:contact></r:registration></r:reginfo>";
        let info = RegInfo::parse(text).unwrap();
        assert_eq!(info.registrations[0].contacts[0].uri, "sip:a@1.2.3.4");
        for bad in ["", "<a/>", "<reginfo", "<contact state='active'/>", "<reginfo version='x'/>"] {
            assert_eq!(RegInfo::parse(bad), None, "{bad}");
        }
    }
}
