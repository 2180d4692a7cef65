//! The stream that leaves: numbers of its own, and a clock that follows the one that comes.

use std::collections::VecDeque;

use base::Instant;
use base::relay::{INDEX_STEP, Leaving};
use base::time::Duration;
use rtp::Builder;
use rtp::event::TelephoneEvent;

use super::sequence::Arrival;

/// A jump of the clock that comes by more than this many seconds is none that is followed.
const FAR: i64 = 10;
/// The anchor follows after so many units of a clock: half of those that tell before from after.
const LONG: i32 = 1 << 30;
/// No stream has more packets in a second, and no fewer of them are left out after somebody else's stream.
const FASTEST: Duration = Duration::from_millis(10);
const LEFT_OUT: u64 = 64;

/// What of an event is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moment {
    Begin,
    Middle,
    End,
}

pub(in crate::path) struct Stream {
    ssrc: Option<u32>,
    sequence: u16,
    /// The timestamp of the next sound that leaves.
    next: u32,
    /// The same instant by the clock that comes, and by the one that leaves; and both clocks.
    anchor: (u32, u32),
    clocks: (u32, u32),
    /// The next packet is the first one after a pause.
    begins: bool,
    /// The source that comes, and what was last of it.
    source: u32,
    heard: (u16, u32),
    pub(super) packets: u32,
    pub(super) octets: u32,
    ready: VecDeque<Vec<u8>>,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream {
            ssrc: None,
            sequence: 0,
            next: 0,
            anchor: (0, 0),
            // Somebody may report on a stream before there is one.
            clocks: (1, 1),
            begins: false,
            source: 0,
            heard: (0, 0),
            packets: 0,
            octets: 0,
            ready: VecDeque::new(),
        }
    }
}

impl Stream {
    /// A stream that does not follow another one begins with this source, sequence number and timestamp.
    pub(in crate::path) fn new((ssrc, sequence, next): (u32, u16, u32)) -> Stream {
        Stream { ssrc: Some(ssrc), sequence, next, begins: true, ..Stream::default() }
    }

    /// Goes on with a stream that somebody else sent, where it is now at most: no number leaves twice.
    pub(super) fn resume(&mut self, now: Instant, leaving: &Leaving, clock: u32) {
        let Leaving { ssrc, sequence, timestamp, at } = *leaving;
        let passed = now.since(at).as_millis() as u64;
        let left = (passed / FASTEST.as_millis() as u64).min(INDEX_STEP) + LEFT_OUT;
        self.ssrc = Some(ssrc);
        self.sequence = sequence.wrapping_add(left as u16);
        self.next = timestamp.wrapping_add((passed * u64::from(clock) / 1000) as u32);
        self.begins = true;
    }

    /// Where it is, if whoever could go on elsewhere has to know.
    pub(super) fn news(&self, now: Instant, told: u32) -> Option<Leaving> {
        let steps = |packets: u32| packets.div_ceil(INDEX_STEP as u32);
        let leaving =
            Leaving { ssrc: self.ssrc?, sequence: self.sequence, timestamp: self.next, at: now };
        (steps(self.packets) != steps(told)).then_some(leaving)
    }

    /// A packet is to leave that came with this clock and leaves with that one.
    pub(super) fn begin(&mut self, arrival: &Arrival, from: u32, to: u32) {
        let clocks = (from.max(1), to.max(1));
        if self.ssrc.is_none() {
            self.ssrc = Some(source_of_its_own(arrival));
            (self.sequence, self.next) = (arrival.sequence, arrival.timestamp);
            self.begins = true;
        }
        let jump = arrival.timestamp.wrapping_sub(self.heard.1) as i32;
        let far = i64::from(jump).abs() > FAR * i64::from(from);
        if self.clocks != clocks || self.source != arrival.ssrc || far {
            self.clocks = clocks;
            self.source = arrival.ssrc;
            self.anchor = (arrival.timestamp, self.next);
        } else if arrival.timestamp.wrapping_sub(self.anchor.0) as i32 > LONG {
            self.anchor = (arrival.timestamp, self.at(arrival.timestamp));
        }
        self.heard = (arrival.sequence, arrival.timestamp);
    }

