//! ITU-T G.711: A-law and µ-law, samples of 16 bits.
//!
//! The recommendation's 13 and 14 bit values stand in the upper bits of 16. Decoding gives the value
//! in the middle of each quantisation step; encoding follows the decision values.

use crate::conceal::Concealment;
use crate::{Corrupt, Decode, Encode};

/// One byte of A-law for a sample, G.711 table 1.
pub fn encode_alaw(sample: i16) -> u8 {
    // 13 bits, negative numbers as ones' complement, so that -1 and 0 mirror each other.
    let (sign, magnitude) = if sample >= 0 { (0x80, sample) } else { (0, !sample) };
    let magnitude = (magnitude >> 4) as u16;
    let code = match magnitude.checked_ilog2() {
        Some(top @ 5..) => {
            let segment = top - 3;
            (segment << 4) as u16 | (magnitude >> (segment - 1)) & 0x0f
        }
        _ => magnitude,
    };
    (sign | code as u8) ^ 0x55
}

/// The sample of one byte of A-law, G.711 table 1.
pub const fn decode_alaw(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let (segment, step) = ((code >> 4) & 7, (code & 0x0f) as i16);
    let magnitude = match segment {
        0 => (step << 4) + 8,
        _ => ((step << 4) + 0x108) << (segment - 1),
    };
    if code & 0x80 != 0 { magnitude } else { -magnitude }
}

/// One byte of µ-law for a sample, G.711 table 2.
pub fn encode_ulaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 { (0x80, sample) } else { (0, !sample) };
    // 14 bits, clipped, shifted by the bias of 33 that makes all segments powers of two.
    let magnitude = ((magnitude >> 2) as u16 + 33).min(0x1fff);
    let segment = magnitude.ilog2() - 5;
    let step = (magnitude >> (segment + 1)) & 0x0f;
    sign | !((segment << 4) as u8 | step as u8) & 0x7f
}

/// The sample of one byte of µ-law, G.711 table 2.
pub const fn decode_ulaw(byte: u8) -> i16 {
    let code = !byte;
    let (segment, step) = ((code >> 4) & 7, (code & 0x0f) as i16);
    let magnitude = (((step << 1) + 33) << segment) - 33;
    if code & 0x80 == 0 { magnitude << 2 } else { -(magnitude << 2) }
}

const fn table(ulaw: bool) -> [i16; 256] {
    let mut out = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        out[byte] = if ulaw { decode_ulaw(byte as u8) } else { decode_alaw(byte as u8) };
        byte += 1;
    }
    out
}

static ALAW: [i16; 256] = table(false);
static ULAW: [i16; 256] = table(true);

/// Which of the two laws; as it is, an encoder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Law {
    /// A-law, PCMA, payload type 8.
    A,
    /// µ-law, PCMU, payload type 0.
    Mu,
}

impl Law {
    /// The law of a static payload type, RFC 3551 §6.
    pub fn of_payload_type(payload_type: u8) -> Option<Law> {
        match payload_type {
            8 => Some(Law::A),
            0 => Some(Law::Mu),
            _ => None,
        }
    }

    /// Appends the bytes of the samples.
    pub fn encode(self, samples: &[i16], out: &mut Vec<u8>) {
        match self {
            Law::A => out.extend(samples.iter().map(|s| encode_alaw(*s))),
            Law::Mu => out.extend(samples.iter().map(|s| encode_ulaw(*s))),
        }
    }

    /// Appends the samples of the bytes.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<i16>) {
        let table = match self {
            Law::A => &ALAW,
            Law::Mu => &ULAW,
        };
        out.extend(bytes.iter().map(|byte| table[usize::from(*byte)]));
    }

    /// The byte of silence.
    pub fn silence(self) -> u8 {
        match self {
            Law::A => encode_alaw(0),
            Law::Mu => encode_ulaw(0),
        }
    }
}

impl Encode for Law {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        Law::encode(*self, samples, payload);
    }
}

/// Decodes one stream.
#[derive(Debug)]
pub struct Decoder {
    law: Law,
    concealment: Concealment,
}

impl Decoder {
    /// Of this law.
    pub fn new(law: Law) -> Decoder {
        Decoder { law, concealment: Concealment::new(8000) }
    }
}

impl Decode for Decoder {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<(), Corrupt> {
        let begin = samples.len();
        self.law.decode(payload, samples);
        self.concealment.heard(&mut samples[begin..]);
        Ok(())
    }

    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        self.concealment.conceal(count, samples);
    }
}
