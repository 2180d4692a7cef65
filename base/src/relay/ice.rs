//! ICE on a port of the relay: what both ends tell each other in their descriptions, RFC 8445 and RFC 8839.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

use crate::redact::Secret;

/// The name and the password that the checks of one end carry, RFC 8445 §5.3.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// `ice-ufrag`.
    pub ufrag: String,
    /// `ice-pwd`.
    #[serde(with = "crate::redact::revealed")]
    pub pwd: Secret<String>,
}

/// Which of a stream's flows a candidate is for, RFC 8445 §4.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Component {
    /// RTP, and RTCP too if they share a port.
    Rtp = 1,
    /// RTCP on a port of its own.
    Rtcp = 2,
}

/// How an address was found, RFC 8445 §5.1.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CandidateKind {
    /// It is a socket's own.
    Host,
    /// A STUN server saw it.
    ServerReflexive,
    /// The other end saw it.
    PeerReflexive,
    /// A TURN server lends it.
    Relayed,
}

/// An address where an end may be reached over UDP.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Candidate {
    /// Candidates of the same kind, host and server have the same one, RFC 8445 §5.1.1.3.
    pub foundation: String,
    /// What it is for.
    pub component: Component,
    /// The higher, the better.
    pub priority: u32,
    /// Where.
    pub address: SocketAddr,
    /// How it was found.
    pub kind: CandidateKind,
}

/// What the other end said of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Remote {
    /// Its name and password.
    pub credentials: Credentials,
    /// Its addresses, as far as they are known.
    pub candidates: Vec<Candidate>,
    /// It only answers checks, RFC 8445 §2.5.
    pub lite: bool,
}

/// ICE with the peer of a port.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ice {
    /// Our name and password; other ones than before begin anew (RFC 8445 §9).
    pub local: Credentials,
    /// The address of the pair's RTP port as the peer is told.
    pub address: SocketAddr,
    /// The other end; `None` before it answered.
    pub remote: Option<Remote>,
    /// Whether we only answer checks, RFC 8445 §2.5.
    pub lite: bool,
    /// Whether we choose which addresses are used, RFC 8445 §6.1.1.
    pub controlling: bool,
    /// Who yields if both want to choose, RFC 8445 §7.3.1.1.
    pub tie_breaker: u64,
    /// Whether RTCP has a port, and so a component, of its own.
    pub rtcp: bool,
}
