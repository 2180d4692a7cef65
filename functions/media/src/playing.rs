//! `play media` and `stop media`: a party hears a sound in place of the other one.

use std::sync::Arc;

use base::relay::{Command as Path, Encoding, LINEAR_RATES, Playing};
use base::time::Duration;
use base::{Instant, Random};
use ng::{Outcome, Request, Response, Value};

use crate::call::Leg;
use crate::machine::Media;
use crate::requests::UNKNOWN_CALL;
use crate::words::normal;

/// A sound that can be played.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sound {
    samples: Arc<[i16]>,
    rate: u32,
}

/// Why bytes are no sound that can be played.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// No WAV file, or not one of 16 bit integers.
    #[error(transparent)]
    Wav(#[from] rtp::wav::WavError),
    /// A sampling rate that is none of the usual ones.
    #[error(
        "{0} samples in a second; 8000, 16000, 44100 and 48000 are among those that can be played"
    )]
    Rate(u32),
    /// Nothing to be heard.
    #[error("it is empty")]
    Empty,
}

impl Sound {
    /// Reads a WAV file of 16 bit integers; several channels become one.
    ///
    /// # Errors
    /// [`SoundError`]
    pub fn read(bytes: &[u8]) -> Result<Sound, SoundError> {
        let rtp::wav::Wav { rate, samples } = rtp::wav::read(bytes)?;
        if !LINEAR_RATES.contains(&rate) {
            return Err(SoundError::Rate(rate));
        }
        if samples.is_empty() {
            return Err(SoundError::Empty);
        }
        Ok(Sound { samples: samples.into(), rate })
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        milliseconds_of(self.samples.len() as u64, self.rate)
    }
}

fn milliseconds_of(samples: u64, rate: u32) -> Duration {
    Duration::from_millis(samples * 1000 / u64::from(rate.max(1)))
}

/// What a party hears in place of the other one, and since when.
#[derive(Debug)]
pub(crate) struct Played {
    playing: Playing,
    since: Instant,
}

impl Played {
    fn is_over(&self, now: Instant) -> bool {
        self.playing.duration().is_some_and(|duration| now.since(self.since) >= duration)
    }

    /// Where in the sound it is.
    fn position(&self, now: Instant) -> Duration {
        let Playing { rate, sound, from, .. } = &self.playing;
        let passed = now.since(self.since).as_millis() as u64 * u64::from(*rate) / 1000;
        milliseconds_of((*from as u64 + passed) % (sound.len() as u64).max(1), *rate)
    }
}

/// What `play media` wants.
struct Wish {
    sound: Sound,
    from: usize,
    times: Option<u32>,
    longest: Option<Duration>,
}

impl Leg {
    /// The encoding that its party hears now, and the payload type that means it there: the first one that it takes and the
    /// other one was taken for.
    pub(crate) fn heard(&self) -> Option<(u8, Encoding)> {
        let agreed = |(_, encoding): &&(u8, Encoding)| {
            let like = |name: &str, rate: u32| {
                name.eq_ignore_ascii_case(encoding.name()) && rate == encoding.clock()
            };
            self.listening.shown().iter().any(|codec| like(&codec.name, codec.rate))
        };
        self.speech.iter().find(agreed).or(self.speech.first()).copied()
    }

    /// What the packet path is to be told of what is played, if the party takes another encoding now.
    pub(crate) fn play(&mut self, now: Instant) -> Option<Path> {
        let heard = self.heard();
        let Played { playing, .. } =
            self.played.as_deref_mut().filter(|played| !played.is_over(now))?;
        let (payload_type, encoding) = heard?;
        if (playing.payload_type, playing.encoding) == (payload_type, encoding) {
            return None;
        }
        (playing.payload_type, playing.encoding) = (payload_type, encoding);
        Some(Path::Play { port: self.port, playing: Some(playing.clone()) })
    }

    fn begin(
        &mut self,
        now: Instant,
        wish: &Wish,
        number: u64,
        random: &mut Random,
    ) -> Option<Path> {
        let (payload_type, encoding) = self.heard()?;
        let Wish { sound, from, times, longest } = wish;
        let (ssrc, numbers) = (random.u64() as u32, random.u64());
        let playing = Playing {
            number,
            sound: Arc::clone(&sound.samples),
            rate: sound.rate,
            from: *from,
            times: *times,
            longest: *longest,
            payload_type,
            encoding,
            begin: (ssrc, (numbers >> 32) as u16, numbers as u32),
        };
        self.played = Some(Box::new(Played { playing: playing.clone(), since: now }));
        Some(Path::Play { port: self.port, playing: Some(playing) })
    }
}

