//! What another packet path needs to go on with a port, beside what media control told this one: what was learned from
//! packets, and what must not be used twice.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::MasterKeys;
use crate::time::Instant;

/// How a port stands.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// Where the peer's RTP comes from.
    pub learned: Option<SocketAddr>,
    /// Where ICE found the peer's RTP and RTCP; `None` without ICE.
    pub selected: Option<[Option<SocketAddr>; 2]>,
    /// The keys that a handshake gave, for RTP and for RTCP on a port of its own.
    pub keys: [Option<MasterKeys>; 2],
    /// Sources of SRTP.
    pub sources: Vec<SecureSource>,
    /// The stream that the peer's sound became.
    pub stream: Option<Leaving>,
    /// A source of the peer whose sequence numbers leave as others, and by how much: digits were said in its place.
    pub renumbered: Option<(u32, u16)>,
}

/// How far a source of SRTP is, in one direction: RFC 3711 §3.2.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SecureSource {
    /// Packets that we protect; else those that the peer does.
    pub outbound: bool,
    /// Those of the port for RTCP, if it has keys of its own.
    pub rtcp_port: bool,
    /// The source.
    pub ssrc: u32,
    /// The index of its newest SRTP packet, or a lower one less than [`INDEX_STEP`] away.
    pub rtp: Option<u64>,
    /// The same of SRTCP.
    pub rtcp: Option<u64>,
}

/// A stream of our own on its way to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leaving {
    /// Its source.
    pub ssrc: u32,
    /// The sequence number of its next packet then.
    pub sequence: u16,
    /// The timestamp of its next sound then.
    pub timestamp: u32,
    /// When.
    pub at: Instant,
}

/// A port's standing is told anew when a source of SRTP, or a stream of our own, has gone on by so many packets: a quarter of
/// what a sequence number counts, so that a sequence number means one index only (RFC 3711 §3.3.1).
pub const INDEX_STEP: u64 = 1 << 14;
