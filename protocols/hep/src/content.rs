//! What a payload is.

use core::fmt;

/// The value of the generic chunk 11.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content(pub u8);

impl Content {
    /// SIP, RFC 3261.
    pub const SIP: Content = Content(0x01);
    /// XMPP.
    pub const XMPP: Content = Content(0x02);
    /// SDP.
    pub const SDP: Content = Content(0x03);
    /// RTP.
    pub const RTP: Content = Content(0x04);
    /// RTCP reports as JSON.
    pub const RTCP: Content = Content(0x05);
    /// DNS as JSON.
    pub const DNS: Content = Content(0x35);
    /// Diameter as JSON.
    pub const DIAMETER: Content = Content(0x38);
    /// The NG protocol: the number that rtpengine uses unless told (`--homer-ng-capture-proto`).
    pub const NG: Content = Content(0x3d);
    /// Log lines.
    pub const LOG: Content = Content(0x64);
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Content::SIP => "SIP",
            Content::XMPP => "XMPP",
            Content::SDP => "SDP",
            Content::RTP => "RTP",
            Content::RTCP => "RTCP",
            Content::DNS => "DNS",
            Content::DIAMETER => "Diameter",
            Content::NG => "NG",
            Content::LOG => "log",
            Content(other) => return write!(f, "{other:#04x}"),
        };
        f.write_str(name)
    }
}
