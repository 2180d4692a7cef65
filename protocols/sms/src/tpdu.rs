//! TPDUs, TS 23.040 §9.2.2: what an RPDU carries.

mod command;
mod deliver;
mod parameters;
mod status_report;
mod submit;

pub use command::{Command, CommandType};
pub use deliver::{Deliver, DeliverReport};
pub use parameters::Parameters;
pub use status_report::StatusReport;
pub use submit::{Submit, SubmitReport};

use crate::dcs::Dcs;
use crate::protocol_id::ProtocolId;
use crate::reader::{Fault, ParseError, Reader};
use crate::user_data::ShortMessage;

/// One TPDU. Which types there can be depends on the RPDU, because the same bits mean different types
/// in either direction, and a report of success has other fields than one of failure.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tpdu {
    /// A message to a mobile station, in RP-DATA.
    Deliver(Deliver),
    /// The answer to it, or to a status report, in RP-ACK or RP-ERROR.
    DeliverReport(DeliverReport),
    /// A message from a mobile station, in RP-DATA.
    Submit(Submit),
    /// The answer to it, or to a command, in RP-ACK or RP-ERROR.
    SubmitReport(SubmitReport),
    /// What became of a submitted message, in RP-DATA.
    StatusReport(StatusReport),
    /// What to do with a submitted message, in RP-DATA.
    Command(Command),
}

/// Which RPDU carries a TPDU.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Carrier {
    /// RP-DATA from a mobile station.
    DataToNetwork,
    /// RP-DATA to a mobile station.
    DataToMobile,
    /// RP-ACK from a mobile station.
    AckToNetwork,
    /// RP-ACK to a mobile station.
    AckToMobile,
    /// RP-ERROR from a mobile station.
    ErrorToNetwork,
    /// RP-ERROR to a mobile station.
    ErrorToMobile,
}

/// TP-Message-Type-Indicator, §9.2.3.1.
const MTI: u8 = 0x03;
/// TP-User-Data-Header-Indicator, §9.2.3.23.
const UDHI: u8 = 0x40;

impl Tpdu {
    /// Reads a TPDU; more octets than are known are ignored.
    ///
    /// # Errors
    /// [`ParseError`] names the field and its offset in the TPDU.
    pub fn parse(carrier: Carrier, bytes: &[u8]) -> Result<Tpdu, ParseError> {
        let mut reader = Reader::new(bytes);
        let first = reader.octet("TP-MTI")?;
        let reader = &mut reader;
        Ok(match (carrier, first & MTI) {
            (Carrier::DataToMobile, 0) => Tpdu::Deliver(Deliver::parse(first, reader)?),
            (Carrier::DataToMobile, 2) => Tpdu::StatusReport(StatusReport::parse(first, reader)?),
            (Carrier::DataToNetwork, 1) => Tpdu::Submit(Submit::parse(first, reader)?),
            (Carrier::DataToNetwork, 2) => Tpdu::Command(Command::parse(first, reader)?),
            (Carrier::AckToNetwork, 0) => {
                Tpdu::DeliverReport(DeliverReport::parse_ack(first, reader)?)
            }
            (Carrier::ErrorToNetwork, 0) => {
                Tpdu::DeliverReport(DeliverReport::parse_error(first, reader)?)
            }
            (Carrier::AckToMobile, 1) => {
                Tpdu::SubmitReport(SubmitReport::parse_ack(first, reader)?)
            }
            (Carrier::ErrorToMobile, 1) => {
                Tpdu::SubmitReport(SubmitReport::parse_error(first, reader)?)
            }
            (_, kind) => {
                let fault = Fault::MessageType(kind);
                return Err(ParseError { field: "TP-MTI", offset: 0, fault });
            }
        })
    }

    /// The octets; the longest, an SMS-COMMAND, has 174.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(164);
        match self {
            Tpdu::Deliver(deliver) => deliver.write(&mut out),
            Tpdu::DeliverReport(report) => report.write(&mut out),
            Tpdu::Submit(submit) => submit.write(&mut out),
            Tpdu::SubmitReport(report) => report.write(&mut out),
            Tpdu::StatusReport(report) => report.write(&mut out),
            Tpdu::Command(command) => command.write(&mut out),
        }
        out
    }

    /// Which RPDU carries it.
    pub fn carrier(&self) -> Carrier {
        match self {
            Tpdu::Deliver(_) | Tpdu::StatusReport(_) => Carrier::DataToMobile,
            Tpdu::Submit(_) | Tpdu::Command(_) => Carrier::DataToNetwork,
            Tpdu::DeliverReport(DeliverReport::Ack(_)) => Carrier::AckToNetwork,
            Tpdu::DeliverReport(DeliverReport::Error(..)) => Carrier::ErrorToNetwork,
            Tpdu::SubmitReport(SubmitReport::Ack(..)) => Carrier::AckToMobile,
            Tpdu::SubmitReport(SubmitReport::Error(..)) => Carrier::ErrorToMobile,
        }
    }

    /// The type's name.
    pub fn name(&self) -> &'static str {
        match self {
            Tpdu::Deliver(_) => "SMS-DELIVER",
            Tpdu::DeliverReport(_) => "SMS-DELIVER-REPORT",
            Tpdu::Submit(_) => "SMS-SUBMIT",
            Tpdu::SubmitReport(_) => "SMS-SUBMIT-REPORT",
            Tpdu::StatusReport(_) => "SMS-STATUS-REPORT",
            Tpdu::Command(_) => "SMS-COMMAND",
        }
    }
}

/// A bit, if it is to be set.
fn flag(bit: u8, set: bool) -> u8 {
    if set { bit } else { 0 }
}

/// TP-PID and TP-DCS.
fn coding(reader: &mut Reader<'_>) -> Result<(ProtocolId, Dcs), ParseError> {
    Ok((ProtocolId(reader.octet("TP-PID")?), Dcs(reader.octet("TP-DCS")?)))
}

fn header_flag(data: &ShortMessage) -> u8 {
    flag(UDHI, data.header().is_some())
}
