//! Crypto suites: RFC 4568 §6.2, RFC 6188, RFC 7714 §12, and two that others offer without encryption.

/// A crypto suite, the strongest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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

/// Octets that the authentication tag of an SRTCP packet has where it is HMAC: RFC 4568 §6.2.2 leaves it at 80 bits
/// where that of SRTP has 32.
pub(crate) const RTCP_HMAC_TAG: usize = 10;

/// Octets of a GCM tag, RFC 7714 §13.1.
pub(crate) const GCM_TAG: usize = 16;

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

    /// The SRTPProtectionProfile of DTLS-SRTP, if it has one: RFC 5764 §4.1.2, RFC 7714 §14.2.
    pub fn profile(self) -> Option<u16> {
        match self {
            Suite::AesCm128HmacSha1_80 => Some(1),
            Suite::AesCm128HmacSha1_32 => Some(2),
            Suite::NullHmacSha1_80 => Some(5),
            Suite::NullHmacSha1_32 => Some(6),
            Suite::AeadAes128Gcm => Some(7),
            Suite::AeadAes256Gcm => Some(8),
            _ => None,
        }
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
            Suite::AeadAes256Gcm | Suite::AeadAes128Gcm => GCM_TAG,
            Suite::Aes256CmHmacSha1_32
            | Suite::Aes192CmHmacSha1_32
            | Suite::AesCm128HmacSha1_32
            | Suite::NullHmacSha1_32 => 4,
            _ => 10,
        }
    }

    pub(crate) fn is_aead(self) -> bool {
        matches!(self, Suite::AeadAes256Gcm | Suite::AeadAes128Gcm)
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
}
