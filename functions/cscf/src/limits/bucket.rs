//! A token bucket: how often something may happen.

use base::Instant;
use base::time::Duration;

/// How often, in the long run and at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rate {
    /// How long a token takes to come back.
    each: Duration,
    /// Tokens of a full bucket.
    burst: u32,
}

impl Rate {
    /// So many a second, from 1 to 1,000,000; more are no limit.
    pub(super) const fn per_second(number: u32, burst: u32) -> Rate {
        Rate { each: Duration::from_micros(1_000_000 / number as u64), burst }
    }

    /// One each time that so much time has passed.
    pub(super) const fn one_in(each: Duration, burst: u32) -> Rate {
        Rate { each, burst }
    }

    /// How long an empty bucket takes to be full.
    fn whole(self) -> Duration {
        self.each.saturating_mul(self.burst)
    }
}

/// A bucket of tokens, known by when it is full again (the virtual scheduling of ITU-T I.371).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) const FULL: Bucket = Bucket { full_at: Instant::EPOCH };

    /// One that holds this part of its tokens, at least one.
    pub(super) fn part(now: Instant, rate: Rate, part: u32) -> Bucket {
        let held = (rate.burst / part).max(1);
        Bucket { full_at: now + rate.each.saturating_mul(rate.burst.saturating_sub(held)) }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self, now: Instant, rate: Rate) -> bool {
        let taken = !self.is_empty(now, rate);
        if taken {
            self.full_at = self.full_at.max(now) + rate.each;
        }
        taken
    }

    /// Whether there is no token.
    pub(super) fn is_empty(&self, now: Instant, rate: Rate) -> bool {
        (self.full_at.max(now) + rate.each).since(now) > rate.whole()
    }
}
