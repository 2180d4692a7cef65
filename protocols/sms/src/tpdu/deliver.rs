//! SMS-DELIVER and SMS-DELIVER-REPORT, TS 23.040 §9.2.2.1 and §9.2.2.1a.

use crate::address::Address;
use crate::failure::FailureCause;
use crate::protocol_id::ProtocolId;
use crate::reader::{ParseError, Reader};
use crate::time_stamp::TimeStamp;
use crate::tpdu::{Parameters, UDHI, coding, flag, header_flag};
use crate::user_data::{ShortMessage, UserData};

/// A message from the service centre to a mobile station.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Deliver {
    /// Whether more messages wait in the centre (TP-MMS, whose bit says the opposite).
    pub more_messages: bool,
    /// Whether it was forwarded or spawned, so that nobody forwards it again (TP-LP).
    pub loop_prevention: bool,
    /// Whether the sender gets a report of it (TP-SRI).
    pub status_report: bool,
    /// Whether the answer is to go by the sender's centre (TP-RP).
    pub reply_path: bool,
    /// Who sent it (TP-OA).
    pub originator: Address,
    /// What it is for (TP-PID).
    pub protocol_id: ProtocolId,
    /// When the centre received it (TP-SCTS).
    pub time_stamp: TimeStamp,
    /// What it says (TP-DCS, TP-UDHI, TP-UDL, TP-UD).
    pub user_data: ShortMessage,
}

const NO_MORE_MESSAGES: u8 = 0x04;
const LOOP_PREVENTION: u8 = 0x08;
const STATUS_REPORT: u8 = 0x20;
const REPLY_PATH: u8 = 0x80;

impl Deliver {
    /// A plain message.
    pub fn new(originator: Address, time_stamp: TimeStamp, user_data: ShortMessage) -> Deliver {
        Deliver {
            more_messages: false,
            loop_prevention: false,
            status_report: false,
            reply_path: false,
            originator,
            protocol_id: ProtocolId::PLAIN,
            time_stamp,
            user_data,
        }
    }

    pub(super) fn parse(first: u8, reader: &mut Reader<'_>) -> Result<Deliver, ParseError> {
        let originator = Address::parse(reader, "TP-OA")?;
        let (protocol_id, dcs) = coding(reader)?;
        Ok(Deliver {
            more_messages: first & NO_MORE_MESSAGES == 0,
            loop_prevention: first & LOOP_PREVENTION != 0,
            status_report: first & STATUS_REPORT != 0,
            reply_path: first & REPLY_PATH != 0,
            originator,
            protocol_id,
            time_stamp: TimeStamp(reader.array("TP-SCTS")?),
            user_data: UserData::parse(reader, first & UDHI != 0, dcs)?,
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.push(
            flag(NO_MORE_MESSAGES, !self.more_messages)
                | flag(LOOP_PREVENTION, self.loop_prevention)
                | flag(STATUS_REPORT, self.status_report)
                | header_flag(&self.user_data)
                | flag(REPLY_PATH, self.reply_path),
        );
        self.originator.write(out);
        out.extend([self.protocol_id.0, self.user_data.dcs().0]);
        out.extend(self.time_stamp.0);
        self.user_data.write(out);
    }
}

/// How a mobile station took an SMS-DELIVER or an SMS-STATUS-REPORT.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DeliverReport {
    /// It did, in RP-ACK.
    Ack(Parameters<159>),
    /// It did not, in RP-ERROR.
    Error(FailureCause, Parameters<158>),
}

impl DeliverReport {
    pub(super) fn parse_ack(
        first: u8,
        reader: &mut Reader<'_>,
    ) -> Result<DeliverReport, ParseError> {
        Parameters::parse(reader, first & UDHI != 0).map(DeliverReport::Ack)
    }

    pub(super) fn parse_error(
        first: u8,
        reader: &mut Reader<'_>,
    ) -> Result<DeliverReport, ParseError> {
        let cause = FailureCause(reader.octet("TP-FCS")?);
        Ok(DeliverReport::Error(cause, Parameters::parse(reader, first & UDHI != 0)?))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            DeliverReport::Ack(parameters) => {
                out.push(parameters.header_flag());
                parameters.write(out);
            }
            DeliverReport::Error(cause, parameters) => {
                out.extend([parameters.header_flag(), cause.0]);
                parameters.write(out);
            }
        }
    }
}
