//! Randomness of the operating system.
//!
//! `unsafe` because the standard library does not offer it, and the crate that does looks the C
//! function up at run time, which in a static binary ends at `/dev/random`: a file that an empty root
//! does not have. The pointer is into an array that outlives the call, with the array's length.
#![allow(unsafe_code)]

use std::io;

/// A seed for a [`Random`](base::Random).
pub(crate) fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0u8; 32];
    // Up to 256 bytes come whole once the kernel's pool is ready (getrandom(2)).
    // SAFETY: the pointer is to the array, which outlives the call, and the length is the array's.
    let got = unsafe { libc::getrandom(seed.as_mut_ptr().cast(), seed.len(), 0) };
    match usize::try_from(got) {
        Ok(got) if got == seed.len() => Ok(seed),
        Ok(_) => Err(io::Error::other("the system gave too few random bytes")),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_seeds_differ() {
        assert_ne!(super::seed().unwrap(), super::seed().unwrap());
    }
}
