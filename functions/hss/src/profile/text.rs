//! Filter criteria as one line of text: how a person types them, and how they stand in CSV.
//!
//! ```text
//! sip:as.example.org:5090
//! sip:as.example.org default=terminated when method=INVITE and case=originating
//! sip:as.example.org priority=4 when not header:Require and (sdp:m=audio or sdp:m=video)
//! ```
//!
//! After the application server's URI come options, then, behind `when`, service point triggers.
//! `and` between groups is the conjunctive normal form of TS 29.228 Annex F, `or` the disjunctive one.
//! Several criteria in one text have a `;` between blanks between them.

use core::fmt;
use core::iter::{Enumerate, Peekable};
use core::str::{Chars, FromStr};

use super::{
    ApplicationServer, Condition, DefaultHandling, FilterCriteria, Form, ProfilePart,
    RegistrationType, SessionCase, Spt, TriggerPoint,
};

/// Why a text is no filter criteria.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("filter criteria, character {at}: expected {expected}, found {found}")]
pub struct CriteriaError {
    /// Where, in characters from 1.
    pub at: usize,
    /// What could have stood there.
    pub expected: &'static str,
    /// What stands there.
    pub found: String,
}

const OPTION: &str = "priority=NUMBER, default=continued|terminated, part=registered|unregistered, \
                      service-info=TEXT, include-register-request, include-register-response, or \
                      `when` and conditions";
const CONDITION: &str = "method=NAME, case=originating|terminating|terminating-unregistered|\
                         originating-unregistered, uri=TEXT, header:NAME, header:NAME=TEXT, \
                         sdp:LINE, or sdp:LINE=TEXT";

const CASES: [(SessionCase, &str); 4] = [
    (SessionCase::Originating, "originating"),
    (SessionCase::TerminatingRegistered, "terminating"),
    (SessionCase::TerminatingUnregistered, "terminating-unregistered"),
    (SessionCase::OriginatingUnregistered, "originating-unregistered"),
];
const TYPES: [(RegistrationType, &str); 3] = [
    (RegistrationType::Initial, "initial"),
    (RegistrationType::ReRegistration, "re"),
    (RegistrationType::DeRegistration, "de"),
];
const PARTS: [(ProfilePart, &str); 2] =
    [(ProfilePart::Registered, "registered"), (ProfilePart::Unregistered, "unregistered")];
const HANDLINGS: [(DefaultHandling, &str); 2] =
    [(DefaultHandling::Continued, "continued"), (DefaultHandling::Terminated, "terminated")];

