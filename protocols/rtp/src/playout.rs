//! A playout buffer: frames come in as the network likes, and leave evenly.
//!
//! The delay is fixed: the first frame of a talk spurt waits for it, which absorbs as much jitter.

use std::collections::BTreeMap;

use base::Instant;
use base::time::Duration;

/// What is to be played in one frame's time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// A payload with its payload type.
    Payload(u8, Vec<u8>),
    /// A frame is missing: conceal it or play silence.
    Missing,
    /// Nothing is being sent, or the first frame still waits.
    Silence,
}

/// Frames waiting to be played.
#[derive(Debug)]
pub struct Playout {
    delay: Duration,
    frame: Duration,
    step: u32,
    frames: BTreeMap<u64, (u8, Vec<u8>)>,
    /// The extended timestamp of the next frame and when it is due.
    next: Option<(u64, Instant)>,
    newest: u64,
    source: Option<u32>,
    late: u64,
    missing: u64,
}

/// The most frames that wait; an older one is thrown away for a newer.
const MOST: usize = 100;

impl Playout {
    /// A buffer: `delay` before the first frame, frames of length `frame` (at least 1 ms), a clock
    /// of `rate` Hz.
    pub fn new(delay: Duration, frame: Duration, rate: u32) -> Playout {
        let frame = frame.max(Duration::from_millis(1));
        let step = (frame.as_micros() as u64 * u64::from(rate) / 1_000_000).max(1) as u32;
        Playout {
            delay,
            frame,
            step,
            frames: BTreeMap::new(),
            next: None,
            newest: 0,
            source: None,
            late: 0,
            missing: 0,
        }
    }

    /// A packet arrived.
    pub fn push(&mut self, now: Instant, packet: &crate::Packet<'_>) {
        if self.source != Some(packet.ssrc()) {
            self.source = Some(packet.ssrc());
            self.frames.clear();
            self.next = None;
        }
        let time = self.extend(packet.timestamp());
        let far = 2 * MOST as u64 * u64::from(self.step);
        if let Some((next, _)) = self.next
            && next.abs_diff(time) > far
        {
            self.frames.clear();
            self.next = None;
        }
        match self.next {
            Some((next, _)) if time < next => {
                self.late += 1;
                return;
            }
            Some(_) => {}
            None => self.next = Some((time, now + self.delay)),
        }
        self.newest = self.newest.max(time);
        self.frames.insert(time, (packet.payload_type(), packet.payload().to_vec()));
        if self.frames.len() > MOST {
            self.frames.pop_first();
        }
    }

    /// When [`pop`](Playout::pop) is due next.
    pub fn due(&self) -> Option<Instant> {
        self.next.map(|(_, at)| at)
    }

    /// What to play at `now`; call it once for each frame's time.
    pub fn pop(&mut self, now: Instant) -> Frame {
        let Some((time, at)) = self.next.filter(|(_, at)| *at <= now) else {
            return Frame::Silence;
        };
        if self.frames.is_empty() {
            // The sender is silent or gone; the next packet starts anew with the full delay.
            self.next = None;
            return Frame::Silence;
        }
        self.next = Some((time + u64::from(self.step), at + self.frame));
        // A sender's frame boundaries may shift after a pause: take what falls into this frame.
        let last = time + u64::from(self.step) - 1;
        match self.frames.range(time..=last).next().map(|(time, _)| *time) {
            Some(time) => match self.frames.remove(&time) {
                Some((payload_type, payload)) => Frame::Payload(payload_type, payload),
                None => Frame::Missing,
            },
            None => {
                self.missing += 1;
                Frame::Missing
            }
        }
    }

    /// Packets that came too late to be played.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Frames that were due and not there.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    fn extend(&mut self, timestamp: u32) -> u64 {
        if self.next.is_none() && self.frames.is_empty() {
            // Room below for what comes out of order.
            self.newest = 1 << 32 | u64::from(timestamp);
        }
        let offset = i64::from(timestamp.wrapping_sub(self.newest as u32) as i32);
        self.newest.saturating_add_signed(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Packet};

    const FRAME: Duration = Duration::from_millis(20);

    fn at(ms: u64) -> Instant {
        Instant::from_unix_micros(ms * 1000)
    }

    fn play(arrivals: &[(u64, u32)], until: u64) -> (Vec<Frame>, Playout) {
        let mut playout = Playout::new(Duration::from_millis(60), FRAME, 8000);
        let mut out = Vec::new();
        for ms in 0..until {
            for (_, n) in arrivals.iter().filter(|(at, _)| *at == ms) {
                let timestamp = (u32::MAX - 300).wrapping_add(n * 160);
                let payload = [*n as u8];
                let bytes = Builder { timestamp, payload: &payload, ..Builder::default() }.build();
                playout.push(at(ms), &Packet::parse(&bytes).unwrap());
            }
            if playout.due().is_some_and(|due| due <= at(ms)) {
                out.push(playout.pop(at(ms)));
            }
        }
        (out, playout)
    }

    fn payload(n: u8) -> Frame {
        Frame::Payload(0, vec![n])
    }

    #[test]
    fn jitter_and_reordering_are_smoothed() {
        let (out, playout) = play(&[(0, 0), (55, 2), (56, 1), (70, 3), (95, 4)], 145);
        assert_eq!(out, [0, 1, 2, 3, 4].map(payload));
        assert_eq!((playout.late(), playout.missing()), (0, 0));
    }

    #[test]
    fn what_is_missing_or_late_is_said() {
        let (out, playout) = play(&[(0, 0), (40, 2), (90, 1)], 115);
        assert_eq!(out, [payload(0), Frame::Missing, payload(2)]);
        assert_eq!((playout.late(), playout.missing()), (1, 1));
    }

    #[test]
    fn a_pause_starts_anew() {
        let (out, _) = play(&[(0, 0), (500, 25), (520, 26)], 600);
        assert_eq!(out, [payload(0), Frame::Silence, payload(25), payload(26)]);
    }
}
