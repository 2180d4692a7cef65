//! TP-Failure-Cause of a report, TS 23.040 §9.2.3.22.

/// Why a TPDU was not taken. Every octet is legal; a reserved one means "unspecified error cause".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FailureCause(pub u8);

impl FailureCause {
    /// Telematic interworking is not supported.
    pub const TELEMATIC_INTERWORKING_NOT_SUPPORTED: FailureCause = FailureCause(0x80);
    /// Nothing can be replaced.
    pub const CANNOT_REPLACE: FailureCause = FailureCause(0x82);
    /// The alphabet is not supported.
    pub const ALPHABET_NOT_SUPPORTED: FailureCause = FailureCause(0x90);
    /// The command is known but cannot be done.
    pub const COMMAND_CANNOT_BE_ACTIONED: FailureCause = FailureCause(0xa0);
    /// The command is not known.
    pub const COMMAND_UNSUPPORTED: FailureCause = FailureCause(0xa1);
    /// The TPDU is not supported.
    pub const TPDU_NOT_SUPPORTED: FailureCause = FailureCause(0xb0);
    /// The centre is busy.
    pub const SC_BUSY: FailureCause = FailureCause(0xc0);
    /// The sender is not a subscriber of the centre.
    pub const NO_SC_SUBSCRIPTION: FailureCause = FailureCause(0xc1);
    /// The centre fails.
    pub const SC_SYSTEM_FAILURE: FailureCause = FailureCause(0xc2);
    /// The destination is no address.
    pub const INVALID_SME_ADDRESS: FailureCause = FailureCause(0xc3);
    /// The destination is barred.
    pub const DESTINATION_BARRED: FailureCause = FailureCause(0xc4);
    /// A duplicate, and duplicates were not wanted (TP-RD).
    pub const DUPLICATE: FailureCause = FailureCause(0xc5);
    /// The format of the validity period is not supported.
    pub const VALIDITY_FORMAT_NOT_SUPPORTED: FailureCause = FailureCause(0xc6);
    /// The validity period is not supported.
    pub const VALIDITY_NOT_SUPPORTED: FailureCause = FailureCause(0xc7);
    /// The (U)SIM's storage is full.
    pub const SIM_FULL: FailureCause = FailureCause(0xd0);
    /// An error in the mobile station.
    pub const ERROR_IN_MS: FailureCause = FailureCause(0xd2);
    /// The mobile station's memory is full.
    pub const MEMORY_CAPACITY_EXCEEDED: FailureCause = FailureCause(0xd3);
    /// An unspecified error.
    pub const UNSPECIFIED: FailureCause = FailureCause(0xff);

    /// What it means.
    pub fn name(self) -> &'static str {
        match self.0 {
            0x80 => "telematic interworking not supported",
            0x81 => "short message type 0 not supported",
            0x82 => "cannot replace short message",
            0x8f => "unspecified TP-PID error",
            0x90 => "data coding scheme (alphabet) not supported",
            0x91 => "message class not supported",
            0x9f => "unspecified TP-DCS error",
            0xa0 => "command cannot be actioned",
            0xa1 => "command unsupported",
            0xaf => "unspecified TP-Command error",
            0xb0 => "TPDU not supported",
            0xc0 => "SC busy",
            0xc1 => "no SC subscription",
            0xc2 => "SC system failure",
            0xc3 => "invalid SME address",
            0xc4 => "destination SME barred",
            0xc5 => "SM rejected, duplicate SM",
            0xc6 => "TP-VPF not supported",
            0xc7 => "TP-VP not supported",
            0xd0 => "(U)SIM SMS storage full",
            0xd1 => "no SMS storage capability in (U)SIM",
            0xd2 => "error in MS",
            0xd3 => "memory capacity exceeded",
            0xd4 => "(U)SIM application toolkit busy",
            0xd5 => "(U)SIM data download error",
            0xe0..=0xfe => "specific to the application",
            0xff => "unspecified error cause",
            _ => "reserved",
        }
    }
}
