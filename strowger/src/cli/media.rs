//! `strowger media`: what the media relay can do on this machine.

use std::time::Instant;

use base::relay::Encoding;
use clap::Subcommand;
use codec::resample::Resampler;
use codec::stoi::stoi;
use rtp::likeness::compare;
use rtp::{prompts, wav};

use super::{Failure, print};

/// Tell what the media relay can do
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Convert speech between all codecs, and tell how it sounds and what it costs
    ///
    /// Each line is what somebody says, each column what somebody else hears. Measured here and now, with a sentence of
    /// four seconds and the packet path's own code: how well it is understood, from 0 to 1 (STOI: 0.9 is good), and the
    /// microseconds of one core for 20 ms of it.
    #[command(after_help = "Examples:\n  strowger media codecs\n\n\
                            A relay converts where NG asks for it: `codec-transcode-PCMA`, `codec-mask-G722`.")]
    Codecs,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    match args.command {
        Command::Codecs => codecs(),
    }
}

fn codecs() -> Result<(), Failure> {
    let said = wav::read(prompts::ALICE).map_err(Failure::new)?.samples;
    let names = Encoding::ALL.map(name);
    let width = names.iter().map(String::len).max().unwrap_or_default().max(11);
    let mut head = format!("{:width$}", "said \\ heard");
    for name in &names {
        head += &format!("  {name:>width$}");
    }
    print(&format!("{head}\n"))?;
    for from in Encoding::ALL {
        let payloads = encoded(from, &said);
        let mut line = format!("{:width$}", name(from));
        for to in Encoding::ALL {
            let begin = Instant::now();
            let converted = media::convert(from, to, &payloads);
            let cost = begin.elapsed().as_secs_f64() * 1e6 / payloads.len().max(1) as f64;
            let understood = understood(&said, &heard(to, &converted));
            line += &format!("  {:>width$}", format!("{understood:.3} {cost:4.0}"));
        }
        print(&format!("{line}\n"))?;
    }
    Ok(())
}

/// The copy begins where it is most like the original.
fn understood(said: &[i16], heard: &[i16]) -> f64 {
    let delay = usize::try_from(compare(said, heard).delay).unwrap_or(0);
    let heard = heard.get(delay..).unwrap_or_default();
    stoi(said, heard, 8000).unwrap_or(0.0)
}

fn name(encoding: Encoding) -> String {
    let channels = if encoding.channels() > 1 { "/2" } else { "" };
    match encoding {
        Encoding::L16 { rate, .. } => format!("L16/{rate}{channels}"),
        known => known.name().to_owned(),
    }
}

/// Payloads of 20 ms each.
fn encoded(encoding: Encoding, said: &[i16]) -> Vec<Vec<u8>> {
    let mut mono = Vec::new();
    Resampler::new(8000, encoding.rate()).resample(said, &mut mono);
    let channels = usize::from(encoding.channels());
    let mut encoder = codec::encoder(encoding);
    let frames = mono.chunks_exact(encoding.rate() as usize / 50);
    frames
        .map(|frame| {
            let all: Vec<i16> =
                frame.iter().flat_map(|sample| std::iter::repeat_n(*sample, channels)).collect();
            let mut payload = Vec::new();
            encoder.encode(&all, &mut payload);
            payload
        })
        .collect()
}

/// The first channel of what payloads say, at 8000 Hz.
fn heard(encoding: Encoding, payloads: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = codec::decoder(encoding);
    let mut all = Vec::new();
    for payload in payloads {
        // What our own encoder makes is never broken.
        let _ = decoder.decode(payload, &mut all);
    }
    let first: Vec<i16> = all.iter().step_by(encoding.channels().into()).copied().collect();
    let mut out = Vec::new();
    Resampler::new(encoding.rate(), 8000).resample(&first, &mut out);
    out
}
