//! Initial filter criteria: does a request go to an application server? TS 23.218 §6, TS 29.228
//! Annex B and Annex F.

use core::fmt;

use serde::{Deserialize, Serialize};
use sip::Message;
use sip::header::HeaderName;

use super::pattern::Pattern;

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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trigger {
    /// Conjunctive normal form: every group needs one true condition. Else disjunctive: one group
    /// needs all its conditions true.
    pub cnf: bool,
    /// Group, negation and condition.
    pub conditions: Vec<(u32, bool, TriggerKind)>,
}

/// A service point trigger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TriggerKind {
    /// The request's method, and for REGISTER the numbers of the types; none is any.
    Method(String, Vec<u32>),
    /// The session case, by its number.
    SessionCase(u32),
    /// What stands in the Request-URI.
    RequestUri(Pattern),
    /// A header field that is there and, if `content` is set, holds it.
    Header {
        /// The header field's name.
        name: String,
        /// What stands in its value.
        content: Option<Pattern>,
    },
    /// A line of the SDP that is there and, if `content` is set, holds it.
    Sdp {
        /// The line's letter, or its beginning.
        line: String,
        /// What stands in its value.
        content: Option<Pattern>,
    },
    /// A condition that this S-CSCF does not know: never true.
    Unknown,
}

/// Why a criterion does not fire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Miss<'a> {
    /// It counts only for users who are registered (`true`), or who are not.
    Part(bool),
    /// The first condition that decides against it, and whether that is negated.
    Condition(bool, &'a TriggerKind),
    /// It has a trigger without conditions of which one would have to be true.
    Empty,
}

impl Criterion {
    /// Why it does not fire for this request; `None` if it fires.
    ///
    /// `registration` is what a REGISTER is about.
    pub fn miss(
        &self,
        request: &Message,
        case: Case,
        registration: Option<RegistrationType>,
    ) -> Option<Miss<'_>> {
        let registered = matches!(case, Case::Originating | Case::TerminatingRegistered);
        if let Some(part) = self.registered_part.filter(|part| *part != registered) {
            return Some(Miss::Part(part));
        }
        self.trigger.as_ref()?.miss(request, case, registration)
    }
}

impl Trigger {
    fn miss(
        &self,
        request: &Message,
        case: Case,
        registration: Option<RegistrationType>,
    ) -> Option<Miss<'_>> {
        let mut groups: Vec<u32> = self.conditions.iter().map(|(group, _, _)| *group).collect();
        groups.sort_unstable();
        groups.dedup();
        let fails = |(_, negated, kind): &&(u32, bool, TriggerKind)| {
            kind.holds(request, case, registration) == *negated
        };
        // What speaks against each group.
        let mut against = groups.into_iter().map(|group| {
            let members = || self.conditions.iter().filter(move |(g, _, _)| *g == group);
            let held = self.cnf && members().any(|member| !fails(&member));
            let first = members().find(fails).filter(|_| !held);
            first.map(|(_, negated, kind)| Miss::Condition(*negated, kind))
        });
        if self.cnf {
            return against.flatten().next();
        }
        let first = against.next().unwrap_or(Some(Miss::Empty))?;
        against.all(|group| group.is_some()).then_some(first)
    }
}

impl fmt::Display for Miss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Miss::Part(true) => f.write_str("it is for registered users only"),
            Miss::Part(false) => f.write_str("it is for users who are not registered only"),
            Miss::Condition(negated, kind) => {
                let not = if *negated { "not " } else { "" };
                write!(f, "`{not}{kind}` is not so")
            }
            Miss::Empty => f.write_str("its trigger has no conditions"),
        }
    }
}

