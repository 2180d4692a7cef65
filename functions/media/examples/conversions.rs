//! What the packet path adds to the codecs' own time where it converts speech:
//! `cargo run --release -p strowger-media --example conversions`.
//!
//! For each pair the path's own way with packets of 20 ms, and the codecs alone: the same payloads decoded, and samples
//! that have the right rate already encoded. They take turns, and the quickest round of each counts. What is beyond 1 is
//! packets, their order, the sampling rate and the channels.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "it measures, and says what")]

use std::time::{Duration, Instant};

use base::relay::Encoding;
use codec::resample::Resampler;
use rtp::{prompts, wav};

/// Packets of speech, two seconds.
const PACKETS: usize = 100;
/// They are said so often in a round: a stream that begins makes a filter, which is not to be seen.
const AGAIN: usize = 4;
const ROUNDS: usize = 7;

fn main() {
    let said = wav::read(prompts::ALICE).expect("a prompt of ours").samples;
    let name = |encoding: Encoding| match encoding {
        Encoding::L16 { rate, channels } => format!("L16/{rate}/{channels}"),
        known => known.name().to_owned(),
    };
    println!("us for 20 ms by the packet path, and how many times that of both codecs alone");
    print!("{:>11}", "");
    Encoding::ALL.into_iter().for_each(|to| print!("{:>13}", name(to)));
    println!();
    for from in Encoding::ALL {
        print!("{:>11}", name(from));
        let payloads = encoded(from, &said);
        for to in Encoding::ALL {
            let ready = converted(from, to, &payloads);
            let mut best = [Duration::MAX; 2];
            for _ in 0..ROUNDS {
                let path = timed(|| media::convert(from, to, &payloads).len());
                let codecs = timed(|| alone(from, to, &payloads, &ready));
                best = [best[0].min(path), best[1].min(codecs)];
            }
            let [path, codecs] = best.map(|all| all.as_secs_f64() * 1e6 / payloads.len() as f64);
            print!("{:>13}", format!("{path:.2} {:.2}", path / codecs));
        }
        println!();
    }
}

fn timed(what: impl FnOnce() -> usize) -> Duration {
    let begin = Instant::now();
    std::hint::black_box(what());
    begin.elapsed()
}

/// Payloads of 20 ms each.
fn encoded(encoding: Encoding, said: &[i16]) -> Vec<Vec<u8>> {
    let mut samples = Vec::new();
    Resampler::new(8000, encoding.rate()).resample(said, &mut samples);
    let frame = encoding.rate() as usize / 50;
    let samples = spread(encoding, &samples[..PACKETS * frame]).repeat(AGAIN);
    let mut encoder = codec::encoder(encoding);
    let frames = samples.chunks(frame * usize::from(encoding.channels()));
    frames
        .map(|frame| {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            payload
        })
        .collect()
}

/// One channel in all of them.
fn spread(encoding: Encoding, samples: &[i16]) -> Vec<i16> {
    let channels = usize::from(encoding.channels());
    samples.iter().flat_map(|sample| std::iter::repeat_n(*sample, channels)).collect()
}

/// What the payloads say, as samples that the other encoder takes.
fn converted(from: Encoding, to: Encoding, payloads: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = codec::decoder(from);
    let mut samples = Vec::new();
    for payload in payloads {
        decoder.decode(payload, &mut samples).expect("a payload of our own");
    }
    let first: Vec<i16> = samples.iter().step_by(from.channels().into()).copied().collect();
    let mut changed = Vec::new();
    Resampler::new(from.rate(), to.rate()).resample(&first, &mut changed);
    spread(to, &changed)
}

/// Both codecs, and nothing else; how many payloads came of it.
fn alone(from: Encoding, to: Encoding, payloads: &[Vec<u8>], ready: &[i16]) -> usize {
    let (mut decoder, mut encoder) = (codec::decoder(from), codec::encoder(to));
    let mut decoded = Vec::new();
    let mut payload = Vec::new();
    let frame = to.rate() as usize / 50 * usize::from(to.channels());
    let mut frames = ready.chunks_exact(frame);
    for coded in payloads {
        decoded.clear();
        decoder.decode(coded, &mut decoded).expect("a payload of our own");
        if let Some(frame) = frames.next() {
            payload.clear();
            encoder.encode(frame, &mut payload);
        }
        std::hint::black_box((&decoded, &payload));
    }
    payloads.len()
}
