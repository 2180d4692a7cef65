//! Non-INVITE server transaction, RFC 3261 §17.2.2.

use super::timer::{Timer, TimerValues};
use super::{Arm, Effects};

/// The machine of RFC 3261 Figure 8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerNonInvite {
    state: State,
    reliable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Trying,
    Proceeding,
    Completed,
}

impl ServerNonInvite {
    /// Begins with a new request.
    pub fn start(reliable: bool) -> ServerNonInvite {
        ServerNonInvite { state: State::Trying, reliable }
    }

    /// The request came again.
    pub fn retransmission(&mut self) -> Effects {
        Effects { transmit: self.state != State::Trying, ..Effects::NONE }
    }

    /// The transaction user answers. `transmit` is unset if the answer comes too late.
    pub fn respond(&mut self, values: &TimerValues, status: u16) -> Effects {
        match (self.state, status) {
            (State::Completed, _) => Effects::NONE,
            (_, 100..200) => {
                self.state = State::Proceeding;
                Effects { transmit: true, ..Effects::NONE }
            }
            (_, _) => {
                self.state = State::Completed;
                let done = if self.reliable {
                    Effects::ENDED
                } else {
                    let expire = Arm::After(Timer::J, values.give_up());
                    Effects { expire, ..Effects::NONE }
                };
                Effects { transmit: true, ..done }
            }
        }
    }

    /// Whether no final response was sent yet.
    pub fn is_pending(&self) -> bool {
        self.state != State::Completed
    }

    /// A timer fired.
    pub fn timer(&mut self, timer: Timer) -> Effects {
        match (self.state, timer) {
            (State::Completed, Timer::J) => Effects::ENDED,
            _ => Effects::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::time::Duration;

    const T: &TimerValues = &TimerValues::RFC3261;

    #[test]
    fn retransmissions_get_the_last_response() {
        let mut t = ServerNonInvite::start(false);
        assert!(!t.retransmission().transmit);
        let e = t.respond(T, 200);
        assert_eq!(e.expire, Arm::After(Timer::J, Duration::from_secs(32)));
        assert!(t.retransmission().transmit);
        assert!(!t.respond(T, 500).transmit);
        assert!(t.timer(Timer::J).ended);
        let mut tcp = ServerNonInvite::start(true);
        assert!(tcp.respond(T, 200).ended);
    }
}
