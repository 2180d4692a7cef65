//! SMS-SUBMIT and SMS-SUBMIT-REPORT, TS 23.040 §9.2.2.2 and §9.2.2.2a.

use crate::address::Address;
use crate::failure::FailureCause;
use crate::protocol_id::ProtocolId;
use crate::reader::{ParseError, Reader};
use crate::time_stamp::TimeStamp;
use crate::tpdu::{Parameters, UDHI, coding, flag, header_flag};
use crate::user_data::{ShortMessage, UserData};
use crate::validity::{Enhanced, Relative, ValidityPeriod};

/// A message from a mobile station to the service centre.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Submit {
    /// Whether the centre is to refuse it if it holds one with the same TP-MR and TP-DA of the same
    /// sender (TP-RD).
    pub reject_duplicates: bool,
    /// Whether the sender wants a report of what becomes of it (TP-SRR).
    pub status_report: bool,
    /// Whether the answer may go by this centre (TP-RP).
    pub reply_path: bool,
    /// The sender's number for it (TP-MR).
    pub reference: u8,
    /// Who is to get it (TP-DA).
    pub destination: Address,
    /// What it is for (TP-PID).
    pub protocol_id: ProtocolId,
    /// How long it is worth trying (TP-VPF, TP-VP).
    pub validity: Option<ValidityPeriod>,
    /// What it says (TP-DCS, TP-UDHI, TP-UDL, TP-UD).
    pub user_data: ShortMessage,
}

const MTI_SUBMIT: u8 = 0x01;
const REJECT_DUPLICATES: u8 = 0x04;
const VALIDITY_FORMAT: u8 = 0x18;
const ENHANCED: u8 = 0x08;
const RELATIVE: u8 = 0x10;
const ABSOLUTE: u8 = 0x18;
const STATUS_REPORT: u8 = 0x20;
const REPLY_PATH: u8 = 0x80;

impl Submit {
    /// A plain message.
    pub fn new(reference: u8, destination: Address, user_data: ShortMessage) -> Submit {
        Submit {
            reject_duplicates: false,
            status_report: false,
            reply_path: false,
            reference,
            destination,
            protocol_id: ProtocolId::PLAIN,
            validity: None,
            user_data,
        }
    }

    pub(super) fn parse(first: u8, reader: &mut Reader<'_>) -> Result<Submit, ParseError> {
        let reference = reader.octet("TP-MR")?;
        let destination = Address::parse(reader, "TP-DA")?;
        let (protocol_id, dcs) = coding(reader)?;
        let validity = match first & VALIDITY_FORMAT {
            RELATIVE => Some(ValidityPeriod::Relative(Relative(reader.octet("TP-VP")?))),
            ABSOLUTE => Some(ValidityPeriod::Absolute(TimeStamp(reader.array("TP-VP")?))),
            ENHANCED => Some(ValidityPeriod::Enhanced(Enhanced(reader.array("TP-VP")?))),
            _ => None,
        };
        Ok(Submit {
            reject_duplicates: first & REJECT_DUPLICATES != 0,
            status_report: first & STATUS_REPORT != 0,
            reply_path: first & REPLY_PATH != 0,
            reference,
            destination,
            protocol_id,
            validity,
            user_data: UserData::parse(reader, first & UDHI != 0, dcs)?,
        })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let format = match self.validity {
            None => 0,
            Some(ValidityPeriod::Relative(_)) => RELATIVE,
            Some(ValidityPeriod::Absolute(_)) => ABSOLUTE,
            Some(ValidityPeriod::Enhanced(_)) => ENHANCED,
        };
        out.push(
            MTI_SUBMIT
                | flag(REJECT_DUPLICATES, self.reject_duplicates)
                | format
                | flag(STATUS_REPORT, self.status_report)
                | header_flag(&self.user_data)
                | flag(REPLY_PATH, self.reply_path),
        );
        out.push(self.reference);
        self.destination.write(out);
        out.extend([self.protocol_id.0, self.user_data.dcs().0]);
        match self.validity {
            None => {}
            Some(ValidityPeriod::Relative(Relative(octet))) => out.push(octet),
            Some(ValidityPeriod::Absolute(TimeStamp(octets))) => out.extend(octets),
            Some(ValidityPeriod::Enhanced(Enhanced(octets))) => out.extend(octets),
        }
        self.user_data.write(out);
    }
}

/// How the service centre took an SMS-SUBMIT or an SMS-COMMAND, and when.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SubmitReport {
    /// It did, in RP-ACK.
    Ack(TimeStamp, Parameters<152>),
    /// It did not, in RP-ERROR.
    Error(FailureCause, TimeStamp, Parameters<151>),
}

impl SubmitReport {
    pub(super) fn parse_ack(
        first: u8,
        reader: &mut Reader<'_>,
    ) -> Result<SubmitReport, ParseError> {
        // TP-PI comes first, and yet announces what follows the time stamp.
        let indicator = Parameters::<152>::indicator(reader)?;
        let time_stamp = TimeStamp(reader.array("TP-SCTS")?);
        let parameters = Parameters::announced(indicator, reader, first & UDHI != 0)?;
        Ok(SubmitReport::Ack(time_stamp, parameters))
    }

    pub(super) fn parse_error(
        first: u8,
        reader: &mut Reader<'_>,
    ) -> Result<SubmitReport, ParseError> {
        let cause = FailureCause(reader.octet("TP-FCS")?);
        let indicator = Parameters::<151>::indicator(reader)?;
        let time_stamp = TimeStamp(reader.array("TP-SCTS")?);
        let parameters = Parameters::announced(indicator, reader, first & UDHI != 0)?;
        Ok(SubmitReport::Error(cause, time_stamp, parameters))
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            SubmitReport::Ack(time_stamp, parameters) => {
                out.extend([MTI_SUBMIT | parameters.header_flag(), parameters.bits()]);
                out.extend(time_stamp.0);
                parameters.write_announced(out);
            }
            SubmitReport::Error(cause, time_stamp, parameters) => {
                let first = MTI_SUBMIT | parameters.header_flag();
                out.extend([first, cause.0, parameters.bits()]);
                out.extend(time_stamp.0);
                parameters.write_announced(out);
            }
        }
    }
}
