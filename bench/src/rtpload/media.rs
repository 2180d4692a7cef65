//! Sockets and packets of the two sides of every stream.

use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;

use bench::big_buffers;
use bench::mmsg::SendBatch;

pub struct Side {
    pub socks: Vec<UdpSocket>,
    pub addrs: Vec<SocketAddrV4>,
    pub out: Vec<SendBatch>,
}

impl Side {
    pub fn new(n: usize, ip: &str) -> Side {
        let mut s = Side { socks: vec![], addrs: vec![], out: vec![] };
        for _ in 0..n {
            // even ports, as RTP wants them
            let k = loop {
                let k = UdpSocket::bind((ip, 0)).expect("bind");
                if k.local_addr().unwrap().port().is_multiple_of(2) {
                    break k;
                }
            };
            big_buffers(k.as_raw_fd(), 4 << 20);
            k.set_nonblocking(true).unwrap();
            if let std::net::SocketAddr::V4(a) = k.local_addr().unwrap() {
                s.addrs.push(a);
            }
            s.socks.push(k);
            s.out.push(SendBatch::new(64));
        }
        s
    }
}

pub struct Leg {
    pub to: SocketAddrV4,
    pub sock: usize,
    pub seq: u32,
}

pub const HEAD: usize = 12;

pub fn rtp(buf: &mut Vec<u8>, ssrc: u32, seq: u32, payload: usize, now: u64) {
    buf.extend_from_slice(&[0x80, 8]);
    buf.extend_from_slice(&(seq as u16).to_be_bytes());
    buf.extend_from_slice(&(seq.wrapping_mul(160)).to_be_bytes());
    buf.extend_from_slice(&ssrc.to_be_bytes());
    buf.extend_from_slice(b"LOAD");
    buf.extend_from_slice(&ssrc.to_be_bytes());
    buf.extend_from_slice(&seq.to_be_bytes());
    buf.extend_from_slice(&now.to_be_bytes());
    buf.resize(HEAD + payload.max(20), 0xd5);
}
