//! Where a request on a byte stream ends: NG over TCP has no length in front, for both encodings delimit themselves.
//! And the lines of rtpengine's command line port.

use crate::bencode::MAX_DEPTH;

/// The longest cookie, as [`Message::parse`](crate::Message::parse) takes it.
const MAX_COOKIE: usize = 255;
/// The longest line of a command.
const MAX_LINE: usize = 4096;

/// What stands at the beginning of the buffered bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framed {
    /// Not yet a whole message.
    Incomplete,
    /// So many bytes belong to no message: line ends between two of them.
    Skip(usize),
    /// A whole message of so many bytes.
    Message(usize),
    /// No message can begin like this.
    Malformed,
}

/// Finds the end of the first message: cookie, space, dictionary.
pub fn frame(bytes: &[u8]) -> Framed {
    let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n' | b' ')).count();
    if blank > 0 {
        return Framed::Skip(blank);
    }
    let head = &bytes[..bytes.len().min(MAX_COOKIE + 1)];
    let cookie = head.iter().take_while(|b| b.is_ascii_graphic()).count();
    let body = match head.get(cookie) {
        Some(b' ') => &bytes[cookie + 1..],
        None if cookie <= MAX_COOKIE => return Framed::Incomplete,
        _ => return Framed::Malformed,
    };
    let end = match body.first() {
        None => End::Missing,
        Some(b'{') => json(body),
        Some(b'd') => bencode(body),
        Some(_) => End::Never,
    };
    match end {
        End::At(end) => Framed::Message(cookie + 1 + end),
        End::Missing => Framed::Incomplete,
        End::Never => Framed::Malformed,
    }
}

/// Finds the end of a command's line; one that is too long is cut.
pub fn line(bytes: &[u8]) -> Framed {
    match bytes.iter().take(MAX_LINE).position(|b| *b == b'\n') {
        Some(at) => Framed::Message(at + 1),
        None if bytes.len() < MAX_LINE => Framed::Incomplete,
        None => Framed::Message(MAX_LINE),
    }
}

/// Where a value ends.
enum End {
    At(usize),
    /// Its end is not there yet.
    Missing,
    /// It is none.
    Never,
}

/// Only borders are looked for: what is within them is [`crate::bencode::decode`]'s to refuse.
fn bencode(bytes: &[u8]) -> End {
    let (mut at, mut depth) = (0, 0);
    loop {
        let Some(first) = bytes.get(at) else { return End::Missing };
        match first {
            b'd' | b'l' if depth < MAX_DEPTH => {
                depth += 1;
                at += 1;
            }
            b'e' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b'i' | b'0'..=b'9' => {
                let text = first.is_ascii_digit();
                // No number is longer than 20 characters.
                let digits = &bytes[at..bytes.len().min(at + 22)];
                let mark = if text { b':' } else { b'e' };
                let Some(length) = digits.iter().position(|b| *b == mark) else {
                    return if digits.len() == 22 { End::Never } else { End::Missing };
                };
                at += length + 1;
                if text {
                    let number = std::str::from_utf8(&digits[..length]).ok();
                    let Some(number) = number.and_then(|text| text.parse::<u32>().ok()) else {
                        return End::Never;
                    };
                    at = at.saturating_add(number as usize);
                }
            }
            _ => return End::Never,
        }
        if depth == 0 {
            return if at <= bytes.len() { End::At(at) } else { End::Missing };
        }
    }
}

