//! Initial filter criteria: which application servers see which requests, TS 29.228 Annex B.2 and
//! TS 23.218 §5.2. These types are also how the store writes them.

mod text;

use serde::{Deserialize, Serialize};

pub use text::CriteriaError;

/// InitialFilterCriteria.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FilterCriteria {
    /// Priority: the lowest number is tried first; unique within a service profile.
    pub priority: u32,
    /// TriggerPoint; without one every request matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerPoint>,
    /// ApplicationServer.
    pub server: ApplicationServer,
    /// ProfilePartIndicator; without one the criteria belong to both parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<ProfilePart>,
}

/// ProfilePartIndicator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfilePart {
    /// REGISTERED.
    Registered = 0,
    /// UNREGISTERED.
    Unregistered = 1,
}

/// TriggerPoint: service point triggers in groups.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TriggerPoint {
    /// ConditionTypeCNF.
    pub form: Form,
    /// SPT, at least one.
    pub spts: Vec<Spt>,
}

/// How the groups of a trigger point are joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Disjunctive: or between groups, and within.
    Dnf = 0,
    /// Conjunctive: and between groups, or within.
    Cnf = 1,
}

/// Service Point Trigger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Spt {
    /// ConditionNegated.
    #[serde(default)]
    pub negated: bool,
    /// Group, at least one.
    pub groups: Vec<u32>,
    /// What is looked at.
    pub condition: Condition,
    /// RegistrationType, at most two; only for the method REGISTER.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registration_types: Vec<RegistrationType>,
}

/// What a service point trigger looks at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// RequestURI.
    RequestUri(String),
    /// Method.
    Method(String),
    /// SIPHeader: a header and, perhaps, a regular expression for its content.
    Header {
        /// Its name.
        header: String,
        /// Its content.
        content: Option<String>,
    },
    /// SessionCase.
    SessionCase(SessionCase),
    /// SessionDescription: an SDP line and, perhaps, a regular expression for its content.
    SessionDescription {
        /// Its letter.
        line: String,
        /// Its content.
        content: Option<String>,
    },
}

/// SessionCase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionCase {
    /// ORIGINATING_SESSION.
    Originating = 0,
    /// TERMINATING_REGISTERED.
    TerminatingRegistered = 1,
    /// TERMINATING_UNREGISTERED.
    TerminatingUnregistered = 2,
    /// ORIGINATING_UNREGISTERED.
    OriginatingUnregistered = 3,
}

/// RegistrationType.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationType {
    /// INITIAL_REGISTRATION.
    Initial = 0,
    /// RE-REGISTRATION.
    ReRegistration = 1,
    /// DE-REGISTRATION.
    DeRegistration = 2,
}

/// ApplicationServer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApplicationServer {
    /// ServerName: a SIP URI.
    pub name: String,
    /// DefaultHandling: what happens when the server does not answer.
    #[serde(default)]
    pub default_handling: DefaultHandling,
    /// ServiceInfo: handed to the server in a third-party REGISTER.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_info: Option<String>,
    /// IncludeRegisterRequest: the third-party REGISTER carries the phone's REGISTER.
    #[serde(default)]
    pub include_register_request: bool,
    /// IncludeRegisterResponse: it carries the answer to it.
    #[serde(default)]
    pub include_register_response: bool,
}

impl ApplicationServer {
    /// A server without which sessions go on.
    pub fn new(name: impl Into<String>) -> ApplicationServer {
        ApplicationServer {
            name: name.into(),
            default_handling: DefaultHandling::default(),
            service_info: None,
            include_register_request: false,
            include_register_response: false,
        }
    }
}

/// DefaultHandling.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultHandling {
    /// SESSION_CONTINUED.
    #[default]
    Continued = 0,
    /// SESSION_TERMINATED.
    Terminated = 1,
}

impl FilterCriteria {
    /// The criteria of TS 24.341 §5.3.2 that bring a phone's texts (SMS over IP) to an IP-SM-GW.
    pub fn sms_over_ip(gateway: &str) -> FilterCriteria {
        let conditions = [
            Condition::Method("MESSAGE".to_owned()),
            Condition::Header {
                header: "Content-Type".to_owned(),
                content: Some("application/vnd.3gpp.sms".to_owned()),
            },
            Condition::SessionCase(SessionCase::Originating),
        ];
        let spt = |(group, condition)| Spt {
            negated: false,
            groups: vec![group],
            condition,
            registration_types: Vec::new(),
        };
        FilterCriteria {
            priority: 0,
            trigger: Some(TriggerPoint {
                form: Form::Cnf,
                spts: (0..).zip(conditions).map(spt).collect(),
            }),
            server: ApplicationServer::new(gateway),
            part: None,
        }
    }

    /// Criteria that tell a server who registers, TS 24.229 §5.4.1.7.
    pub fn registrations(server: &str) -> FilterCriteria {
        let spt = Spt {
            negated: false,
            groups: vec![0],
            condition: Condition::Method("REGISTER".to_owned()),
            registration_types: Vec::new(),
        };
        FilterCriteria {
            priority: 0,
            trigger: Some(TriggerPoint { form: Form::Cnf, spts: vec![spt] }),
            server: ApplicationServer {
                // The answer names all identities that are registered.
                include_register_response: true,
                ..ApplicationServer::new(server)
            },
            part: None,
        }
    }

    /// Whether these criteria may do something for somebody who is not registered: they belong to
    /// that part, and their triggers do not all ask for another session case.
    pub fn serves_unregistered(&self) -> bool {
        if self.part == Some(ProfilePart::Registered) {
            return false;
        }
        let Some(trigger) = &self.trigger else {
            return true;
        };
        let mut cases = trigger.spts.iter().filter_map(|spt| match spt.condition {
            Condition::SessionCase(case) => Some((spt.negated, case)),
            _ => None,
        });
        let asks = cases.clone().next().is_some();
        !asks
            || cases.any(|(negated, case)| {
                use SessionCase::*;
                negated != matches!(case, TerminatingUnregistered | OriginatingUnregistered)
            })
    }
}
