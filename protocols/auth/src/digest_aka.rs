//! AKA inside HTTP Digest: RFC 3310 (AKAv1) and RFC 4169 (AKAv2).

use base::redact::Secret;
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use crate::aka::{Autn, Auts, Rand};

/// Decodes with or without padding: phones send both.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Why a parameter was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParameterError {
    /// Not base 64.
    #[error("not base 64")]
    Base64,
    /// Fewer bytes than RAND and AUTN, or not exactly those of AUTS.
    #[error("wrong length")]
    Length,
}

/// The `nonce`: base 64 of RAND, AUTN and server data, RFC 3310 §3.2.
pub fn nonce(rand: &Rand, autn: &Autn, server_data: &[u8]) -> String {
    general_purpose::STANDARD.encode([&rand[..], &autn[..], server_data].concat())
}

/// RAND and AUTN out of a `nonce`, RFC 3310 §3.2; server data is not looked at.
pub fn parse_nonce(nonce: &str) -> Result<(Rand, Autn), ParameterError> {
    let bytes = LENIENT.decode(nonce).map_err(|_| ParameterError::Base64)?;
    let (rand, rest) = bytes.split_first_chunk().ok_or(ParameterError::Length)?;
    let autn = rest.first_chunk().ok_or(ParameterError::Length)?;
    Ok((*rand, *autn))
}

/// The `auts` parameter: base 64 of AUTS, RFC 3310 §3.4.
pub fn auts(auts: &Auts) -> String {
    general_purpose::STANDARD.encode(auts)
}

/// AUTS out of an `auts` parameter, RFC 3310 §3.4.
pub fn parse_auts(text: &str) -> Result<Auts, ParameterError> {
    let bytes = LENIENT.decode(text).map_err(|_| ParameterError::Base64)?;
    bytes.try_into().map_err(|_| ParameterError::Length)
}

/// The password of AKAv2: base 64 of HMAC-MD5 under RES || IK || CK, RFC 4169 §3.
pub fn akav2_password(res: &[u8], ik: &[u8; 16], ck: &[u8; 16]) -> Secret<String> {
    let mac = hmac_md5(&[res, ik, ck].concat(), b"http-digest-akav2-password");
    Secret::new(general_purpose::STANDARD.encode(mac))
}

/// RFC 2104.
fn hmac_md5(key: &[u8], text: &[u8]) -> [u8; 16] {
    let mac = Hmac::<Md5>::new_from_slice(key).expect("keys of any length are taken");
    mac.chain_update(text).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;
    use proptest::prelude::*;

    #[test]
    fn nonce_and_auts_survive_the_wire() {
        let (rand, autn) = ([1; 16], [2; 16]);
        assert_eq!(parse_nonce(&nonce(&rand, &autn, b"")), Ok((rand, autn)));
        let with_data = nonce(&rand, &autn, b"tail");
        assert_eq!(parse_nonce(with_data.trim_end_matches('=')), Ok((rand, autn)));
        assert_eq!(parse_nonce("AAAA"), Err(ParameterError::Length));
        assert_eq!(parse_nonce("\u{fc}"), Err(ParameterError::Base64));
        assert_eq!(parse_auts(&auts(&[3; 14])), Ok([3; 14]));
        assert_eq!(parse_auts("AAAA"), Err(ParameterError::Length));
    }

    /// RFC 2202 §2, test cases 1, 2 and 6.
    #[test]
    fn hmac_md5_vectors() {
        let hmac = |key: &[u8], text: &[u8]| hex::encode(&hmac_md5(key, text));
        assert_eq!(hmac(&[0x0b; 16], b"Hi There"), "9294727a3638bb1c13f48ef8158bfc9d");
        let text = b"what do ya want for nothing?";
        assert_eq!(hmac(b"Jefe", text), "750c783e6ab0b503eaa86e310a5db738");
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hmac(&[0xaa; 80], text), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,80}") {
            let _ = parse_nonce(&text);
            let _ = parse_auts(&text);
        }
    }
}
