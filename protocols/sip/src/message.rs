//! A SIP message that keeps the bytes it came in.
//!
//! A received message is one buffer with an index of its lines. What nobody touches is written out
//! byte for byte as it came, in its order and spelling (RFC 3261 §16.6: a proxy must not reorder or
//! rewrite what it does not own). What is changed is a line of its own.

mod edit;
mod parse;
mod part;
mod write;

use core::ops::Range;
use std::sync::Arc;

use base::Bytes;

pub use parse::ParseError;

use crate::header::{HeaderName, NameAddr};
use crate::lex;
use crate::method::Method;

/// Largest message that is taken, in bytes. RFC 3261 §18.1.1 asks for 65,535 at least.
pub const MAX_MESSAGE: usize = 65_535;

/// Most header fields that a message may have.
pub const MAX_HEADERS: usize = 512;

/// A request or a response.
#[derive(Clone, Debug)]
pub struct Message {
    /// Start line and header fields as they came, with foldings and bytes that are no UTF-8 blanked out;
    /// empty for a message of our own. It is a copy, so that what is kept of a message does not keep the
    /// buffer that it came in.
    head: Arc<str>,
    /// The very bytes, if they are others: the same length, so that the ranges fit both. Values are read
    /// from `head` and written from here.
    raw: Option<Bytes>,
    start: Start,
    headers: Vec<Header>,
    body: Bytes,
}

#[derive(Clone, Debug)]
enum Start {
    Request { method: Method, uri: Text },
    Response { status: u16, reason: Text },
}

/// Text that came in, or text of our own.
#[derive(Clone, Debug)]
enum Text {
    Source(Range<u32>),
    Own(Box<str>),
}

/// One header field line.
#[derive(Clone, Debug)]
pub struct Header {
    name: HeaderName,
    line: Line,
}

#[derive(Clone, Debug)]
enum Line {
    /// The whole line with its end, the name in it, and the trimmed value.
    Source { line: Range<u32>, name: Range<u32>, value: Range<u32> },
    /// A line of ours; the name is spelt out only if it is not a known one.
    Own { name: Option<Box<str>>, value: Box<str> },
}

impl Message {
    /// A request of our own. `uri` is written as it is.
    pub fn request(method: Method, uri: impl Into<String>) -> Message {
        Message::own(Start::Request { method, uri: Text::Own(uri.into().into_boxed_str()) })
    }

    /// A response of our own with the registered reason phrase.
    pub fn response(status: u16) -> Message {
        let reason = Text::Own(crate::status::reason(status).into());
        Message::own(Start::Response { status, reason })
    }

    /// The response to a request: Via, From, To, Call-ID and CSeq copied as they are, RFC 3261
    /// §8.2.6.2; Timestamp for a 100 (§8.2.6.1). The To tag is the caller's to add: see
    /// [`Message::tag_to`].
    pub fn answer(request: &Message, status: u16) -> Message {
        let mut response = Message::response(status);
        response.head = Arc::clone(&request.head);
        response.raw = request.raw.clone();
        for header in &request.headers {
            let copied = matches!(
                header.name,
                HeaderName::Via
                    | HeaderName::From
                    | HeaderName::To
                    | HeaderName::CallId
                    | HeaderName::CSeq
            ) || (status == 100 && header.name == HeaderName::Timestamp);
            if copied {
                response.headers.push(header.clone());
            }
        }
        response
    }

    fn own(start: Start) -> Message {
        Message {
            head: Arc::default(),
            raw: None,
            start,
            headers: Vec::with_capacity(16),
            body: Bytes::new(),
        }
    }

    fn text<'a>(&'a self, text: &'a Text) -> &'a str {
        match text {
            Text::Source(range) => self.readable(range),
            Text::Own(text) => text,
        }
    }

    fn readable(&self, range: &Range<u32>) -> &str {
        // `parse` cuts only at ASCII bytes.
        self.head.get(range.start as usize..range.end as usize).unwrap_or("")
    }

    /// What is written for a range of the head.
    fn written(&self, range: &Range<u32>) -> &[u8] {
        let bytes = self.raw.as_deref().unwrap_or(self.head.as_bytes());
        bytes.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request { .. })
    }

    /// The method, of a request.
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The Request-URI, of a request; empty for a response.
    pub fn uri(&self) -> &str {
        match &self.start {
            Start::Request { uri, .. } => self.text(uri),
            Start::Response { .. } => "",
        }
    }

    /// The status code, of a response; 0 for a request.
    pub fn status(&self) -> u16 {
        match &self.start {
            Start::Request { .. } => 0,
            Start::Response { status, .. } => *status,
        }
    }

    /// The reason phrase, of a response; empty for a request.
    pub fn reason(&self) -> &str {
        match &self.start {
            Start::Request { .. } => "",
            Start::Response { reason, .. } => self.text(reason),
        }
    }

    /// All header fields with name and value, in order.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, &str)> {
        self.headers.iter().map(|header| (header.name, self.value(header)))
    }

    fn value<'a>(&'a self, header: &'a Header) -> &'a str {
        match &header.line {
            Line::Source { value, .. } => self.readable(value),
            Line::Own { value, .. } => value,
        }
    }

    fn spelling<'a>(&'a self, header: &'a Header) -> &'a str {
        match &header.line {
            Line::Source { name, .. } => self.readable(name),
            Line::Own { name: Some(name), .. } => name,
            Line::Own { name: None, .. } => header.name.as_str(),
        }
    }

    /// The value of the first header field of this name.
    pub fn get(&self, name: HeaderName) -> Option<&str> {
        self.headers.iter().find(|h| h.name == name).map(|h| self.value(h))
    }

    /// The values of all header fields of this name, line by line.
    pub fn lines(&self, name: HeaderName) -> impl DoubleEndedIterator<Item = &str> {
        self.headers.iter().filter(move |h| h.name == name).map(|h| self.value(h))
    }

    /// The elements of a comma-separated header field, over all its lines, RFC 3261 §7.3.1.
    pub fn list(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.lines(name).flat_map(lex::elements)
    }

    /// The value of a header field that [`HeaderName`] does not know.
    pub fn get_other(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .filter(|h| h.name == HeaderName::Other)
            .find(|h| self.spelling(h).eq_ignore_ascii_case(name))
            .map(|h| self.value(h))
    }

    /// Whether a header field of this name is there.
    pub fn has(&self, name: HeaderName) -> bool {
        self.headers.iter().any(|h| h.name == name)
    }

    /// The tag of To; a request that has one is within a dialog, RFC 3261 §12.2.
    pub fn to_tag(&self) -> Option<&str> {
        self.get(HeaderName::To).and_then(NameAddr::parse)?.tag()
    }

    /// Whether a list of tokens such as Supported or Require has this one, without case.
    pub fn lists(&self, name: HeaderName, token: &str) -> bool {
        self.list(name).any(|t| t.eq_ignore_ascii_case(token))
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the body is of this media type, lower case; its parameters do not count.
    pub fn is_of_type(&self, media_type: &str) -> bool {
        let value = self.get(HeaderName::ContentType).unwrap_or("");
        let end = lex::find(value, b';').unwrap_or(value.len());
        value[..end].trim().eq_ignore_ascii_case(media_type)
    }

    /// The media type of the body without parameters, lower case; empty without Content-Type.
    pub fn content_type(&self) -> String {
        let value = self.get(HeaderName::ContentType).unwrap_or("");
        value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
    }
}
