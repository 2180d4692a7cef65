//! Frames, RFC 6455 §5.2.

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opcode {
    /// More of a message.
    Continuation = 0,
    /// UTF-8.
    Text = 1,
    /// Bytes.
    Binary = 2,
    /// The end.
    Close = 8,
    /// Are you there?
    Ping = 9,
    /// Yes.
    Pong = 10,
}

impl Opcode {
    fn of(bits: u8) -> Option<Opcode> {
        use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
        [Continuation, Text, Binary, Close, Ping, Pong].into_iter().find(|o| *o as u8 == bits)
    }

    pub(crate) const fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// Why a connection has to end, by its status code (RFC 6455 §7.4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// What the standard forbids.
    Protocol = 1002,
    /// A text that is not UTF-8.
    Text = 1007,
    /// A message that is too long.
    Length = 1009,
}

/// The head of a frame that a client sent.
pub(crate) struct Head {
    pub(crate) last: bool,
    pub(crate) opcode: Opcode,
    pub(crate) mask: [u8; 4],
    /// Bytes of the head.
    pub(crate) size: usize,
    /// Bytes behind it.
    pub(crate) length: usize,
}

impl Head {
    /// Reads it; `None` if it is not there as a whole.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Head>, Violation> {
        let Some([first, second]) = bytes.first_chunk() else { return Ok(None) };
        let last = first & 0x80 != 0;
        let opcode = Opcode::of(first & 0x0f).filter(|_| first & 0x70 == 0);
        // A client masks whatever it sends.
        let opcode = opcode.filter(|_| second & 0x80 != 0).ok_or(Violation::Protocol)?;
        let short = second & 0x7f;
        if opcode.is_control() && (!last || short > 125) {
            return Err(Violation::Protocol);
        }
        let (least, more) = match short {
            126 => (126, 2),
            127 => (1 << 16, 8),
            _ => (0, 0),
        };
        let Some(masked) = bytes.get(2 + more..6 + more) else { return Ok(None) };
        let length = match more {
            0 => u64::from(short),
            _ => bytes[2..2 + more].iter().fold(0, |all, byte| (all << 8) | u64::from(*byte)),
        };
        if length < least || length >> 63 != 0 {
            return Err(Violation::Protocol);
        }
        let length = usize::try_from(length).map_err(|_| Violation::Length)?;
        let mut mask = [0; 4];
        mask.copy_from_slice(masked);
        Ok(Some(Head { last, opcode, mask, size: 6 + more, length }))
    }
}

fn head(opcode: Opcode, length: usize, mask: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 14);
    out.push(0x80 | opcode as u8);
    match length {
        0..126 => out.push(mask | length as u8),
        126..65_536 => {
            out.push(mask | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out
}

/// A whole message in one frame, as a server sends it.
#[inline(never)]
pub fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = head(opcode, payload.len(), 0);
    out.extend_from_slice(payload);
    out
}

/// A whole message in one frame, as a client sends it, with a mask that nobody can foresee (§5.3).
pub fn masked(opcode: Opcode, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut out = head(opcode, payload.len(), 0x80);
    out.extend_from_slice(&mask);
    let begin = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[begin..], mask);
    out
}

/// A server's close frame with a status code.
pub fn close(code: u16) -> Vec<u8> {
    frame(Opcode::Close, &code.to_be_bytes())
}

/// Puts a mask on bytes or takes it off, §5.3.
pub(crate) fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    bytes.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §5.7.
    #[test]
    fn the_examples_of_the_standard() {
        assert_eq!(frame(Opcode::Text, b"Hello"), b"\x81\x05Hello");
        let masked = masked(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(masked, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert_eq!(frame(Opcode::Binary, &[7; 256])[..4], *b"\x82\x7e\x01\x00");
        assert_eq!(frame(Opcode::Binary, &[7; 65_536])[..10], *b"\x82\x7f\0\0\0\0\0\x01\0\0");
        assert_eq!(close(1000), b"\x88\x02\x03\xe8");
    }

    #[test]
    fn what_is_forbidden_is_refused() {
        let refused = [
            &b"\x81\x05Hello"[..],
            b"\xc1\x85",
            b"\x83\x80",
            b"\x8b\x80",
            b"\x09\x80",
            b"\x89\xfe\x00\x7e0000",
            b"\x81\xfe\x00\x7d0000",
            b"\x81\xff\0\0\0\0\0\0\xff\xff0000",
            b"\x81\xff\x80\0\0\0\0\x01\0\x000000",
        ];
        for bytes in refused {
            assert!(
                matches!(Head::parse(bytes), Err(Violation::Protocol)),
                "{}",
                bytes.escape_ascii()
            );
        }
        for part in [&b"\x81"[..], b"\x81\x80", b"\x81\xfe\x00\x7e000"] {
            assert!(matches!(Head::parse(part), Ok(None)), "{}", part.escape_ascii());
        }
    }
}
