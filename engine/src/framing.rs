//! Cutting a byte stream into messages.
//!
//! How a message ends is the protocol's knowledge; the program hands it in as a [`Framing`] for each
//! [`Service`]. The live loop and the simulator cut with the same [`Cutter`].

use base::{Bytes, FlowError, Service};
use bytes::{Buf, BytesMut};

/// What stands at the beginning of the buffered bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    /// Not yet a whole message.
    Incomplete,
    /// So many bytes belong to no message (such as the CRLF keep-alives of RFC 5626 §3.5.1).
    Skip(usize),
    /// A whole message of so many bytes.
    Message(usize),
    /// No message can begin like this: the flow is closed.
    Malformed,
}

/// Tells where the first message of a byte stream ends.
pub type Framing = fn(&[u8]) -> Frame;

/// The program's choice of framing for each service.
pub type Framings = fn(Service) -> Framing;

/// The default of [`Framings`]: no service may use a stream.
pub fn no_streams(_: Service) -> Framing {
    |_| Frame::Malformed
}

/// Messages with their length in front, four bytes, most significant first.
pub fn length_prefixed(bytes: &[u8]) -> Frame {
    let Some(head) = bytes.first_chunk::<4>() else { return Frame::Incomplete };
    let whole = (u32::from_be_bytes(*head) as usize).saturating_add(4);
    if bytes.len() < whole { Frame::Incomplete } else { Frame::Message(whole) }
}

/// The bytes of one stream that are not yet handed over.
#[derive(Debug)]
pub struct Cutter {
    framing: Framing,
    limit: usize,
    buffer: BytesMut,
}

impl Cutter {
    /// A cutter that buffers at most `limit` bytes of one message.
    pub fn new(framing: Framing, limit: usize) -> Cutter {
        Cutter { framing, limit, buffer: BytesMut::new() }
    }

    /// Takes bytes as they arrive.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message.
    ///
    /// # Errors
    /// [`FlowError::Framing`] if the bytes cannot be a message or the message is too long.
    pub fn message(&mut self) -> Result<Option<Bytes>, FlowError> {
        while !self.buffer.is_empty() {
            match (self.framing)(&self.buffer) {
                Frame::Message(n) if n > 0 && n <= self.buffer.len() && n <= self.limit => {
                    return Ok(Some(self.buffer.split_to(n).freeze()));
                }
                Frame::Skip(n) if n > 0 && n <= self.buffer.len() => self.buffer.advance(n),
                Frame::Incomplete if self.buffer.len() <= self.limit => return Ok(None),
                _ => return Err(FlowError::Framing),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_every_split() {
        let stream = [&[0, 0, 0, 2, b'a', b'b'][..], &[0, 0, 0, 1, b'c']].concat();
        for split in 0..=stream.len() {
            let mut cutter = Cutter::new(length_prefixed, 100);
            let mut messages = Vec::new();
            for part in [&stream[..split], &stream[split..]] {
                cutter.push(part);
                while let Some(message) = cutter.message().unwrap() {
                    messages.push(message.slice(4..));
                }
            }
            assert_eq!(messages, [&b"ab"[..], b"c"]);
        }
    }

    #[test]
    fn too_long_is_a_violation() {
        let mut cutter = Cutter::new(length_prefixed, 8);
        cutter.push(&[0, 0, 1, 0, 1, 2, 3, 4]);
        assert_eq!(cutter.message(), Ok(None));
        cutter.push(&[5]);
        assert_eq!(cutter.message(), Err(FlowError::Framing));
    }
}
