//! Comfort noise, RFC 3389: what a pause sounds like, in a level and, if the sender says more, a spectrum.

/// The most reflection coefficients that are heard.
const MOST: usize = 32;

/// What a payload says.
#[derive(Clone, PartialEq, Debug)]
pub struct Noise {
    /// Decibels below the overload point, 0 to 127.
    pub level: u8,
    /// Reflection coefficients of the spectrum, none for white noise.
    pub reflection: Vec<f32>,
}

impl Noise {
    /// Noise as loud as these samples.
    pub fn like(samples: &[i16]) -> Noise {
        let energy: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let mean = energy / samples.len().max(1) as f64;
        let below = -10.0 * (mean.max(1e-9) / 32767_f64.powi(2)).log10();
        Noise { level: below.round().clamp(0.0, 127.0) as u8, reflection: Vec::new() }
    }

    /// Reads a payload (§3); `None` if it is empty.
    pub fn parse(payload: &[u8]) -> Option<Noise> {
        let (level, spectrum) = payload.split_first()?;
        let coefficient = |byte: &u8| (f32::from(*byte) - 127.0) * 258.0 / 32768.0;
        let reflection =
            spectrum.iter().take(MOST).map(|byte| coefficient(byte).clamp(-0.999, 0.999));
        Some(Noise { level: level & 0x7f, reflection: reflection.collect() })
    }

    /// The payload: the level.
    pub fn build(&self) -> [u8; 1] {
        [self.level.min(127)]
    }
}

/// Makes noise. The same for the same calls: what is random about it is a counter.
#[derive(Clone, Debug, Default)]
pub struct Generator {
    counter: u32,
    lattice: Vec<f32>,
}

impl Generator {
    /// Appends so many samples.
    pub fn make(&mut self, noise: &Noise, count: usize, samples: &mut Vec<i16>) {
        self.lattice.resize(noise.reflection.len(), 0.0);
        let lost: f32 = noise.reflection.iter().map(|k| 1.0 - k * k).product();
        let loud = 32767.0 * 10_f32.powf(-f32::from(noise.level) / 20.0);
        // Evenly distributed between -1 and 1 it has a third of the energy.
        let loud = loud * (3.0 * lost).sqrt();
        samples.extend((0..count).map(|_| {
            self.counter = self.counter.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = f32::from((self.counter >> 16) as u16 as i16) / 32768.0;
            (self.filter(&noise.reflection, white * loud)) as i16
        }));
    }

    /// An all-pole lattice.
    fn filter(&mut self, reflection: &[f32], input: f32) -> f32 {
        let mut out = input;
        for n in (0..reflection.len()).rev() {
            out -= reflection[n] * self.lattice[n];
            if let Some(next) = self.lattice.get(n + 1).is_some().then_some(n + 1) {
                self.lattice[next] = self.lattice[n] + reflection[n] * out;
            }
        }
        if let Some(first) = self.lattice.first_mut() {
            *first = out;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_as_loud_as_is_said() {
        for payload in [&[40][..], &[40, 200, 90, 127], &[40, 20], &[30, 250, 60, 180, 127, 10]] {
            let noise = Noise::parse(payload).unwrap();
            let mut samples = Vec::new();
            Generator::default().make(&noise, 16_000, &mut samples);
            let heard = Noise::like(&samples).level;
            assert!(heard.abs_diff(noise.level) <= 1, "{payload:?}: {heard}");
        }
    }

    #[test]
    fn a_level_goes_both_ways() {
        assert_eq!(Noise::parse(&[]), None);
        assert_eq!(Noise::parse(&[0x80 | 70]).unwrap().build(), [70]);
        assert_eq!(Noise::like(&[0; 160]).level, 127);
        assert_eq!(Noise::like(&[i16::MAX; 160]).level, 0);
    }

    /// The first coefficient is the correlation of neighbours, with its sign turned.
    #[test]
    fn a_spectrum_is_heard() {
        let noise = Noise::parse(&[30, 27]).unwrap();
        let mut samples = Vec::new();
        Generator::default().make(&noise, 16_000, &mut samples);
        let product = |lag: usize| -> f64 {
            samples.iter().zip(&samples[lag..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let correlation = product(1) / product(0);
        assert!((correlation - 0.787).abs() < 0.03, "{correlation}");
    }
}
