//! What stands in for a packet that did not come, for codecs that have no way of their own.
//!
//! After ITU-T G.711 Appendix I: the last pitch period is repeated, fainter and fainter, and nothing is heard after
//! 60 ms. Unlike there nothing is held back: the joint is smoothed only where sound comes again.

/// Lags that a pitch is looked for at, in hertz.
const PITCH: std::ops::RangeInclusive<usize> = 66..=200;
/// Milliseconds that two lags are compared over.
const WINDOW: usize = 20;
/// Milliseconds after which it becomes fainter, and after which it is silent.
const FULL: usize = 10;
const SILENT: usize = 60;
/// Milliseconds of the joint.
const JOINT: usize = 4;

/// Appends so many samples that a codec makes up a frame at a time; silence from where it makes none.
pub(crate) fn by_frames(
    count: usize,
    samples: &mut Vec<i16>,
    mut frame: impl FnMut() -> Option<Vec<i16>>,
) {
    let end = samples.len() + count;
    while samples.len() < end {
        match frame().filter(|made| !made.is_empty()) {
            Some(made) => samples.extend(made),
            None => samples.resize(end, 0),
        }
    }
    samples.truncate(end);
}

/// What was heard last, and for how long nothing.
#[derive(Clone, Debug)]
pub struct Concealment {
    rate: usize,
    /// Newest last: as much as the longest lag and the window need.
    history: Vec<i16>,
    /// The pitch period that is repeated, and samples that were made of it.
    lost: Option<(usize, usize)>,
}

impl Concealment {
    /// For one channel of so many samples a second.
    pub fn new(rate: u32) -> Concealment {
        Concealment { rate: rate as usize, history: Vec::new(), lost: None }
    }

    fn samples(&self, milliseconds: usize) -> usize {
        self.rate * milliseconds / 1000
    }

    /// These samples came. If others were missing before, the first ones are joined with what stood in for them.
    pub fn heard(&mut self, samples: &mut [i16]) {
        if let Some((_, made)) = self.lost {
            let joint = self.samples(JOINT).min(samples.len());
            let mut tail = Vec::with_capacity(joint);
            self.make(made, joint, &mut tail);
            for (n, (sample, made)) in samples.iter_mut().zip(tail).enumerate() {
                let (old, new) = (i32::from(made), i32::from(*sample));
                *sample = (old + (new - old) * (n as i32 + 1) / (joint as i32 + 1)) as i16;
            }
            self.lost = None;
        }
        let longest = self.rate / PITCH.start() + self.samples(WINDOW);
        let kept = longest.saturating_sub(samples.len()).min(self.history.len());
        self.history.drain(..self.history.len() - kept);
        self.history.extend(&samples[samples.len().saturating_sub(longest)..]);
    }

    /// Appends so many samples.
    pub fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        let (_, made) = *self.lost.get_or_insert_with(|| (pitch(&self.history, self.rate), 0));
        self.make(made, count, samples);
        if let Some((_, made)) = &mut self.lost {
            *made += count;
        }
    }

    /// What comes after so many samples that were made.
    fn make(&self, made: usize, count: usize, samples: &mut Vec<i16>) {
        let period = self.lost.map_or(0, |(period, _)| period);
        let (full, silent) = (self.samples(FULL), self.samples(SILENT));
        let Some(last) = self.history.len().checked_sub(period).map(|begin| &self.history[begin..])
        else {
            return samples.extend(std::iter::repeat_n(0, count));
        };
        samples.extend((made..made + count).map(|n| match last.get(n % period.max(1)) {
            Some(sample) if n < silent => {
                let left = (silent - n.max(full)) as i32;
                (i32::from(*sample) * left / (silent - full) as i32) as i16
            }
            _ => 0,
        }));
    }
}

/// The lag at which the end of the history is most like what was before it; 0 if it is too short.
fn pitch(history: &[i16], rate: usize) -> usize {
    let window = rate * WINDOW / 1000;
    let (shortest, longest) = (rate / PITCH.end(), rate / PITCH.start());
    let Some(begin) = history.len().checked_sub(window).filter(|begin| *begin >= longest) else {
        return 0;
    };
    let likeness = |lag: usize, step: usize| {
        let (mut product, mut energy) = (0_i64, 1_i64);
        for n in (begin..history.len()).step_by(step) {
            let (new, old) = (i64::from(history[n]), i64::from(history[n - lag]));
            product += new * old;
            energy += old * old;
        }
        product as f64 / (energy as f64).sqrt()
    };
    let best = |lags: &mut dyn Iterator<Item = usize>, step: usize| {
        lags.max_by(|a, b| likeness(*a, step).total_cmp(&likeness(*b, step))).unwrap_or(longest)
    };
    // Coarsely at some 4 kHz, then near the best.
    let step = (rate / 4000).max(1);
    let near = best(&mut (shortest..=longest).step_by(step), step);
    best(&mut (near.saturating_sub(step - 1).max(shortest)..=(near + step - 1).min(longest)), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, count: usize) -> Vec<i16> {
        let turn = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..count).map(|n| ((n as f64 * turn).sin() * 8000.0) as i16).collect()
    }

    #[test]
    fn a_hole_in_a_tone_is_not_heard() {
        for rate in [8000, 16_000, 48_000] {
            let frame = rate as usize / 50;
            let whole = tone(rate, 125.0, 10 * frame);
            let mut concealment = Concealment::new(rate);
            let mut heard = whole.clone();
            concealment.heard(&mut heard[..5 * frame]);
            let mut made = Vec::new();
            concealment.conceal(frame / 2, &mut made);
            concealment.heard(&mut heard[5 * frame + frame / 2..]);
            for (n, sample) in made.iter().enumerate() {
                let wanted = whole[5 * frame + n];
                assert!((sample - wanted).abs() < 900, "{rate}: {n}: {sample} for {wanted}");
            }
            for (sample, wanted) in
                heard[5 * frame + frame / 2..].iter().zip(&whole[5 * frame + frame / 2..])
            {
                assert!((sample - wanted).abs() < 900, "{rate}: {sample} for {wanted}");
            }
        }
    }

    #[test]
    fn a_long_hole_is_silent_at_its_end() {
        let mut concealment = Concealment::new(8000);
        concealment.heard(&mut tone(8000, 200.0, 1600));
        let mut made = Vec::new();
        (0..10).for_each(|_| concealment.conceal(160, &mut made));
        assert!(made[..80].iter().any(|sample| *sample > 7000));
        assert!(made[480..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn before_anything_was_heard_there_is_silence() {
        let mut made = Vec::new();
        Concealment::new(8000).conceal(160, &mut made);
        assert_eq!(made, [0; 160]);
    }
}
