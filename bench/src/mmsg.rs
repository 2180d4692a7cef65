//! Batched UDP over IPv4 with recvmmsg and sendmmsg.
use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, SocketAddrV4};

pub fn to_c(a: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: a.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*a.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

pub fn from_c(s: &libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(u32::from_be(s.sin_addr.s_addr)), u16::from_be(s.sin_port))
}

pub struct RecvBatch {
    size: usize,
    bufs: Vec<u8>,
    addrs: Vec<libc::sockaddr_in>,
    iovs: Vec<libc::iovec>,
    hdrs: Vec<libc::mmsghdr>,
}

impl RecvBatch {
    pub fn new(n: usize, size: usize) -> RecvBatch {
        // SAFETY: the structures are plain data for which all zeros are valid.
        unsafe {
            RecvBatch {
                size,
                bufs: vec![0; n * size],
                addrs: vec![zeroed(); n],
                iovs: vec![zeroed(); n],
                hdrs: vec![zeroed(); n],
            }
        }
    }

    /// Takes what is waiting (never blocks); returns the number of datagrams.
    pub fn recv(&mut self, fd: i32) -> io::Result<usize> {
        let n = self.hdrs.len();
        for (i, room) in self.bufs.chunks_exact_mut(self.size).enumerate() {
            self.iovs[i].iov_base = room.as_mut_ptr() as *mut _;
            self.iovs[i].iov_len = room.len();
            let h = &mut self.hdrs[i].msg_hdr;
            h.msg_name = &mut self.addrs[i] as *mut _ as *mut _;
            h.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            h.msg_iov = &mut self.iovs[i];
            h.msg_iovlen = 1;
        }
        // SAFETY: all `n` headers were just pointed at buffers and addresses of this struct, which
        // nobody else uses during the call.
        let r = unsafe {
            libc::recvmmsg(
                fd,
                self.hdrs.as_mut_ptr(),
                n as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if r >= 0 {
            return Ok(r as usize);
        }
        let e = io::Error::last_os_error();
        match e.kind() {
            io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused => Ok(0),
            _ => Err(e),
        }
    }

    pub fn data(&self, i: usize) -> &[u8] {
        &self.bufs[i * self.size..i * self.size + self.hdrs[i].msg_len as usize]
    }

    pub fn from(&self, i: usize) -> SocketAddrV4 {
        from_c(&self.addrs[i])
    }
}

/// Datagrams gathered for one sendmmsg call.
pub struct SendBatch {
    cap: usize,
    bufs: Vec<Vec<u8>>,
    addrs: Vec<libc::sockaddr_in>,
    iovs: Vec<libc::iovec>,
    hdrs: Vec<libc::mmsghdr>,
    pub len: usize,
    pub sent: u64,
    pub refused: u64,
}

impl SendBatch {
    pub fn new(cap: usize) -> SendBatch {
        // SAFETY: the structures are plain data for which all zeros are valid.
        unsafe {
            SendBatch {
                cap,
                bufs: vec![Vec::with_capacity(2048); cap],
                addrs: vec![zeroed(); cap],
                iovs: vec![zeroed(); cap],
                hdrs: vec![zeroed(); cap],
                len: 0,
                sent: 0,
                refused: 0,
            }
        }
    }

    pub fn full(&self) -> bool {
        self.len == self.cap
    }

    /// Adds a datagram and gives its buffer to fill in (empty, keeps its capacity).
    pub fn next(&mut self, to: SocketAddrV4) -> &mut Vec<u8> {
        assert!(self.len < self.cap);
        let i = self.len;
        self.len += 1;
        self.addrs[i] = to_c(to);
        self.bufs[i].clear();
        &mut self.bufs[i]
    }

    /// Sends everything, waiting for buffer space where needed.
    pub fn flush(&mut self, fd: i32) {
        for i in 0..self.len {
            self.iovs[i].iov_base = self.bufs[i].as_mut_ptr() as *mut _;
            self.iovs[i].iov_len = self.bufs[i].len();
            let h = &mut self.hdrs[i].msg_hdr;
            h.msg_name = &mut self.addrs[i] as *mut _ as *mut _;
            h.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            h.msg_iov = &mut self.iovs[i];
            h.msg_iovlen = 1;
        }
        let mut at = 0;
        while at < self.len {
            // SAFETY: the first `len` headers were pointed at buffers and addresses of this struct, which
            // do not move before the loop ends, and `at` is less than `len`.
            let r = unsafe {
                libc::sendmmsg(fd, self.hdrs.as_mut_ptr().add(at), (self.len - at) as u32, 0)
            };
            if r > 0 {
                at += r as usize;
                self.sent += r as u64;
            } else {
                let e = io::Error::last_os_error();
                match e.raw_os_error() {
                    Some(libc::EAGAIN) | Some(libc::ENOBUFS) => {
                        let mut p = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
                        // SAFETY: one entry is told and one is there; it outlives the call.
                        unsafe { libc::poll(&mut p, 1, 1) };
                    }
                    Some(libc::EINTR) => {}
                    _ => {
                        // for example a pending "connection refused": that datagram is lost
                        self.refused += 1;
                        at += 1;
                    }
                }
            }
        }
        self.len = 0;
    }
}
