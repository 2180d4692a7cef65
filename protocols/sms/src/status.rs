//! TP-Status of a status report, TS 23.040 §9.2.3.15.

/// What became of a message. Every octet is legal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Status(pub u8);

/// What a status comes down to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    /// The transaction is completed.
    Completed,
    /// A temporary error, and the centre is still trying.
    StillTrying,
    /// A permanent error; the centre tries no more.
    PermanentError,
    /// A temporary error; the centre tries no more.
    GivenUp,
    /// Reserved: a receiver reads it as a service that was rejected.
    Reserved,
}

impl Status {
    /// Received by the SME.
    pub const RECEIVED: Status = Status(0x00);
    /// Forwarded, but nobody can say whether it arrived.
    pub const FORWARDED: Status = Status(0x01);
    /// Replaced by the centre.
    pub const REPLACED: Status = Status(0x02);
    /// No response yet; the centre is still trying.
    pub const STILL_NO_RESPONSE: Status = Status(0x22);
    /// A remote procedure error.
    pub const REMOTE_PROCEDURE_ERROR: Status = Status(0x40);
    /// The destination cannot take such messages.
    pub const INCOMPATIBLE_DESTINATION: Status = Status(0x41);
    /// The receiver refused.
    pub const CONNECTION_REJECTED: Status = Status(0x42);
    /// Not obtainable.
    pub const NOT_OBTAINABLE: Status = Status(0x43);
    /// The validity period ended.
    pub const VALIDITY_EXPIRED: Status = Status(0x46);
    /// Deleted by the sender.
    pub const DELETED_BY_ORIGINATOR: Status = Status(0x47);
    /// Deleted by the centre.
    pub const DELETED_BY_CENTRE: Status = Status(0x48);
    /// There is no such message.
    pub const DOES_NOT_EXIST: Status = Status(0x49);
    /// Congestion; the centre tries no more.
    pub const CONGESTION: Status = Status(0x60);
    /// No response; the centre tries no more.
    pub const NO_RESPONSE: Status = Status(0x62);

    /// What it comes down to.
    pub fn outcome(self) -> Outcome {
        match self.0 {
            0x00..=0x1f => Outcome::Completed,
            0x20..=0x3f => Outcome::StillTrying,
            0x40..=0x5f => Outcome::PermanentError,
            0x60..=0x7f => Outcome::GivenUp,
            0x80.. => Outcome::Reserved,
        }
    }

    /// What it means.
    pub fn name(self) -> &'static str {
        match self.0 {
            0x00 => "short message received by the SME",
            0x01 => "short message forwarded, delivery not confirmed",
            0x02 => "short message replaced by the SC",
            0x20 | 0x60 => "congestion",
            0x21 | 0x61 => "SME busy",
            0x22 | 0x62 => "no response from SME",
            0x23 | 0x63 => "service rejected",
            0x24 | 0x44 | 0x64 => "quality of service not available",
            0x25 | 0x65 => "error in SME",
            0x40 => "remote procedure error",
            0x41 => "incompatible destination",
            0x42 => "connection rejected by SME",
            0x43 => "not obtainable",
            0x45 => "no interworking available",
            0x46 => "SM validity period expired",
            0x47 => "SM deleted by originating SME",
            0x48 => "SM deleted by SC administration",
            0x49 => "SM does not exist",
            0x10..=0x1f | 0x30..=0x3f | 0x50..=0x5f | 0x70..=0x7f => "specific to the SC",
            _ => "reserved",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_quarter_has_its_outcome() {
        assert_eq!(Status::RECEIVED.outcome(), Outcome::Completed);
        assert_eq!(Status(0x25).outcome(), Outcome::StillTrying);
        assert_eq!(Status::VALIDITY_EXPIRED.outcome(), Outcome::PermanentError);
        assert_eq!(Status(0x65).outcome(), Outcome::GivenUp);
        assert_eq!(Status(0x80).outcome(), Outcome::Reserved);
        assert_eq!((Status(0x1f).name(), Status(0x2f).name()), ("specific to the SC", "reserved"));
    }
}
