//! Hearing digits, by ITU-T Q.24: two tones, one of each group, far above everything else, for 40 ms at least.

use crate::tone::{COLUMNS, ROWS, event};

/// Blocks in a second: 12.75 ms each, so that three lie in the shortest digit.
const BLOCKS: f64 = 1.0 / 0.01275;
/// A tone is heard from here on, decibels below full scale.
const QUIET: f32 = -40.0;
/// Of a block's energy so much is in the two tones.
const SHARE: f32 = 0.8;
/// So much stronger than the next one of its group a tone is, in energy.
const AHEAD: f32 = 6.3;
/// The higher tone may be so much stronger than the lower one (4 dB), and so much weaker (8 dB), in energy.
const TWIST: (f32, f32) = (2.51, 6.3);
/// Blocks that begin a digit, and that end it.
const SURE: u8 = 2;

/// What was heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The telephone event of RFC 4733, 0 to 15.
    pub event: u8,
    /// How long it lasted, in samples; `None` when it begins.
    pub lasted: Option<u64>,
}

/// Listens to one stream.
#[derive(Clone, Debug)]
pub struct Detector {
    /// Two times the cosine of each tone's step, rows first.
    steps: [f32; 8],
    block: usize,
    waiting: Vec<i16>,
    /// What the last blocks were, and how many of them.
    last: (Option<u8>, u8),
    /// The digit that sounds, and since which block.
    sounding: Option<(u8, u64)>,
    blocks: u64,
}

impl Detector {
    /// For so many samples a second.
    pub fn new(rate: u32) -> Detector {
        let rate = f64::from(rate.max(4000));
        let step =
            |hertz: u16| (2.0 * (std::f64::consts::TAU * f64::from(hertz) / rate).cos()) as f32;
        let mut steps = [0.0; 8];
        for (to, hertz) in steps.iter_mut().zip(ROWS.into_iter().chain(COLUMNS)) {
            *to = step(hertz);
        }
        let block = (rate / BLOCKS).round() as usize;
        Detector { steps, block, waiting: Vec::new(), last: (None, 0), sounding: None, blocks: 0 }
    }

    /// These samples came; appends which digits began or ended.
    pub fn listen(&mut self, samples: &[i16], heard: &mut Vec<Heard>) {
        self.waiting.extend(samples);
        let waiting = std::mem::take(&mut self.waiting);
        let blocks = waiting.chunks_exact(self.block);
        self.waiting.extend(blocks.remainder());
        for block in blocks {
            self.blocks += 1;
            let digit = self.digit(block);
            self.last = if self.last.0 == digit {
                (digit, self.last.1.saturating_add(1))
            } else {
                (digit, 1)
            };
            if self.last.1 != SURE || self.sounding.map(|(event, _)| event) == digit {
                continue;
            }
            let since = self.blocks - u64::from(SURE);
            if let Some((event, begin)) = self.sounding.take() {
                heard.push(Heard { event, lasted: Some((since - begin) * self.block as u64) });
            }
            if let Some(event) = digit {
                heard.push(Heard { event, lasted: None });
                self.sounding = Some((event, since));
            }
        }
    }

    /// The digit that sounds now.
    pub fn sounding(&self) -> Option<u8> {
        self.sounding.map(|(event, _)| event)
    }

    /// The digit of one block.
    fn digit(&self, block: &[i16]) -> Option<u8> {
        let count = block.len() as f32;
        let energy: f32 = block.iter().map(|sample| f32::from(*sample).powi(2)).sum();
        if energy / count < 32767_f32.powi(2) * 10_f32.powf(QUIET / 10.0) {
            return None;
        }
        // What a tone has of the energy: a sine of amplitude A gives A²/2 for each sample.
        let mut tones = [0.0; 8];
        for (tone, step) in tones.iter_mut().zip(self.steps) {
            *tone = 2.0 * goertzel(block, step) / count;
        }
        let (rows, columns) = tones.split_at(4);
        let (row, low) = strongest(rows)?;
        let (column, high) = strongest(columns)?;
        let balanced = high < low * TWIST.0 && low < high * TWIST.1;
        (balanced && low + high > SHARE * energy).then(|| event(row, column))
    }
}

/// The strongest of a group, if it is far ahead of the others.
fn strongest(group: &[f32]) -> Option<(usize, f32)> {
    let (at, most) = group.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let ahead =
        group.iter().enumerate().all(|(other, energy)| other == at || energy * AHEAD < *most);
    ahead.then_some((at, *most))
}

/// The energy of a block at one frequency.
fn goertzel(block: &[i16], step: f32) -> f32 {
    let (mut one, mut two) = (0.0, 0.0);
    for sample in block {
        (one, two) = (f32::from(*sample) + step * one - two, one);
    }
    one * one + two * two - step * one * two
}
