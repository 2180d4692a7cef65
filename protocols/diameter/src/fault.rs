//! What is wrong with a request, in the terms of its answer: Result-Code and Failed-AVP,
//! RFC 6733 §7.1.5 and §7.5.

use bytes::Bytes;

use crate::avp::{Avp, Key, Writer};
use crate::dictionary::{self, Kind};
use crate::result::ResultCode;

/// Why a message was refused. The sender is to blame.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code}{}", self.failed_name())]
pub struct Fault {
    /// The Result-Code for the answer.
    pub code: ResultCode,
    /// What stands in the answer's Failed-AVP: an encoded AVP, empty if there is none to name.
    pub failed: Bytes,
}

impl Fault {
    /// A fault that no AVP is guilty of.
    pub const fn of(code: ResultCode) -> Fault {
        Fault { code, failed: Bytes::new() }
    }

    /// 5005: an AVP is missing; the Failed-AVP holds an example of it with the least legal length, of
    /// zeroes.
    pub fn missing(key: Key) -> Fault {
        let least = match dictionary::avp(key.vendor, key.code).map(|entry| entry.kind) {
            Some(Kind::Unsigned32 | Kind::Enumerated | Kind::Time) => 4,
            Some(Kind::Unsigned64) => 8,
            // AddressType and an IPv4 address, RFC 6733 §4.3.1.
            Some(Kind::Address) => 6,
            _ => 0,
        };
        let mut example = Writer::new();
        example.bytes(key, &[0; 8][..least]);
        Fault { code: ResultCode::MISSING_AVP, failed: example.finish() }
    }

    /// 5004: a value that cannot be.
    pub fn value(avp: &Avp<'_>) -> Fault {
        Fault::naming(ResultCode::INVALID_AVP_VALUE, avp)
    }

    /// 5014: data of a wrong length.
    pub fn length(avp: &Avp<'_>) -> Fault {
        Fault::naming(ResultCode::INVALID_AVP_LENGTH, avp)
    }

    /// 5001: the M-bit is set and the AVP is unknown.
    pub fn unsupported(avp: &Avp<'_>) -> Fault {
        Fault::naming(ResultCode::AVP_UNSUPPORTED, avp)
    }

    /// 5014: the AVP's length leads out of its surroundings. The Failed-AVP holds its header with a
    /// true length.
    pub(crate) fn truncated(start: &[u8]) -> Fault {
        let code = ResultCode::INVALID_AVP_LENGTH;
        let vendor = start.get(4).is_some_and(|flags| flags & 0x80 != 0);
        let head = if vendor { 12 } else { 8 };
        let Some(header) = start.get(..head) else {
            return Fault::of(code);
        };
        let mut header = header.to_vec();
        header[5..8].copy_from_slice(&[0, 0, head as u8]);
        Fault { code, failed: header.into() }
    }

    /// Writes the Failed-AVP, if there is one.
    pub fn write(&self, out: &mut Writer) {
        if !self.failed.is_empty() {
            out.group(dictionary::FAILED_AVP, |group| {
                group.raw(&self.failed);
            });
        }
    }

    fn naming(code: ResultCode, avp: &Avp<'_>) -> Fault {
        let mut writer = Writer::new();
        writer.copy(avp);
        Fault { code, failed: writer.finish() }
    }

    fn failed_name(&self) -> String {
        match Avp::parse(&self.failed) {
            Ok(avp) => match dictionary::avp(avp.vendor, avp.code) {
                Some(entry) => format!(", {}", entry.name),
                None => format!(", AVP {} of vendor {}", avp.code, avp.vendor),
            },
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6733 §7.5: the least legal length, zeroes.
    #[test]
    fn a_missing_avp_is_shown_by_a_legal_one() {
        for (key, least) in [
            (dictionary::SESSION_ID, 0),
            (dictionary::AUTH_SESSION_STATE, 4),
            (dictionary::HOST_IP_ADDRESS, 6),
        ] {
            let fault = Fault::missing(key);
            assert_eq!(Avp::parse(&fault.failed).unwrap().data, &vec![0; least][..]);
        }
    }
}
