//! Replaces, RFC 3891 §6.1: the dialog that an INVITE is to take the place of.

use core::fmt;

use crate::lex::Params;
use crate::uri::{escape_header, unescape};

/// A dialog as the recipient knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The recipient's own tag.
    pub to_tag: String,
    /// The other side's tag.
    pub from_tag: String,
    /// Only as long as it is not answered.
    pub early_only: bool,
}

impl Replaces {
    /// Reads the value. Both tags have to be there, once each.
    pub fn parse(value: &str) -> Option<Replaces> {
        let at = value.find(';').unwrap_or(value.len());
        let (call_id, params) = (value[..at].trim(), Params::new(&value[at..]));
        let tag = |name: &str| {
            let mut of_name = params.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
            let tag = of_name.next()?.1.filter(|tag| !tag.is_empty())?.to_owned();
            of_name.next().is_none().then_some(tag)
        };
        let legal = !call_id.is_empty() && !call_id.contains(char::is_whitespace);
        legal.then_some(())?;
        Some(Replaces {
            call_id: call_id.to_owned(),
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: params.has("early-only"),
        })
    }

    /// What stands among the header fields of a URI, as in Refer-To: RFC 3891 §5.
    pub fn of_uri(headers: &str) -> Option<Replaces> {
        let fields = headers.split('&').filter_map(|field| field.split_once('='));
        let mut ours = fields.filter(|(name, _)| name.eq_ignore_ascii_case("Replaces"));
        let (_, value) = ours.next()?;
        Replaces::parse(&unescape(value))
    }

    /// The header field of a URI that asks for it.
    pub fn in_uri(&self) -> String {
        format!("Replaces={}", escape_header(&self.to_string()))
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Replaces { call_id, to_tag, from_tag, early_only } = self;
        write!(f, "{call_id};to-tag={to_tag};from-tag={from_tag}")?;
        f.write_str(if *early_only { ";early-only" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3891 §6.1 and §5 have these examples.
    #[test]
    fn the_examples_of_rfc_3891_are_read() {
        let value = "12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only";
        let replaces = Replaces::parse(value).unwrap();
        assert_eq!(replaces.to_string(), value);
        assert!(replaces.early_only);
        let replaces =
            Replaces::parse("425928@bobster.example.org;from-tag=6472;to-tag=7743").unwrap();
        assert_eq!((replaces.to_tag.as_str(), replaces.from_tag.as_str()), ("7743", "6472"));
        let headers =
            "Subject=x&Replaces=425928%40bobster.example.org%3Bto-tag%3D7743%3Bfrom-tag%3D6472";
        assert_eq!(Replaces::of_uri(headers), Some(replaces.clone()));
        assert_eq!(Replaces::of_uri(&replaces.in_uri()), Some(replaces));
    }

    #[test]
    fn a_dialog_has_two_tags() {
        for wrong in [
            "",
            "c",
            "c;to-tag=1",
            "c;to-tag=1;from-tag=",
            "c;to-tag=1;to-tag=2;from-tag=3",
            ";to-tag=1;from-tag=2",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Replaces::of_uri("Subject=x"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in ".*") {
            if let Some(replaces) = Replaces::parse(&text).or_else(|| Replaces::of_uri(&text)) {
                proptest::prop_assert!(Replaces::of_uri(&replaces.in_uri()).is_some());
            }
        }
    }
}
