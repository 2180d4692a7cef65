//! Digits that are said for a peer.

use std::sync::Arc;

use crate::relay::Format;
use crate::time::Duration;

/// A digit, and how the other peer is to hear it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Digit {
    /// The event of RFC 4733 §3.2, 0 to 15.
    pub event: u8,
    /// The power level, 0 to 63, in dBm0 below zero.
    pub volume: u8,
    /// How long it lasts.
    pub duration: Duration,
    /// The least time from its end to the next one.
    pub pause: Duration,
    /// What whoever hears it takes, with the payload types that mean it there; what is heard usually comes first.
    pub formats: Arc<[Format]>,
    /// The first packet's synchronisation source, sequence number and timestamp, if nothing comes that it could follow.
    pub begin: (u32, u16, u32),
}
