//! What makes a request an emergency call, an emergency registration or the call back: RFC 5031,
//! TS 24.229 §5.1.6, RFC 7090.

use std::collections::BTreeMap;
use std::str::FromStr;

use sip::header::{HeaderName, NameAddr};
use sip::{Message, Method, ServiceUrn, Uri};

use crate::proxy::in_dialog;

/// A number that means an emergency where the phone is, and the service behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmergencyNumber {
    /// The digits that are dialled.
    pub digits: String,
    /// What they mean.
    pub service: ServiceUrn,
}

/// Why a text is no [`EmergencyNumber`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotEmergency;

impl FromStr for EmergencyNumber {
    type Err = NotEmergency;

    /// `112`, or `110=urn:service:sos.police`.
    fn from_str(text: &str) -> Result<EmergencyNumber, NotEmergency> {
        let (digits, service) = match text.split_once('=') {
            Some((digits, service)) => (digits, ServiceUrn::parse(service)),
            None => (text, Some(ServiceUrn::sos())),
        };
        let legal = (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let service = service.filter(|service| legal && service.is_emergency());
        let digits = digits.to_owned();
        service.map(|service| EmergencyNumber { digits, service }).ok_or(NotEmergency)
    }
}

/// The emergency numbers of a place, TS 22.101 §10.1.1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmergencyNumbers(BTreeMap<String, ServiceUrn>);

impl Default for EmergencyNumbers {
    /// 112 and 911, which mean an emergency everywhere.
    fn default() -> EmergencyNumbers {
        let both = ["112", "911"].map(|digits| (digits.to_owned(), ServiceUrn::sos()));
        EmergencyNumbers(both.into())
    }
}

impl FromIterator<EmergencyNumber> for EmergencyNumbers {
    fn from_iter<I: IntoIterator<Item = EmergencyNumber>>(numbers: I) -> EmergencyNumbers {
        let pairs = numbers.into_iter().map(|number| (number.digits, number.service));
        EmergencyNumbers(pairs.collect())
    }
}

impl EmergencyNumbers {
    /// The emergency service that a Request-URI asks for, TS 24.229 §5.2.10.1: by its URN, or by a local
    /// number in a `tel:` or `sip:` URI, whatever its context and host.
    pub fn service(&self, uri: &str) -> Option<ServiceUrn> {
        match Uri::parse(uri)? {
            Uri::Sip(uri) => {
                let user = uri.user_unescaped();
                self.0.get(user.split(';').next()?).cloned()
            }
            Uri::Tel(uri) => self.0.get(&uri.digits()).cloned(),
            Uri::Other(urn) => ServiceUrn::parse(urn).filter(ServiceUrn::is_emergency),
        }
    }

    /// Whether a request begins an emergency call, and which service it asks for.
    pub(crate) fn called(&self, request: &Message) -> Option<ServiceUrn> {
        let invite = request.method() == Some(&Method::Invite);
        if invite && !in_dialog(request) { self.service(request.uri()) } else { None }
    }
}

/// Whether a Contact's URI belongs to an emergency registration, TS 24.229 §5.1.6.2 and §7.2A.13.
pub(crate) fn is_emergency_contact(uri: &str) -> bool {
    says_sos(uri) && Uri::parse(uri).and_then(Uri::sip).is_some_and(|uri| uri.params.has("sos"))
}

/// Whether `sos` stands anywhere in a text: nearly no Contact has it, and this is soon told.
fn says_sos(text: &str) -> bool {
    text.as_bytes().windows(3).any(|three| three.eq_ignore_ascii_case(b"sos"))
}

/// Whether a REGISTER is for emergency calls.
pub(crate) fn is_emergency_registration(request: &Message) -> bool {
    let lines = request.lines(HeaderName::Contact).filter(|line| says_sos(line));
    let mut contacts = lines.flat_map(sip::lex::elements).filter_map(NameAddr::parse);
    request.method() == Some(&Method::Register)
        && contacts.any(|contact| is_emergency_contact(contact.uri))
}

/// Whether two Contact URIs are the same binding: to RFC 3261 §19.1.4 `sos` makes no difference.
pub(crate) fn same_contact(a: &str, b: &str) -> bool {
    sip::uri::equal(a, b) && is_emergency_contact(a) == is_emergency_contact(b)
}

/// The value of Priority by which an emergency centre calls back, RFC 7090 §5.
pub(crate) const CALL_BACK: &str = "psap-callback";

/// Whether a request says that an emergency centre calls back. That counts only from within the trust
/// domain: at its border [`strip_call_back`] takes it away.
pub(crate) fn is_call_back(request: &Message) -> bool {
    let priority = request.get(HeaderName::Priority);
    priority.is_some_and(|priority| priority.trim().eq_ignore_ascii_case(CALL_BACK))
}

/// RFC 7090 §6: nobody outside of the trust domain marks a call so.
pub(crate) fn strip_call_back(request: &mut Message) {
    if is_call_back(request) {
        request.remove(HeaderName::Priority);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read() {
        let number: EmergencyNumber = "110=urn:service:sos.police".parse().unwrap();
        assert_eq!(number.service.to_string(), "urn:service:sos.police");
        assert_eq!("112".parse::<EmergencyNumber>().unwrap().service, ServiceUrn::sos());
        for bad in ["", "1", "+112", "112=", "112=sip:a@b", "112=urn:service:counseling", "x=y"] {
            assert_eq!(bad.parse::<EmergencyNumber>(), Err(NotEmergency), "{bad}");
        }
    }

    #[test]
    fn all_ways_to_ask_for_help_are_known() {
        let numbers = ["112", "110=urn:service:sos.police"].map(|text| text.parse().unwrap());
        let numbers: EmergencyNumbers = numbers.into_iter().collect();
        let service = |uri| numbers.service(uri).map(|urn| urn.to_string());
        let sos = Some("urn:service:sos".to_owned());
        for uri in [
            "urn:service:SOS",
            "tel:112",
            "tel:112;phone-context=ims.test",
            "tel:1-1-2",
            "sip:112@ims.test",
            "sip:112;phone-context=ims.test@ims.test;user=phone",
            "sip:%3112@10.0.0.1:5070",
        ] {
            assert_eq!(service(uri), sos, "{uri}");
        }
        assert_eq!(service("tel:110").as_deref(), Some("urn:service:sos.police"));
        for uri in ["tel:911", "tel:+112", "tel:1120", "urn:service:counseling", "sip:ims.test"] {
            assert_eq!(service(uri), None, "{uri}");
        }
    }

    #[test]
    fn sos_makes_another_contact() {
        assert!(same_contact("sip:a@10.0.0.9", "sip:a@10.0.0.9"));
        assert!(same_contact("sip:a@10.0.0.9;sos", "sip:a@10.0.0.9;SOS"));
        assert!(!same_contact("sip:a@10.0.0.9;sos", "sip:a@10.0.0.9"));
        assert!(!is_emergency_contact("sip:sos@10.0.0.9;sosx"));
    }
}
