//! Whether what arrived is what was said: recorded sound held against its original.
//!
//! The original is found in the recording by cross-correlation. Then each stretch of the original
//! that carries speech is compared with what stands in its place. Companding, a fixed delay and
//! silence before and after change nothing; a packet that is lost, doubled or in the wrong place
//! does, and so does another voice.

/// Samples in a second of all sound here.
pub const RATE: usize = 8000;
/// Samples in a segment, 200 ms.
pub const SEGMENT: usize = RATE / 5;
/// Samples in a frame, 20 ms.
const FRAME: usize = RATE / 50;
/// Frames begin each 10 ms, so that a damaged packet always fills most of one of them.
const HOP: usize = FRAME / 2;
/// Frames quieter than this carry no speech: -50 dB of full scale, where quantisation takes over.
const QUIET: f64 = 100.0;
/// From this similarity on, a frame is the same: G.711 twice stays above it.
const SAME: f64 = 0.97;
/// Two different voices stay below this on average.
const OTHER: f64 = 0.6;

/// How alike a recording is.
#[derive(Clone, PartialEq, Debug)]
pub struct Likeness {
    /// Samples from the start of the recording to the start of the original; negative if the
    /// recording began later.
    pub delay: isize,
    /// The similarity of each segment that carries speech, -1 to 1.
    pub segments: Vec<Segment>,
    /// The mean similarity over the segments; 0 without speech.
    pub mean: f64,
    /// The mean similarity over the segments at whose place the recording is not silent.
    pub heard: f64,
    /// The similarity of the worst frame; 0 without speech.
    pub worst: f64,
    /// The part of the speech frames at whose place the recording is not silent, 0 to 1.
    pub presence: f64,
}

/// 200 ms of the original that carry speech.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Segment {
    /// Its first sample in the original.
    pub at: usize,
    /// The normalised correlation with the recording.
    pub similarity: f64,
    /// The normalised correlation of its worst frame of 20 ms.
    pub worst: f64,
    /// Whether the recording is loud enough in all of its speech frames.
    pub present: bool,
}

/// What a listener would say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// All was heard as it was said.
    Same,
    /// It was heard, but parts are missing or in the wrong place.
    Damaged,
    /// Something else was heard.
    Other,
    /// Nothing was heard, or nothing was said.
    Silent,
}

impl Likeness {
    /// What a listener would say.
    pub fn verdict(&self) -> Verdict {
        if self.presence < 0.1 {
            Verdict::Silent
        } else if self.heard < OTHER {
            Verdict::Other
        } else if self.worst < SAME || self.presence < 1.0 {
            Verdict::Damaged
        } else {
            Verdict::Same
        }
    }
}

/// Compares a recording with the original, both with 8000 samples in a second. Where the original
/// stands in the recording several times, the first time counts. Takes `O(n log n)` time and some
/// 64 bytes of memory for each sample of both.
pub fn compare(original: &[i16], recording: &[i16]) -> Likeness {
    let delay = find(original, recording);
    let heard = |at: usize| {
        let index = at as isize + delay;
        usize::try_from(index).ok().and_then(|i| recording.get(i)).copied().unwrap_or(0)
    };
    let aligned: Vec<i16> = (0..original.len()).map(heard).collect();
    let frames = frames(original, &aligned);
    let present = frames.iter().filter(|frame| frame.present).count();
    let mut segments = Vec::new();
    for at in (0..original.len()).step_by(SEGMENT) {
        let inside = || frames.iter().filter(|f| (at..at + SEGMENT).contains(&f.at));
        let Some(worst) = inside().map(|frame| frame.similarity).min_by(f64::total_cmp) else {
            continue;
        };
        let present = inside().all(|frame| frame.present);
        let range = at..(at + SEGMENT).min(original.len());
        let similarity = correlation(&original[range.clone()], &aligned[range]);
        segments.push(Segment { at, similarity, worst, present });
    }
    let mean = |present_only: bool| {
        let counted = segments.iter().filter(|s| s.present || !present_only);
        let (sum, count) = counted.fold((0.0, 0.0), |(sum, n), s| (sum + s.similarity, n + 1.0));
        if count == 0.0 { 0.0 } else { sum / count }
    };
    Likeness {
        delay,
        mean: mean(false),
        heard: mean(true),
        worst: segments.iter().map(|s| s.worst).min_by(f64::total_cmp).unwrap_or(0.0),
        presence: present as f64 / frames.len().max(1) as f64,
        segments,
    }
}

