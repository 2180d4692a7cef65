//! TP-Protocol-Identifier, TS 23.040 §9.2.3.9.

/// What the message is for beyond a person. Every octet is legal; what a receiver does not know it
/// treats as 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ProtocolId(pub u8);

impl ProtocolId {
    /// From phone to phone.
    pub const PLAIN: ProtocolId = ProtocolId(0x00);
    /// Acknowledged but neither shown nor kept.
    pub const TYPE_0: ProtocolId = ProtocolId(0x40);
    /// Device triggering.
    pub const DEVICE_TRIGGERING: ProtocolId = ProtocolId(0x48);
    /// The caller asks to be called.
    pub const RETURN_CALL: ProtocolId = ProtocolId(0x5f);
    /// For the phone itself.
    pub const PHONE_DOWNLOAD: ProtocolId = ProtocolId(0x7d);
    /// For the (U)SIM.
    pub const SIM_DOWNLOAD: ProtocolId = ProtocolId(0x7f);

    /// A message that replaces the one of the same type (1 to 7) from the same sender; `None` for
    /// other types.
    pub fn replace(kind: u8) -> Option<ProtocolId> {
        (1..=7).contains(&kind).then_some(ProtocolId(0x40 + kind))
    }

    /// Which type of message this one replaces, 1 to 7.
    pub fn replaces(self) -> Option<u8> {
        (0x41..=0x47).contains(&self.0).then_some(self.0 & 7)
    }

    /// The device or service beyond the centre (telematic interworking), 0 to 31.
    pub fn telematic_device(self) -> Option<u8> {
        (self.0 >> 5 == 1).then_some(self.0 & 0x1f)
    }

    /// What it means.
    pub fn name(self) -> &'static str {
        match self.0 {
            0x00..=0x1f => "short message",
            0x21 => "telex",
            0x22 => "group 3 telefax",
            0x23 => "group 4 telefax",
            0x24 => "voice telephone",
            0x25 => "ERMES",
            0x26 => "national paging system",
            0x27 => "videotex",
            0x28..=0x2c => "teletex",
            0x2d => "UCI",
            0x30 => "message handling facility",
            0x31 => "public X.400 message handling system",
            0x32 => "Internet electronic mail",
            0x38..=0x3e => "telematic device of this centre",
            0x3f => "mobile station, message converted by the centre",
            0x20 | 0x2e..=0x2f | 0x33..=0x37 => "telematic interworking",
            0x40 => "short message type 0",
            0x41..=0x47 => "replace short message",
            0x48 => "device triggering short message",
            0x5e => "enhanced message service (obsolete)",
            0x5f => "return call message",
            0x7c => "ANSI-136 R-DATA",
            0x7d => "ME data download",
            0x7e => "ME de-personalization short message",
            0x7f => "(U)SIM data download",
            0xc0..=0xff => "specific to the service centre",
            _ => "reserved",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_and_telematic_identifiers_are_told_apart() {
        assert_eq!(ProtocolId::replace(7).and_then(ProtocolId::replaces), Some(7));
        assert_eq!((ProtocolId::replace(0), ProtocolId::replace(8)), (None, None));
        assert_eq!((ProtocolId::TYPE_0.replaces(), ProtocolId(0x48).replaces()), (None, None));
        assert_eq!(ProtocolId(0x22).telematic_device(), Some(2));
        assert_eq!(
            (ProtocolId(0x1f).telematic_device(), ProtocolId(0x40).telematic_device()),
            (None, None)
        );
        assert_eq!(ProtocolId(0x22).name(), "group 3 telefax");
        assert_eq!(
            (ProtocolId(0x33).name(), ProtocolId(0x80).name()),
            ("telematic interworking", "reserved")
        );
    }
}
