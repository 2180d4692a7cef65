//! The tree that bencode and JSON both mean.

/// A value.
///
/// JSON has more: `true` and `false` are read as 1 and 0, `null` as an empty text, a number with a
/// fraction or an exponent as its text. Bencode texts are bytes; JSON shows what is not UTF-8 as
/// replacement characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// An integer.
    Int(i64),
    /// A text of any bytes.
    Text(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A dictionary.
    Dict(Dict),
}

impl Value {
    /// The text as UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }

    /// An integer, or a text of digits (Kamailio sends some numbers so).
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            text => text.as_str()?.trim().parse().ok(),
        }
    }

    /// The members of a list; a text is a list of one.
    pub fn as_list(&self) -> &[Value] {
        match self {
            Value::List(list) => list,
            one @ Value::Text(_) => std::slice::from_ref(one),
            _ => &[],
        }
    }

    /// The dictionary.
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Value::Dict(dict) => Some(dict),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.as_bytes().to_vec())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text.into_bytes())
    }
}

impl From<Vec<u8>> for Value {
    fn from(text: Vec<u8>) -> Value {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Value {
        Value::Int(int)
    }
}

impl From<u64> for Value {
    fn from(int: u64) -> Value {
        Value::Int(i64::try_from(int).unwrap_or(i64::MAX))
    }
}

impl From<Dict> for Value {
    fn from(dict: Dict) -> Value {
        Value::Dict(dict)
    }
}

impl FromIterator<Value> for Value {
    fn from_iter<I: IntoIterator<Item = Value>>(list: I) -> Value {
        Value::List(list.into_iter().collect())
    }
}

/// Keys and values in the order in which they were written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dict(Vec<(String, Value)>);

impl Dict {
    /// An empty dictionary.
    pub const fn new() -> Dict {
        Dict(Vec::new())
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    /// The first value of a key as UTF-8.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// Appends a key, whether it is there or not.
    pub fn push(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    /// The dictionary with one more key.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<Value>) -> Dict {
        self.push(key, value);
        self
    }

    /// All keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
