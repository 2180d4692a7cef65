//! From samples of one encoding to payloads of another: decoder, channels, sampling rate, encoder.

use base::relay::Encoding;
use base::time::Duration;
use codec::resample::Resampler;
use codec::{Decode, Encode, decoder, encoder};

use super::stream::Stream;

/// Where speech comes from.
struct Source {
    from: Encoding,
    decoder: Box<dyn Decode>,
    /// One for each channel, of those that come or of those that leave, whichever are fewer.
    resamplers: Vec<Resampler>,
}

/// The way from one encoding to another.
pub(in crate::path) struct Speech {
    /// Every encoding that came, the last one in front: a peer that changes it with each packet costs no more.
    sources: Vec<Source>,
    to: Encoding,
    payload_type: u8,
    /// Samples of a packet that leaves, all channels.
    frame: usize,
    encoder: Box<dyn Encode>,
    /// What was decoded last.
    decoded: Vec<i16>,
    /// Samples that wait for the rest of their packet.
    waiting: Vec<i16>,
    payload: Vec<u8>,
}

impl Speech {
    /// The way with this beginning, if one is asked for, and this end; what there is of it already goes on.
    pub(in crate::path) fn of(
        way: &mut Option<Speech>,
        from: Option<Encoding>,
        (payload_type, to, packet): (u8, Encoding, Duration),
    ) -> &mut Speech {
        let speech = way.take().filter(|speech| speech.to == to);
        let mut speech = speech.unwrap_or_else(|| Speech {
            sources: Vec::new(),
            to,
            payload_type,
            frame: 0,
            encoder: encoder(to),
            decoded: Vec::new(),
            waiting: Vec::new(),
            payload: Vec::new(),
        });
        speech.payload_type = payload_type;
        speech.frame = to.packet(packet) * usize::from(to.channels().max(1));
        if let Some(from) = from {
            speech.listen_to(from);
        }
        way.insert(speech)
    }

    /// What comes has this encoding.
    fn listen_to(&mut self, from: Encoding) {
        let to = self.to;
        let known = self.sources.iter().position(|source| source.from == from);
        let at = known.unwrap_or_else(|| {
            let resampler = Resampler::new(from.rate(), to.rate());
            let resamplers = vec![resampler; from.channels().min(to.channels()).max(1).into()];
            self.sources.push(Source { from, decoder: decoder(from), resamplers });
            self.sources.len() - 1
        });
        self.sources.swap(0, at);
    }

    /// Decodes a payload; how many samples it had, of each channel. One that is broken is concealed.
    pub(in crate::path) fn decode(&mut self, payload: &[u8]) -> usize {
        let Some(Source { from, decoder, .. }) = self.sources.first_mut() else { return 0 };
        self.decoded.clear();
        if decoder.decode(payload, &mut self.decoded).is_err() {
            let frame = from.rate() as usize / 50 * usize::from(from.channels());
            decoder.conceal(frame, &mut self.decoded);
        }
        let count = self.decoded.len() / usize::from(from.channels().max(1));
        self.take();
        count
    }

    /// What was decoded last, of the first channel.
    pub(in crate::path) fn decoded(&self) -> &[i16] {
        &self.decoded
    }

    /// So many units of the clock did not come.
    pub(in crate::path) fn conceal(&mut self, units: u32) {
        let Some(Source { from, decoder, .. }) = self.sources.first_mut() else { return };
        let count = (u64::from(units) * u64::from(from.rate()) / u64::from(from.clock())) as usize;
        self.decoded.clear();
        decoder.conceal(count * usize::from(from.channels()), &mut self.decoded);
        self.take();
    }

    /// Adds samples, as they leave, of one channel.
    pub(in crate::path) fn add(&mut self, make: impl FnOnce(&mut Vec<i16>)) {
        let mut samples = Vec::new();
        make(&mut samples);
        let channels = usize::from(self.to.channels());
        self.waiting
            .extend(samples.into_iter().flat_map(|sample| std::iter::repeat_n(sample, channels)));
    }

    /// What was decoded waits to leave: its channels become those of the other encoding, and so does its rate.
    fn take(&mut self) {
        let Some(Source { from, resamplers, .. }) = self.sources.first_mut() else { return };
        let [channels, out] = [*from, self.to].map(|of| usize::from(of.channels().max(1)));
        if let ([resampler], 1, 1) = (&mut resamplers[..], channels, out) {
            return resampler.resample(&self.decoded, &mut self.waiting);
        }
        let mut one = Vec::with_capacity(self.decoded.len() / channels);
        let mut changed = Vec::new();
        let begin = self.waiting.len();
        let alone = resamplers.len() == 1;
        for (channel, resampler) in resamplers.iter_mut().enumerate() {
            one.clear();
            changed.clear();
            one.extend(self.decoded.chunks_exact(channels).map(|frame| match alone {
                true => (frame.iter().map(|s| i32::from(*s)).sum::<i32>() / channels as i32) as i16,
                false => frame[channel],
            }));
            resampler.resample(&one, &mut changed);
            self.waiting.resize(begin + changed.len() * out, 0);
            for (frame, sample) in self.waiting[begin..].chunks_exact_mut(out).zip(&changed) {
                match alone {
                    true => frame.fill(*sample),
                    false => frame[channel] = *sample,
                }
            }
        }
        if channels > 1 {
            // Whoever listens hears the first channel.
            self.decoded = self.decoded.iter().step_by(channels).copied().collect();
        }
    }

    /// Whole packets leave.
    pub(in crate::path) fn emit(&mut self, stream: &mut Stream) {
        let whole = self.waiting.len() / self.frame * self.frame;
        for frame in self.waiting[..whole].chunks_exact(self.frame) {
            self.payload.clear();
            self.encoder.encode(frame, &mut self.payload);
            stream.sound(self.payload_type, units(self.to, frame.len()), &self.payload);
        }
        self.waiting.drain(..whole);
    }

    /// What waits leaves, with silence behind it.
    pub(in crate::path) fn flush(&mut self, stream: &mut Stream) {
        if !self.waiting.is_empty() {
            let whole = self.waiting.len().next_multiple_of(self.frame);
            self.waiting.resize(whole, 0);
            self.emit(stream);
        }
    }

    /// What waits does not leave; its time passes.
    pub(in crate::path) fn drop_sound(&mut self, stream: &mut Stream) {
        stream.skip(units(self.to, self.waiting.len()));
        self.waiting.clear();
    }
}

/// Units of the clock that so many samples of all channels last.
fn units(encoding: Encoding, samples: usize) -> u32 {
    let samples = samples as u64 / u64::from(encoding.channels().max(1));
    (samples * u64::from(encoding.clock()) / u64::from(encoding.rate().max(1))) as u32
}
