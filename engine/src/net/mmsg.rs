//! Many datagrams with one system call.
//!
//! `unsafe` because the standard library has neither `recvmmsg` nor `sendmmsg`, nor the error queue
//! on which ICMP errors name the destination that they are about, nor the two socket options that
//! go with it. Every pointer that is handed to the kernel points into a buffer that outlives the
//! call, and lengths are taken from those buffers.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

/// Datagrams of one call.
pub(crate) const BATCH: usize = 64;
/// Datagrams asked for while there is little to do: preparing the call costs time, too.
const FEW: usize = 8;

/// Room for a batch of datagrams that arrive.
pub(crate) struct Inbox {
    room: Box<[u8]>,
    slot: usize,
    names: Box<[libc::sockaddr_storage]>,
    lengths: [usize; BATCH],
    want: usize,
}

impl Inbox {
    /// Room for datagrams of at most `slot` bytes; longer ones are dropped.
    pub(crate) fn new(slot: usize) -> Inbox {
        // SAFETY: a sockaddr_storage is plain data for which all zeros are valid.
        let empty: libc::sockaddr_storage = unsafe { zeroed() };
        Inbox {
            room: vec![0; slot * BATCH].into_boxed_slice(),
            slot,
            names: vec![empty; BATCH].into_boxed_slice(),
            lengths: [0; BATCH],
            want: FEW,
        }
    }

