//! SRTP's crypto suites and master keys: RFC 3711, RFC 4568 §6.2, RFC 6188, RFC 7714 §12, and two suites that others
//! offer without encryption.

use crate::redact::Secret;
use serde::{Deserialize, Serialize};

/// A crypto suite, the strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the standards'")]
pub enum Suite {
    AeadAes256Gcm,
    AeadAes128Gcm,
    Aes256CmHmacSha1_80,
    Aes256CmHmacSha1_32,
    Aes192CmHmacSha1_80,
    Aes192CmHmacSha1_32,
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    F8128HmacSha1_80,
    NullHmacSha1_80,
    NullHmacSha1_32,
}

impl Suite {
    /// All of them, the strongest first.
    pub const ALL: [Suite; 11] = [
        Suite::AeadAes256Gcm,
        Suite::AeadAes128Gcm,
        Suite::Aes256CmHmacSha1_80,
        Suite::Aes256CmHmacSha1_32,
        Suite::Aes192CmHmacSha1_80,
        Suite::Aes192CmHmacSha1_32,
        Suite::AesCm128HmacSha1_80,
        Suite::AesCm128HmacSha1_32,
        Suite::F8128HmacSha1_80,
        Suite::NullHmacSha1_80,
        Suite::NullHmacSha1_32,
    ];

    /// The name in `a=crypto`.
    pub fn name(self) -> &'static str {
        match self {
            Suite::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Suite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Suite::Aes256CmHmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Suite::Aes256CmHmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Suite::Aes192CmHmacSha1_80 => "AES_192_CM_HMAC_SHA1_80",
            Suite::Aes192CmHmacSha1_32 => "AES_192_CM_HMAC_SHA1_32",
            Suite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Suite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Suite::F8128HmacSha1_80 => "F8_128_HMAC_SHA1_80",
            Suite::NullHmacSha1_80 => "NULL_HMAC_SHA1_80",
            Suite::NullHmacSha1_32 => "NULL_HMAC_SHA1_32",
        }
    }

    /// The suite of a name, in whatever case.
    pub fn parse(name: &str) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }

    /// Octets of the master key, and of each session key for encryption.
    pub fn key_length(self) -> usize {
        match self {
            Suite::AeadAes256Gcm | Suite::Aes256CmHmacSha1_80 | Suite::Aes256CmHmacSha1_32 => 32,
            Suite::Aes192CmHmacSha1_80 | Suite::Aes192CmHmacSha1_32 => 24,
            _ => 16,
        }
    }

    /// Octets of the master salt.
    pub fn salt_length(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Octets of the authentication tag of an SRTP packet.
    pub fn tag_length(self) -> usize {
        match self {
            Suite::AeadAes256Gcm | Suite::AeadAes128Gcm => 16,
            Suite::Aes256CmHmacSha1_32
            | Suite::Aes192CmHmacSha1_32
            | Suite::AesCm128HmacSha1_32
            | Suite::NullHmacSha1_32 => 4,
            _ => 10,
        }
    }

    /// Whether it authenticates with its cipher, RFC 7714.
    pub fn is_aead(self) -> bool {
        matches!(self, Suite::AeadAes256Gcm | Suite::AeadAes128Gcm)
    }
}

/// Key material has not the length that its suite asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a master key and salt of {0} octets are needed")]
pub struct BadKey(pub usize);

/// The master key and salt of one direction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct MasterKey {
    suite: Suite,
    /// The key, and behind it the salt.
    #[serde(with = "crate::redact::revealed")]
    octets: Secret<Vec<u8>>,
    /// The MKI that its packets carry; empty without one.
    pub mki: Vec<u8>,
}

/// A master key in a record that may be broken.
#[derive(Deserialize)]
struct Written {
    suite: Suite,
    octets: Vec<u8>,
    mki: Vec<u8>,
}

impl TryFrom<Written> for MasterKey {
    type Error = BadKey;

    fn try_from(Written { suite, octets, mki }: Written) -> Result<MasterKey, BadKey> {
        Ok(MasterKey { mki, ..MasterKey::new(suite, &octets)? })
    }
}

impl MasterKey {
    /// Of the master key and, behind it, the master salt.
    ///
    /// # Errors
    /// [`BadKey`] if the length is not that of the suite.
    pub fn new(suite: Suite, octets: &[u8]) -> Result<MasterKey, BadKey> {
        let wanted = MasterKey::length(suite);
        if octets.len() != wanted {
            return Err(BadKey(wanted));
        }
        Ok(MasterKey { suite, octets: Secret::new(octets.to_vec()), mki: Vec::new() })
    }

    /// Octets of a suite's master key and salt together.
    pub fn length(suite: Suite) -> usize {
        suite.key_length() + suite.salt_length()
    }

    /// What it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The key, and behind it the salt: for SDP, and for a record that another node goes on with.
    pub fn octets(&self) -> &Secret<Vec<u8>> {
        &self.octets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_is_found_by_its_name() {
        for suite in Suite::ALL {
            assert_eq!(Suite::parse(suite.name()), Some(suite));
            assert_eq!(Suite::parse(&suite.name().to_lowercase()), Some(suite));
        }
        assert_eq!(Suite::parse("AES_CM_128"), None);
    }

    #[test]
    fn a_key_has_the_length_of_its_suite() {
        assert_eq!(MasterKey::new(Suite::AesCm128HmacSha1_80, &[0; 28]).err(), Some(BadKey(30)));
        for suite in Suite::ALL {
            let length = MasterKey::length(suite);
            assert!(MasterKey::new(suite, &vec![0; length]).is_ok());
            assert!(MasterKey::new(suite, &vec![0; length + 1]).is_err());
        }
    }
}
