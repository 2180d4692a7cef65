//! From a message to bytes.

use base::Bytes;

use super::{Header, Line, Message, Start, Text};
use crate::header::HeaderName;

/// Room for a Content-Length that is added.
const LENGTH: usize = "Content-Length: 65535\r\n".len();

impl Message {
    /// The message on the wire. Content-Length is made true (RFC 3261 §20.14) and is added when it
    /// was missing.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.length());
        match &self.start {
            Start::Request { method, uri } => {
                out.extend_from_slice(method.as_str().as_bytes());
                out.push(b' ');
                self.write_text(&mut out, uri);
                out.extend_from_slice(b" SIP/2.0\r\n");
            }
            Start::Response { status, reason } => {
                out.extend_from_slice(b"SIP/2.0 ");
                let digit = |n: u16| b'0' + (n % 10) as u8;
                out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(*status)]);
                out.push(b' ');
                self.write_text(&mut out, reason);
                out.extend_from_slice(b"\r\n");
            }
        }
        let mut measured = false;
        for header in &self.headers {
            if header.name == HeaderName::ContentLength {
                measured = true;
                if self.get(HeaderName::ContentLength).and_then(|v| v.parse().ok())
                    != Some(self.body.len())
                {
                    self.write_length(&mut out);
                    continue;
                }
            }
            self.write_header(&mut out, header);
        }
        if !measured {
            self.write_length(&mut out);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        // What is sent is kept for retransmissions: without the room that was not needed.
        out.into_boxed_slice().into()
    }

    /// How many bytes it takes, or a few more.
    fn length(&self) -> usize {
        let text = |text: &Text| match text {
            Text::Source(range) => range.len(),
            Text::Own(text) => text.len(),
        };
        let start = match &self.start {
            Start::Request { method, uri } => method.as_str().len() + text(uri) + 11,
            Start::Response { reason, .. } => text(reason) + 14,
        };
        let line = |header: &Header| match &header.line {
            Line::Source { line, .. } => line.len(),
            Line::Own { value, .. } => self.spelling(header).len() + value.len() + 4,
        };
        start + self.headers.iter().map(line).sum::<usize>() + self.body.len() + 2 + LENGTH
    }

    fn write_text(&self, out: &mut Vec<u8>, text: &Text) {
        match text {
            Text::Source(range) => out.extend_from_slice(self.written(range)),
            Text::Own(text) => out.extend_from_slice(text.as_bytes()),
        }
    }

    fn write_length(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Content-Length: ");
        out.extend_from_slice(self.body.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    }

    fn write_header(&self, out: &mut Vec<u8>, header: &Header) {
        match &header.line {
            Line::Source { line, .. } => out.extend_from_slice(self.written(line)),
            Line::Own { value, .. } => {
                out.extend_from_slice(self.spelling(header).as_bytes());
                out.extend_from_slice(b": ");
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

impl core::fmt::Display for Message {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}
