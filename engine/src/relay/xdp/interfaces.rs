//! Interfaces: which one has an address, getifaddrs(3).
//!
//! `unsafe` because the C library answers with a linked list, which is walked and given back here.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One that is not the loopback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: String,
}

/// The interface that has an address; `None` if none has, or the loopback.
pub(super) fn with_address(ip: IpAddr) -> Option<Interface> {
    let mut list = std::ptr::null_mut();
    // SAFETY: the pointer is to a local one, where the list's beginning is put.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return None;
    }
    let mut found = None;
    let mut next = list;
    // SAFETY: the list's members are valid until it is given back, and the last one's successor is null.
    while let Some(one) = unsafe { next.as_ref() } {
        next = one.ifa_next;
        let loopback = one.ifa_flags & libc::IFF_LOOPBACK as u32 != 0;
        // SAFETY: an address, if there is one, is as long as its family says, and lives as long as the list.
        if !loopback && unsafe { address(one.ifa_addr) } == Some(ip) {
            // SAFETY: a name ends with a zero.
            let name = unsafe { CStr::from_ptr(one.ifa_name) };
            // SAFETY: likewise.
            let index = unsafe { libc::if_nametoindex(one.ifa_name) };
            let name = name.to_string_lossy().into_owned();
            found = (index != 0).then_some(Interface { index, name });
            break;
        }
    }
    // SAFETY: it came from getifaddrs, and nothing of it is kept.
    unsafe { libc::freeifaddrs(list) };
    found
}

/// # Safety
/// Null, or an address that is as long as its family says.
unsafe fn address(at: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: as the caller says.
    let family = unsafe { at.as_ref() }?.sa_family;
    match i32::from(family) {
        libc::AF_INET => {
            // SAFETY: an address of this family is one of these.
            let address = unsafe { at.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: likewise.
            let address = unsafe { at.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_none() {
        assert_eq!(with_address(Ipv4Addr::LOCALHOST.into()), None);
        assert_eq!(with_address("192.0.2.77".parse().unwrap()), None);
    }
}
