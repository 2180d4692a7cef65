//! Decoding (5.3).

use super::analysis::{GAINS, LONGEST};
use super::arithmetic::{add, mult_r};
use super::parameters::{Parameters, Quarter};
use super::{BYTES, FRAME, pulses, reflection};
use crate::conceal::Concealment;
use crate::{Corrupt, Decode};

/// Decodes one stream.
#[derive(Debug)]
pub struct Decoder {
    /// The reconstructed residual signal of the last 120 samples (drp).
    past: [i16; LONGEST],
    /// The last lag that could be used (nrp).
    lag: usize,
    ratios: [i16; 8],
    lattice: [i16; 9],
    /// (msr)
    emphasis: i16,
    concealment: Concealment,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            past: [0; LONGEST],
            lag: 40,
            ratios: [0; 8],
            lattice: [0; 9],
            emphasis: 0,
            concealment: Concealment::new(8000),
        }
    }
}

impl Decode for Decoder {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<(), Corrupt> {
        let corrupt = Corrupt { codec: "GSM", length: payload.len() };
        let (frames, rest) = payload.as_chunks::<BYTES>();
        let frames: Option<Vec<Parameters>> = frames.iter().map(Parameters::read).collect();
        let frames = frames.filter(|_| rest.is_empty()).ok_or(corrupt)?;
        let begin = samples.len();
        for frame in &frames {
            samples.extend(self.frame(frame));
        }
        self.concealment.heard(&mut samples[begin..]);
        Ok(())
    }

    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        self.concealment.conceal(count, samples);
    }
}

impl Decoder {
    fn frame(&mut self, parameters: &Parameters) -> [i16; FRAME] {
        let mut samples = [0; FRAME];
        for (quarter, samples) in parameters.quarters.iter().zip(samples.as_chunks_mut::<40>().0) {
            *samples = self.quarter(quarter);
        }
        let ratios = reflection::ratios(&parameters.ratios);
        for (stretch, coefficients) in reflection::stretches(&self.ratios, &ratios) {
            reflection::synthesize(&mut self.lattice, &coefficients, &mut samples[stretch]);
        }
        self.ratios = ratios;
        // (5.3.5 to 5.3.7)
        for sample in &mut samples {
            self.emphasis = add(*sample, mult_r(self.emphasis, 28180));
            *sample = add(self.emphasis, self.emphasis) & !7;
        }
        samples
    }

    /// The residual signal of a quarter (5.3.2).
    fn quarter(&mut self, quarter: &Quarter) -> [i16; 40] {
        if (40..=LONGEST).contains(&quarter.lag.into()) {
            self.lag = quarter.lag.into();
        }
        let mut residual = pulses::decode(quarter);
        for (n, sample) in residual.iter_mut().enumerate() {
            let foretold =
                mult_r(GAINS[usize::from(quarter.gain)], self.past[LONGEST - self.lag + n]);
            *sample = add(*sample, foretold);
        }
        self.past.copy_within(40.., 0);
        self.past[LONGEST - 40..].copy_from_slice(&residual);
        residual
    }
}
