//! L16: samples as they are, the upper byte first (RFC 3551 §4.5.11).

use crate::conceal::Concealment;
use crate::{Corrupt, Decode, Encode};

/// Encodes any number of channels.
#[derive(Debug, Default)]
pub struct Encoder;

impl Encode for Encoder {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        payload.extend(samples.iter().flat_map(|sample| sample.to_be_bytes()));
    }
}

/// Decodes any number of channels.
#[derive(Debug)]
pub struct Decoder {
    /// One for each channel.
    concealment: Vec<Concealment>,
}

impl Decoder {
    /// For so many samples a second of each channel.
    pub fn new(rate: u32, channels: u8) -> Decoder {
        Decoder { concealment: (0..channels.max(1)).map(|_| Concealment::new(rate)).collect() }
    }
}

impl Decode for Decoder {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<(), Corrupt> {
        let channels = self.concealment.len();
        let (pairs, rest) = payload.as_chunks::<2>();
        if !rest.is_empty() || pairs.len() % channels != 0 {
            return Err(Corrupt { codec: "L16", length: payload.len() });
        }
        let begin = samples.len();
        samples.extend(pairs.iter().map(|pair| i16::from_be_bytes(*pair)));
        let mut one: Vec<i16> = Vec::with_capacity(pairs.len() / channels);
        for (channel, concealment) in self.concealment.iter_mut().enumerate() {
            one.clear();
            one.extend(samples[begin..].iter().skip(channel).step_by(channels));
            concealment.heard(&mut one);
            for (sample, heard) in
                samples[begin..].iter_mut().skip(channel).step_by(channels).zip(&one)
            {
                *sample = *heard;
            }
        }
        Ok(())
    }

    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        let channels = self.concealment.len();
        let begin = samples.len();
        samples.resize(begin + count, 0);
        let mut one = Vec::with_capacity(count.div_ceil(channels));
        for (channel, concealment) in self.concealment.iter_mut().enumerate() {
            one.clear();
            concealment.conceal(count / channels, &mut one);
            for (sample, made) in
                samples[begin..].iter_mut().skip(channel).step_by(channels).zip(&one)
            {
                *sample = *made;
            }
        }
    }
}
