//! Encoders and decoders against other people's, sample by sample; `vectors/README.md` says whose.

use base::relay::Encoding;
use codec::{Decode, Encode, decoder, g722, gsm};

/// What `vectors/make.py` encodes: a second of speech, then the loudest noise, or so many bits quieter.
fn said(quieter: u32) -> Vec<i16> {
    let prompt = include_bytes!("../../rtp/prompts/alice.wav");
    let speech =
        prompt[44 + 4000..].as_chunks::<2>().0[..8000].iter().map(|pair| i16::from_le_bytes(*pair));
    let mut state = 1_u32;
    let noise = (0..2000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as u16 as i16 >> quieter
    });
    speech.chain(noise).collect()
}

/// The same at 16,000 Hz.
fn doubled(samples: &[i16]) -> Vec<i16> {
    let after = samples[1..].iter().chain([&0]);
    let pair =
        |(this, after): (&i16, &i16)| [*this, ((i32::from(*this) + i32::from(*after)) >> 1) as i16];
    samples.iter().zip(after).flat_map(pair).collect()
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

/// Where two differ first.
fn same<T: PartialEq + std::fmt::Debug>(ours: &[T], theirs: &[T]) {
    let different = ours.iter().zip(theirs).position(|(ours, theirs)| ours != theirs);
    if let Some(at) = different {
        panic!("at {at} of {}: {:?} instead of {:?}", theirs.len(), ours[at], theirs[at]);
    }
    assert_eq!(ours.len(), theirs.len());
}

fn check(
    encoder: &mut dyn Encode,
    decoder: &mut dyn Decode,
    said: &[i16],
    frame: (usize, usize),
    code: &[u8],
    heard: &[u8],
) {
    let mut ours = Vec::new();
    said.chunks(frame.0).for_each(|frame| encoder.encode(frame, &mut ours));
    same(&ours, code);
    let mut ours = Vec::new();
    code.chunks(frame.1).for_each(|frame| assert_eq!(decoder.decode(frame, &mut ours), Ok(())));
    same(&ours, &samples(heard));
}

#[test]
fn g722_is_spandsps() {
    let (code, heard) =
        (include_bytes!("../vectors/g722.code"), include_bytes!("../vectors/g722.heard"));
    let (mut encoder, mut decoder) = (g722::Encoder::default(), g722::Decoder::default());
    check(&mut encoder, &mut decoder, &doubled(&said(1)), (320, 160), code, heard);
}

#[test]
fn gsm_is_libgsms() {
    let (code, heard) =
        (include_bytes!("../vectors/gsm.code"), include_bytes!("../vectors/gsm.heard"));
    let (mut encoder, mut decoder) = (gsm::Encoder::default(), gsm::Decoder::default());
    check(&mut encoder, &mut decoder, &said(0), (160, 33), code, heard);
}

#[test]
fn a_payload_that_is_none_is_refused() {
    let mut heard = Vec::new();
    for payload in [&[0xd0; 32][..], &[0xd0; 34], &[0x00; 33]] {
        assert!(gsm::Decoder::default().decode(payload, &mut heard).is_err(), "{payload:?}");
    }
    assert!(
        decoder(Encoding::L16 { rate: 8000, channels: 2 }).decode(&[0; 6], &mut heard).is_err()
    );
    // The first frame is one, the second is none: nothing is heard of either.
    let two = [&[0xd0; 33][..], &[0x00; 33]].concat();
    assert!(gsm::Decoder::default().decode(&two, &mut heard).is_err());
    assert!(heard.is_empty());
    // No sound is no fault, however many channels have none.
    let stereo = Encoding::L16 { rate: 8000, channels: 2 };
    assert_eq!(decoder(stereo).decode(&[], &mut heard), Ok(()));
}
