//! Two spoken sentences as WAV files, 8 kHz, 16 bit, one channel; see `prompts/README.md`.

/// A man's voice: "This is Alice's telephone. Good morning, can you hear me clearly?"
pub static ALICE: &[u8] = include_bytes!("../prompts/alice.wav");

/// A woman's voice: "Bob speaking here. Yes, I hear you well, thank you for calling."
pub static BOB: &[u8] = include_bytes!("../prompts/bob.wav");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_prompts_are_short_speech_at_8_khz() {
        for prompt in [ALICE, BOB] {
            let wav = crate::wav::read(prompt).unwrap();
            assert_eq!(wav.rate, 8000);
            assert!((24_000..36_000).contains(&wav.samples.len()));
            assert!(wav.samples.iter().any(|s| s.unsigned_abs() > 8000));
            assert!(prompt.len() < 70_000);
        }
    }
}
