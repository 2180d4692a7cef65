//! What the kernel moves by itself, where it can: RTP from one address to another, of which nobody needs to see a packet.

use std::net::SocketAddr;

use super::PortId;
use crate::time::Instant;

/// What the forwarding decision wants of the packet path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Offload {
    /// The kernel may move these packets by itself.
    Begin(Shortcut),
    /// What has it counted of a port's packets so far?
    Read(PortId),
    /// It moves no more of a port's packets, and what it has counted is the last word.
    End(PortId),
}

/// RTP that passes as it is: what comes from one address to a port leaves by another port for another address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shortcut {
    /// Where it arrives.
    pub port: PortId,
    /// The peer that it comes from.
    pub from: SocketAddr,
    /// Where it leaves.
    pub by: PortId,
    /// The peer that it goes to; of the same version of IP as `from`.
    pub to: SocketAddr,
    /// What is known of it so far. Its packets and bytes begin at zero.
    pub tracking: Tracking,
}

/// What must be known of a source to count its next packet: reception (RFC 3550 Appendix A.1, A.3 and A.8) and what
/// it carries. Whoever moves the packets keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tracking {
    /// RTP packets moved since the beginning.
    pub packets: u64,
    /// Their UDP payload bytes.
    pub bytes: u64,
    /// When the last of them arrived.
    pub last: Option<Instant>,
    /// Units of the codec's clock in a second.
    pub rate: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// The extended sequence number that it began with.
    pub base: u32,
    /// The extended highest one, one cycle up.
    pub highest: u32,
    /// Packets that arrived, duplicates not counted.
    pub received: u64,
    /// Packets that arrived twice.
    pub duplicates: u64,
    /// Which of the 128 packets up to `highest` arrived, the newest in bit 0.
    pub window: u128,
    /// Arrival less timestamp of the newest, in units of the clock.
    pub transit: Option<i64>,
    /// In 1/16 of a unit.
    pub jitter: u64,
    /// The newest packet's payload type.
    pub payload_type: u8,
    /// Its sequence number.
    pub sequence: u16,
    /// Its timestamp.
    pub timestamp: u32,
    /// Units of the clock from one packet to the next.
    pub step: u32,
    /// Packets in a row that had nothing but one octet again and again.
    pub quiet: u64,
}