fn json(bytes: &[u8]) -> End {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' if depth < MAX_DEPTH => depth += 1,
            b'{' | b'[' => return End::Never,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return End::At(at + 1);
        }
    }
    End::Missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dict, Encoding, Message, Value};
    use proptest::prelude::*;

    /// All messages of a stream that arrives in these parts; an error where it is none.
    fn cut<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
        let (mut buffer, mut messages) = (Vec::new(), Vec::new());
        for part in parts {
            buffer.extend_from_slice(part);
            loop {
                match frame(&buffer) {
                    Framed::Incomplete => break,
                    Framed::Skip(n) => drop(buffer.drain(..n)),
                    Framed::Message(n) => messages.push(buffer.drain(..n).collect()),
                    Framed::Malformed => return (messages, true),
                }
            }
        }
        (messages, false)
    }

    #[test]
    fn every_split_gives_the_same_messages() {
        let stream = b"c1 d7:command4:pinge\nc2 {\"command\":\"}{\\\"ping\",\"l\":[{}]}c3 d1:ali1e1:bi-5eee\r\nc4 de";
        let expected = [
            &b"c1 d7:command4:pinge"[..],
            b"c2 {\"command\":\"}{\\\"ping\",\"l\":[{}]}",
            b"c3 d1:ali1e1:bi-5eee",
            b"c4 de",
        ];
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let parts = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(cut(parts).0, expected, "{first} {second}");
            }
        }
        assert_eq!(cut(stream.chunks(1)).0, expected);
    }

    #[test]
    fn what_cannot_become_a_message_is_told_at_once() {
        for rubbish in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"c1 rubbish",
            b"c1 dx",
            b"c1 d1:ai1111111111111111111111e",
            b"c1 d99999999999999999999999:",
            b"c1 d4294967296:",
            b"\x80\x01",
            &[b'x'; 300],
            b"c1 dllllllllllllllll",
            b"c1 [",
        ] {
            assert_eq!(frame(rubbish), Framed::Malformed, "{}", rubbish.escape_ascii());
        }
        for part in [&b"c1"[..], b"c1 ", b"c1 d", b"c1 d7:comm", b"c1 {\"a\":\"}", b"c1 d1:ai1"] {
            assert_eq!(frame(part), Framed::Incomplete, "{}", part.escape_ascii());
        }
    }

    #[test]
    fn lines_are_cut() {
        assert_eq!(line(b"list totals\nx"), Framed::Message(12));
        assert_eq!(line(b"list"), Framed::Incomplete);
        assert_eq!(line(&[b'x'; 9000]), Framed::Message(MAX_LINE));
    }

    fn dict() -> impl Strategy<Value = Dict> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::Int),
            "\\PC{0,12}".prop_map(|text| Value::from(text.as_str())),
        ];
        let value = leaf.prop_recursive(3, 16, 4, |inner| {
            let members = proptest::collection::vec(("[a-z]{1,6}", inner.clone()), 0..4);
            let members = members.prop_map(|all| {
                Value::Dict(all.into_iter().fold(Dict::new(), |dict, (k, v)| dict.with(k, v)))
            });
            prop_oneof![members, proptest::collection::vec(inner, 0..4).prop_map(Value::List)]
        });
        proptest::collection::vec(("[a-z]{1,6}", value), 0..4)
            .prop_map(|all| all.into_iter().fold(Dict::new(), |dict, (k, v)| dict.with(k, v)))
    }

    proptest! {
        #[test]
        fn what_is_written_is_found(all in proptest::collection::vec((dict(), any::<bool>()), 1..4), size in 1..40usize) {
            let emit = |(dict, json): &(Dict, bool)| {
                let encoding = if *json { Encoding::Json } else { Encoding::Bencode };
                Message { cookie: "5_1".to_owned(), encoding, dict: dict.clone() }.emit()
            };
            let messages: Vec<Vec<u8>> = all.iter().map(emit).collect();
            prop_assert_eq!(cut(messages.concat().chunks(size)), (messages, false));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, size in 1..40usize) {
            cut(bytes.chunks(size));
            let body = [b"c d", &bytes[..]].concat();
            if let Framed::Message(n) = frame(&body) {
                prop_assert!(n <= body.len());
            }
            frame(&[b"c {", &bytes[..]].concat());
            line(&bytes);
        }
    }
}
