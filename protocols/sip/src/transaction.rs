//! The four transaction machines of RFC 3261 §17 as changed by RFC 6026 and RFC 4320, one file each.
//!
//! A machine takes what happened and returns [`Effects`]; it holds no message and no clock. The
//! stack carries the effects out.

mod client_invite;
mod client_non_invite;
mod server_invite;
mod server_non_invite;
mod timer;

pub use client_invite::ClientInvite;
pub use client_non_invite::ClientNonInvite;
pub use server_invite::ServerInvite;
pub use server_non_invite::ServerNonInvite;
pub use timer::{Timer, TimerValues};

use base::time::Duration;

/// What a transaction wants done after an input.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Effects {
    /// Send the request, or the last response, (again).
    pub transmit: bool,
    /// Send an ACK for the final response that just came.
    pub ack: bool,
    /// Hand what came to the transaction user.
    pub deliver: bool,
    /// Arm, or stop, the retransmission timer.
    pub retransmit: Arm,
    /// Arm, or stop, the timer that ends the state.
    pub expire: Arm,
    /// The transaction failed: nobody answered (408) or acknowledged.
    pub timed_out: bool,
    /// The transaction is over and can be forgotten.
    pub ended: bool,
}

/// What happens to one of a transaction's two timers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Arm {
    /// It goes on as it is.
    #[default]
    Keep,
    /// It stops.
    Stop,
    /// It fires after this time.
    After(Timer, Duration),
}

impl Effects {
    const NONE: Effects = Effects {
        transmit: false,
        ack: false,
        deliver: false,
        retransmit: Arm::Keep,
        expire: Arm::Keep,
        timed_out: false,
        ended: false,
    };

    const ENDED: Effects =
        Effects { ended: true, retransmit: Arm::Stop, expire: Arm::Stop, ..Effects::NONE };

    const TIMED_OUT: Effects = Effects { timed_out: true, ..Effects::ENDED };
}
