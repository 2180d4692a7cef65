//! The short term filter: logarithmic area ratios, reflection coefficients, and the lattice in both directions.

use super::arithmetic::{add, div, mult, mult_r, norm, sub};

/// How a ratio is quantized (table 5.1): factor, offset, least and greatest code, and the inverse of the factor.
const QUANTIZERS: [(i16, i16, i16, i16, i16); 8] = [
    (20480, 0, -32, 31, 13107),
    (20480, 0, -32, 31, 13107),
    (20480, 2048, -16, 15, 13107),
    (20480, -2560, -16, 15, 13107),
    (13964, 94, -8, 7, 19223),
    (15360, -1792, -8, 7, 17476),
    (8534, -341, -4, 3, 31454),
    (9036, -1144, -4, 3, 29708),
];

/// The codes of reflection coefficients (5.2.6, 5.2.7).
pub(super) fn quantize(coefficients: [i16; 8]) -> [u8; 8] {
    let mut codes = [0; 8];
    for (n, coefficient) in coefficients.into_iter().enumerate() {
        let magnitude = coefficient.saturating_abs();
        let ratio = match magnitude {
            ..22118 => magnitude >> 1,
            22118..31130 => magnitude - 11059,
            _ => (magnitude - 26112) << 2,
        };
        let ratio = if coefficient < 0 { -ratio } else { ratio };
        let (factor, offset, least, most, _) = QUANTIZERS[n];
        let code = add(add(mult(factor, ratio), offset), 256) >> 9;
        codes[n] = (code.clamp(least, most) - least) as u8;
    }
    codes
}

/// The ratios that codes stand for (5.2.8).
pub(super) fn ratios(codes: &[u8; 8]) -> [i16; 8] {
    let mut ratios = [0; 8];
    for (n, code) in codes.iter().enumerate() {
        let (_, offset, least, _, inverse) = QUANTIZERS[n];
        let code = add(i16::from(*code), least) << 10;
        let ratio = mult_r(inverse, sub(code, offset << 1));
        ratios[n] = add(ratio, ratio);
    }
    ratios
}

/// The stretches of a frame that have coefficients of their own, and how those are made of the ratios before (first)
/// and now (5.2.9.1).
pub(super) fn stretches(
    before: &[i16; 8],
    now: &[i16; 8],
) -> [(std::ops::Range<usize>, [i16; 8]); 4] {
    let mixed = |mix: fn(i16, i16) -> i16| {
        let mut coefficients = [0; 8];
        for n in 0..8 {
            coefficients[n] = reflection(mix(before[n], now[n]));
        }
        coefficients
    };
    [
        (0..13, mixed(|before, now| add(add(before >> 2, now >> 2), before >> 1))),
        (13..27, mixed(|before, now| add(before >> 1, now >> 1))),
        (27..40, mixed(|before, now| add(add(before >> 2, now >> 2), now >> 1))),
        (40..160, mixed(|_, now| now)),
    ]
}

/// The reflection coefficient of a ratio (5.2.9.2).
fn reflection(ratio: i16) -> i16 {
    let magnitude = ratio.saturating_abs();
    let coefficient = match magnitude {
        ..11059 => magnitude << 1,
        11059..20070 => magnitude + 11059,
        _ => add(magnitude >> 2, 26112),
    };
    if ratio < 0 { -coefficient } else { coefficient }
}

/// Takes out of the samples what the filter foretells (5.2.10).
pub(super) fn analyse(state: &mut [i16; 8], coefficients: &[i16; 8], samples: &mut [i16]) {
    for sample in samples {
        let (mut residual, mut delayed) = (*sample, *sample);
        for (state, coefficient) in state.iter_mut().zip(coefficients) {
            let before = *state;
            *state = delayed;
            delayed = add(before, mult_r(*coefficient, residual));
            residual = add(residual, mult_r(*coefficient, before));
        }
        *sample = residual;
    }
}

/// Puts it in again (5.3.4).
pub(super) fn synthesize(state: &mut [i16; 9], coefficients: &[i16; 8], samples: &mut [i16]) {
    for sample in samples {
        let mut out = *sample;
        for n in (0..8).rev() {
            out = sub(out, mult_r(coefficients[n], state[n]));
            state[n + 1] = add(state[n], mult_r(coefficients[n], out));
        }
        state[0] = out;
        *sample = out;
    }
}

/// The reflection coefficients of an autocorrelation, by Schur's recursion (5.2.5).
pub(super) fn schur(autocorrelation: &[i32; 9]) -> [i16; 8] {
    let mut coefficients = [0; 8];
    if autocorrelation[0] == 0 {
        return coefficients;
    }
    let shift = norm(autocorrelation[0]);
    let scaled = autocorrelation.map(|value| (value << shift >> 16) as i16);
    let (mut p, mut k) = (scaled, scaled);
    for n in 0..8 {
        let magnitude = p[1].saturating_abs();
        if p[0] < magnitude {
            return coefficients;
        }
        let coefficient = div(magnitude, p[0]);
        coefficients[n] = if p[1] > 0 { -coefficient } else { coefficient };
        if n == 7 {
            return coefficients;
        }
        p[0] = add(p[0], mult_r(p[1], coefficients[n]));
        for m in 1..8 - n {
            let (this, next) = (k[m], p[m + 1]);
            p[m] = add(next, mult_r(this, coefficients[n]));
            k[m] = add(this, mult_r(next, coefficients[n]));
        }
    }
    coefficients
}
