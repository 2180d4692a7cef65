//! Encoders and decoders against other people's, sample by sample; `vectors/README.md` says whose.

use base::relay::{Amr, Encoding};
use codec::{Decode, Encode, decoder, encoder, g722, g729, gsm};

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

/// Decibels that a copy is above its difference from the original.
fn clarity(original: &[i16], copy: &[i16]) -> f64 {
    let pairs = || original.iter().zip(copy).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let energy: f64 = pairs().map(|(a, _)| a * a).sum();
    10.0 * (energy / pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f64>().max(1.0)).log10()
}

/// libbcg729 computes with other roundings than the recommendation: what both hear is the same to the ear.
#[test]
fn g729_sounds_like_bcg729s() {
    let (code, theirs) =
        (include_bytes!("../vectors/g729.code"), samples(include_bytes!("../vectors/g729.heard")));
    let hear = |code: &[u8]| {
        let mut heard = Vec::new();
        g729::Decoder::default().decode(code, &mut heard).unwrap();
        heard
    };
    let ours = hear(code);
    assert_eq!(ours.len(), theirs.len());
    assert!(clarity(&theirs, &ours) > 30.0, "{:.1} dB", clarity(&theirs, &ours));
    // What our encoder makes of the same is as far from it as what theirs makes.
    let mut coded = Vec::new();
    g729::Encoder::default().encode(&said(1), &mut coded);
    assert_eq!(coded.len(), code.len());
    let [ours, theirs] = [hear(&coded), ours].map(|heard| clarity(&said(1)[..8000], &heard[40..]));
    assert!(ours > theirs - 1.0, "{ours:.1} dB, {theirs:.1} dB");
}

/// Payloads that stand behind their lengths.
fn payloads(mut code: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some((length, rest)) = code.split_first_chunk::<2>() {
        let (payload, rest) = rest.split_at(u16::from_le_bytes(*length).into());
        all.push(payload);
        code = rest;
    }
    all
}

/// Payloads and sounds of an encoding; `before` stands in front of each payload.
fn check_payloads(
    encoding: Encoding,
    said: &[i16],
    before: &[u8],
    (code, heard): (&[u8], &[u8]),
    mask: u16,
) {
    let (mut encoder, mut decoder) = (encoder(encoding), decoder(encoding));
    let mut ours = Vec::new();
    for (said, theirs) in said.chunks_exact(encoding.frame()).zip(payloads(code)) {
        let mut payload = Vec::new();
        encoder.encode(said, &mut payload);
        let theirs = [before, theirs].concat();
        same(&payload, &theirs);
        assert_eq!(decoder.decode(&theirs, &mut ours), Ok(()));
    }
    let masked = |samples: Vec<i16>| -> Vec<u16> {
        samples.into_iter().map(|sample| sample as u16 & mask).collect()
    };
    same(&masked(ours), &masked(samples(heard)));
}

/// In octet-aligned payloads a frame is as in a file, behind a byte that asks for no mode (RFC 4867 §4.4, §5.3).
fn amr(wide: bool, mode: u16) -> Encoding {
    Encoding::Amr(Amr { wide, octet_aligned: true, modes: 1 << mode })
}

#[test]
fn amr_is_opencores() {
    for (mode, code, heard) in [
        (0, &include_bytes!("../vectors/amr0.code")[..], include_bytes!("../vectors/amr0.heard")),
        (7, &include_bytes!("../vectors/amr7.code")[..], include_bytes!("../vectors/amr7.heard")),
    ] {
        check_payloads(amr(false, mode), &said(1), &[0xf0], (code, heard), !0);
    }
}

#[test]
fn amr_wb_is_vos_and_opencores() {
    for (mode, code, heard) in [
        (
            0,
            &include_bytes!("../vectors/amrwb0.code")[..],
            include_bytes!("../vectors/amrwb0.heard"),
        ),
        (
            2,
            &include_bytes!("../vectors/amrwb2.code")[..],
            include_bytes!("../vectors/amrwb2.heard"),
        ),
        (
            8,
            &include_bytes!("../vectors/amrwb8.code")[..],
            include_bytes!("../vectors/amrwb8.heard"),
        ),
    ] {
        // TS 26.173 makes samples of 14 bits; its decoder here leaves out what is below them.
        check_payloads(amr(true, mode), &doubled(&said(1)), &[0xf0], (code, heard), !3);
    }
}

#[test]
fn opus_is_libopuss() {
    let (code, heard) =
        (include_bytes!("../vectors/opus.code"), include_bytes!("../vectors/opus.heard"));
    check_payloads(Encoding::Opus, &doubled(&said(1)), &[], (code, heard), !0);
}

/// The same frames in the payloads that are usual, whose parts are not aligned.
#[test]
fn amr_has_two_payloads() {
    for wide in [false, true] {
        let of = |octet_aligned| Encoding::Amr(Amr { wide, octet_aligned, modes: 0 });
        let (mut short, mut long) = (encoder(of(false)), encoder(of(true)));
        let (mut from_short, mut from_long) = (decoder(of(false)), decoder(of(true)));
        for two in said(1).chunks_exact(2 * of(true).frame()) {
            let (mut payload, mut aligned) = (Vec::new(), Vec::new());
            short.encode(two, &mut payload);
            long.encode(two, &mut aligned);
            assert_ne!(payload, aligned);
            let (mut heard, mut same) = (Vec::new(), Vec::new());
            from_short.decode(&payload, &mut heard).unwrap();
            from_long.decode(&aligned, &mut same).unwrap();
            assert_eq!(heard.len(), two.len());
            assert_eq!(heard, same);
        }
    }
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
