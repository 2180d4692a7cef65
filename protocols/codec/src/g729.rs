//! G.729 with Annex A (8 kbit/s), by `rvoip-codec-core`: 80 samples at 8000 Hz in 10 bytes, RFC 3551 §4.5.6.
//!
//! Pauses (Annex B) are heard as their comfort noise, and none are made.

use codec_core::codecs::g729::G729Codec;
use codec_core::types::{AudioCodec, CodecConfig};

use crate::conceal::by_frames;
use crate::{Corrupt, Decode, Encode};

/// Samples of a frame.
pub const FRAME: usize = G729Codec::FRAME_SAMPLES;
/// Bytes of a frame.
pub const BYTES: usize = G729Codec::MAX_ENCODED_BYTES;
/// Bytes of a pause's description, which ends a payload (Annex B).
const PAUSE: usize = 2;

/// Encoder of one stream.
pub struct Encoder(G729Codec);

/// Decoder of one stream.
pub struct Decoder(G729Codec);

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder(G729Codec::new(CodecConfig::g729a()).expect("its own configuration"))
    }
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder(G729Codec::new(CodecConfig::g729ba()).expect("its own configuration"))
    }
}

impl Encode for Encoder {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        for frame in samples.chunks_exact(FRAME) {
            // What is refused is another length than this one.
            payload.extend(self.0.encode(frame).unwrap_or_default());
        }
    }
}

impl Decode for Decoder {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<(), Corrupt> {
        let corrupt = Corrupt { codec: "G729", length: payload.len() };
        if !matches!(payload.len() % BYTES, 0 | PAUSE) {
            return Err(corrupt);
        }
        let begin = samples.len();
        for frame in payload.chunks(BYTES) {
            let Ok(heard) = self.0.decode(frame) else {
                samples.truncate(begin);
                return Err(corrupt);
            };
            samples.extend(heard);
        }
        Ok(())
    }

    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        // A frame without bytes is one that is missing.
        by_frames(count, samples, || self.0.decode(&[]).ok());
    }
}
