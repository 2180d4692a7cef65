//! What becomes of the sound of a peer before it leaves for the other one.

use crate::relay::Encoding;
use crate::time::Duration;
use serde::{Deserialize, Serialize};

/// What a payload type means to one peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Format {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// What it carries.
    pub sound: Sound,
}

/// What is carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Sound {
    /// Speech, or whatever there is to be heard.
    Speech(Encoding),
    /// Digits as events, RFC 4733.
    Digits {
        /// Units of their timestamps in a second.
        clock: u32,
    },
    /// What nobody here can convert; it passes.
    Opaque {
        /// Units of its timestamps in a second.
        clock: u32,
    },
    /// Comfort noise, RFC 3389.
    Noise {
        /// Units of their timestamps in a second.
        clock: u32,
    },
}

impl Sound {
    /// Units of its timestamps in a second.
    pub fn clock(self) -> u32 {
        match self {
            Sound::Speech(encoding) => encoding.clock(),
            Sound::Digits { clock } | Sound::Noise { clock } | Sound::Opaque { clock } => clock,
        }
    }
}

/// What becomes of one payload type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Conversion {
    /// As it comes from the peer of the port.
    pub from: Format,
    /// As it leaves for the other one.
    pub to: Format,
    /// Speech is put into packets of this length; `None` leaves it in those that it came in, if it is not converted.
    pub packet: Option<Duration>,
    /// Digits that are heard in speech leave as these events.
    pub digits: Option<Format>,
}

impl Conversion {
    /// Whether nothing but the number of the payload type changes.
    pub fn is_renumbering(&self) -> bool {
        self.from.sound == self.to.sound && self.packet.is_none() && self.digits.is_none()
    }
}
