//! Secrets that never show themselves.

use core::fmt;

/// A secret value: `Debug` and `Display` print only its kind. Whoever needs the value says
/// [`reveal`](Secret::reveal), which is easy to search for.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// The value itself.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A secret field of a record, as it is: `#[serde(with = "base::redact::revealed")]`. Whoever can read the store of such records
/// has its secrets.
pub mod revealed {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Secret;

    /// Writes the value itself.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Serialize, S: Serializer>(
        secret: &Secret<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        secret.reveal().serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Secret<T>, D::Error> {
        T::deserialize(deserializer).map(Secret::new)
    }
}

/// The byte that secrets are overwritten with in traces: a character that is legal in every token,
/// quoted string and base-64 text, so that decoders still decode.
pub const MASK: u8 = b'x';

/// Overwrites a secret in place with as many bytes.
pub fn mask(bytes: &mut [u8]) {
    bytes.fill(MASK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        let secret = Secret::new("465b5ce8");
        assert_eq!(format!("{secret:?} {secret}"), "<secret> <secret>");
        assert_eq!(*secret.reveal(), "465b5ce8");
    }
}
