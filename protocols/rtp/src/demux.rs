//! Telling RTP, RTCP and strangers apart, RFC 5761 §4 and RFC 7983 §7.

/// What a datagram on a media port is, by its first two bytes and its length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
    /// Neither: STUN, DTLS or garbage.
    Other,
}

/// Looks at version, payload type and least length.
pub fn kind(bytes: &[u8]) -> Kind {
    match bytes {
        [first, ..] if first >> 6 != 2 => Kind::Other,
        // RTCP packet types 192 to 223 are RTP payload types 64 to 95 with the marker bit, which
        // nobody may use beside RTCP.
        [_, 192..=223, ..] if bytes.len() >= 8 => Kind::Rtcp,
        [_, 192..=223, ..] => Kind::Other,
        _ if bytes.len() >= crate::packet::HEADER => Kind::Rtp,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart() {
        assert_eq!(kind(&[0x80, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Kind::Rtp);
        assert_eq!(kind(&[0x80, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Kind::Rtp);
        assert_eq!(kind(&[0x80, 200, 0, 1, 0, 0, 0, 0]), Kind::Rtcp);
        assert_eq!(kind(&[0x00, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0]), Kind::Other);
        assert_eq!(kind(&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Kind::Other);
        assert_eq!(kind(&[0x80, 8, 0]), Kind::Other);
        assert_eq!(kind(&[]), Kind::Other);
    }
}
