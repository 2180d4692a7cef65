//! The Cx-User-Data document of SAA and PPR, TS 29.228 Annex B to E; valid against the schema
//! CxDataType of TS 29.228 Annex E.

use core::fmt::Write;

use crate::profile::{Condition, FilterCriteria, Spt};
use crate::subscriber::{ImplicitSet, Subscriber};
use base::wildcard::Wildcard;

/// The document for the implicit registration sets that `sets` picks, one ServiceProfile each.
pub fn user_data<'a>(
    subscriber: &Subscriber,
    sets: impl IntoIterator<Item = &'a ImplicitSet>,
) -> String {
    let mut xml = Xml(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
    xml.element("IMSSubscription", |xml| {
        xml.text("PrivateID", &subscriber.impi);
        for set in sets {
            xml.element("ServiceProfile", |xml| service_profile(xml, set));
        }
    });
    xml.0
}

/// The document for a public service identity: `IdentityType` 1 is DISTINCT_PSI, 2 WILDCARDED_PSI, TS
/// 29.228 Table B.2.1A.
pub(crate) fn service_user_data(
    private_identity: &str,
    identity: &Wildcard,
    criteria: &[FilterCriteria],
) -> String {
    let mut xml = Xml(String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"));
    xml.element("IMSSubscription", |xml| {
        xml.text("PrivateID", private_identity);
        xml.element("ServiceProfile", |xml| {
            xml.element("PublicIdentity", |xml| {
                xml.number("BarringIndication", 0);
                xml.text("Identity", identity.as_str());
                xml.element("Extension", |xml| {
                    xml.number("IdentityType", if identity.is_wildcard() { 2 } else { 1 });
                    if identity.is_wildcard() {
                        xml.text("WildcardedPSI", identity.as_str());
                    }
                });
            });
            for criteria in criteria {
                xml.element("InitialFilterCriteria", |xml| filter_criteria(xml, criteria));
            }
        });
    });
    xml.0
}

fn service_profile(xml: &mut Xml, set: &ImplicitSet) {
    for identity in &set.identities {
        xml.element("PublicIdentity", |xml| {
            xml.number("BarringIndication", u32::from(identity.barred));
            xml.text("Identity", &identity.uri);
            // 0 is PUBLIC_USER_IDENTITY.
            xml.element("Extension", |xml| xml.number("IdentityType", 0));
        });
    }
    for criteria in &set.criteria {
        xml.element("InitialFilterCriteria", |xml| filter_criteria(xml, criteria));
    }
}

fn filter_criteria(xml: &mut Xml, criteria: &FilterCriteria) {
    xml.number("Priority", criteria.priority);
    if let Some(trigger) = &criteria.trigger {
        xml.element("TriggerPoint", |xml| {
            xml.number("ConditionTypeCNF", trigger.form as u32);
            for spt in &trigger.spts {
                xml.element("SPT", |xml| service_point_trigger(xml, spt));
            }
        });
    }
    let server = &criteria.server;
    xml.element("ApplicationServer", |xml| {
        xml.text("ServerName", &server.name);
        xml.number("DefaultHandling", server.default_handling as u32);
        if let Some(info) = &server.service_info {
            xml.text("ServiceInfo", info);
        }
        if server.include_register_request || server.include_register_response {
            xml.element("Extension", |xml| {
                if server.include_register_request {
                    xml.element("IncludeRegisterRequest", |_| {});
                }
                if server.include_register_response {
                    xml.element("IncludeRegisterResponse", |_| {});
                }
            });
        }
    });
    if let Some(part) = criteria.part {
        xml.number("ProfilePartIndicator", part as u32);
    }
}

fn service_point_trigger(xml: &mut Xml, spt: &Spt) {
    xml.number("ConditionNegated", u32::from(spt.negated));
    for group in &spt.groups {
        xml.number("Group", *group);
    }
    let pair = |xml: &mut Xml, name, part, value: &str, content: &Option<String>| {
        xml.element(name, |xml| {
            xml.text(part, value);
            if let Some(content) = content {
                xml.text("Content", content);
            }
        });
    };
    match &spt.condition {
        Condition::RequestUri(uri) => xml.text("RequestURI", uri),
        Condition::Method(method) => xml.text("Method", method),
        Condition::Header { header, content } => pair(xml, "SIPHeader", "Header", header, content),
        Condition::SessionCase(case) => xml.number("SessionCase", *case as u32),
        Condition::SessionDescription { line, content } => {
            pair(xml, "SessionDescription", "Line", line, content);
        }
    }
    if !spt.registration_types.is_empty() {
        xml.element("Extension", |xml| {
            for kind in &spt.registration_types {
                xml.number("RegistrationType", *kind as u32);
            }
        });
    }
}

/// A document that is being written.
struct Xml(String);

impl Xml {
    fn element(&mut self, name: &str, content: impl FnOnce(&mut Xml)) {
        self.put(format_args!("<{name}>"));
        content(self);
        self.put(format_args!("</{name}>"));
    }

    fn number(&mut self, name: &str, number: u32) {
        self.put(format_args!("<{name}>{number}</{name}>"));
    }

    fn text(&mut self, name: &str, text: &str) {
        self.put(format_args!("<{name}>"));
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                // XML 1.0 has no way to write the others.
                c if c.is_control() && !matches!(c, '\t' | '\n' | '\r') => {}
                c => self.0.push(c),
            }
        }
        self.put(format_args!("</{name}>"));
    }

    fn put(&mut self, text: core::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("writing to a string");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::*;

    fn subscriber() -> Subscriber {
        let password = base::redact::Secret::new("x".to_owned());
        let mut subscriber = Subscriber::with_password("alice", &password, &[], "ex.org").unwrap();
        let spt = |condition, groups: &[u32]| Spt {
            negated: false,
            groups: groups.to_vec(),
            condition,
            registration_types: vec![],
        };
        let set = &mut subscriber.sets[0];
        set.identities[0].barred = true;
        set.criteria.push(FilterCriteria {
            priority: 1,
            trigger: Some(TriggerPoint {
                form: Form::Cnf,
                spts: vec![
                    Spt {
                        registration_types: vec![RegistrationType::Initial],
                        ..spt(Condition::Method("REGISTER".to_owned()), &[0, 1])
                    },
                    spt(Condition::RequestUri("sip:a&b<c>".to_owned()), &[0]),
                    spt(Condition::SessionCase(SessionCase::TerminatingUnregistered), &[1]),
                    spt(
                        Condition::Header { header: "P-X".to_owned(), content: Some(".*".into()) },
                        &[2],
                    ),
                    spt(
                        Condition::SessionDescription { line: "m".to_owned(), content: None },
                        &[2],
                    ),
                ],
            }),
            server: ApplicationServer {
                name: "sip:as.ex.org".to_owned(),
                default_handling: DefaultHandling::Terminated,
                service_info: Some("info".to_owned()),
                include_register_request: true,
                include_register_response: false,
            },
            part: Some(ProfilePart::Unregistered),
        });
        subscriber
    }

    /// The document is written to a file when `CX_USER_DATA` names one, so that
    /// `xmllint --schema CxDataType_Rel8.xsd` can be run on it by hand.
    #[test]
    fn everything_in_the_order_of_the_schema() {
        let subscriber = subscriber();
        let xml = user_data(&subscriber, &subscriber.sets);
        if let Some(path) = std::env::var_os("CX_USER_DATA") {
            std::fs::write(path, &xml).unwrap();
        }
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><IMSSubscription>\
            <PrivateID>alice@ex.org</PrivateID><ServiceProfile>\
            <PublicIdentity><BarringIndication>1</BarringIndication>\
            <Identity>sip:alice@ex.org</Identity>\
            <Extension><IdentityType>0</IdentityType></Extension></PublicIdentity>\
            <InitialFilterCriteria><Priority>1</Priority>\
            <TriggerPoint><ConditionTypeCNF>1</ConditionTypeCNF>\
            <SPT><ConditionNegated>0</ConditionNegated><Group>0</Group><Group>1</Group>\
            <Method>REGISTER</Method>\
            <Extension><RegistrationType>0</RegistrationType></Extension></SPT>\
            <SPT><ConditionNegated>0</ConditionNegated><Group>0</Group>\
            <RequestURI>sip:a&amp;b&lt;c&gt;</RequestURI></SPT>\
            <SPT><ConditionNegated>0</ConditionNegated><Group>1</Group>\
            <SessionCase>2</SessionCase></SPT>\
            <SPT><ConditionNegated>0</ConditionNegated><Group>2</Group>\
            <SIPHeader><Header>P-X</Header><Content>.*</Content></SIPHeader></SPT>\
            <SPT><ConditionNegated>0</ConditionNegated><Group>2</Group>\
            <SessionDescription><Line>m</Line></SessionDescription></SPT></TriggerPoint>\
            <ApplicationServer><ServerName>sip:as.ex.org</ServerName>\
            <DefaultHandling>1</DefaultHandling><ServiceInfo>info</ServiceInfo>\
            <Extension><IncludeRegisterRequest></IncludeRegisterRequest></Extension>\
            </ApplicationServer><ProfilePartIndicator>1</ProfilePartIndicator>\
            </InitialFilterCriteria></ServiceProfile></IMSSubscription>";
        assert_eq!(xml, expected);
    }

    #[test]
    fn unregistered_services_are_recognised() {
        let mut criteria = subscriber().sets[0].criteria[0].clone();
        assert!(criteria.serves_unregistered());
        criteria.part = Some(ProfilePart::Registered);
        assert!(!criteria.serves_unregistered());
        criteria.part = None;
        criteria.trigger.as_mut().unwrap().spts[2].condition =
            Condition::SessionCase(SessionCase::Originating);
        assert!(!criteria.serves_unregistered());
        criteria.trigger = None;
        assert!(criteria.serves_unregistered());
    }
}
