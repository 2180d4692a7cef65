//! Encodings as a caller uses them, digits and voices.

use base::relay::Encoding;
use codec::dtmf::{Detector, Heard};
use codec::tone::{Tones, digit};
use codec::voice::Activity;
use codec::{Corrupt, decoder, encoder};
use proptest::prelude::*;

const ALICE: &[u8] = include_bytes!("../../rtp/prompts/alice.wav");
const BOB: &[u8] = include_bytes!("../../rtp/prompts/bob.wav");

fn speech(wav: &[u8]) -> Vec<i16> {
    wav[44..].as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

const ALL: [Encoding; 11] = Encoding::ALL;

/// Decibels that a copy is above its difference from the original.
fn clarity(original: &[i16], copy: &[i16]) -> f64 {
    let energy = |samples: &mut dyn Iterator<Item = f64>| -> f64 { samples.map(|s| s * s).sum() };
    let pairs = || original.iter().zip(copy).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    10.0 * (energy(&mut pairs().map(|(a, _)| a))
        / energy(&mut pairs().map(|(a, b)| a - b)).max(1e-9))
    .log10()
}

#[test]
fn a_codec_has_one_name() {
    for encoding in ALL {
        assert_eq!(
            Encoding::named(
                &encoding.name().to_lowercase(),
                encoding.clock(),
                encoding.described_channels(),
                encoding.fmtp().as_deref()
            ),
            Some(encoding)
        );
        if let Some(payload_type) = encoding.payload_type() {
            assert_eq!(Encoding::of_payload_type(payload_type), Some(encoding));
        }
    }
    assert_eq!(Encoding::named("PCMU", 16_000, 1, None), None);
    assert_eq!(Encoding::named("G722", 16_000, 1, None), None);
    assert_eq!(Encoding::named("speed", 8000, 1, None), None);
    assert_eq!(Encoding::named("opus", 48_000, 1, None), None);
    assert_eq!(Encoding::named("AMR", 8000, 1, Some("crc=1")), None);
    assert_eq!(Encoding::usual("OPUS"), Some(Encoding::Opus));
    assert_eq!((Encoding::G722.clock(), Encoding::G722.rate()), (8000, 16_000));
}

#[test]
fn speech_comes_out_of_every_codec() {
    let said = &speech(ALICE)[..16_000];
    // The mirror filters of G.722 hold everything back by 22 samples.
    for (encoding, delay, least) in
        [(Encoding::Pcmu, 0, 35.0), (Encoding::Pcma, 0, 35.0), (Encoding::G722, 22, 18.0)]
    {
        let (mut payload, mut heard) = (Vec::new(), Vec::new());
        encoder(encoding).encode(said, &mut payload);
        decoder(encoding).decode(&payload, &mut heard).unwrap();
        let clarity = clarity(&said[..said.len() - delay], &heard[delay..]);
        assert!(clarity > least, "{encoding:?}: {clarity:.1} dB");
    }
}

#[test]
fn each_channel_is_concealed_for_itself() {
    let encoding = Encoding::L16 { rate: 8000, channels: 2 };
    let mut decoder = decoder(encoding);
    let (mut tone, mut payload) = (Vec::new(), Vec::new());
    Tones::new(&[200], 8000, 6).make(1600, &mut tone);
    let stereo: Vec<i16> = tone.iter().flat_map(|sample| [*sample, 0]).collect();
    encoder(encoding).encode(&stereo, &mut payload);
    let mut heard = Vec::new();
    decoder.decode(&payload, &mut heard).unwrap();
    decoder.conceal(160, &mut heard);
    let made = &heard[3200..];
    assert_eq!(made.len(), 160);
    assert!(made.iter().step_by(2).any(|sample| *sample > 10_000));
    assert!(made.iter().skip(1).step_by(2).all(|sample| *sample == 0));
}

fn listen(rate: u32, samples: &[i16]) -> Vec<Heard> {
    let mut detector = Detector::new(rate);
    let mut heard = Vec::new();
    samples.chunks(rate as usize / 50).for_each(|frame| detector.listen(frame, &mut heard));
    heard
}

#[test]
fn every_digit_is_heard_at_every_rate() {
    for rate in [8000, 16_000, 48_000] {
        for event in 0..16 {
            let samples_of = |ms: usize| ms * rate as usize / 1000;
            let mut samples = vec![0; samples_of(25)];
            Tones::new(&digit(event).unwrap(), rate, 15).make(samples_of(60), &mut samples);
            samples.resize(samples_of(200), 0);
            let heard = listen(rate, &samples);
            assert_eq!(heard.len(), 2, "{rate}: {event}: {heard:?}");
            assert_eq!(heard[0], Heard { event, lasted: None });
            let lasted = heard[1].lasted.unwrap() as usize * 1000 / rate as usize;
            assert!(
                heard[1].event == event && (36..=75).contains(&lasted),
                "{rate}: {event}: {lasted} ms"
            );
        }
    }
    assert_eq!(digit(16), None);
}

/// ITU-T Q.24, table A-1: shorter than 20 ms is none, a tone alone is none, neither are tones far apart in level.
#[test]
fn what_is_no_digit_is_not_heard() {
    let mut short = vec![0; 400];
    Tones::new(&[770, 1336], 8000, 12).make(160, &mut short);
    short.resize(1600, 0);
    assert_eq!(listen(8000, &short), []);
    for tones in [&[770][..], &[1336], &[400, 440], &[697, 770], &[770, 1336, 1000]] {
        let mut samples = Vec::new();
        Tones::new(tones, 8000, 12).make(1600, &mut samples);
        assert_eq!(listen(8000, &samples), [], "{tones:?}");
    }
    let (mut low, mut high) = (Vec::new(), Vec::new());
    Tones::new(&[770], 8000, 10).make(1600, &mut low);
    Tones::new(&[1336], 8000, 22).make(1600, &mut high);
    let twisted: Vec<i16> = low.iter().zip(&high).map(|(low, high)| low + high).collect();
    assert_eq!(listen(8000, &twisted), []);
}

#[test]
fn nobody_speaks_digits() {
    for wav in [ALICE, BOB] {
        assert_eq!(listen(8000, &speech(wav)), []);
    }
}

#[test]
fn words_are_told_from_the_noise_around_them() {
    let words = speech(BOB);
    let mut state = 1_u32;
    let mut noise = |loud: i32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (((state >> 16) as u16 as i16 as i32) * loud / 32_768) as i16
    };
    let mut activity = Activity::new(8000);
    let before: Vec<i16> = (0..8000).map(|_| noise(200)).collect();
    let active = |activity: &mut Activity, samples: &[i16]| -> usize {
        samples.chunks(160).filter(|frame| activity.listen(frame)).count()
    };
    assert_eq!(active(&mut activity, &before), 0);
    let loud: Vec<i16> = words.iter().map(|sample| sample.saturating_add(noise(200))).collect();
    let (spoken, frames) = (active(&mut activity, &loud), loud.len() / 160);
    assert!(spoken * 10 > frames * 6, "{spoken} of {frames}");
    // A fan that is switched on is a voice for some seconds at most.
    let fan: Vec<i16> = (0..80_000).map(|_| noise(3000)).collect();
    active(&mut activity, &fan[..64_000]);
    assert_eq!(active(&mut activity, &fan[64_000..]), 0);
}