fn word_of<T: PartialEq>(words: &[(T, &'static str)], value: &T) -> &'static str {
    words.iter().find(|(known, _)| known == value).map_or("", |(_, word)| word)
}

fn of_word<T: Copy>(words: &[(T, &str)], text: &str) -> Option<T> {
    words.iter().find(|(_, word)| word.eq_ignore_ascii_case(text)).map(|(value, _)| *value)
}

impl FilterCriteria {
    /// The criteria of several texts. Who tells no priority comes after the one before.
    ///
    /// # Errors
    /// With the first place that is wrong.
    pub fn parse_all<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<FilterCriteria>, CriteriaError> {
        let (mut all, mut next) = (Vec::new(), 0u32);
        for text in texts {
            let mut parser = Parser::new(text);
            loop {
                let (mut criteria, priority) = parser.criteria()?;
                criteria.priority = priority.unwrap_or(next);
                next = criteria.priority.saturating_add(1);
                all.push(criteria);
                if parser.done() {
                    break;
                }
            }
        }
        Ok(all)
    }
}

impl FromStr for FilterCriteria {
    type Err = CriteriaError;

    /// One criteria; without a priority it is 0.
    fn from_str(text: &str) -> Result<FilterCriteria, CriteriaError> {
        let mut parser = Parser::new(text);
        let (criteria, _) = parser.criteria()?;
        if parser.done() { Ok(criteria) } else { Err(parser.error("nothing more")) }
    }
}

impl fmt::Display for FilterCriteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        write!(f, "{} priority={}", server.name, self.priority)?;
        if server.default_handling != DefaultHandling::default() {
            write!(f, " default={}", word_of(&HANDLINGS, &server.default_handling))?;
        }
        if let Some(part) = &self.part {
            write!(f, " part={}", word_of(&PARTS, part))?;
        }
        if let Some(info) = &server.service_info {
            write!(f, " service-info={}", Quoted(info))?;
        }
        if server.include_register_request {
            f.write_str(" include-register-request")?;
        }
        if server.include_register_response {
            f.write_str(" include-register-response")?;
        }
        match &self.trigger {
            Some(trigger) => write!(f, " when {trigger}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TriggerPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (outer, inner) = self.form.words();
        let mut groups: Vec<u32> = self.spts.iter().flat_map(|spt| spt.groups.clone()).collect();
        groups.sort_unstable();
        groups.dedup();
        for (number, group) in groups.into_iter().enumerate() {
            let members: Vec<String> = self
                .spts
                .iter()
                .filter(|spt| spt.groups.contains(&group))
                .map(Spt::to_string)
                .collect();
            let joined = members.join(&format!(" {inner} "));
            let before = if number == 0 { String::new() } else { format!(" {outer} ") };
            match members.len() {
                1 => write!(f, "{before}{joined}")?,
                _ => write!(f, "{before}({joined})")?,
            }
        }
        Ok(())
    }
}

impl Form {
    /// What joins the groups, and what joins the triggers within one.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Form::Cnf => ("and", "or"),
            Form::Dnf => ("or", "and"),
        }
    }

    fn joined_by(word: &str) -> Form {
        if word == "or" { Form::Dnf } else { Form::Cnf }
    }
}

impl fmt::Display for Spt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negated {
            f.write_str("not ")?;
        }
        let named = |f: &mut fmt::Formatter<'_>, kind, name: &str, content: &Option<String>| {
            write!(f, "{kind}:{name}")?;
            content.as_ref().map_or(Ok(()), |content| write!(f, "={}", Quoted(content)))
        };
        match &self.condition {
            Condition::RequestUri(uri) => write!(f, "uri={}", Quoted(uri))?,
            Condition::Method(method) => write!(f, "method={method}")?,
            Condition::Header { header, content } => named(f, "header", header, content)?,
            Condition::SessionCase(case) => write!(f, "case={}", word_of(&CASES, case))?,
            Condition::SessionDescription { line, content } => named(f, "sdp", line, content)?,
        }
        self.registration_types.iter().try_for_each(|kind| write!(f, "/{}", word_of(&TYPES, kind)))
    }
}

/// A text as it stands, or between quotes if it would not be one word.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends_word = |c: char| c.is_whitespace() || matches!(c, '"' | '\\' | '(' | ')');
        if !self.0.is_empty() && !self.0.contains(ends_word) {
            return f.write_str(self.0);
        }
        let escaped = self.0.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "\"{escaped}\"")
    }
}

/// A word, parentheses being words of their own, and where it begins.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Word {
    at: usize,
    text: String,
    /// Whether part of it was quoted: then it is no `and`, `or`, `;` or parenthesis.
    quoted: bool,
}

struct Parser {
    words: Peekable<std::vec::IntoIter<Word>>,
    /// Where the text ends.
    end: usize,
}

impl Parser {
    fn new(text: &str) -> Parser {
        let mut words = Vec::new();
        let mut chars = text.chars().enumerate().peekable();
        // The server's URI may have parentheses of its own.
        let mut parens = false;
        while let Some((at, c)) = chars.peek().copied() {
            if c.is_whitespace() {
                chars.next();
                continue;
            }
            let (text, quoted) = word(&mut chars, parens);
            let word = Word { at: at + 1, text, quoted };
            parens = (parens || word.is("when")) && !word.is(";");
            words.push(word);
        }
        Parser { words: words.into_iter().peekable(), end: text.chars().count() + 1 }
    }

