//! Identities and wildcarded identities, TS 23.003 §13.5: what stands between two exclamation marks is a
//! regular expression, as in `sip:room-!.*!@ims.test`.

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// The longest that is read.
const MAX_LENGTH: usize = 255;
/// The largest that an expression may become.
const MAX_SIZE: usize = 1 << 16;

/// An identity, or a wildcarded one. Matching takes time that is linear in the length of both.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Wildcard {
    text: String,
    /// `None` if it is no wildcard.
    regex: Option<Regex>,
}

impl From<Wildcard> for String {
    fn from(wildcard: Wildcard) -> String {
        wildcard.text
    }
}

impl TryFrom<String> for Wildcard {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Wildcard, &'static str> {
        Wildcard::parse(&text).ok_or("no identity, wildcarded or not")
    }
}

impl PartialEq for Wildcard {
    fn eq(&self, other: &Wildcard) -> bool {
        self.text == other.text
    }
}

impl Eq for Wildcard {}

impl Wildcard {
    /// Reads it; `None` if it is too long, has one exclamation mark or more than two, or an expression
    /// that is none.
    pub fn parse(text: &str) -> Option<Wildcard> {
        let parts: Vec<&str> = text.split('!').collect();
        let regex = match parts[..] {
            _ if text.len() > MAX_LENGTH => return None,
            [_] => None,
            [before, expression, after] => {
                let build = |text: &str| RegexBuilder::new(text).size_limit(MAX_SIZE).build().ok();
                // Alone, too: no bracket of it may end one of ours.
                build(expression)?;
                let (before, after) = (regex_lite::escape(before), regex_lite::escape(after));
                let whole = format!("^{before}(?:{expression}){after}$");
                Some(build(&whole)?)
            }
            _ => return None,
        };
        Some(Wildcard { text: text.to_owned(), regex })
    }

    /// As it was read.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is for more than one identity.
    pub fn is_wildcard(&self) -> bool {
        self.regex.is_some()
    }

    /// Whether it is for this identity.
    pub fn matches(&self, identity: &str) -> bool {
        match &self.regex {
            Some(regex) => identity.len() <= MAX_LENGTH && regex.is_match(identity),
            None => self.text == identity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_stands_for_its_part_alone() {
        let room = Wildcard::parse("sip:room-!\\d+|hall!@ims.test").unwrap();
        for identity in ["sip:room-7@ims.test", "sip:room-42@ims.test", "sip:room-hall@ims.test"] {
            assert!(room.matches(identity), "{identity}");
        }
        for identity in
            ["sip:room-@ims.test", "sip:room-7@imsxtest", "xsip:room-7@ims.test", "hall"]
        {
            assert!(!room.matches(identity), "{identity}");
        }
        let one = Wildcard::parse("sip:weather@ims.test").unwrap();
        assert!(!one.is_wildcard() && one.matches("sip:weather@ims.test"));
        assert!(!one.matches("sip:weather@ims.tes"));
        // Who writes a group that ends ours has not written an expression.
        assert_eq!(Wildcard::parse("sip:!a)|(b!@x"), None);
    }

    #[test]
    fn what_cannot_be_read_in_bounded_time_is_refused() {
        let large = format!("sip:!({}){{200}}!@x", "a{200}".repeat(20));
        for wrong in ["sip:a!@x", "sip:!a!b!@x", "sip:!(!@x", &large, &"a".repeat(256)] {
            assert_eq!(Wildcard::parse(wrong), None, "{wrong}");
        }
        let slow = Wildcard::parse("sip:!(a*)*b!@x").unwrap();
        assert!(!slow.matches(&format!("sip:{}@x", "a".repeat(200))));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in ".*", identity in ".*") {
            if let Some(wildcard) = Wildcard::parse(&text) {
                let _ = wildcard.matches(&identity);
            }
        }
    }
}
