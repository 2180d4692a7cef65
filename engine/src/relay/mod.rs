//! The media relay's packet path: UDP port pairs, and packets from one to the other.
//!
//! What happens to a packet is decided by a [`Forward`], which the program hands in; the engine only
//! moves packets. The live path is a thread of its own; the simulator has its own path over the
//! same trait.

pub(crate) mod pool;
mod thread;
mod xdp;

use std::net::SocketAddr;

use base::Instant;
pub use base::relay::Onward;
use base::relay::{Command, Event, Offload, PortId, Tracking};

pub use thread::{RelayConfig, RelayThread};

/// The forwarding decision.
pub trait Forward: Send {
    /// A pair is bound; `rtp` is its RTP address, RTCP is on the next port.
    fn open(&mut self, now: Instant, port: PortId, rtp: SocketAddr);
    /// What media control wants; [`Command::Open`] is carried out already, and after [`Command::Close`] the pair is gone.
    fn command(&mut self, now: Instant, command: Command);
    /// A packet arrived at a port, or, if the flag is set, at its RTCP port: `length` bytes at the beginning of
    /// `buffer`, where it may be changed and grow. Where it goes, unless it is dropped.
    fn packet(
        &mut self,
        now: Instant,
        at: (PortId, bool),
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<Onward>;
    /// A packet of its own, and where it goes.
    fn poll_packet(&mut self) -> Option<(Onward, Vec<u8>)>;
    /// When it wants [`Forward::expire`] to be called.
    fn deadline(&self) -> Option<Instant>;
    /// It is later.
    fn expire(&mut self, now: Instant);
    /// What media control is to hear.
    fn poll_event(&mut self) -> Option<Event>;
    /// Whether the kernel can move packets by itself.
    fn trust_kernel(&mut self, _able: bool) {}
    /// What the kernel is asked next: after every command and every packet.
    fn poll_offload(&mut self) -> Option<Offload> {
        None
    }
    /// What the kernel has counted of a port's packets so far, and whether it moves no more of them. Without a
    /// tracking it does not know the port.
    fn moved(&mut self, _port: PortId, _tracking: Option<&Tracking>, _over: bool) {}
}

impl<F: Forward + ?Sized> Forward for Box<F> {
    fn open(&mut self, now: Instant, port: PortId, rtp: SocketAddr) {
        (**self).open(now, port, rtp);
    }
    fn command(&mut self, now: Instant, command: Command) {
        (**self).command(now, command);
    }
    fn packet(
        &mut self,
        now: Instant,
        at: (PortId, bool),
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<Onward> {
        (**self).packet(now, at, source, buffer, length)
    }
    fn poll_packet(&mut self) -> Option<(Onward, Vec<u8>)> {
        (**self).poll_packet()
    }
    fn deadline(&self) -> Option<Instant> {
        (**self).deadline()
    }
    fn expire(&mut self, now: Instant) {
        (**self).expire(now);
    }
    fn poll_event(&mut self) -> Option<Event> {
        (**self).poll_event()
    }
    fn trust_kernel(&mut self, able: bool) {
        (**self).trust_kernel(able);
    }
    fn poll_offload(&mut self) -> Option<Offload> {
        (**self).poll_offload()
    }
    fn moved(&mut self, port: PortId, tracking: Option<&Tracking>, over: bool) {
        (**self).moved(port, tracking, over);
    }
}

/// The port that an event is about.
pub(crate) fn event_port(event: &Event) -> PortId {
    match event {
        Event::Opened { port, .. }
        | Event::NoPort { port }
        | Event::Learned { port, .. }
        | Event::Standing { port, .. }
        | Event::Digit { port, .. }
        | Event::Kernel { port, .. }
        | Event::Failed { port, .. }
        | Event::Counters { port, .. } => *port,
    }
}
