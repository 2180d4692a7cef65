//! A datagram: cookie, space, dictionary.

use crate::value::{Dict, Value};
use crate::{bencode, json};

/// How a dictionary is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Bencode.
    Bencode,
    /// JSON.
    Json,
}

/// Why bytes are no dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DecodeError {
    /// It ends too early.
    #[error("truncated")]
    Truncated,
    /// Something stands behind it.
    #[error("something stands behind the dictionary")]
    Trailing,
    /// It nests too deeply.
    #[error("nested too deeply")]
    Depth,
    /// Anything else.
    #[error("syntax error")]
    Syntax,
    /// It is another value.
    #[error("not a dictionary")]
    NotDict,
}

/// Why a datagram is no message.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MessageError {
    /// There is no cookie: nothing can be answered.
    #[error("no cookie")]
    NoCookie,
    /// There is a cookie, so that an error can be answered, and no dictionary.
    #[error("{error}")]
    Body {
        /// The cookie.
        cookie: String,
        /// How an answer is written.
        encoding: Encoding,
        /// What is wrong.
        error: DecodeError,
    },
}

/// The longest cookie that is accepted.
const MAX_COOKIE: usize = 255;

/// The longest `ping`, or `pong`, that is one.
const MAX_PING: usize = 512;

/// A request or response with its cookie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What the response is matched by: printable characters without a space.
    pub cookie: String,
    /// How the dictionary is written.
    pub encoding: Encoding,
    /// The dictionary.
    pub dict: Dict,
}

impl Message {
    /// Reads a datagram.
    ///
    /// # Errors
    /// [`MessageError`]
    pub fn parse(bytes: &[u8]) -> Result<Message, MessageError> {
        let head = &bytes[..bytes.len().min(MAX_COOKIE + 1)];
        let space = head.iter().position(|b| *b == b' ').ok_or(MessageError::NoCookie)?;
        let cookie = std::str::from_utf8(&head[..space]).map_err(|_| MessageError::NoCookie)?;
        if cookie.is_empty() || !cookie.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(MessageError::NoCookie);
        }
        let body = &bytes[space + 1..];
        let (encoding, value) = match body.first() {
            Some(b'{') => (Encoding::Json, json::decode(body)),
            _ => (Encoding::Bencode, bencode::decode(body)),
        };
        let cookie = cookie.to_owned();
        match value {
            Ok(Value::Dict(dict)) => Ok(Message { cookie, encoding, dict }),
            Ok(_) => Err(MessageError::Body { cookie, encoding, error: DecodeError::NotDict }),
            Err(error) => Err(MessageError::Body { cookie, encoding, error }),
        }
    }

    /// Whether bytes only ask whether somebody is there, or say so: `ping` and `pong`. Long ones are not looked at.
    pub fn is_ping(bytes: &[u8]) -> bool {
        let is = |dict: &Dict, key, word| dict.text(key) == Some(word);
        bytes.len() <= MAX_PING
            && Message::parse(bytes).is_ok_and(|Message { dict, .. }| {
                is(&dict, "command", "ping") || is(&dict, "result", "pong")
            })
    }

    /// The datagram.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = self.cookie.clone().into_bytes();
        out.push(b' ');
        match self.encoding {
            Encoding::Bencode => bencode::encode_dict(&self.dict, &mut out),
            Encoding::Json => json::encode_dict(&self.dict, &mut out),
        }
        out
    }
}
