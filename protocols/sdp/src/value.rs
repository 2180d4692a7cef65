//! What stands behind the equals sign.

use core::fmt;
use std::net::IpAddr;

use crate::section::Section;

/// `c=`, RFC 8866 §5.7; only unicast addresses as digits are understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    /// The address.
    pub address: IpAddr,
}

impl Connection {
    pub(crate) fn parse(value: &str) -> Option<Connection> {
        let mut parts = value.split_ascii_whitespace();
        if parts.next()? != "IN" {
            return None;
        }
        Some(Connection { address: typed_address(parts.next()?, parts.next()?)? })
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IN {} {}", address_type(self.address), self.address)
    }
}

/// `IP4` or `IP6`, RFC 8866 §8.2.7.
pub(crate) fn address_type(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}

fn typed_address(kind: &str, address: &str) -> Option<IpAddr> {
    // A multicast address carries "/ttl"; nobody calls one, but it shall not confuse us.
    let address: IpAddr = address.split('/').next()?.parse().ok()?;
    (address_type(address) == kind).then_some(address)
}

/// `o=`, RFC 8866 §5.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// The user's name, `-` if none.
    pub username: String,
    /// Digits that name the session.
    pub session_id: String,
    /// Raised with each change of the description.
    pub version: u64,
    /// `IP4` or `IP6`.
    pub address_type: String,
    /// An address or a host name.
    pub address: String,
}

impl Origin {
    pub(crate) fn parse(value: &str) -> Option<Origin> {
        let mut parts = value.split_ascii_whitespace().map(str::to_owned);
        let mut next = || parts.next();
        let (username, session_id) = (next()?, next()?);
        let version = next()?.parse().ok()?;
        let (_in, address_type, address) = (next()?, next()?, next()?);
        Some(Origin { username, session_id, version, address_type, address })
    }

    /// Puts an address in.
    pub fn set_address(&mut self, address: IpAddr) {
        self.address_type = address_type(address).to_owned();
        self.address = address.to_string();
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { username, session_id, version, address_type, address } = self;
        write!(f, "{username} {session_id} {version} IN {address_type} {address}")
    }
}

/// `m=`, RFC 8866 §5.14.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaLine {
    /// `audio`, `video`, …
    pub kind: String,
    /// The port; 0 is a rejected stream.
    pub port: u16,
    /// The number of ports, if said.
    pub count: Option<u16>,
    /// The profile, such as `RTP/AVP`.
    pub protocol: String,
    /// The formats; payload types under RTP profiles.
    pub formats: Vec<String>,
}

impl MediaLine {
    pub(crate) fn parse(value: &str) -> Option<MediaLine> {
        let mut parts = value.split_ascii_whitespace();
        let kind = parts.next()?.to_owned();
        let port = parts.next()?;
        let (port, count) = match port.split_once('/') {
            Some((port, count)) => (port.parse().ok()?, Some(count.parse().ok()?)),
            None => (port.parse().ok()?, None),
        };
        let protocol = parts.next()?.to_owned();
        Some(MediaLine { kind, port, count, protocol, formats: parts.map(str::to_owned).collect() })
    }
}

impl fmt::Display for MediaLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.port)?;
        if let Some(count) = self.count {
            write!(f, "/{count}")?;
        }
        write!(f, " {}", self.protocol)?;
        self.formats.iter().try_for_each(|format| write!(f, " {format}"))
    }
}

/// Who sends, RFC 8866 §6.7; seen from who wrote the description.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// Both.
    SendRecv,
    /// The writer sends only.
    SendOnly,
    /// The writer receives only.
    RecvOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// All directions.
    pub const ALL: [Direction; 4] =
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];

    /// The direction made of its halves.
    pub const fn new(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    /// Whether the writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    /// Whether the writer receives.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same, seen from the other end.
    #[must_use]
    pub const fn reversed(self) -> Direction {
        Direction::new(self.receives(), self.sends())
    }

    /// What both allow.
    #[must_use]
    pub const fn and(self, other: Direction) -> Direction {
        Direction::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The attribute's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    pub(crate) fn of(section: &Section) -> Option<Direction> {
        Direction::ALL.into_iter().find(|d| section.attribute(d.as_str()) == Some(""))
    }
}

/// `a=rtpmap`, RFC 8866 §6.6.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RtpMap {
    /// The payload type.
    pub payload_type: u8,
    /// The encoding's name.
    pub encoding: String,
    /// The clock rate in Hz.
    pub rate: u32,
    /// The channels, 1 if not said.
    pub channels: u8,
}

impl RtpMap {
    pub(crate) fn parse(value: &str) -> Option<RtpMap> {
        let (payload_type, rest) = value.split_once(' ')?;
        let mut parts = rest.trim().split('/');
        Some(RtpMap {
            payload_type: payload_type.parse().ok().filter(|pt| *pt < 128)?,
            encoding: parts.next()?.to_owned(),
            rate: parts.next()?.parse().ok()?,
            channels: parts.next().map_or(Some(1), |c| c.parse().ok())?,
        })
    }
}

/// `a=rtcp`, RFC 3605 §2.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rtcp {
    /// The port of RTCP.
    pub port: u16,
    /// Its address, if not that of `c=`.
    pub address: Option<IpAddr>,
}

impl Rtcp {
    pub(crate) fn parse(value: &str) -> Option<Rtcp> {
        let mut parts = value.split_ascii_whitespace();
        let port = parts.next()?.parse().ok()?;
        let address = match (parts.next(), parts.next(), parts.next()) {
            (Some("IN"), Some(kind), Some(address)) => typed_address(kind, address),
            _ => None,
        };
        Some(Rtcp { port, address })
    }
}

impl fmt::Display for Rtcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.port)?;
        match self.address {
            Some(address) => write!(f, " {}", Connection { address }),
            None => Ok(()),
        }
    }
}
