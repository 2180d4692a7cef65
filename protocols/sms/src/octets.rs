//! Octets that are not too many for where they go.

use std::ops::Deref;

/// At most `MOST` octets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Octets<const MOST: usize>(Vec<u8>);

/// More than there is room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{length} where at most {most} have room")]
pub struct TooLong {
    /// How long it is.
    pub length: usize,
    /// How long it may be.
    pub most: usize,
}

impl TooLong {
    /// Whether a length is legal.
    pub(crate) fn check(length: usize, most: usize) -> Result<(), TooLong> {
        if length <= most { Ok(()) } else { Err(TooLong { length, most }) }
    }
}

impl<const MOST: usize> Octets<MOST> {
    /// Checks and takes the octets.
    ///
    /// # Errors
    /// [`TooLong`] if there are more than `MOST`.
    pub fn new(octets: impl Into<Vec<u8>>) -> Result<Octets<MOST>, TooLong> {
        let octets = octets.into();
        TooLong::check(octets.len(), MOST)?;
        Ok(Octets(octets))
    }
}

impl<const MOST: usize> Deref for Octets<MOST> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MOST: usize> std::fmt::Debug for Octets<MOST> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}
