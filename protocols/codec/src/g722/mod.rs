//! ITU-T G.722 at 64 kbit/s (mode 1): 16,000 samples a second as two bands of ADPCM.
//!
//! A byte is two samples: the upper two bits are the higher band, the lower six the lower band. RTP counts it with a
//! clock of 8000 Hz (RFC 3551 §4.5.2).
//!
//! | File | What |
//! |---|---|
//! | `mod` | bytes and samples |
//! | `mirror` | the filters that split the bands and put them together (§3.1, §4.4) |
//! | `adpcm` | one band: its quantizer's scale and its predictor (§3.3 to §3.6) |

mod adpcm;
mod mirror;

use adpcm::{HIGH, LOW, Predictor, Scale};
use mirror::Mirror;

use crate::{Corrupt, Decode, Encode, conceal::Concealment};

/// Output levels of the lower band's six bits, in 32768ths of the step (table 9, QM6).
const LEVELS: [i32; 64] = {
    // From the greatest to the least; the last one of the negative side is that of code 4.
    let positive = [
        24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192,
        6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728,
        432, 136,
    ];
    let mut levels = [-136; 64];
    let mut n = 0;
    while n < 30 {
        levels[32 + n] = positive[n];
        if n < 28 {
            levels[4 + n] = -positive[n];
        }
        n += 1;
    }
    levels[62] = -432;
    levels[63] = -136;
    levels
};

/// Decision levels of the lower band, in 4096ths of the step (table 7, Q6).
const DECISIONS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023,
    1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// The decision level of the higher band, in 4096ths of the step (§3.4, Q2).
const DECISION: i32 = 564;

/// The six bits of the lower band for a difference (§3.3, QUANTL).
fn quantize_low(difference: i32, step: i32) -> u8 {
    let magnitude = if difference >= 0 { difference } else { !difference };
    let interval =
        DECISIONS.iter().take_while(|level| magnitude >= (**level * step) >> 12).count() as u8;
    match (difference < 0, interval) {
        (false, n) => 61 - n,
        (true, n @ 0..2) => 63 - n,
        (true, n) => 33 - n,
    }
}

/// The two bits of the higher band for a difference (§3.3, QUANTH).
fn quantize_high(difference: i32, step: i32) -> u8 {
    let magnitude = if difference >= 0 { difference } else { !difference };
    let outer = magnitude >= (DECISION * step) >> 12;
    match (difference < 0, outer) {
        (true, true) => 0,
        (true, false) => 1,
        (false, true) => 2,
        (false, false) => 3,
    }
}

/// Encodes one stream.
#[derive(Debug)]
pub struct Encoder {
    split: Mirror,
    low: (Scale, Predictor),
    high: (Scale, Predictor),
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder {
            split: Mirror::default(),
            low: (Scale::new(&LOW), Predictor::default()),
            high: (Scale::new(&HIGH), Predictor::default()),
        }
    }
}

impl Encoder {
    fn byte(&mut self, first: i16, second: i16) -> u8 {
        let (low, high) = self.split.analyse(first, second);
        let (scale, predictor) = &mut self.low;
        let six = quantize_low(adpcm::saturate(low - predictor.prediction()), scale.step());
        // Only four bits are predicted from, so that a decoder may lose the other two.
        predictor.update(scale.adapt(six >> 2));
        let (scale, predictor) = &mut self.high;
        let two = quantize_high(adpcm::saturate(high - predictor.prediction()), scale.step());
        predictor.update(scale.adapt(two));
        two << 6 | six
    }
}

impl Encode for Encoder {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        payload.extend(
            samples.as_chunks::<2>().0.iter().map(|[first, second]| self.byte(*first, *second)),
        );
    }
}

/// Decodes one stream.
#[derive(Debug)]
pub struct Decoder {
    join: Mirror,
    low: (Scale, Predictor),
    high: (Scale, Predictor),
    concealment: Concealment,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            join: Mirror::default(),
            low: (Scale::new(&LOW), Predictor::default()),
            high: (Scale::new(&HIGH), Predictor::default()),
            concealment: Concealment::new(16_000),
        }
    }
}

impl Decoder {
    fn samples(&mut self, byte: u8) -> [i16; 2] {
        let (six, two) = (byte & 0x3f, byte >> 6);
        let (scale, predictor) = &mut self.low;
        let difference = (scale.step() * LEVELS[usize::from(six)]) >> 15;
        let low = (predictor.prediction() + difference).clamp(-16384, 16383);
        predictor.update(scale.adapt(six >> 2));
        let (scale, predictor) = &mut self.high;
        let prediction = predictor.prediction();
        let difference = scale.adapt(two);
        predictor.update(difference);
        let high = (prediction + difference).clamp(-16384, 16383);
        self.join.synthesize(low, high)
    }
}

impl Decode for Decoder {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<(), Corrupt> {
        let begin = samples.len();
        samples.extend(payload.iter().flat_map(|byte| self.samples(*byte)));
        self.concealment.heard(&mut samples[begin..]);
        Ok(())
    }

    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        self.concealment.conceal(count, samples);
    }
}
