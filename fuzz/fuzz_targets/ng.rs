//! Any bytes: a message that was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ng::message::Message;
use ng::request::Request;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::parse(bytes) {
        let again = Message::parse(&message.emit()).expect("what is written can be read");
        assert_eq!(again.dict, message.dict);
        let _ = Request::from_dict(&message.dict);
    }
});
