//! A session description.

use std::net::IpAddr;

use crate::media::Media;
use crate::section::Section;
use crate::value::{Connection, Direction, Origin, Rtcp};

/// Why bytes are no session description.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    /// The first line is not `v=`, RFC 8866 §5.1.
    #[error("a session description begins with v=")]
    NotSdp,
    /// More lines or bytes than anybody needs.
    #[error("the session description is too long")]
    TooLong,
}

/// A session description, RFC 8866: the session level and the media sections.
///
/// Parsing and emitting is the identity on bytes; a setter changes its line and nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    pub(crate) head: Section,
    pub(crate) media: Vec<Media>,
}

/// The longest description that is read: what a UDP datagram can hold.
const MAX_BYTES: usize = 65_535;
/// The most lines that are read.
const MAX_LINES: usize = 4096;

impl Session {
    /// Reads a description.
    ///
    /// # Errors
    /// [`ParseError`] if the bytes do not begin with `v=` or are too long. Everything else is kept
    /// as it is and answers `None` when asked for its meaning.
    pub fn parse(bytes: &[u8]) -> Result<Session, ParseError> {
        if !bytes.starts_with(b"v=") {
            return Err(ParseError::NotSdp);
        }
        if bytes.len() > MAX_BYTES {
            return Err(ParseError::TooLong);
        }
        let mut session = Session { head: Section::default(), media: Vec::new() };
        for (count, raw) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            if count == MAX_LINES {
                return Err(ParseError::TooLong);
            }
            if raw.starts_with(b"m=") {
                session.media.push(Media::default());
            }
            let section = session.media.last_mut().map_or(&mut session.head, |m| &mut m.section);
            section.push_raw(raw);
        }
        Ok(session)
    }

    /// The description's bytes.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.head.emit_into(&mut out);
        for media in &self.media {
            media.section.emit_into(&mut out);
        }
        out
    }

    /// The lines of the session level.
    pub fn head(&self) -> &Section {
        &self.head
    }

    /// The lines of the session level, to be changed.
    pub fn head_mut(&mut self) -> &mut Section {
        &mut self.head
    }

    /// The media sections.
    pub fn media(&self) -> &[Media] {
        &self.media
    }

    /// A media section, to be changed.
    pub fn media_mut(&mut self, index: usize) -> Option<&mut Media> {
        self.media.get_mut(index)
    }

    /// The first media section of this kind whose port is not zero, else the first of this kind.
    pub fn find_media(&self, kind: &str) -> Option<usize> {
        let of_kind = |m: &Media| m.line().is_some_and(|line| line.kind == kind);
        let alive = |m: &Media| of_kind(m) && m.port() != Some(0);
        self.media.iter().position(alive).or_else(|| self.media.iter().position(of_kind))
    }

    /// `o=`, RFC 8866 §5.2.
    pub fn origin(&self) -> Option<Origin> {
        Origin::parse(self.head.line(b'o')?)
    }

    /// Rewrites `o=`.
    pub fn set_origin(&mut self, origin: &Origin) {
        self.head.set_line(b'o', &origin.to_string());
    }

    /// `c=` of the session level, RFC 8866 §5.7.
    pub fn connection(&self) -> Option<Connection> {
        Connection::parse(self.head.line(b'c')?)
    }

    /// Rewrites `c=` of the session level.
    pub fn set_connection(&mut self, address: IpAddr) {
        self.head.set_line(b'c', &Connection { address }.to_string());
    }

    /// The address at which this media section is received: its own `c=`, else the session's.
    pub fn address_of(&self, index: usize) -> Option<IpAddr> {
        let media = self.media.get(index)?;
        match media.section.line(b'c') {
            Some(own) => Connection::parse(own),
            None => self.connection(),
        }
        .map(|c| c.address)
    }

    /// The direction of this media section: its own attribute, else the session's, else
    /// `sendrecv` (RFC 8866 §6.7).
    pub fn direction_of(&self, index: usize) -> Direction {
        let own = self.media.get(index).and_then(|m| Direction::of(&m.section));
        own.or_else(|| Direction::of(&self.head)).unwrap_or(Direction::SendRecv)
    }

    /// Where RTP of this media section is received; `None` if the section is rejected or has no
    /// address.
    pub fn rtp_of(&self, index: usize) -> Option<std::net::SocketAddr> {
        let port = self.media.get(index)?.port().filter(|port| *port != 0)?;
        Some((self.address_of(index)?, port).into())
    }

    /// Where RTCP of this media section is received: RFC 3605, else the port after the RTP port.
    pub fn rtcp_of(&self, index: usize) -> Option<std::net::SocketAddr> {
        let rtp = self.rtp_of(index)?;
        match self.media.get(index)?.rtcp() {
            Some(Rtcp { port, address }) => Some((address.unwrap_or(rtp.ip()), port).into()),
            None => Some((rtp.ip(), rtp.port().checked_add(1)?).into()),
        }
    }
}
