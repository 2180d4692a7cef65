//! AMR (3GPP TS 26.090) and AMR-WB (TS 26.190) in the payloads of RFC 4867, by `rvoip-codec-core`, which is made after the
//! reference code of 3GPP.
//!
//! The highest mode that may be sent is sent, without pauses. Pauses of others (SID, TS 26.092 and 26.192) are heard as their
//! comfort noise. A request for another mode (CMR, RFC 4867 §4.3.1) is not followed.

use base::relay::Amr;
use codec_core::codecs::amr::{
    AmrCodec, AmrFrameType, AmrPacket, AmrPayloadCodec, AmrPayloadConfig, AmrPayloadFrame,
    AmrVariant,
};
use codec_core::types::{CodecConfig, CodedFrame, FrameKind, VariableRateCodec};

use crate::conceal::by_frames;
use crate::{Corrupt, Decode, Encode};

/// Encoder and payloads of one stream.
pub struct Encoder {
    codec: AmrCodec,
    payload: AmrPayloadCodec,
    variant: AmrVariant,
}

/// Decoder and payloads of one stream.
pub struct Decoder {
    codec: AmrCodec,
    payload: AmrPayloadCodec,
    variant: AmrVariant,
    /// The mode of the last frame, which one that is missing had, too.
    mode: u8,
}

fn codec(amr: Amr) -> (AmrCodec, AmrPayloadCodec, AmrVariant) {
    let (config, variant) = match amr.wide {
        false => (CodecConfig::amr_nb(), AmrVariant::NarrowBand),
        true => (CodecConfig::amr_wb(), AmrVariant::WideBand),
    };
    let modes: Vec<u8> =
        (0..variant.speech_mode_count()).filter(|mode| amr.modes & 1 << mode != 0).collect();
    let payload = match amr.octet_aligned {
        false => AmrPayloadConfig::bandwidth_efficient(variant),
        true => AmrPayloadConfig::octet_aligned(variant),
    };
    // Both refuse only what cannot be said with an `Amr`.
    let codec = AmrCodec::new(&config.with_amr_mode_set(&modes)).expect("modes are the variant's");
    let payload = AmrPayloadCodec::new(payload).expect("without CRC, sorting and interleaving");
    (codec, payload, variant)
}

impl Encoder {
    /// For a new stream.
    pub fn new(amr: Amr) -> Encoder {
        let (codec, payload, variant) = codec(amr);
        Encoder { codec, payload, variant }
    }

    fn frame(&mut self, samples: &[i16]) -> Option<AmrPayloadFrame> {
        let coded = self.codec.encode_frame(samples).ok()?;
        let frame_type = AmrFrameType::from_index(self.variant, coded.mode).ok()?;
        AmrPayloadFrame::new(frame_type, coded.quality_ok, coded.data).ok()
    }
}

impl Encode for Encoder {
    fn encode(&mut self, samples: &[i16], payload: &mut Vec<u8>) {
        let frames = samples.chunks_exact(self.variant.frame_samples());
        let frames = frames.filter_map(|frame| self.frame(frame)).collect();
        let packet = AmrPacket { cmr: None, interleaving: None, frames };
        // No frames are no payload, and that is what is appended.
        payload.extend(self.payload.pack(&packet).unwrap_or_default());
    }
}

impl Decoder {
    /// For a new stream.
    pub fn new(amr: Amr) -> Decoder {
        let (codec, payload, variant) = codec(amr);
        let mode = codec.current_mode();
        Decoder { codec, payload, variant, mode }
    }

    fn frame(&mut self, frame: AmrPayloadFrame) -> Option<Vec<i16>> {
        let kind = match frame.frame_type {
            AmrFrameType::Speech(mode) => {
                self.mode = mode.index();
                FrameKind::Speech
            }
            AmrFrameType::Sid(_) => FrameKind::ComfortNoise,
            AmrFrameType::NoData => FrameKind::NoData,
            AmrFrameType::SpeechLost => FrameKind::Lost,
        };
        let (mode, quality_ok) = (self.mode, frame.quality_ok);
        self.codec.decode_frame(&CodedFrame { kind, mode, quality_ok, data: frame.data }).ok()
    }
}

impl Decode for Decoder {
    fn decode(&mut self, payload: &[u8], samples: &mut Vec<i16>) -> Result<(), Corrupt> {
        let corrupt = Corrupt { codec: self.variant.sdp_name(), length: payload.len() };
        let begin = samples.len();
        for frame in self.payload.unpack(payload).map_err(|_| corrupt)?.frames {
            let Some(heard) = self.frame(frame) else {
                samples.truncate(begin);
                return Err(corrupt);
            };
            samples.extend(heard);
        }
        Ok(())
    }

    fn conceal(&mut self, count: usize, samples: &mut Vec<i16>) {
        let lost = CodedFrame { mode: self.mode, ..CodedFrame::lost() };
        by_frames(count, samples, || self.codec.decode_frame(&lost).ok());
    }
}
