//! INVITE server transaction, RFC 3261 §17.2.1 with RFC 6026 §7.1.

use super::timer::{Timer, TimerValues};
use super::{Arm, Effects};

/// The machine of RFC 6026 Figure 7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerInvite {
    state: State,
    reliable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Proceeding,
    Completed { again: u8 },
    Confirmed,
    Accepted,
}

impl ServerInvite {
    /// Begins with a new INVITE.
    pub fn start(reliable: bool) -> ServerInvite {
        ServerInvite { state: State::Proceeding, reliable }
    }

    /// The INVITE came again.
    pub fn retransmission(&mut self) -> Effects {
        let transmit = matches!(self.state, State::Proceeding | State::Completed { .. });
        Effects { transmit, ..Effects::NONE }
    }

    /// The transaction user answers. `transmit` is unset if the answer comes too late.
    pub fn respond(&mut self, values: &TimerValues, status: u16) -> Effects {
        match (self.state, status) {
            (State::Proceeding, 100..200) => Effects { transmit: true, ..Effects::NONE },
            (State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                let expire = Arm::After(Timer::L, values.give_up());
                Effects { transmit: true, expire, ..Effects::NONE }
            }
            (State::Accepted, 200..300) => Effects { transmit: true, ..Effects::NONE },
            (State::Proceeding, _) => {
                self.state = State::Completed { again: 0 };
                let retransmit =
                    if self.reliable { Arm::Stop } else { Arm::After(Timer::G, values.t1) };
                let expire = Arm::After(Timer::H, values.give_up());
                Effects { transmit: true, retransmit, expire, ..Effects::NONE }
            }
            _ => Effects::NONE,
        }
    }

    /// An ACK came. One for a 2xx is the transaction user's.
    pub fn ack(&mut self, values: &TimerValues) -> Effects {
        match self.state {
            State::Completed { .. } if self.reliable => Effects::ENDED,
            State::Completed { .. } => {
                self.state = State::Confirmed;
                let expire = Arm::After(Timer::I, values.t4);
                Effects { retransmit: Arm::Stop, expire, ..Effects::NONE }
            }
            State::Accepted => Effects { deliver: true, ..Effects::NONE },
            State::Proceeding | State::Confirmed => Effects::NONE,
        }
    }

    /// Whether a 2xx was sent, of which there may be further ones: none of them is repeated by the transaction.
    pub fn is_accepted(&self) -> bool {
        matches!(self.state, State::Accepted)
    }

    /// Whether no final response was sent yet.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Proceeding)
    }

    /// A timer fired.
    pub fn timer(&mut self, values: &TimerValues, timer: Timer) -> Effects {
        match (self.state, timer) {
            (State::Completed { again }, Timer::G) => {
                let again = again.saturating_add(1);
                self.state = State::Completed { again };
                let retransmit = Arm::After(Timer::G, values.doubled(again, values.t2));
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
    use base::time::Duration;

    const T: &TimerValues = &TimerValues::RFC3261;

    fn udp() -> ServerInvite {
        ServerInvite::start(false)
    }

    #[test]
    fn a_failure_is_repeated_until_the_ack() {
        let mut t = udp();
        assert!(t.respond(T, 180).transmit);
        assert!(t.retransmission().transmit);
        let e = t.respond(T, 486);
        assert_eq!(e.retransmit, Arm::After(Timer::G, Duration::from_millis(500)));
        assert_eq!(e.expire, Arm::After(Timer::H, Duration::from_secs(32)));
        assert!(t.timer(T, Timer::G).transmit);
        assert!(!t.respond(T, 200).transmit, "only one final response");
        let e = t.ack(T);
        assert_eq!(e.expire, Arm::After(Timer::I, Duration::from_secs(5)));
        assert!(!t.retransmission().transmit);
        assert!(t.timer(T, Timer::I).ended);
    }

    #[test]
    fn without_an_ack_timer_h_gives_up() {
        let mut t = udp();
        t.respond(T, 500);
        assert!(t.timer(T, Timer::H).timed_out);
    }

    #[test]
    fn an_accepted_invite_absorbs_retransmissions() {
        let mut t = udp();
        t.respond(T, 200);
        assert!(!t.retransmission().transmit);
        assert!(t.respond(T, 200).transmit, "the core repeats its 2xx through the transaction");
        assert!(t.ack(T).deliver);
        assert!(t.timer(T, Timer::L).ended);
    }
}
