//! Octets field by field, and the error that names the field.

use crate::octets::TooLong;

/// What is wrong, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field} at offset {offset}: {fault}")]
pub struct ParseError {
    /// The field, as its standard calls it, such as `"TP-DA"`.
    pub field: &'static str,
    /// Where it begins, in octets from the start of what was parsed.
    pub offset: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What may be wrong with a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// The octets end before the field does.
    #[error("octets missing: {missing}")]
    Truncated {
        /// So many more are needed.
        missing: usize,
    },
    /// The field is longer than its standard allows.
    #[error("its length is {0}")]
    TooLong(#[from] TooLong),
    /// A half octet that is no digit.
    #[error("there is no digit {0:#x}")]
    Digit(u8),
    /// A message type that is reserved, or that this carrier does not carry.
    #[error("no message of type {0} can be here")]
    MessageType(u8),
    /// The user data header is longer than the user data.
    #[error("the header is longer than the user data")]
    Header,
}

/// Reads from the front.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// How many octets were read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn octet(&mut self, field: &'static str) -> Result<u8, ParseError> {
        Ok(self.array::<1>(field)?[0])
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], ParseError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(field, N)?);
        Ok(out)
    }

    pub(crate) fn take(
        &mut self,
        field: &'static str,
        count: usize,
    ) -> Result<&'a [u8], ParseError> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..count) else {
            let fault = Fault::Truncated { missing: count - rest.len() };
            return Err(ParseError { field, offset: self.at, fault });
        };
        self.at += count;
        Ok(taken)
    }
}
