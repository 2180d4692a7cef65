//! Packets in the order of their sequence numbers. One that is missing is waited for a little.

use std::collections::BTreeMap;

use base::Instant;
use base::time::Duration;
use rtp::Packet;

/// So many packets, and so long, wait for one before them.
const MOST: usize = 3;
const PATIENCE: Duration = Duration::from_millis(60);
/// A number that is farther off than this begins a new count.
const FAR: i64 = 1000;

/// A packet in its turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Arrival {
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) payload_type: u8,
    pub(super) marker: bool,
    pub(super) payload: Vec<u8>,
    /// How many before it did not come.
    pub(super) lost: u64,
}

#[derive(Default)]
pub(super) struct Sequencer {
    source: Option<u32>,
    /// The extended sequence number of the next one.
    next: Option<i64>,
    held: BTreeMap<i64, (Instant, Arrival)>,
}

impl Sequencer {
    /// A packet came; whether it is of another source than the one before it.
    pub(super) fn push(&mut self, now: Instant, packet: &Packet<'_>) -> bool {
        let other = self.source.replace(packet.ssrc()) != Some(packet.ssrc());
        if other {
            (self.next, self.held) = (None, BTreeMap::new());
        }
        let mut number = i64::from(packet.sequence());
        if let Some(next) = self.next {
            number = next + i64::from(packet.sequence().wrapping_sub(next as u16) as i16);
            if (number - next).abs() > FAR {
                (self.next, self.held) = (Some(number), BTreeMap::new());
            } else if number < next {
                // Too late, or once more.
                return other;
            }
        }
        self.next.get_or_insert(number);
        self.held.entry(number).or_insert_with(|| {
            let arrival = Arrival {
                ssrc: packet.ssrc(),
                sequence: packet.sequence(),
                timestamp: packet.timestamp(),
                payload_type: packet.payload_type(),
                marker: packet.marker(),
                payload: packet.payload().to_vec(),
                lost: 0,
            };
            (now, arrival)
        });
        other
    }

    /// The next packet, if it is its turn.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Arrival> {
        let next = self.next?;
        let (number, _) = self.held.first_key_value()?;
        let number = *number;
        let due = self.deadline().is_some_and(|deadline| deadline <= now);
        if number != next && self.held.len() <= MOST && !due {
            return None;
        }
        let (_, mut arrival) = self.held.remove(&number)?;
        arrival.lost = number.abs_diff(next);
        self.next = Some(number + 1);
        Some(arrival)
    }

    /// When the first one that is held has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.held.values().map(|(since, _)| *since + PATIENCE).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_unix_micros(ms * 1000)
    }

    /// Packets with these numbers arrive 20 ms after each other: which ones leave, and how many were missing before.
    fn order(numbers: &[u16]) -> Vec<(u16, u64)> {
        let mut sequencer = Sequencer::default();
        let mut out = Vec::new();
        for (n, sequence) in numbers.iter().enumerate() {
            let now = at(20 * n as u64);
            let bytes = rtp::Builder { sequence: *sequence, ..Default::default() }.build();
            sequencer.push(now, &Packet::parse(&bytes).unwrap());
            out.extend(std::iter::from_fn(|| sequencer.pop(now)).map(|a| (a.sequence, a.lost)));
        }
        let later = at(20 * numbers.len() as u64 + 100);
        out.extend(std::iter::from_fn(|| sequencer.pop(later)).map(|a| (a.sequence, a.lost)));
        out
    }

    #[test]
    fn packets_leave_in_order() {
        assert_eq!(order(&[65_534, 65_535, 0, 1]), [(65_534, 0), (65_535, 0), (0, 0), (1, 0)]);
        assert_eq!(order(&[1, 3, 2, 4]), [(1, 0), (2, 0), (3, 0), (4, 0)]);
        assert_eq!(order(&[1, 2, 2, 1, 3]), [(1, 0), (2, 0), (3, 0)]);
    }

    #[test]
    fn what_is_missing_is_not_waited_for_long() {
        assert_eq!(order(&[1, 4, 5, 6, 7, 3]), [(1, 0), (4, 2), (5, 0), (6, 0), (7, 0)]);
        assert_eq!(order(&[1, 3]), [(1, 0), (3, 1)]);
    }

    #[test]
    fn a_new_count_is_followed() {
        assert_eq!(order(&[1, 2, 40_000, 40_001]), [(1, 0), (2, 0), (40_000, 0), (40_001, 0)]);
    }

    #[test]
    fn another_source_begins_anew() {
        let mut sequencer = Sequencer::default();
        for (ssrc, sequence, other) in [(1, 10, true), (1, 11, false), (2, 5, true), (2, 6, false)]
        {
            let bytes = rtp::Builder { ssrc, sequence, ..Default::default() }.build();
            assert_eq!(sequencer.push(at(0), &Packet::parse(&bytes).unwrap()), other);
            assert_eq!(sequencer.pop(at(0)).map(|a| (a.ssrc, a.sequence)), Some((ssrc, sequence)));
        }
    }
}
