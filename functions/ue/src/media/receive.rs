//! What we hear: statistics, a playout buffer, and a recording whose time is the listener's.

use std::net::SocketAddr;

use base::Instant;
use base::time::Duration;
use codec::g711::Law;
use rtp::playout::{Frame, Playout};
use rtp::quality::{G711, mos, rating};
use rtp::{Packet, Reception};
use sdp::Codec;

use super::dtmf::Heard;
use super::send::named;
use crate::core::Core;
use crate::report::MediaStats;

pub(super) struct Receiver {
    reception: Reception,
    delay: Duration,
    playout: Option<Playout>,
    laws: Vec<(u8, Law)>,
    event: Option<u8>,
    heard: Heard,
    from: Option<SocketAddr>,
    /// When the first frame was played.
    began: Option<Instant>,
    recording: Vec<i16>,
    /// Most samples that are kept.
    room: usize,
}

/// What is new with a packet.
#[derive(Default)]
pub(super) struct News {
    /// It was the first one.
    pub(super) first: bool,
    /// A digit ended.
    pub(super) digit: Option<(char, Duration)>,
}

impl Receiver {
    pub(super) fn new(core: &Core) -> Receiver {
        let config = &core.config.media;
        Receiver {
            reception: Reception::new(8000),
            delay: config.playout,
            playout: None,
            laws: Vec::new(),
            event: None,
            heard: Heard::default(),
            from: None,
            began: None,
            recording: Vec::new(),
            room: config.recording.as_millis() as usize * 8,
        }
    }

    /// The codecs to expect with their payload types.
    pub(super) fn expect(&mut self, codecs: &[Codec]) {
        let law = |c: &Codec| Some((c.payload_type, named(&c.name)?));
        self.laws = codecs.iter().filter_map(law).collect();
        self.event = codecs.iter().find(|c| c.is_telephone_event()).map(|c| c.payload_type);
    }

    pub(super) fn packet(
        &mut self,
        now: Instant,
        from: Option<SocketAddr>,
        packet: &Packet<'_>,
    ) -> News {
        let first = self.from.is_none();
        self.from = from.or(self.from);
        let (ssrc, sequence) = (packet.ssrc(), packet.sequence());
        self.reception.packet(now, ssrc, sequence, packet.timestamp());
        if self.event == Some(packet.payload_type()) {
            let digit = self.heard.packet(packet.timestamp(), packet.payload());
            return News { first, digit };
        }
        if self.law(packet.payload_type()).is_some() && !packet.payload().is_empty() {
            // The sender chooses its packet time whatever ptime says.
            let frame = (packet.payload().len() as u64 / 8).clamp(5, 200);
            let delay = self.delay;
            let playout = self
                .playout
                .get_or_insert_with(|| Playout::new(delay, Duration::from_millis(frame), 8000));
            playout.push(now, packet);
        }
        News { first, digit: None }
    }

    /// Early media may come before the answer that numbers its payload types.
    fn law(&self, payload_type: u8) -> Option<Law> {
        let agreed = self.laws.iter().find(|(number, _)| *number == payload_type);
        match agreed {
            Some((_, law)) => Some(*law),
            None if self.laws.is_empty() => Law::of_payload_type(payload_type),
            None => None,
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.playout.as_ref()?.due()
    }

    pub(super) fn play(&mut self, now: Instant) {
        while let Some(at) = self.due().filter(|at| *at <= now) {
            let Some(playout) = &mut self.playout else { return };
            if let Frame::Payload(payload_type, payload) = playout.pop(at) {
                self.record(at, payload_type, &payload);
            }
        }
    }

    /// Plays what still waits.
    pub(super) fn drain(&mut self) {
        while let Some(at) = self.due() {
            self.play(at);
        }
    }

    fn record(&mut self, at: Instant, payload_type: u8, payload: &[u8]) {
        let Some(law) = self.law(payload_type) else { return };
        let began = *self.began.get_or_insert(at);
        // Whatever was not heard between the last frame and this one is silence.
        let place = (at.since(began).as_micros() / 125) as usize;
        if self.recording.len() < place {
            self.recording.resize(place.min(self.room), 0);
        }
        law.decode(payload, &mut self.recording);
        self.recording.truncate(self.room);
    }

    /// The numbers, as far as they are known here.
    pub(super) fn stats(&self) -> MediaStats {
        MediaStats {
            received: self.reception.received(),
            lost: self.reception.lost(),
            late: self.playout.as_ref().map_or(0, Playout::late),
            duplicates: self.reception.duplicates(),
            jitter: self.reception.jitter_time(),
            seen: self.from,
            ..MediaStats::default()
        }
    }

    /// The score with this delay from mouth to ear.
    pub(super) fn mos(&self, delay: Duration) -> Option<f64> {
        let stats = self.stats();
        let expected = stats.received + stats.lost;
        if stats.received == 0 {
            return None;
        }
        let loss = 100.0 * (stats.lost + stats.late) as f64 / expected.max(1) as f64;
        Some(mos(rating(delay.as_secs_f64() * 1000.0, loss, G711)))
    }

    pub(super) fn reception(&mut self) -> &mut Reception {
        &mut self.reception
    }

    pub(super) fn into_recording(self) -> Vec<i16> {
        self.recording
    }
}
