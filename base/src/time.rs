//! Time as machines see it: one number, handed in.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
pub use core::time::Duration;
use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
///
/// The engine derives it from the wall clock at its start plus a monotonic clock, so that it never
/// goes backwards while a process lives and still means something after a restart (a binding's
/// expiry is stored as an `Instant`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Instant(u64);

impl Instant {
    /// The Unix epoch.
    pub const EPOCH: Instant = Instant(0);

    /// `micros` microseconds since the Unix epoch.
    pub const fn from_unix_micros(micros: u64) -> Instant {
        Instant(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn unix_micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Year, month and day in UTC, in the proleptic Gregorian calendar.
    pub const fn utc_date(self) -> (u64, u64, u64) {
        // Days since 0000-03-01, so that leap days end a year: Hinnant's civil_from_days.
        let z = self.unix_seconds() / 86_400 + 719_468;
        let (era, day) = (z / 146_097, z % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let shifted = (5 * day + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        (year + era * 400 + (month <= 2) as u64, month, day - (153 * shifted + 2) / 5 + 1)
    }

    /// Time passed since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Our time for libraries that count in [`std::time::Instant`]s, of which they compare but never ask the clock.
#[derive(Clone, Copy, Debug)]
pub struct Translation {
    ours: Instant,
    theirs: std::time::Instant,
}

impl Translation {
    /// From `now` on.
    #[allow(
        clippy::disallowed_methods,
        reason = "an origin: only differences to it are ever looked at"
    )]
    pub fn new(now: Instant) -> Translation {
        Translation { ours: now, theirs: std::time::Instant::now() }
    }

    /// The same point in their time; the origin for what is earlier.
    pub fn theirs(&self, at: Instant) -> std::time::Instant {
        self.theirs + at.since(self.ours)
    }

    /// The first microsecond of ours that is not earlier.
    pub fn ours(&self, at: std::time::Instant) -> Instant {
        let micros = at.saturating_duration_since(self.theirs).as_nanos().div_ceil(1000);
        self.ours + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, d: Duration) -> Instant {
        let micros = u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(micros))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, d: Duration) -> Instant {
        let micros = u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_sub(micros))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_theirs_has_passed_when_ours_has() {
        let begin = Instant::from_unix_micros(1_700_000_000_000_000);
        let time = Translation::new(begin);
        for nanos in [0, 1, 999, 1000, 1001, 7_000_000_001] {
            let theirs = time.theirs(begin) + Duration::from_nanos(nanos);
            let ours = time.ours(theirs);
            assert!(time.theirs(ours) >= theirs);
            assert!(time.theirs(ours) - theirs < Duration::from_micros(1));
        }
        assert_eq!(time.theirs(Instant::EPOCH), time.theirs(begin));
    }
}
