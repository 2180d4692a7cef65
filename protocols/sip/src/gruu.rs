//! Globally routable user agent URIs, RFC 5627: a `sip:` URI with the parameter `gr` that reaches one
//! instance of a user agent.

use std::borrow::Cow;

use crate::header::NameAddr;
use crate::lex::unquote;
use crate::uri::{SipUri, Uri, unescape};

/// The option tag, RFC 5627 §11.3.
pub const OPTION: &str = "gruu";

/// What kind of GRUU a URI is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Gruu {
    /// The address of record and, without escapes, what tells its instances apart (§3.1.1).
    Public(String),
    /// A URI that shows neither of them (§3.1.2).
    Temporary,
}

impl Gruu {
    /// What a URI is; `None` if it is no GRUU.
    pub fn of(uri: &SipUri<'_>) -> Option<Gruu> {
        Some(match uri.params.get("gr")? {
            "" => Gruu::Temporary,
            instance => Gruu::Public(unescape(instance)),
        })
    }

    /// Whether the text is a GRUU.
    pub fn is(uri: &str) -> bool {
        Uri::parse(uri).and_then(Uri::sip).is_some_and(|uri| Gruu::of(&uri).is_some())
    }
}

/// The public GRUU of an address of record.
pub fn public(aor: &str, instance: &str) -> String {
    let mut out = format!("{aor};gr=");
    for byte in instance.bytes() {
        // RFC 3261 §25.1 `paramchar`.
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/:&+$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The GRUUs that a registrar gave a contact, RFC 5627 §5.4.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Granted {
    /// `pub-gruu`.
    pub public: Option<String>,
    /// `temp-gruu`.
    pub temporary: Option<String>,
}

impl Granted {
    /// What stands in a Contact.
    pub fn of(contact: &NameAddr<'_>) -> Granted {
        let gruu = |name| contact.params.get(name).map(unquote).map(Cow::into_owned);
        let legal = |uri: &String| Gruu::is(uri);
        Granted {
            public: gruu("pub-gruu").filter(legal),
            temporary: gruu("temp-gruu").filter(legal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> Option<Gruu> {
        Gruu::of(&Uri::parse(uri).and_then(Uri::sip).unwrap())
    }

    #[test]
    fn a_public_gruu_is_the_address_with_its_instance() {
        let uuid = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
        let gruu = public("sip:alice@ims.test", uuid);
        assert_eq!(gruu, format!("sip:alice@ims.test;gr={uuid}"));
        assert_eq!(of(&gruu), Some(Gruu::Public(uuid.to_owned())));
        let odd = public("sip:a@b", "x;y=\"z\"?,");
        assert_eq!(odd, "sip:a@b;gr=x%3By%3D%22z%22%3F%2C");
        assert_eq!(of(&odd), Some(Gruu::Public("x;y=\"z\"?,".to_owned())));
    }

    #[test]
    fn other_uris_are_told_apart() {
        assert_eq!(of("sip:tgruu.7hs@ims.test;gr"), Some(Gruu::Temporary));
        assert_eq!(of("sip:tgruu.7hs@ims.test;gr="), Some(Gruu::Temporary));
        assert_eq!(of("sip:alice@ims.test"), None);
        assert_eq!(of("sip:alice;gr=x@ims.test"), None, "it is the user's");
        assert!(!Gruu::is("tel:+1;gr=x") && Gruu::is("sip:a@b;GR=x"));
    }

    #[test]
    fn what_a_contact_was_given_is_read() {
        let contact = "<sip:a@10.0.0.1>;pub-gruu=\"sip:a@b;gr=urn:x:y\";temp-gruu=\"sip:t.1@b;gr\"";
        let granted = Granted::of(&NameAddr::parse(contact).unwrap());
        assert_eq!(granted.public.as_deref(), Some("sip:a@b;gr=urn:x:y"));
        assert_eq!(granted.temporary.as_deref(), Some("sip:t.1@b;gr"));
        let none = Granted::of(&NameAddr::parse("<sip:a@b>;pub-gruu=\"sip:a@b\"").unwrap());
        assert_eq!(none, Granted::default(), "it is none");
    }

    proptest::proptest! {
        #[test]
        fn any_instance_comes_back(instance in "\\PC{1,40}") {
            let gruu = public("sip:a@b", &instance);
            let expected = Some(Gruu::Public(instance));
            proptest::prop_assert_eq!(of(&gruu), expected);
        }
    }
}
