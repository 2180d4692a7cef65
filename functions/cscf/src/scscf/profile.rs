//! The user profile that the HSS sends, Cx-User-Data: TS 29.228 Annex B and Annex E.

use std::sync::Arc;

use base::wildcard::Wildcard;
use quick_xml::Reader;
use quick_xml::events::Event as Xml;
use serde::{Deserialize, Serialize};

use super::ifc::{ApplicationServer, Criterion, Trigger, TriggerKind};
use super::pattern::Pattern;

/// An IMS subscription, as the HSS sends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscription {
    /// The private identity.
    pub private_identity: String,
    /// All else.
    pub profile: Profile,
}

/// What a subscription is made of.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The service profiles.
    pub services: Box<[ServiceProfile]>,
}

/// Identities that share their filter criteria.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ServiceProfile {
    /// The identities, the default first.
    pub identities: Box<[PublicIdentity]>,
    /// Filter criteria in order of their priority.
    pub criteria: Arc<[Criterion]>,
}

/// A public identity.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct PublicIdentity {
    /// The URI.
    pub uri: Box<str>,
    /// Whether it is that of a service.
    #[serde(default)]
    pub service: bool,
    /// The identities that it stands for, if they are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wildcard: Option<Box<Wildcard>>,
    /// Whether it may only be registered, and neither call nor be called.
    #[serde(default)]
    pub barred: bool,
}

impl PublicIdentity {
    /// As an address of record; `None` if it is no URI.
    pub fn aor(&self) -> Option<String> {
        sip::Uri::parse(&self.uri).map(|uri| uri.aor())
    }

    fn names(&self, aor: &str) -> bool {
        *self.uri == *aor || self.aor().is_some_and(|own| own == aor)
    }
}

impl Subscription {
    /// Reads the document. Elements that are not known are skipped; `None` if it is not well-formed
    /// or has no identity.
    pub fn parse(xml: &str) -> Option<Subscription> {
        let root = Element::parse(xml)?;
        if root.name != "IMSSubscription" {
            return None;
        }
        let services: Box<[_]> = root.children("ServiceProfile").map(service_profile).collect();
        let private_identity = root.text("PrivateID").unwrap_or_default();
        let usable = services.iter().any(|s: &ServiceProfile| !s.identities.is_empty());
        usable.then_some(Subscription { private_identity, profile: Profile { services } })
    }
}

impl Profile {
    /// All identities, in order.
    pub fn identities(&self) -> impl Iterator<Item = &PublicIdentity> {
        self.services.iter().flat_map(|s| &s.identities)
    }

    /// The identities that may be used, the default first: P-Associated-URI, TS 24.229 §5.4.1.2.2F.
    pub fn usable(&self) -> impl Iterator<Item = &str> {
        self.identities().filter(|i| !i.barred).map(|i| &*i.uri)
    }

    /// The service profile and identity of an address of record.
    pub fn find(&self, aor: &str) -> Option<(&ServiceProfile, &PublicIdentity)> {
        let named = |i: &PublicIdentity| i.names(aor);
        let meant = |i: &PublicIdentity| i.wildcard.as_ref().is_some_and(|w| w.matches(aor));
        self.first(named).or_else(|| self.first(meant))
    }

    /// Whether an identity is this address of record itself.
    pub fn names(&self, aor: &str) -> bool {
        self.identities().any(|identity| identity.names(aor))
    }

    fn first(
        &self,
        wanted: impl Fn(&PublicIdentity) -> bool,
    ) -> Option<(&ServiceProfile, &PublicIdentity)> {
        self.services.iter().find_map(|service| {
            let mut identities = service.identities.iter();
            identities.find(|identity| wanted(identity)).map(|identity| (service, identity))
        })
    }

    /// Whether it is the profile of a service, which nobody registers: TS 23.228 §5.4.12.
    pub fn is_service(&self) -> bool {
        self.identities().any(|identity| identity.service)
    }

