//! Encoding (5.2).

use super::arithmetic::{add, mult, mult_r, norm, sub};
use super::parameters::{Parameters, Quarter};
use super::{FRAME, pulses, reflection};
use crate::Encode;

/// Decision levels of the long term gain (table 5.3a), and the gains (table 5.3b).
const DECISIONS: [i16; 3] = [6554, 16384, 26214];
pub(super) const GAINS: [i16; 4] = [3277, 11469, 21299, 32767];
/// The longest lag of the long term predictor.
pub(super) const LONGEST: usize = 120;

/// Encodes one stream.
#[derive(Debug)]
pub struct Encoder {
    /// The offset compensation's last input (z1) and output (z2), and the pre-emphasis' last input (mp).
    input: i16,
    output: i32,
    emphasis: i16,
    ratios: [i16; 8],
    lattice: [i16; 8],
    /// The reconstructed residual signal of the last 120 samples (dp).
    past: [i16; LONGEST],
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder {
            input: 0,
            output: 0,
            emphasis: 0,
            ratios: [0; 8],
            lattice: [0; 8],
            past: [0; LONGEST],
        }
    }
}

impl Encode for Encoder {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        for frame in samples.as_chunks::<FRAME>().0 {
            self.frame(*frame).write(payload);
        }
    }
}

impl Encoder {
    fn frame(&mut self, mut samples: [i16; FRAME]) -> Parameters {
        self.preprocess(&mut samples);
        let coefficients = reflection::schur(&autocorrelation(&mut samples));
        let codes = reflection::quantize(coefficients);
        let ratios = reflection::ratios(&codes);
        for (stretch, coefficients) in reflection::stretches(&self.ratios, &ratios) {
            reflection::analyse(&mut self.lattice, &coefficients, &mut samples[stretch]);
        }
        self.ratios = ratios;
        let mut parameters = Parameters { ratios: codes, ..Parameters::default() };
        for (quarter, residual) in parameters.quarters.iter_mut().zip(samples.as_chunks::<40>().0) {
            self.quarter(residual, quarter);
        }
        parameters
    }

    /// Scaling down, offset compensation and pre-emphasis (5.2.1 to 5.2.3).
    fn preprocess(&mut self, samples: &mut [i16; FRAME]) {
        for sample in samples {
            let scaled = *sample >> 3 << 2;
            let change = scaled.wrapping_sub(self.input);
            self.input = scaled;
            let upper = (self.output >> 15) as i16;
            let lower = (self.output - (i32::from(upper) << 15)) as i16;
            let fresh = (i32::from(change) << 15) + i32::from(mult_r(lower, 32735));
            self.output = (i32::from(upper) * 32735).saturating_add(fresh);
            let emphasized = mult_r(self.emphasis, -28180);
            self.emphasis = (self.output.saturating_add(16384) >> 15) as i16;
            *sample = add(self.emphasis, emphasized);
        }
    }

    /// What the past foretells, and the pulses of the rest (5.2.11 to 5.2.18).
    fn quarter(&mut self, residual: &[i16; 40], into: &mut Quarter) {
        let (lag, gain) = predict(residual, &self.past);
        (into.lag, into.gain) = (lag as u8, gain as u8);
        let mut foretold = [0; 40];
        let mut rest = [0; 40];
        for n in 0..40 {
            foretold[n] = mult_r(GAINS[gain], self.past[LONGEST - lag + n]);
            rest[n] = sub(residual[n], foretold[n]);
        }
        pulses::encode(&rest, into);
        let reconstructed = pulses::decode(into);
        self.past.copy_within(40.., 0);
        for n in 0..40 {
            self.past[LONGEST - 40 + n] = add(reconstructed[n], foretold[n]);
        }
    }
}

/// (5.2.4) The samples lose what does not fit into the sums.
fn autocorrelation(samples: &mut [i16; FRAME]) -> [i32; 9] {
    let most = samples.iter().map(|sample| sample.saturating_abs()).max().unwrap_or(0);
    let shift = if most == 0 { 0 } else { 4 - norm(i32::from(most) << 16) as i32 };
    if shift > 0 {
        let factor = 16384 >> (shift - 1);
        samples.iter_mut().for_each(|sample| *sample = mult_r(*sample, factor));
    }
    let mut sums = [0; 9];
    for (lag, sum) in sums.iter_mut().enumerate() {
        let products =
            samples[lag..].iter().zip(&samples[..]).map(|(a, b)| i32::from(*a) * i32::from(*b));
        *sum = products.sum::<i32>() << 1;
    }
    if shift > 0 {
        samples.iter_mut().for_each(|sample| *sample <<= shift);
    }
    sums
}

/// The lag at which the past is most like a quarter, and the code of the gain (5.2.11).
fn predict(residual: &[i16; 40], past: &[i16; LONGEST]) -> (usize, usize) {
    let most = residual.iter().map(|sample| sample.saturating_abs()).max().unwrap_or(0);
    let spare = if most == 0 { 6 } else { norm(i32::from(most) << 16).min(6) };
    let shift = 6 - spare;
    let scaled = residual.map(|sample| sample >> shift);
    let (mut lag, mut likeness) = (40, 0);
    for other in 40..=LONGEST {
        let old = &past[LONGEST - other..][..40];
        let sum: i32 = scaled.iter().zip(old).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        if sum > likeness {
            (lag, likeness) = (other, sum);
        }
    }
    let likeness = likeness << 1 >> spare;
    let old = &past[LONGEST - lag..][..40];
    let power =
        old.iter().map(|sample| i32::from(sample >> 3)).map(|sample| sample * sample).sum::<i32>()
            << 1;
    if likeness <= 0 {
        return (lag, 0);
    }
    if likeness >= power {
        return (lag, 3);
    }
    let normal = norm(power);
    let part = |value: i32| (value << normal >> 16) as i16;
    let gain =
        DECISIONS.iter().take_while(|level| part(likeness) > mult(part(power), **level)).count();
    (lag, gain)
}
