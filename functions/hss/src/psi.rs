//! Public service identities, TS 23.228 §5.4.12 and TS 23.003 §13.5: addresses of services, not of
//! persons. Nobody registers them; the network leads to the application server that has them.

use std::str::FromStr;

use base::fnv::fnv1a;
use base::wildcard::Wildcard;
use diameter::cx::{self, Assignment, Lia, Saa, Sar, ServerCapabilities};
use diameter::{ExperimentalCode, Outcome, ResultCode, Writer};

use crate::profile::FilterCriteria;
use crate::subscriber::{canonical, validate_criteria};
use crate::user_data::service_user_data;

/// A public service identity, distinct or wildcarded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Psi {
    /// Which identities.
    pub identity: Wildcard,
    /// How requests get to their server.
    pub way: Way,
}

/// How requests get to the server of a service, TS 23.228 §5.4.12.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the I-CSCF to the server with this SIP URI.
    Direct(String),
    /// By an S-CSCF and these filter criteria.
    Criteria(Vec<FilterCriteria>),
}

/// Why a text is no public service identity.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PsiError {
    /// Neither `at` nor `by`.
    #[error("{0:?} does not say how to reach the service")]
    NoWay(String),
    /// No identity.
    #[error("{0:?} is no sip: or tel: identity, with or without one expression between `!`")]
    Identity(String),
    /// No server.
    #[error("{0:?} is no SIP URI of a server")]
    Server(String),
    /// No filter criteria.
    #[error("{0}")]
    Criteria(String),
}

/// `IDENTITY at SERVER`, or `IDENTITY by CRITERIA` with filter criteria as a person types them.
impl FromStr for Psi {
    type Err = PsiError;

    fn from_str(text: &str) -> Result<Psi, PsiError> {
        let mut words = text.trim().splitn(3, ' ');
        let (identity, word) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let rest = words.next().unwrap_or("").trim();
        let way = match word {
            "at" => {
                let uri = rest.strip_prefix("sip:").filter(|host| !host.is_empty());
                let legal = uri.is_some_and(|uri| !uri.contains([' ', '<', '>', '"']));
                legal
                    .then(|| Way::Direct(rest.to_owned()))
                    .ok_or(PsiError::Server(rest.to_owned()))?
            }
            "by" => {
                let criteria = FilterCriteria::parse_all([rest]);
                let criteria = criteria.map_err(|error| PsiError::Criteria(error.to_string()))?;
                let checked = validate_criteria(&criteria);
                checked.map_err(|error| PsiError::Criteria(error.to_string()))?;
                Way::Criteria(criteria)
            }
            _ => return Err(PsiError::NoWay(text.to_owned())),
        };
        let scheme = ["sip:", "tel:"].iter().any(|scheme| identity.starts_with(scheme));
        let distinct = identity.contains('!') || canonical(identity).as_deref() == Some(identity);
        let wildcard = Wildcard::parse(identity).filter(|_| scheme && distinct);
        let identity = wildcard.ok_or_else(|| PsiError::Identity(identity.to_owned()))?;
        Ok(Psi { identity, way })
    }
}

impl Psi {
    /// Which of them an identity is: the one that names it alone goes before those with expressions.
    pub(crate) fn find<'a>(psis: &'a [Psi], identity: &str) -> Option<&'a Psi> {
        let matching = || psis.iter().filter(|psi| psi.identity.matches(identity));
        matching().find(|psi| !psi.identity.is_wildcard()).or_else(|| matching().next())
    }

    /// LIR, TS 29.228 §6.1.4.1: the server, or that an S-CSCF is needed.
    pub(crate) fn locate(&self, scscfs: &[String]) -> (Outcome, Writer) {
        let lia = match &self.way {
            Way::Direct(server) => Lia { server_name: Some(server.clone()), capabilities: None },
            Way::Criteria(_) => {
                let server_names = scscfs.to_vec();
                let capabilities = ServerCapabilities { server_names, ..Default::default() };
                Lia { server_name: None, capabilities: Some(capabilities) }
            }
        };
        let outcome = match self.way {
            Way::Direct(_) => ResultCode::SUCCESS.into(),
            Way::Criteria(_) => ExperimentalCode::UNREGISTERED_SERVICE.into(),
        };
        (outcome, cx::answer(&lia))
    }

    /// SAR, TS 29.228 §6.1.2.1: the service's profile. Nothing is remembered of who serves it: any S-CSCF
    /// can.
    pub(crate) fn assign(&self, sar: &Sar) -> Result<Writer, Outcome> {
        let Way::Criteria(criteria) = &self.way else {
            return Err(ExperimentalCode::ERROR_USER_UNKNOWN.into());
        };
        let gives = match sar.assignment {
            Assignment::UnregisteredUser | Assignment::NoAssignment => !sar.has_user_data,
            Assignment::Registration | Assignment::ReRegistration => {
                return Err(ExperimentalCode::ERROR_IN_ASSIGNMENT_TYPE.into());
            }
            _ => false,
        };
        let document =
            gives.then(|| service_user_data(&self.private_identity(), &self.identity, criteria));
        let saa = Saa { user_data: document.map(String::into_bytes), ..Saa::default() };
        Ok(cx::answer(&saa))
    }

    /// A private service identity, TS 23.228 §4.3.5: it follows from the public one.
    fn private_identity(&self) -> String {
        format!("{:016x}@psi.invalid", fnv1a(self.identity.as_str().bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_are_read() {
        let direct: Psi = "sip:weather@ims.test at sip:10.254.0.2:5070;lr".parse().unwrap();
        assert_eq!(direct.way, Way::Direct("sip:10.254.0.2:5070;lr".into()));
        let rooms: Psi =
            "sip:room-!.*!@ims.test by sip:10.254.0.1 when method=INVITE".parse().unwrap();
        assert!(rooms.identity.is_wildcard());
        assert!(matches!(&rooms.way, Way::Criteria(criteria) if criteria.len() == 1));
        assert!("tel:+4930!\\d\\d! at sip:as.test".parse::<Psi>().is_ok());
        for wrong in [
            "",
            "sip:weather@ims.test",
            "sip:weather@ims.test at",
            "sip:weather@ims.test at as.test",
            "sip:weather@ims.test by",
            "sip:weather@ims.test to sip:as.test",
            "weather at sip:as.test",
            "sip:Weather@IMS.test at sip:as.test",
            "sip:room-!(!@ims.test at sip:as.test",
        ] {
            assert!(wrong.parse::<Psi>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_distinct_one_goes_first() {
        let texts = ["sip:room-!.*!@x at sip:a", "sip:room-1@x at sip:b"];
        let psis: Vec<Psi> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let server = |identity| match &Psi::find(&psis, identity)?.way {
            Way::Direct(server) => Some(server.as_str()),
            Way::Criteria(_) => None,
        };
        assert_eq!(server("sip:room-1@x"), Some("sip:b"));
        assert_eq!(server("sip:room-2@x"), Some("sip:a"));
        assert_eq!(server("sip:hall@x"), None);
    }
}
