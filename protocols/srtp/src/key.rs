//! The session keys that come of a master key: RFC 3711 §4.3.

use aes::cipher::KeyInit;
use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use base::relay::MasterKey;

use crate::transform::{counter_mode, octets};

/// The labels of session keys, RFC 3711 §4.3.1 and §4.3.2.
pub(crate) const RTP: [u8; 3] = [0, 1, 2];
/// See [`RTP`].
pub(crate) const RTCP: [u8; 3] = [3, 4, 5];

/// Octets of a session authentication key, RFC 3711 §5.2.
const AUTH_KEY: usize = 20;

/// Octets of the salt that keys are derived with.
const SALT: usize = 14;

/// The session keys of SRTP or of SRTCP.
pub(crate) struct SessionKeys {
    pub(crate) encryption: Vec<u8>,
    pub(crate) authentication: [u8; AUTH_KEY],
    pub(crate) salt: [u8; SALT],
}

impl SessionKeys {
    /// Those with these labels; the key derivation rate is 0.
    pub(crate) fn of(key: &MasterKey, labels: [u8; 3]) -> SessionKeys {
        let mut keys = SessionKeys {
            encryption: vec![0; key.suite().key_length()],
            authentication: [0; AUTH_KEY],
            salt: [0; SALT],
        };
        derive(key, labels[0], &mut keys.encryption);
        derive(key, labels[1], &mut keys.authentication);
        derive(key, labels[2], &mut keys.salt[..key.suite().salt_length()]);
        keys
    }
}

/// §4.3.3: AES in counter mode with the master key, from (key_id XOR master_salt) * 2^16 on.
fn derive(key: &MasterKey, label: u8, out: &mut [u8]) {
    let suite = key.suite();
    let (key, salt) = key.octets().reveal().split_at(suite.key_length());
    let mut block = [0; 16];
    // A salt of 96 bits stands on the left, RFC 7714 §11.
    block[..salt.len()].copy_from_slice(salt);
    // Of key_id the label is the octet above the 48 bits of the index, which is 0.
    block[7] ^= label;
    match suite.key_length() {
        32 => counter_mode(&Aes256Enc::new(&octets(key).into()), block, out),
        24 => counter_mode(&Aes192Enc::new(&octets(key).into()), block, out),
        _ => counter_mode(&Aes128Enc::new(&octets(key).into()), block, out),
    }
}

#[cfg(test)]
mod tests {
    use base::relay::Suite;

    use super::*;

    fn hex(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        digits.chunks(2).map(pair).collect::<Result<_, _>>().expect("hexadecimal")
    }

    fn session(suite: Suite, master: &[u8]) -> SessionKeys {
        SessionKeys::of(&MasterKey::new(suite, master).expect("a key"), RTP)
    }

    /// RFC 3711 §B.3.
    #[test]
    fn aes_128_keys_are_derived_as_the_standard_shows() {
        let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let keys = session(Suite::AesCm128HmacSha1_80, &master);
        assert_eq!(keys.encryption, hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(keys.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(keys.authentication[..], hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    /// RFC 6188 §7.2 and §7.4.
    #[test]
    fn longer_keys_are_derived_as_the_standard_shows() {
        let master = hex("f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6
             3b04803de51ee7c96423ab5b78d2");
        let keys = session(Suite::Aes256CmHmacSha1_80, &master);
        assert_eq!(
            keys.encryption,
            hex("5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4")
        );
        assert_eq!(keys.salt[..], hex("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(keys.authentication[..], hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05"));
        let master =
            hex("73edc66c4fa15776fb57f9505c171365 50ffda71f3e8e5f1 c8522f3acd4ce86d5add78edbb11");
        let keys = session(Suite::Aes192CmHmacSha1_80, &master);
        assert_eq!(keys.encryption, hex("31874736a8f1143870c26e4857d8a5b2 c4a354407faadabb"));
        assert_eq!(keys.salt[..], hex("2372b82d639b6d8503a47adc0a6c"));
        assert_eq!(keys.authentication[..], hex("355b10973cd95b9eacf4061c7e1a7151e7cfbfcb"));
    }
}
