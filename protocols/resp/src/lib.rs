//! RESP2, the protocol of Redis and Valkey: <https://valkey.io/topics/protocol/>.
//!
//! A stream is cut into [units](unit()), a line or a bulk string each, so that no reply has to be in memory as
//! one piece before it is read; a [`Reader`] puts them together again. [`command`] writes what a client
//! says, [`Value::encode`] what a server says.
#![forbid(unsafe_code)]

mod reader;
mod unit;
mod value;

pub use reader::Reader;
pub use unit::unit;
pub use value::{Value, command};

/// Bytes that are no RESP2.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Malformed {
    /// A type that RESP2 does not have.
    #[error("no type of RESP2")]
    Type,
    /// A number that is none, or a length below -1.
    #[error("no number")]
    Number,
    /// A bulk string without its CRLF, or a line without its own.
    #[error("a string does not end with CRLF")]
    End,
    /// Arrays within arrays, or elements of one reply, beyond what is read.
    #[error("too deep or too many elements")]
    TooMuch,
}
