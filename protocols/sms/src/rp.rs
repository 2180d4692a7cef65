//! RPDUs, TS 24.011 §7.3: what the body of a SIP MESSAGE is.

mod cause;

pub use cause::Cause;

use crate::address::Number;
use crate::octets::Octets;
use crate::reader::{Fault, ParseError, Reader};
use crate::tpdu::{
    Carrier, Command, Deliver, DeliverReport, StatusReport, Submit, SubmitReport, Tpdu,
};

/// RP-User-Data, TS 24.011 §8.2.5.3: a TPDU, or what should be one.
pub type RpUserData = Octets<232>;

/// Which way an RPDU goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Direction {
    /// From a mobile station.
    ToNetwork,
    /// To a mobile station.
    ToMobile,
}

/// One RPDU. The reference (RP-Message-Reference, §8.2.3) ties an answer to what it answers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Rpdu {
    /// RP-DATA, §7.3.1.
    Data {
        /// Which way.
        direction: Direction,
        /// To tell its answer by.
        reference: u8,
        /// The service centre: RP-Originator-Address to a mobile station, RP-Destination-Address from
        /// one. The other address is always empty.
        service_centre: Option<Number>,
        /// The TPDU.
        user_data: RpUserData,
    },
    /// RP-SMMA, §7.3.2, only from a mobile station: it has memory again.
    Smma {
        /// To tell its answer by.
        reference: u8,
    },
    /// RP-ACK, §7.3.3.
    Ack {
        /// Which way.
        direction: Direction,
        /// What it answers.
        reference: u8,
        /// A report.
        user_data: Option<RpUserData>,
    },
    /// RP-ERROR, §7.3.4.
    Error {
        /// Which way.
        direction: Direction,
        /// What it answers.
        reference: u8,
        /// Why.
        cause: Cause,
        /// RP-Cause's diagnostic field.
        diagnostic: Option<u8>,
        /// A report.
        user_data: Option<RpUserData>,
    },
}

/// Information element identifier of RP-User-Data where it is optional.
const USER_DATA: u8 = 0x41;

const DATA: u8 = 0;
const ACK: u8 = 2;
const ERROR: u8 = 4;
const SMMA: u8 = 6;

impl Rpdu {
    /// Reads an RPDU; elements that are not known are skipped.
    ///
    /// # Errors
    /// [`ParseError`] names the field and its offset. Whether there is something to answer at all, says
    /// [`reference_of`].
    pub fn parse(bytes: &[u8]) -> Result<Rpdu, ParseError> {
        let mut reader = Reader::new(bytes);
        let reader = &mut reader;
        // The upper five bits are spare.
        let kind = reader.octet("RP-MTI")? & 7;
        let direction = if kind & 1 == 0 { Direction::ToNetwork } else { Direction::ToMobile };
        let reference = reader.octet("RP-Message-Reference")?;
        match kind & 6 {
            DATA => {
                let originator = Number::parse_bcd(reader, "RP-Originator-Address")?;
                let destination = Number::parse_bcd(reader, "RP-Destination-Address")?;
                let service_centre = match direction {
                    Direction::ToNetwork => destination,
                    Direction::ToMobile => originator,
                };
                let user_data = user_data(reader)?;
                Ok(Rpdu::Data { direction, reference, service_centre, user_data })
            }
            ACK => {
                let user_data = optional_user_data(reader)?;
                Ok(Rpdu::Ack { direction, reference, user_data })
            }
            ERROR => {
                let offset = reader.at();
                let length = usize::from(reader.octet("RP-Cause")?);
                let value = reader.take("RP-Cause", length)?;
                let Some((cause, more)) = value.split_first() else {
                    let fault = Fault::Truncated { missing: 1 };
                    return Err(ParseError { field: "RP-Cause", offset, fault });
                };
                let (cause, diagnostic) = (Cause::from_bits(*cause), more.first().copied());
                let user_data = optional_user_data(reader)?;
                Ok(Rpdu::Error { direction, reference, cause, diagnostic, user_data })
            }
            _ if direction == Direction::ToNetwork => Ok(Rpdu::Smma { reference }),
            _ => {
                let fault = Fault::MessageType(kind);
                Err(ParseError { field: "RP-MTI", offset: 0, fault })
            }
        }
    }

