//! The RTP forwarder as the engine's packet path wants it.

use std::net::SocketAddr;

use base::Instant;
use base::relay::{Event, PortId, Side};
use engine::relay::{Forward, Onward};
use rtp::forward::Forwarder;

/// The forwarding decision of `rtp::forward`, for the engine.
#[derive(Debug, Default)]
pub struct RtpForward {
    forwarder: Forwarder,
    events: std::collections::VecDeque<Event>,
}

impl Forward for RtpForward {
    fn open(&mut self, _now: Instant, port: PortId, rtp: SocketAddr) {
        self.forwarder.open(port, rtp);
    }

    fn join(&mut self, _now: Instant, a: Side, b: Side) {
        self.forwarder.join(a, b);
    }

    fn query(&mut self, _now: Instant, port: PortId) {
        self.forwarder.query(port);
    }

    fn close(&mut self, _now: Instant, port: PortId) {
        if let Some(counters) = self.forwarder.close(port) {
            self.events.push_back(Event::Counters { port, counters });
        }
    }

    fn packet(
        &mut self,
        now: Instant,
        port: PortId,
        rtcp: bool,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Option<Onward> {
        let slot = self.forwarder.slot(port)?;
        let forward = self.forwarder.packet(now, slot, rtcp, source, bytes)?;
        Some(Onward { port: forward.port, rtcp: forward.rtcp, to: forward.to })
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.forwarder.poll_event().or_else(|| self.events.pop_front())
    }
}
