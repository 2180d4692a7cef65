//! What a user agent can, and what a caller prefers: feature tags of RFC 3840 and the matching of RFC 3841 §7.2.

use crate::lex::{Params, unquote};

/// Feature tags without a leading plus sign, RFC 3840 §10.
const BASE: [&str; 20] = [
    "audio",
    "automata",
    "class",
    "duplex",
    "data",
    "control",
    "mobility",
    "description",
    "events",
    "priority",
    "methods",
    "extensions",
    "schemes",
    "application",
    "video",
    "language",
    "type",
    "isfocus",
    "actor",
    "text",
];

/// Tags of one set at most; further ones are not looked at.
const MAX_TAGS: usize = 64;

/// A set of feature tags: of a Contact, or of one Accept-Contact or Reject-Contact element.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Features(Vec<(String, Vec<Value>)>);

/// One of the values of a tag; they are alternatives.
#[derive(Clone, PartialEq, Debug)]
struct Value {
    negated: bool,
    kind: Kind,
}

#[derive(Clone, PartialEq, Debug)]
enum Kind {
    /// Compared without case.
    Token(String),
    /// Compared as it is.
    Text(String),
    Range(f64, f64),
}

impl Features {
    /// The feature tags among the parameters of an element.
    pub fn of(params: Params<'_>) -> Features {
        let is_tag = |name: &str| {
            name.starts_with('+') || BASE.iter().any(|base| name.eq_ignore_ascii_case(base))
        };
        // RFC 5626 §10 and 3GPP: these say who it is, not what it can.
        let is_ours = |name: &str| !name.eq_ignore_ascii_case("+sip.instance") && is_tag(name);
        let tags = params.iter().filter(|(name, _)| is_ours(name)).take(MAX_TAGS);
        Features(tags.map(|(name, text)| (name.to_ascii_lowercase(), values(text))).collect())
    }

    /// The set that has one tag with one value.
    pub fn one(name: &str, value: &str) -> Features {
        Features(vec![(name.to_owned(), values(Some(value)))])
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, name: &str) -> Option<&[Value]> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, values)| &values[..])
    }

    /// Whether everything that is named here is said there, too, and agrees: Reject-Contact.
    pub fn is_within(&self, contact: &Features) -> bool {
        !self.is_empty()
            && self
                .0
                .iter()
                .all(|(name, wanted)| contact.get(name).is_some_and(|has| agree(wanted, has)))
    }

    /// How well a contact fits what is wanted here, from 0 to 1; `None` if it says the contrary:
    /// Accept-Contact.
    pub fn fit(&self, contact: &Features) -> Option<f64> {
        let mut said = 0;
        for (name, wanted) in &self.0 {
            match contact.get(name) {
                Some(has) if agree(wanted, has) => said += 1,
                Some(_) => return None,
                None => {}
            }
        }
        Some(if self.0.is_empty() { 1.0 } else { f64::from(said) / self.0.len() as f64 })
    }
}

/// The values of a tag: a list of alternatives in quotes, a string in angle brackets, or none for
/// a tag that is simply there.
fn values(text: Option<&str>) -> Vec<Value> {
    let text = unquote(text.unwrap_or("TRUE"));
    if let Some(inner) = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')) {
        return vec![Value { negated: false, kind: Kind::Text(inner.to_owned()) }];
    }
    let value = |item: &str| {
        let (negated, item) = match item.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, item),
        };
        let kind = match item.strip_prefix('#') {
            Some(number) => range(number)?,
            None => Kind::Token(item.to_ascii_lowercase()),
        };
        Some(Value { negated, kind })
    };
    text.split(',').map(str::trim).filter_map(value).take(MAX_TAGS).collect()
}

/// `=5`, `>=5`, `<=5`, `1:5`; RFC 3840 §9.
fn range(text: &str) -> Option<Kind> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
    if let Some(low) = text.strip_prefix(">=") {
        return Some(Kind::Range(number(low)?, f64::INFINITY));
    }
    if let Some(high) = text.strip_prefix("<=") {
        return Some(Kind::Range(f64::NEG_INFINITY, number(high)?));
    }
    if let Some((low, high)) = text.split_once(':') {
        return Some(Kind::Range(number(low)?, number(high)?));
    }
    let exact = number(text.strip_prefix('=').unwrap_or(text))?;
    Some(Kind::Range(exact, exact))
}

/// Whether something is in both lists.
fn agree(wanted: &[Value], has: &[Value]) -> bool {
    wanted.iter().any(|wanted| {
        has.iter().any(|has| match (wanted.negated, has.negated) {
            (false, false) => meet(&wanted.kind, &has.kind),
            (true, true) => true,
            _ => !meet(&wanted.kind, &has.kind),
        })
    })
}

fn meet(a: &Kind, b: &Kind) -> bool {
    match (a, b) {
        (Kind::Range(low, high), Kind::Range(other_low, other_high)) => {
            low <= other_high && other_low <= high
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(params: &str) -> Features {
        Features::of(Params::new(params))
    }

    #[test]
    fn tags_are_told_from_other_parameters() {
        let contact = ";q=0.5;expires=60;+sip.instance=\"<urn:x:y>\";reg-id=1;Audio;+g.x=\"<A>\"";
        assert_eq!(of(contact), of(";audio=\"TRUE\";+g.x=\"<A>\""));
        assert!(of(";q=1;reg-id=1").is_empty());
    }

    /// RFC 3841 §7.2.4: what is not said is no contradiction, but fits less.
    #[test]
    fn a_contact_fits_as_far_as_it_says_so() {
        let wanted = of(";audio;video;methods=\"INVITE\"");
        assert_eq!(wanted.fit(&of(";audio;video;methods=\"BYE,invite\"")), Some(1.0));
        assert_eq!(wanted.fit(&of(";audio;video")), Some(2.0 / 3.0));
        assert_eq!(wanted.fit(&of("")), Some(0.0));
        assert_eq!(wanted.fit(&of(";audio;video=\"FALSE\"")), None);
        assert_eq!(of("").fit(&of(";audio")), Some(1.0));
        assert!(of(";audio;video").is_within(&of(";audio;video;text")));
        assert!(!of(";audio;video").is_within(&of(";audio")));
        assert!(!of("").is_within(&of(";audio")));
    }

    #[test]
    fn values_are_alternatives() {
        let fits = |wanted: &str, has: &str| of(wanted).fit(&of(has)).is_some();
        for (wanted, has, fit) in [
            (";language=\"en,de\"", ";language=\"de\"", true),
            (";language=\"en\"", ";language=\"!en\"", false),
            (";language=\"!en\"", ";language=\"de\"", true),
            (";language=\"!en\"", ";language=\"!de\"", true),
            (";priority=\"#>=5\"", ";priority=\"#1:4\"", false),
            (";priority=\"#>=5\"", ";priority=\"#1:5\"", true),
            (";priority=\"#=3\"", ";priority=\"#<=3\"", true),
            (";priority=\"#4\"", ";priority=\"!#4\"", false),
            (";description=\"<PC>\"", ";description=\"<pc>\"", false),
            (";class=\"business\"", ";class=\"BUSINESS\"", true),
            (";class=\"#1\"", ";class=\"business\"", false),
        ] {
            assert_eq!(fits(wanted, has), fit, "{wanted} {has}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(a in "[;=\"<>!#:,.+a-z0-9]{0,60}", b in ".*") {
            let (a, b) = (of(&a), of(&b));
            let _ = (a.fit(&b), b.fit(&a), a.is_within(&b), b.is_within(&a));
        }
    }
}
