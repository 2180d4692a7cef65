//! From bytes to a message: RFC 3261 §7, lenient on what phones really send.
//!
//! Taken: bare LF as line end, folding, any spelling of names, blanks before the colon, header
//! lines without a colon (kept, never read), bytes that are no UTF-8 (kept, read as `?`), blanks at the
//! end of the start line, a missing Content-Length over UDP. Refused: what has no start line, no end of the header fields, or a
//! Content-Length that the bytes contradict.

use base::Bytes;

use super::{Header, Line, MAX_HEADERS, MAX_MESSAGE, Message, Start, Text};
use crate::header::HeaderName;
use crate::method::Method;

/// Why bytes are not a SIP message. Always the sender's fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    /// Nothing but blank lines: a keep-alive, RFC 5626 §3.5.1.
    #[error("empty")]
    Empty,
    /// The first line is neither a request nor a status line of SIP/2.0.
    #[error("not a SIP/2.0 start line")]
    StartLine,
    /// A version other than SIP/2.0: 505 if it can be answered.
    #[error("not SIP/2.0")]
    Version,
    /// The header fields do not end with an empty line.
    #[error("header fields do not end")]
    Unfinished,
    /// Content-Length is no number, or larger than what came, or given twice with different values.
    #[error("wrong Content-Length")]
    ContentLength,
    /// Larger than the limits [`MAX_MESSAGE`] or [`MAX_HEADERS`].
    #[error("too large")]
    TooLarge,
}

