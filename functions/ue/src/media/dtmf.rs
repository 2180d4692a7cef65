//! Digits in the media, RFC 4733: the queue of those to be sent, and the memory of those heard.

use std::collections::VecDeque;

use base::time::Duration;
use rtp::event::{TelephoneEvent, payloads};

/// How long a digit lasts, and the pause after it: 100 ms in units of the clock.
const LENGTH: u16 = 800;

/// Digits to be sent.
#[derive(Default)]
pub(super) struct Digits {
    waiting: VecDeque<u8>,
    current: Option<Current>,
    /// Units of the clock until the next digit may begin.
    pause: u32,
}

struct Current {
    timestamp: u32,
    payloads: VecDeque<TelephoneEvent>,
    first: bool,
}

/// One packet of a digit.
pub(super) struct DigitPacket {
    pub(super) event: TelephoneEvent,
    pub(super) timestamp: u32,
    pub(super) first: bool,
}

impl Digits {
    /// Queues digits; nothing if one of them is none.
    pub(super) fn push(&mut self, digits: &str) -> bool {
        let events: Option<Vec<u8>> = digits.chars().map(TelephoneEvent::of_digit).collect();
        match events {
            Some(events) => {
                self.waiting.extend(events);
                true
            }
            None => false,
        }
    }

    /// The digit's packet that takes this packet time, if one does.
    pub(super) fn next(&mut self, timestamp: u32, step: u32) -> Option<DigitPacket> {
        if self.current.is_none() {
            if self.pause > 0 {
                self.pause = self.pause.saturating_sub(step);
                return None;
            }
            let event = self.waiting.pop_front()?;
            let payloads = payloads(event, step as u16, LENGTH).collect();
            self.current = Some(Current { timestamp, payloads, first: true });
        }
        let current = self.current.as_mut()?;
        let event = current.payloads.pop_front()?;
        let packet = DigitPacket { event, timestamp: current.timestamp, first: current.first };
        current.first = false;
        if current.payloads.is_empty() {
            self.current = None;
            self.pause = u32::from(LENGTH);
        }
        Some(packet)
    }
}

/// Digits that were heard: each is told once, when it ends.
#[derive(Default)]
pub(super) struct Heard {
    told: Option<u32>,
}

impl Heard {
    /// A digit that ended with this payload.
    pub(super) fn packet(&mut self, timestamp: u32, payload: &[u8]) -> Option<(char, Duration)> {
        let event = TelephoneEvent::parse(payload)?;
        if !event.end || self.told == Some(timestamp) {
            return None;
        }
        self.told = Some(timestamp);
        Some((event.digit()?, Duration::from_micros(u64::from(event.duration) * 125)))
    }
}
