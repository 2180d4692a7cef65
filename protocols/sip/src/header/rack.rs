//! RAck, RFC 3262 §7.2.

use core::fmt;

use super::CSeq;

/// The provisional response that a PRACK acknowledges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RAck {
    /// RSeq of the response.
    pub rseq: u32,
    /// CSeq of the response.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads the value.
    pub fn parse(value: &str) -> Option<RAck> {
        let (rseq, cseq) = value.trim().split_once([' ', '\t'])?;
        Some(RAck { rseq: rseq.parse().ok()?, cseq: CSeq::parse(cseq)? })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}
