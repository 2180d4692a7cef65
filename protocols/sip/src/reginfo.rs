//! The reg event package's document, `application/reginfo+xml`, RFC 3680 §5, with the GRUUs of RFC 5628.

use core::fmt::Write;

use quick_xml::events::{BytesStart, Event as Xml};

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
    /// Nothing registered yet; no state of a contact.
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

    /// A word that is missing or not known is read as [`State::Active`]: only who is told so in
    /// plain words loses a registration.
    fn parse(word: Option<&str>) -> State {
        match word {
            Some("init") => State::Init,
            Some("terminated") => State::Terminated,
            _ => State::Active,
        }
    }
}

/// What last happened to a contact, RFC 3680 §5.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContactEvent {
    /// By its own REGISTER.
    Registered,
    /// By an administrator, or implicitly.
    Created,
    /// Its own REGISTER again.
    Refreshed,
    /// The network cut its lifetime: the phone is to register again before it ends.
    Shortened,
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
    const ALL: [(ContactEvent, &'static str); 9] = [
        (ContactEvent::Registered, "registered"),
        (ContactEvent::Created, "created"),
        (ContactEvent::Refreshed, "refreshed"),
        (ContactEvent::Shortened, "shortened"),
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

    fn parse(word: &str) -> Option<ContactEvent> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(event, _)| *event)
    }
}

/// One contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contact {
    /// Unique within the document.
    pub id: String,
    /// Active or terminated.
    pub state: State,
    /// What last happened; `None` if the document has no word for it that is known here.
    pub event: Option<ContactEvent>,
    /// Seconds that are left; 0 if the document does not say.
    pub expires: u32,
    /// The contact's URI; empty if the document has none.
    pub uri: String,
    /// Its public GRUU.
    pub public_gruu: Option<String>,
    /// Its newest temporary GRUU, and the CSeq of the REGISTER from which on they are valid.
    pub temporary_gruu: Option<(String, u32)>,
}

/// One public identity with its contacts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The address of record; empty if the document has none.
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
        let gruus = self.registrations.iter().flat_map(|r| &r.contacts);
        let gruus =
            gruus.into_iter().any(|c| c.public_gruu.is_some() || c.temporary_gruu.is_some());
        let extension = if gruus { " xmlns:gr=\"urn:ietf:params:xml:ns:gruuinfo\"" } else { "" };
        let _ = writeln!(
            out,
            "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\"{extension} version=\"{}\" \
             state=\"{state}\">",
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
                let (id, uri, state) = (esc(&c.id), esc(&c.uri), c.state.as_str());
                let _ = write!(out, "  <contact id=\"{id}\" state=\"{state}\"");
                if let Some(event) = c.event {
                    let _ = write!(out, " event=\"{}\"", event.as_str());
                }
                let _ = writeln!(out, " expires=\"{}\">\n   <uri>{uri}</uri>", c.expires);
                if let Some(gruu) = &c.public_gruu {
                    let _ = writeln!(out, "   <gr:pub-gruu uri=\"{}\"/>", esc(gruu));
                }
                if let Some((gruu, first)) = &c.temporary_gruu {
                    let _ = writeln!(
                        out,
                        "   <gr:temp-gruu uri=\"{}\" first-cseq=\"{first}\"/>",
                        esc(gruu)
                    );
                }
                out.push_str("  </contact>\n");
            }
            out.push_str(" </registration>\n");
        }
        out.push_str("</reginfo>\n");
        out
    }

    /// Reads a document, and takes what real registrars send: any prefix, comments, elements and
    /// attributes of others, attributes and URIs that are missing, `&` and tags that were not escaped.
    /// `None` if it has no whole reginfo element. Time and memory grow with the length of `text` only.
    pub fn parse(text: &str) -> Option<RegInfo> {
        let mut reader = quick_xml::Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        // Kamailio copies URIs and Contact parameters as they are: `;a=1&b=2`, `"<urn:gsma:imei:1>"`.
        config.allow_dangling_amp = true;
        config.check_end_names = false;
        let mut info: Option<RegInfo> = None;
        // All text since the last `<uri>`.
        let mut uri = String::new();
        loop {
            match reader.read_event().ok()? {
                Xml::Start(tag) => match tag.local_name().as_ref() {
                    b"reginfo" => info = Some(document(&tag)?),
                    b"registration" => info.as_mut()?.registrations.push(registration(&tag)),
                    b"contact" => {
                        if let Some(registration) = info.as_mut()?.registrations.last_mut() {
                            registration.contacts.push(contact(&tag));
                        }
                    }
                    b"uri" => uri.clear(),
                    name @ (b"pub-gruu" | b"temp-gruu") => {
                        let registration = info.as_mut()?.registrations.last_mut();
                        let contact = registration.and_then(|r| r.contacts.last_mut());
                        if let (Some(contact), Some(uri)) = (contact, attribute(&tag, "uri")) {
                            let first = attribute(&tag, "first-cseq").and_then(|n| n.parse().ok());
                            match name {
                                b"pub-gruu" => contact.public_gruu = Some(uri),
                                _ => contact.temporary_gruu = Some((uri, first.unwrap_or(0))),
                            }
                        }
                    }
                    _ => {}
                },
                Xml::Text(text) => uri.push_str(&text.decode().ok()?),
                Xml::CData(text) => uri.push_str(&text.decode().ok()?),
                Xml::GeneralRef(name) => {
                    uri.push_str(&unescape(&format!("&{};", name.decode().ok()?)));
                }
                Xml::End(tag) => match tag.local_name().as_ref() {
                    b"reginfo" => return info,
                    b"uri" => {
                        let registration = info.as_mut()?.registrations.last_mut();
                        if let Some(contact) = registration.and_then(|r| r.contacts.last_mut()) {
                            contact.uri = core::mem::take(&mut uri).trim().to_owned();
                        }
                    }
                    _ => {}
                },
                Xml::Eof => return None,
                _ => {}
            }
        }
    }
}

