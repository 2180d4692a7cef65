//! One TCP connection, with or without TLS: what waits to be sent, and what has arrived in part.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};

use base::machine::OpenId;
use base::{Bytes, FlowError, Instant, Transport};
use bytes::Buf;
use mio::net::TcpStream;

use super::tls::Session;
use crate::framing::Cutter;

/// Reads of one turn; then others get theirs.
const READS: usize = 4;
/// Messages of one `writev`.
const SLICES: usize = 16;

pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    /// The asker's number, until the connection is made, its TLS included.
    pub(crate) connecting: Option<OpenId>,
    /// Whether TCP has made it.
    pub(crate) connected: bool,
    /// Whether its TLS handshake is still under way.
    pub(crate) handshaking: bool,
    /// Whether the other end showed a certificate of a network function.
    pub(crate) proved: bool,
    /// When it ends unless it was heard of by then.
    pub(crate) patience: Instant,
    /// Accepted, not opened.
    pub(crate) inbound: bool,
    /// The function is done with it: it ends once all is sent.
    pub(crate) closing: bool,
    /// The function knows it: it opened it, or had a message from it.
    pub(crate) heard: bool,
    tls: Option<Box<Session>>,
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
    pub(crate) fn new(
        socket: TcpStream,
        cutter: Cutter,
        tls: Option<Session>,
        connecting: Option<OpenId>,
        patience: Instant,
    ) -> Stream {
        let inbound = connecting.is_none();
        Stream {
            socket,
            connecting,
            connected: inbound,
            handshaking: tls.is_some(),
            proved: false,
            patience,
            inbound,
            closing: false,
            heard: !inbound,
            tls: tls.map(Box::new),
            cutter,
            out: VecDeque::new(),
            out_bytes: 0,
        }
    }

    pub(crate) fn transport(&self) -> Transport {
        if self.tls.is_some() { Transport::Tls } else { Transport::Tcp }
    }

    /// Whether the handshake has come to its end; told once.
    pub(crate) fn has_shaken_hands(&mut self) -> bool {
        match &self.tls {
            Some(session) if self.handshaking && !session.is_handshaking() => {
                self.handshaking = false;
                self.proved = session.is_function();
                true
            }
            _ => false,
        }
    }

    /// Why there is no TLS, for a person; the other end is told by an alert.
    pub(crate) fn complain(&mut self) -> String {
        let Some(session) = &mut self.tls else { return String::new() };
        session.complain(&mut self.socket);
        session.why()
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
        let tls = self.tls.as_ref().is_none_or(|session| session.is_flushed(self.closing));
        self.out.is_empty() && tls
    }

    /// Sends as much as the kernel takes.
    pub(crate) fn flush(&mut self) -> Result<(), FlowError> {
        if let Some(session) = &mut self.tls {
            self.out_bytes -= session.write(&mut self.socket, &mut self.out, self.closing)?;
            return Ok(());
        }
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
            let got = match &mut self.tls {
                Some(session) => session.read(&mut self.socket, scratch),
                None => self.socket.read(scratch),
            };
            match got {
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
                Err(_) if self.handshaking => return Turn::Over(FlowError::Untrusted),
                Err(_) => return Turn::Over(FlowError::Closed),
            }
        }
        Turn::More
    }
}
