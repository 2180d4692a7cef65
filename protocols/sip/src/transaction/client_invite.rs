//! INVITE client transaction, RFC 3261 §17.1.1 with RFC 6026 §7.2.

use base::time::Duration;

use super::timer::{Timer, TimerValues};
use super::{Arm, Effects};

/// The machine of RFC 6026 Figure 5.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientInvite {
    state: State,
    reliable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Calling { again: u8 },
    Proceeding { cancelled: bool },
    Completed,
    Accepted,
}

impl ClientInvite {
    /// Begins: the request is sent, Timers A (unreliable transports only) and B run.
    pub fn start(values: &TimerValues, reliable: bool) -> (ClientInvite, Effects) {
        let machine = ClientInvite { state: State::Calling { again: 0 }, reliable };
        let retransmit = if reliable { Arm::Stop } else { Arm::After(Timer::A, values.t1) };
        let expire = Arm::After(Timer::B, values.b);
        (machine, Effects { transmit: true, retransmit, expire, ..Effects::NONE })
    }

    /// A response came.
    pub fn response(&mut self, values: &TimerValues, status: u16) -> Effects {
        match (self.state, status) {
            (State::Calling { .. }, 100..200) => {
                self.state = State::Proceeding { cancelled: false };
                let stop = Arm::Stop;
                Effects { deliver: true, retransmit: stop, expire: stop, ..Effects::NONE }
            }
            (State::Proceeding { .. }, 100..200) => Effects { deliver: true, ..Effects::NONE },
            (State::Calling { .. } | State::Proceeding { .. }, 200..300) => {
                self.state = State::Accepted;
                let expire = Arm::After(Timer::M, values.give_up());
                Effects { deliver: true, retransmit: Arm::Stop, expire, ..Effects::NONE }
            }
            (State::Calling { .. } | State::Proceeding { .. }, 300..) => {
                self.state = State::Completed;
                let done = if self.reliable {
                    Effects::ENDED
                } else {
                    let expire = Arm::After(Timer::D, values.d());
                    Effects { retransmit: Arm::Stop, expire, ..Effects::NONE }
                };
                Effects { ack: true, deliver: true, ..done }
            }
            (State::Completed, 300..) => Effects { ack: true, ..Effects::NONE },
            (State::Accepted, 200..300) => Effects { deliver: true, ..Effects::NONE },
            _ => Effects::NONE,
        }
    }

    /// A CANCEL was sent: without a final response within 64*T1 the transaction is over, RFC 3261
    /// §9.1.
    pub fn cancelled(&mut self, values: &TimerValues) -> Effects {
        match &mut self.state {
            State::Proceeding { cancelled } if !*cancelled => {
                *cancelled = true;
                let expire = Arm::After(Timer::B, values.give_up());
                Effects { expire, ..Effects::NONE }
            }
            _ => Effects::NONE,
        }
    }

    /// Whether a CANCEL may be sent now: a provisional but no final response came (§9.1).
    pub fn can_cancel(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Whether no final response came yet.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }

    /// A timer fired.
    pub fn timer(&mut self, values: &TimerValues, timer: Timer) -> Effects {
        match (self.state, timer) {
            (State::Calling { again }, Timer::A) => {
                let again = again.saturating_add(1);
                self.state = State::Calling { again };
                let retransmit = Arm::After(Timer::A, values.doubled(again, Duration::MAX));
                Effects { transmit: true, retransmit, ..Effects::NONE }
            }
            (State::Calling { .. }, Timer::B) => Effects::TIMED_OUT,
            (State::Proceeding { cancelled: true }, Timer::B) => Effects::TIMED_OUT,
            (State::Completed, Timer::D) | (State::Accepted, Timer::M) => Effects::ENDED,
            _ => Effects::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: &TimerValues = &TimerValues::RFC3261;

    fn udp() -> ClientInvite {
        ClientInvite::start(T, false).0
    }

    #[test]
    fn timer_a_doubles_and_timer_b_gives_up() {
        let (mut t, e) = ClientInvite::start(T, false);
        assert!(e.transmit);
        assert_eq!(e.retransmit, Arm::After(Timer::A, Duration::from_millis(500)));
        assert_eq!(e.expire, Arm::After(Timer::B, Duration::from_secs(32)));
        let e = t.timer(T, Timer::A);
        assert!(e.transmit);
        assert_eq!(e.retransmit, Arm::After(Timer::A, Duration::from_secs(1)));
        assert!(t.timer(T, Timer::B).timed_out);
    }

    #[test]
    fn a_provisional_response_stops_retransmission() {
        let mut t = udp();
        let e = t.response(T, 180);
        assert!(e.deliver);
        assert_eq!((e.retransmit, e.expire), (Arm::Stop, Arm::Stop));
        assert_eq!(t.timer(T, Timer::B), Effects::NONE);
    }

    #[test]
    fn every_final_failure_is_acknowledged_and_delivered_once() {
        let mut t = udp();
        let e = t.response(T, 486);
        assert!(e.ack && e.deliver && !e.ended);
        let e = t.response(T, 486);
        assert!(e.ack && !e.deliver);
        assert!(t.timer(T, Timer::D).ended);
        let (mut tcp, _) = ClientInvite::start(T, true);
        assert!(tcp.response(T, 486).ended);
    }

    #[test]
    fn every_2xx_is_delivered_until_timer_m() {
        let mut t = udp();
        assert!(t.response(T, 200).deliver);
        assert!(t.response(T, 200).deliver);
        assert!(!t.response(T, 486).deliver);
        assert!(t.timer(T, Timer::M).ended);
    }

    #[test]
    fn a_cancelled_invite_ends_without_a_final_response() {
        let mut t = udp();
        assert!(!t.can_cancel());
        t.response(T, 180);
        assert!(t.can_cancel());
        assert_eq!(t.cancelled(T).expire, Arm::After(Timer::B, Duration::from_secs(32)));
        assert!(t.timer(T, Timer::B).timed_out);
    }
}