fn document(tag: &BytesStart<'_>) -> Option<RegInfo> {
    let full = attribute(tag, "state").is_none_or(|state| state == "full");
    let completeness = if full { Completeness::Full } else { Completeness::Partial };
    let version = attribute(tag, "version").map_or(Ok(0), |version| version.parse()).ok()?;
    Some(RegInfo { version, completeness, registrations: Vec::new() })
}

fn registration(tag: &BytesStart<'_>) -> Registration {
    Registration {
        aor: attribute(tag, "aor").unwrap_or_default(),
        id: attribute(tag, "id").unwrap_or_default(),
        state: State::parse(attribute(tag, "state").as_deref()),
        contacts: Vec::new(),
    }
}

fn contact(tag: &BytesStart<'_>) -> Contact {
    Contact {
        id: attribute(tag, "id").unwrap_or_default(),
        state: State::parse(attribute(tag, "state").as_deref()),
        event: attribute(tag, "event").and_then(|word| ContactEvent::parse(&word)),
        expires: attribute(tag, "expires").and_then(|e| e.parse().ok()).unwrap_or(0),
        uri: String::new(),
        public_gruu: None,
        temporary_gruu: None,
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok()??;
    Some(unescape(&String::from_utf8_lossy(&attribute.value)))
}

/// What is no reference stays as it is.
fn unescape(text: &str) -> String {
    quick_xml::escape::unescape(text).map_or_else(|_| text.to_owned(), |text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;
    use proptest::sample::select;

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
                    event: Some(ContactEvent::Deactivated),
                    expires: 0,
                    uri: "sip:a@[::1]:5060;x=\"1\"&<2>".into(),
                    public_gruu: Some("sip:a&b@x;gr=urn:x:y".into()),
                    temporary_gruu: Some(("sip:tgruu.1@x;gr".into(), 7)),
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
        let contact = &info.registrations[0].contacts[0];
        assert_eq!(contact.uri, "sip:a@1.2.3.4");
        assert_eq!((contact.event, contact.expires), (Some(ContactEvent::Shortened), 5));
        for bad in ["", "<a/>", "<reginfo", "<contact state='active'/>", "<reginfo version='x'/>"] {
            assert_eq!(RegInfo::parse(bad), None, "{bad}");
        }
        let cut = &text[..text.len() - "</r:registration></r:reginfo>".len()];
        assert_eq!(RegInfo::parse(cut), None, "the rest may say the contrary");
    }

    /// RFC 3680 §5.1.
    #[test]
    fn all_nine_events_are_known() {
        let words = "registered created refreshed shortened expired deactivated probation \
            unregistered rejected";
        let words: Vec<&str> = words.split_whitespace().collect();
        assert_eq!(words.len(), ContactEvent::ALL.len());
        for word in words {
            assert_eq!(ContactEvent::parse(word).map(ContactEvent::as_str), Some(word));
        }
    }

    #[test]
    fn what_is_missing_or_unknown_ends_nothing() {
        let info = RegInfo::parse(
            "<reginfo><contact state='terminated'/><uri>sip:x@y</uri><registration/>\
             <registration state='odd'><contact/><contact state='odd' event='odd' expires='odd'>\
             <uri/></contact></registration></reginfo>",
        );
        let contact = Contact {
            id: "".into(),
            state: State::Active,
            event: None,
            expires: 0,
            uri: "".into(),
            public_gruu: None,
            temporary_gruu: None,
        };
        let registration = |contacts| {
            let (aor, id) = (String::new(), String::new());
            Registration { aor, id, state: State::Active, contacts }
        };
        let registrations =
            vec![registration(vec![]), registration(vec![contact.clone(), contact])];
        let all = RegInfo { version: 0, completeness: Completeness::Full, registrations };
        assert_eq!(info, Some(all));
    }

    /// As `ims_registrar_scscf` of Kamailio writes it: URIs and Contact parameters are not escaped.
    #[test]
    fn what_was_not_escaped_is_read() {
        let info = RegInfo::parse(
            "<reginfo version=\"1\" state=\"full\">\n\
             <registration aor=\"sip:a@x;p=1&q=2\" id=\"0x1\" state=\"active\">\n\
             <contact id=\"0x2\" state=\"active\" event=\"registered\" expires=\"3600\">\n\
             <uri><!-- here -->sip:a@x;p=1&q=2&r;s&amp;t<![CDATA[&u]]></uri>\n\
             <unknown-param name=\"+sip.instance\">\"<urn:gsma:imei:1>\"</unknown-param>\n\
             </contact></registration></reginfo>",
        );
        let registrations = info.unwrap().registrations;
        assert_eq!(registrations[0].aor, "sip:a@x;p=1&q=2");
        assert_eq!(registrations[0].contacts[0].uri, "sip:a@x;p=1&q=2&r;s&t&u");
    }

    fn contacts() -> impl Strategy<Value = Vec<Contact>> {
        let state = select(vec![State::Init, State::Active, State::Terminated]);
        let events = ContactEvent::ALL.iter().map(|(event, _)| Some(*event)).chain([None]);
        let event = select(events.collect::<Vec<_>>());
        let gruus = (of(".{0,20}"), of((".{0,20}", any::<u32>())));
        let contact = (".{0,9}", state, event, any::<u32>(), "\\S{0,20}", gruus);
        let contact = contact.prop_map(|(id, state, event, expires, uri, gruus)| Contact {
            id,
            state,
            event,
            expires,
            uri,
            public_gruu: gruus.0,
            temporary_gruu: gruus.1,
        });
        vec(contact, 0..4)
    }

    fn documents() -> impl Strategy<Value = RegInfo> {
        let state = select(vec![State::Init, State::Active, State::Terminated]);
        let registration = (".{0,20}", ".{0,9}", state, contacts());
        let registration = registration.prop_map(|(aor, id, state, contacts)| Registration {
            aor,
            id,
            state,
            contacts,
        });
        let completeness = select(vec![Completeness::Full, Completeness::Partial]);
        (any::<u32>(), completeness, vec(registration, 0..4)).prop_map(
            |(version, completeness, registrations)| RegInfo {
                version,
                completeness,
                registrations,
            },
        )
    }

    /// Pieces of a document in any order.
    fn soup() -> impl Strategy<Value = String> {
        let pieces = "<reginfo>|</reginfo>|<registration |<contact |<contact>|<uri>|</uri>|\
            state='terminated'|event=|expires='9'|>|/>|<|&|&lt;|;|'|\"|<!--|-->|<![CDATA[|]]>|?>";
        let piece = select(pieces.split('|').collect::<Vec<_>>());
        vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest::proptest! {
        #[test]
        fn any_document_survives_the_wire(info in documents()) {
            prop_assert_eq!(RegInfo::parse(&info.to_xml()), Some(info));
        }

        #[test]
        fn any_text_is_read(text in "[<>/=!a-z \"'&;-]{0,200}", soup in soup(), bytes in ".*") {
            for text in [&text, &soup, &bytes] {
                let _ = RegInfo::parse(text);
                let _ = RegInfo::parse(&format!("<reginfo><registration><contact>{text}"));
                if let Some(info) = RegInfo::parse(&format!("<reginfo>{text}</reginfo>")) {
                    prop_assert_eq!(RegInfo::parse(&info.to_xml()), Some(info));
                }
            }
        }
    }
}
