//! Chunks: vendor, type, length, value.

use crate::packet::ParseError;

/// What every packet of this version begins with.
pub(crate) const MAGIC: [u8; 4] = *b"HEP3";
/// Bytes of a packet before its first chunk, and of a chunk before its value.
pub(crate) const HEAD: usize = 6;

/// Types of the generic chunks, those of vendor 0.
pub mod kind {
    /// IP protocol family, 8 bits: 2 is IPv4, 10 is IPv6.
    pub const FAMILY: u16 = 1;
    /// IP protocol id, 8 bits.
    pub const PROTOCOL: u16 = 2;
    /// IPv4 source address.
    pub const SOURCE_V4: u16 = 3;
    /// IPv4 destination address.
    pub const DESTINATION_V4: u16 = 4;
    /// IPv6 source address.
    pub const SOURCE_V6: u16 = 5;
    /// IPv6 destination address.
    pub const DESTINATION_V6: u16 = 6;
    /// Source port, 16 bits.
    pub const SOURCE_PORT: u16 = 7;
    /// Destination port, 16 bits.
    pub const DESTINATION_PORT: u16 = 8;
    /// Seconds since 1970, 32 bits.
    pub const SECONDS: u16 = 9;
    /// Microseconds to be added, 32 bits.
    pub const MICROSECONDS: u16 = 10;
    /// What the payload is, 8 bits.
    pub const CONTENT: u16 = 11;
    /// Capture agent id, 32 bits.
    pub const AGENT: u16 = 12;
    /// Keep-alive timer in seconds, 16 bits.
    pub const KEEP_ALIVE: u16 = 13;
    /// Authentication key, text.
    pub const KEY: u16 = 14;
    /// The captured payload.
    pub const PAYLOAD: u16 = 15;
    /// The captured payload, compressed.
    pub const COMPRESSED: u16 = 16;
    /// Correlation id, text.
    pub const CORRELATION: u16 = 17;
}

/// One chunk of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk<'a> {
    /// Who defined the type; 0 is generic.
    pub vendor: u16,
    /// The type, one of [`kind`] if the vendor is 0.
    pub kind: u16,
    /// The value.
    pub value: &'a [u8],
}

/// The chunks of a packet in their order. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    /// The chunks of a packet. Bytes behind the packet's own length are ignored.
    ///
    /// # Errors
    /// [`ParseError::NotHep3`], [`ParseError::Truncated`]
    pub fn of(packet: &'a [u8]) -> Result<Chunks<'a>, ParseError> {
        let rest = packet.strip_prefix(&MAGIC).ok_or(ParseError::NotHep3)?;
        let length = rest.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)));
        let length = length.ok_or(ParseError::Truncated)?;
        let rest = packet.get(HEAD..length).ok_or(ParseError::Truncated)?;
        Ok(Chunks { rest })
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let Some(head) = bytes.first_chunk::<HEAD>() else {
            return Some(Err(ParseError::Truncated));
        };
        let [v1, v2, k1, k2, l1, l2] = *head;
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        let Some(value) = bytes.get(HEAD..length) else {
            return Some(Err(ParseError::Truncated));
        };
        self.rest = &bytes[length..];
        let [vendor, kind] = [[v1, v2], [k1, k2]].map(u16::from_be_bytes);
        Some(Ok(Chunk { vendor, kind, value }))
    }
}

/// Writes a generic chunk; its length must fit.
pub(crate) fn put(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = (HEAD + value.len()) as u16;
    out.extend([0, 0]);
    out.extend(kind.to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend(value);
}
