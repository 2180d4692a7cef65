//! HMAC-SHA1 (RFC 2104) with a key of a session: what the key makes of the hash is kept, not the key.

use sha1::block_api::compress;

/// Octets that SHA-1 takes at once.
const BLOCK: usize = 64;
/// Octets of its length, behind what it is of.
const LENGTH: usize = 8;

/// What SHA-1 begins with, FIPS 180-4 §5.3.1.
const BEGIN: State = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

type State = [u32; 5];

/// The hash behind the key with the inner pad, and behind the key with the outer one: 40 octets for each session, of
/// which thousands take turns in the cache.
pub(crate) struct Hmac {
    inner: State,
    outer: State,
}

impl Hmac {
    /// With a key that is no longer than a block: SRTP's have 20 octets.
    pub(crate) fn new(key: &[u8; 20]) -> Hmac {
        let behind = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(key).for_each(|(octet, key)| *octet ^= key);
            let mut state = BEGIN;
            compress(&mut state, &[block]);
            state
        };
        Hmac { inner: behind(0x36), outer: behind(0x5c) }
    }

    /// Of a text, and a word behind it if there is one.
    pub(crate) fn of(&self, text: &[u8], word: &[u8]) -> [u8; 20] {
        octets(&ended(self.outer, &octets(&ended(self.inner, text, word)), &[]))
    }
}

/// The hash of these octets, where a block was hashed before them.
fn ended(mut state: State, text: &[u8], word: &[u8]) -> State {
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    compress(&mut state, blocks);
    let length = rest.len() + word.len();
    let mut last = [[0; BLOCK]; 2];
    let flat = last.as_flattened_mut();
    flat[..rest.len()].copy_from_slice(rest);
    flat[rest.len()..length].copy_from_slice(word);
    flat[length] = 0x80;
    let blocks = if length < BLOCK - LENGTH { 1 } else { 2 };
    let bits = 8 * (BLOCK + text.len() + word.len()) as u64;
    flat[blocks * BLOCK - LENGTH..blocks * BLOCK].copy_from_slice(&bits.to_be_bytes());
    compress(&mut state, &last[..blocks]);
    state
}

fn octets(state: &State) -> [u8; 20] {
    let mut octets = [0; 20];
    octets
        .chunks_exact_mut(4)
        .zip(state)
        .for_each(|(four, w)| four.copy_from_slice(&w.to_be_bytes()));
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202 §3, the cases whose keys have 20 octets.
    #[test]
    fn it_is_that_of_the_standard() {
        let hmac = |key, text: &[u8]| -> String {
            Hmac::new(&[key; 20]).of(text, &[]).iter().map(|octet| format!("{octet:02x}")).collect()
        };
        assert_eq!(hmac(0x0b, b"Hi There"), "b617318655057264e28bc0b6fb378c8ef146be00");
        assert_eq!(hmac(0xaa, &[0xdd; 50]), "125d7342b9ac11cd91a39af48aa17b4f63f175d3");
        assert_eq!(hmac(0x0c, b"Test With Truncation"), "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04");
    }

    /// Of every length about those at which a block more begins, and wherever the word is cut off.
    #[test]
    fn it_is_that_of_another_library() {
        let key = [7; 20];
        let other = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
        let text: Vec<u8> = (0..=255).collect();
        for length in 0..text.len() {
            for word in [0, 4] {
                let (text, word) = text[..length].split_at(length.saturating_sub(word));
                let theirs = aws_lc_rs::hmac::sign(&other, &[text, word].concat());
                assert_eq!(Hmac::new(&key).of(text, word)[..], *theirs.as_ref(), "{length}");
            }
        }
    }
}
