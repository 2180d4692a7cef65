//! What makes a packet secret and genuine: one cipher and one authentication with the session keys of SRTP, or of
//! SRTCP.

use aes::cipher::consts::U16;
use aes::cipher::{Array, BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipherCore};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base::relay::Suite;
use ctr::{CtrCore, flavors};

use crate::hmac::Hmac;
use crate::key::SessionKeys;

/// Octets of a GCM tag, RFC 7714 §13.1.
pub(crate) const GCM_TAG: usize = 16;

type Block = [u8; 16];

/// Which packet it is, as the initialisation vectors say it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) ssrc: u32,
    /// The packet's index: 48 bits of SRTP, 31 of SRTCP.
    pub(crate) index: u64,
    /// The vector of f8, RFC 3711 §4.1.2.2 and §4.1.2.3, which is made of the header.
    pub(crate) f8: Block,
}

/// A cipher with its session key: no suite needs what deciphers a block.
enum Cipher {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
    /// With the key, and with the key and the mask of the salt.
    F8(Box<(Aes128Enc, Aes128Enc)>),
    Gcm(Box<LessSafeKey>),
    Null,
}

/// The cipher and the authentication of SRTP, or of SRTCP.
pub(crate) struct Transform {
    cipher: Cipher,
    salt: [u8; 14],
    hmac: Hmac,
}

impl Transform {
    pub(crate) fn new(suite: Suite, keys: &SessionKeys) -> Transform {
        let SessionKeys { encryption, authentication, salt } = keys;
        let cipher = match suite {
            Suite::AeadAes256Gcm => gcm(UnboundKey::new(&AES_256_GCM, encryption)),
            Suite::AeadAes128Gcm => gcm(UnboundKey::new(&AES_128_GCM, encryption)),
            Suite::Aes256CmHmacSha1_80 | Suite::Aes256CmHmacSha1_32 => {
                Cipher::Aes256(Aes256Enc::new(&octets(encryption).into()))
            }
            Suite::Aes192CmHmacSha1_80 | Suite::Aes192CmHmacSha1_32 => {
                Cipher::Aes192(Aes192Enc::new(&octets(encryption).into()))
            }
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                Cipher::Aes128(Aes128Enc::new(&octets(encryption).into()))
            }
            Suite::F8128HmacSha1_80 => {
                // §4.1.2.1: m is the salt, filled up with 0x55.
                let mut masked: [u8; 16] = octets(encryption);
                let mask = salt.iter().copied().chain(std::iter::repeat(0x55));
                masked.iter_mut().zip(mask).for_each(|(octet, mask)| *octet ^= mask);
                let key = Aes128Enc::new(&octets(encryption).into());
                Cipher::F8(Box::new((key, Aes128Enc::new(&masked.into()))))
            }
            Suite::NullHmacSha1_80 | Suite::NullHmacSha1_32 => Cipher::Null,
        };
        Transform { cipher, salt: *salt, hmac: Hmac::new(authentication) }
    }

    /// Encrypts or decrypts in place: not for GCM.
    pub(crate) fn crypt(&self, place: &Place, data: &mut [u8]) {
        match &self.cipher {
            Cipher::Aes128(key) => counter_mode(key, self.counter_vector(place), data),
            Cipher::Aes192(key) => counter_mode(key, self.counter_vector(place), data),
            Cipher::Aes256(key) => counter_mode(key, self.counter_vector(place), data),
            Cipher::F8(keys) => f8(&keys.0, &keys.1, place.f8, data),
            Cipher::Gcm(_) | Cipher::Null => {}
        }
    }

    /// The tag over these octets, and a word behind them.
    pub(crate) fn tag(&self, [text, word]: [&[u8]; 2]) -> [u8; 20] {
        self.hmac.of(text, word)
    }

    /// Whether that is the beginning of the tag, in a time that does not tell where it differs.
    pub(crate) fn is_tag(&self, parts: [&[u8]; 2], given: &[u8]) -> bool {
        verify_slices_are_equal(&self.tag(parts)[..given.len()], given).is_ok()
    }

    /// Encrypts in place; the tag.
    pub(crate) fn seal(&self, place: &Place, aad: &[u8], data: &mut [u8]) -> Option<[u8; GCM_TAG]> {
        let Cipher::Gcm(key) = &self.cipher else { return None };
        let nonce = Nonce::assume_unique_for_key(self.gcm_vector(place));
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), data).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Decrypts in place, if the tag behind the data is right.
    pub(crate) fn open(&self, place: &Place, aad: &[u8], data: &mut [u8]) -> bool {
        let Cipher::Gcm(key) = &self.cipher else { return false };
        let nonce = Nonce::assume_unique_for_key(self.gcm_vector(place));
        key.open_in_place(nonce, Aad::from(aad), data).is_ok()
    }

    /// §4.1.1: k_s * 2^16 XOR SSRC * 2^64 XOR index * 2^16.
    fn counter_vector(&self, place: &Place) -> Block {
        let mut vector = [0; 16];
        vector[..14].copy_from_slice(&self.salt);
        mask(&mut vector[4..8], &place.ssrc.to_be_bytes());
        mask(&mut vector[8..14], &place.index.to_be_bytes()[2..]);
        vector
    }

    /// RFC 7714 §8.1 and §9.1: SSRC and index, 48 bits of both, XOR the salt.
    fn gcm_vector(&self, place: &Place) -> [u8; 12] {
        let mut vector = [0; 12];
        vector.copy_from_slice(&self.salt[..12]);
        mask(&mut vector[2..6], &place.ssrc.to_be_bytes());
        mask(&mut vector[6..], &place.index.to_be_bytes()[2..]);
        vector
    }
}

/// AES in counter mode, from this block on.
pub(crate) fn counter_mode<C>(cipher: &C, block: Block, data: &mut [u8])
where
    C: BlockCipherEncrypt<BlockSize = U16>,
{
    let core = CtrCore::<_, flavors::Ctr128BE>::inner_iv_init(cipher, &block.into());
    core.apply_keystream_partial(data.into());
}

fn mask(octets: &mut [u8], with: &[u8]) {
    octets.iter_mut().zip(with).for_each(|(octet, with)| *octet ^= with);
}

/// Keys have the length of their suite.
pub(crate) fn octets<const N: usize>(key: &[u8]) -> [u8; N] {
    key.try_into().unwrap_or([0; N])
}

fn gcm(key: Result<UnboundKey, aws_lc_rs::error::Unspecified>) -> Cipher {
    key.map_or(Cipher::Null, |key| Cipher::Gcm(Box::new(LessSafeKey::new(key))))
}

/// §4.1.2: output feedback whose every block takes in the encrypted vector and its number.
fn f8(key: &Aes128Enc, masked: &Aes128Enc, vector: Block, data: &mut [u8]) {
    let mut first = Array::from(vector);
    masked.encrypt_block(&mut first);
    let mut stream = Array::from([0; 16]);
    for (number, chunk) in data.chunks_mut(16).enumerate() {
        mask(&mut stream, &first);
        mask(&mut stream[8..], &(number as u64).to_be_bytes());
        key.encrypt_block(&mut stream);
        mask(chunk, &stream);
    }
}