struct Frame {
    at: usize,
    similarity: f64,
    present: bool,
}

/// The frames of the original that carry speech.
fn frames(original: &[i16], aligned: &[i16]) -> Vec<Frame> {
    let starts = || (0..(original.len() + 1).saturating_sub(FRAME)).step_by(HOP);
    let loudness = |at: usize| rms(&original[at..at + FRAME]);
    let loudest = starts().map(loudness).fold(0.0, f64::max);
    let least = QUIET.max(loudest * 0.05);
    starts()
        .filter(|at| loudness(*at) >= least)
        .map(|at| {
            let (said, heard) = (&original[at..at + FRAME], &aligned[at..at + FRAME]);
            let present = rms(heard) >= rms(said) * 0.1;
            Frame { at, similarity: correlation(said, heard), present }
        })
        .collect()
}

fn rms(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    (energy / samples.len().max(1) as f64).sqrt()
}

/// The normalised correlation; 0 where one of both is silent.
fn correlation(a: &[i16], b: &[i16]) -> f64 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (f64::from(*x), f64::from(*y));
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    if aa == 0.0 || bb == 0.0 { 0.0 } else { ab / (aa * bb).sqrt() }
}

/// The delay at which the original correlates best with the recording.
fn find(original: &[i16], recording: &[i16]) -> isize {
    if original.is_empty() || recording.is_empty() {
        return 0;
    }
    let size = (original.len() + recording.len()).next_power_of_two();
    let mut a = spectrum(original, size);
    let b = spectrum(recording, size);
    for (x, y) in a.iter_mut().zip(&b) {
        // Recording times the conjugate of the original; conjugated once more, so that the same
        // transform goes back. The scale does not matter for a maximum.
        *x = (y.0 * x.0 + y.1 * x.1, -(y.1 * x.0 - y.0 * x.1));
    }
    transform(&mut a);
    let value = |lag: isize| a[lag.rem_euclid(size as isize) as usize].0;
    let lags = 1 - original.len() as isize..recording.len() as isize;
    let best = lags.clone().map(value).fold(f64::MIN, f64::max);
    if best <= 0.0 {
        return 0;
    }
    // A prompt that is played again and again correlates as well each time: take the first time,
    // and there the peak.
    let first = lags.clone().find(|lag| value(*lag) >= 0.98 * best).unwrap_or(0);
    let near = (first - 16).max(lags.start)..(first + 17).min(lags.end);
    near.max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(first)
}

fn spectrum(samples: &[i16], size: usize) -> Vec<(f64, f64)> {
    let mut out: Vec<_> = samples.iter().map(|s| (f64::from(*s), 0.0)).collect();
    out.resize(size, (0.0, 0.0));
    transform(&mut out);
    out
}

/// The discrete Fourier transform in place, radix 2; the length is a power of two.
fn transform(data: &mut [(f64, f64)]) {
    let bits = data.len().trailing_zeros();
    for i in 0..data.len() {
        let j = if bits == 0 { 0 } else { i.reverse_bits() >> (usize::BITS - bits) };
        if i < j {
            data.swap(i, j);
        }
    }
    let mut half = 1;
    while half < data.len() {
        let turn = -core::f64::consts::PI / half as f64;
        let turns: Vec<_> = (0..half).map(|k| (turn * k as f64).sin_cos()).collect();
        for block in data.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for ((a, b), (sin, cos)) in low.iter_mut().zip(high).zip(&turns) {
                let turned = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        half *= 2;
    }
}
