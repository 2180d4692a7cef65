//! Tokens that only whoever has the key can read or make: authenticated encryption whose initialisation
//! vector is the authenticator itself, as in RFC 5297, of HMAC-SHA-256 (RFC 2104) and AES-128 in counter
//! mode.
//!
//! The same bytes give the same token: whoever does not want that puts something into them that
//! differs each time.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use base::redact::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Sha256;
use sha2::digest::Digest;

/// The bytes of an authenticator.
const TAG: usize = 16;

/// Seals and opens tokens.
#[derive(Clone, Debug)]
pub struct Seal {
    authentication: Secret<[u8; 32]>,
    encryption: Secret<[u8; 16]>,
}

impl Seal {
    /// A seal with this key.
    pub fn new(key: &Secret<[u8; 32]>) -> Seal {
        let derived = hmac_sha256(key.reveal(), &[b"encryption"]);
        let mut encryption = [0; 16];
        encryption.copy_from_slice(&derived[..16]);
        Seal {
            authentication: Secret::new(hmac_sha256(key.reveal(), &[b"authentication"])),
            encryption: Secret::new(encryption),
        }
    }

    /// What nobody can compute without the key: a fingerprint of the parts, `purpose` first.
    pub fn fingerprint(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        // Lengths, so that no two lists of parts are the same bytes.
        let mut bytes = Vec::new();
        for part in [purpose.as_bytes()].iter().chain(parts) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        hmac_sha256(self.authentication.reveal(), &[b"fingerprint", &bytes])
    }

    /// The bytes as a token of letters, digits, `-` and `_`.
    pub fn close(&self, plain: &[u8]) -> String {
        let tag = self.tag(plain);
        let mut sealed = tag.to_vec();
        sealed.extend_from_slice(plain);
        self.count(&tag, &mut sealed[TAG..]);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The bytes in a token; `None` if it was not sealed with this key.
    pub fn open(&self, token: &str) -> Option<Vec<u8>> {
        let sealed = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (tag, rest) = sealed.split_first_chunk::<TAG>()?;
        let mut plain = rest.to_vec();
        self.count(tag, &mut plain);
        crate::equal(tag, &self.tag(&plain)).then_some(plain)
    }

    fn tag(&self, plain: &[u8]) -> [u8; TAG] {
        let mut tag = [0; TAG];
        let whole = hmac_sha256(self.authentication.reveal(), &[b"token", plain]);
        tag.copy_from_slice(&whole[..TAG]);
        tag
    }

    /// Counter mode: both directions are the same.
    fn count(&self, start: &[u8; TAG], text: &mut [u8]) {
        let cipher = Aes128::new(self.encryption.reveal().into());
        let mut counter = u128::from_be_bytes(*start);
        for chunk in text.chunks_mut(16) {
            let mut block = counter.to_be_bytes().into();
            cipher.encrypt_block(&mut block);
            chunk.iter_mut().zip(block).for_each(|(byte, mask)| *byte ^= mask);
            counter = counter.wrapping_add(1);
        }
    }
}

/// HMAC-SHA-256 over the concatenated parts, RFC 2104; the key is not longer than a block.
fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let mut inner = Sha256::new_with_prefix(pad(0x36));
    parts.iter().for_each(|part| inner.update(part));
    let outer = Sha256::new_with_prefix(pad(0x5c)).chain_update(inner.finalize());
    outer.finalize().into()
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
            assert_eq!(hex::encode(&hmac_sha256(key, &[data.as_bytes()])), mac);
        }
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
