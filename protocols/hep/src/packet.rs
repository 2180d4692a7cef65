//! A packet: one captured message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base::Instant;
use base::redact::Secret;

use crate::chunk::{Chunks, HEAD, MAGIC, kind, put};
use crate::content::Content;

/// One captured message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The IP protocol that it travelled by: 6 is TCP, 17 is UDP.
    pub protocol: u8,
    /// Who sent it.
    pub source: SocketAddr,
    /// Who received it; of the same family.
    pub destination: SocketAddr,
    /// When, until the year 2106.
    pub time: Instant,
    /// What the payload is.
    pub content: Content,
    /// Who captured it.
    pub agent: u32,
    /// Keep-alive timer in seconds.
    pub keep_alive: Option<u16>,
    /// The key that the collector may ask for.
    pub key: Option<Secret<&'a [u8]>>,
    /// The message.
    pub payload: &'a [u8],
    /// Whether it is compressed.
    pub compressed: bool,
    /// What ties it to others, such as a Call-ID.
    pub correlation: Option<&'a [u8]>,
}

/// Why bytes are no packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    /// They do not begin with `HEP3`.
    #[error("no HEP version 3")]
    NotHep3,
    /// The packet, or a chunk, says that it is longer than it is, or shorter than its head.
    #[error("truncated")]
    Truncated,
    /// A chunk has a length, or a value, that its type cannot have.
    #[error("chunk {0} is wrong")]
    Chunk(u16),
    /// A chunk that every packet has is not there.
    #[error("chunk {0} is missing")]
    Missing(u16),
}

/// Why a packet cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EmitError {
    /// One address is IPv4 and the other is IPv6.
    #[error("addresses of two families")]
    Family,
    /// It would be longer than its length can say.
    #[error("too long for a packet")]
    TooLong,
    /// The time does not fit into 32 bits of seconds.
    #[error("a time after 2106")]
    Time,
}

/// Bytes of payload and correlation id that fit into a UDP datagram over IPv4 beside the other chunks,
/// if there is no key.
pub const MOST_PAYLOAD: usize = 65_507 - 200;

/// The family chunk's values: AF_INET and AF_INET6 of Linux.
const V4: u8 = 2;
const V6: u8 = 10;

