//! Any bytes, and any chunks in a packet whose length fits: a packet that was read is written and read again as the
//! same.
#![no_main]

use hep::{Chunks, EmitError, Packet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // Nothing but the right length gets further than it.
    let length = (bytes.len() + 6) as u16;
    read(&[b"HEP3", &length.to_be_bytes()[..], bytes].concat());
});

fn read(bytes: &[u8]) {
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
}
