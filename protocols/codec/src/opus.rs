//! Opus (RFC 6716) in the payloads of RFC 7587, by `unsafe-libopus`: libopus, turned into Rust by a program.
//!
//! Sound is one channel of 16,000 Hz, which is what telephones hear; a decoder makes that of whatever comes, in any bandwidth and with two
//! channels too.
//!
//! `unsafe`, and why: the library has the interface of C. Each call's pointers are those of slices that live as long as the
//! call, with their lengths; an encoder and a decoder are owned by one value each and freed with it; nothing
//! in them is shared with another one.

#![allow(unsafe_code)]

use std::ptr::{NonNull, null};

use unsafe_libopus::{
    OPUS_APPLICATION_VOIP, OPUS_SET_COMPLEXITY_REQUEST, OpusDecoder, OpusEncoder, opus_decode,
    opus_decoder_create, opus_decoder_destroy, opus_encode, opus_encoder_create, opus_encoder_ctl,
    opus_encoder_destroy,
};

use crate::{Corrupt, Decode, Encode};

const RATE: i32 = 16_000;
/// The longest packet: 120 ms (RFC 6716 §3.2).
const LONGEST: usize = 1920;
/// What can be asked to be concealed is a multiple of 2.5 ms.
const STEP: usize = 40;
/// Bytes of the longest payload that is made: more than any bit rate that the encoder chooses by itself.
const MOST: usize = 1275;
/// From 0 to 10: more costs more than is heard with speech.
const COMPLEXITY: i32 = 5;

/// Encoder of one stream.
pub struct Encoder(NonNull<OpusEncoder>);

/// Decoder of one stream.
pub struct Decoder(NonNull<OpusDecoder>);

// SAFETY: both own all that they point to.
unsafe impl Send for Encoder {}
// SAFETY: as above.
unsafe impl Send for Decoder {}

impl Default for Encoder {
    fn default() -> Encoder {
        let mut error = 0;
        // SAFETY: `error` lives as long as the call.
        let made = unsafe { opus_encoder_create(RATE, 1, OPUS_APPLICATION_VOIP, &raw mut error) };
        let encoder = NonNull::new(made).expect("rate and channels are those that there are");
        // SAFETY: the encoder was made above.
        unsafe { opus_encoder_ctl!(encoder.as_ptr(), OPUS_SET_COMPLEXITY_REQUEST, COMPLEXITY) };
        Encoder(encoder)
    }
}

impl Default for Decoder {
    fn default() -> Decoder {
        let mut error = 0;
        // SAFETY: `error` lives as long as the call.
        let made = unsafe { opus_decoder_create(RATE, 1, &raw mut error) };
        Decoder(NonNull::new(made).expect("rate and channels are those that there are"))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: it was made by `opus_encoder_create`, and nobody has it any more.
        unsafe { opus_encoder_destroy(self.0.as_ptr()) }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it was made by `opus_decoder_create`, and nobody has it any more.
        unsafe { opus_decoder_destroy(self.0.as_ptr()) }
    }
}

impl Encode for Encoder {
    /// One payload is one packet of Opus: 2.5, 5, 10, 20, 40, 60, 80, 100 or 120 ms.
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        let begin = payload.len();
        payload.resize(begin + MOST, 0);
        let room = &mut payload[begin..];
        // SAFETY: the lengths are those of the slices; both are less than i32::MAX: one is bounded here, the other by `MOST`.
        let made = unsafe {
            opus_encode(
                self.0.as_ptr(),
                samples.as_ptr(),
                samples.len().min(LONGEST) as i32,
                room.as_mut_ptr(),
                MOST as i32,
            )
        };
        payload.truncate(begin + usize::try_from(made).unwrap_or(0));
    }
}

impl Decoder {
    /// Appends at most so many samples; how many, if it is a packet at all.
    fn append(&mut self, payload: &[u8], most: usize, samples: &mut Vec<i16>) -> Option<usize> {
        let length = i32::try_from(payload.len()).ok()?;
        let begin = samples.len();
        samples.resize(begin + most, 0);
        let room = &mut samples[begin..];
        let data = if payload.is_empty() { null() } else { payload.as_ptr() };
        // SAFETY: the lengths are those of the slices; without data the library makes up what is missing.
        let made = unsafe {
            opus_decode(self.0.as_ptr(), data, length, room.as_mut_ptr(), most as i32, 0)
        };
        let made = usize::try_from(made).ok();
        samples.truncate(begin + made.unwrap_or(0));
        made
    }
}

impl Decode for Decoder {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<(), Corrupt> {
        let corrupt = Corrupt { codec: "opus", length: payload.len() };
        if payload.is_empty() {
            return Err(corrupt);
        }
        self.append(payload, LONGEST, samples).map(|_| ()).ok_or(corrupt)
    }

    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        let end = samples.len() + count;
        while samples.len() < end {
            let most = (end - samples.len()).next_multiple_of(STEP).min(LONGEST);
            if self.append(&[], most, samples).is_none_or(|made| made == 0) {
                samples.resize(end, 0);
            }
        }
        samples.truncate(end);
    }
}
