//! Requests that come twice: over UDP the asker repeats itself, and must get the same answer
//! without a second effect.

use std::collections::{BTreeMap, VecDeque};

use base::time::Duration;
use base::{Bytes, Endpoint, Instant};

/// What is known of a cookie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Nothing: work on it.
    New,
    /// It is being worked on: say nothing.
    Pending,
    /// This was answered: say it again.
    Answered(Bytes),
}

type Key = (Endpoint, String);

/// The cookies of the last time.
#[derive(Debug)]
pub struct Cookies {
    capacity: usize,
    lifetime: Duration,
    known: BTreeMap<Key, (Instant, Option<Bytes>)>,
    order: VecDeque<(Instant, Key)>,
}

impl Cookies {
    /// A cache of at most `capacity` cookies (at least one), each for `lifetime`.
    pub fn new(capacity: usize, lifetime: Duration) -> Cookies {
        let capacity = capacity.max(1);
        Cookies { capacity, lifetime, known: BTreeMap::new(), order: VecDeque::new() }
    }

    /// A request came in; a new one is remembered as being worked on.
    pub fn begin(&mut self, now: Instant, from: Endpoint, cookie: &str) -> Seen {
        while let Some((at, _)) = self.order.front()
            && (*at + self.lifetime <= now || self.order.len() > self.capacity)
        {
            self.drop_oldest();
        }
        let key = (from, cookie.to_owned());
        match self.known.get(&key) {
            Some((_, Some(answer))) => return Seen::Answered(answer.clone()),
            Some((_, None)) => return Seen::Pending,
            None => {}
        }
        if self.order.len() == self.capacity {
            self.drop_oldest();
        }
        self.known.insert(key.clone(), (now, None));
        self.order.push_back((now, key));
        Seen::New
    }

    /// The answer was sent.
    pub fn finish(&mut self, from: Endpoint, cookie: &str, answer: Bytes) {
        if let Some((_, known)) = self.known.get_mut(&(from, cookie.to_owned())) {
            *known = Some(answer);
        }
    }

    /// How many cookies are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.known.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::WireId;

    fn at(seconds: u64) -> Instant {
        Instant::EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_second_time_gets_the_first_answer() {
        let mut cookies = Cookies::new(2, Duration::from_secs(10));
        let (a, b) = (Endpoint::Wire(WireId(1)), Endpoint::Wire(WireId(2)));
        assert_eq!(cookies.begin(at(0), a, "x"), Seen::New);
        assert_eq!(cookies.begin(at(1), a, "x"), Seen::Pending);
        assert_eq!(cookies.begin(at(1), b, "x"), Seen::New, "another asker's cookie");
        cookies.finish(a, "x", Bytes::from_static(b"ok"));
        assert_eq!(cookies.begin(at(9), a, "x"), Seen::Answered(Bytes::from_static(b"ok")));
        assert_eq!(cookies.begin(at(10), a, "x"), Seen::New, "forgotten after 10 s");
    }

    #[test]
    fn the_size_is_bounded() {
        let mut cookies = Cookies::new(3, Duration::from_secs(10));
        let from = Endpoint::Wire(WireId(1));
        for n in 0..1000 {
            assert_eq!(cookies.begin(at(0), from, &n.to_string()), Seen::New);
            assert!(cookies.len() <= 3 && cookies.order.len() <= 3);
        }
        assert_eq!(cookies.begin(at(0), from, "999"), Seen::Pending);
        assert_eq!(cookies.begin(at(0), from, "1"), Seen::New);
    }
}
