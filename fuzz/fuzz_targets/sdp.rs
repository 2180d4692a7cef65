//! Any bytes: a session that was read is written back byte for byte.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(session) = sdp::Session::parse(bytes) {
        assert_eq!(session.emit(), bytes);
        for i in 0..session.media().len() {
            let _ = (session.address_of(i), session.direction_of(i), session.rtp_of(i));
        }
    }
});
