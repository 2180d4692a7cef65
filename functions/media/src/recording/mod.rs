//! `start recording`, `pause recording` and `stop recording`, and `record-call` of offers and answers.
//!
//! | File | What |
//! |---|---|
//! | `mod` | which legs are recorded, and under which name |
//! | `mixer` | packets of two parties as the samples of one file |

mod mixer;

use std::sync::Arc;

use base::Random;
use base::log::{Event, Severity};
use base::relay::{Command as Path, Encoding, Form, Recording, Sound, Tap};
use ng::{Outcome, Request, Response, Value};

use crate::call::{Call, Leg, Who};
use crate::machine::Media;
use crate::requests::UNKNOWN_CALL;
use crate::words::normal;

pub use mixer::Mixer;

/// The longest name of a file, without its ending.
const LONGEST_NAME: usize = 120;
/// Samples in a second of a recording: what telephones hear, and what wideband ones do.
const RATES: [u32; 2] = [8000, 16_000];
const NOT_CONFIGURED: &str =
    "Recording is not configured: `recordings` below [media] names the folder for it";

/// What a request wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Start,
    Pause,
    Stop,
}

impl Change {
    /// The change that a command of NG asks for.
    pub(crate) fn of(command: &str) -> Option<Change> {
        Some(match normal(command).as_str() {
            "start-recording" => Change::Start,
            "pause-recording" => Change::Pause,
            "stop-recording" => Change::Stop,
            _ => return None,
        })
    }

    /// What `record-call` of an offer or answer wants.
    pub(crate) fn wished(request: &Request) -> Option<Change> {
        let is = |name: &str| normal(name) == "record-call";
        if request.other_flags.iter().any(|flag| is(flag)) {
            return Some(Change::Start);
        }
        let (_, value) = request.other.iter().find(|(key, _)| is(key))?;
        match value {
            Value::Int(number) => Some(if *number == 0 { Change::Stop } else { Change::Start }),
            value => match value.as_str()?.to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" => Some(Change::Start),
                "no" | "off" | "false" => Some(Change::Stop),
                _ => None,
            },
        }
    }
}

/// The recording of a call.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    recording: Arc<Recording>,
    paused: bool,
}

impl Leg {
    /// What the packet path is to be told of its recording, if it does not know.
    pub(crate) fn record(
        &mut self,
        recorded: Option<&Recorded>,
        who: Who,
        audio: bool,
    ) -> Option<Path> {
        let wanted =
            recorded.filter(|r| audio || r.recording.form == Form::Pcap).map(|recorded| Tap {
                recording: Arc::clone(&recorded.recording),
                side: who as usize,
                formats: Arc::clone(&self.sends),
                paused: recorded.paused,
            });
        if self.tap.as_deref() == wanted.as_ref() {
            return None;
        }
        self.tap = wanted.clone().map(Box::new);
        Some(Path::Record { port: self.port, tap: wanted })
    }
}

impl Call {
    /// What the packet path is to be told of the recording of this call.
    pub(crate) fn record(&mut self) -> Vec<Path> {
        let recorded = self.recorded.as_ref();
        let streams = self.dialogues.iter_mut().flat_map(|d| d.streams.iter_mut().flatten());
        let mut commands = Vec::new();
        for stream in streams {
            let audio = stream.kind == "audio";
            for (leg, who) in stream.legs.iter_mut().zip([Who::A, Who::B]) {
                commands.extend(leg.record(recorded, who, audio));
            }
        }
        commands
    }

    /// Whether somebody sends more than telephones hear.
    fn is_wide(&self) -> bool {
        let wide =
            |sound: Sound| matches!(sound, Sound::Speech(encoding) if encoding.rate() > RATES[0]);
        self.legs().flat_map(|leg| leg.sends.iter()).any(|format| wide(format.sound))
    }

