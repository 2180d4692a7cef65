//! RP-Cause, TS 24.011 §8.2.5.4.

use std::fmt;

/// Why an RPDU was refused: seven bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause(u8);

impl Cause {
    /// Unassigned (unallocated) number.
    pub const UNASSIGNED_NUMBER: Cause = Cause(1);
    /// Operator determined barring.
    pub const OPERATOR_DETERMINED_BARRING: Cause = Cause(8);
    /// Call barred.
    pub const CALL_BARRED: Cause = Cause(10);
    /// Short message transfer rejected.
    pub const TRANSFER_REJECTED: Cause = Cause(21);
    /// Memory capacity exceeded: the only one with which a mobile station says that it will tell when
    /// it has memory again.
    pub const MEMORY_CAPACITY_EXCEEDED: Cause = Cause(22);
    /// Destination out of order.
    pub const DESTINATION_OUT_OF_ORDER: Cause = Cause(27);
    /// Unidentified subscriber.
    pub const UNIDENTIFIED_SUBSCRIBER: Cause = Cause(28);
    /// Facility rejected.
    pub const FACILITY_REJECTED: Cause = Cause(29);
    /// Unknown subscriber.
    pub const UNKNOWN_SUBSCRIBER: Cause = Cause(30);
    /// Network out of order.
    pub const NETWORK_OUT_OF_ORDER: Cause = Cause(38);
    /// Temporary failure.
    pub const TEMPORARY_FAILURE: Cause = Cause(41);
    /// Congestion.
    pub const CONGESTION: Cause = Cause(42);
    /// Resources unavailable, unspecified.
    pub const RESOURCES_UNAVAILABLE: Cause = Cause(47);
    /// Requested facility not subscribed.
    pub const NOT_SUBSCRIBED: Cause = Cause(50);
    /// Requested facility not implemented.
    pub const NOT_IMPLEMENTED: Cause = Cause(69);
    /// Invalid short message transfer reference value.
    pub const INVALID_REFERENCE: Cause = Cause(81);
    /// Semantically incorrect message.
    pub const SEMANTICALLY_INCORRECT: Cause = Cause(95);
    /// Invalid mandatory information.
    pub const INVALID_MANDATORY_INFORMATION: Cause = Cause(96);
    /// Message type non-existent or not implemented.
    pub const MESSAGE_TYPE_UNKNOWN: Cause = Cause(97);
    /// Message not compatible with short message protocol state.
    pub const NOT_COMPATIBLE_WITH_STATE: Cause = Cause(98);
    /// Information element non-existent or not implemented.
    pub const ELEMENT_UNKNOWN: Cause = Cause(99);
    /// Protocol error, unspecified.
    pub const PROTOCOL_ERROR: Cause = Cause(111);
    /// Interworking, unspecified.
    pub const INTERWORKING: Cause = Cause(127);

    /// The lower seven bits.
    pub fn from_bits(bits: u8) -> Cause {
        Cause(bits & 0x7f)
    }

    /// The seven bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// What it means.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "unassigned (unallocated) number",
            8 => "operator determined barring",
            10 => "call barred",
            21 => "short message transfer rejected",
            22 => "memory capacity exceeded",
            27 => "destination out of order",
            28 => "unidentified subscriber",
            29 => "facility rejected",
            30 => "unknown subscriber",
            38 => "network out of order",
            41 => "temporary failure",
            42 => "congestion",
            47 => "resources unavailable, unspecified",
            50 => "requested facility not subscribed",
            69 => "requested facility not implemented",
            81 => "invalid short message transfer reference value",
            95 => "semantically incorrect message",
            96 => "invalid mandatory information",
            97 => "message type non-existent or not implemented",
            98 => "message not compatible with short message protocol state",
            99 => "information element non-existent or not implemented",
            111 => "protocol error, unspecified",
            127 => "interworking, unspecified",
            _ => "reserved",
        }
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.name())
    }
}
