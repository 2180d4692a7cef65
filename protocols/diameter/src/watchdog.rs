//! The watchdog of one open connection, RFC 3539 §3.4.1.
//!
//! One deliberate deviation: in REOPEN the next DWR follows its answer after a second instead of Tw,
//! so that a peer that is back is in use after seconds and not after a minute and a half.

use base::Random;
use base::time::{Duration, Instant};

/// RFC 3539 §3.4.1: Tw is never below 6 s, its jitter is ±2 s.
const TW_MIN: Duration = Duration::from_secs(6);
const JITTER_MICROS: u64 = 2_000_000;
/// RFC 3539 §3.4.1: answers that a connection which had failed must give before it is used again.
const REOPEN_ANSWERS: u8 = 3;
/// Between an answer in REOPEN and the next request.
const PROOF: Duration = Duration::from_secs(1);

/// What the watchdog thinks of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// In use.
    Okay,
    /// A watchdog request was not answered: requests go elsewhere.
    Suspect,
    /// The connection had failed before and proves itself.
    Reopen,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send a DWR.
    SendDwr,
    /// Send pending requests to another peer.
    Failover,
    /// The connection is good again: send new requests to it.
    Failback,
    /// Close the connection; a new one has to prove itself.
    Close,
}

/// The state of one connection's watchdog.
#[derive(Clone, Debug)]
pub struct Watchdog {
    tw: Duration,
    health: Health,
    pending: bool,
    /// NumDWA: answers in REOPEN; `None` (the standard's -1) after one that did not come.
    answers: Option<u8>,
    deadline: Instant,
}

impl Watchdog {
    /// A connection that just opened; `failed_before` if an earlier one was closed by the watchdog.
    pub fn new(tw: Duration, now: Instant, failed_before: bool, random: &mut Random) -> Watchdog {
        let health = if failed_before { Health::Reopen } else { Health::Okay };
        let tw = tw.max(TW_MIN);
        let mut watchdog = Watchdog { tw, health, pending: false, answers: Some(0), deadline: now };
        watchdog.set(now, random);
        if failed_before {
            watchdog.deadline = now;
        }
        watchdog
    }

    /// When [`expired`](Watchdog::expired) is due.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether requests may be sent on the connection.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Anything but a DWA arrived.
    pub fn traffic(&mut self, now: Instant, random: &mut Random) -> Option<Action> {
        match self.health {
            Health::Okay => {
                self.set(now, random);
                None
            }
            Health::Suspect => {
                self.health = Health::Okay;
                self.set(now, random);
                Some(Action::Failback)
            }
            Health::Reopen => None,
        }
    }

    /// A DWA arrived.
    pub fn answered(&mut self, now: Instant, random: &mut Random) -> Option<Action> {
        self.pending = false;
        if self.health == Health::Reopen {
            let answers = self.answers.map_or(0, |answers| answers + 1);
            self.answers = Some(answers);
            if answers >= REOPEN_ANSWERS {
                self.health = Health::Okay;
                self.set(now, random);
                return Some(Action::Failback);
            }
            self.deadline = now + PROOF;
            return None;
        }
        self.traffic(now, random)
    }

    /// The deadline has come.
    pub fn expired(&mut self, now: Instant, random: &mut Random) -> Option<Action> {
        if !self.pending {
            return self.probe(now, random);
        }
        self.set(now, random);
        match self.health {
            Health::Okay => {
                self.health = Health::Suspect;
                Some(Action::Failover)
            }
            Health::Reopen if self.answers.take().is_some() => None,
            Health::Suspect | Health::Reopen => Some(Action::Close),
        }
    }

    /// Asks at once whether the peer is still there, unless it is asked already.
    pub fn probe(&mut self, now: Instant, random: &mut Random) -> Option<Action> {
        if self.pending {
            return None;
        }
        self.set(now, random);
        self.pending = true;
        Some(Action::SendDwr)
    }

    fn set(&mut self, now: Instant, random: &mut Random) {
        let jitter = Duration::from_micros(random.below(2 * JITTER_MICROS + 1));
        self.deadline = now + self.tw + jitter - Duration::from_micros(JITTER_MICROS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TW: Duration = Duration::from_secs(30);

    #[test]
    fn a_silent_peer_is_suspected_then_closed() {
        let mut random = Random::from_u64(1);
        let mut now = Instant::from_unix_micros(0);
        let mut watchdog = Watchdog::new(TW, now, false, &mut random);
        for expected in [Action::SendDwr, Action::Failover, Action::Close] {
            let wait = watchdog.deadline().since(now);
            assert!(wait >= TW - Duration::from_secs(2) && wait <= TW + Duration::from_secs(2));
            now = watchdog.deadline();
            assert_eq!(watchdog.expired(now, &mut random), Some(expected));
        }
    }

    #[test]
    fn traffic_keeps_it_quiet_and_a_late_answer_forgives() {
        let mut random = Random::from_u64(2);
        let mut now = Instant::from_unix_micros(0);
        let mut watchdog = Watchdog::new(TW, now, false, &mut random);
        now += Duration::from_secs(20);
        assert_eq!(watchdog.traffic(now, &mut random), None);
        assert!(watchdog.deadline().since(now) >= TW - Duration::from_secs(2));
        assert_eq!(watchdog.expired(now, &mut random), Some(Action::SendDwr));
        assert_eq!(watchdog.probe(now, &mut random), None, "asked already");
        assert_eq!(watchdog.expired(now, &mut random), Some(Action::Failover));
        assert_eq!(watchdog.health(), Health::Suspect);
        assert_eq!(watchdog.answered(now, &mut random), Some(Action::Failback));
        assert_eq!(watchdog.health(), Health::Okay);
    }

    #[test]
    fn a_connection_that_failed_proves_itself_three_times() {
        let mut random = Random::from_u64(3);
        let now = Instant::from_unix_micros(5);
        let mut watchdog = Watchdog::new(TW, now, true, &mut random);
        for expected in [None, None, Some(Action::Failback)] {
            assert_eq!(watchdog.health(), Health::Reopen);
            let at = watchdog.deadline();
            assert_eq!(watchdog.expired(at, &mut random), Some(Action::SendDwr));
            assert_eq!(watchdog.answered(at, &mut random), expected);
        }
        assert_eq!(watchdog.health(), Health::Okay);
    }

    #[test]
    fn while_it_proves_itself_one_answer_may_be_late() {
        let mut random = Random::from_u64(4);
        let now = Instant::from_unix_micros(5);
        let mut watchdog = Watchdog::new(TW, now, true, &mut random);
        assert_eq!(watchdog.expired(now, &mut random), Some(Action::SendDwr));
        assert_eq!(watchdog.expired(now, &mut random), None);
        assert_eq!(watchdog.answered(now, &mut random), None);
        // It counts from the beginning again.
        for expected in [None, None, Some(Action::Failback)] {
            assert_eq!(watchdog.expired(now, &mut random), Some(Action::SendDwr));
            assert_eq!(watchdog.answered(now, &mut random), expected);
        }
        let mut watchdog = Watchdog::new(TW, now, true, &mut random);
        for expected in [Some(Action::SendDwr), None, Some(Action::Close)] {
            assert_eq!(watchdog.expired(now, &mut random), expected);
        }
    }
}