    /// A timestamp that came, by the clock that leaves.
    pub(super) fn at(&self, timestamp: u32) -> u32 {
        let passed = timestamp.wrapping_sub(self.anchor.0) as i32;
        let passed = i64::from(passed) * i64::from(self.clocks.1) / i64::from(self.clocks.0);
        self.anchor.1.wrapping_add(passed as u32)
    }

    /// A duration of the clock that comes, by the one that leaves.
    pub(super) fn scaled(&self, duration: u16) -> u16 {
        let scaled = u64::from(duration) * u64::from(self.clocks.1) / u64::from(self.clocks.0);
        scaled.try_into().unwrap_or(u16::MAX)
    }

    /// The timestamp of the next sound that leaves.
    pub(super) fn next(&self) -> u32 {
        self.next
    }

    /// Sound goes on with this timestamp that came.
    pub(super) fn pause(&mut self, timestamp: u32) {
        let at = self.at(timestamp);
        // Sound that left is not said once more.
        if at.wrapping_sub(self.next) as i32 > 0 {
            self.next = at;
        } else {
            self.anchor = (timestamp, self.next);
        }
        self.begins = true;
    }

    /// Time passes without sound.
    pub(in crate::path) fn skip(&mut self, units: u32) {
        self.next = self.next.wrapping_add(units);
        self.begins = true;
    }

    /// Sound that lasts so long leaves.
    pub(in crate::path) fn sound(&mut self, payload_type: u8, units: u32, payload: &[u8]) {
        let marker = std::mem::take(&mut self.begins);
        self.put(payload_type, marker, self.next, payload);
        self.next = self.next.wrapping_add(units);
    }

    /// A payload leaves as it is.
    pub(super) fn pass(&mut self, arrival: &Arrival, payload_type: u8) {
        let marker = std::mem::take(&mut self.begins) || arrival.marker;
        let timestamp = self.at(arrival.timestamp);
        self.next = timestamp;
        self.put(payload_type, marker, timestamp, &arrival.payload);
    }

    /// An event that began then, RFC 4733 §2.5.1; its end is said three times.
    pub(super) fn event(&mut self, payload_type: u8, event: u8, since: u32, moment: Moment) {
        let duration = self.next.wrapping_sub(since).min(u16::MAX.into()) as u16;
        let end = moment == Moment::End;
        let payload = TelephoneEvent { event, end, volume: 10, duration }.build();
        for _ in 0..if end { 3 } else { 1 } {
            self.put(payload_type, moment == Moment::Begin, since, &payload);
        }
    }

    /// A packet of the stream.
    pub(in crate::path) fn put(
        &mut self,
        payload_type: u8,
        marker: bool,
        timestamp: u32,
        payload: &[u8],
    ) {
        let (sequence, ssrc) = (self.sequence, self.ssrc.unwrap_or_default());
        self.sequence = sequence.wrapping_add(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        let builder = Builder {
            payload_type,
            marker,
            sequence,
            timestamp,
            ssrc,
            payload,
            ..Builder::default()
        };
        self.ready.push_back(builder.build());
    }

    /// The next packet that leaves.
    pub(in crate::path) fn poll(&mut self) -> Option<Vec<u8>> {
        self.ready.pop_front()
    }

    /// The sequence number and the timestamp of the next sound that leaves.
    pub(in crate::path) fn numbers(&self) -> (u16, u32) {
        (self.sequence, self.next)
    }

    /// The source that comes and the one that leaves.
    pub(super) fn sources(&self) -> (u32, u32) {
        (self.source, self.ssrc.unwrap_or(self.source))
    }

    /// The clocks that come and leave.
    pub(super) fn clocks(&self) -> (u32, u32) {
        self.clocks
    }

    /// An extended sequence number that left, as the one that came then.
    pub(super) fn came(&self, highest: u32) -> u32 {
        let behind = self.sequence.wrapping_sub(1).wrapping_sub(highest as u16);
        highest & 0xffff_0000 | u32::from(self.heard.0.wrapping_sub(behind))
    }
}

/// Who speaks in a stream that begins with this packet. Not the source that comes: its numbers are others, and where one
/// name had both, a receiver took the lower ones for late, and SRTP for sent before (RFC 3711 §3.3.2). It is as random
/// as the packet's own numbers (RFC 3550 §5.1).
fn source_of_its_own(arrival: &Arrival) -> u32 {
    !arrival.ssrc ^ arrival.timestamp.rotate_left(16)
}
