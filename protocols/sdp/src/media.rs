//! One media section.

use std::net::IpAddr;

use crate::codec::{Codec, static_map};
use crate::section::Section;
use crate::value::{Connection, Direction, MediaLine, Rtcp, RtpMap};

/// A media section, RFC 8866 §5.14: its `m=` line and what follows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Media {
    pub(crate) section: Section,
}

impl Media {
    /// The lines, `m=` first.
    pub fn section(&self) -> &Section {
        &self.section
    }

    /// The lines, to be changed.
    pub fn section_mut(&mut self) -> &mut Section {
        &mut self.section
    }

    /// The `m=` line.
    pub fn line(&self) -> Option<MediaLine> {
        MediaLine::parse(self.section.line(b'm')?)
    }

    /// Rewrites the `m=` line.
    pub fn set_line(&mut self, line: &MediaLine) {
        self.section.set_line(b'm', &line.to_string());
    }

    /// The port; 0 is a rejected stream.
    pub fn port(&self) -> Option<u16> {
        self.line().map(|line| line.port)
    }

    /// Rewrites the port and leaves the rest of the `m=` line as it is.
    pub fn set_port(&mut self, port: u16) {
        self.set_word(1, &port.to_string());
    }

    /// Rewrites the profile, such as `RTP/AVP`, and leaves the rest of the `m=` line as it is.
    pub fn set_protocol(&mut self, protocol: &str) {
        self.set_word(2, protocol);
    }

    /// Rewrites one word of the `m=` line. Words are what [`MediaLine::parse`] takes for them, however
    /// many spaces or tabs are between them.
    fn set_word(&mut self, index: usize, word: &str) {
        let Some(line) = self.section.line(b'm') else { return };
        let Some(old) = line.split_ascii_whitespace().nth(index) else { return };
        // A word of the line is a part of it.
        let at = old.as_ptr() as usize - line.as_ptr() as usize;
        let new = format!("{}{word}{}", &line[..at], &line[at + old.len()..]);
        self.section.set_line(b'm', &new);
    }

    /// This section's own `c=`.
    pub fn connection(&self) -> Option<Connection> {
        Connection::parse(self.section.line(b'c')?)
    }

    /// Rewrites or inserts this section's own `c=`.
    pub fn set_connection(&mut self, address: IpAddr) {
        self.section.set_line(b'c', &Connection { address }.to_string());
    }

    /// This section's own direction attribute.
    pub fn direction(&self) -> Option<Direction> {
        Direction::of(&self.section)
    }

    /// Rewrites this section's direction attribute in its place, or appends one.
    pub fn set_direction(&mut self, direction: Direction) {
        let old = Direction::ALL.into_iter().find(|d| self.section.has_attribute(d.as_str()));
        match old {
            Some(old) if old == direction => {}
            Some(old) => self.section.rename_attribute(old.as_str(), direction.as_str()),
            None => self.section.add_attribute(direction.as_str(), ""),
        }
    }

    /// `a=rtcp`, RFC 3605.
    pub fn rtcp(&self) -> Option<Rtcp> {
        Rtcp::parse(self.section.attribute("rtcp")?)
    }

    /// Rewrites or appends `a=rtcp`.
    pub fn set_rtcp(&mut self, rtcp: Rtcp) {
        self.section.set_attribute("rtcp", &rtcp.to_string());
    }

    /// Whether RTP and RTCP share a port, RFC 5761 §5.1.1.
    pub fn rtcp_mux(&self) -> bool {
        self.section.has_attribute("rtcp-mux")
    }

    /// The packet duration in milliseconds, RFC 8866 §6.4.
    pub fn ptime(&self) -> Option<u32> {
        self.section.attribute("ptime")?.parse().ok()
    }

    /// `a=rtpmap` of a payload type, or its static assignment (RFC 3551 §6).
    pub fn rtpmap(&self, payload_type: u8) -> Option<RtpMap> {
        let own = self.section.attributes("rtpmap").filter_map(RtpMap::parse);
        own.into_iter()
            .find(|m| m.payload_type == payload_type)
            .or_else(|| static_map(payload_type))
    }

    /// `a=fmtp` of a payload type.
    pub fn fmtp(&self, payload_type: u8) -> Option<&str> {
        self.section.attributes("fmtp").find_map(|value| {
            let (format, parameters) = value.split_once(' ')?;
            (format.parse() == Ok(payload_type)).then(|| parameters.trim())
        })
    }

    /// The codecs of the `m=` line in their order; payload types without a meaning are skipped.
    pub fn codecs(&self) -> Vec<Codec> {
        let formats = self.line().map(|line| line.formats).unwrap_or_default();
        let types = formats.iter().filter_map(|f| f.parse::<u8>().ok());
        types
            .filter_map(|payload_type| {
                let map = self.rtpmap(payload_type)?;
                Some(Codec {
                    payload_type,
                    name: map.encoding,
                    rate: map.rate,
                    fmtp: self.fmtp(payload_type).map(str::to_owned),
                })
            })
            .collect()
    }
}
