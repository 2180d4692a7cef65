//! ENUM, RFC 6116: from a telephone number to a SIP URI by the NAPTR records of a domain.

use base::machine::Naptr;
use regex_lite::{Regex, RegexBuilder};
use sip::Uri;

/// The longest number of E.164 has 15 digits; more are no number.
const DIGITS: usize = 15;

/// The longest URI that is taken.
const URI: usize = 512;

/// What the records of a domain say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// The URI that the number is reached by.
    Uri(String),
    /// Another domain has the records, RFC 6116 §5.1.
    Next(String),
    /// No rule for SIP fits.
    Nothing,
}

/// The domain of a number with its plus sign, RFC 6116 §3.2.
pub(crate) fn domain(number: &str, suffix: &str) -> Option<String> {
    let digits = number.strip_prefix('+')?;
    let legal = (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let labels = digits.chars().rev().map(|digit| format!("{digit}."));
    legal.then(|| labels.collect::<String>() + suffix)
}

/// The first rule that fits, by order and preference, RFC 6116 §5. A rule that cannot be read counts as
/// if it were not there (RFC 3403 §4.1).
pub(crate) fn choose(records: &[Naptr], number: &str) -> Found {
    let mut records: Vec<&Naptr> = records.iter().collect();
    records.sort_by_key(|record| (record.order, record.preference));
    let rule = |record: &&Naptr| match record.flags.as_str() {
        "u" if leads_to_sip(&record.services) => {
            substitute(&record.regexp, number).filter(|uri| is_usable(uri)).map(Found::Uri)
        }
        "" if !record.replacement.is_empty() => Some(Found::Next(record.replacement.clone())),
        _ => None,
    };
    records.iter().find_map(rule).unwrap_or(Found::Nothing)
}

/// `E2U+sip`, alone or with other services, RFC 6116 §3.4.3; also in the order of RFC 2916.
fn leads_to_sip(services: &str) -> bool {
    let mut parts = services.split('+');
    let has = |part: &str| services.split('+').any(|other| other == part);
    has("e2u") && parts.any(|part| part.split(':').next() == Some("sip"))
}

fn is_usable(uri: &str) -> bool {
    let sip = Uri::parse(uri).and_then(Uri::sip);
    let plain = sip.is_some_and(|uri| !uri.secure && uri.headers.is_none());
    let legal = |c: char| !c.is_whitespace() && !c.is_control() && !"<>\"".contains(c);
    plain && uri.len() <= URI && uri.chars().all(legal)
}

/// RFC 3402 §3.2: `delimiter expression delimiter replacement delimiter flags`, on a text. The expression
/// takes time in proportion to its length and the text's, whatever it says.
fn substitute(rule: &str, text: &str) -> Option<String> {
    let delimiter = rule.chars().next().filter(|c| !c.is_ascii_digit() && !"i\\".contains(*c))?;
    let mut parts = fields(&rule[delimiter.len_utf8()..], delimiter);
    let [flags, replacement, expression] = [parts.pop()?, parts.pop()?, parts.pop()?];
    if !parts.is_empty() || !matches!(flags.as_str(), "" | "i") {
        return None;
    }
    let expression: Regex = RegexBuilder::new(&expression)
        .case_insensitive(flags == "i")
        .size_limit(64 * 1024)
        .nest_limit(16)
        .build()
        .ok()?;
    let found = expression.captures(text)?;
    let whole = found.get(0)?;
    let mut out = text[..whole.start()].to_owned();
    let mut rest = replacement.chars();
    while let Some(c) = rest.next() {
        match (c, if c == '\\' { rest.next() } else { None }) {
            ('\\', Some(digit @ '1'..='9')) => {
                let group = digit.to_digit(10).unwrap_or(0) as usize;
                // RFC 3402 §3.2: what refers to no group makes the rule unusable.
                (group < found.len()).then_some(())?;
                out.push_str(found.get(group).map_or("", |group| group.as_str()));
            }
            ('\\', Some(escaped)) => out.push(escaped),
            ('\\', None) => return None,
            (c, _) => out.push(c),
        }
    }
    out.push_str(&text[whole.end()..]);
    Some(out)
}

/// The fields between delimiters; a delimiter behind a backslash belongs to its field.
fn fields(text: &str, delimiter: char) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let field = fields.last_mut().expect("there is always one");
        match c {
            '\\' => match chars.next() {
                Some(escaped) if escaped == delimiter => field.push(escaped),
                Some(other) => field.extend(['\\', other]),
                None => field.push('\\'),
            },
            c if c == delimiter => fields.push(String::new()),
            c => field.push(c),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(order: u16, preference: u16, services: &str, regexp: &str) -> Naptr {
        Naptr {
            order,
            preference,
            flags: "u".to_owned(),
            services: services.to_owned(),
            regexp: regexp.to_owned(),
            replacement: String::new(),
        }
    }

    fn uri(text: &str) -> Found {
        Found::Uri(text.to_owned())
    }

    #[test]
    fn a_number_is_a_domain_from_its_end() {
        let of = |number| domain(number, "e164.arpa");
        assert_eq!(of("+4930123").as_deref(), Some("3.2.1.0.3.9.4.e164.arpa"));
        for bad in ["4930123", "+", "+49a", "+1234567890123456"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    /// RFC 6116 §3.2 and §7, RFC 3402 §3.2.
    #[test]
    fn rules_are_applied() {
        let rules = [
            ("!^.*$!sip:info@example.com!", "sip:info@example.com"),
            ("!^\\+4930(.*)$!sip:\\1@berlin.test;user=phone!", "sip:123@berlin.test;user=phone"),
            ("/^\\+([0-9][0-9])(.*)$/sip:\\2@c\\1.test/i", "sip:30123@c49.test"),
            ("#^.*$#sip:a\\#b@x.test#", "sip:a#b@x.test"),
            ("!^([+]49)?([[:digit:]]*)$!sip:\\2@x.test!", "sip:30123@x.test"),
        ];
        for (rule, wanted) in rules {
            let found = choose(&[record(1, 1, "e2u+sip", rule)], "+4930123");
            assert_eq!(found, uri(wanted), "{rule}");
        }
        let long = format!("!^.*$!sip:{}@x.test!", "a".repeat(URI));
        for rule in [
            "",
            "!",
            "!^.*$!",
            "!^.*$!sip:a@b",
            "!^.*$!sip:a@b!x",
            "!^.*$!sip:a@b!!",
            "!^\\+1(.*)$!sip:\\1@b!",
            "!(!sip:a@b!",
            "!^.*$!sip:\\1@b!",
            "!^.*$!tel:+1!",
            "!^.*$!sips:a@b!",
            "!^.*$!sip:a@b?Route=%3Csip:c%3E!",
            "!^.*$!sip:a b@c!",
            "!^.*$!sip:a@b\\",
            "1^.*$1sip:a@b1",
            &long,
        ] {
            let found = choose(&[record(1, 1, "e2u+sip", rule)], "+4930123");
            assert_eq!(found, Found::Nothing, "{rule}");
        }
    }

    #[test]
    fn order_comes_before_preference_and_sip_before_all_else() {
        let to = |host: &str| format!("!^.*$!sip:a@{host}!");
        let records = [
            record(20, 1, "e2u+sip", &to("last")),
            record(10, 20, "e2u+sip", &to("second")),
            record(10, 10, "e2u+email:mailto", "!^.*$!mailto:a@b!"),
            record(10, 15, "e2u+pstn:sip", &to("pstn")),
            record(10, 16, "sip", &to("none")),
            record(10, 17, "e2u+voice:tel+sip", &to("first")),
        ];
        assert_eq!(choose(&records, "+1"), uri("sip:a@first"));
        assert_eq!(choose(&records[..5], "+1"), uri("sip:a@second"));
        assert_eq!(choose(&[], "+1"), Found::Nothing);
        let mut next = record(5, 1, "", "");
        (next.flags, next.replacement) = (String::new(), "other.test".to_owned());
        let both = [next, records[0].clone()];
        assert_eq!(choose(&both, "+1"), Found::Next("other.test".to_owned()));
    }

    proptest! {
        /// Nobody's records do harm.
        #[test]
        fn any_rule_has_an_end(rule in ".{0,255}", number in "\\+[0-9]{1,15}") {
            let _ = choose(&[record(1, 1, "e2u+sip", &rule)], &number);
        }

        #[test]
        fn expressions_that_explode_elsewhere_do_not_here(
            rule in "!\\^?((\\(\\.\\*\\)\\*|\\(a\\+\\)\\+|\\(\\[0-9\\]\\*\\)\\*|\\.\\{1,99\\}|x\\?){0,20})\\$?!sip:\\\\1@b!"
        ) {
            let _ = choose(&[record(1, 1, "e2u+sip", &rule)], "+123456789012345");
        }
    }
}
