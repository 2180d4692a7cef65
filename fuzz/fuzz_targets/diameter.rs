//! Any bytes: neither framing, views, typed Cx commands nor redaction may panic.
#![no_main]

use diameter::cx::{Body, Lir, Mar, Sar, Uar};
use diameter::message::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = diameter::frame::frame(bytes);
    for range in diameter::redact::secrets(bytes) {
        assert!(range.end <= bytes.len());
    }
    if let Ok(message) = Message::parse(base::Bytes::copy_from_slice(bytes)) {
        let _ = message.to_string();
        let _ = (Uar::parse(&message), Mar::parse(&message), Sar::parse(&message), Lir::parse(&message));
        let _ = message.outcome();
    }
});
