//! Calls that are recorded.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::relay::Format;
use crate::time::Instant;

/// What becomes of the packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// They are kept as they are, in the clear.
    Pcap,
    /// Sound: both parties in one channel.
    Mono,
    /// Sound: who called first on the left, the other one on the right.
    Stereo,
}

/// One recording: all that is recorded of a call from its beginning to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    /// Never used twice in one process.
    pub number: u64,
    /// The file's name, without an ending.
    pub name: String,
    /// What becomes of the packets.
    pub form: Form,
    /// Samples in a second, if it becomes sound.
    pub rate: u32,
}

/// Packets of the peer of a port are recorded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tap {
    /// Where they go.
    pub recording: Arc<Recording>,
    /// Whose they are: 0 for who called, 1 for the other one.
    pub side: usize,
    /// What their payload types mean.
    pub formats: Arc<[Format]>,
    /// Nothing of them is kept for now.
    pub paused: bool,
}

/// What a recording gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recorded {
    /// A packet of RTP or RTCP, in the clear.
    Packet {
        /// How it is recorded.
        tap: Arc<Tap>,
        /// When it arrived.
        at: Instant,
        /// Where it came from.
        from: SocketAddr,
        /// Where it arrived.
        to: SocketAddr,
        /// The packet.
        bytes: Vec<u8>,
    },
    /// Nothing more comes for this recording.
    End(Arc<Recording>),
}