    /// Whether it is for more identities than it names.
    pub fn is_wildcarded(&self) -> bool {
        self.identities().any(|identity| identity.wildcard.is_some())
    }
}

fn service_profile(element: &Element) -> ServiceProfile {
    let identity = |e: &Element| {
        let uri = e.text("Identity")?;
        let extension = e.child("Extension");
        let kind = extension.and_then(|e| e.text("IdentityType"));
        let wildcard = ["WildcardedPSI", "WildcardedIMPU"]
            .iter()
            .find_map(|name| extension.and_then(|e| e.text(name)));
        // An expression need not look like a URI.
        let legal = sip::Uri::parse(&uri).is_some() || wildcard.is_some();
        legal.then_some(())?;
        Some(PublicIdentity {
            uri: uri.into(),
            // TS 29.228 Table B.2.1A: DISTINCT_PSI and WILDCARDED_PSI.
            service: matches!(kind.as_deref(), Some("1" | "2")),
            wildcard: wildcard.and_then(|text| Wildcard::parse(&text)).map(Box::new),
            barred: e.flag("BarringIndication"),
        })
    };
    let mut criteria: Vec<Criterion> =
        element.children("InitialFilterCriteria").filter_map(criterion).collect();
    criteria.sort_by_key(|c| c.priority);
    let identities = element.children("PublicIdentity").filter_map(identity).collect();
    ServiceProfile { identities, criteria: criteria.into() }
}

fn criterion(element: &Element) -> Option<Criterion> {
    let server = element.child("ApplicationServer")?;
    let default = server.text("DefaultHandling");
    let extension =
        |name: &str| server.child("Extension").is_some_and(|e| e.children(name).next().is_some());
    let trigger = element.child("TriggerPoint").map(|point| Trigger {
        cnf: point.flag("ConditionTypeCNF"),
        conditions: point.children("SPT").flat_map(conditions).collect(),
    });
    Some(Criterion {
        priority: element.text("Priority")?.parse().ok()?,
        trigger,
        server: ApplicationServer {
            uri: server.text("ServerName")?,
            // 0 SESSION_CONTINUED, 1 SESSION_TERMINATED, TS 29.228 §B.2.2.
            continue_without: default.as_deref() != Some("1"),
            service_info: server.text("ServiceInfo"),
            include_register_request: extension("IncludeRegisterRequest"),
            include_register_response: extension("IncludeRegisterResponse"),
        },
        registered_part: element.text("ProfilePartIndicator").map(|part| part == "0"),
    })
}

/// A service point trigger once for each group that it belongs to.
fn conditions(spt: &Element) -> Vec<(u32, bool, TriggerKind)> {
    let negated = spt.flag("ConditionNegated");
    let groups = spt.children("Group").filter_map(|g| g.content.trim().parse().ok());
    groups.map(|group| (group, negated, trigger_kind(spt))).collect()
}

fn trigger_kind(spt: &Element) -> TriggerKind {
    if let Some(method) = spt.text("Method") {
        let extension = spt.child("Extension");
        let types = extension.into_iter().flat_map(|e| e.children("RegistrationType"));
        let types = types.filter_map(|kind| kind.content.trim().parse().ok());
        return TriggerKind::Method(method, types.collect());
    }
    if let Some(case) = spt.text("SessionCase") {
        return TriggerKind::SessionCase(case.parse().unwrap_or(u32::MAX));
    }
    if let Some(uri) = spt.text("RequestURI") {
        return TriggerKind::RequestUri(uri.into());
    }
    if let Some(header) = spt.child("SIPHeader") {
        return TriggerKind::Header {
            name: header.text("Header").unwrap_or_default(),
            content: header.text("Content").map(Pattern::from),
        };
    }
    if let Some(line) = spt.child("SessionDescription") {
        return TriggerKind::Sdp {
            line: line.text("Line").unwrap_or_default(),
            content: line.text("Content").map(Pattern::from),
        };
    }
    TriggerKind::Unknown
}

/// An element of a small document.
#[derive(Debug, Default)]
struct Element {
    name: String,
    content: String,
    children: Vec<Element>,
}

