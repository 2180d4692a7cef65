//! JSON, RFC 8259, as far as NG needs it.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::error::Category;

use crate::bencode::MAX_DEPTH;
use crate::message::DecodeError;
use crate::value::{Dict, Value};

/// Reads one value that fills all bytes; white space around it is forgiven.
///
/// # Errors
/// [`DecodeError`]
pub fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Nested { depth: 0 }.deserialize(&mut deserializer);
    let value = value.map_err(|error| match error.classify() {
        Category::Eof => DecodeError::Truncated,
        Category::Data => DecodeError::Depth,
        Category::Syntax | Category::Io => DecodeError::Syntax,
    })?;
    deserializer.end().map_err(|_| DecodeError::Trailing)?;
    Ok(value)
}

/// A value so deep within others.
struct Nested {
    depth: usize,
}

impl Nested {
    fn inner<E: Error>(&self) -> Result<usize, E> {
        if self.depth == MAX_DEPTH { Err(E::custom("too deep")) } else { Ok(self.depth + 1) }
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.to_string().into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok("".into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut list = Vec::new();
        while let Some(value) = members.next_element_seed(Nested { depth })? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let depth = self.inner()?;
        let mut dict = Dict::new();
        while let Some(key) = members.next_key::<String>()? {
            dict.push(key, members.next_value_seed(Nested { depth })?);
        }
        Ok(Value::Dict(dict))
    }
}

/// Appends a value.
pub fn encode(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing to a vector never fails");
}

/// Appends a dictionary.
pub fn encode_dict(dict: &Dict, out: &mut Vec<u8>) {
    serde_json::to_writer(out, dict).expect("writing to a vector never fails");
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Int(int) => serializer.serialize_i64(*int),
            Value::Text(text) => serializer.serialize_str(&String::from_utf8_lossy(text)),
            Value::List(list) => serializer.collect_seq(list),
            Value::Dict(dict) => dict.serialize(serializer),
        }
    }
}

impl Serialize for Dict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