    fn change(
        &mut self,
        change: Change,
        request: &Request,
        form: Option<Form>,
        random: &mut Random,
    ) -> Result<(), &'static str> {
        match (change, &mut self.recorded) {
            (Change::Start, Some(recorded)) => recorded.paused = false,
            (Change::Pause, Some(recorded)) => recorded.paused = true,
            (Change::Stop, recorded) => *recorded = None,
            (Change::Pause, None) => return Err("Not currently recording"),
            (Change::Start, None) => {
                let form = form.ok_or(NOT_CONFIGURED)?;
                let rate = RATES[usize::from(self.is_wide())];
                let number = random.u64();
                let name = name(request, &self.call_id, number);
                let recording = Recording { number, name, form, rate };
                self.recorded = Some(Recorded { recording: Arc::new(recording), paused: false });
            }
        }
        Ok(())
    }
}

impl Media {
    /// One of the commands.
    pub(crate) fn change_recording(
        &mut self,
        request: &Request,
        change: Change,
    ) -> Result<Response, &'static str> {
        let call_id = request.call_id.as_deref().ok_or("No call-id in message")?;
        let number = *self.by_id.get(call_id).ok_or(UNKNOWN_CALL)?;
        self.record(number, request, change)?;
        let commands = self.calls.get_mut(&number).map(Call::record).unwrap_or_default();
        commands.into_iter().for_each(|command| self.tell(command));
        let mut response = Response::new(Outcome::Ok);
        let recorded = self.calls.get(&number).and_then(|call| call.recorded.as_ref());
        if let Some(Recorded { recording, .. }) = recorded {
            response.other.push("recording-file", recording.name.as_str());
        }
        Ok(response)
    }

    /// What an offer or answer changes of the recording of its call; new streams are recorded, too. The packet path is to be
    /// told.
    pub(crate) fn record_as_wished(&mut self, number: u64, request: &Request) -> Vec<Path> {
        if let Some(change) = Change::wished(request)
            && let Err(why) = self.record(number, request, change)
        {
            let call_id = request.call_id.as_deref().unwrap_or_default();
            let event =
                Event::new(Severity::Warning, "media.not_recorded", format!("{call_id}: {why}"));
            self.note(event.call_id(call_id));
        }
        self.calls.get_mut(&number).map(Call::record).unwrap_or_default()
    }

    /// A call is recorded, or not any more. The packet path is to be told.
    pub(crate) fn record(
        &mut self,
        number: u64,
        request: &Request,
        change: Change,
    ) -> Result<(), &'static str> {
        let call = self.calls.get_mut(&number).ok_or(UNKNOWN_CALL)?;
        let before = call.recorded.clone();
        call.change(change, request, self.config.recordings, &mut self.random)?;
        let (began, ended) = match (before, call.recorded.as_ref()) {
            (None, Some(now)) => (Some(now.recording.name.clone()), None),
            (Some(before), None) => (None, Some(before.recording.name.clone())),
            _ => return Ok(()),
        };
        let call_id = call.call_id.clone();
        let text = match (began, ended) {
            (Some(name), _) => format!("{call_id} is recorded as {name}"),
            (None, name) => {
                format!("{call_id} is recorded no more, as {}", name.unwrap_or_default())
            }
        };
        self.note(Event::new(Severity::Info, "media.recording", text).call_id(&call_id));
        Ok(())
    }
}

/// The name that a request gives the file, or one of the call's own.
fn name(request: &Request, call_id: &str, number: u64) -> String {
    let given = request.other.iter().find(|(key, _)| normal(key) == "recording-file");
    let given = given.and_then(|(_, value)| value.as_str());
    let given = given.and_then(|path| path.rsplit('/').next());
    let legal = |text: &str| -> String {
        let legal = |c: char| if c.is_ascii_alphanumeric() || "_-@+".contains(c) { c } else { '_' };
        text.chars().take(LONGEST_NAME).map(legal).collect()
    };
    // Its ending says nothing: the form decides.
    let stem = given.map(|name| name.rsplit_once('.').map_or(name, |(stem, _)| stem));
    match stem.filter(|stem| !stem.is_empty()) {
        Some(stem) => legal(stem),
        None => format!("{}-{:08x}", legal(call_id), number as u32),
    }
}

/// What speech is recorded as.
pub(crate) const fn recorded_as(rate: u32) -> Encoding {
    Encoding::L16 { rate, channels: 1 }
}
