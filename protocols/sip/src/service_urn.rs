//! Service URNs, RFC 5031: `urn:service:sos`, `urn:service:sos.police`.

use core::fmt;

/// A service by its name, compared without case (RFC 5031 §4.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceUrn(String);

impl ServiceUrn {
    /// Reads a URN; `None` for other URIs and for names that break the grammar of RFC 5031 §4.1.
    pub fn parse(text: &str) -> Option<ServiceUrn> {
        let (scheme, rest) = text.split_once(':')?;
        let (namespace, service) = rest.split_once(':')?;
        let ours = scheme.eq_ignore_ascii_case("urn") && namespace.eq_ignore_ascii_case("service");
        let legal = ours && service.split('.').all(is_label);
        legal.then(|| ServiceUrn(service.to_ascii_lowercase()))
    }

    /// The emergency service as such, RFC 5031 §4.2.
    pub fn sos() -> ServiceUrn {
        ServiceUrn("sos".to_owned())
    }

    /// Whether it is an emergency service: `sos`, or one below it.
    pub fn is_emergency(&self) -> bool {
        self.0 == "sos" || self.0.starts_with("sos.")
    }

    /// The service that stands for this one where it is not known: `sos` for `sos.police`.
    pub fn parent(&self) -> Option<ServiceUrn> {
        self.0.rsplit_once('.').map(|(parent, _)| ServiceUrn(parent.to_owned()))
    }
}

/// Letters, digits, and hyphens between them; at most 27 characters.
fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 27
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

impl fmt::Display for ServiceUrn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "urn:service:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn services_are_known_without_case() {
        let urn = ServiceUrn::parse("URN:Service:SOS.Animal-Control").expect("a service");
        assert_eq!(urn.to_string(), "urn:service:sos.animal-control");
        assert!(urn.is_emergency());
        assert_eq!(urn.parent(), Some(ServiceUrn::sos()));
        assert_eq!(ServiceUrn::sos().parent(), None);
        let counseling = ServiceUrn::parse("urn:service:counseling.children").expect("a service");
        assert!(!counseling.is_emergency());
        assert!(!ServiceUrn::parse("urn:service:sosx").expect("a service").is_emergency());
    }

    #[test]
    fn what_breaks_the_grammar_is_no_service() {
        let long = format!("urn:service:sos.{}", "a".repeat(28));
        for text in [
            "urn:service:",
            "urn:service:sos.",
            "urn:service:.sos",
            "urn:service:sos..police",
            "urn:service:-sos",
            "urn:service:sos.fire-",
            "urn:service:s os",
            "urn:service:sos;x",
            "urn:sos",
            "sip:service:sos",
            "sos",
            &long,
        ] {
            assert_eq!(ServiceUrn::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(text in "(urn|URN|x)?:?(service)?:?[a-zA-Z0-9.;-]{0,40}") {
            if let Some(urn) = ServiceUrn::parse(&text) {
                prop_assert_eq!(ServiceUrn::parse(&urn.to_string()), Some(urn.clone()));
                prop_assert!(text.eq_ignore_ascii_case(&urn.to_string()));
            }
        }
    }
}