    /// The octets.
    pub fn emit(&self) -> Vec<u8> {
        let way = |direction: &Direction| u8::from(*direction == Direction::ToMobile);
        let mut out = Vec::with_capacity(248);
        match self {
            Rpdu::Data { direction, reference, service_centre, user_data } => {
                out.extend([DATA | way(direction), *reference]);
                let centre = service_centre.as_ref();
                let (originator, destination) = match direction {
                    Direction::ToNetwork => (None, centre),
                    Direction::ToMobile => (centre, None),
                };
                Number::write_bcd(originator, &mut out);
                Number::write_bcd(destination, &mut out);
                out.push(user_data.len() as u8);
                out.extend(user_data.iter());
            }
            Rpdu::Smma { reference } => out.extend([SMMA, *reference]),
            Rpdu::Ack { direction, reference, user_data } => {
                out.extend([ACK | way(direction), *reference]);
                write_optional(user_data.as_ref(), &mut out);
            }
            Rpdu::Error { direction, reference, cause, diagnostic, user_data } => {
                out.extend([ERROR | way(direction), *reference]);
                out.extend([1 + u8::from(diagnostic.is_some()), cause.bits()]);
                out.extend(*diagnostic);
                write_optional(user_data.as_ref(), &mut out);
            }
        }
        out
    }

    /// RP-DATA from a mobile station with SMS-SUBMIT.
    pub fn submit(reference: u8, service_centre: Option<Number>, submit: &Submit) -> Rpdu {
        let user_data = tpdu(|out| submit.write(out));
        Rpdu::Data { direction: Direction::ToNetwork, reference, service_centre, user_data }
    }

    /// RP-DATA from a mobile station with SMS-COMMAND.
    pub fn command(reference: u8, service_centre: Option<Number>, command: &Command) -> Rpdu {
        let user_data = tpdu(|out| command.write(out));
        Rpdu::Data { direction: Direction::ToNetwork, reference, service_centre, user_data }
    }

    /// RP-DATA to a mobile station with SMS-DELIVER.
    pub fn deliver(reference: u8, service_centre: Option<Number>, deliver: &Deliver) -> Rpdu {
        let user_data = tpdu(|out| deliver.write(out));
        Rpdu::Data { direction: Direction::ToMobile, reference, service_centre, user_data }
    }

    /// RP-DATA to a mobile station with SMS-STATUS-REPORT.
    pub fn status_report(
        reference: u8,
        service_centre: Option<Number>,
        report: &StatusReport,
    ) -> Rpdu {
        let user_data = tpdu(|out| report.write(out));
        Rpdu::Data { direction: Direction::ToMobile, reference, service_centre, user_data }
    }

    /// RP-ACK or RP-ERROR from a mobile station with SMS-DELIVER-REPORT; `cause` is RP-ERROR's.
    pub fn deliver_report(reference: u8, report: &DeliverReport, cause: Cause) -> Rpdu {
        let user_data = tpdu(|out| report.write(out));
        let failed = matches!(report, DeliverReport::Error(..));
        Rpdu::report(Direction::ToNetwork, reference, failed.then_some(cause), user_data)
    }

    /// RP-ACK or RP-ERROR to a mobile station with SMS-SUBMIT-REPORT; `cause` is RP-ERROR's.
    pub fn submit_report(reference: u8, report: &SubmitReport, cause: Cause) -> Rpdu {
        let user_data = tpdu(|out| report.write(out));
        let failed = matches!(report, SubmitReport::Error(..));
        Rpdu::report(Direction::ToMobile, reference, failed.then_some(cause), user_data)
    }

    fn report(
        direction: Direction,
        reference: u8,
        cause: Option<Cause>,
        user_data: RpUserData,
    ) -> Rpdu {
        let user_data = Some(user_data);
        match cause {
            None => Rpdu::Ack { direction, reference, user_data },
            Some(cause) => Rpdu::Error { direction, reference, cause, diagnostic: None, user_data },
        }
    }

