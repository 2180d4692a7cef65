//! SMS-COMMAND, TS 23.040 §9.2.2.4.

use crate::address::Address;
use crate::octets::Octets;
use crate::protocol_id::ProtocolId;
use crate::reader::{ParseError, Reader};
use crate::tpdu::{UDHI, flag};

/// What a mobile station wants done with a message that it submitted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Command {
    /// Whether the data begin with a header (TP-UDHI).
    pub has_header: bool,
    /// Whether a report is wanted (TP-SRR).
    pub status_report: bool,
    /// The sender's number for this command (TP-MR).
    pub reference: u8,
    /// What it is for (TP-PID).
    pub protocol_id: ProtocolId,
    /// What is to be done (TP-CT).
    pub kind: CommandType,
    /// The TP-MR of the message that is meant (TP-MN).
    pub message: u8,
    /// Who was to get that message (TP-DA).
    pub destination: Address,
    /// More of it (TP-CDL, TP-CD).
    pub data: Octets<156>,
}

/// TP-Command-Type, §9.2.3.19. Every octet is legal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommandType(pub u8);

impl CommandType {
    /// What became of it?
    pub const ENQUIRY: CommandType = CommandType(0);
    /// No report is wanted any more.
    pub const CANCEL_STATUS_REPORT: CommandType = CommandType(1);
    /// Delete it.
    pub const DELETE: CommandType = CommandType(2);
    /// A report is wanted after all.
    pub const ENABLE_STATUS_REPORT: CommandType = CommandType(3);

    /// What it means.
    pub fn name(self) -> &'static str {
        match self.0 {
            0 => "enquiry",
            1 => "cancel status report request",
            2 => "delete",
            3 => "enable status report request",
            0xe0.. => "specific to the SC",
            _ => "reserved",
        }
    }
}

const MTI_COMMAND: u8 = 0x02;
const STATUS_REPORT: u8 = 0x20;

impl Command {
    /// A plain command about the message with that TP-MR to that destination.
    pub fn new(reference: u8, kind: CommandType, message: u8, destination: Address) -> Command {
        Command {
            has_header: false,
            status_report: false,
            reference,
            protocol_id: ProtocolId::PLAIN,
            kind,
            message,
            destination,
            data: Octets::default(),
        }
    }

    pub(super) fn parse(first: u8, reader: &mut Reader<'_>) -> Result<Command, ParseError> {
        let reference = reader.octet("TP-MR")?;
        let protocol_id = ProtocolId(reader.octet("TP-PID")?);
        let kind = CommandType(reader.octet("TP-CT")?);
        let message = reader.octet("TP-MN")?;
        let destination = Address::parse(reader, "TP-DA")?;
        let offset = reader.at();
        let length = usize::from(reader.octet("TP-CDL")?);
        let too_long = |e| ParseError { field: "TP-CDL", offset, fault: crate::Fault::TooLong(e) };
        Ok(Command {
            has_header: first & UDHI != 0,
            status_report: first & STATUS_REPORT != 0,
            reference,
            protocol_id,
            kind,
            message,
            destination,
            data: Octets::new(reader.take("TP-CD", length)?).map_err(too_long)?,
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(
            MTI_COMMAND | flag(STATUS_REPORT, self.status_report) | flag(UDHI, self.has_header),
        );
        out.extend([self.reference, self.protocol_id.0, self.kind.0, self.message]);
        self.destination.write(out);
        out.push(self.data.len() as u8);
        out.extend(self.data.iter());
    }
}
