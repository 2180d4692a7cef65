//! Time as machines see it: the wall clock at the start plus a monotonic clock.

use std::time;

use base::Instant;

/// Never goes backwards while the process lives.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: time::Instant,
    wall: u64,
}

impl Clock {
    /// Reads the wall clock, once.
    pub fn start() -> Clock {
        let wall = time::SystemTime::now().duration_since(time::UNIX_EPOCH).unwrap_or_default();
        let wall = u64::try_from(wall.as_micros()).unwrap_or(u64::MAX);
        Clock { began: time::Instant::now(), wall }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        Instant::from_unix_micros(self.wall) + self.began.elapsed()
    }
}
