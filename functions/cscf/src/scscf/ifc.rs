//! Initial filter criteria: does a request go to an application server? TS 23.218 §6, TS 29.228
//! Annex B and Annex F.

use sip::Message;
use sip::header::HeaderName;

/// The session cases of a service point trigger, TS 29.228 §B.2.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Case {
    /// The served user, registered, calls.
    Originating = 0,
    /// The served user, registered, is called.
    TerminatingRegistered = 1,
    /// The served user, not registered, is called.
    TerminatingUnregistered = 2,
    /// The served user, not registered, calls (through an application server).
    OriginatingUnregistered = 3,
}

/// One filter criterion.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Criterion {
    /// Lower ones come first.
    pub priority: u32,
    /// When it fires; `None` always.
    pub trigger: Option<Trigger>,
    /// Where the request goes.
    pub server: ApplicationServer,
    /// Whether it counts for registered (`true`) or unregistered users only.
    pub registered_part: Option<bool>,
}

/// Where a request goes that a criterion fires for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApplicationServer {
    /// The server's SIP URI.
    pub uri: String,
    /// Whether the session goes on when the server fails: DefaultHandling SESSION_CONTINUED.
    pub continue_without: bool,
    /// Text for the body of a third-party REGISTER.
    pub service_info: Option<String>,
    /// Whether that body holds the phone's REGISTER.
    pub include_register_request: bool,
    /// Whether it holds the answer to it.
    pub include_register_response: bool,
}

/// What a REGISTER is about, TS 29.228 §B.2.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegistrationType {
    /// The first one.
    Initial = 0,
    /// A later one.
    ReRegistration = 1,
    /// The last one.
    DeRegistration = 2,
}

/// A trigger point: conditions in groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trigger {
    /// Conjunctive normal form: every group needs one true condition. Else disjunctive: one group
    /// needs all its conditions true.
    pub cnf: bool,
    /// Group, negation and condition.
    pub conditions: Vec<(u32, bool, TriggerKind)>,
}

/// A service point trigger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TriggerKind {
    /// The request's method, and for REGISTER the numbers of the types; none is any.
    Method(String, Vec<u32>),
    /// The session case, by its number.
    SessionCase(u32),
    /// Text within the Request-URI.
    RequestUri(String),
    /// A header field that is there and, if `content` is set, holds it.
    Header {
        /// The header field's name.
        name: String,
        /// Text within its value.
        content: Option<String>,
    },
    /// A line of the SDP that is there and, if `content` is set, holds it.
    Sdp {
        /// The line's letter, or its beginning.
        line: String,
        /// Text within its value.
        content: Option<String>,
    },
    /// A condition that this S-CSCF does not know: never true.
    Unknown,
}

impl Criterion {
    /// Whether it fires for this request.
    ///
    /// TS 29.228 Annex F lets header and SDP content be regular expressions; as most deployed
    /// profiles do, content is matched here as plain text anywhere in the value, without case.
    /// `registration` is what a REGISTER is about.
    pub fn fires(
        &self,
        request: &Message,
        case: Case,
        registration: Option<RegistrationType>,
    ) -> bool {
        let registered = matches!(case, Case::Originating | Case::TerminatingRegistered);
        if self.registered_part.is_some_and(|part| part != registered) {
            return false;
        }
        let at = |trigger: &Trigger| trigger.fires(request, case, registration);
        self.trigger.as_ref().is_none_or(at)
    }
}

impl Trigger {
    fn fires(&self, request: &Message, case: Case, registration: Option<RegistrationType>) -> bool {
        let mut groups: Vec<u32> = self.conditions.iter().map(|(group, _, _)| *group).collect();
        groups.sort_unstable();
        groups.dedup();
        let mut results = groups.into_iter().map(|group| {
            let mut members = self
                .conditions
                .iter()
                .filter(|(g, _, _)| *g == group)
                .map(|(_, negated, kind)| kind.holds(request, case, registration) != *negated);
            if self.cnf { members.any(|held| held) } else { members.all(|held| held) }
        });
        if self.cnf { results.all(|held| held) } else { results.any(|held| held) }
    }
}

