//! Non-INVITE client transaction, RFC 3261 §17.1.2.

use super::timer::{Timer, TimerValues};
use super::{Arm, Effects};

/// The machine of RFC 3261 Figure 6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientNonInvite {
    state: State,
    reliable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Trying { again: u8 },
    Proceeding,
    Completed,
}

impl ClientNonInvite {
    /// Begins: the request is sent, Timers E (unreliable transports only) and F run.
    pub fn start(values: &TimerValues, reliable: bool) -> (ClientNonInvite, Effects) {
        let machine = ClientNonInvite { state: State::Trying { again: 0 }, reliable };
        let retransmit = if reliable { Arm::Stop } else { Arm::After(Timer::E, values.t1) };
        let expire = Arm::After(Timer::F, values.give_up());
        (machine, Effects { transmit: true, retransmit, expire, ..Effects::NONE })
    }

    /// A response came.
    pub fn response(&mut self, values: &TimerValues, status: u16) -> Effects {
        match (self.state, status) {
            (State::Completed, _) => Effects::NONE,
            (_, 100..200) => {
                self.state = State::Proceeding;
                Effects { deliver: true, ..Effects::NONE }
            }
            (_, _) => {
                self.state = State::Completed;
                let done = if self.reliable {
                    Effects::ENDED
                } else {
                    let expire = Arm::After(Timer::K, values.t4);
                    Effects { retransmit: Arm::Stop, expire, ..Effects::NONE }
                };
                Effects { deliver: true, ..done }
            }
        }
    }

    /// Whether no final response came yet.
    pub fn is_pending(&self) -> bool {
        !matches!(self.state, State::Completed)
    }

    /// A timer fired.
    pub fn timer(&mut self, values: &TimerValues, timer: Timer) -> Effects {
        match (self.state, timer) {
            (State::Trying { again }, Timer::E) => {
                let again = again.saturating_add(1);
                self.state = State::Trying { again };
                let retransmit = Arm::After(Timer::E, values.doubled(again, values.t2));
                Effects { transmit: true, retransmit, ..Effects::NONE }
            }
            (State::Proceeding, Timer::E) => {
                let retransmit = Arm::After(Timer::E, values.t2);
                Effects { transmit: true, retransmit, ..Effects::NONE }
            }
            (State::Trying { .. } | State::Proceeding, Timer::F) => Effects::TIMED_OUT,
            (State::Completed, Timer::K) => Effects::ENDED,
            _ => Effects::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: &TimerValues = &TimerValues::RFC3261;

    #[test]
    fn timer_e_doubles_up_to_t2() {
        let (mut t, _) = ClientNonInvite::start(T, false);
        let mut seconds = Vec::new();
        for _ in 0..5 {
            let Arm::After(Timer::E, after) = t.timer(T, Timer::E).retransmit else { panic!() };
            seconds.push(after.as_secs_f32());
        }
        assert_eq!(seconds, [1.0, 2.0, 4.0, 4.0, 4.0]);
        t.response(T, 100);
        assert!(t.timer(T, Timer::E).transmit);
        assert!(t.timer(T, Timer::F).timed_out);
    }

    #[test]
    fn only_the_first_final_response_is_delivered() {
        let (mut t, _) = ClientNonInvite::start(T, false);
        assert!(t.response(T, 200).deliver);
        assert!(!t.response(T, 200).deliver);
        assert_eq!(t.timer(T, Timer::F), Effects::NONE);
        assert!(t.timer(T, Timer::K).ended);
        let (mut tcp, _) = ClientNonInvite::start(T, true);
        assert!(tcp.response(T, 404).ended);
    }
}
