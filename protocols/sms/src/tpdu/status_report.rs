//! SMS-STATUS-REPORT, TS 23.040 §9.2.2.3.

use crate::address::Address;
use crate::reader::{ParseError, Reader};
use crate::status::Status;
use crate::time_stamp::TimeStamp;
use crate::tpdu::{Parameters, UDHI, flag};

/// What became of a submitted message.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StatusReport {
    /// Whether more messages wait in the centre (TP-MMS, whose bit says the opposite).
    pub more_messages: bool,
    /// Whether it was forwarded or spawned, so that nobody forwards it again (TP-LP).
    pub loop_prevention: bool,
    /// Whether an SMS-COMMAND asked for it, and not the SMS-SUBMIT (TP-SRQ).
    pub by_command: bool,
    /// The reference of what asked for it (TP-MR).
    pub reference: u8,
    /// Who was to get the message (TP-RA).
    pub recipient: Address,
    /// When the centre received the message (TP-SCTS).
    pub time_stamp: TimeStamp,
    /// When this became of it, or when it was last tried (TP-DT).
    pub discharge: TimeStamp,
    /// What became of it (TP-ST).
    pub status: Status,
    /// What else is said.
    pub parameters: Parameters<131>,
}

const MTI_STATUS_REPORT: u8 = 0x02;
const NO_MORE_MESSAGES: u8 = 0x04;
const LOOP_PREVENTION: u8 = 0x08;
const BY_COMMAND: u8 = 0x20;

impl StatusReport {
    /// A plain report of an SMS-SUBMIT.
    pub fn new(
        reference: u8,
        recipient: Address,
        time_stamp: TimeStamp,
        discharge: TimeStamp,
        status: Status,
    ) -> StatusReport {
        StatusReport {
            more_messages: false,
            loop_prevention: false,
            by_command: false,
            reference,
            recipient,
            time_stamp,
            discharge,
            status,
            parameters: Parameters::NONE,
        }
    }

    pub(super) fn parse(first: u8, reader: &mut Reader<'_>) -> Result<StatusReport, ParseError> {
        Ok(StatusReport {
            more_messages: first & NO_MORE_MESSAGES == 0,
            loop_prevention: first & LOOP_PREVENTION != 0,
            by_command: first & BY_COMMAND != 0,
            reference: reader.octet("TP-MR")?,
            recipient: Address::parse(reader, "TP-RA")?,
            time_stamp: TimeStamp(reader.array("TP-SCTS")?),
            discharge: TimeStamp(reader.array("TP-DT")?),
            status: Status(reader.octet("TP-ST")?),
            parameters: Parameters::parse(reader, first & UDHI != 0)?,
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(
            MTI_STATUS_REPORT
                | flag(NO_MORE_MESSAGES, !self.more_messages)
                | flag(LOOP_PREVENTION, self.loop_prevention)
                | flag(BY_COMMAND, self.by_command)
                | self.parameters.header_flag(),
        );
        out.push(self.reference);
        self.recipient.write(out);
        out.extend(self.time_stamp.0);
        out.extend(self.discharge.0);
        out.push(self.status.0);
        if self.parameters != Parameters::NONE {
            self.parameters.write(out);
        }
    }
}
