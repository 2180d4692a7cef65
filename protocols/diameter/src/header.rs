//! The 20 bytes before the AVPs, RFC 6733 §3.

use core::fmt;

/// Bytes of a Diameter header.
pub const HEADER_LEN: usize = 20;

/// The longest message that is taken: 1 MiB. The protocol would allow 16 MiB.
pub const MAX_LEN: usize = 1 << 20;

/// The command flags, RFC 6733 §3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// R: a request.
    pub const REQUEST: Flags = Flags(0x80);
    /// P: may be proxied, relayed or redirected.
    pub const PROXIABLE: Flags = Flags(0x40);
    /// E: an answer with a protocol error.
    pub const ERROR: Flags = Flags(0x20);
    /// T: perhaps sent before, after a link failure.
    pub const RETRANSMITTED: Flags = Flags(0x10);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those.
    #[must_use]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(0x80, 'R'), (0x40, 'P'), (0x20, 'E'), (0x10, 'T')] {
            write!(f, "{}", if self.0 & bit != 0 { letter } else { '-' })?;
        }
        Ok(())
    }
}

/// A Diameter header; version and length are implied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Header {
    /// R, P, E, T.
    pub flags: Flags,
    /// The command code, 24 bits.
    pub command: u32,
    /// The application id.
    pub application: u32,
    /// Matches request and answer on one connection.
    pub hop_by_hop: u32,
    /// Finds duplicates, with Origin-Host.
    pub end_to_end: u32,
}

impl Header {
    /// The header at the start of `bytes`, and the message length that it says. `None` if there are
    /// fewer than 20 bytes. The version is not looked at.
    pub fn parse(bytes: &[u8]) -> Option<(Header, usize)> {
        let (words, _) = bytes.get(..HEADER_LEN)?.as_chunks::<4>();
        let word = |index: usize| u32::from_be_bytes(words[index]);
        let header = Header {
            flags: Flags(bytes[4]),
            command: word(1) & 0x00ff_ffff,
            application: word(2),
            hop_by_hop: word(3),
            end_to_end: word(4),
        };
        Some((header, (word(0) & 0x00ff_ffff) as usize))
    }

    /// The 20 bytes for a message of `len` bytes.
    pub fn emit(&self, len: usize) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        out[..4].copy_from_slice(&(1 << 24 | len as u32 & 0x00ff_ffff).to_be_bytes());
        let flags = u32::from(self.flags.0) << 24 | self.command & 0x00ff_ffff;
        out[4..8].copy_from_slice(&flags.to_be_bytes());
        out[8..12].copy_from_slice(&self.application.to_be_bytes());
        out[12..16].copy_from_slice(&self.hop_by_hop.to_be_bytes());
        out[16..].copy_from_slice(&self.end_to_end.to_be_bytes());
        out
    }

    /// Whether the R-bit is set.
    pub const fn is_request(&self) -> bool {
        self.flags.has(Flags::REQUEST)
    }

    /// The header of an answer to this request, RFC 6733 §6.2: P is kept, T and E are not.
    #[must_use]
    pub const fn answer(self) -> Header {
        Header { flags: Flags(self.flags.0 & Flags::PROXIABLE.0), ..self }
    }
}
