//! Digits that are said in the place of a peer, within the stream that leaves: packets of it are left out as long as a digit
//! lasts, and those behind it have other sequence numbers. Timestamps stay: a digit takes as long as what it replaces.

use std::collections::VecDeque;

use base::Instant;
use base::relay::{Digit, Encoding, Format, Sound};
use base::time::Duration;
use codec::tone::{Tones, digit};
use rtp::Packet;
use rtp::event::TelephoneEvent;

use super::transcode::{Speech, Stream, TONE_LEVEL};

/// What a packet lasts.
const PACKET: Duration = Duration::from_millis(20);
/// A digit begins in the place of a packet. If none comes for so long, it begins without.
const PATIENCE: Duration = Duration::from_millis(100);
/// So many digits wait.
const MOST: usize = 256;
/// As many packets as the longest digit has, and more.
const DIGIT: u16 = 300;
/// A number that is farther off than this begins a new count.
const FAR: i16 = 1000;

#[derive(Default)]
pub(super) struct Dialler {
    waiting: VecDeque<Digit>,
    /// When the next one may begin.
    earliest: Option<Instant>,
    said: Option<Said>,
    /// Whose numbers change, and by how much.
    source: Option<u32>,
    offset: u16,
    /// The first number of the source behind the last digit: what is before it comes too late.
    floor: Option<u16>,
    /// No packet came since the last digit.
    after: bool,
    next: Option<Next>,
    /// What whoever could go on elsewhere has to know has changed.
    news: bool,
    ready: VecDeque<Vec<u8>>,
}

/// What the next packet that leaves would have, and since when that is so.
#[derive(Clone, Copy)]
struct Next {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Units of the clock in a second.
    clock: u32,
    since: Instant,
}

/// A digit that is being said.
struct Said {
    digit: Digit,
    stream: Stream,
    ssrc: u32,
    clock: u32,
    /// The timestamp that its events have.
    begin: u32,
    began: Instant,
    /// How much of it was said.
    passed: Duration,
    way: Way,
}

/// How a digit is said.
enum Way {
    /// As events of this payload type, RFC 4733.
    Events(u8),
    Tones(Tones, (u8, Encoding), Option<Speech>),
}

impl Dialler {
    /// Goes on where another packet path was.
    pub(super) fn resume((source, offset): (u32, u16)) -> Dialler {
        Dialler { source: Some(source), offset, ..Dialler::default() }
    }

    /// Whose numbers change, and by how much: by more than that if a digit is under way, so that no number leaves twice.
    pub(super) fn renumbered(&self) -> Option<(u32, u16)> {
        let under_way = self.said.is_some() || self.after;
        let more = if under_way { DIGIT } else { 0 };
        Some((self.source?, self.offset.wrapping_add(more)))
    }

