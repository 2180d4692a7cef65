//! Where the first unit of a stream ends.

use crate::Malformed;

/// The longest line: a type, a number or a text, and CRLF.
const LINE: usize = 64 * 1024;

/// The length of the first unit: a line with its CRLF, and the string behind it if the line is the head of
/// a bulk string. `None` if it is not whole yet.
///
/// # Errors
/// If no unit can begin like this.
pub fn unit(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(kind) = bytes.first() else { return Ok(None) };
    if !b"+-:$*".contains(kind) {
        return Err(Malformed::Type);
    }
    let Some(end) = bytes.iter().take(LINE).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LINE { Ok(None) } else { Err(Malformed::End) };
    };
    if bytes[end - 1] != b'\r' {
        return Err(Malformed::End);
    }
    let head = end + 1;
    if *kind != b'$' {
        return Ok(Some(head));
    }
    let Some(length) = length(&bytes[1..end - 1])? else { return Ok(Some(head)) };
    let whole = head.checked_add(length).and_then(|n| n.checked_add(2)).ok_or(Malformed::Number)?;
    if bytes.len() < whole {
        return Ok(None);
    }
    if &bytes[whole - 2..whole] != b"\r\n" {
        return Err(Malformed::End);
    }
    Ok(Some(whole))
}

/// A length; `None` is -1, for what is not there.
pub(crate) fn length(digits: &[u8]) -> Result<Option<usize>, Malformed> {
    match number(digits)? {
        -1 => Ok(None),
        n => usize::try_from(n).map(Some).map_err(|_| Malformed::Number),
    }
}

pub(crate) fn number(digits: &[u8]) -> Result<i64, Malformed> {
    let text = std::str::from_utf8(digits).map_err(|_| Malformed::Number)?;
    text.parse().map_err(|_| Malformed::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_a_line_or_a_string() {
        for (stream, length) in [
            (&b"+OK\r\n+OK\r\n"[..], 5),
            (b"*2\r\n$1\r\na\r\n", 4),
            (b"$1\r\na\r\n:5\r\n", 7),
            (b"$0\r\n\r\n", 6),
            (b"$-1\r\n", 5),
            (b"$4\r\n\r\n\r\n\r\n", 10),
        ] {
            assert_eq!(unit(stream), Ok(Some(length)));
            assert!((0..length).all(|n| unit(&stream[..n]) == Ok(None)));
        }
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for stream in [&b"\r\n"[..], b"hello\r\n", b"+OK\n", b"$x\r\n", b"$-2\r\n", b"$1\r\nabc"] {
            assert!(unit(stream).is_err(), "{stream:?}");
        }
        assert!(unit(&[b'+'; LINE]).is_err());
        assert!(unit(b"$9223372036854775807\r\n").is_ok_and(|n| n.is_none()));
    }
}
