//! Any bytes: what can be read is written and read again as the same; and any text survives its parts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sms::tpdu::{Carrier, Tpdu};
use sms::{Reference, Rpdu};

const CARRIERS: [Carrier; 6] = [
    Carrier::DataToNetwork,
    Carrier::DataToMobile,
    Carrier::AckToNetwork,
    Carrier::AckToMobile,
    Carrier::ErrorToNetwork,
    Carrier::ErrorToMobile,
];

fuzz_target!(|bytes: &[u8]| {
    let _ = sms::rp::reference_of(bytes);
    if let Ok(rpdu) = Rpdu::parse(bytes) {
        assert_eq!(Rpdu::parse(&rpdu.emit()).as_ref(), Ok(&rpdu));
        let _ = rpdu.tpdu();
    }
    for carrier in CARRIERS {
        if let Ok(tpdu) = Tpdu::parse(carrier, bytes) {
            assert_eq!(Tpdu::parse(carrier, &tpdu.emit()).as_ref(), Ok(&tpdu));
            let _ = format!("{tpdu:?}");
            if let Tpdu::Deliver(deliver) = &tpdu {
                let _ = (deliver.user_data.text(), deliver.user_data.concatenation());
                let _ = (deliver.originator.to_string(), deliver.time_stamp.instant());
            }
        }
    }
    if let Ok(text) = core::str::from_utf8(bytes) {
        if let Ok(parts) = sms::split(text, Reference::Sixteen(7)) {
            assert_eq!(sms::text_of(&parts).as_deref(), Some(text));
        }
    }
});
