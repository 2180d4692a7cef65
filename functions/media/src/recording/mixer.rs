//! Packets of two parties as the samples of one file: each at its place in time, what is missing is silence.

use std::sync::Arc;

use base::Instant;
use base::relay::{Conversion, Form, Format, Recording, Sound, Tap};
use base::time::Duration;
use codec::mix::Mix;
use rtp::Packet;

use super::recorded_as;
use crate::path::Transcoder;

/// As long a packet may be on its way before its place in the file is written.
const WAIT: Duration = Duration::from_millis(500);
/// A party whose clock is this far from ours is put right.
const ASTRAY: Duration = Duration::from_millis(1000);
/// What is put into packets on the way from one encoding to another.
const PACKET: Duration = Duration::from_millis(20);

/// The parties of one recording.
pub struct Mixer {
    form: Form,
    rate: u32,
    /// When the first packet arrived.
    begin: Option<Instant>,
    /// Samples of each channel that are written.
    written: u64,
    tracks: [Track; 2],
    mix: Mix,
}

/// What one party said.
#[derive(Default)]
struct Track {
    transcoder: Option<Transcoder>,
    formats: Option<Arc<[Format]>>,
    /// A timestamp of its samples, and the place in the file that it means.
    anchor: Option<(u32, u64)>,
    /// What is not written yet.
    samples: Vec<i16>,
}

impl Mixer {
    /// For a recording that becomes sound.
    pub fn new(recording: &Recording) -> Mixer {
        let Recording { form, rate, .. } = *recording;
        let (tracks, mix) = (Default::default(), Mix::default());
        Mixer { form, rate: rate.max(1), begin: None, written: 0, tracks, mix }
    }

    /// Channels of the file.
    pub fn channels(&self) -> u16 {
        if self.form == Form::Stereo { 2 } else { 1 }
    }

    /// A packet of RTP arrived.
    pub fn packet(&mut self, tap: &Tap, at: Instant, bytes: &[u8]) {
        let begin = *self.begin.get_or_insert(at);
        let place = self.samples_in(at.since(begin));
        let (rate, written) = (self.rate, self.written);
        let Some(track) = self.tracks.get_mut(tap.side) else { return };
        track.listen_to(&tap.formats, rate);
        let Some(transcoder) = &mut track.transcoder else { return };
        transcoder.packet(at, bytes);
        let astray = u64::from(rate) * ASTRAY.as_millis() as u64 / 1000;
        let packets: Vec<Vec<u8>> = std::iter::from_fn(|| transcoder.poll()).collect();
        for bytes in packets {
            let Ok(packet) = Packet::parse(&bytes) else { continue };
            let timestamp = packet.timestamp();
            let (since, at) = *track.anchor.get_or_insert((timestamp, place));
            let ahead = i64::from(timestamp.wrapping_sub(since) as i32);
            let mut position = at.saturating_add_signed(ahead);
            if position.abs_diff(place) > astray {
                position = place;
            }
            track.anchor = Some((timestamp, position));
            let samples = packet.payload().chunks_exact(2);
            track.put(position, written, samples.map(|b| i16::from_be_bytes([b[0], b[1]])));
        }
    }

    /// The samples that can be written now, at most a second of them; those of all channels one after the other. Empty when
    /// what is left may still change; at the end nothing is left.
    pub fn take(&mut self, now: Instant, end: bool) -> Vec<i16> {
        let Some(begin) = self.begin else { return Vec::new() };
        let known = self.tracks.iter().map(|track| track.samples.len()).max().unwrap_or(0) as u64;
        let over = self.samples_in(now.since(begin).saturating_sub(WAIT));
        let until = if end { self.written + known } else { over };
        let count = until.saturating_sub(self.written).min(u64::from(self.rate)) as usize;
        self.written += count as u64;
        let voices = self.tracks.each_mut().map(|track| {
            let rest = track.samples.split_off(count.min(track.samples.len()));
            std::mem::replace(&mut track.samples, rest)
        });
        let mut out = Vec::with_capacity(count * usize::from(self.channels()));
        if self.form == Form::Stereo {
            let sample = |voice: &[i16], n| voice.get(n).copied().unwrap_or_default();
            out.extend((0..count).flat_map(|n| voices.each_ref().map(|voice| sample(voice, n))));
        } else {
            self.mix.clear(count);
            voices.iter().for_each(|voice| self.mix.add(voice));
            self.mix.all(&mut out);
        }
        out
    }

    fn samples_in(&self, time: Duration) -> u64 {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        micros.saturating_mul(u64::from(self.rate)) / 1_000_000
    }
}

impl Track {
    /// What comes has these formats.
    fn listen_to(&mut self, formats: &Arc<[Format]>, rate: u32) {
        if self.formats.as_ref() == Some(formats) {
            return;
        }
        self.formats = Some(Arc::clone(formats));
        let to = Format { payload_type: 127, sound: Sound::Speech(recorded_as(rate)) };
        let conversion = |from: &Format| match from.sound {
            Sound::Speech(_) | Sound::Digits { .. } => {
                Some(Conversion { from: *from, to, packet: Some(PACKET), digits: None })
            }
            Sound::Opaque { .. } | Sound::Noise { .. } => None,
        };
        let conversions = formats.iter().filter_map(conversion).collect();
        match &mut self.transcoder {
            Some(transcoder) => transcoder.convert(conversions),
            none => *none = Some(Transcoder::new(conversions)),
        }
    }

    /// Puts samples at their place; what is written already is not written again.
    fn put(&mut self, position: u64, written: u64, samples: impl Iterator<Item = i16>) {
        for (at, sample) in (position..).zip(samples) {
            let Some(at) = at.checked_sub(written) else { continue };
            let at = at as usize;
            if at >= self.samples.len() {
                self.samples.resize(at + 1, 0);
            }
            self.samples[at] = sample;
        }
    }
}
