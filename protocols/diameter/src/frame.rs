//! Cuts a byte stream into messages, RFC 6733 §3.

use crate::header::{HEADER_LEN, MAX_LEN};

/// What the start of a stream is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    /// At least this many bytes in total are needed to tell more.
    Need(usize),
    /// A whole message of this length stands at the start.
    Message(usize),
    /// No Diameter: the connection cannot be read any further.
    Malformed,
}

/// Looks at the start of a stream. A message of a foreign version is let through if its length is
/// believable, so that it can be answered.
pub fn frame(buf: &[u8]) -> Frame {
    let Some([_, a, b, c]) = buf.first_chunk::<4>() else {
        return Frame::Need(4);
    };
    let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
    if !(HEADER_LEN..=MAX_LEN).contains(&len) || !len.is_multiple_of(4) {
        Frame::Malformed
    } else if buf.len() < len {
        Frame::Need(len)
    } else {
        Frame::Message(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts() {
        assert_eq!(frame(&[]), Frame::Need(4));
        assert_eq!(frame(&[1, 0, 0, 20]), Frame::Need(20));
        let mut two = [0; 25];
        two[..4].copy_from_slice(&[1, 0, 0, 20]);
        assert_eq!(frame(&two), Frame::Message(20));
        assert_eq!(frame(&[1, 0, 0, 16]), Frame::Malformed);
        assert_eq!(frame(&[1, 0, 0, 21]), Frame::Malformed);
        assert_eq!(frame(b"GET / HTTP/1.1\r\n"), Frame::Malformed);
    }
}
