//! Any bytes: the parser must not panic, and what it takes it must write back readably.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sip::features::Features;
use sip::gruu::{Granted, Gruu};
use sip::header::{
    Challenge, Credentials, HeaderName, NameAddr, OverloadControl, Replaces, ResourcePriority, Via,
};
use sip::{Message, Uri};

fuzz_target!(|bytes: &[u8]| {
    let _ = sip::framing::frame(bytes);
    let _ = Message::salvage(base::Bytes::copy_from_slice(bytes));
    let Ok(mut message) = Message::parse(base::Bytes::copy_from_slice(bytes)) else { return };
    for (_, value) in message.headers() {
        if let Some(via) = Via::parse(value)
            && let Some(control) = OverloadControl::parse(&via)
        {
            let told = control.put_into(&via);
            let told = Via::parse(&told).expect("a Via");
            assert_eq!(OverloadControl::parse(&told), Some(control));
        }
        let _ = NameAddr::parse(value).and_then(|a| a.parsed_uri().map(|u| u.aor()));
        let features = NameAddr::parse(value).map(|a| Features::of(a.params)).unwrap_or_default();
        let _ = (features.fit(&features), features.is_within(&features));
        let _ = ResourcePriority::parse(value);
        if let Some(replaces) = Replaces::parse(value).or_else(|| Replaces::of_uri(value)) {
            assert!(Replaces::of_uri(&replaces.in_uri()).is_some());
        }
        let _ = Challenge::parse(value);
        let _ = Credentials::parse(value);
        let _ = Uri::parse(value).map(|uri| uri.to_string());
        let _ = NameAddr::parse(value).map(|contact| Granted::of(&contact));
        if let Some(Gruu::Public(instance)) =
            Uri::parse(value).and_then(Uri::sip).as_ref().and_then(Gruu::of)
        {
            let again = sip::gruu::public("sip:a@b", &instance);
            let again = Uri::parse(&again).and_then(Uri::sip).as_ref().and_then(Gruu::of);
            assert_eq!(again, Some(Gruu::Public(instance)));
        }
    }
    message.pop_element(HeaderName::Route);
    message.tag_to("t");
    message.set_element(HeaderName::Via, "SIP/2.0/UDP a;branch=z9hG4bKb");
    let again = Message::parse(message.to_bytes()).expect("what is written can be read");
    assert_eq!(again.to_bytes(), message.to_bytes());
});
