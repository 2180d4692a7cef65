//! Flows: what a function addresses instead of a socket.
//!
//! Behind a flow stands an OS socket, an in-memory wire between two functions of one process, or a
//! host of the simulator's network. The function cannot tell which.

use core::fmt;
use std::net::{IpAddr, SocketAddr};

/// How bytes travel on a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// Datagrams that may be lost, doubled or reordered.
    Udp,
    /// A connection; the engine hands over whole messages, cut by the service's framing.
    Tcp,
    /// TLS over TCP; functions see only what was said inside, once the handshake is over.
    Tls,
    /// An in-memory wire: reliable, ordered, keeps message borders. To SIP it is TCP, to Diameter an
    /// open peer without a watchdog.
    Wire,
}

impl Transport {
    /// Whether a message that was sent is delivered or the flow is closed, never silently lost.
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Transport::Udp)
    }

    /// Whether a flow is a connection on the network.
    pub const fn is_connection(self) -> bool {
        matches!(self, Transport::Tcp | Transport::Tls)
    }
}

/// The protocol spoken on a flow. A listener is configured for one service; the functions dispatch
/// on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Service {
    /// SIP, RFC 3261.
    Sip,
    /// Diameter, RFC 6733.
    Diameter,
    /// The NG control protocol of media relays.
    Ng,
    /// RTP and RTCP, RFC 3550.
    Rtp,
    /// RESP, the protocol of Redis and Valkey.
    Resp,
    /// HTTP/1.1, RFC 9112, and what it is upgraded to. Bytes are handed over as they arrive.
    Http,
    /// The command line of a media relay: lines.
    Cli,
}

/// The in-memory address of a function in this process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WireId(pub u16);

/// One end of a flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A function in the same process.
    Wire(WireId),
}

impl Endpoint {
    /// The IP address, if this end has one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Endpoint::Ip(addr) => Some(addr.ip()),
            Endpoint::Wire(_) => None,
        }
    }

    /// The socket address, if this end has one.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Endpoint::Ip(addr) => Some(*addr),
            Endpoint::Wire(_) => None,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Endpoint {
        Endpoint::Ip(addr)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Ip(addr) => write!(f, "{addr}"),
            Endpoint::Wire(wire) => write!(f, "wire{}", wire.0),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Names the socket, connection or wire behind a flow; a number is never used twice by one engine,
/// so a stale one is recognised and refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FlowId(pub u64);

/// Where a message came from and where its answer goes.
///
/// For TCP and wires `id` is the connection. For UDP it is the local socket, and any `remote` may be
/// addressed through it: see [`Flow::to`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The socket, connection or wire.
    pub id: FlowId,
    /// The protocol spoken on it.
    pub service: Service,
    /// How bytes travel.
    pub transport: Transport,
    /// Our end.
    pub local: Endpoint,
    /// The other end.
    pub remote: Endpoint,
    /// Whether the other end showed a certificate of a network function (RFC 5922 §7): only on TLS.
    pub proved: bool,
}

impl Flow {
    /// The same socket towards another remote end; only meaningful for UDP.
    #[must_use]
    pub fn to(self, remote: Endpoint) -> Flow {
        Flow { remote, ..self }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transport != Transport::Wire {
            write!(f, "{:?}#{} ", self.transport, self.id.0)?;
        }
        write!(f, "{} -> {}", self.local, self.remote)
    }
}

/// Why a flow could not be opened, or ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum FlowError {
    /// Nobody listens there; a stopped function's wire says this too.
    #[error("connection refused")]
    Refused,
    /// No answer to the connection attempt.
    #[error("connection attempt timed out")]
    TimedOut,
    /// The network says that there is no way.
    #[error("unreachable")]
    Unreachable,
    /// The other end closed the connection.
    #[error("closed by the peer")]
    Closed,
    /// The flow is no longer known: its connection or function is gone.
    #[error("stale flow")]
    Stale,
    /// What arrived could not be cut into messages.
    #[error("framing violated")]
    Framing,
    /// A queue is full; the work is refused instead of waited for.
    #[error("queue full")]
    Overloaded,
    /// No TLS: the other end speaks none, or its certificate is not good for the name asked for.
    #[error("no TLS connection that can be trusted")]
    Untrusted,
    /// No local address or port is free for it.
    #[error("no local port")]
    NoPort,
}
