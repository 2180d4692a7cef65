//! A quarter of the residual signal as thirteen pulses on a regular grid (5.2.13 to 5.2.17, 5.3.1).

use super::arithmetic::{add, mult, mult_r, saturate, sub};
use super::parameters::Quarter;

/// The weighting filter, in 8192ths (table 5.4).
const WEIGHTS: [i16; 11] = [-134, -374, 0, 2054, 5741, 8192, 5741, 2054, 0, -374, -134];
/// One by the mantissa, and the mantissa (tables 5.5 and 5.6).
const INVERSE: [i16; 8] = [29128, 26215, 23832, 21846, 20165, 18725, 17476, 16384];
const MANTISSA: [i16; 8] = [18431, 20479, 22527, 24575, 26623, 28671, 30719, 32767];

/// The pulses that stand for a residual signal.
pub(super) fn encode(residual: &[i16; 40], into: &mut Quarter) {
    let weighted = weigh(residual);
    let energy = |grid: usize| -> i32 {
        let pulses = weighted[grid..].iter().step_by(3).take(13);
        pulses.map(|sample| i32::from(sample >> 2)).map(|sample| sample * sample).sum()
    };
    let mut grid = 0;
    for other in 1..4 {
        if energy(other) > energy(grid) {
            grid = other;
        }
    }
    let mut pulses = [0; 13];
    for (pulse, sample) in pulses.iter_mut().zip(weighted[grid..].iter().step_by(3)) {
        *pulse = *sample;
    }
    let most = pulses.iter().map(|pulse| pulse.saturating_abs()).max().unwrap_or(0);
    let exponent = (0..6).take_while(|n| most >> 9 >> n > 0).count() as i16;
    into.grid = grid as u8;
    into.most = add(most >> (exponent + 5), exponent << 3) as u8;
    let (exponent, mantissa) = parts(into.most);
    for (code, pulse) in into.pulses.iter_mut().zip(pulses) {
        let scaled = (i32::from(pulse) << (6 - exponent)) as i16;
        *code = ((mult(scaled, INVERSE[mantissa]) >> 12) + 4) as u8;
    }
}

/// The residual signal that pulses stand for.
pub(super) fn decode(quarter: &Quarter) -> [i16; 40] {
    let (exponent, mantissa) = parts(quarter.most);
    let shift = sub(6, exponent);
    let half = (1 << shift >> 1) as i16;
    let mut residual = [0; 40];
    for (n, code) in quarter.pulses.iter().enumerate() {
        let fraction = ((i16::from(*code) << 1) - 7) << 12;
        let pulse = add(mult_r(MANTISSA[mantissa], fraction), half) >> shift;
        residual[usize::from(quarter.grid) + 3 * n] = pulse;
    }
    residual
}

fn weigh(residual: &[i16; 40]) -> [i16; 40] {
    let mut weighted = [0; 40];
    for (n, out) in weighted.iter_mut().enumerate() {
        let mut sum = 4096;
        for (tap, weight) in WEIGHTS.iter().enumerate() {
            if let Some(sample) = (n + tap).checked_sub(5).and_then(|at| residual.get(at)) {
                sum += i32::from(*sample) * i32::from(*weight);
            }
        }
        *out = saturate(sum >> 13);
    }
    weighted
}

/// Exponent, -4 to 6, and mantissa, 0 to 7, of a coded maximum.
fn parts(most: u8) -> (i16, usize) {
    let most = i16::from(most & 63);
    let mut exponent = if most > 15 { (most >> 3) - 1 } else { 0 };
    let mut mantissa = most - (exponent << 3);
    if mantissa == 0 {
        return (-4, 7);
    }
    while mantissa <= 7 {
        mantissa = mantissa << 1 | 1;
        exponent -= 1;
    }
    (exponent, usize::from((mantissa - 8) as u16 & 7))
}
