//! What media control tells the packet path, and what it hears from it.
//!
//! A *port* is one local UDP port pair (RTP on an even port, RTCP on the next) of the relay. A
//! *stream* joins two ports: what arrives at one leaves by the other.

mod keys;

use std::net::{IpAddr, SocketAddr};

pub use keys::{BadKey, MasterKey, Suite};

use crate::time::{Duration, Instant};

/// A port pair of the relay, chosen by media control; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PortId(pub u64);

/// What media control wants of the packet path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Take a free port pair from the pool. Answered by [`Event::Opened`] or [`Event::NoPort`].
    Open {
        /// The name of the pair from here on.
        port: PortId,
        /// The local address to bind.
        address: IpAddr,
    },
    /// Join two ports, or change how: what arrives at `a` leaves from `b` and the other way round.
    Join {
        /// One side.
        a: Side,
        /// The other side.
        b: Side,
    },
    /// From now on the peer of a port speaks SRTP, or plain RTP again.
    Protect {
        /// The port.
        port: PortId,
        /// The keys; `None` for plain RTP.
        protection: Option<Protection>,
    },
    /// Report the counters of a port now. Answered by [`Event::Counters`].
    Query {
        /// The port.
        port: PortId,
    },
    /// Give the pair back to the pool.
    Close {
        /// The port.
        port: PortId,
    },
}

/// One side of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Side {
    /// The port pair.
    pub port: PortId,
    /// Where the peer said that it receives RTP; `None` while unknown: nothing is sent until learned.
    pub rtp: Option<SocketAddr>,
    /// Where the peer said that it receives RTCP (by default the RTP port plus one).
    pub rtcp: Option<SocketAddr>,
    /// The host that the peer's signalling came from, if it is known: behind a NAT its media comes from
    /// there, whatever it said.
    pub host: Option<IpAddr>,
    /// Whether the peer multiplexes RTP and RTCP on one port, RFC 5761.
    pub mux: bool,
    /// Whether the source address of the first packets replaces the signalled address.
    pub learn: bool,
}

/// SRTP with the peer of a port, RFC 3711. Without the key of a direction nothing passes in it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Protection {
    /// What the peer protects its packets with.
    pub inbound: Option<MasterKey>,
    /// What we protect those to it with.
    pub outbound: Option<MasterKey>,
}

/// Where a packet leaves, where it goes, and how long it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Onward {
    /// The pair that it leaves from.
    pub port: PortId,
    /// From the pair's RTCP port.
    pub rtcp: bool,
    /// The peer's address.
    pub to: SocketAddr,
    /// Its bytes, from the beginning of the buffer that it came in.
    pub length: usize,
}

/// What the packet path reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The pair is bound.
    Opened {
        /// The pair.
        port: PortId,
        /// Its RTP port; RTCP is the next one.
        rtp: u16,
    },
    /// The pool is empty or the address cannot be bound.
    NoPort {
        /// The pair that was asked for.
        port: PortId,
    },
    /// The peer's real address was learned from its packets.
    Learned {
        /// The pair.
        port: PortId,
        /// The peer's RTP address.
        address: SocketAddr,
    },
    /// The answer to [`Command::Query`], and the last word on a closed port.
    Counters {
        /// The pair.
        port: PortId,
        /// What arrived there.
        counters: Counters,
    },
}

/// What arrived at a port pair.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// RTP packets that arrived and were relayed.
    pub packets: u64,
    /// Their UDP payload bytes.
    pub bytes: u64,
    /// Packets that arrived and could not be relayed.
    pub errors: u64,
    /// RTCP packets relayed.
    pub rtcp: u64,
    /// When the last packet arrived.
    pub last: Option<Instant>,
    /// The synchronisation source last seen.
    pub ssrc: Option<u32>,
    /// Packets missing in the sequence, RFC 3550 Appendix A.3.
    pub lost: u64,
    /// Interarrival jitter, RFC 3550 §6.4.1, as time.
    pub jitter: Duration,
}
