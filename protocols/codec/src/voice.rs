//! Whether somebody speaks: sound well above the noise of the last seconds.

/// Above the noise, in energy (9 dB).
const ABOVE: f32 = 8.0;
/// Quieter than this nobody speaks (mean square; -60 dB).
const QUIET: f32 = 1073.0;
/// The noise that is expected before any was heard (mean square; -47 dB).
const FIRST: f32 = 20_000.0;
/// The noise is believed to rise by so much with a second (6 dB), if nothing else is heard.
const RISE: f32 = 4.0;
/// Milliseconds after a word that still belong to it.
const AFTER: u32 = 200;

/// Listens to one stream.
#[derive(Clone, Debug)]
pub struct Activity {
    rate: u32,
    /// The mean square of the noise.
    noise: f32,
    /// Samples that still belong to the last word.
    left: usize,
}

impl Activity {
    /// For so many samples a second.
    pub fn new(rate: u32) -> Activity {
        Activity { rate: rate.max(1), noise: FIRST, left: 0 }
    }

    /// Whether somebody speaks in this frame.
    pub fn listen(&mut self, frame: &[i16]) -> bool {
        if frame.is_empty() {
            return self.left > 0;
        }
        let energy: f32 = frame.iter().map(|sample| f32::from(*sample).powi(2)).sum();
        let mean = energy / frame.len() as f32;
        let seconds = frame.len() as f32 / self.rate as f32;
        self.noise = mean.clamp(1.0, self.noise * RISE.powf(seconds));
        if mean > QUIET && mean > ABOVE * self.noise {
            self.left = (u64::from(self.rate) * u64::from(AFTER) / 1000) as usize;
            return true;
        }
        let speaks = self.left > 0;
        self.left = self.left.saturating_sub(frame.len());
        speaks
    }
}
