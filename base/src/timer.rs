//! The timer table: one enum of timers for each machine, and one place that knows which is next; and
//! the table of what runs out, one entry for each key.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};

use crate::time::{Duration, Instant};

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

    /// Drops the keys that nobody waits for, if they must be most of all: no more than `most` are waited for.
    pub fn tidy(&mut self, most: usize, is_armed: impl Fn(Instant, &K) -> bool) {
        if self.heap.len() > 2 * most + 64 {
            self.heap.retain(|Reverse((at, key))| is_armed(*at, key));
        }
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

/// What comes after one of few delays, and is never taken back: a queue for each delay. For what only tidies
/// up, of which there is far more than of all else.
#[derive(Debug)]
pub struct Delays<K> {
    queues: Vec<(Duration, VecDeque<(Instant, K)>)>,
}

impl<K> Default for Delays<K> {
    fn default() -> Self {
        Delays { queues: Vec::new() }
    }
}

impl<K> Delays<K> {
    /// `key` is due `delay` from now, or [a little later](coarse).
    pub fn after(&mut self, now: Instant, delay: Duration, key: K) {
        let entry = (coarse(now + delay), key);
        match self.queues.iter_mut().find(|(of, _)| *of == delay) {
            Some((_, queue)) => queue.push_back(entry),
            None => self.queues.push((delay, VecDeque::from([entry]))),
        }
    }

    /// The next key that is due at `now`.
    pub fn due(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.next()? <= now { self.pop() } else { None }
    }

    /// Takes the next key, due or not.
    pub fn pop(&mut self) -> Option<(Instant, K)> {
        let at = |queue: &VecDeque<(Instant, K)>| queue.front().map(|front| front.0);
        let waiting = self.queues.iter_mut().filter(|(_, queue)| !queue.is_empty());
        let (_, queue) = waiting.min_by_key(|(_, queue)| at(queue))?;
        let next = queue.pop_front();
        if queue.is_empty() {
            queue.shrink_to(64);
        }
        next
    }

    /// When the next key is due.
    pub fn next(&self) -> Option<Instant> {
        self.queues.iter().filter_map(|(_, queue)| Some(queue.front()?.0)).min()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.queues.iter().map(|(_, queue)| queue.len()).sum()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(|(_, queue)| queue.is_empty())
    }
}

/// A little later: the same time for all that is due within a tenth of a second, so that the loop wakes
/// once for all of them. For what only tidies up.
pub fn coarse(at: Instant) -> Instant {
    const TICK: u64 = 100_000;
    Instant::from_unix_micros(at.unix_micros().div_ceil(TICK).saturating_mul(TICK))
}

/// When each key runs out: one time for each, which may be moved.
///
/// For what lives long and is refreshed often, such as a registration: a stale entry of [`Timers`]
/// would stay for days.
#[derive(Debug)]
pub struct Expiries<K: Ord> {
    at: BTreeMap<K, Expiry>,
    order: BTreeSet<(Instant, K)>,
}

#[derive(Clone, Copy, Debug)]
struct Expiry {
    at: Instant,
    /// Its place in the order: never later.
    place: Instant,
}

impl<K: Ord> Default for Expiries<K> {
    fn default() -> Self {
        Expiries { at: BTreeMap::new(), order: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Expiries<K> {
    /// `key` runs out at `at`, and no longer when it was to before.
    pub fn set(&mut self, at: Instant, key: K) {
        if let Some(before) = self.at.insert(key.clone(), Expiry { at, place: at }) {
            if before.place == at {
                return;
            }
            self.order.remove(&(before.place, key.clone()));
        }
        self.order.insert((at, key));
    }

    /// The same for what is refreshed all the time: a key that is to run out later keeps its place in the
    /// order until that comes, so that this costs one look-up.
    pub fn refresh(&mut self, at: Instant, key: &K) {
        match self.at.get_mut(key) {
            Some(expiry) if expiry.place <= at => expiry.at = at,
            _ => self.set(at, key.clone()),
        }
    }

    /// `key` does not run out any more.
    pub fn remove(&mut self, key: &K) {
        if let Some((key, expiry)) = self.at.remove_entry(key) {
            self.order.remove(&(expiry.place, key));
        }
    }

    /// Takes the next key that has run out at `now`.
    pub fn due(&mut self, now: Instant) -> Option<K> {
        while self.order.first()?.0 <= now {
            let (_, key) = self.order.pop_first()?;
            match self.at.get_mut(&key) {
                Some(expiry) if expiry.at > now => {
                    expiry.place = expiry.at;
                    self.order.insert((expiry.at, key));
                }
                _ => {
                    self.at.remove(&key);
                    return Some(key);
                }
            }
        }
        None
    }

    /// When the next key runs out, or would have if it had not been refreshed.
    pub fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn what_nobody_waits_for_goes_once_it_is_most() {
        let at = |seconds: u64| Instant::from_unix_micros(seconds * 1_000_000);
        let mut timers = Timers::default();
        for key in 0..1000 {
            timers.arm(at(key), key);
            timers.tidy(10, |_, key| key % 100 == 0);
        }
        assert!(timers.len() <= 84);
        let mut left = std::iter::from_fn(|| timers.due(at(2000)));
        assert_eq!(left.by_ref().take(9).filter(|(_, key)| key % 100 == 0).count(), 9);
    }

    #[test]
    fn each_delay_has_its_queue() {
        let start = Instant::from_unix_micros(1_000_000);
        let later = |seconds| start + Duration::from_secs(seconds);
        let mut delays = Delays::default();
        delays.after(start, Duration::from_secs(32), "L");
        delays.after(start, Duration::from_secs(5), "K");
        delays.after(later(1), Duration::from_secs(5), "I");
        assert_eq!(delays.next(), Some(later(5)));
        assert_eq!((delays.due(later(4)), delays.due(later(5))), (None, Some((later(5), "K"))));
        assert_eq!((delays.due(later(5)), delays.len()), (None, 2));
        assert_eq!(delays.due(later(40)), Some((later(6), "I")));
        assert_eq!((delays.pop(), delays.next()), (Some((later(32), "L")), None));
    }

    #[test]
    fn a_key_runs_out_once_and_at_its_last_time() {
        let at = |seconds: u64| Instant::from_unix_micros(seconds * 1_000_000);
        let mut expiries = Expiries::default();
        for second in [9, 2, 5] {
            expiries.set(at(second), "a");
        }
        expiries.set(at(3), "b");
        expiries.set(at(4), "c");
        expiries.remove(&"c");
        assert_eq!(expiries.next(), Some(at(3)));
        assert_eq!(expiries.due(at(2)), None);
        assert_eq!(expiries.due(at(9)), Some("b"));
        assert_eq!(expiries.due(at(9)), Some("a"));
        assert_eq!((expiries.due(at(9)), expiries.next()), (None, None));
    }

    #[test]
    fn a_refreshed_key_runs_out_at_its_last_time() {
        let at = |seconds: u64| Instant::from_unix_micros(seconds * 1_000_000);
        let mut expiries = Expiries::default();
        expiries.refresh(at(2), &"a");
        expiries.set(at(5), "b");
        expiries.refresh(at(7), &"a");
        expiries.refresh(at(6), &"a");
        assert_eq!((expiries.next(), expiries.due(at(4))), (Some(at(2)), None));
        assert_eq!((expiries.next(), expiries.due(at(5))), (Some(at(5)), Some("b")));
        expiries.refresh(at(3), &"a");
        assert_eq!((expiries.next(), expiries.due(at(3))), (Some(at(3)), Some("a")));
        expiries.refresh(at(9), &"c");
        expiries.refresh(at(10), &"c");
        expiries.remove(&"c");
        assert_eq!((expiries.due(at(99)), expiries.next()), (None, None));
    }
}