proptest! {
    /// Whatever comes in, a decoder makes sound or says that it cannot, and goes on.
    #[test]
    fn nothing_stops_a_decoder(
        which in 0..ALL.len(),
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..8),
    ) {
        let mut decoder = decoder(ALL[which]);
        for payload in &payloads {
            let mut heard = Vec::new();
            let decoded = decoder.decode(payload, &mut heard);
            if let Err(Corrupt { codec, length }) = decoded {
                prop_assert_eq!((codec, length), (ALL[which].name(), payload.len()));
                prop_assert!(heard.is_empty());
            }
            // What says that nothing was sent, or that it goes on, is short and lasts long: 32 frames of AMR, 120 ms of Opus.
            let most = match ALL[which] {
                Encoding::Amr(_) => 32 * ALL[which].frame(),
                Encoding::Opus => 1920,
                _ => 160 * payload.len(),
            };
            prop_assert!(heard.len() <= most);
            let before = heard.len();
            decoder.conceal(150, &mut heard);
            prop_assert_eq!(heard.len(), before + 150);
        }
    }

    /// The same for the louder half of all sounds and an encoder.
    #[test]
    fn nothing_stops_an_encoder(
        which in 0..ALL.len(),
        frames in proptest::collection::vec(proptest::collection::vec(any::<i16>(), 640..=640), 1..4),
    ) {
        let (mut encoder, mut decoder) = (encoder(ALL[which]), decoder(ALL[which]));
        for frame in &frames {
            let (mut payload, mut heard) = (Vec::new(), Vec::new());
            encoder.encode(frame, &mut payload);
            prop_assert!(decoder.decode(&payload, &mut heard).is_ok());
            prop_assert_eq!(heard.len(), frame.len());
        }
    }
}
