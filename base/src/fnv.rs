//! FNV-1a with 64 bits: a fingerprint that is the same on every machine and in every version. Whoever
//! chooses the bytes can make two of one fingerprint, so nothing is found by it and nothing is trusted for
//! it.

/// The fingerprint of no bytes.
pub const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The fingerprint of these bytes.
pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    extend(EMPTY, bytes)
}

/// The fingerprint of what has this one and of these bytes behind it.
pub fn extend(hash: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::{extend, fnv1a};

    /// Vectors of the reference, draft-eastlake-fnv appendix C.
    #[test]
    fn the_vectors_hold() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(text.bytes()), hash, "{text}");
        }
        assert_eq!(extend(fnv1a("foo".bytes()), "bar".bytes()), fnv1a("foobar".bytes()));
    }
}
