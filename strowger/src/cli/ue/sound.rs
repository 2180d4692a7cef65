//! What is said and heard in calls.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ue::Audio;

use super::seconds;
use crate::cli::Failure;
use crate::phones::{Phone, Talk};

/// After the last word, so that it is heard at the other side.
const AFTER: Duration = Duration::from_millis(300);

/// A digit, its repeated end and its pause last no longer, RFC 4733 §2.5.1.
const DIGIT: Duration = Duration::from_millis(400);

/// How much later than we the other side may begin to speak.
const LATE: Duration = Duration::from_secs(10);

/// The longest recording.
const RECORDING: Duration = Duration::from_secs(3600);

/// Sound files are WAV, 8000 Hz, 16 bit, one channel. Two are built in: `alice` and `bob`.
#[derive(clap::Args)]
#[command(next_help_heading = "Call")]
pub(super) struct Sound {
    /// What is said: a WAV file of 8 kHz, 16 bit, mono; or alice, bob, silence [default: a caller
    /// says alice, who is called says bob]
    #[arg(long, value_name = "FILE")]
    say: Option<String>,
    /// Say it again and again
    #[arg(long)]
    repeat: bool,
    /// Write what is heard to this WAV file; with several calls their number is appended
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Fail unless this is heard: a WAV file, alice or bob
    #[arg(long, value_name = "FILE")]
    expect: Option<String>,
    /// Send these digits: 0-9, *, #, A-D
    #[arg(long, value_name = "DIGITS", value_parser = digits)]
    dtmf: Option<String>,
    /// When the digits are sent, in seconds from the answer
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5, value_parser = seconds)]
    dtmf_at: f64,
    /// Put the other side on hold, so many seconds from the answer
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    hold_at: Option<f64>,
    /// How many seconds it is on hold
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    hold_for: f64,
}

fn digits(text: &str) -> Result<String, String> {
    let text = text.to_ascii_uppercase();
    let legal = |c: char| c.is_ascii_digit() || "*#ABCD".contains(c);
    let all = !text.is_empty() && text.chars().all(legal);
    if all { Ok(text) } else { Err("digits are 0-9, *, # and A-D".to_owned()) }
}

impl Sound {
    /// Tells the phones what to say, and gives what happens in a call. `ends` is set if we hang up
    /// even when nobody said when.
    pub(super) fn apply(
        &self,
        phones: &mut [Phone],
        prompt: &[u8],
        length: Option<f64>,
        ends: bool,
    ) -> Result<Talk, Failure> {
        let samples = match self.say.as_deref() {
            None => samples(prompt).map_err(Failure::new)?,
            Some("silence") => Vec::new(),
            Some(file) => read("--say", "alice, bob, silence", file)?,
        };
        let expect = self.expect.as_deref();
        let expect = expect.map(|file| read("--expect", "alice, bob", file)).transpose()?;
        let from_secs = Duration::from_secs_f64;
        let hold = self.hold_at.map(|at| (from_secs(at), from_secs(self.hold_for)));
        let digits = self.dtmf.clone().map(|digits| (digits, from_secs(self.dtmf_at)));
        let words = samples.len().max(expect.as_ref().map_or(0, Vec::len)) as u64;
        let mut natural = Duration::from_millis(words / 8) + AFTER;
        if let Some((at, time)) = hold {
            natural = natural.max(at) + time;
        }
        if let Some((digits, at)) = &digits {
            natural = natural.max(*at + DIGIT * digits.len() as u32 + AFTER);
        }
        let length = length.map(from_secs).or(ends.then_some(natural));
        let samples: Arc<[i16]> = samples.into();
        for phone in phones {
            phone.config.audio = Audio { samples: samples.clone(), repeat: self.repeat };
            let recording = &mut phone.config.media.recording;
            if self.record.is_some() {
                *recording = RECORDING;
            }
            if let Some(expect) = &expect {
                *recording =
                    (*recording).max(Duration::from_millis(expect.len() as u64 / 8) + LATE);
            }
        }
        Ok(Talk { length, digits, hold, expect, record: self.record.clone() })
    }
}

/// A WAV file or a prompt of ours. `others` are the words that the option takes instead of a file.
fn read(option: &str, others: &str, file: &str) -> Result<Vec<i16>, Failure> {
    let read = match file {
        "alice" => samples(rtp::prompts::ALICE),
        "bob" => samples(rtp::prompts::BOB),
        _ => match std::fs::read(file) {
            Ok(bytes) => samples(&bytes),
            Err(error) => Err(error.to_string()),
        },
    };
    read.map_err(|error| {
        Failure::new(format!(
            "{option} {file}: {error}\n  help: {option} takes a WAV file of 8 kHz, 16 bit, \
             mono, or what is built in: {others}\n  for example: \
             sox in.wav -r 8000 -b 16 -c 1 out.wav"
        ))
    })
}

fn samples(bytes: &[u8]) -> Result<Vec<i16>, String> {
    let wav = rtp::wav::read(bytes).map_err(|error| error.to_string())?;
    match wav.rate {
        8000 => Ok(wav.samples),
        rate => Err(format!("{rate} samples in a second; 8000 are needed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phones::Phone;
    use base::redact::Secret;
    use ue::{Credential, UeConfig};

    /// All of what is expected must fit into what is recorded.
    #[test]
    fn long_expectations_and_digits_have_their_time() {
        let file = std::env::temp_dir().join(format!("strowger-long-{}.wav", std::process::id()));
        std::fs::write(&file, rtp::wav::write(8000, &vec![0; 8000 * 90]).unwrap()).unwrap();
        let password = Credential::Password(Secret::new("p".to_owned()));
        let config = UeConfig::new("a", "sip:a@ex.org", password, "ex.org");
        let mut phones = [Phone { config, listen: ([127, 0, 0, 1], 0).into() }];
        let sound = Sound {
            say: Some("silence".to_owned()),
            repeat: false,
            record: None,
            expect: Some(file.display().to_string()),
            dtmf: Some("1".repeat(250)),
            dtmf_at: 0.0,
            hold_at: None,
            hold_for: 2.0,
        };
        let talk = sound.apply(&mut phones, rtp::prompts::ALICE, None, true).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(phones[0].config.media.recording, Duration::from_secs(100));
        assert!(talk.length.unwrap() >= Duration::from_secs(100));
    }
}