    /// RP-Message-Reference.
    pub fn reference(&self) -> u8 {
        match self {
            Rpdu::Data { reference, .. }
            | Rpdu::Smma { reference }
            | Rpdu::Ack { reference, .. }
            | Rpdu::Error { reference, .. } => *reference,
        }
    }

    /// Which way it goes.
    pub fn direction(&self) -> Direction {
        match self {
            Rpdu::Data { direction, .. }
            | Rpdu::Ack { direction, .. }
            | Rpdu::Error { direction, .. } => *direction,
            Rpdu::Smma { .. } => Direction::ToNetwork,
        }
    }

    /// The octets of the TPDU, if there is one.
    pub fn user_data(&self) -> Option<&RpUserData> {
        match self {
            Rpdu::Data { user_data, .. } => Some(user_data),
            Rpdu::Ack { user_data, .. } | Rpdu::Error { user_data, .. } => user_data.as_ref(),
            Rpdu::Smma { .. } => None,
        }
    }

    /// The TPDU, if there is one; offsets in its error count from the start of the TPDU.
    pub fn tpdu(&self) -> Option<Result<Tpdu, ParseError>> {
        let carrier = match (self, self.direction()) {
            (Rpdu::Data { .. }, Direction::ToNetwork) => Carrier::DataToNetwork,
            (Rpdu::Data { .. }, Direction::ToMobile) => Carrier::DataToMobile,
            (Rpdu::Ack { .. }, Direction::ToNetwork) => Carrier::AckToNetwork,
            (Rpdu::Ack { .. }, Direction::ToMobile) => Carrier::AckToMobile,
            (Rpdu::Error { .. }, Direction::ToNetwork) => Carrier::ErrorToNetwork,
            (Rpdu::Error { .. }, Direction::ToMobile) => Carrier::ErrorToMobile,
            (Rpdu::Smma { .. }, _) => return None,
        };
        Some(Tpdu::parse(carrier, self.user_data()?))
    }

    /// The type's name.
    pub fn name(&self) -> &'static str {
        match self {
            Rpdu::Data { .. } => "RP-DATA",
            Rpdu::Smma { .. } => "RP-SMMA",
            Rpdu::Ack { .. } => "RP-ACK",
            Rpdu::Error { .. } => "RP-ERROR",
        }
    }
}

/// The reference to answer RP-ERROR with, if what came is RP-DATA or RP-SMMA at all: answers are never
/// answered, and what is too short is ignored (TS 24.011 §9.3).
pub fn reference_of(bytes: &[u8]) -> Option<u8> {
    match *bytes {
        [kind, reference, ..] if matches!(kind & 7, 0 | 1 | SMMA) => Some(reference),
        _ => None,
    }
}

fn tpdu(write: impl FnOnce(&mut Vec<u8>)) -> RpUserData {
    let mut out = Vec::with_capacity(174);
    write(&mut out);
    Octets::new(out).expect("no TPDU has more than 174 octets")
}

fn user_data(reader: &mut Reader<'_>) -> Result<RpUserData, ParseError> {
    let offset = reader.at();
    let length = usize::from(reader.octet("RP-User-Data")?);
    let octets = reader.take("RP-User-Data", length)?;
    let too_long = |e| ParseError { field: "RP-User-Data", offset, fault: Fault::TooLong(e) };
    Octets::new(octets).map_err(too_long)
}

/// RP-User-Data among elements that are not known: those whose identifier has its highest bit set are
/// one octet, all others have a length (TS 24.007 §11.2.4).
fn optional_user_data(reader: &mut Reader<'_>) -> Result<Option<RpUserData>, ParseError> {
    while !reader.is_empty() {
        let identifier = reader.octet("RP-User-Data")?;
        if identifier == USER_DATA {
            return user_data(reader).map(Some);
        }
        if identifier & 0x80 == 0 {
            let Ok(length) = reader.octet("") else { break };
            if reader.take("", usize::from(length)).is_err() {
                break;
            }
        }
    }
    Ok(None)
}

fn write_optional(user_data: Option<&RpUserData>, out: &mut Vec<u8>) {
    if let Some(user_data) = user_data {
        out.extend([USER_DATA, user_data.len() as u8]);
        out.extend(user_data.iter());
    }
}