    /// Whether [`Dialler::renumbered`] is another since somebody asked last.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    pub(super) fn dial(&mut self, now: Instant, digit: Digit) {
        if self.waiting.is_empty() && self.said.is_none() {
            self.earliest = self.earliest.max(Some(now));
        }
        if self.waiting.len() < MOST {
            self.waiting.push_back(digit);
        }
    }

    /// A packet is about to leave; whether it does. Its number may be another one then.
    pub(super) fn packet(&mut self, now: Instant, bytes: &mut [u8]) -> bool {
        self.expire(now);
        if self.said.is_some() || !self.renumber(now, bytes) {
            return false;
        }
        let Ok(packet) = Packet::parse(bytes) else { return false };
        if self.waiting.is_empty() || self.earliest > Some(now) {
            return true;
        }
        let numbers = (packet.ssrc(), packet.sequence(), packet.timestamp());
        !self.begin(now, numbers, Some(packet.payload_type()))
    }

    /// When packets of digits leave.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.said {
            Some(said) => Some(said.due()),
            None if self.waiting.is_empty() => None,
            None => self.earliest.map(|earliest| earliest + PATIENCE),
        }
    }

    /// The packets that leave until now wait for [`Dialler::poll`].
    pub(super) fn expire(&mut self, now: Instant) {
        while self.deadline().is_some_and(|at| at <= now) {
            let Some(said) = &mut self.said else {
                self.begin_alone(now);
                continue;
            };
            let over = said.say();
            self.ready.extend(std::iter::from_fn(|| said.stream.poll()));
            if over && let Some(said) = self.said.take() {
                let (end, (sequence, timestamp)) = (said.end(), said.stream.numbers());
                self.earliest = Some(end + said.digit.pause);
                let Said { ssrc, clock, .. } = said;
                self.next = Some(Next { ssrc, sequence, timestamp, clock, since: end });
                self.after = true;
            }
        }
    }

    /// Whether packets of a digit leave before anything else does.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A packet of a digit that leaves.
    pub(super) fn poll(&mut self) -> Option<Vec<u8>> {
        self.ready.pop_front()
    }

    /// Nothing comes that a digit could replace.
    fn begin_alone(&mut self, now: Instant) {
        let Some(digit) = self.waiting.front() else { return };
        let numbers = self.next.map_or(digit.begin, |next| {
            let passed = now.since(next.since).as_millis() as u64 * u64::from(next.clock) / 1000;
            (next.ssrc, next.sequence, next.timestamp.wrapping_add(passed as u32))
        });
        self.begin(now, numbers, None);
    }

    /// The next digit begins with these numbers, where this payload type was spoken; false if it cannot be said.
    fn begin(&mut self, now: Instant, numbers: (u32, u16, u32), spoken: Option<u8>) -> bool {
        let Some(digit) = self.waiting.pop_front() else { return false };
        let Some((way, clock)) = way(&digit, spoken) else { return false };
        let (ssrc, _, begin) = numbers;
        let (stream, passed) = (Stream::new(numbers), Duration::ZERO);
        self.news = true;
        self.said = Some(Said { digit, stream, ssrc, clock, begin, began: now, passed, way });
        true
    }

    /// A packet gets the number that follows those that left. False if it belongs before them.
    fn renumber(&mut self, now: Instant, bytes: &mut [u8]) -> bool {
        let Ok(packet) = Packet::parse(bytes) else { return false };
        let (ssrc, sequence, timestamp) = (packet.ssrc(), packet.sequence(), packet.timestamp());
        if self.source != Some(ssrc) {
            (self.source, self.offset, self.floor) = (Some(ssrc), 0, None);
        }
        let next = self.next.filter(|next| next.ssrc == ssrc);
        let ahead = self.floor.map_or(0, |floor| sequence.wrapping_sub(floor) as i16);
        if (self.after || ahead < -FAR)
            && let Some(next) = next
        {
            let behind = next.timestamp.wrapping_sub(timestamp) as i32;
            // Far behind it is another clock.
            if self.after && behind > 0 && behind as u32 <= next.clock {
                return false;
            }
            self.offset = next.sequence.wrapping_sub(sequence);
            self.floor = Some(sequence);
            self.news = true;
        } else if ahead < 0 {
            return false;
        } else if ahead > FAR {
            self.floor = None;
        }
        self.after = false;
        let sequence = sequence.wrapping_add(self.offset);
        bytes[2..4].copy_from_slice(&sequence.to_be_bytes());
        let sequence = sequence.wrapping_add(1);
        if next.is_none_or(|next| sequence.wrapping_sub(next.sequence) as i16 >= 0) {
            let clock = self.next.map_or(8000, |next| next.clock);
            self.next = Some(Next { ssrc, sequence, timestamp, clock, since: now });
        }
        true
    }
}

impl Said {
    fn end(&self) -> Instant {
        self.began + self.digit.duration
    }

    /// When the next packet of it leaves.
    fn due(&self) -> Instant {
        self.began + self.passed.min(self.digit.duration)
    }

    /// The next packet; whether it was the last one.
    fn say(&mut self) -> bool {
        let Said { digit, stream, clock, begin, passed, way, .. } = self;
        let over = *passed >= digit.duration;
        let before = *passed;
        *passed = digit.duration.min(before + PACKET);
        let units =
            |time: Duration| (time.as_micros() as u64 * u64::from(*clock) / 1_000_000) as u32;
        match way {
            Way::Events(payload_type) => {
                let duration = units(*passed).min(u16::MAX.into()) as u16;
                let Digit { event, volume, .. } = *digit;
                let event = TelephoneEvent { event, end: over, volume, duration }.build();
                // RFC 4733 §2.5.1.4: its end is said three times.
                for _ in 0..if over { 3 } else { 1 } {
                    stream.put(*payload_type, before.is_zero(), *begin, &event);
                }
                if over {
                    stream.skip(units(digit.duration));
                }
            }
            Way::Tones(tones, (payload_type, to), speech) => {
                let speech = Speech::of(speech, None, (*payload_type, *to, PACKET));
                let count = (*passed - before).as_micros() as u64 * u64::from(to.rate());
                speech.add(|samples| tones.make((count / 1_000_000) as usize, samples));
                speech.emit(stream);
                if over {
                    speech.flush(stream);
                }
            }
        }
        over
    }
}

/// How a digit is said to whom this payload type was spoken, and the clock there: as events if they have that clock
/// (RFC 4733 §2.1), else as tones.
fn way(said: &Digit, spoken: Option<u8>) -> Option<(Way, u32)> {
    let formats = &said.formats;
    let spoken = formats.iter().find(|format| Some(format.payload_type) == spoken);
    let clock = spoken.or(formats.first())?.sound.clock();
    if let Some(events) = formats.iter().find(|format| format.sound == Sound::Digits { clock }) {
        return Some((Way::Events(events.payload_type), clock));
    }
    let encoding = |format: &Format| match format.sound {
        Sound::Speech(encoding) => Some((format.payload_type, encoding)),
        _ => None,
    };
    let (payload_type, to) =
        spoken.and_then(encoding).or_else(|| formats.iter().find_map(encoding))?;
    let below = said.volume.saturating_add(TONE_LEVEL);
    let tones = Tones::new(&digit(said.event)?, to.rate(), below);
    Some((Way::Tones(tones, (payload_type, to), None), to.clock()))
}
