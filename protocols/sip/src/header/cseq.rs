//! CSeq, RFC 3261 §20.16.

use core::fmt;

use crate::method::Method;

/// Sequence number and method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CSeq {
    /// The number, below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads the value.
    pub fn parse(value: &str) -> Option<CSeq> {
        let value = value.trim_ascii();
        let blank = value.bytes().position(|byte| matches!(byte, b' ' | b'\t'))?;
        let number = value[..blank].parse().ok().filter(|n| *n < 1 << 31)?;
        let method = value[blank + 1..].trim_ascii();
        crate::lex::is_token(method).then(|| CSeq { number, method: Method::parse(method) })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}
