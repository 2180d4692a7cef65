//! What happens to a packet: it is taken apart if its peer speaks SRTP, `rtp::forward` says where it goes, and it is
//! protected if the peer there speaks SRTP. All in the buffer that it came in.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base::Instant;
use base::relay::{Event, MasterKey, Onward, PortId, Protection, Side};
use rtp::demux::{Kind, kind};
use rtp::forward::Forwarder;
use srtp::{Inbound, Outbound, SrtpError};

/// All ports of one packet path.
#[derive(Default)]
pub struct Path {
    forwarder: Forwarder,
    /// Those whose peers speak SRTP.
    secure: BTreeMap<PortId, Secure>,
}

/// SRTP with one peer. Without the key of a direction nothing passes in it.
#[derive(Default)]
struct Secure {
    inbound: Option<(MasterKey, Inbound)>,
    outbound: Option<(MasterKey, Outbound)>,
}

impl Path {
    /// A pair is bound; `rtp` is its RTP address.
    pub fn open(&mut self, port: PortId, rtp: SocketAddr) {
        self.secure.remove(&port);
        self.forwarder.open(port, rtp);
    }

    /// Joins two ports, or changes how; whether both are open.
    pub fn join(&mut self, a: Side, b: Side) -> bool {
        self.forwarder.join(a, b)
    }

    /// The peer of a port speaks SRTP, or plain RTP again. A key that is in use already goes on where it is.
    pub fn protect(&mut self, port: PortId, protection: Option<Protection>) {
        let Some(Protection { inbound, outbound }) = protection else {
            self.secure.remove(&port);
            return;
        };
        let secure = self.secure.entry(port).or_default();
        if secure.inbound.as_ref().map(|(key, _)| key) != inbound.as_ref() {
            secure.inbound = inbound.map(|key| {
                let session = Inbound::new(&key);
                (key, session)
            });
        }
        if secure.outbound.as_ref().map(|(key, _)| key) != outbound.as_ref() {
            secure.outbound = outbound.map(|key| {
                let session = Outbound::new(&key);
                (key, session)
            });
        }
    }

    /// An [`Event::Counters`] of a port follows.
    pub fn query(&mut self, port: PortId) {
        self.forwarder.query(port);
    }

    /// A pair is given back; its last counters follow as an event.
    pub fn close(&mut self, port: PortId) {
        self.secure.remove(&port);
        self.forwarder.close(port);
    }

    /// What media control is to hear.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.forwarder.poll_event()
    }

    /// A packet of `length` bytes arrived at a port, or, if the flag is set, at its RTCP port. Nobody's address is
    /// learned from a packet that is not authentic.
    pub fn packet(
        &mut self,
        now: Instant,
        (port, rtcp_port): (PortId, bool),
        source: SocketAddr,
        buffer: &mut [u8],
        mut length: usize,
    ) -> Option<Onward> {
        let slot = self.forwarder.slot(port)?;
        let rtcp = kind(buffer.get(..length)?) == Kind::Rtcp;
        if let Some(secure) = self.secure.get_mut(&port) {
            match secure.take(rtcp, buffer, length) {
                Ok(clear) => length = clear,
                Err(_) => {
                    self.forwarder.refuse(slot);
                    return None;
                }
            }
        }
        let out = self.forwarder.packet(now, slot, rtcp_port, source, &buffer[..length])?;
        if let Some(secure) = self.secure.get_mut(&out.port) {
            length = secure.protect(rtcp, buffer, length).ok()?;
        }
        Some(Onward { port: out.port, rtcp: out.rtcp, to: out.to, length })
    }
}

impl Secure {
    fn take(&mut self, rtcp: bool, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let (_, inbound) = self.inbound.as_mut().ok_or(SrtpError::NotAuthentic)?;
        if rtcp {
            inbound.unprotect_rtcp(buffer, length)
        } else {
            inbound.unprotect(buffer, length)
        }
    }

    fn protect(
        &mut self,
        rtcp: bool,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, SrtpError> {
        let (_, outbound) = self.outbound.as_mut().ok_or(SrtpError::NotAuthentic)?;
        if rtcp { outbound.protect_rtcp(buffer, length) } else { outbound.protect(buffer, length) }
    }
}