    fn done(&mut self) -> bool {
        self.words.peek().is_none()
    }

    fn error(&mut self, expected: &'static str) -> CriteriaError {
        let end = Word { at: self.end, text: String::new(), quoted: false };
        let word = self.words.next();
        let found = word.as_ref().map_or("the end".to_owned(), |word| format!("`{}`", word.text));
        CriteriaError { at: word.unwrap_or(end).at, expected, found }
    }

    fn take(&mut self, text: &str) -> bool {
        self.words.next_if(|word| word.is(text)).is_some()
    }

    /// Takes the next word if `read` makes something of it.
    fn read<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, CriteriaError> {
        let value = self.words.peek().and_then(|word| read(&word.text));
        let value = value.ok_or_else(|| self.error(expected))?;
        self.words.next();
        Ok(value)
    }

    /// One criteria up to the end or a `;`, and its priority if that was told.
    fn criteria(&mut self) -> Result<(FilterCriteria, Option<u32>), CriteriaError> {
        let name = self.read("the application server's SIP URI", |text| {
            (text.starts_with("sip:") || text.starts_with("sips:")).then(|| text.to_owned())
        })?;
        let server = ApplicationServer::new(name);
        let mut criteria = FilterCriteria { priority: 0, trigger: None, server, part: None };
        let mut priority = None;
        while !self.done() && !self.take(";") {
            if self.take("when") {
                criteria.trigger = Some(self.trigger()?);
                if !self.done() && !self.take(";") {
                    return Err(self.error("and, or, or a ; before the next criteria"));
                }
                break;
            }
            self.read(OPTION, |text| option(&mut criteria, &mut priority, text))?;
        }
        criteria.priority = priority.unwrap_or(0);
        Ok((criteria, priority))
    }

    /// Groups of triggers.
    fn trigger(&mut self) -> Result<TriggerPoint, CriteriaError> {
        let (mut spts, mut form, mut inner) = (Vec::new(), None, None);
        for group in 0.. {
            if self.take("(") {
                spts.push(self.spt(group)?);
                while let Some(word) = self.joint(inner)? {
                    inner = Some(word);
                    spts.push(self.spt(group)?);
                }
                if !self.take(")") {
                    return Err(self.error("the `and` or `or` of the group, or `)`"));
                }
            } else {
                spts.push(self.spt(group)?);
            }
            match self.joint(form.map(|form: Form| form.words().0))? {
                Some(word) => form = Some(Form::joined_by(word)),
                None => break,
            }
        }
        // What joins within groups is the other word.
        let of_inner = inner.map(|word| if word == "and" { Form::Dnf } else { Form::Cnf });
        let form = match (form, of_inner) {
            (Some(form), Some(other)) if form != other => {
                return Err(
                    self.error("`or` within groups that `and` joins, or the other way round")
                );
            }
            (form, of_inner) => form.or(of_inner).unwrap_or(Form::Cnf),
        };
        Ok(TriggerPoint { form, spts })
    }

    /// `and` or `or`; the same as before.
    fn joint(&mut self, before: Option<&str>) -> Result<Option<&'static str>, CriteriaError> {
        let found =
            ["and", "or"].into_iter().find(|word| self.words.peek().is_some_and(|w| w.is(word)));
        if let (Some(word), Some(before)) = (found, before)
            && word != before
        {
            return Err(self.error("parentheses where `and` and `or` meet"));
        }
        if found.is_some() {
            self.words.next();
        }
        Ok(found)
    }

    fn spt(&mut self, group: u32) -> Result<Spt, CriteriaError> {
        let negated = self.take("not");
        let (condition, registration_types) = self.read(CONDITION, condition)?;
        Ok(Spt { negated, groups: vec![group], condition, registration_types })
    }
}

impl Word {
    fn is(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }
}

