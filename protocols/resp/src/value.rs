//! What is said: commands, and what a server answers.

use base::Bytes;

/// A value of RESP2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// A short text, such as `OK`.
    Simple(Bytes),
    /// An error: its kind in capitals, a space, and words for people.
    Error(Bytes),
    /// A number.
    Integer(i64),
    /// A string of bytes; `None` is nil.
    Bulk(Option<Bytes>),
    /// Values; `None` is nil.
    Array(Option<Vec<Value>>),
}

impl Value {
    /// A string of bytes.
    pub fn bulk(bytes: impl Into<Bytes>) -> Value {
        Value::Bulk(Some(bytes.into()))
    }

    /// The bytes of a string or of a short text.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Value::Simple(bytes) | Value::Bulk(Some(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(Some(values)) => Some(values),
            _ => None,
        }
    }

    /// A number, also one that is written as a string.
    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Integer(n) => u64::try_from(*n).ok(),
            _ => std::str::from_utf8(self.bytes()?).ok()?.parse().ok(),
        }
    }

    /// Whether it is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Bulk(None) | Value::Array(None))
    }

    /// As it is sent. Line ends within a text become spaces: they would end it.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out.into()
    }

    fn encode_to(&self, out: &mut Vec<u8>) {
        let line = |out: &mut Vec<u8>, kind: u8, text: &[u8]| {
            out.push(kind);
            out.extend(text.iter().map(|byte| if b"\r\n".contains(byte) { b' ' } else { *byte }));
            out.extend_from_slice(b"\r\n");
        };
        match self {
            Value::Simple(text) => line(out, b'+', text),
            Value::Error(text) => line(out, b'-', text),
            Value::Integer(n) => line(out, b':', n.to_string().as_bytes()),
            Value::Bulk(None) => line(out, b'$', b"-1"),
            Value::Bulk(Some(bytes)) => string(out, bytes),
            Value::Array(None) => line(out, b'*', b"-1"),
            Value::Array(Some(values)) => {
                line(out, b'*', values.len().to_string().as_bytes());
                values.iter().for_each(|value| value.encode_to(out));
            }
        }
    }
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A command: its name and arguments.
pub fn command(parts: &[&[u8]]) -> Bytes {
    let mut out = format!("*{}\r\n", parts.len()).into_bytes();
    parts.iter().for_each(|part| string(&mut out, part));
    out.into()
}