impl<'a> Packet<'a> {
    /// Reads a packet; of a chunk that comes twice, the last one counts.
    ///
    /// # Errors
    /// [`ParseError`]
    pub fn parse(bytes: &'a [u8]) -> Result<Packet<'a>, ParseError> {
        // By type; vendors' chunks and later types are skipped.
        let mut found: [Option<&'a [u8]>; 18] = [None; 18];
        for chunk in Chunks::of(bytes)? {
            let chunk = chunk?;
            if let Some(place) =
                found.get_mut(usize::from(chunk.kind)).filter(|_| chunk.vendor == 0)
            {
                *place = Some(chunk.value);
            }
        }
        let found = Found(found);
        let [family] = found.required(kind::FAMILY)?;
        let ip = |v4: u16, v6: u16| match family {
            V4 => found.required(v4).map(|octets: [u8; 4]| Ipv4Addr::from(octets).into()),
            V6 => found.required(v6).map(|octets: [u8; 16]| Ipv6Addr::from(octets).into()),
            _ => Err(ParseError::Chunk(kind::FAMILY)),
        };
        let port = |kind| found.required(kind).map(u16::from_be_bytes);
        let end = |ip: IpAddr, port: u16| SocketAddr::new(ip, port);
        let seconds = u32::from_be_bytes(found.required(kind::SECONDS)?);
        let micros = u32::from_be_bytes(found.required(kind::MICROSECONDS)?);
        if micros >= 1_000_000 {
            return Err(ParseError::Chunk(kind::MICROSECONDS));
        }
        let plain = found.value(kind::PAYLOAD);
        let payload = plain.or_else(|| found.value(kind::COMPRESSED));
        let [protocol] = found.required(kind::PROTOCOL)?;
        let [content] = found.required(kind::CONTENT)?;
        Ok(Packet {
            protocol,
            source: end(ip(kind::SOURCE_V4, kind::SOURCE_V6)?, port(kind::SOURCE_PORT)?),
            destination: end(
                ip(kind::DESTINATION_V4, kind::DESTINATION_V6)?,
                port(kind::DESTINATION_PORT)?,
            ),
            time: Instant::from_unix_micros(u64::from(seconds) * 1_000_000 + u64::from(micros)),
            content: Content(content),
            agent: found.optional(kind::AGENT)?.map_or(0, u32::from_be_bytes),
            keep_alive: found.optional(kind::KEEP_ALIVE)?.map(u16::from_be_bytes),
            key: found.value(kind::KEY).map(Secret::new),
            payload: payload.ok_or(ParseError::Missing(kind::PAYLOAD))?,
            compressed: plain.is_none(),
            correlation: found.value(kind::CORRELATION),
        })
    }

    /// The packet as bytes.
    ///
    /// # Errors
    /// [`EmitError`]
    pub fn emit(&self) -> Result<Vec<u8>, EmitError> {
        let correlation = self.correlation.map_or(0, |id| HEAD + id.len());
        let key = self.key.as_ref().map_or(0, |key| HEAD + key.reveal().len());
        let most = 160 + HEAD + self.payload.len() + correlation + key;
        let mut out = Vec::with_capacity(most);
        out.extend(MAGIC);
        out.extend([0, 0]);
        let family = if self.source.is_ipv4() { V4 } else { V6 };
        put(&mut out, kind::FAMILY, &[family]);
        put(&mut out, kind::PROTOCOL, &[self.protocol]);
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                put(&mut out, kind::SOURCE_V4, &source.octets());
                put(&mut out, kind::DESTINATION_V4, &destination.octets());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                put(&mut out, kind::SOURCE_V6, &source.octets());
                put(&mut out, kind::DESTINATION_V6, &destination.octets());
            }
            _ => return Err(EmitError::Family),
        }
        put(&mut out, kind::SOURCE_PORT, &self.source.port().to_be_bytes());
        put(&mut out, kind::DESTINATION_PORT, &self.destination.port().to_be_bytes());
        let seconds = u32::try_from(self.time.unix_seconds()).map_err(|_| EmitError::Time)?;
        let micros = (self.time.unix_micros() % 1_000_000) as u32;
        put(&mut out, kind::SECONDS, &seconds.to_be_bytes());
        put(&mut out, kind::MICROSECONDS, &micros.to_be_bytes());
        put(&mut out, kind::CONTENT, &[self.content.0]);
        put(&mut out, kind::AGENT, &self.agent.to_be_bytes());
        if let Some(seconds) = self.keep_alive {
            put(&mut out, kind::KEEP_ALIVE, &seconds.to_be_bytes());
        }
        let payload = if self.compressed { kind::COMPRESSED } else { kind::PAYLOAD };
        // Every chunk's length fits if that of all does.
        if out.len() + key + correlation + HEAD + self.payload.len() > usize::from(u16::MAX) {
            return Err(EmitError::TooLong);
        }
        if let Some(key) = &self.key {
            put(&mut out, kind::KEY, key.reveal());
        }
        if let Some(id) = self.correlation {
            put(&mut out, kind::CORRELATION, id);
        }
        put(&mut out, payload, self.payload);
        let length = (out.len() as u16).to_be_bytes();
        out[4..HEAD].copy_from_slice(&length);
        Ok(out)
    }
}

/// The generic chunks of a packet by their type.
struct Found<'a>([Option<&'a [u8]>; 18]);

impl<'a> Found<'a> {
    fn value(&self, kind: u16) -> Option<&'a [u8]> {
        self.0.get(usize::from(kind)).copied().flatten()
    }

    fn optional<const N: usize>(&self, kind: u16) -> Result<Option<[u8; N]>, ParseError> {
        let value = self.value(kind).map(|value| value.try_into());
        value.transpose().map_err(|_| ParseError::Chunk(kind))
    }

    fn required<const N: usize>(&self, kind: u16) -> Result<[u8; N], ParseError> {
        self.optional(kind)?.ok_or(ParseError::Missing(kind))
    }
}
