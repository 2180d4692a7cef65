//! TP-Parameter-Indicator, TS 23.040 §9.2.3.27, and the parameters that it announces.

use crate::dcs::Dcs;
use crate::protocol_id::ProtocolId;
use crate::reader::{ParseError, Reader};
use crate::tpdu::{UDHI, flag};
use crate::user_data::UserData;

/// What a report may say besides.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Parameters<const MOST: usize> {
    /// What it is for (TP-PID).
    pub protocol_id: Option<ProtocolId>,
    /// What it says (TP-DCS, TP-UDHI, TP-UDL, TP-UD).
    pub user_data: Option<UserData<MOST>>,
}

const HAS_PROTOCOL_ID: u8 = 0x01;
const HAS_CODING: u8 = 0x02;
const HAS_USER_DATA: u8 = 0x04;
const EXTENSION: u8 = 0x80;

impl<const MOST: usize> Parameters<MOST> {
    /// None of them.
    pub const NONE: Parameters<MOST> = Parameters { protocol_id: None, user_data: None };

    /// TP-PI, of which the first octet counts; a report that ends before it has none of them.
    pub(super) fn indicator(reader: &mut Reader<'_>) -> Result<u8, ParseError> {
        let first = reader.octet("TP-PI")?;
        let mut last = first;
        while last & EXTENSION != 0 {
            last = reader.octet("TP-PI")?;
        }
        Ok(first)
    }

    /// TP-PI and what it announces.
    pub(super) fn parse(
        reader: &mut Reader<'_>,
        header_indicator: bool,
    ) -> Result<Parameters<MOST>, ParseError> {
        if reader.is_empty() {
            return Ok(Parameters::NONE);
        }
        let indicator = Parameters::<MOST>::indicator(reader)?;
        Parameters::announced(indicator, reader, header_indicator)
    }

    /// What TP-PI announced. User data without a coding scheme are in the default alphabet; a coding
    /// scheme without user data says nothing.
    pub(super) fn announced(
        indicator: u8,
        reader: &mut Reader<'_>,
        header_indicator: bool,
    ) -> Result<Parameters<MOST>, ParseError> {
        let mut parameters = Parameters::NONE;
        if indicator & HAS_PROTOCOL_ID != 0 {
            parameters.protocol_id = Some(ProtocolId(reader.octet("TP-PID")?));
        }
        let mut dcs = Dcs::GSM7;
        if indicator & HAS_CODING != 0 {
            dcs = Dcs(reader.octet("TP-DCS")?);
        }
        if indicator & HAS_USER_DATA != 0 {
            parameters.user_data = Some(UserData::parse(reader, header_indicator, dcs)?);
        }
        Ok(parameters)
    }

    /// The value of TP-PI.
    pub(super) fn bits(&self) -> u8 {
        flag(HAS_PROTOCOL_ID, self.protocol_id.is_some())
            | flag(HAS_CODING | HAS_USER_DATA, self.user_data.is_some())
    }

    pub(super) fn header_flag(&self) -> u8 {
        flag(UDHI, self.user_data.as_ref().is_some_and(|data| data.header().is_some()))
    }

    /// TP-PI and what it announces.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(self.bits());
        self.write_announced(out);
    }

    pub(super) fn write_announced(&self, out: &mut Vec<u8>) {
        out.extend(self.protocol_id.map(|pid| pid.0));
        if let Some(data) = &self.user_data {
            out.push(data.dcs().0);
            data.write(out);
        }
    }
}

impl<const MOST: usize> Default for Parameters<MOST> {
    fn default() -> Parameters<MOST> {
        Parameters::NONE
    }
}
