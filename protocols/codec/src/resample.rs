//! From one sampling rate to another: a windowed sinc in as many phases as the ratio needs.

use std::f64::consts::PI;

/// Samples of the lower rate that the filter looks at.
const REACH: usize = 32;
/// Of half of the lower rate, what passes.
const CUT: f64 = 0.91;
/// The Kaiser window's shape: 80 dB below what passes.
const SHAPE: f64 = 7.9;

/// Bits of a tap behind the point. The taps of a phase, all taken as positive, add up to less than 4, so that a sum of the
/// loudest samples fits in 32 bits. What rounding them lets through is at least 78 dB below, too.
const POINT: u32 = 14;

/// Changes the rate of one channel of one stream.
#[derive(Clone, Debug)]
pub struct Resampler {
    /// For each phase the taps, for the oldest sample first.
    phases: Vec<Vec<i16>>,
    /// Input samples that go by for `phases.len()` output samples.
    step: usize,
    /// The last samples that came in.
    line: Vec<i16>,
    /// The phase of the next output sample, and how many samples have to come before it.
    phase: usize,
    wait: usize,
}

impl Resampler {
    /// From so many samples a second to so many; both at least 1.
    pub fn new(from: u32, to: u32) -> Resampler {
        let (from, to) = (from.max(1) as usize, to.max(1) as usize);
        let divisor = gcd(from, to);
        let (count, step) = (to / divisor, from / divisor);
        if count == step {
            return Resampler {
                phases: vec![vec![1 << POINT]],
                step: 1,
                line: vec![0],
                phase: 0,
                wait: 1,
            };
        }
        // In samples of the input.
        let scale = (from as f64 / to as f64).max(1.0);
        let length = (REACH as f64 * scale).ceil() as usize;
        // What leaves is as much later as half of the filter: a whole number of samples of either rate, if it can be.
        let middle = (length - 1 - length / 2) as f64;
        let phases = (0..count).map(|phase| {
            let shift = phase as f64 / count as f64;
            let taps = (0..length).map(|n| {
                let at = n as f64 - middle - shift;
                let x = at * CUT / scale;
                let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
                sinc * kaiser(at / (length as f64 / 2.0))
            });
            let taps: Vec<f64> = taps.collect();
            let sum: f64 = taps.iter().sum();
            let one = f64::from(1u32 << POINT);
            taps.iter().map(|tap| (tap / sum * one).round() as i16).collect()
        });
        Resampler { phases: phases.collect(), step, line: vec![0; length], phase: 0, wait: 1 }
    }

    /// Appends what these samples become; what does not make a whole one waits for the next samples.
    pub fn resample(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        if self.line.len() == 1 {
            // Nothing changes.
            return out.extend_from_slice(samples);
        }
        let length = self.line.len();
        let begin = self.line.len();
        self.line.extend_from_slice(samples);
        let mut end = begin;
        while end + self.wait <= self.line.len() {
            end += self.wait;
            let seen = &self.line[end - length..end];
            // Of 16 bits: a processor multiplies and adds eight at once.
            let products = seen.iter().zip(&self.phases[self.phase]);
            let sum: i32 = products.map(|(sample, tap)| i32::from(*sample) * i32::from(*tap)).sum();
            let rounded = (sum + (1 << (POINT - 1))) >> POINT;
            out.push(rounded.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
            let next = self.phase + self.step;
            self.wait = next / self.phases.len();
            self.phase = next % self.phases.len();
        }
        self.wait -= self.line.len() - end;
        self.line.drain(..self.line.len() - length);
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The window at -1 to 1, but for a factor.
fn kaiser(at: f64) -> f64 {
    bessel(SHAPE * (1.0 - at * at).max(0.0).sqrt())
}

/// The modified Bessel function of the first kind, order 0, by its series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..32 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
        if term < 1e-9 * sum {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<i16> {
        let turn = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..(f64::from(rate) * seconds) as usize)
            .map(|n| ((n as f64 * turn).sin() * 16_000.0) as i16)
            .collect()
    }

    /// How strong a tone is in samples, in decibels below a tone as loud as [`tone`]'s.
    fn level(samples: &[i16], rate: u32, hertz: f64) -> f64 {
        let turn = std::f64::consts::TAU * hertz / f64::from(rate);
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, sample) in samples.iter().enumerate() {
            let window = 1.0 - (std::f64::consts::TAU * n as f64 / samples.len() as f64).cos();
            real += f64::from(*sample) * window * (turn * n as f64).cos();
            imaginary += f64::from(*sample) * window * (turn * n as f64).sin();
        }
        20.0 * (2.0 * f64::hypot(real, imaginary) / samples.len() as f64 / 16_000.0).log10()
    }

    fn change(from: u32, to: u32, samples: &[i16], piece: usize) -> Vec<i16> {
        let mut resampler = Resampler::new(from, to);
        let mut out = Vec::new();
        samples.chunks(piece).for_each(|piece| resampler.resample(piece, &mut out));
        out
    }

    const RATES: [u32; 7] = [8000, 16_000, 24_000, 32_000, 48_000, 44_100, 11_025];

    #[test]
    fn speech_keeps_its_level_at_every_ratio() {
        for from in RATES {
            for to in RATES {
                for hertz in [300.0, 1000.0, 3000.0] {
                    let out = change(from, to, &tone(from, hertz, 0.25), 160);
                    let level = level(&out[out.len() / 5..], to, hertz);
                    assert!(level.abs() < 0.3, "{from} to {to}: {hertz} Hz at {level:.2} dB");
                    let expected = (0.25 * f64::from(to)) as isize;
                    assert!(
                        (out.len() as isize - expected).abs() <= 2,
                        "{from} to {to}: {}",
                        out.len()
                    );
                }
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_gone() {
        for (from, hertz) in
            [(16_000, 4600.0), (48_000, 5000.0), (48_000, 12_000.0), (44_100, 9000.0)]
        {
            let out = change(from, 8000, &tone(from, hertz, 0.25), 333);
            let loudest = out[400..].iter().map(|sample| sample.unsigned_abs()).max();
            assert!(loudest < Some(40), "{from}: {hertz} Hz leaves {loudest:?}");
        }
        // Nor does anything come in above what there was.
        let out = change(8000, 16_000, &tone(8000, 3000.0, 0.25), 160);
        let image = level(&out[800..], 16_000, 5000.0);
        assert!(image < -60.0, "the image of 3 kHz at {image:.1} dB");
    }

    #[test]
    fn no_sound_is_too_loud() {
        for from in RATES {
            for to in RATES {
                let resampler = Resampler::new(from, to);
                for taps in &resampler.phases {
                    let most: i64 = taps.iter().map(|tap| i64::from(*tap).abs()).sum();
                    assert!(most * 32_768 + (1 << (POINT - 1)) < 1 << 31, "{from} to {to}: {most}");
                }
            }
        }
    }

    #[test]
    fn pieces_do_not_matter() {
        let samples = tone(48_000, 700.0, 0.1);
        let whole = change(48_000, 8000, &samples, samples.len());
        assert_eq!(whole, change(48_000, 8000, &samples, 7));
        assert_eq!(change(8000, 8000, &samples, 13), samples);
    }
}
