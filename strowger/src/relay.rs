//! What the relay does with packets, as the engine's packet path wants it.

use std::net::SocketAddr;

use base::Instant;
use base::relay::{Event, Onward, PortId, Protection, Side};
use engine::relay::Forward;

/// `media::Path`, for the engine.
#[derive(Default)]
pub struct RtpForward(media::Path);

impl Forward for RtpForward {
    fn open(&mut self, _: Instant, port: PortId, rtp: SocketAddr) {
        self.0.open(port, rtp);
    }

    fn join(&mut self, _: Instant, a: Side, b: Side) {
        self.0.join(a, b);
    }

    fn protect(&mut self, _: Instant, port: PortId, protection: Option<Protection>) {
        self.0.protect(port, protection);
    }

    fn query(&mut self, _: Instant, port: PortId) {
        self.0.query(port);
    }

    fn close(&mut self, _: Instant, port: PortId) {
        self.0.close(port);
    }

    fn packet(
        &mut self,
        now: Instant,
        at: (PortId, bool),
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<Onward> {
        self.0.packet(now, at, source, buffer, length)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.poll_event()
    }
}
