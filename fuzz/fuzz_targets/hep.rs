//! Any bytes: a packet that was read is written and read again as the same.
#![no_main]

use hep::{Chunks, EmitError, Packet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(chunks) = Chunks::of(bytes) {
        assert!(chunks.count() <= bytes.len());
    }
    if let Ok(packet) = Packet::parse(bytes) {
        // An agent id that was left out may be what is too much.
        match packet.emit() {
            Ok(written) => assert_eq!(Packet::parse(&written), Ok(packet)),
            Err(error) => assert_eq!(error, EmitError::TooLong),
        }
    }
});