/// As `--ifc` and `ifc` of the configuration spell it.
impl fmt::Display for TriggerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = |f: &mut fmt::Formatter<'_>, content: &Option<Pattern>| match content {
            Some(content) => write!(f, "={content:?}"),
            None => Ok(()),
        };
        match self {
            TriggerKind::Method(method, types) => {
                write!(f, "method={method}")?;
                types.iter().try_for_each(|kind| match kind {
                    0 => f.write_str("/initial"),
                    1 => f.write_str("/re"),
                    2 => f.write_str("/de"),
                    other => write!(f, "/{other}"),
                })
            }
            TriggerKind::SessionCase(0) => f.write_str("case=originating"),
            TriggerKind::SessionCase(1) => f.write_str("case=terminating"),
            TriggerKind::SessionCase(2) => f.write_str("case=terminating-unregistered"),
            TriggerKind::SessionCase(3) => f.write_str("case=originating-unregistered"),
            TriggerKind::SessionCase(other) => write!(f, "case={other}"),
            TriggerKind::RequestUri(text) => write!(f, "uri={text:?}"),
            TriggerKind::Header { name, content } => {
                write!(f, "header:{name}")?;
                within(f, content)
            }
            TriggerKind::Sdp { line, content } => {
                write!(f, "sdp:{line}")?;
                within(f, content)
            }
            TriggerKind::Unknown => f.write_str("a condition that this S-CSCF does not know"),
        }
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
            TriggerKind::RequestUri(text) => text.is_in(request.uri()),
            TriggerKind::Header { name, content } => {
                let known = HeaderName::parse(name.as_bytes());
                let mut values: Box<dyn Iterator<Item = &str>> = match known {
                    HeaderName::Other => Box::new(request.get_other(name).into_iter()),
                    known => Box::new(request.lines(known)),
                };
                values.any(|value| content.as_ref().is_none_or(|text| text.is_in(value)))
            }
            TriggerKind::Sdp { line, content } => {
                let Some(sdp) = request.part("application/sdp") else { return false };
                String::from_utf8_lossy(&sdp).lines().filter_map(|l| l.split_once('=')).any(
                    |(letter, value)| {
                        letter.eq_ignore_ascii_case(line)
                            && content.as_ref().is_none_or(|text| text.is_in(value))
                    },
                )
            }
            TriggerKind::Unknown => false,
        }
    }
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
        criterion(cnf, conditions).miss(&invite(), Case::Originating, None).is_none()
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
    fn a_person_is_told_what_speaks_against_a_criterion() {
        let told = |cnf, conditions| {
            let c = criterion(cnf, conditions);
            c.miss(&invite(), Case::Originating, None).map(|miss| miss.to_string())
        };
        let both = || vec![(0, false, method("INVITE")), (1, false, method("BYE"))];
        assert_eq!(told(true, both()).as_deref(), Some("`method=BYE` is not so"));
        assert_eq!(told(false, both()), None);
        let neither = || vec![(0, false, method("PUBLISH")), (1, false, method("BYE"))];
        assert_eq!(told(true, neither()).as_deref(), Some("`method=PUBLISH` is not so"));
        assert_eq!(told(false, neither()).as_deref(), Some("`method=PUBLISH` is not so"));
        let either = || vec![(0, false, method("BYE")), (0, true, method("INVITE"))];
        assert_eq!(told(true, either()).as_deref(), Some("`method=BYE` is not so"));
        let header = TriggerKind::Header { name: "Supported".into(), content: Some("x".into()) };
        let last = || vec![(0, true, method("BYE")), (0, false, header.clone())];
        let against = Some("`header:Supported=\"x\"` is not so");
        assert_eq!(told(false, last()).as_deref(), against);
        let negated = vec![(0, true, method("INVITE"))];
        assert_eq!(told(true, negated).as_deref(), Some("`not method=INVITE` is not so"));
        assert_eq!(told(false, vec![]).as_deref(), Some("its trigger has no conditions"));
        assert_eq!(told(true, vec![]), None);
    }

    #[test]
    fn every_kind_of_trigger_holds() {
        let header = |name: &str, content: Option<&str>| TriggerKind::Header {
            name: name.into(),
            content: content.map(Pattern::from),
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
        assert_eq!(c.miss(&invite(), Case::Originating, None), Some(Miss::Part(false)));
        assert_eq!(c.miss(&invite(), Case::TerminatingUnregistered, None), None);
    }

    #[test]
    fn a_register_is_of_a_type() {
        use RegistrationType::{DeRegistration, Initial, ReRegistration};
        let register = Message::request(Method::Register, "sip:ims.test");
        let fires = |types: &[u32], kind| {
            let kind_of = TriggerKind::Method("REGISTER".into(), types.to_vec());
            let c = criterion(true, vec![(0, false, kind_of)]);
            c.miss(&register, Case::Originating, Some(kind)).is_none()
        };
        assert!(
            fires(&[], ReRegistration) && fires(&[0, 2], Initial) && fires(&[0, 2], DeRegistration)
        );
        assert!(!fires(&[0, 2], ReRegistration));
        let invite_too = TriggerKind::Method("INVITE".into(), vec![0]);
        assert!(fires(&[0], Initial) && invite_too.holds(&invite(), Case::Originating, None));
    }
}