impl Message {
    /// Reads one whole message: a datagram, or what the framing cut out of a stream.
    ///
    /// Bytes after the body that Content-Length announces are dropped (RFC 3261 §18.3).
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        let mut message = Message::read(bytes, start_line)?;
        message.cut_body()?;
        Ok(message)
    }

    /// The request in bytes that [`Message::parse`] refused for their version or Content-Length, so
    /// that it can be answered; without its body.
    pub fn salvage(bytes: Bytes) -> Option<Message> {
        let any_version = |line: &[u8]| {
            let at = memchr::memrchr(b' ', line).ok_or(ParseError::StartLine)?;
            let mut line = line[..at].to_vec();
            line.extend_from_slice(b" SIP/2.0");
            start_line(&line)
        };
        let mut message = Message::read(bytes, any_version).ok()?;
        message.set_body("", Bytes::new());
        message.is_request().then_some(message)
    }

    fn read(
        bytes: Bytes,
        start_line: impl Fn(&[u8]) -> Result<Start, ParseError>,
    ) -> Result<Message, ParseError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(ParseError::TooLarge);
        }
        let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let source = bytes.slice(blank..);
        if source.is_empty() {
            return Err(ParseError::Empty);
        }
        let (start_end, mut at) = line_end(&source, 0).ok_or(ParseError::Unfinished)?;
        let mut folds = Vec::new();
        let mut headers = Vec::with_capacity(24);
        let body_at = loop {
            let (end, next) = line_end(&source, at).ok_or(ParseError::Unfinished)?;
            if end == at {
                break next;
            }
            if headers.len() >= MAX_HEADERS {
                return Err(ParseError::TooLarge);
            }
            let (mut end, mut next) = (end, next);
            while matches!(source.get(next), Some(b' ' | b'\t')) {
                folds.push(end..next);
                (end, next) = line_end(&source, next).ok_or(ParseError::Unfinished)?;
            }
            headers.push(header_line(&source, at, end, next));
            at = next;
        };
        let start = start_line(&source[..start_end])?;
        let (head, raw) = match core::str::from_utf8(&source[..body_at]) {
            Ok(head) if folds.is_empty() => (head.into(), None),
            valid => {
                let head = clean_copy(&source[..body_at], valid.is_ok(), &folds);
                (head.into(), Some(source.slice(..body_at)))
            }
        };
        let body = source.slice(body_at..);
        Ok(Message { head, raw, start, headers, body })
    }

    /// Cuts the body to what Content-Length says.
    fn cut_body(&mut self) -> Result<(), ParseError> {
        let mut length = None;
        for value in self.lines(HeaderName::ContentLength) {
            let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            let number = value.parse::<usize>().ok().filter(|_| digits);
            let number = number.ok_or(ParseError::ContentLength)?;
            if length.is_some_and(|other| other != number) {
                return Err(ParseError::ContentLength);
            }
            length = Some(number);
        }
        match length {
            Some(length) if length > self.body.len() => Err(ParseError::ContentLength),
            Some(length) => {
                self.body.truncate(length);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// The end of the line that begins at `at`, without and with its line end.
fn line_end(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let lf = at + memchr::memchr(b'\n', bytes.get(at..)?)?;
    let end = if lf > at && bytes[lf - 1] == b'\r' { lf - 1 } else { lf };
    Some((end, lf + 1))
}

fn header_line(source: &[u8], at: usize, end: usize, next: usize) -> Header {
    let range = |start: usize, end: usize| start as u32..end as u32;
    let line = range(at, next);
    // Names are short.
    let Some(colon) = source[at..end].iter().position(|b| *b == b':').map(|i| at + i) else {
        let nothing = range(end, end);
        let line = Line::Source { line, name: nothing.clone(), value: nothing };
        return Header { name: HeaderName::Other, line };
    };
    let blank = |b: u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    let (mut name_end, mut value_at, mut value_end) = (colon, colon + 1, end);
    while name_end > at && blank(source[name_end - 1]) {
        name_end -= 1;
    }
    while value_at < end && blank(source[value_at]) {
        value_at += 1;
    }
    while value_end > value_at && blank(source[value_end - 1]) {
        value_end -= 1;
    }
    Header {
        name: HeaderName::parse(&source[at..name_end]),
        line: Line::Source { line, name: range(at, name_end), value: range(value_at, value_end) },
    }
}

fn start_line(line: &[u8]) -> Result<Start, ParseError> {
    // A status line without a reason ends with a blank of its own.
    let request = !line.starts_with(b"SIP/2.0 ");
    let line = if request { line.trim_ascii_end() } else { line };
    let range = |start: usize, end: usize| Text::Source(start as u32..end as u32);
    if let Some(rest) = line.strip_prefix(b"SIP/2.0 ") {
        let digits = rest.get(..3).ok_or(ParseError::StartLine)?;
        let ends = matches!(rest.get(3), None | Some(b' '));
        if !ends || !digits.iter().all(u8::is_ascii_digit) {
            return Err(ParseError::StartLine);
        }
        let status = digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0'));
        if !(100..700).contains(&status) {
            return Err(ParseError::StartLine);
        }
        let reason = range(line.len().min(12), line.len());
        return Ok(Start::Response { status, reason });
    }
    let method_end = memchr::memchr(b' ', line).ok_or(ParseError::StartLine)?;
    let version_at = memchr::memrchr(b' ', line).ok_or(ParseError::StartLine)?;
    let method = core::str::from_utf8(&line[..method_end]).map_err(|_| ParseError::StartLine)?;
    if version_at <= method_end || !crate::lex::is_token(method) {
        return Err(ParseError::StartLine);
    }
    let version = &line[version_at + 1..];
    if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        let sip = version.len() > 4 && version[..4].eq_ignore_ascii_case(b"SIP/");
        return Err(if sip { ParseError::Version } else { ParseError::StartLine });
    }
    Ok(Start::Request { method: Method::parse(method), uri: range(method_end + 1, version_at) })
}

/// A copy with foldings blanked and, unless it is `valid`, everything else than ASCII, too.
fn clean_copy(head: &[u8], valid: bool, folds: &[core::ops::Range<usize>]) -> String {
    let mut copy = head.to_vec();
    for fold in folds {
        copy[fold.clone()].fill(b' ');
    }
    if !valid {
        for byte in copy.iter_mut().filter(|b| !b.is_ascii()) {
            *byte = b'?';
        }
    }
    String::from_utf8(copy).unwrap_or_default()
}
