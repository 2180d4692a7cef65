//! The timer table: one enum of timers for each machine, and one place that knows which is next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::time::Instant;

/// Deadlines of many keys, soonest first.
///
/// A timer is never removed when it is no longer wanted: the owner remembers the deadline that it
/// armed, and ignores a key that comes due when its own record says otherwise. That makes arming and
/// forgetting cheap, which is what nearly all SIP timers are for.
#[derive(Debug)]
pub struct Timers<K: Ord> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

impl<K: Ord> Default for Timers<K> {
    fn default() -> Self {
        Timers { heap: BinaryHeap::new() }
    }
}

impl<K: Ord> Timers<K> {
    /// Arms `key` for `at`.
    pub fn arm(&mut self, at: Instant, key: K) {
        self.heap.push(Reverse((at, key)));
    }

    /// The next key that is due at `now`.
    pub fn due(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.heap.peek()?.0.0 > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// When the next key is due.
    pub fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next key and its time, for those who drop stale ones early.
    pub fn peek(&self) -> Option<(Instant, &K)> {
        self.heap.peek().map(|Reverse((at, key))| (*at, key))
    }

    /// Drops the next key.
    pub fn pop(&mut self) {
        self.heap.pop();
    }

    /// Armed keys, stale ones included.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether nothing is armed.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    #[test]
    fn soonest_first_and_not_early() {
        let start = Instant::from_unix_micros(1_000_000);
        let mut timers = Timers::default();
        timers.arm(start + Duration::from_secs(2), "B");
        timers.arm(start + Duration::from_secs(1), "A");
        assert_eq!(timers.next(), Some(start + Duration::from_secs(1)));
        assert_eq!(timers.due(start), None);
        let later = start + Duration::from_secs(5);
        assert_eq!(timers.due(later).map(|(_, k)| k), Some("A"));
        assert_eq!(timers.due(later).map(|(_, k)| k), Some("B"));
        assert_eq!(timers.due(later), None);
    }
}
