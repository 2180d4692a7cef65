//! Any bytes, as payloads of every encoding: they are decoded or refused, and what is lost between them is concealed.
#![no_main]

use base::relay::Encoding;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [which, rest @ ..] = bytes else { return };
    let mut rest = rest;
    let encoding = Encoding::ALL[usize::from(*which) % Encoding::ALL.len()];
    let mut decoder = codec::decoder(encoding);
    let mut samples = Vec::new();
    // Each payload begins with its length; none of the length 255 is there.
    while let [length, more @ ..] = rest {
        samples.clear();
        let (payload, after) = more.split_at(more.len().min(usize::from(*length)));
        if *length == u8::MAX || decoder.decode(payload, &mut samples).is_err() {
            let lost = encoding.rate() as usize / 50 * usize::from(encoding.channels());
            decoder.conceal(lost, &mut samples);
        }
        assert!(samples.len() <= 480 * 480, "{encoding:?} made {} samples", samples.len());
        rest = after;
    }
});
