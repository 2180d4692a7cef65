//! One TCP connection: what waits to be sent, and what has arrived in part.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};

use base::machine::OpenId;
use base::{Bytes, FlowError};
use bytes::Buf;
use mio::net::TcpStream;

use crate::framing::Cutter;

/// Reads of one turn; then others get theirs.
const READS: usize = 4;
/// Messages of one `writev`.
const SLICES: usize = 16;

pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    /// The asker's number, until the connection is made.
    pub(crate) connecting: Option<OpenId>,
    /// Accepted, not opened.
    pub(crate) inbound: bool,
    /// The function is done with it: it ends once all is sent.
    pub(crate) closing: bool,
    /// The function knows it: it opened it, or had a message from it.
    pub(crate) heard: bool,
    cutter: Cutter,
    out: VecDeque<Bytes>,
    out_bytes: usize,
}

/// How a turn of reading ended.
pub(crate) enum Turn {
    /// Nothing more for now.
    Drained,
    /// There may be more.
    More,
    /// The connection is over.
    Over(FlowError),
}

impl Stream {
    pub(crate) fn new(socket: TcpStream, cutter: Cutter, connecting: Option<OpenId>) -> Stream {
        let inbound = connecting.is_none();
        let (out, closing) = (VecDeque::new(), false);
        let heard = !inbound;
        Stream { socket, connecting, inbound, closing, heard, cutter, out, out_bytes: 0 }
    }

    /// Queues a message; refused if more than `limit` bytes wait.
    pub(crate) fn push(&mut self, message: Bytes, limit: usize) -> Result<(), FlowError> {
        if self.out_bytes + message.len() > limit {
            return Err(FlowError::Overloaded);
        }
        self.out_bytes += message.len();
        self.out.push_back(message);
        Ok(())
    }

    pub(crate) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Sends as much as the kernel takes.
    pub(crate) fn flush(&mut self) -> Result<(), FlowError> {
        while !self.out.is_empty() {
            let empty = IoSlice::new(&[]);
            let mut slices = [empty; SLICES];
            let mut count = 0;
            for (slice, message) in slices.iter_mut().zip(&self.out) {
                *slice = IoSlice::new(message);
                count += 1;
            }
            match self.socket.write_vectored(&slices[..count]) {
                Ok(mut sent) => {
                    self.out_bytes -= sent;
                    while let Some(front) = self.out.front_mut() {
                        if sent < front.len() {
                            front.advance(sent);
                            break;
                        }
                        sent -= front.len();
                        self.out.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(FlowError::Closed),
            }
        }
        Ok(())
    }

    /// Reads what is there and hands over whole messages.
    pub(crate) fn read(&mut self, scratch: &mut [u8], mut message: impl FnMut(Bytes)) -> Turn {
        for _ in 0..READS {
            match self.socket.read(scratch) {
                Ok(0) => return Turn::Over(FlowError::Closed),
                Ok(n) => {
                    self.cutter.push(&scratch[..n]);
                    loop {
                        match self.cutter.message() {
                            Ok(Some(whole)) => message(whole),
                            Ok(None) => break,
                            Err(error) => return Turn::Over(error),
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Turn::Over(FlowError::Closed),
            }
        }
        Turn::More
    }
}
