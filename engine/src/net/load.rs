//! How much of the new work is too much for the loop.
//!
//! A loop that never finds nothing to do and whose queues grow loses messages, clients repeat them, and answering
//! repetitions is all that is done in the end. So both are watched: whether it rests, and how much waits for it. While
//! it does not rest and much waits, more and more of the new requests are refused, which costs a fraction of what
//! serving them does; then fewer again. A loop that is only busy, with short queues, refuses nothing.

use base::Instant;
use base::time::Duration;

/// The time that is looked at in one piece.
const WINDOW: Duration = Duration::from_millis(100);
/// Shorter waits are the system call's own time.
const CALL: Duration = Duration::from_micros(20);
/// Who waits for less than this share of a window, in percent, does not rest.
const REST: u128 = 2;
/// What arrives waits for as long as a turn takes. Clients repeat after 500 ms (T1 of RFC 3261).
const LONG_TURN: Duration = Duration::from_millis(100);
/// So many windows a burst may take: the sockets keep it for so long.
const BURST: u32 = 5;
/// What each further window adds to the share that is refused, in percent.
const STEP: u8 = 5;

/// See the module.
#[derive(Debug)]
pub(super) struct Load {
    begin: Instant,
    /// When the last turn began.
    turn: Instant,
    waited: Duration,
    longest: Duration,
    /// Windows in which it was behind, one after the other.
    behind: u32,
    percent: u8,
}

impl Load {
    pub(super) fn new(now: Instant) -> Load {
        let (waited, longest) = (Duration::ZERO, Duration::ZERO);
        Load { begin: now, turn: now, waited, longest, behind: 0, percent: 0 }
    }

    /// A turn begins, before which the loop has waited; `much` says whether much waits in its sockets. If it
    /// changed: how many of a hundred new requests are too many.
    pub(super) fn turn(
        &mut self,
        now: Instant,
        waited: Duration,
        much: impl FnOnce() -> bool,
    ) -> Option<u8> {
        if waited > CALL {
            self.waited += waited;
        }
        self.longest = self.longest.max(now.since(self.turn).saturating_sub(waited));
        self.turn = now;
        let window = now.since(self.begin);
        if window < WINDOW {
            return None;
        }
        let before = self.percent;
        let rests = self.waited.as_micros() * 100 >= window.as_micros() * REST;
        if !rests && (self.longest >= LONG_TURN || much()) {
            self.behind += 1;
            if self.behind > BURST || self.percent > 0 {
                self.percent = (self.percent + STEP).min(100);
            }
        } else {
            self.behind = 0;
            self.percent -= self.percent.div_ceil(8);
        }
        (self.begin, self.waited, self.longest) = (now, Duration::ZERO, Duration::ZERO);
        (self.percent != before).then_some(self.percent)
    }

    /// When it has to be asked again, though nothing else is to be done.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.percent > 0).then(|| self.begin + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request costs so many microseconds, or a tenth of it if it is refused.
    const COST: u64 = 100;
    /// Requests that the socket holds.
    const QUEUE: u64 = 3000;

    /// A loop that so many requests a second are asked of: how many of a hundred that it has time for it serves, and
    /// how many of a hundred that come are lost.
    fn run(load: &mut Load, now: &mut Instant, seconds: u64, per_second: u64) -> (u64, u64) {
        let (mut served, mut lost, mut queue, mut percent) = (0, 0, 0u64, load.percent);
        let mut draw = 0;
        for step in 0..seconds * 1000 {
            queue += (step + 1) * per_second / 1000 - step * per_second / 1000;
            lost += queue.saturating_sub(QUEUE);
            queue = queue.min(QUEUE);
            let mut time = 1000;
            while queue > 0 && time > 0 {
                draw = (draw + 37) % 100;
                let refused = draw < u64::from(percent);
                time -= if refused { COST / 10 } else { COST }.min(time);
                served += u64::from(!refused);
                queue -= 1;
            }
            *now += Duration::from_millis(1);
            let waited = Duration::from_micros(time);
            percent = load.turn(*now, waited, || queue > QUEUE / 4).unwrap_or(percent);
        }
        (served * COST / (seconds * 10_000), lost * 100 / (seconds * per_second))
    }

    #[test]
    fn no_more_is_refused_than_is_too_much() {
        let mut now = Instant::EPOCH;
        let mut load = Load::new(now);
        assert_eq!(run(&mut load, &mut now, 10, 9_900), (99, 0));
        assert_eq!((load.percent, load.deadline()), (0, None), "it is only busy");
        for times in [2, 4, 8] {
            run(&mut load, &mut now, 10, times * 10_000);
            let (served, lost) = run(&mut load, &mut now, 20, times * 10_000);
            // What is refused takes its time, too.
            let most = (100 - times * 10) * 10 / 9;
            assert!(
                served * 100 >= most * 85 && lost <= times,
                "{times}: {served} of {most}, {lost} lost"
            );
        }
        run(&mut load, &mut now, 5, 1000);
        assert_eq!(load.percent, 0, "it is over");
    }

    #[test]
    fn a_burst_is_taken_and_a_long_turn_is_noticed() {
        let mut load = Load::new(Instant::EPOCH);
        let at = |window: u32| Instant::EPOCH + WINDOW * window;
        for window in 1..=BURST {
            assert_eq!(load.turn(at(window), CALL, || true), None);
        }
        assert_eq!(load.turn(at(BURST + 1), CALL, || true), Some(STEP));
        assert_eq!(load.deadline(), Some(at(BURST + 2)));
        assert_eq!(
            load.turn(at(BURST + 2), Duration::ZERO, || false),
            Some(2 * STEP),
            "the turn was long"
        );
        assert_eq!(load.turn(at(BURST + 3), WINDOW / 20, || true), Some(8), "it rests");
    }
}
