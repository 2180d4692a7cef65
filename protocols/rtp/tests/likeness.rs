//! What a listener would notice is noticed, and what not is not.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use codec::g711::Law;
use rtp::likeness::{Verdict, compare};
use rtp::prompts::{ALICE, BOB};
use rtp::wav;

fn speech(prompt: &[u8]) -> Vec<i16> {
    wav::read(prompt).unwrap().samples
}

fn companded(samples: &[i16], law: Law) -> Vec<i16> {
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    law.encode(samples, &mut bytes);
    law.decode(&bytes, &mut out);
    out
}

fn delayed(samples: &[i16], by: usize) -> Vec<i16> {
    let mut out = vec![0; by];
    out.extend(samples);
    out.extend([0; 777]);
    out
}

#[test]
fn companding_delay_and_playout_start_change_nothing() {
    for prompt in [ALICE, BOB] {
        let said = speech(prompt);
        for (law, delay) in [(Law::A, 0), (Law::Mu, 1), (Law::A, 480), (Law::Mu, 12_345)] {
            let heard = delayed(&companded(&said, law), delay);
            let likeness = compare(&said, &heard);
            assert_eq!(likeness.verdict(), Verdict::Same, "{law:?} {delay}: {likeness:?}");
            assert_eq!(likeness.delay, delay as isize);
            assert!(likeness.mean > 0.998, "{}", likeness.mean);
        }
        let twice = companded(&companded(&said, Law::A), Law::Mu);
        assert_eq!(compare(&said, &twice).verdict(), Verdict::Same);
    }
}

#[test]
fn a_repeated_prompt_is_found_the_first_time() {
    let said = speech(BOB);
    let heard = delayed(&companded(&said.repeat(3), Law::A), 500);
    assert_eq!(compare(&said, &heard).delay, 500);
}

#[test]
fn silence_and_a_missing_direction_are_noticed() {
    let said = speech(ALICE);
    assert_eq!(compare(&said, &vec![0; said.len()]).verdict(), Verdict::Silent);
    assert_eq!(compare(&said, &[]).verdict(), Verdict::Silent);
    let comfort: Vec<i16> = (0..said.len()).map(|n| [8, -8][n % 2]).collect();
    assert_eq!(compare(&said, &comfort).verdict(), Verdict::Silent);
    assert_eq!(compare(&[], &said).verdict(), Verdict::Silent);
}

#[test]
fn another_voice_is_noticed() {
    let (alice, bob) = (speech(ALICE), speech(BOB));
    for (said, heard) in [(&alice, &bob), (&bob, &alice)] {
        let likeness = compare(said, &delayed(&companded(heard, Law::A), 320));
        assert_eq!(likeness.verdict(), Verdict::Other, "{}", likeness.mean);
    }
    let backwards: Vec<_> = alice.iter().rev().copied().collect();
    assert_eq!(compare(&alice, &backwards).verdict(), Verdict::Other);
}

#[test]
fn half_of_it_is_damage() {
    let said = speech(ALICE);
    assert_eq!(compare(&said, &said[..said.len() / 2]).verdict(), Verdict::Damaged);
    let late = compare(&said, &said[6000..]);
    assert_eq!((late.verdict(), late.delay), (Verdict::Damaged, -6000));
}

/// Each pair of neighbouring packets that carry speech, swapped; each such packet, lost.
#[test]
fn two_swapped_packets_and_one_lost_packet_are_noticed() {
    for prompt in [ALICE, BOB] {
        let said = speech(prompt);
        let loud = |n: usize| {
            said[n * 160..][..160].iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() > 160.0 * 1e6
        };
        let clean = delayed(&companded(&said, Law::A), 400);
        let mut tried = 0;
        for n in (0..said.len() / 160 - 1).filter(|n| loud(*n) && loud(n + 1)).step_by(6) {
            let mut swapped = clean.clone();
            let (a, b) = swapped[400 + n * 160..][..320].split_at_mut(160);
            a.swap_with_slice(b);
            let likeness = compare(&said, &swapped);
            assert_eq!(likeness.verdict(), Verdict::Damaged, "swap {n}: {}", likeness.worst);
            let mut lost = clean.clone();
            lost[400 + n * 160..][..160].fill(0);
            assert_eq!(compare(&said, &lost).verdict(), Verdict::Damaged, "loss {n}");
            tried += 1;
        }
        assert!(tried > 10, "{tried}");
    }
}
