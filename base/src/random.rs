//! Random numbers from a seed that is handed in.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A cryptographically strong generator. The engine seeds it from the operating system, the
/// simulator from the run's seed.
#[derive(Clone, Debug)]
pub struct Random(ChaCha12Rng);

impl Random {
    /// A generator with the given seed.
    pub fn new(seed: [u8; 32]) -> Random {
        Random(ChaCha12Rng::from_seed(seed))
    }

    /// A generator from a short seed, for simulations and tests.
    pub fn from_u64(seed: u64) -> Random {
        Random(ChaCha12Rng::seed_from_u64(seed))
    }

    /// Another generator, independent of this one from here on.
    #[must_use]
    pub fn fork(&mut self) -> Random {
        Random::new(self.bytes())
    }

    /// A random number.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A random number.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// A number below `bound`; zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of the multiply-shift is below 2^-32 for every bound used here.
        ((u128::from(self.u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.0.fill_bytes(&mut out);
        out
    }

    /// A token of `2 * N` lower-case hexadecimal digits, for tags, branches and Call-IDs.
    pub fn token<const N: usize>(&mut self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = String::with_capacity(2 * N);
        for byte in self.bytes::<N>() {
            out.push(DIGITS[usize::from(byte >> 4)] as char);
            out.push(DIGITS[usize::from(byte & 15)] as char);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (mut a, mut b) = (Random::from_u64(7), Random::from_u64(7));
        assert_eq!(a.token::<16>(), b.token::<16>());
        assert_ne!(a.u64(), Random::from_u64(8).u64());
    }

    #[test]
    fn below_stays_below() {
        let mut random = Random::from_u64(1);
        assert!((0..1000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
    }
}
