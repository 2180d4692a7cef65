//! INVITE server transaction, RFC 3261 §17.2.1 with RFC 6026 §7.1.

use base::time::Duration;

use super::timer::{Timer, TimerValues};
use super::{Arm, Effects};

/// The machine of RFC 6026 Figure 7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerInvite {
    state: State,
    values: TimerValues,
    reliable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Proceeding,
    Completed { interval: Duration },
    Confirmed,
    Accepted,
}

impl ServerInvite {
    /// Begins with a new INVITE.
    pub fn start(values: TimerValues, reliable: bool) -> ServerInvite {
        ServerInvite { state: State::Proceeding, values, reliable }
    }

    /// The INVITE came again.
    pub fn retransmission(&mut self) -> Effects {
        let transmit = matches!(self.state, State::Proceeding | State::Completed { .. });
        Effects { transmit, ..Effects::NONE }
    }

    /// The transaction user answers. `transmit` is unset if the answer comes too late.
    pub fn respond(&mut self, status: u16) -> Effects {
        match (self.state, status) {
            (State::Proceeding, 100..200) => Effects { transmit: true, ..Effects::NONE },
            (State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                let expire = Arm::After(Timer::L, self.values.give_up());
                Effects { transmit: true, expire, ..Effects::NONE }
            }
            (State::Accepted, 200..300) => Effects { transmit: true, ..Effects::NONE },
            (State::Proceeding, _) => {
                self.state = State::Completed { interval: self.values.t1 };
                let retransmit =
                    if self.reliable { Arm::Stop } else { Arm::After(Timer::G, self.values.t1) };
                let expire = Arm::After(Timer::H, self.values.give_up());
                Effects { transmit: true, retransmit, expire, ..Effects::NONE }
            }
            _ => Effects::NONE,
        }
    }

    /// An ACK came. One for a 2xx is the transaction user's.
    pub fn ack(&mut self) -> Effects {
        match self.state {
            State::Completed { .. } if self.reliable => Effects::ENDED,
            State::Completed { .. } => {
                self.state = State::Confirmed;
                let expire = Arm::After(Timer::I, self.values.t4);
                Effects { retransmit: Arm::Stop, expire, ..Effects::NONE }
            }
            State::Accepted => Effects { deliver: true, ..Effects::NONE },
            State::Proceeding | State::Confirmed => Effects::NONE,
        }
    }

    /// Whether the last response may have to be sent again by the transaction. A 2xx is repeated by
    /// who made it.
    pub fn repeats(&self) -> bool {
        matches!(self.state, State::Proceeding | State::Completed { .. })
    }

    /// Whether no final response was sent yet.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Proceeding)
    }

    /// A timer fired.
    pub fn timer(&mut self, timer: Timer) -> Effects {
        match (self.state, timer) {
            (State::Completed { interval }, Timer::G) => {
                let interval = (interval * 2).min(self.values.t2);
                self.state = State::Completed { interval };
                let retransmit = Arm::After(Timer::G, interval);
                Effects { transmit: true, retransmit, ..Effects::NONE }
            }
            (State::Completed { .. }, Timer::H) => Effects::TIMED_OUT,
            (State::Confirmed, Timer::I) | (State::Accepted, Timer::L) => Effects::ENDED,
            _ => Effects::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn udp() -> ServerInvite {
        ServerInvite::start(TimerValues::RFC3261, false)
    }

    #[test]
    fn a_failure_is_repeated_until_the_ack() {
        let mut t = udp();
        assert!(t.respond(180).transmit);
        assert!(t.retransmission().transmit);
        let e = t.respond(486);
        assert_eq!(e.retransmit, Arm::After(Timer::G, Duration::from_millis(500)));
        assert_eq!(e.expire, Arm::After(Timer::H, Duration::from_secs(32)));
        assert!(t.timer(Timer::G).transmit);
        assert!(!t.respond(200).transmit, "only one final response");
        let e = t.ack();
        assert_eq!(e.expire, Arm::After(Timer::I, Duration::from_secs(5)));
        assert!(!t.retransmission().transmit);
        assert!(t.timer(Timer::I).ended);
    }

    #[test]
    fn without_an_ack_timer_h_gives_up() {
        let mut t = udp();
        t.respond(500);
        assert!(t.timer(Timer::H).timed_out);
    }

    #[test]
    fn an_accepted_invite_absorbs_retransmissions() {
        let mut t = udp();
        t.respond(200);
        assert!(!t.retransmission().transmit);
        assert!(t.respond(200).transmit, "the core repeats its 2xx through the transaction");
        assert!(t.ack().deliver);
        assert!(t.timer(Timer::L).ended);
    }
}
