//! Tokens that only whoever has the key can read or make, by AES-SIV (RFC 5297), and fingerprints, by
//! HMAC-SHA-256 (RFC 2104).
//!
//! The same bytes give the same token: whoever does not want that puts something into them that
//! differs each time.

use aes_siv::KeyInit;
use aes_siv::siv::Aes128Siv;
use base::redact::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A token stands alone: nothing else is authenticated with it.
const ALONE: [&[u8]; 0] = [];

/// Seals and opens tokens.
#[derive(Clone, Debug)]
pub struct Seal {
    tokens: Secret<[u8; 32]>,
    fingerprints: Secret<[u8; 32]>,
}

impl Seal {
    /// A seal with this key.
    pub fn new(key: &Secret<[u8; 32]>) -> Seal {
        let derived = |label: &[u8]| Secret::new(hmac_sha256(key.reveal(), label));
        Seal { tokens: derived(b"tokens"), fingerprints: derived(b"fingerprints") }
    }

    /// What nobody can compute without the key: a fingerprint of the parts, `purpose` first.
    pub fn fingerprint(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        // Lengths, so that no two lists of parts are the same bytes.
        let mut bytes = Vec::new();
        for part in [purpose.as_bytes()].iter().chain(parts) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        hmac_sha256(self.fingerprints.reveal(), &bytes)
    }

    /// The bytes as a token of letters, digits, `-` and `_`.
    pub fn close(&self, plain: &[u8]) -> String {
        let sealed = self.cipher().encrypt(ALONE, plain);
        URL_SAFE_NO_PAD.encode(sealed.expect("at most 126 parts are authenticated with a token"))
    }

    /// The bytes in a token; `None` if it was not sealed with this key.
    pub fn open(&self, token: &str) -> Option<Vec<u8>> {
        let sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
        self.cipher().decrypt(ALONE, &sealed).ok()
    }

    fn cipher(&self) -> Aes128Siv {
        Aes128Siv::new(self.tokens.reveal().into())
    }
}

fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("keys of any length are taken");
    mac.chain_update(text).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hex;

    fn seal(byte: u8) -> Seal {
        Seal::new(&Secret::new([byte; 32]))
    }

    /// RFC 4231 §4.2 and §4.3.
    #[test]
    fn the_vectors_of_rfc_4231_hold() {
        for (key, data, mac) in [
            (
                &[0x0b; 20][..],
                "Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
        ] {
            assert_eq!(hex::encode(&hmac_sha256(key, data.as_bytes())), mac);
        }
    }

    /// RFC 5297 appendix A.1.
    #[test]
    fn the_vector_of_rfc_5297_holds() {
        let key = "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
        let header = "101112131415161718191a1b1c1d1e1f2021222324252627";
        let (plain, sealed) = (
            "112233445566778899aabbccddee",
            "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c",
        );
        let tokens = Secret::new(hex::decode_array(key).unwrap());
        let mut cipher = Seal { tokens, ..seal(1) }.cipher();
        let header = [hex::decode(header).unwrap()];
        let ours = cipher.encrypt(&header, &hex::decode(plain).unwrap()).unwrap();
        assert_eq!(hex::encode(&ours), sealed);
    }

    #[test]
    fn a_token_shows_nothing_and_takes_no_change() {
        let (ours, token) = (seal(1), seal(1).close(b"sip:alice@ims.test"));
        assert_eq!(ours.open(&token).as_deref(), Some(&b"sip:alice@ims.test"[..]));
        assert_eq!(seal(2).open(&token), None, "another key");
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(ours.open(&String::from_utf8(changed).unwrap()), None, "at {at}");
        }
        for nonsense in ["", "A", "====", "tgruu", "\u{fc}", &token[..20]] {
            assert_eq!(ours.open(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn fingerprints_tell_lists_apart() {
        let of = |parts: &[&[u8]]| seal(1).fingerprint("p", parts);
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"a"]), seal(1).fingerprint("q", &[b"a"]));
        assert_eq!(of(&[b"a"]), of(&[b"a"]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_come_back(plain in proptest::collection::vec(any::<u8>(), 0..100)) {
            let seal = seal(7);
            prop_assert_eq!(seal.open(&seal.close(&plain)), Some(plain));
        }

        #[test]
        fn any_text_is_taken(text in ".*") {
            prop_assert_eq!(seal(7).open(&text), None);
        }
    }
}
