//! How well a copy of speech is understood: the short-time objective intelligibility measure, STOI (C. H. Taal, R. C. Hendriks,
//! R. Heusdens, J. Jensen, "An Algorithm for Intelligibility Prediction of Time-Frequency Weighted Noisy Speech", 2011).
//!
//! What is compared is how loud each third of an octave is over time, not the form of the wave, which codecs such as G.729
//! and AMR do not keep. In brackets stand the paper's names.

use std::f64::consts::PI;

use crate::resample::Resampler;

/// Samples a second that both are compared at.
const RATE: u32 = 10_000;
/// Samples of a frame; they overlap by half.
const FRAME: usize = 256;
/// Points of a spectrum.
const POINTS: usize = 512;
/// Bands, thirds of an octave, and the middle of the lowest one in hertz.
const BANDS: usize = 15;
const LOWEST: f64 = 150.0;
/// Frames of a stretch that is compared, 384 ms [N].
const STRETCH: usize = 30;
/// Decibels below the loudest frame of the original where silence begins.
const SILENCE: f64 = 40.0;
/// A band that is more than 15 dB worse counts as if it were so [beta].
const WORST: f64 = 15.0;

/// From 0, nothing is understood, to 1, all is; `None` if the original has less than half a second of speech. Both have this
/// rate and begin with the same word.
pub fn stoi(original: &[i16], copy: &[i16], rate: u32) -> Option<f64> {
    let length = original.len().min(copy.len());
    let [original, copy] = [original, copy].map(|samples| {
        let mut changed = Vec::new();
        Resampler::new(rate, RATE).resample(&samples[..length], &mut changed);
        changed.into_iter().map(f64::from).collect::<Vec<f64>>()
    });
    let window: Vec<f64> =
        (1..=FRAME).map(|n| 0.5 - 0.5 * (2.0 * PI * n as f64 / (FRAME + 1) as f64).cos()).collect();
    let [original, copy] = without_silence(&original, &copy, &window);
    let bands = bands();
    let [original, copy] = [&original, &copy].map(|samples| {
        frames(samples, &window).map(|frame| loudness(frame, &bands)).collect::<Vec<_>>()
    });
    let stretches = original.windows(STRETCH).zip(copy.windows(STRETCH));
    let alike: Vec<f64> = stretches
        .flat_map(|(original, copy)| {
            (0..BANDS).map(move |band| {
                let of = |frames: &[[f64; BANDS]]| -> [f64; STRETCH] {
                    std::array::from_fn(|n| frames[n][band])
                };
                correlation(of(original), of(copy))
            })
        })
        .collect();
    (!alike.is_empty()).then(|| alike.iter().sum::<f64>() / alike.len() as f64)
}

/// Frames, half over each other.
fn frames<'a>(
    samples: &'a [f64],
    window: &'a [f64],
) -> impl Iterator<Item = [f64; FRAME]> + use<'a> {
    let starts = (0..samples.len().saturating_sub(FRAME)).step_by(FRAME / 2);
    starts.map(move |start| std::array::from_fn(|n| samples[start + n] * window[n]))
}

/// Both without the frames in which the original is silent.
fn without_silence(original: &[f64], copy: &[f64], window: &[f64]) -> [Vec<f64>; 2] {
    let pairs: Vec<_> = frames(original, window).zip(frames(copy, window)).collect();
    let energy = |frame: &[f64; FRAME]| {
        20.0 * (frame.iter().map(|s| s * s).sum::<f64>().sqrt() + f64::EPSILON).log10()
    };
    let energies: Vec<f64> = pairs.iter().map(|(frame, _)| energy(frame)).collect();
    let loudest = energies.iter().copied().fold(f64::MIN, f64::max);
    let spoken: Vec<_> = pairs
        .iter()
        .zip(energies)
        .filter(|(_, energy)| *energy > loudest - SILENCE)
        .map(|(pair, _)| pair)
        .collect();
    let mut out = [(); 2].map(|()| vec![0.0; (spoken.len() + 1) * FRAME / 2]);
    for (n, (original, copy)) in spoken.into_iter().enumerate() {
        for (out, frame) in out.iter_mut().zip([original, copy]) {
            let start = n * FRAME / 2;
            out[start..start + FRAME].iter_mut().zip(frame).for_each(|(sum, s)| *sum += s);
        }
    }
    out
}

/// The points of each band.
fn bands() -> [std::ops::Range<usize>; BANDS] {
    let point = |hertz: f64| (hertz * POINTS as f64 / f64::from(RATE)).round() as usize;
    std::array::from_fn(|band| {
        let edge = |half: f64| point(LOWEST * 2_f64.powf((2.0 * band as f64 + half) / 6.0));
        edge(-1.0)..edge(1.0)
    })
}

/// How loud a frame is in each band.
fn loudness(frame: [f64; FRAME], bands: &[std::ops::Range<usize>; BANDS]) -> [f64; BANDS] {
    let mut spectrum = [(0.0, 0.0); POINTS];
    spectrum.iter_mut().zip(frame).for_each(|(point, sample)| point.0 = sample);
    transform(&mut spectrum);
    bands.each_ref().map(|points| {
        spectrum[points.clone()].iter().map(|(re, im)| re * re + im * im).sum::<f64>().sqrt()
    })
}

/// The discrete Fourier transform, by halves (Cooley and Tukey).
fn transform(points: &mut [(f64, f64); POINTS]) {
    let bits = POINTS.trailing_zeros();
    for n in 0..POINTS {
        let mirrored = n.reverse_bits() >> (usize::BITS - bits);
        if n < mirrored {
            points.swap(n, mirrored);
        }
    }
    let mut half = 1;
    while half < POINTS {
        for start in (0..POINTS).step_by(2 * half) {
            for n in 0..half {
                let (sin, cos) = (-PI * n as f64 / half as f64).sin_cos();
                let (a, b) = (points[start + n], points[start + n + half]);
                let turned = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
                points[start + n] = (a.0 + turned.0, a.1 + turned.1);
                points[start + n + half] = (a.0 - turned.0, a.1 - turned.1);
            }
        }
        half *= 2;
    }
}

/// How alike both are over time, with the copy as loud as the original and no band worse than it may count.
fn correlation(original: [f64; STRETCH], copy: [f64; STRETCH]) -> f64 {
    let norm = |x: &[f64; STRETCH]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let louder = norm(&original) / (norm(&copy) + f64::EPSILON);
    let most = 1.0 + 10_f64.powf(WORST / 20.0);
    let copy: [f64; STRETCH] = std::array::from_fn(|n| (copy[n] * louder).min(original[n] * most));
    let [original, copy] = [original, copy].map(|x| {
        let mean = x.iter().sum::<f64>() / STRETCH as f64;
        let about = x.map(|x| x - mean);
        let norm = norm(&about) + f64::EPSILON;
        about.map(|x| x / norm)
    });
    original.iter().zip(copy).map(|(a, b)| a * b).sum()
}
