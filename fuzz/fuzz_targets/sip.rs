//! Any bytes: the parsers must not panic, what they take must be written back readably, and a stack that gets it
//! answers with messages and nothing else.
#![no_main]

use base::flow::{FlowId, Service};
use base::{Bytes, Flow, Instant, Output, Random, Transport};
use libfuzzer_sys::fuzz_target;
use sip::features::Features;
use sip::gruu::{Granted, Gruu};
use sip::header::{
    AccessNetworkInfo, CSeq, Challenge, ChargingVector, Credentials, Event, HeaderName, NameAddr,
    OverloadControl, Privacy, RAck, Replaces, ResourcePriority, SecurityMechanism, ServedUser,
    SessionExpires, SubscriptionState, Via,
};
use sip::message::{MAX_HEADERS, MAX_MESSAGE};
use sip::reginfo::RegInfo;
use sip::{
    Dialog, Message, Method, ParseError, ServiceUrn, Stack, StackConfig, Uri, session_timer,
};

fuzz_target!(|bytes: &[u8]| {
    let _ = sip::framing::frame(bytes);
    let from = ([192, 0, 2, 1], 5060).into();
    if let Some(answer) = sip::stun::answer(bytes, from) {
        assert!(sip::stun::is_stun(&answer) && answer.len() % 4 == 0);
        assert_eq!(sip::stun::answer(&answer, from), None);
    }
    let _ = Message::salvage(Bytes::copy_from_slice(bytes));
    let Ok(message) = Message::parse(Bytes::copy_from_slice(bytes)) else { return };
    message.headers().for_each(|(_, value)| header(value));
    let _ = ServiceUrn::parse(message.uri()).map(|urn| urn.is_emergency());
    if let Ok(body) = std::str::from_utf8(message.body())
        && let Some(info) = RegInfo::parse(body)
    {
        assert_eq!(RegInfo::parse(&info.to_xml()), Some(info));
    }
    edited(message.clone());
    parted(message.clone());
    dialog(&message);
    at_a_stack(message);
});

/// What stands in a part is what was put there.
fn parted(mut message: Message) {
    if message.part("application/sdp").is_some() {
        message.set_part("application/sdp", "v=0");
        assert_eq!(message.part("application/sdp").as_deref(), Some(&b"v=0"[..]));
    }
}

/// Any value, as each header field could have it.
fn header(value: &str) {
    if let Some(via) = Via::parse(value)
        && let Some(control) = OverloadControl::parse(&via)
    {
        let told = control.put_into(&via);
        let told = Via::parse(&told).expect("a Via");
        assert_eq!(OverloadControl::parse(&told), Some(control));
    }
    let address = NameAddr::parse(value);
    let _ = address.and_then(|a| a.parsed_uri().map(|u| u.aor()));
    let features = address.map(|a| Features::of(a.params)).unwrap_or_default();
    let _ = (features.fit(&features), features.is_within(&features));
    if let Some(replaces) = Replaces::parse(value).or_else(|| Replaces::of_uri(value)) {
        assert!(Replaces::of_uri(&replaces.in_uri()).is_some());
    }
    if let Some(cseq) = CSeq::parse(value) {
        assert_eq!(CSeq::parse(&cseq.to_string()), Some(cseq));
    }
    let _ = (ResourcePriority::parse(value), SecurityMechanism::parse(value), RAck::parse(value));
    let _ = (Challenge::parse(value), Credentials::parse(value), ServedUser::parse(value));
    let _ = (Event::parse(value), SubscriptionState::parse(value), SessionExpires::parse(value));
    let _ = (AccessNetworkInfo::parse(value), ChargingVector::parse(value));
    let _ = (Privacy::of([value].into_iter()), Method::parse(value));
    let _ = Uri::parse(value).map(|uri| uri.to_string());
    let _ = address.map(|contact| Granted::of(&contact));
    if let Some(Gruu::Public(instance)) =
        Uri::parse(value).and_then(Uri::sip).as_ref().and_then(Gruu::of)
    {
        let again = sip::gruu::public("sip:a@b", &instance);
        let again = Uri::parse(&again).and_then(Uri::sip).as_ref().and_then(Gruu::of);
        assert_eq!(again, Some(Gruu::Public(instance)));
    }
}

fn edited(mut message: Message) {
    message.pop_element(HeaderName::Route);
    message.tag_to("t");
    message.set_element(HeaderName::Via, "SIP/2.0/UDP a;branch=z9hG4bKb");
    if let Some(again) = read_again(message.to_bytes()) {
        assert_eq!(again.to_bytes(), message.to_bytes());
    }
}

/// What is written can be read. Only what came with as many lines as are taken at most may have grown beyond that.
fn read_again(bytes: Bytes) -> Option<Message> {
    // The start line and the empty one stand beside the header fields.
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let grown = lines > MAX_HEADERS + 2 || bytes.len() > MAX_MESSAGE;
    match Message::parse(bytes) {
        Err(ParseError::TooLarge) if grown => None,
        read => Some(read.expect("what is written can be read")),
    }
}

/// It begins a dialog at either end.
fn dialog(message: &Message) {
    let begun = match message.is_request() {
        true => Dialog::of_request(message, "tag", false),
        false => {
            let asked = Message::request(Method::Invite, "sip:b@x")
                .with(HeaderName::From, "<sip:a@x>;tag=1")
                .with(HeaderName::To, "<sip:b@x>")
                .with(HeaderName::CallId, "c")
                .with(HeaderName::CSeq, "1 INVITE");
            Dialog::of_response(&asked, message)
        }
    };
    let Some(mut dialog) = begun else { return };
    let request = dialog.request(Method::Bye);
    read_again(request.to_bytes());
    let _ = (Stack::hop(dialog.next_hop()), dialog.take_request(message));
    if message.is_request() {
        let _ = session_timer::answer(message, 1800, 90);
    }
}

/// It comes twice, over a datagram, and is answered.
fn at_a_stack(message: Message) {
    let mut now = Instant::from_unix_micros(1_000_000);
    let end = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port)).into();
    let flow = Flow {
        id: FlowId(1),
        service: Service::Sip,
        transport: Transport::Udp,
        local: end(5060),
        remote: end(4000),
        proved: false,
    };
    let config = StackConfig { sent_by: Some("p.test".to_owned()), ..StackConfig::default() };
    let mut stack = Stack::new(config, Random::from_u64(1));
    let bytes = message.to_bytes();
    for status in [180, 486] {
        stack.received(now, flow, bytes.clone());
        while let Some(event) = stack.poll_event() {
            if let sip::Event::Request { server, request, .. } = event {
                let mark = stack.mark_of(&request);
                let _ = stack.has_seen(&request, mark);
                stack.reply(now, server, &request, status);
            }
        }
        now = stack.deadline().map_or(now, |deadline| deadline.at);
        stack.timeout(now);
        while let Some(output) = stack.poll_output() {
            if let Output::Transmit { message, .. } = output
                && !message.iter().all(u8::is_ascii_whitespace)
            {
                read_again(message);
            }
        }
    }
}