/// The next word, quotes taken off.
fn word(chars: &mut Peekable<Enumerate<Chars<'_>>>, parens: bool) -> (String, bool) {
    let (mut text, mut quoted, mut inside) = (String::new(), false, false);
    while let Some((_, c)) = chars.peek().copied() {
        if !inside && c.is_whitespace() || !inside && parens && matches!(c, '(' | ')') {
            if text.is_empty() && !quoted && !c.is_whitespace() {
                chars.next();
                text.push(c);
            }
            break;
        }
        chars.next();
        match c {
            '"' => (inside, quoted) = (!inside, true),
            '\\' if inside => text.extend(chars.next().map(|(_, c)| c)),
            c => text.push(c),
        }
    }
    (text, quoted)
}

/// Applies an option; `None` if it is not one.
fn option(criteria: &mut FilterCriteria, priority: &mut Option<u32>, text: &str) -> Option<()> {
    let server = &mut criteria.server;
    match text.split_once('=') {
        Some(("priority", number)) => {
            *priority = Some(number.parse().ok().filter(|n| *n <= i32::MAX as u32)?);
        }
        Some(("default", word)) => server.default_handling = of_word(&HANDLINGS, word)?,
        Some(("part", word)) => criteria.part = Some(of_word(&PARTS, word)?),
        Some(("service-info", info)) => server.service_info = Some(info.to_owned()),
        None if text == "include-register-request" => server.include_register_request = true,
        None if text == "include-register-response" => server.include_register_response = true,
        _ => return None,
    }
    Some(())
}

