//! Sound that a peer hears in place of the other one.

use std::sync::Arc;

use crate::relay::Encoding;
use crate::time::Duration;

/// What is said to a peer, in which encoding and how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Playing {
    /// Which one: what goes on with another encoding has the same number.
    pub number: u64,
    /// Samples of one channel.
    pub sound: Arc<[i16]>,
    /// Samples in a second.
    pub rate: u32,
    /// Samples that are left out at the beginning of the first time.
    pub from: usize,
    /// How many times it is said; `None` until it is told to stop.
    pub times: Option<u32>,
    /// It ends after this time, wherever it is.
    pub longest: Option<Duration>,
    /// The payload type that means the encoding to the peer.
    pub payload_type: u8,
    /// What the peer understands.
    pub encoding: Encoding,
    /// The first packet's synchronisation source, sequence number and timestamp, RFC 3550 §5.1.
    pub begin: (u32, u16, u32),
}

impl Playing {
    /// How long it is said if nobody stops it; `None` for ever.
    pub fn duration(&self) -> Option<Duration> {
        let samples = self.sound.len() as u64;
        let all = self.times.map(|times| {
            let samples = (samples * u64::from(times)).saturating_sub(self.from as u64);
            let rate = u64::from(self.rate.max(1));
            // Not in one step: whoever asks for billions of times gets them.
            let rest = samples % rate * 1_000_000 / rate;
            Duration::from_secs(samples / rate) + Duration::from_micros(rest)
        });
        match (all, self.longest) {
            (Some(all), Some(longest)) => Some(all.min(longest)),
            (all, longest) => all.or(longest),
        }
    }
}
