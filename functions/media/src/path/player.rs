//! Sound that a peer hears in place of the other one: a stream of its own, a packet each 20 ms.

use base::Instant;
use base::relay::Playing;
use base::time::Duration;
use codec::resample::Resampler;

use super::transcode::{Speech, Stream};

/// What a packet lasts.
const PACKET: Duration = Duration::from_millis(20);
/// A path that was held up for longer does not make up for it.
const LATE: Duration = Duration::from_millis(200);

pub(super) struct Player {
    playing: Playing,
    /// Where in the sound it is, and how often it was at the end.
    position: usize,
    times: u32,
    /// How long it is said.
    said: Duration,
    due: Instant,
    resampler: Resampler,
    speech: Option<Speech>,
    stream: Stream,
}

impl Player {
    pub(super) fn new(now: Instant, playing: Playing) -> Player {
        Player {
            position: playing.from.min(playing.sound.len()),
            times: 0,
            said: Duration::ZERO,
            due: now,
            resampler: Resampler::new(playing.rate, playing.encoding.rate()),
            speech: None,
            stream: Stream::new(playing.begin),
            playing,
        }
    }

    /// Goes on in another encoding, if it is the same that is said.
    pub(super) fn go_on(mut self, now: Instant, playing: Playing) -> Player {
        if self.playing.number != playing.number {
            return Player::new(now, playing);
        }
        self.resampler = Resampler::new(playing.rate, playing.encoding.rate());
        self.playing = playing;
        self
    }

    /// When the next packet leaves; `None` when all is said.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.is_over()).then_some(self.due)
    }

    /// The packets that leave until now wait for [`Player::poll`].
    pub(super) fn expire(&mut self, now: Instant) {
        if now.since(self.due) > LATE {
            self.due = now;
        }
        while self.due <= now && !self.is_over() {
            self.due += PACKET;
            self.say();
        }
    }

    /// A packet that leaves.
    pub(super) fn poll(&mut self) -> Option<Vec<u8>> {
        self.stream.poll()
    }

    fn is_over(&self) -> bool {
        let Playing { sound, times, longest, .. } = &self.playing;
        sound.is_empty()
            || times.is_some_and(|times| self.times >= times)
            || longest.is_some_and(|longest| self.said >= longest)
    }

    fn say(&mut self) {
        let Playing { sound, rate, payload_type, encoding, .. } = &self.playing;
        let mut wanted = *rate as usize * PACKET.as_millis() as usize / 1000;
        let mut samples = Vec::with_capacity(wanted);
        while wanted > 0 && !self.is_over() {
            let rest = &sound[self.position..];
            let part = &rest[..rest.len().min(wanted)];
            samples.extend_from_slice(part);
            wanted -= part.len();
            self.position += part.len();
            if self.position >= sound.len() {
                (self.position, self.times) = (0, self.times.saturating_add(1));
            }
        }
        self.said += PACKET;
        let over = self.is_over();
        let speech = Speech::of(&mut self.speech, None, (*payload_type, *encoding, PACKET));
        let resampler = &mut self.resampler;
        speech.add(|out| resampler.resample(&samples, out));
        speech.emit(&mut self.stream);
        if over {
            speech.flush(&mut self.stream);
        }
    }
}
