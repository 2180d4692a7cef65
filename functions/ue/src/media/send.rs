//! What we say: a packet each packet time, sound or digits, timestamps that follow the clock.

use std::sync::Arc;

use base::Instant;
use base::time::Duration;
use codec::g711::Law;
use rtp::Builder;
use sdp::Negotiated;

use super::dtmf::Digits;
use crate::core::Core;

/// Samples in a millisecond.
const PER_MS: u32 = 8;
/// A sender that was not woken for so long leaves out what it could not say.
const LAG: Duration = Duration::from_millis(200);

pub(super) struct Sender {
    samples: Arc<[i16]>,
    repeat: bool,
    talk: Option<Duration>,
    ssrc: u32,
    sequence: u16,
    /// The timestamp at the clock's start.
    offset: u32,
    /// When the first packet of all was sent.
    began: Option<Instant>,
    /// The samples said so far.
    position: usize,
    frame: Duration,
    running: bool,
    /// The next packet begins a talk spurt.
    marker: bool,
    digits: Digits,
    packets: u64,
    octets: u64,
    /// The timestamp of the last packet and its time, for sender reports.
    last: Option<(u32, Instant)>,
}

impl Sender {
    pub(super) fn new(core: &mut Core) -> Sender {
        Sender {
            samples: core.config.audio.samples.clone(),
            repeat: core.config.audio.repeat,
            talk: core.config.media.talk,
            ssrc: core.random.u32(),
            sequence: core.random.u32() as u16 & 0x7fff,
            offset: core.random.u32(),
            began: None,
            position: 0,
            frame: Duration::from_millis(20),
            running: false,
            marker: true,
            digits: Digits::default(),
            packets: 0,
            octets: 0,
            last: None,
        }
    }

    /// Speaks from now on; when the first packet is due.
    pub(super) fn start(&mut self, now: Instant, agreed: &Negotiated) -> Instant {
        self.frame = Duration::from_millis(u64::from(agreed.ptime));
        if !self.running {
            self.running = true;
            self.marker = true;
        }
        now
    }

    pub(super) fn pause(&mut self) {
        self.running = false;
        self.digits = Digits::default();
    }

    pub(super) fn is_sending(&self) -> bool {
        self.running
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// The timestamp that belongs to `now`; `None` before the first packet.
    pub(super) fn timestamp_at(&self, now: Instant) -> Option<u32> {
        let (timestamp, at) = self.last?;
        Some(timestamp.wrapping_add(samples_in(now.since(at))))
    }

    /// Queues digits; `false` if one of them is none.
    pub(super) fn digits(&mut self, digits: &str) -> bool {
        self.digits.push(digits)
    }

    /// The packet that is due now; none once the talk is over.
    pub(super) fn tick(&mut self, now: Instant, agreed: &Negotiated) -> Option<Vec<u8>> {
        if !self.running {
            return None;
        }
        let began = *self.began.get_or_insert(now);
        let step = self.frame.as_millis() as u32 * PER_MS;
        // On the grid of packets since the clock's start, so that late timers are not heard.
        let passed = now.since(began).as_micros() / self.frame.as_micros().max(1);
        let timestamp = self.offset.wrapping_add((passed as u32).wrapping_mul(step));
        if self.talk.is_some_and(|talk| now.since(began) >= talk) {
            self.running = false;
            return None;
        }
        // Two packets never share a timestamp, even if the timer came early once.
        let timestamp = match self.last {
            Some((last, _)) if last == timestamp => timestamp.wrapping_add(step),
            _ => timestamp,
        };
        let law = Law::of_payload_type(agreed.codec.payload_type)
            .or_else(|| named(&agreed.codec.name))?;
        let mut payload = Vec::with_capacity(step as usize);
        let mut marker = std::mem::take(&mut self.marker);
        let mut stamp = timestamp;
        let mut payload_type = agreed.codec.payload_type;
        let event = agreed
            .telephone_event
            .and_then(|event_type| Some((event_type, self.digits.next(timestamp, step)?)));
        match event {
            Some((event_type, digit)) => {
                payload.extend(digit.event.build());
                (payload_type, stamp, marker) = (event_type, digit.timestamp, digit.first);
            }
            None => law.encode(&self.speech(step as usize), &mut payload),
        }
        let packet = Builder {
            marker,
            payload_type,
            sequence: self.sequence,
            timestamp: stamp,
            ssrc: self.ssrc,
            payload: &payload,
            ..Builder::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.packets += 1;
        self.octets += payload.len() as u64;
        self.last = Some((timestamp, now));
        Some(packet.build())
    }

    /// When the packet after the one due `at` is due.
    pub(super) fn next(&self, now: Instant, at: Instant) -> Option<Instant> {
        if !self.running {
            return None;
        }
        let next = at + self.frame;
        Some(if now.since(next) > LAG { now + self.frame } else { next })
    }

    fn speech(&mut self, count: usize) -> Vec<i16> {
        let length = self.samples.len();
        let mut out = Vec::with_capacity(count);
        for _ in 0..count {
            let index =
                if self.repeat && length > 0 { self.position % length } else { self.position };
            out.push(self.samples.get(index).copied().unwrap_or(0));
            self.position += 1;
        }
        out
    }
}

fn samples_in(time: Duration) -> u32 {
    (time.as_micros() * u128::from(PER_MS) / 1000) as u32
}

/// The law of a codec with a dynamic payload type.
pub(super) fn named(codec: &str) -> Option<Law> {
    [("PCMA", Law::A), ("PCMU", Law::Mu)]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(codec))
        .map(|(_, law)| law)
}
