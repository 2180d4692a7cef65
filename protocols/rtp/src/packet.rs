//! RTP packets, RFC 3550 §5.

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RtpError {
    /// Shorter than its header says.
    #[error("truncated")]
    Truncated,
    /// The version is not 2.
    #[error("not RTP version 2")]
    Version,
    /// The padding is longer than the payload, or zero.
    #[error("impossible padding")]
    Padding,
}

/// The fixed header's length in bytes.
pub const HEADER: usize = 12;

/// A view of an RTP packet; all lengths are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    payload: (usize, usize),
}

impl<'a> Packet<'a> {
    /// Checks version and lengths.
    ///
    /// # Errors
    /// [`RtpError`]
    pub fn parse(bytes: &'a [u8]) -> Result<Packet<'a>, RtpError> {
        let first = *bytes.first().ok_or(RtpError::Truncated)?;
        if first >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let mut start = HEADER + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let head = bytes.get(start..start + 4).ok_or(RtpError::Truncated)?;
            start += 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
        }
        let mut end = bytes.len();
        if start > end {
            return Err(RtpError::Truncated);
        }
        if first & 0x20 != 0 {
            let padding = usize::from(bytes[end - 1]);
            if padding == 0 || padding > end - start {
                return Err(RtpError::Padding);
            }
            end -= padding;
        }
        Ok(Packet { bytes, payload: (start, end) })
    }

    /// Where the payload is among the packet's octets.
    pub fn payload_range(&self) -> core::ops::Range<usize> {
        self.payload.0..self.payload.1
    }

    /// The marker bit.
    pub fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// Whether there is padding behind the payload.
    pub fn has_padding(&self) -> bool {
        self.bytes[0] & 0x20 != 0
    }

    /// The payload type.
    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    /// The sequence number.
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    /// The timestamp, in units of the codec's clock.
    pub fn timestamp(&self) -> u32 {
        self.word(4)
    }

    /// The synchronisation source.
    pub fn ssrc(&self) -> u32 {
        self.word(8)
    }

    /// The contributing sources.
    pub fn csrc(&self) -> impl Iterator<Item = u32> + 'a {
        let count = usize::from(self.bytes[0] & 0x0f);
        self.bytes[HEADER..HEADER + 4 * count].chunks_exact(4).map(word)
    }

    /// The header extension: its profile and its data (§5.3.1).
    pub fn extension(&self) -> Option<(u16, &'a [u8])> {
        if self.bytes[0] & 0x10 == 0 {
            return None;
        }
        let at = HEADER + 4 * usize::from(self.bytes[0] & 0x0f);
        let profile = u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]);
        Some((profile, &self.bytes[at + 4..self.payload.0]))
    }

    /// The payload without padding.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.payload.0..self.payload.1]
    }

    fn word(&self, at: usize) -> u32 {
        word(&self.bytes[at..at + 4])
    }
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// What an RTP packet is built from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Builder<'a> {
    /// The marker bit.
    pub marker: bool,
    /// The payload type; its lowest 7 bits count.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// The contributing sources; the first 15 count.
    pub csrc: &'a [u32],
    /// A header extension: profile and data, which is filled up to whole words.
    pub extension: Option<(u16, &'a [u8])>,
    /// The payload.
    pub payload: &'a [u8],
    /// Pad to a multiple of this many bytes; 0 and 1 pad nothing.
    pub align: u8,
}

impl Builder<'_> {
    /// The packet's bytes.
    pub fn build(&self) -> Vec<u8> {
        let csrc = &self.csrc[..self.csrc.len().min(15)];
        let mut out = Vec::with_capacity(HEADER + 4 * csrc.len() + self.payload.len());
        let extended = u8::from(self.extension.is_some()) << 4;
        out.push(0x80 | extended | csrc.len() as u8);
        out.push(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.timestamp.to_be_bytes());
        out.extend(self.ssrc.to_be_bytes());
        out.extend(csrc.iter().flat_map(|c| c.to_be_bytes()));
        if let Some((profile, data)) = self.extension {
            let data = &data[..data.len().min(4 * usize::from(u16::MAX))];
            out.extend(profile.to_be_bytes());
            out.extend((data.len().div_ceil(4) as u16).to_be_bytes());
            out.extend(data);
            out.resize(out.len() + data.len().wrapping_neg() % 4, 0);
        }
        out.extend(self.payload);
        let align = usize::from(self.align.max(1));
        let padding = (align - out.len() % align) % align;
        if padding > 0 {
            out.resize(out.len() + padding - 1, 0);
            out.push(padding as u8);
            out[0] |= 0x20;
        }
        out
    }
}
