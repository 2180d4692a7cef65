//! How much waits in a socket.
//!
//! `unsafe` because the standard library does not offer this option: the array that the kernel fills outlives the
//! call, and its length is what the kernel is told.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

/// `SK_MEMINFO_*` of linux/sock_diag.h: what waits to be read, and what may wait; the array has so many values.
const WAITS: usize = 0;
const MAY_WAIT: usize = 1;
const VALUES: usize = 9;

/// How full a socket's receive buffer is, in percent; 0 if the kernel does not say.
pub(super) fn percent(socket: RawFd) -> u32 {
    let mut values = [0u32; VALUES];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: `values` is as long as `length` says.
    let got = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let waits = u64::from(values[WAITS]) * 100 / u64::from(values[MAY_WAIT].max(1));
    if got == 0 { waits.min(100) as u32 } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_is_not_read_fills_the_buffer() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        assert_eq!(percent(socket.as_raw_fd()), 0);
        for _ in 0..10_000 {
            socket.send_to(&[0; 1000], to).unwrap();
        }
        assert!(percent(socket.as_raw_fd()) > 90, "{}", percent(socket.as_raw_fd()));
        let mut room = [0; 1000];
        socket.set_nonblocking(true).unwrap();
        while socket.recv(&mut room).is_ok() {}
        assert_eq!(percent(socket.as_raw_fd()), 0);
        assert_eq!(percent(-1), 0);
    }
}
