//! What the relay does with packets, as the engine's packet path wants it.

use std::net::SocketAddr;
use std::sync::LazyLock;

use base::Instant;
use base::relay::{Command, Event, Offload, Onward, PortId, Tracking};
use dtls::Certificate;
use engine::relay::Forward;

use crate::recordings::Recordings;

/// The certificate of this process, made at its first use and never changed: media control writes its fingerprint
/// into descriptions, the packet path shows it in handshakes. Either may be built anew without the other.
static CERTIFICATE: LazyLock<Certificate> =
    LazyLock::new(|| Certificate::generate().expect("the system gives random numbers"));

/// The certificate that handshakes of this process show.
pub fn certificate() -> Certificate {
    CERTIFICATE.clone()
}

/// `media::Path`, for the engine.
pub struct RtpForward(media::Path, Option<Recordings>);

impl Default for RtpForward {
    fn default() -> RtpForward {
        RtpForward::recording(None)
    }
}

impl RtpForward {
    /// With somewhere to put what is recorded.
    pub fn recording(recordings: Option<Recordings>) -> RtpForward {
        RtpForward(media::Path::new(certificate()), recordings)
    }

    fn record(&mut self) {
        while let Some(recorded) = self.0.poll_recorded() {
            if let Some(recordings) = &mut self.1 {
                recordings.take(recorded);
            }
        }
        self.1.iter_mut().for_each(Recordings::go_on);
    }
}

impl Forward for RtpForward {
    fn open(&mut self, _: Instant, port: PortId, rtp: SocketAddr) {
        self.0.open(port, rtp);
    }

    fn command(&mut self, now: Instant, command: Command) {
        self.0.command(now, command);
        self.record();
    }

    fn packet(
        &mut self,
        now: Instant,
        at: (PortId, bool),
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<Onward> {
        let onward = self.0.packet(now, at, source, buffer, length);
        self.record();
        onward
    }

    fn poll_packet(&mut self) -> Option<(Onward, Vec<u8>)> {
        self.0.poll_packet()
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    fn expire(&mut self, now: Instant) {
        self.0.expire(now);
        self.record();
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.0.poll_event()
    }

    fn trust_kernel(&mut self, able: bool) {
        self.0.trust_kernel(able);
    }

    fn poll_offload(&mut self) -> Option<Offload> {
        self.0.poll_offload()
    }

    fn moved(&mut self, port: PortId, tracking: Option<&Tracking>, over: bool) {
        self.0.moved(port, tracking, over);
    }
}
