//! What filter criteria look for in a text: TS 29.228 Annex F has regular expressions, most deployed
//! profiles have plain text.

use std::fmt;
use std::sync::Arc;

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// The longest text that is read as an expression, and the largest that it may become.
const MAX_EXPRESSION: (usize, usize) = (255, 1 << 15);
/// The longest value in which an expression is looked for.
const MAX_VALUE: usize = 4096;

/// A text, and the expression that it may be. It is found where the text itself stands, or where the
/// expression matches, without case: so plain text with a plus sign or a point means what it says, whoever wrote
/// it. Matching takes time that is linear in the length of the value.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Pattern {
    text: String,
    regex: Option<Arc<Regex>>,
}

impl Pattern {
    /// Whether it is found in a value.
    pub(super) fn is_in(&self, value: &str) -> bool {
        let plain = || value.to_ascii_lowercase().contains(&self.text.to_ascii_lowercase());
        let regex = self.regex.as_ref().filter(|_| value.len() <= MAX_VALUE);
        plain() || regex.is_some_and(|regex| regex.is_match(value))
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Pattern {
        // Points and plus signs alone are those of addresses and numbers.
        let special = text.contains(['\\', '^', '$', '*', '?', '[', '(', '{', '|']);
        let special = special || text.contains(".+");
        let (length, size) = MAX_EXPRESSION;
        let regex = (special && text.len() <= length)
            .then(|| RegexBuilder::new(&text).case_insensitive(true).size_limit(size).build());
        Pattern { regex: regex.and_then(Result::ok).map(Arc::new), text }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.text
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Pattern {
        text.to_owned().into()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

/// As text between quotes.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str, value: &str) -> bool {
        Pattern::from(pattern).is_in(value)
    }

    #[test]
    fn expressions_and_plain_text_are_found() {
        for (pattern, value) in [
            ("^sip:conf-\\d+@", "sip:conf-17@ims.test"),
            ("^SIP:(a|b)@", "sip:B@ims.test"),
            ("audio .* RTP/AVP", "m=audio 4000 RTP/AVP 8"),
            ("CONF-", "sip:conf-1@ims.test"),
            ("tel:+49", "tel:+4930"),
            ("sip:a.b", "sip:a.b@ims.test"),
            // No expression, or none that is taken: as it stands.
            ("a(b", "xa(bx"),
            ("(a{1000}){1000}", "(a{1000}){1000}"),
        ] {
            assert!(found(pattern, value), "{pattern} in {value}");
        }
        for (pattern, value) in [
            ("^conf-", "sip:conf-1@ims.test"),
            ("\\d{3}", "12"),
            ("sip:a.b", "sip:axb@ims.test"),
            ("(a{1000}){1000}", "a"),
        ] {
            assert!(!found(pattern, value), "{pattern} in {value}");
        }
    }

    #[test]
    fn a_stranger_does_not_make_it_slow() {
        let pattern = Pattern::from("^(a*)*(a|aa)+$");
        assert!(!pattern.is_in(&format!("{}b", "a".repeat(MAX_VALUE - 1))));
        assert!(!pattern.is_in(&"a".repeat(MAX_VALUE + 1)), "too long to be looked at");
    }
}
