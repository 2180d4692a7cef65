//! The media relay's packet path: UDP port pairs, and packets from one to the other.
//!
//! What happens to a packet is decided by a [`Forward`], which the program hands in; the engine only
//! moves packets. The live path is a thread of its own; the simulator has its own path over the
//! same trait.

pub(crate) mod pool;
mod thread;

use std::net::SocketAddr;

use base::Instant;
use base::relay::{Event, PortId, Side};

pub use thread::{RelayConfig, RelayThread};

/// The forwarding decision.
pub trait Forward: Send {
    /// A pair is bound; `rtp` is its RTP address, RTCP is on the next port.
    fn open(&mut self, now: Instant, port: PortId, rtp: SocketAddr);
    /// Two ports belong together, or change how.
    fn join(&mut self, now: Instant, a: Side, b: Side);
    /// Somebody wants the counters of a port: an [`Event::Counters`] follows.
    fn query(&mut self, now: Instant, port: PortId);
    /// A pair is given back; its last counters follow as an event.
    fn close(&mut self, now: Instant, port: PortId);
    /// A packet arrived at `port`; where it goes, unless it is dropped.
    fn packet(
        &mut self,
        now: Instant,
        port: PortId,
        rtcp: bool,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Option<Onward>;
    /// What media control is to hear.
    fn poll_event(&mut self) -> Option<Event>;
}

/// Where a packet leaves and where it goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Onward {
    /// The pair that it leaves from.
    pub port: PortId,
    /// From the pair's RTCP port.
    pub rtcp: bool,
    /// The peer's address.
    pub to: SocketAddr,
}

impl<F: Forward + ?Sized> Forward for Box<F> {
    fn open(&mut self, now: Instant, port: PortId, rtp: SocketAddr) {
        (**self).open(now, port, rtp);
    }
    fn join(&mut self, now: Instant, a: Side, b: Side) {
        (**self).join(now, a, b);
    }
    fn query(&mut self, now: Instant, port: PortId) {
        (**self).query(now, port);
    }
    fn close(&mut self, now: Instant, port: PortId) {
        (**self).close(now, port);
    }
    fn packet(
        &mut self,
        now: Instant,
        port: PortId,
        rtcp: bool,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Option<Onward> {
        (**self).packet(now, port, rtcp, source, bytes)
    }
    fn poll_event(&mut self) -> Option<Event> {
        (**self).poll_event()
    }
}

/// The port that an event is about.
pub(crate) fn event_port(event: &Event) -> PortId {
    match event {
        Event::Opened { port, .. }
        | Event::NoPort { port }
        | Event::Learned { port, .. }
        | Event::Counters { port, .. } => *port,
    }
}
