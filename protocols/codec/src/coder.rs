//! What every codec can do, and which one an encoding needs.

use base::relay::Encoding;

use crate::g711::Law;
use crate::{amr, g711, g722, g729, gsm, l16, opus};

/// A payload that no encoder makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a payload of {length} bytes is none of {codec}")]
pub struct Corrupt {
    /// The codec's name.
    pub codec: &'static str,
    /// Bytes of the payload.
    pub length: usize,
}

/// The sending side of one stream.
pub trait Encode: Send {
    /// Appends the payload of these samples: whole frames of the codec ([`Encoding::frame`]); what is left of the
    /// last one is not sent.
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>);
}

/// The receiving side of one stream.
pub trait Decode: Send {
    /// Appends the samples of a payload: of one packet, in the order of the sequence numbers.
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<(), Corrupt>;

    /// Appends so many samples that stand in for what did not come.
    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>);
}

/// The sending side of a new stream.
pub fn encoder(encoding: Encoding) -> Box<dyn Encode> {
    match encoding {
        Encoding::Pcmu => Box::new(Law::Mu),
        Encoding::Pcma => Box::new(Law::A),
        Encoding::G722 => Box::new(g722::Encoder::default()),
        Encoding::Gsm => Box::new(gsm::Encoder::default()),
        Encoding::G729 => Box::new(g729::Encoder::default()),
        Encoding::Amr(amr) => Box::new(amr::Encoder::new(amr)),
        Encoding::Opus => Box::new(opus::Encoder::default()),
        Encoding::L16 { .. } => Box::new(l16::Encoder),
    }
}

/// The receiving side of a new stream.
pub fn decoder(encoding: Encoding) -> Box<dyn Decode> {
    match encoding {
        Encoding::Pcmu => Box::new(g711::Decoder::new(Law::Mu)),
        Encoding::Pcma => Box::new(g711::Decoder::new(Law::A)),
        Encoding::G722 => Box::new(g722::Decoder::default()),
        Encoding::Gsm => Box::new(gsm::Decoder::default()),
        Encoding::G729 => Box::new(g729::Decoder::default()),
        Encoding::Amr(amr) => Box::new(amr::Decoder::new(amr)),
        Encoding::Opus => Box::new(opus::Decoder::default()),
        Encoding::L16 { rate, channels } => Box::new(l16::Decoder::new(rate, channels)),
    }
}