impl TriggerKind {
    fn holds(&self, request: &Message, case: Case, registration: Option<RegistrationType>) -> bool {
        match self {
            TriggerKind::Method(method, types) => {
                // Elsewhere than at REGISTER the types mean nothing, whatever an HSS sends.
                request.method().is_some_and(|m| m.as_str() == method)
                    && (types.is_empty()
                        || registration.is_none_or(|kind| types.contains(&(kind as u32))))
            }
            TriggerKind::SessionCase(number) => *number == case as u32,
            TriggerKind::RequestUri(text) => contains(request.uri(), text),
            TriggerKind::Header { name, content } => {
                let known = HeaderName::parse(name.as_bytes());
                let mut values: Box<dyn Iterator<Item = &str>> = match known {
                    HeaderName::Other => Box::new(request.get_other(name).into_iter()),
                    known => Box::new(request.lines(known)),
                };
                values.any(|value| content.as_ref().is_none_or(|text| contains(value, text)))
            }
            TriggerKind::Sdp { line, content } => {
                if request.content_type() != "application/sdp" {
                    return false;
                }
                let body = String::from_utf8_lossy(request.body());
                body.lines().filter_map(|l| l.split_once('=')).any(|(letter, value)| {
                    letter.eq_ignore_ascii_case(line)
                        && content.as_ref().is_none_or(|text| contains(value, text))
                })
            }
            TriggerKind::Unknown => false,
        }
    }
}

fn contains(value: &str, text: &str) -> bool {
    value.to_ascii_lowercase().contains(&text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Method;

    fn invite() -> Message {
        Message::request(Method::Invite, "sip:conf-1@ims.test")
            .with(HeaderName::Supported, "100rel")
            .with_body("application/sdp", &b"v=0\r\nm=video 5 RTP/AVP 96\r\n"[..])
    }

    fn criterion(cnf: bool, conditions: Vec<(u32, bool, TriggerKind)>) -> Criterion {
        Criterion {
            priority: 0,
            trigger: Some(Trigger { cnf, conditions }),
            server: ApplicationServer {
                uri: "sip:as".into(),
                continue_without: true,
                service_info: None,
                include_register_request: false,
                include_register_response: false,
            },
            registered_part: None,
        }
    }

    fn method(name: &str) -> TriggerKind {
        TriggerKind::Method(name.into(), Vec::new())
    }

    fn fires(cnf: bool, conditions: Vec<(u32, bool, TriggerKind)>) -> bool {
        criterion(cnf, conditions).fires(&invite(), Case::Originating, None)
    }

    #[test]
    fn normal_forms_differ() {
        let both = || vec![(0, false, method("INVITE")), (1, false, method("BYE"))];
        assert!(!fires(true, both()), "INVITE and BYE");
        assert!(fires(false, both()), "INVITE or BYE");
        let one_group = || vec![(0, false, method("INVITE")), (0, false, method("BYE"))];
        assert!(fires(true, one_group()));
        assert!(!fires(false, one_group()));
        assert!(fires(true, vec![(0, true, method("BYE"))]), "negated");
    }

    #[test]
    fn every_kind_of_trigger_holds() {
        let header = |name: &str, content: Option<&str>| TriggerKind::Header {
            name: name.into(),
            content: content.map(str::to_owned),
        };
        let sdp = |line: &str, content: &str| TriggerKind::Sdp {
            line: line.into(),
            content: Some(content.into()),
        };
        let holds = |kind: TriggerKind| kind.holds(&invite(), Case::TerminatingRegistered, None);
        assert!(holds(TriggerKind::RequestUri("CONF-".into())));
        assert!(holds(TriggerKind::SessionCase(1)));
        assert!(!holds(TriggerKind::SessionCase(0)));
        assert!(holds(header("k", Some("100REL"))), "compact name");
        assert!(!holds(header("Require", None)));
        assert!(holds(sdp("m", "video")));
        assert!(!holds(sdp("m", "audio")));
        assert!(!holds(TriggerKind::Unknown));
    }

    #[test]
    fn the_profile_part_limits_a_criterion() {
        let mut c = criterion(true, vec![]);
        c.registered_part = Some(false);
        assert!(!c.fires(&invite(), Case::Originating, None));
        assert!(c.fires(&invite(), Case::TerminatingUnregistered, None));
    }

    #[test]
    fn a_register_is_of_a_type() {
        use RegistrationType::{DeRegistration, Initial, ReRegistration};
        let register = Message::request(Method::Register, "sip:ims.test");
        let fires = |types: &[u32], kind| {
            let kind_of = TriggerKind::Method("REGISTER".into(), types.to_vec());
            let c = criterion(true, vec![(0, false, kind_of)]);
            c.fires(&register, Case::Originating, Some(kind))
        };
        assert!(
            fires(&[], ReRegistration) && fires(&[0, 2], Initial) && fires(&[0, 2], DeRegistration)
        );
        assert!(!fires(&[0, 2], ReRegistration));
        let invite_too = TriggerKind::Method("INVITE".into(), vec![0]);
        assert!(fires(&[0], Initial) && invite_too.holds(&invite(), Case::Originating, None));
    }
}
