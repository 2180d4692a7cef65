//! The measure against pystoi 0.4.1, an implementation of other people, on the same sounds.

use codec::stoi::stoi;

fn speech(wav: &[u8]) -> Vec<i16> {
    wav[44..].as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

#[test]
fn it_is_pystois() {
    let [alice, bob] = [
        &include_bytes!("../../rtp/prompts/alice.wav")[..],
        include_bytes!("../../rtp/prompts/bob.wav"),
    ]
    .map(speech);
    // What pystoi.stoi(alice, copy, 10000) says: as if both had the rate that it compares at, so that nothing depends on
    // how either changes rates.
    let is = |copy: &[i16], theirs: f64| {
        let ours = stoi(&alice, copy, 10_000).expect("enough speech");
        assert!((ours - theirs).abs() < 1e-9, "{ours} instead of {theirs}");
    };
    is(&alice, 1.0);
    is(&bob, 0.259_622_884_993_866);
    let coarse: Vec<i16> = alice.iter().map(|sample| sample / 2048 * 2048).collect();
    is(&coarse, 0.860_926_211_682_164);
    for (part, theirs) in
        [(4, 0.594_304_728_957_477), (16, 0.874_281_127_428_153), (64, 0.981_248_213_127_552)]
    {
        let mut state = 1_u32;
        let noisy = alice.iter().map(|sample| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            sample.saturating_add((state >> 16) as u16 as i16 / part)
        });
        is(&noisy.collect::<Vec<_>>(), theirs);
    }
}

#[test]
fn without_speech_there_is_nothing_to_measure() {
    assert_eq!(stoi(&[], &[], 8000), None);
    assert_eq!(stoi(&[1000; 2000], &[1000; 2000], 8000), None);
    let silent = stoi(&[0; 16_000], &[0; 16_000], 16_000);
    assert!(silent.is_none_or(|measure| measure.abs() < 0.001), "{silent:?}");
}
