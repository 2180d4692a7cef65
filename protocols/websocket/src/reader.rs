//! Messages and control frames, however their bytes arrive.

use crate::frame::{Head, Opcode, Violation, unmask};

/// What a client said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A whole message, whatever it was cut into.
    Message {
        /// Whether it is UTF-8 by its kind.
        text: bool,
        /// Its bytes.
        payload: Vec<u8>,
    },
    /// To be answered by a pong with the same bytes.
    Ping(Vec<u8>),
    /// The answer to a ping, or a sign of life.
    Pong,
    /// The end, with the status code if there is one; to be answered by the same.
    Close(Option<u16>),
}

/// Reads what one client sends.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    buffer: Vec<u8>,
    /// So much of the buffer is read.
    read: usize,
    /// The kind of a message that has begun, and what is there of it.
    begun: Option<(bool, Vec<u8>)>,
}

impl Reader {
    /// A reader of messages of at most `limit` bytes.
    pub fn new(limit: usize) -> Reader {
        Reader { limit, buffer: Vec::new(), read: 0, begun: None }
    }

    /// Takes bytes as they arrive. Whoever does not ask for events between bounds how many wait: see
    /// [`waiting`](Reader::waiting).
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.read));
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that are not read yet.
    pub fn waiting(&self) -> usize {
        self.buffer.len() - self.read
    }

    /// The next event; `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`Violation`]: the connection has to be closed with its code, and nothing more is read.
    #[inline(never)]
    pub fn poll(&mut self) -> Result<Option<Event>, Violation> {
        loop {
            let Some(head) = Head::parse(&self.buffer[self.read..])? else { return Ok(None) };
            let before = self.begun.as_ref().map_or(0, |(_, begun)| begun.len());
            if !head.opcode.is_control() && before.saturating_add(head.length) > self.limit {
                return Err(Violation::Length);
            }
            let begin = self.read + head.size;
            let Some(payload) = self.buffer.get(begin..begin + head.length) else {
                return Ok(None);
            };
            let mut payload = payload.to_vec();
            self.read = begin + head.length;
            unmask(&mut payload, head.mask);
            if let Some(event) = self.frame(&head, payload)? {
                return Ok(Some(event));
            }
        }
    }

    fn frame(&mut self, head: &Head, payload: Vec<u8>) -> Result<Option<Event>, Violation> {
        let (text, payload) = match (head.opcode, self.begun.take()) {
            (Opcode::Continuation, Some((text, mut begun))) => {
                begun.extend_from_slice(&payload);
                (text, begun)
            }
            (Opcode::Text, None) => (true, payload),
            (Opcode::Binary, None) => (false, payload),
            (opcode, begun) if opcode.is_control() => {
                // They may stand between the frames of a message.
                self.begun = begun;
                return match opcode {
                    Opcode::Ping => Ok(Some(Event::Ping(payload))),
                    Opcode::Close => closed(&payload).map(|code| Some(Event::Close(code))),
                    _ => Ok(Some(Event::Pong)),
                };
            }
            _ => return Err(Violation::Protocol),
        };
        if !head.last {
            self.begun = Some((text, payload));
            return Ok(None);
        }
        if text && std::str::from_utf8(&payload).is_err() {
            return Err(Violation::Text);
        }
        Ok(Some(Event::Message { text, payload }))
    }
}

/// The status code of a close frame, §5.5.1 and §7.4.
fn closed(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [a, b, why @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            match code {
                1000..=1003 | 1007..=1014 | 3000..=4999 if std::str::from_utf8(why).is_ok() => {
                    Ok(Some(code))
                }
                _ => Err(Violation::Protocol),
            }
        }
        [_] => Err(Violation::Protocol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::masked;
    use proptest::prelude::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    fn read(bytes: &[u8], size: usize, limit: usize) -> Result<Vec<Event>, Violation> {
        let mut reader = Reader::new(limit);
        let mut events = Vec::new();
        for part in bytes.chunks(size) {
            reader.push(part);
            while let Some(event) = reader.poll()? {
                events.push(event);
            }
        }
        Ok(events)
    }

    /// A frame that is not the last one of its message.
    fn part(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
        let mut bytes = masked(opcode, payload, MASK);
        bytes[0] &= 0x7f;
        bytes
    }

    fn message(text: bool, payload: &[u8]) -> Event {
        Event::Message { text, payload: payload.to_vec() }
    }

    #[test]
    fn fragments_become_one_message_at_every_split() {
        // A character of UTF-8 is cut, and a ping stands between.
        let bytes = [
            part(Opcode::Text, b"a\xc3"),
            masked(Opcode::Ping, b"?", MASK),
            part(Opcode::Continuation, b""),
            masked(Opcode::Continuation, b"\xa4", MASK),
            masked(Opcode::Binary, &[0xff; 300], MASK),
            masked(Opcode::Close, b"\x03\xe8bye", MASK),
        ]
        .concat();
        let expected = [
            Event::Ping(b"?".to_vec()),
            message(true, "aä".as_bytes()),
            message(false, &[0xff; 300]),
            Event::Close(Some(1000)),
        ];
        for size in 1..=bytes.len() {
            assert_eq!(read(&bytes, size, 300).as_deref(), Ok(&expected[..]), "{size}");
        }
    }

    #[test]
    fn violations_have_their_codes() {
        let of = |bytes: &[u8]| read(bytes, 7, 300);
        assert_eq!(of(&masked(Opcode::Text, b"\xff", MASK)), Err(Violation::Text));
        assert_eq!(of(&masked(Opcode::Binary, &[0; 301], MASK)), Err(Violation::Length));
        let long =
            [part(Opcode::Binary, &[0; 200]), part(Opcode::Continuation, &[0; 101])].concat();
        assert_eq!(of(&long), Err(Violation::Length));
        // Told by the head alone: nobody waits for a gigabyte.
        assert_eq!(of(b"\x82\xff\0\0\0\0\x40\0\0\x000000"), Err(Violation::Length));
        assert_eq!(of(&masked(Opcode::Continuation, b"", MASK)), Err(Violation::Protocol));
        let nested = [part(Opcode::Text, b"a"), masked(Opcode::Text, b"b", MASK)].concat();
        assert_eq!(of(&nested), Err(Violation::Protocol));
        for payload in [&b"\x03"[..], b"\x03\xed", b"\0\0", b"\x03\xe8\xff"] {
            assert_eq!(of(&masked(Opcode::Close, payload, MASK)), Err(Violation::Protocol));
        }
    }

    proptest! {
        #[test]
        fn what_a_client_sends_arrives(
            messages in proptest::collection::vec((any::<Vec<u8>>(), any::<[u8; 4]>()), 1..5),
            size in 1..50usize,
        ) {
            let bytes = messages.iter().map(|(payload, mask)| masked(Opcode::Binary, payload, *mask));
            let bytes = bytes.collect::<Vec<_>>().concat();
            let expected: Vec<Event> = messages.iter().map(|(payload, _)| message(false, payload)).collect();
            prop_assert_eq!(read(&bytes, size, 1 << 20), Ok(expected));
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_splits_do_not_matter(bytes: Vec<u8>, size in 1..50usize) {
            let all = [&b"\x81\x80"[..], &bytes].concat();
            for bytes in [&bytes, &all] {
                prop_assert_eq!(read(bytes, size, 64), read(bytes, bytes.len().max(1), 64));
            }
        }
    }
}
