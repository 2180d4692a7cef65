//! How long a registration lasts, and when a refresh of it has to be written down.
//!
//! A refresh that only moves the end is written when less than half of the stored lifetime is left:
//! most are not. So after a restart the true end may be later than the stored one, by less than half
//! a lifetime, and that much is added: a phone that is kept too long costs nothing, one that is
//! dropped too early cannot be called.

use base::Instant;
use base::time::Duration;
use serde::{Deserialize, Serialize};

/// The lifetime of a binding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Lifetime {
    /// When it ends, microseconds since 1970.
    end: u64,
    /// Seconds that were granted.
    granted: u32,
    /// The end that the store knows; 0 if none.
    #[serde(skip)]
    stored: u64,
}

impl Lifetime {
    /// So many seconds from now.
    pub(crate) fn new(now: Instant, seconds: u32) -> Lifetime {
        let end = now + Duration::from_secs(u64::from(seconds));
        Lifetime { end: end.unix_micros(), granted: seconds, stored: 0 }
    }

    /// When it ends.
    pub(crate) fn end(&self) -> Instant {
        Instant::from_unix_micros(self.end)
    }

    /// Seconds that were granted.
    pub(crate) fn granted(&self) -> u32 {
        self.granted
    }

    /// Seconds that are left, a begun one counted.
    pub(crate) fn left(&self, now: Instant) -> u32 {
        u32::try_from(self.end().since(now).as_micros().div_ceil(1_000_000)).unwrap_or(u32::MAX)
    }

    /// Whether what is stored of `old`, the lifetime before, is good enough for this one too.
    pub(crate) fn is_covered(&self, old: &Lifetime, now: Instant) -> bool {
        let left = Instant::from_unix_micros(old.stored).since(now);
        self.granted == old.granted && left * 2 > Duration::from_secs(u64::from(self.granted))
    }

    /// It is not written: the store goes on knowing what it knew of `old`.
    pub(crate) fn keep_stored(&mut self, old: &Lifetime) {
        self.stored = old.stored;
    }

    /// It is written.
    pub(crate) fn mark_stored(&mut self) {
        self.stored = self.end;
    }

    /// It was read from the store: refreshes may be missing. The next one is written whatever is left, so
    /// that a node which wrote it before hears that the user is another one's now.
    pub(crate) fn restored(mut self) -> Lifetime {
        let missing = Duration::from_secs(u64::from(self.granted)) / 2;
        self.end = (self.end() + missing).unix_micros();
        self.stored = 0;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_unix_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_restart_never_ends_a_registration_early() {
        let mut stored = Lifetime::new(at(0), 3600);
        stored.mark_stored();
        for refreshed in (0..3600).step_by(100) {
            let refresh = Lifetime::new(at(refreshed), 3600);
            let covered = refresh.is_covered(&stored, at(refreshed));
            assert_eq!(covered, refreshed < 1800, "{refreshed}");
            assert!(!covered || stored.restored().end() >= refresh.end(), "{refreshed}");
        }
        assert!(!Lifetime::new(at(10), 600).is_covered(&stored, at(10)), "another lifetime");
    }
}
