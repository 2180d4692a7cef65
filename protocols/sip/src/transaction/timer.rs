//! The timers of RFC 3261 §17 (Table 4), RFC 6026 §8.4 and §7.2, with the values of TS 24.229
//! Table 7.8 where the air interface asks for longer ones.

use base::time::Duration;

/// Transaction timers by their letters. Timer C is the proxy's, RFC 3261 §16.6 step 11.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// INVITE request retransmission, UDP only: T1, doubling.
    A,
    /// INVITE transaction timeout: 64*T1.
    B,
    /// Wait for INVITE response retransmissions: more than 32 s over UDP, 0 over TCP.
    D,
    /// Non-INVITE request retransmission, UDP only: T1, doubling up to T2.
    E,
    /// Non-INVITE transaction timeout: 64*T1.
    F,
    /// INVITE response retransmission: T1, doubling up to T2.
    G,
    /// Wait for the ACK: 64*T1.
    H,
    /// Wait for ACK retransmissions: T4 over UDP, 0 over TCP.
    I,
    /// Wait for non-INVITE request retransmissions: 64*T1 over UDP, 0 over TCP.
    J,
    /// Wait for non-INVITE response retransmissions: T4 over UDP, 0 over TCP.
    K,
    /// Wait for accepted INVITE request retransmissions: 64*T1, RFC 6026 §7.1.
    L,
    /// Wait for retransmissions of 2xx to INVITE: 64*T1, RFC 6026 §7.2.
    M,
}

impl Timer {
    /// Whether nothing happens when it fires but that a finished transaction is forgotten.
    pub const fn only_tidies(self) -> bool {
        matches!(self, Timer::D | Timer::I | Timer::J | Timer::K | Timer::L | Timer::M)
    }

    /// The name for logs and traces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Timer::A => "sip Timer A",
            Timer::B => "sip Timer B",
            Timer::D => "sip Timer D",
            Timer::E => "sip Timer E",
            Timer::F => "sip Timer F",
            Timer::G => "sip Timer G",
            Timer::H => "sip Timer H",
            Timer::I => "sip Timer I",
            Timer::J => "sip Timer J",
            Timer::K => "sip Timer K",
            Timer::L => "sip Timer L",
            Timer::M => "sip Timer M",
        }
    }
}

/// The three values that all timers derive from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimerValues {
    /// Round-trip time estimate.
    pub t1: Duration,
    /// Maximum retransmission interval of non-INVITE requests and INVITE responses.
    pub t2: Duration,
    /// Maximum time that a message stays in the network.
    pub t4: Duration,
    /// Timer B, how long an INVITE waits for any response: 64*T1 by the standard, less where a
    /// further target should be tried soon.
    pub b: Duration,
}

impl TimerValues {
    /// RFC 3261 Table 4: between network elements.
    pub const RFC3261: TimerValues = TimerValues {
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        b: Duration::from_secs(32),
    };

    /// TS 24.229 Table 7.8: at the phone, and at the P-CSCF towards it, over E-UTRAN and UTRAN.
    pub const TS24229_AIR: TimerValues = TimerValues {
        t1: Duration::from_secs(2),
        t2: Duration::from_secs(16),
        t4: Duration::from_secs(17),
        b: Duration::from_secs(128),
    };

    /// 64*T1: Timers F, H, J, L, M.
    pub fn give_up(&self) -> Duration {
        self.t1 * 64
    }

    /// What a retransmission timer is set to when a message was sent `again` so often: T1, doubled by each,
    /// up to `most`.
    pub fn doubled(&self, again: u8, most: Duration) -> Duration {
        self.t1.saturating_mul(1u32.checked_shl(again.into()).unwrap_or(u32::MAX)).min(most)
    }

    /// Timer D: at least 32 s, and at least as long as Timer H of the other side.
    pub fn d(&self) -> Duration {
        self.give_up().max(Duration::from_secs(32))
    }
}

impl Default for TimerValues {
    fn default() -> TimerValues {
        TimerValues::RFC3261
    }
}