impl Media {
    /// `play media`: for the party that is named by tag, label or address, or for all.
    pub(crate) fn play_media(&mut self, request: &Request) -> Response {
        self.wish(request)
            .and_then(|wish| self.begin(request, &wish))
            .unwrap_or_else(Response::error)
    }

    fn begin(&mut self, request: &Request, wish: &Wish) -> Result<Response, String> {
        let (now, number) = (self.now, self.number());
        let (calls, random) = (&mut self.calls, &mut self.random);
        let call = request.call_id.as_ref().and_then(|id| self.by_id.get(id));
        let call = call.and_then(|number| calls.get_mut(number)).ok_or(UNKNOWN_CALL)?;
        let (mut found, mut commands) = (false, Vec::new());
        for leg in call.meant(request).filter(|leg| !leg.speech.is_empty()) {
            found = true;
            commands.extend(leg.begin(now, wish, number, random));
        }
        let duration = commands.iter().find_map(|command| match command {
            Path::Play { playing: Some(playing), .. } => Some(playing.duration()),
            _ => None,
        });
        let duration = duration.ok_or(match found {
            true => "The participant takes no codec that sound can be converted to",
            false => "No such participant",
        })?;
        commands.into_iter().for_each(|command| self.tell(command));
        let mut response = Response::new(Outcome::Ok);
        if let Some(duration) = duration {
            response.other.push("duration", duration.as_millis() as i64);
        }
        Ok(response)
    }

    /// `stop media`: the party hears the other one again.
    pub(crate) fn stop_media(&mut self, request: &Request) -> Response {
        let now = self.now;
        let call = request.call_id.as_ref().and_then(|id| self.by_id.get(id));
        let Some(call) = call.and_then(|number| self.calls.get_mut(number)) else {
            return Response::error(UNKNOWN_CALL);
        };
        let (mut ports, mut response) = (Vec::new(), Response::new(Outcome::Ok));
        for leg in call.meant(request) {
            if let Some(played) = leg.played.take().filter(|played| !played.is_over(now)) {
                if ports.is_empty() {
                    let position = played.position(now).as_millis() as i64;
                    response.other.push("last-frame-pos", position);
                }
                ports.push(leg.port);
            }
        }
        if ports.is_empty() {
            return Response::error("Not currently playing media");
        }
        ports.into_iter().for_each(|port| self.tell(Path::Play { port, playing: None }));
        response
    }

    fn wish(&self, request: &Request) -> Result<Wish, String> {
        let number = |name: &str| {
            let found = request.other.iter().find(|(key, _)| normal(key) == name);
            found.and_then(|(_, value)| u64::try_from(value.as_int()?).ok())
        };
        let sound = self.sound(request)?;
        let start = number("start-pos").unwrap_or(0).saturating_mul(u64::from(sound.rate)) / 1000;
        let times = u32::try_from(number("repeat-times").unwrap_or(1)).unwrap_or(u32::MAX);
        Ok(Wish {
            from: usize::try_from(start).unwrap_or(usize::MAX).min(sound.samples.len()),
            sound,
            times: Some(times).filter(|times| *times > 0),
            longest: number("repeat-duration").filter(|ms| *ms > 0).map(Duration::from_millis),
        })
    }

    fn sound(&self, request: &Request) -> Result<Sound, String> {
        if let Some(Value::Text(bytes)) = request.other.get("blob") {
            return Sound::read(bytes)
                .map_err(|error| format!("The blob cannot be played: {error}"));
        }
        let id = request.other.iter().find(|(key, _)| normal(key) == "db-id");
        let id = id.and_then(|(_, value)| value.as_int()).map(|id| id.to_string());
        let file = request.other.text("file");
        let name = id.or_else(|| file.map(str::to_owned)).ok_or("No media file specified")?;
        // Of a path the name counts: sounds are read from one folder.
        let stem = name.rsplit('/').next().unwrap_or(&name);
        let stem = stem.strip_suffix(".wav").unwrap_or(stem);
        self.config.sounds.get(stem).cloned().ok_or_else(|| {
            format!("There is no sound {stem}: put {stem}.wav into the folder `sounds` of [media], then `strowger reload`")
        })
    }
}
