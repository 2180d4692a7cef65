//! Changing a message: every verb touches the lines it names and no other.

use base::Bytes;

use super::{Header, Line, Message, Start, Text};
use crate::header::HeaderName;
use crate::lex;

/// Header values of ours are one line: a line break in text that came from elsewhere (an unescaped
/// user part, a reason) must not become a header field of its own.
fn one_line(value: impl Into<String>) -> Box<str> {
    let mut value: String = value.into();
    if memchr::memchr3(b'\r', b'\n', 0, value.as_bytes()).is_some() {
        value.retain(|c| !matches!(c, '\r' | '\n' | '\0'));
    }
    value.into_boxed_str()
}

fn own(name: HeaderName, value: impl Into<String>) -> Header {
    debug_assert!(name != HeaderName::Other, "use the verbs that end in _other");
    Header { name, line: Line::Own { name: None, value: one_line(value) } }
}

impl Message {
    /// Replaces the Request-URI; nothing happens to a response.
    pub fn set_uri(&mut self, new: impl Into<String>) {
        if let Start::Request { uri, .. } = &mut self.start {
            *uri = Text::Own(one_line(new));
        }
    }

    /// Replaces the reason phrase; nothing happens to a request.
    pub fn set_reason(&mut self, new: impl Into<String>) {
        if let Start::Response { reason, .. } = &mut self.start {
            *reason = Text::Own(one_line(new));
        }
    }

    /// Adds a header field at the end.
    pub fn push(&mut self, name: HeaderName, value: impl Into<String>) {
        self.headers.push(own(name, value));
    }

    /// Adds a header field that [`HeaderName`] does not know at the end.
    pub fn push_other(&mut self, name: &str, value: impl Into<String>) {
        let line = Line::Own { name: Some(one_line(name)), value: one_line(value) };
        self.headers.push(Header { name: HeaderName::Other, line });
    }

    /// The same message with a header field added at the end.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Message {
        self.push(name, value);
        self
    }

    /// The same message with a body.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Message {
        self.set_body(content_type, body);
        self
    }

    /// Adds a header field above the first of its name, or above all others if there is none: where
    /// Via, Route, Record-Route and Path of a hop belong.
    pub fn push_front(&mut self, name: HeaderName, value: impl Into<String>) {
        let at = self.headers.iter().position(|h| h.name == name).unwrap_or(0);
        self.headers.insert(at, own(name, value));
    }

    /// Makes `value` the only header field of this name, in the place of the first one.
    pub fn set(&mut self, name: HeaderName, value: impl Into<String>) {
        match self.headers.iter().position(|h| h.name == name) {
            Some(first) => {
                self.headers[first] = own(name, value);
                let mut at = 0;
                self.headers.retain(|h| {
                    at += 1;
                    h.name != name || at - 1 == first
                });
            }
            None => self.push(name, value),
        }
    }

    /// Removes all header fields of this name.
    pub fn remove(&mut self, name: HeaderName) {
        self.headers.retain(|h| h.name != name);
    }

    /// Removes all header fields of a name that [`HeaderName`] does not know.
    pub fn remove_other(&mut self, name: &str) {
        let mut headers = core::mem::take(&mut self.headers);
        headers.retain(|h| {
            h.name != HeaderName::Other || !self.spelling(h).eq_ignore_ascii_case(name)
        });
        self.headers = headers;
    }

    /// Removes one token from a list such as Require; the header field goes when it was the last.
    pub fn remove_token(&mut self, name: HeaderName, token: &str) {
        if !self.lists(name, token) {
            return;
        }
        let rest: Vec<_> =
            self.list(name).filter(|t| !t.eq_ignore_ascii_case(token)).map(str::to_owned).collect();
        if rest.is_empty() { self.remove(name) } else { self.set(name, rest.join(", ")) }
    }

    /// Takes the first element of a list such as Via or Route away and returns it.
    pub fn pop_element(&mut self, name: HeaderName) -> Option<String> {
        let at = self.headers.iter().position(|h| h.name == name)?;
        let value = self.value(&self.headers[at]);
        let mut elements = lex::elements(value);
        let first = elements.next().map(str::to_owned);
        let rest: Vec<_> = elements.collect();
        if rest.is_empty() {
            self.headers.remove(at);
        } else {
            self.headers[at] = own(name, rest.join(", "));
        }
        first.or_else(|| self.pop_element(name))
    }

    /// Replaces the first element of a list such as Via.
    pub fn set_element(&mut self, name: HeaderName, new: &str) {
        let Some(at) = self.headers.iter().position(|h| h.name == name) else {
            return self.push_front(name, new);
        };
        let value = self.value(&self.headers[at]);
        let mut line = String::from(new);
        for element in lex::elements(value).skip(1) {
            line.push_str(", ");
            line.push_str(element);
        }
        self.headers[at] = own(name, line);
    }

    /// Adds a tag to To unless it has one, RFC 3261 §8.2.6.2.
    pub fn tag_to(&mut self, tag: &str) {
        if self.to_tag().is_none()
            && let Some(to) = self.get(HeaderName::To)
        {
            let to = [to, ";tag=", tag].concat();
            self.set(HeaderName::To, to);
        }
    }

    /// Replaces the body and its type; an empty type removes both.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.body = body.into();
        if content_type.is_empty() {
            self.body = Bytes::new();
            self.remove(HeaderName::ContentType);
        } else {
            self.set(HeaderName::ContentType, content_type);
        }
    }
}