/// A condition, with the registration types that may follow a method.
fn condition(text: &str) -> Option<(Condition, Vec<RegistrationType>)> {
    let named = |rest: &str| {
        let (name, content) = match rest.split_once('=') {
            Some((name, content)) => (name, Some(content.to_owned())),
            None => (rest, None),
        };
        (!name.is_empty()).then(|| (name.to_owned(), content))
    };
    let condition = if let Some(rest) = text.strip_prefix("header:") {
        named(rest).map(|(header, content)| Condition::Header { header, content })?
    } else if let Some(rest) = text.strip_prefix("sdp:") {
        named(rest).map(|(line, content)| Condition::SessionDescription { line, content })?
    } else {
        match text.split_once('=')? {
            ("uri", uri) => Condition::RequestUri(uri.to_owned()),
            ("case", word) => Condition::SessionCase(of_word(&CASES, word)?),
            ("method", rest) => {
                let mut words = rest.split('/');
                let method = words.next().filter(|method| !method.is_empty())?.to_owned();
                let types = words.map(|word| of_word(&TYPES, word)).collect::<Option<_>>()?;
                return Some((Condition::Method(method), types));
            }
            _ => return None,
        }
    };
    Some((condition, Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMS: &str = "sip:smsc.ex.org:7060;transport=tcp priority=2 when method=MESSAGE and \
                       header:Content-Type=application/vnd.3gpp.sms and case=originating";

    #[test]
    fn what_a_person_types_is_what_is_shown() {
        for text in [
            "sip:as.ex.org priority=0",
            SMS,
            "sips:x@[2001:db8::1]:5061 priority=7 default=terminated part=unregistered \
             service-info=\"a \\\"b\\\"\" include-register-request include-register-response",
            "sip:as priority=1 when not header:Require and (sdp:m=audio or sdp:m)",
            "sip:as priority=1 when (method=INVITE or method=MESSAGE)",
            "sip:as priority=1 when (method=INVITE and uri=\"sip:(x) y\") or case=terminating",
            "sip:as priority=1 when method=REGISTER/initial/re",
            "sip:as priority=1 when header:X=\"\"",
        ] {
            let parsed: FilterCriteria = text.parse().unwrap();
            assert_eq!(parsed.to_string(), text);
            assert_eq!(parsed.to_string().parse(), Ok(parsed));
        }
    }

    #[test]
    fn the_normal_form_follows_the_outer_word() {
        let trigger = |text: &str| {
            let text = format!("sip:as when {text}");
            let trigger = text.parse::<FilterCriteria>().unwrap().trigger.unwrap();
            let groups: Vec<u32> = trigger.spts.iter().map(|spt| spt.groups[0]).collect();
            (trigger.form, groups)
        };
        assert_eq!(trigger("method=A and method=B"), (Form::Cnf, vec![0, 1]));
        assert_eq!(trigger("method=A or method=B"), (Form::Dnf, vec![0, 1]));
        assert_eq!(trigger("(method=A or method=B) and uri=x"), (Form::Cnf, vec![0, 0, 1]));
        assert_eq!(trigger("(method=A and method=B)"), (Form::Dnf, vec![0, 0]));
    }

    #[test]
    fn priorities_follow_the_order() {
        let texts = ["sip:a ; sip:b priority=4", "sip:c when method=INVITE ; sip:d"];
        let all = FilterCriteria::parse_all(texts).unwrap();
        let shown: Vec<(&str, u32)> =
            all.iter().map(|c| (c.server.name.as_str(), c.priority)).collect();
        assert_eq!(shown, [("sip:a", 0), ("sip:b", 4), ("sip:c", 5), ("sip:d", 6)]);
    }

    #[test]
    fn errors_name_the_place() {
        for (text, at, expected) in [
            ("", 1, "the application server's SIP URI"),
            ("as.ex.org", 1, "the application server's SIP URI"),
            ("sip:as  prio=1", 9, OPTION),
            ("sip:as when", 12, CONDITION),
            ("sip:as when metod=INVITE", 13, CONDITION),
            (
                "sip:as when method=A and method=B or uri=x",
                35,
                "parentheses where `and` and `or` meet",
            ),
            ("sip:as when (method=A", 22, "the `and` or `or` of the group, or `)`"),
            ("sip:as when method=A method=B", 22, "and, or, or a ; before the next criteria"),
            ("sip:as when method=REGISTER/never", 13, CONDITION),
            ("sip:as priority=-1", 8, OPTION),
        ] {
            let error = FilterCriteria::parse_all([text]).unwrap_err();
            assert_eq!((error.at, error.expected), (at, expected), "{text}");
        }
    }

    fn text() -> impl Strategy<Value = String> {
        "[a-z \"\\\\()=;]{0,8}"
    }

    fn spt() -> impl Strategy<Value = Spt> {
        let content = || proptest::option::of(text());
        let condition = prop_oneof![
            text().prop_map(Condition::RequestUri),
            "[A-Z]{1,8}".prop_map(Condition::Method),
            ("[A-Za-z-]{1,8}", content())
                .prop_map(|(header, content)| Condition::Header { header, content }),
            (0..CASES.len()).prop_map(|at| Condition::SessionCase(CASES[at].0)),
            ("[a-z]", content())
                .prop_map(|(line, content)| Condition::SessionDescription { line, content }),
        ];
        (any::<bool>(), proptest::collection::vec(0u32..4, 1..3), condition).prop_map(
            |(negated, groups, condition)| Spt {
                negated,
                groups,
                condition,
                registration_types: Vec::new(),
            },
        )
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,80}") {
            let _ = FilterCriteria::parse_all([text.as_str()]);
        }

        /// Groups are numbered anew, and a trigger of two groups stands in each of them.
        #[test]
        fn what_is_shown_can_be_typed(
            spts in proptest::collection::vec(spt(), 1..5),
            info in proptest::option::of(text()),
            cnf: bool,
        ) {
            let form = if cnf { Form::Cnf } else { Form::Dnf };
            let mut criteria: FilterCriteria = "sip:as.ex.org".parse().unwrap();
            criteria.trigger = Some(TriggerPoint { form, spts });
            criteria.server.service_info = info;
            let shown = criteria.to_string();
            let parsed: FilterCriteria = shown.parse().unwrap();
            prop_assert_eq!(parsed.to_string(), shown);
        }
    }
}
