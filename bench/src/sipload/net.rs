//! The phones' sockets: many of them, UDP or TCP, all towards one server.
use bench::{big_buffers, mmsg::*};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

use socket2::{Domain, Socket, Type};

enum End {
    Udp { sock: UdpSocket, out: SendBatch },
    Tcp { sock: TcpStream, inbuf: Vec<u8>, outbuf: Vec<u8> },
}

impl End {
    fn fd(&self) -> i32 {
        match self {
            End::Udp { sock, .. } => sock.as_raw_fd(),
            End::Tcp { sock, .. } => sock.as_raw_fd(),
        }
    }
}

pub struct Net {
    ends: Vec<End>,
    pub addrs: Vec<SocketAddrV4>,
    pub server: SocketAddrV4,
    pub tcp: bool,
    epoll: i32,
    batch: RecvBatch,
    unsent: Vec<usize>,
}

impl Net {
    /// `n` sockets, each at the address that `ip` gives for its number.
    pub fn new(n: usize, ip: impl Fn(usize) -> Ipv4Addr, server: SocketAddrV4, tcp: bool) -> Net {
        allow_files(n as u64 + 100);
        // SAFETY: it takes an integer and gives one; no memory is shared.
        let epoll = unsafe { libc::epoll_create1(0) };
        assert!(epoll >= 0, "epoll");
        let mut net = Net {
            ends: Vec::new(),
            addrs: Vec::new(),
            server,
            tcp,
            epoll,
            batch: RecvBatch::new(64, 8192),
            unsent: Vec::new(),
        };
        for i in 0..n {
            let (end, local) = if tcp {
                let sock = connect_from(ip(i), server).expect("connect to the server");
                sock.set_nodelay(true).unwrap();
                sock.set_nonblocking(true).unwrap();
                let local = sock.local_addr();
                (End::Tcp { sock, inbuf: Vec::new(), outbuf: Vec::new() }, local)
            } else {
                let sock = UdpSocket::bind((ip(i), 0)).expect("bind");
                big_buffers(sock.as_raw_fd(), 4 << 20);
                sock.set_nonblocking(true).unwrap();
                let local = sock.local_addr();
                (End::Udp { sock, out: SendBatch::new(16) }, local)
            };
            match local {
                Ok(SocketAddr::V4(a)) => net.addrs.push(a),
                other => panic!("IPv4 only: {other:?}"),
            }
            let mut ev = libc::epoll_event { events: libc::EPOLLIN as u32, u64: i as u64 };
            // SAFETY: the kernel reads the event during the call only, and it outlives the call.
            let added = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, end.fd(), &mut ev) };
            assert_eq!(added, 0, "epoll_ctl");
            net.ends.push(end);
        }
        net
    }

    /// Puts a message aside for the next `flush`.
    pub fn send(&mut self, end: usize, msg: &[u8]) {
        match &mut self.ends[end] {
            End::Udp { sock, out } => {
                if out.full() {
                    out.flush(sock.as_raw_fd());
                }
                if out.len == 0 {
                    self.unsent.push(end);
                }
                out.next(self.server).extend_from_slice(msg);
            }
            End::Tcp { outbuf, .. } => {
                if outbuf.is_empty() {
                    self.unsent.push(end);
                }
                outbuf.extend_from_slice(msg);
            }
        }
    }

    pub fn flush(&mut self) {
        let ends = &mut self.ends;
        self.unsent.retain(|i| match &mut ends[*i] {
            End::Udp { sock, out } => {
                out.flush(sock.as_raw_fd());
                false
            }
            End::Tcp { sock, outbuf, .. } => match sock.write(outbuf) {
                Ok(n) => {
                    outbuf.drain(..n);
                    !outbuf.is_empty()
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => true,
                Err(e) => give_up(&format!("tcp write: {e}")),
            },
        });
    }

    /// Waits up to `ms` and adds every whole message that came in to `inbox`, with its socket.
    pub fn receive(&mut self, ms: i32, inbox: &mut Vec<(usize, Vec<u8>)>) {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 256];
        // SAFETY: the kernel writes at most as many events as the array, which outlives the call, has.
        let n = unsafe {
            libc::epoll_wait(self.epoll, ready.as_mut_ptr(), ready.len() as libc::c_int, ms)
        };
        for event in ready.iter().take(n.max(0) as usize) {
            let i = event.u64 as usize;
            match &mut self.ends[i] {
                End::Udp { sock, .. } => {
                    let n = self.batch.recv(sock.as_raw_fd()).expect("recvmmsg");
                    inbox.extend((0..n).map(|k| (i, self.batch.data(k).to_vec())));
                }
                End::Tcp { sock, inbuf, .. } => {
                    let mut tmp = [0u8; 65536];
                    match sock.read(&mut tmp) {
                        Ok(0) => give_up("the server closed a TCP connection"),
                        Ok(n) => inbuf.extend_from_slice(&tmp[..n]),
                        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                        Err(e) => give_up(&format!("tcp read: {e}")),
                    }
                    let mut at = 0;
                    while let Some(len) = whole_message(&inbuf[at..]) {
                        inbox.push((i, inbuf[at..at + len].to_vec()));
                        at += len;
                    }
                    inbuf.drain(..at);
                }
            }
        }
    }

    pub fn proto(&self) -> &'static str {
        if self.tcp {
            "TCP"
        } else {
            "UDP"
        }
    }

    fn transport(&self) -> &'static str {
        if self.tcp {
            ";transport=tcp"
        } else {
            ""
        }
    }

    pub fn contact(&self, user: &str, end: usize) -> String {
        format!("<sip:{user}@{}{}>", self.addrs[end], self.transport())
    }

    /// The server as a phone's outbound proxy.
    pub fn outbound_proxy(&self) -> String {
        format!("<sip:{}{};lr>", self.server, self.transport())
    }
}

fn give_up(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(1)
}

fn allow_files(n: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls use the structure, which is theirs and outlives them, during the call only.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_cur.max(n).min(limit.rlim_max);
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

/// A TCP connection from a chosen address.
fn connect_from(ip: Ipv4Addr, server: SocketAddrV4) -> io::Result<TcpStream> {
    let sock = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    sock.bind(&SocketAddrV4::new(ip, 0).into())?;
    sock.connect(&server.into())?;
    Ok(sock.into())
}

/// Length of the first whole SIP message in a byte stream.
fn whole_message(b: &[u8]) -> Option<usize> {
    let head = b.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&b[..head]).ok()?;
    let mut body = 0;
    for l in text.split("\r\n") {
        if let Some((n, v)) = l.split_once(':') {
            let n = n.trim();
            if n.eq_ignore_ascii_case("content-length") || n.eq_ignore_ascii_case("l") {
                body = v.trim().parse().ok()?;
            }
        }
    }
    (b.len() >= head + body).then_some(head + body)
}
