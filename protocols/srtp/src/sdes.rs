//! Keys in SDP: the attribute `crypto` of RFC 4568, and the words of its lines that are not ours are kept.

use core::fmt;
use serde::{Deserialize, Serialize};

use base::relay::{MasterKey, Suite};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

/// Octets of an MKI at most, RFC 4568 §6.1.
const MAX_MKI: usize = 128;

/// Why a line gives no key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SdesError {
    /// Not a tag, a suite and a key.
    #[error("no tag, suite and key")]
    Syntax,
    /// A suite that is not known here; the next line may have one that is.
    #[error("the suite {0} is not known")]
    UnknownSuite(String),
    /// No key of the length of its suite.
    #[error("the key has not the length of {}", .0.name())]
    Key(Suite),
    /// A session parameter that changes what packets look like, and that is not done here.
    #[error("the session parameter {0} is not known")]
    Parameter(String),
}

/// A line `a=crypto`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Crypto {
    /// Which of the lines an answer accepts.
    pub tag: u32,
    /// The master key and its suite.
    pub key: MasterKey,
    /// How many packets it is for, as it was written.
    pub lifetime: Option<String>,
    /// Session parameters that change no packet: WSH and unknown ones that may be overlooked (a `-` before them).
    pub parameters: Vec<String>,
}

impl Crypto {
    /// A line with a key and nothing else.
    pub fn new(tag: u32, key: MasterKey) -> Crypto {
        Crypto { tag, key, lifetime: None, parameters: Vec::new() }
    }

    /// Reads what stands behind `a=crypto:`. Of several keys the first one counts.
    ///
    /// # Errors
    /// [`SdesError`]
    pub fn parse(value: &str) -> Result<Crypto, SdesError> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9).and_then(|tag| tag.parse().ok());
        let tag = tag.ok_or(SdesError::Syntax)?;
        let name = words.next().ok_or(SdesError::Syntax)?;
        let suite = Suite::parse(name).ok_or_else(|| SdesError::UnknownSuite(name.to_owned()))?;
        let keys = words.next().ok_or(SdesError::Syntax)?;
        let first = keys.split(';').next().unwrap_or_default();
        let (method, info) = first.split_once(':').ok_or(SdesError::Syntax)?;
        if !method.eq_ignore_ascii_case("inline") {
            return Err(SdesError::Syntax);
        }
        let mut parts = info.split('|');
        let octets = parts.next().map(|text| text.trim_end_matches('=')).unwrap_or_default();
        let octets = STANDARD_NO_PAD.decode(octets).map_err(|_| SdesError::Key(suite))?;
        let key = MasterKey::new(suite, &octets).map_err(|_| SdesError::Key(suite))?;
        let mut crypto = Crypto::new(tag, key);
        for part in parts {
            match part.split_once(':') {
                Some((value, length)) => {
                    crypto.key.mki = mki(value, length).ok_or(SdesError::Syntax)?
                }
                None => crypto.lifetime = Some(part.to_owned()),
            }
        }
        for parameter in words {
            let name = parameter.split('=').next().unwrap_or_default();
            let harmless = name.starts_with('-') || name.eq_ignore_ascii_case("WSH");
            if !harmless && !parameter.eq_ignore_ascii_case("KDR=0") {
                return Err(SdesError::Parameter(parameter.to_owned()));
            }
            crypto.parameters.push(parameter.to_owned());
        }
        Ok(crypto)
    }

    /// The suite of the key.
    pub fn suite(&self) -> Suite {
        self.key.suite()
    }
}

/// A number in so many octets, RFC 4568 §6.1.
fn mki(value: &str, length: &str) -> Option<Vec<u8>> {
    let length: usize = length.parse().ok().filter(|length| (1..=MAX_MKI).contains(length))?;
    let octets = value.parse::<u128>().ok()?.to_be_bytes();
    let mut mki = vec![0; length.saturating_sub(octets.len())];
    let (above, kept) = octets.split_at(octets.len().saturating_sub(length));
    mki.extend(kept);
    above.iter().all(|octet| *octet == 0).then_some(mki)
}

/// The key is in it: for SDP that goes to whom it is for, and for nothing else.
impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode(self.key.octets().reveal());
        write!(f, "{} {} inline:{key}", self.tag, self.suite().name())?;
        if let Some(lifetime) = &self.lifetime {
            write!(f, "|{lifetime}")?;
        }
        if !self.key.mki.is_empty() {
            let value =
                self.key.mki.iter().fold(0u128, |value, octet| value << 8 | u128::from(*octet));
            write!(f, "|{value}:{}", self.key.mki.len())?;
        }
        self.parameters.iter().try_for_each(|parameter| write!(f, " {parameter}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4568 §9.1 and §5.1.
    #[test]
    fn lines_of_the_standard_are_read_and_written_again() {
        for line in [
            "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:4",
            "2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32",
            "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR WSH=64",
            "7 AEAD_AES_128_GCM inline:AAECAwQFBgcICQoLDA0OD1F1aWQgcHJvIHF1bw== -x",
        ] {
            assert_eq!(Crypto::parse(line).expect(line).to_string(), line);
        }
        let crypto = Crypto::parse(
            "1 aes_cm_128_hmac_sha1_80 INLINE:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4;inline:x",
        );
        let crypto = crypto.expect("the first key");
        let length = crypto.key.octets().reveal().len();
        assert_eq!((crypto.key.mki, length), (vec![0, 0, 0, 1], 30));
    }

    #[test]
    fn what_gives_no_key_says_why() {
        let key = "inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
        for (line, error) in [
            ("".to_owned(), SdesError::Syntax),
            (format!("x AES_CM_128_HMAC_SHA1_80 {key}"), SdesError::Syntax),
            ("1 AES_CM_128_HMAC_SHA1_80".to_owned(), SdesError::Syntax),
            ("1 AES_CM_128_HMAC_SHA1_80 uri:x".to_owned(), SdesError::Syntax),
            (format!("1 XYZ {key}"), SdesError::UnknownSuite("XYZ".to_owned())),
            (format!("1 AEAD_AES_256_GCM {key}"), SdesError::Key(Suite::AeadAes256Gcm)),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:?".to_owned(),
                SdesError::Key(Suite::AesCm128HmacSha1_80),
            ),
            (
                format!("1 AES_CM_128_HMAC_SHA1_80 {key} UNENCRYPTED_SRTP"),
                SdesError::Parameter("UNENCRYPTED_SRTP".to_owned()),
            ),
            (
                format!("1 AES_CM_128_HMAC_SHA1_80 {key} KDR=1"),
                SdesError::Parameter("KDR=1".to_owned()),
            ),
            (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|300:1"), SdesError::Syntax),
            (format!("1 AES_CM_128_HMAC_SHA1_80 {key}|1:0"), SdesError::Syntax),
        ] {
            assert_eq!(Crypto::parse(&line).err(), Some(error), "{line}");
        }
    }
}
