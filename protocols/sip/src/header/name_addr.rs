//! name-addr and addr-spec with parameters, RFC 3261 §20.10: From, To, Contact, Route, Record-Route,
//! Path (RFC 3327), Service-Route (RFC 3608), P-Asserted-Identity and P-Preferred-Identity (RFC 3325),
//! P-Associated-URI and P-Called-Party-ID (RFC 7315), Refer-To, Referred-By.

use core::fmt;

use crate::lex::{self, Params};
use crate::uri::Uri;

/// One element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameAddr<'a> {
    /// The display name as written, quotes included; empty if there is none.
    pub display: &'a str,
    /// The URI as written.
    pub uri: &'a str,
    /// The parameters after the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one element. Without angle brackets all parameters belong to the header field
    /// (RFC 3261 §20.10), and the URI must not hold a comma, question mark or semicolon (RFC 8217).
    pub fn parse(element: &'a str) -> Option<NameAddr<'a>> {
        let element = element.trim_ascii();
        if let Some(open) = lex::outside(element, b'<') {
            let close = open + lex::find(&element[open..], b'>')?;
            return Some(NameAddr {
                display: element[..open].trim_ascii(),
                uri: element[open + 1..close].trim_ascii(),
                params: Params::new(element[close + 1..].trim_ascii()),
            });
        }
        let end = lex::find(element, b';').unwrap_or(element.len());
        let uri = element[..end].trim_ascii();
        let illegal = |byte: u8| matches!(byte, b' ' | b'"' | b'>' | b'?' | b',');
        let legal = !uri.is_empty() && !uri.bytes().any(illegal);
        legal.then(|| NameAddr { display: "", uri, params: Params::new(&element[end..]) })
    }

    /// The URI in its parts.
    pub fn parsed_uri(&self) -> Option<Uri<'a>> {
        Uri::parse(self.uri)
    }

    /// The tag of From or To.
    pub fn tag(&self) -> Option<&'a str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// The `expires` parameter of a Contact in seconds, if it is a number.
    pub fn expires(&self) -> Option<u32> {
        self.params.get("expires").and_then(super::delta_seconds)
    }
}

impl fmt::Display for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.display.is_empty() {
            write!(f, "{} ", self.display)?;
        }
        write!(f, "<{}>{}", self.uri, self.params.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let a = NameAddr::parse("\"A. <G>\" <sip:bell@x;lr>;tag=1;expires=60").unwrap();
        assert_eq!((a.display, a.uri), ("\"A. <G>\"", "sip:bell@x;lr"));
        assert_eq!((a.tag(), a.expires()), (Some("1"), Some(60)));
        let b = NameAddr::parse("sip:bell@x;tag=2").unwrap();
        assert_eq!((b.uri, b.tag()), ("sip:bell@x", Some("2")));
        assert_eq!(NameAddr::parse("<sip:a@b"), None);
        assert_eq!(NameAddr::parse("sip:a@b?Route=%3Csip:c%3E"), None);
        assert_eq!(NameAddr::parse(""), None);
    }

    /// RFC 8217: such a URI needs brackets, wherever it stands.
    #[test]
    fn a_uri_with_a_comma_question_mark_or_semicolon_needs_brackets() {
        for uri in ["sip:a,b@x", "sip:a@x?Subject=y", "sip:a@x?Replaces=c%3Bto-tag%3D1"] {
            assert_eq!(NameAddr::parse(uri), None, "{uri}");
            let bracketed = format!("<{uri}>");
            assert_eq!(NameAddr::parse(&bracketed).map(|a| a.uri), Some(uri));
        }
        let address = NameAddr::parse("sip:a@x;user=phone").unwrap();
        assert_eq!((address.uri, address.params.get("user")), ("sip:a@x", Some("phone")));
        let address = NameAddr::parse("<sip:a@x;user=phone>").unwrap();
        assert_eq!((address.uri, address.params.get("user")), ("sip:a@x;user=phone", None));
    }
}
