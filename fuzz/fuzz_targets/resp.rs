//! Any bytes: units are found and put together without a panic, and a value that was read is written as it
//! stood.
#![no_main]

use base::Bytes;
use libfuzzer_sys::fuzz_target;
use resp::{Reader, unit};

fuzz_target!(|bytes: &[u8]| {
    let (mut reader, mut rest) = (Reader::bounded(1000, 1 << 16), bytes);
    while let Ok(Some(length)) = unit(rest) {
        let Ok(value) = reader.push(&Bytes::copy_from_slice(&rest[..length])) else { return };
        rest = &rest[length..];
        let Some(value) = value else { continue };
        let written = value.encode();
        let (mut again, mut written) = (Reader::default(), &written[..]);
        let mut same = None;
        while let Ok(Some(length)) = unit(written) {
            same = again.push(&Bytes::copy_from_slice(&written[..length])).expect("it is RESP");
            written = &written[length..];
        }
        assert_eq!(same.expect("a whole value").encode(), value.encode());
    }
});