/// Deeper documents are not Cx-User-Data.
const MAX_DEPTH: usize = 32;

impl Element {
    fn parse(xml: &str) -> Option<Element> {
        let mut reader = Reader::from_str(xml);
        let mut open: Vec<Element> = vec![Element::default()];
        let local = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        loop {
            match reader.read_event().ok()? {
                Xml::Start(tag) => {
                    if open.len() > MAX_DEPTH {
                        return None;
                    }
                    let name = local(tag.local_name().as_ref());
                    open.push(Element { name, ..Element::default() });
                }
                Xml::Empty(tag) => {
                    let name = local(tag.local_name().as_ref());
                    open.last_mut()?.children.push(Element { name, ..Element::default() });
                }
                Xml::End(_) => {
                    let done = open.pop()?;
                    open.last_mut()?.children.push(done);
                }
                Xml::Text(text) => open.last_mut()?.content.push_str(&text.decode().ok()?),
                Xml::CData(text) => {
                    open.last_mut()?.content.push_str(&String::from_utf8_lossy(&text));
                }
                Xml::GeneralRef(name) => {
                    let entity = format!("&{};", name.decode().ok()?);
                    let text = quick_xml::escape::unescape(&entity).ok()?.into_owned();
                    open.last_mut()?.content.push_str(&text);
                }
                Xml::Eof => break,
                _ => {}
            }
        }
        let root = open.pop().filter(|_| open.is_empty())?;
        root.children.into_iter().next()
    }

    fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| c.name == name)
    }

    fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.child(name).map(|c| c.content.trim().to_owned())
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text == "1" || text == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = "<?xml version=\"1.0\"?><IMSSubscription><PrivateID>a@x</PrivateID>\
        <ServiceProfile><PublicIdentity><BarringIndication>1</BarringIndication>\
        <Identity>sip:001@x</Identity></PublicIdentity>\
        <PublicIdentity><Identity>sip:a&amp;b@X</Identity></PublicIdentity>\
        <InitialFilterCriteria><Priority>2</Priority><ApplicationServer>\
        <ServerName>sip:b@as</ServerName><DefaultHandling>1</DefaultHandling></ApplicationServer>\
        </InitialFilterCriteria>\
        <InitialFilterCriteria><Priority>1</Priority><TriggerPoint>\
        <ConditionTypeCNF>0</ConditionTypeCNF><SPT><ConditionNegated>0</ConditionNegated>\
        <Group>0</Group><Group>1</Group><Method>INVITE</Method></SPT></TriggerPoint>\
        <ApplicationServer><ServerName>sip:as</ServerName></ApplicationServer>\
        </InitialFilterCriteria></ServiceProfile></IMSSubscription>";

    #[test]
    fn a_subscription_is_read() {
        let Subscription { private_identity, profile } = Subscription::parse(XML).unwrap();
        assert_eq!(private_identity, "a@x");
        let record = serde_json::to_vec(&profile).unwrap();
        assert_eq!(serde_json::from_slice::<Profile>(&record).unwrap(), profile);
        assert_eq!(profile.usable().collect::<Vec<_>>(), ["sip:a&b@X"]);
        let (service, identity) = profile.find("sip:001@x").unwrap();
        assert!(identity.barred);
        let names: Vec<_> = service.criteria.iter().map(|c| c.server.uri.as_str()).collect();
        assert_eq!(names, ["sip:as", "sip:b@as"]);
        assert!(service.criteria[0].server.continue_without);
        assert!(!service.criteria[1].server.continue_without);
        assert_eq!(service.criteria[0].trigger.as_ref().unwrap().conditions.len(), 2);
    }

    #[test]
    fn nonsense_is_refused() {
        let deep = "<a>".repeat(100_000);
        for bad in ["", "<a/>", "<IMSSubscription/>", "<IMSSubscription>", "]]>", deep.as_str()] {
            assert_eq!(Subscription::parse(bad), None);
        }
    }
}
