//! What the system says of itself and the standard library does not pass on.
//!
//! `unsafe` because these are calls of the C library that fill a structure: each pointer is to a
//! local one that outlives the call.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The bytes that may still be written to the file system of a path, statvfs(3).
///
/// # Errors
/// What the system says of the path.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a zero, and the structure outlives the call.
    if unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled the structure.
    let found = unsafe { found.assume_init() };
    // Their widths differ between C libraries.
    #[allow(clippy::unnecessary_cast)]
    let free = (found.f_bavail as u64).saturating_mul(found.f_frsize as u64);
    Ok(free)
}

/// Whether the kernel's clock is synchronised with another one, adjtimex(2). `None` if the kernel does
/// not say.
pub fn clock_synchronised() -> Option<bool> {
    // SAFETY: all bits zero is a legal value: it asks to change nothing.
    let mut clock = unsafe { MaybeUninit::<libc::timex>::zeroed().assume_init() };
    // SAFETY: the structure outlives the call.
    match unsafe { libc::adjtimex(&raw mut clock) } {
        -1 => None,
        // TIME_ERROR: the clock is not synchronised.
        state => Some(state != libc::TIME_ERROR && clock.status & libc::STA_UNSYNC == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_answers() {
        assert!(free_space(Path::new("/")).is_ok());
        assert!(free_space(Path::new("/no/such/folder")).is_err());
        let _ = clock_synchronised();
    }
}
