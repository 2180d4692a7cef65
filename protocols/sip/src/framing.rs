//! Where one message ends on a stream, RFC 3261 §18.3.

use crate::message::MAX_MESSAGE;

/// A keep-alive of the other end on a connection, and its answer: RFC 5626 §3.5.1.
pub const PING: &[u8] = b"\r\n\r\n";
/// See [`PING`].
pub const PONG: &[u8] = b"\r\n";

/// What the bytes at the front of a stream are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framed {
    /// More bytes are needed.
    Incomplete,
    /// So many bytes carry nothing: line ends between messages (§7.5).
    Skip(usize),
    /// So many bytes are one message, or a [`PING`].
    Message(usize),
    /// The stream cannot be cut: no Content-Length, a wrong one, or too large. It has to be closed.
    Malformed,
}

/// Looks at the front of a stream.
///
/// Content-Length is mandatory on a stream (§20.14); without it, the message is taken to have no
/// body, since that is what phones which forget it mean.
pub fn frame(buffer: &[u8]) -> Framed {
    if buffer.starts_with(PING) {
        return Framed::Message(PING.len());
    }
    if PING.starts_with(buffer) {
        // Perhaps the rest of it comes.
        return Framed::Incomplete;
    }
    let blank = buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    if blank > 0 {
        return Framed::Skip(blank);
    }
    let Some(head) = head_length(buffer) else {
        return if buffer.len() > MAX_MESSAGE { Framed::Malformed } else { Framed::Incomplete };
    };
    let Some(body) = content_length(&buffer[..head]) else { return Framed::Malformed };
    let total = head + body;
    if total > MAX_MESSAGE {
        Framed::Malformed
    } else if total > buffer.len() {
        Framed::Incomplete
    } else {
        Framed::Message(total)
    }
}

/// Bytes up to and with the empty line.
fn head_length(buffer: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', buffer).find_map(|lf| match &buffer[lf + 1..] {
        [b'\n', ..] => Some(lf + 2),
        [b'\r', b'\n', ..] => Some(lf + 3),
        _ => None,
    })
}

fn content_length(head: &[u8]) -> Option<usize> {
    let mut length = None;
    for line in head.split(|b| *b == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let name = line[..colon].trim_ascii();
        if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
            continue;
        }
        let value = core::str::from_utf8(line[colon + 1..].trim_ascii()).ok()?;
        let value: usize = value.parse().ok()?;
        if value > MAX_MESSAGE || length.is_some_and(|other| other != value) {
            return None;
        }
        length = Some(value);
    }
    Some(length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_is_incomplete_and_the_whole_is_a_message() {
        let message = b"OPTIONS sip:a SIP/2.0\r\nl : 3\r\n\r\nabc";
        for end in 0..message.len() {
            assert_eq!(frame(&message[..end]), Framed::Incomplete, "{end}");
        }
        assert_eq!(frame(message), Framed::Message(message.len()));
        assert_eq!(frame(b"\r\n\nOPTIONS"), Framed::Skip(3));
    }

    #[test]
    fn a_ping_is_told_from_blank_lines() {
        assert_eq!(frame(b"\r\n\r\nOPTIONS"), Framed::Message(4));
        assert_eq!(frame(b"\r\n\r\n\r\n"), Framed::Message(4));
        for end in 0..PING.len() {
            assert_eq!(frame(&PING[..end]), Framed::Incomplete, "{end}");
        }
        assert_eq!(frame(b"\r\nOPTIONS"), Framed::Skip(2));
        assert_eq!(frame(b"\r\n\rx"), Framed::Skip(3));
    }

    #[test]
    fn lies_about_the_length_are_refused() {
        assert_eq!(frame(b"A b SIP/2.0\r\nContent-Length: x\r\n\r\n"), Framed::Malformed);
        assert_eq!(frame(b"A b SIP/2.0\r\nContent-Length: -1\r\n\r\n"), Framed::Malformed);
        assert_eq!(frame(b"A b SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\n"), Framed::Malformed);
        assert_eq!(frame(b"A b SIP/2.0\r\nl: 99999999\r\n\r\n"), Framed::Malformed);
        assert_eq!(frame(&vec![b'a'; MAX_MESSAGE + 1]), Framed::Malformed);
    }
}