    /// Takes what is there, without waiting: how many datagrams, and whether there may be more.
    pub(crate) fn receive(&mut self, socket: RawFd) -> io::Result<(usize, bool)> {
        let want = self.want;
        let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let mut heads = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
        for (at, room) in self.room.chunks_exact_mut(self.slot).take(want).enumerate() {
            let part = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            // SAFETY: a mmsghdr is plain data for which all zeros are valid.
            let mut head: libc::mmsghdr = unsafe { zeroed() };
            head.msg_hdr.msg_name = (&raw mut self.names[at]).cast();
            head.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            head.msg_hdr.msg_iov = parts[at].write(part);
            head.msg_hdr.msg_iovlen = 1;
            heads[at].write(head);
        }
        // SAFETY: the first `want` heads were written, and point at buffers of this struct and of this
        // frame.
        let got = unsafe {
            libc::recvmmsg(
                socket,
                heads.as_mut_ptr().cast(),
                want as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        for (length, head) in self.lengths.iter_mut().zip(&heads[..got.min(want)]) {
            // SAFETY: no more heads were used than the `want` ones that were written.
            let head = unsafe { head.assume_init_ref() };
            let cut = head.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            *length = if cut { usize::MAX } else { head.msg_len as usize };
        }
        self.want = if got == want { BATCH } else { FEW };
        Ok((got, got == want))
    }

    /// A datagram of the last batch and its source; `None` if it was too long.
    pub(crate) fn datagram(&self, at: usize) -> Option<(SocketAddr, &[u8])> {
        let start = at * self.slot;
        let length = self.lengths[at];
        if length > self.slot {
            return None;
        }
        Some((address(&self.names[at])?, &self.room[start..start + length]))
    }

    /// The same with all the room that it has, and its length.
    pub(crate) fn datagram_mut(&mut self, at: usize) -> Option<(SocketAddr, &mut [u8], usize)> {
        let start = at * self.slot;
        let length = self.lengths[at];
        if length > self.slot {
            return None;
        }
        Some((address(&self.names[at])?, &mut self.room[start..start + self.slot], length))
    }

    /// It was changed in its room, and has another length.
    pub(crate) fn set_length(&mut self, at: usize, length: usize) {
        self.lengths[at] = length;
    }
}

/// Sends at most [`BATCH`] datagrams without waiting; how many were taken.
pub(crate) fn send<'a>(
    socket: RawFd,
    datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>,
) -> io::Result<usize> {
    // Most calls send one datagram: what the others would need is not even zeroed.
    let mut names = [const { MaybeUninit::<libc::sockaddr_storage>::uninit() }; BATCH];
    let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
    let mut heads = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
    let mut count = 0;
    for (at, (to, bytes)) in datagrams.take(BATCH).enumerate() {
        // The kernel only reads what is sent.
        let base = bytes.as_ptr().cast_mut().cast();
        let part = libc::iovec { iov_base: base, iov_len: bytes.len() };
        // SAFETY: both structures are plain data for which all zeros are valid.
        let (name, mut head): (libc::sockaddr_storage, libc::mmsghdr) =
            unsafe { (zeroed(), zeroed()) };
        let name = names[at].write(name);
        head.msg_hdr.msg_namelen = put_address(name, to);
        head.msg_hdr.msg_name = (&raw mut *name).cast();
        head.msg_hdr.msg_iov = parts[at].write(part);
        head.msg_hdr.msg_iovlen = 1;
        heads[at].write(head);
        count = at + 1;
    }
    // SAFETY: the first `count` heads were written, and point at buffers of this frame and at the borrowed
    // datagrams.
    let sent = unsafe {
        libc::sendmmsg(
            socket,
            heads.as_mut_ptr().cast(),
            count as libc::c_uint,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Takes the next ICMP error: the destination that could not be reached. Errors about a packet's
/// size are skipped.
pub(crate) fn unreachable(socket: RawFd) -> Option<SocketAddr> {
    #[repr(align(8))]
    struct Control([u8; 512]);
    loop {
        let mut control = Control([0; 512]);
        let mut data = [0u8; 1];
        // SAFETY: plain data for which all zeros are valid.
        let (mut name, mut head): (libc::sockaddr_storage, libc::msghdr) =
            unsafe { (zeroed(), zeroed()) };
        let mut part = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: 1 };
        head.msg_name = (&raw mut name).cast();
        head.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        head.msg_iov = &raw mut part;
        head.msg_iovlen = 1;
        head.msg_control = control.0.as_mut_ptr().cast();
        head.msg_controllen = control.0.len() as _;
        // SAFETY: all pointers of the head are to buffers of this frame.
        let got = unsafe {
            libc::recvmsg(socket, &raw mut head, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)
        };
        if got < 0 {
            return None;
        }
        let mut errno = 0;
        // SAFETY: the kernel filled the control buffer, and these walk only within its length; the
        // error is read unaligned from a message that is long enough for it.
        unsafe {
            let mut message = libc::CMSG_FIRSTHDR(&raw const head);
            while !message.is_null() {
                let long = libc::CMSG_LEN(size_of::<libc::sock_extended_err>() as u32) as usize;
                if (*message).cmsg_len as usize >= long {
                    let error = libc::CMSG_DATA(message).cast::<libc::sock_extended_err>();
                    errno = error.read_unaligned().ee_errno as i32;
                }
                message = libc::CMSG_NXTHDR(&raw const head, message);
            }
        }
        if errno != libc::EMSGSIZE
            && let Some(to) = address(&name)
        {
            return Some(to);
        }
    }
}

/// Lets ICMP errors come to the error queue, and lets the network cut datagrams that are longer
/// than the path: SIP over UDP is often longer than 1500 bytes.
pub(crate) fn prepare(socket: RawFd, v4: bool) {
    let (level, options) = if v4 {
        let dont = (libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT);
        (libc::IPPROTO_IP, [(libc::IP_RECVERR, 1), dont])
    } else {
        let dont = (libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT);
        (libc::IPPROTO_IPV6, [(libc::IPV6_RECVERR, 1), dont])
    };
    for (name, value) in options {
        let value: libc::c_int = value;
        // SAFETY: the value outlives the call and its size is its own. A refusal only costs comfort.
        unsafe {
            libc::setsockopt(
                socket,
                level,
                name,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: a sockaddr_storage is large and aligned enough for each kind, and the family
            // says that it is this one.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            // The flow label is no part of an address that one answers to.
            Some(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn put_address(name: &mut libc::sockaddr_storage, addr: SocketAddr) -> libc::socklen_t {
    match addr {
        SocketAddr::V4(addr) => {
            // SAFETY: a sockaddr_storage is large and aligned enough for each kind.
            let v4 = unsafe { &mut *(&raw mut *name).cast::<libc::sockaddr_in>() };
            v4.sin_family = libc::AF_INET as libc::sa_family_t;
            v4.sin_port = addr.port().to_be();
            v4.sin_addr.s_addr = u32::from(*addr.ip()).to_be();
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(addr) => {
            // SAFETY: as above.
            let v6 = unsafe { &mut *(&raw mut *name).cast::<libc::sockaddr_in6>() };
            v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            v6.sin6_port = addr.port().to_be();
            v6.sin6_addr.s6_addr = addr.ip().octets();
            v6.sin6_scope_id = addr.scope_id();
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}
