//! Bencode: `i5e`, `3:abc`, `l…e`, `d…e`. Keys keep their order; real peers do not sort them.

use std::io::Write as _;

use crate::message::DecodeError;
use crate::value::{Dict, Value};

/// How deep lists and dictionaries may nest.
pub const MAX_DEPTH: usize = 16;

/// Reads one value that fills all bytes; line ends behind it are forgiven.
///
/// # Errors
/// [`DecodeError`]
pub fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut rest = bytes;
    let value = value(&mut rest, 0)?;
    if rest.iter().all(|b| matches!(b, b'\r' | b'\n')) {
        Ok(value)
    } else {
        Err(DecodeError::Trailing)
    }
}

fn value(rest: &mut &[u8], depth: usize) -> Result<Value, DecodeError> {
    let first = *rest.first().ok_or(DecodeError::Truncated)?;
    if matches!(first, b'l' | b'd') && depth == MAX_DEPTH {
        return Err(DecodeError::Depth);
    }
    match first {
        b'i' => {
            let end = find(rest, b'e')?;
            let int = number(&rest[1..end])?;
            *rest = &rest[end + 1..];
            Ok(Value::Int(int))
        }
        b'0'..=b'9' => text(rest).map(|text| Value::Text(text.to_vec())),
        b'l' => {
            *rest = &rest[1..];
            let mut list = Vec::new();
            while !ended(rest)? {
                list.push(value(rest, depth + 1)?);
            }
            Ok(Value::List(list))
        }
        b'd' => {
            *rest = &rest[1..];
            let mut dict = Dict::new();
            while !ended(rest)? {
                let key = String::from_utf8_lossy(text(rest)?).into_owned();
                dict.push(key, value(rest, depth + 1)?);
            }
            Ok(Value::Dict(dict))
        }
        _ => Err(DecodeError::Syntax),
    }
}

fn ended(rest: &mut &[u8]) -> Result<bool, DecodeError> {
    match rest {
        [] => Err(DecodeError::Truncated),
        [b'e', tail @ ..] => {
            *rest = tail;
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn text<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let colon = find(rest, b':')?;
    let length = usize::try_from(number(&rest[..colon])?).map_err(|_| DecodeError::Syntax)?;
    let tail = &rest[colon + 1..];
    let text = tail.get(..length).ok_or(DecodeError::Truncated)?;
    *rest = &tail[length..];
    Ok(text)
}

fn find(rest: &[u8], wanted: u8) -> Result<usize, DecodeError> {
    // No number is longer than 20 characters; anything else is not searched through.
    let head = &rest[..rest.len().min(22)];
    let missing = if rest.len() > 22 { DecodeError::Syntax } else { DecodeError::Truncated };
    head.iter().position(|b| *b == wanted).ok_or(missing)
}

fn number(digits: &[u8]) -> Result<i64, DecodeError> {
    let text = std::str::from_utf8(digits).map_err(|_| DecodeError::Syntax)?;
    text.parse().map_err(|_| DecodeError::Syntax)
}

/// Appends a value.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Int(int) => push(out, format_args!("i{int}e")),
        Value::Text(text) => encode_text(text, out),
        Value::List(list) => {
            out.push(b'l');
            list.iter().for_each(|value| encode(value, out));
            out.push(b'e');
        }
        Value::Dict(dict) => encode_dict(dict, out),
    }
}

/// Appends a dictionary.
pub fn encode_dict(dict: &Dict, out: &mut Vec<u8>) {
    out.push(b'd');
    for (key, value) in dict.iter() {
        encode_text(key.as_bytes(), out);
        encode(value, out);
    }
    out.push(b'e');
}

fn encode_text(text: &[u8], out: &mut Vec<u8>) {
    push(out, format_args!("{}:", text.len()));
    out.extend_from_slice(text);
}

fn push(out: &mut Vec<u8>, args: std::fmt::Arguments<'_>) {
    out.write_fmt(args).expect("writing to a vector never fails");
}
