//! What is wrong with a request, in the terms of its answer: Result-Code and Failed-AVP,
//! RFC 6733 §7.1.5 and §7.5.

use bytes::Bytes;

use crate::avp::{Avp, Key, Writer};
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

    /// 5005: an AVP is missing; the Failed-AVP holds an example of it.
    pub fn missing(key: Key) -> Fault {
        let mut example = Writer::new();
        example.bytes(key, &[]);
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
            out.group(crate::dictionary::FAILED_AVP, |group| {
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
            Ok(avp) => match crate::dictionary::avp(avp.vendor, avp.code) {
                Some(entry) => format!(", {}", entry.name),
                None => format!(", AVP {} of vendor {}", avp.code, avp.vendor),
            },
            Err(_) => String::new(),
        }
    }
}
