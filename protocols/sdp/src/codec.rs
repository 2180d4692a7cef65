//! Codecs as offer/answer sees them.

use crate::value::RtpMap;
use serde::{Deserialize, Serialize};

/// A payload format with its number in one description.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Codec {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The encoding's name as registered, compared without case.
    pub name: String,
    /// The RTP clock rate in Hz.
    pub rate: u32,
    /// The format parameters.
    pub fmtp: Option<String>,
}

impl Codec {
    /// G.711 A-law, RFC 3551 §4.5.14.
    pub fn pcma() -> Codec {
        Codec { payload_type: 8, name: "PCMA".into(), rate: 8000, fmtp: None }
    }

    /// G.711 µ-law, RFC 3551 §4.5.14.
    pub fn pcmu() -> Codec {
        Codec { payload_type: 0, name: "PCMU".into(), rate: 8000, fmtp: None }
    }

    /// Digits, RFC 4733 §2.
    pub fn telephone_event(payload_type: u8) -> Codec {
        let name = "telephone-event".into();
        Codec { payload_type, name, rate: 8000, fmtp: Some("0-15".into()) }
    }

    /// Whether this names digits and no speech.
    pub fn is_telephone_event(&self) -> bool {
        self.name.eq_ignore_ascii_case("telephone-event")
    }

    /// Whether both name the same format; the payload types may differ.
    pub fn matches(&self, other: &Codec) -> bool {
        self.name.eq_ignore_ascii_case(&other.name) && self.rate == other.rate
    }
}

/// Static payload types, RFC 3551 §6 table 4; those that telephones use.
pub(crate) fn static_map(payload_type: u8) -> Option<RtpMap> {
    let encoding = match payload_type {
        0 => "PCMU",
        3 => "GSM",
        4 => "G723",
        8 => "PCMA",
        9 => "G722",
        13 => "CN",
        15 => "G728",
        18 => "G729",
        _ => return None,
    };
    Some(RtpMap { payload_type, encoding: encoding.to_owned(), rate: 8000, channels: 1 })
}
