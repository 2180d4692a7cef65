//! JSON, RFC 8259, as far as NG needs it.

use std::io::Write as _;

use crate::bencode::MAX_DEPTH;
use crate::message::DecodeError;
use crate::value::{Dict, Value};

/// Reads one value that fills all bytes; white space around it is forgiven.
///
/// # Errors
/// [`DecodeError`]
pub fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader { rest: bytes };
    let value = reader.value(0)?;
    reader.space();
    if reader.rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing) }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn next(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    fn expect(&mut self, wanted: u8) -> Result<(), DecodeError> {
        self.space();
        if self.next()? == wanted { Ok(()) } else { Err(DecodeError::Syntax) }
    }

    fn value(&mut self, depth: usize) -> Result<Value, DecodeError> {
        self.space();
        match self.rest.first().ok_or(DecodeError::Truncated)? {
            b'{' | b'[' if depth == MAX_DEPTH => Err(DecodeError::Depth),
            b'{' => {
                let mut dict = Dict::new();
                self.members(b'}', |reader| {
                    reader.space();
                    let key = String::from_utf8_lossy(&reader.text()?).into_owned();
                    reader.expect(b':')?;
                    dict.push(key, reader.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Value::Dict(dict))
            }
            b'[' => {
                let mut list = Vec::new();
                self.members(b']', |reader| {
                    list.push(reader.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Value::List(list))
            }
            b'"' => self.text().map(Value::Text),
            b'-' | b'0'..=b'9' => Ok(self.number()),
            b't' => self.word("true", Value::Int(1)),
            b'f' => self.word("false", Value::Int(0)),
            b'n' => self.word("null", Value::Text(Vec::new())),
            _ => Err(DecodeError::Syntax),
        }
    }

    fn members(
        &mut self,
        end: u8,
        mut member: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.next()?;
        self.space();
        if self.rest.first() == Some(&end) {
            self.next()?;
            return Ok(());
        }
        loop {
            member(self)?;
            self.space();
            match self.next()? {
                b',' => {}
                byte if byte == end => return Ok(()),
                _ => return Err(DecodeError::Syntax),
            }
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, DecodeError> {
        self.rest = self.rest.strip_prefix(word.as_bytes()).ok_or(DecodeError::Syntax)?;
        Ok(value)
    }

    fn number(&mut self) -> Value {
        let part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let end = self.rest.iter().position(|b| !part(b)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(end);
        self.rest = rest;
        let text = Value::Text(number.to_vec());
        text.as_int().map_or(text, Value::Int)
    }

    fn text(&mut self) -> Result<Vec<u8>, DecodeError> {
        if self.next()? != b'"' {
            return Err(DecodeError::Syntax);
        }
        let mut out = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Ok(out),
                b'\\' => match self.next()? {
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'b' => out.push(8),
                    b'f' => out.push(12),
                    byte @ (b'"' | b'\\' | b'/') => out.push(byte),
                    b'u' => {
                        let char = self.unicode()?;
                        out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                    _ => return Err(DecodeError::Syntax),
                },
                byte => out.push(byte),
            }
        }
    }

    fn unicode(&mut self) -> Result<char, DecodeError> {
        let first = self.hex()?;
        let code = match first {
            // A surrogate pair, RFC 8259 §7; half a pair is a replacement character.
            0xd800..0xdc00 if self.rest.starts_with(b"\\u") => {
                self.rest = &self.rest[2..];
                match self.hex()? {
                    second @ 0xdc00..0xe000 => {
                        0x1_0000 + ((first - 0xd800) << 10) + second - 0xdc00
                    }
                    _ => first,
                }
            }
            _ => first,
        };
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, DecodeError> {
        let digits = self.rest.get(..4).ok_or(DecodeError::Truncated)?;
        self.rest = &self.rest[4..];
        let digit = |b: &u8| char::from(*b).to_digit(16).ok_or(DecodeError::Syntax);
        digits.iter().try_fold(0, |code, b| Ok(code << 4 | digit(b)?))
    }
}

/// Appends a value.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Int(int) => write!(out, "{int}").expect("writing to a vector never fails"),
        Value::Text(text) => encode_text(&String::from_utf8_lossy(text), out),
        Value::List(list) => {
            out.push(b'[');
            for (n, value) in list.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                encode(value, out);
            }
            out.push(b']');
        }
        Value::Dict(dict) => encode_dict(dict, out),
    }
}

/// Appends a dictionary.
pub fn encode_dict(dict: &Dict, out: &mut Vec<u8>) {
    out.push(b'{');
    for (n, (key, value)) in dict.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        encode_text(key, out);
        out.push(b':');
        encode(value, out);
    }
    out.push(b'}');
}

fn encode_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0..0x20 => {
                write!(out, "\\u{byte:04x}").expect("writing to a vector never fails");
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
