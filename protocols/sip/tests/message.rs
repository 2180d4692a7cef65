//! Messages keep what nobody touches, and no bytes make them panic.

use proptest::prelude::*;
use sip::{HeaderName, Message, ParseError};

const INVITE: &[u8] = b"INVITE sip:+49301@ims.test;user=phone SIP/2.0\r\n\
    v: SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bKa,\r\n SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKb\r\n\
    MAX-forwards :   70\r\n\
    f: \"\xe4lice\" <sip:alice@ims.test>;tag=1\r\n\
    t: <tel:+49301>\r\n\
    i: c1\r\n\
    CSeq: 1 INVITE\r\n\
    X-Thing:odd   \r\n\
    this line has no meaning\r\n\
    Route: <sip:p1;lr>, <sip:p2;lr>\r\n\
    Route: <sip:p3;lr>\r\n\
    l: 4\r\n\
    \r\n\
    v=0\nrest";

fn parse(bytes: &[u8]) -> Result<Message, ParseError> {
    Message::parse(base::Bytes::copy_from_slice(bytes))
}

#[test]
fn what_nobody_touches_is_written_as_it_came() {
    let message = parse(INVITE).unwrap();
    assert_eq!(
        &message.to_bytes()[..],
        &INVITE[..INVITE.len() - 4],
        "but for what follows the body"
    );
}

#[test]
fn odd_but_legal_text_is_read() {
    let message = parse(INVITE).unwrap();
    assert_eq!(message.list(HeaderName::Via).count(), 2, "a folded list");
    assert_eq!(message.get(HeaderName::MaxForwards), Some("70"));
    assert_eq!(message.get(HeaderName::From), Some("\"?lice\" <sip:alice@ims.test>;tag=1"));
    assert_eq!(message.get_other("x-thing"), Some("odd"));
    assert_eq!(&message.body()[..], b"v=0\n");
}

#[test]
fn edits_touch_the_lines_that_they_name() {
    let mut message = parse(INVITE).unwrap();
    assert_eq!(message.pop_element(HeaderName::Route).as_deref(), Some("<sip:p1;lr>"));
    assert_eq!(message.list(HeaderName::Route).collect::<Vec<_>>(), ["<sip:p2;lr>", "<sip:p3;lr>"]);
    message.push_front(HeaderName::Via, "SIP/2.0/UDP new;branch=z9hG4bKc");
    message.set(HeaderName::MaxForwards, "69");
    message.set_body("application/sdp", &b"v=1\r\n"[..]);
    let text = String::from_utf8_lossy(&message.to_bytes()).into_owned();
    let start = "INVITE sip:+49301@ims.test;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP new;branch=z9hG4bKc\r\nv: ";
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains("Max-Forwards: 69\r\n") && text.contains("X-Thing:odd   \r\n"));
    assert!(text.ends_with("Content-Length: 5\r\nContent-Type: application/sdp\r\n\r\nv=1\r\n"));
}

#[test]
fn a_value_cannot_smuggle_a_header_field() {
    let mut message = parse(INVITE).unwrap();
    message.set(HeaderName::Subject, "x\r\nEvil: 1");
    message.set_uri("sip:a\r\nEvil: 2");
    let again = parse(&message.to_bytes()).unwrap();
    assert_eq!(again.get_other("evil"), None);
}

#[test]
fn lies_are_refused() {
    let refused = |text: &[u8]| parse(text).unwrap_err();
    assert_eq!(refused(b"\r\n\r\n"), ParseError::Empty);
    assert_eq!(refused(b"INVITE sip:a SIP/2.0\r\nl: 5\r\n\r\nabc"), ParseError::ContentLength);
    assert_eq!(
        refused(b"INVITE sip:a SIP/2.0\r\nl: 1\r\nl: 2\r\n\r\nabc"),
        ParseError::ContentLength
    );
    assert_eq!(refused(b"INVITE sip:a SIP/7.0\r\n\r\n"), ParseError::Version);
    assert_eq!(refused(b"INVITE sip:a SIP/2.0\r\nTo: x\r\n"), ParseError::Unfinished);
    assert_eq!(refused(b"SIP/2.0 99 x\r\n\r\n"), ParseError::StartLine);
    assert_eq!(refused(b"GET / HTTP/1.1\r\n\r\n"), ParseError::StartLine);
    assert_eq!(refused(&[b'a'; 70_000]), ParseError::TooLarge);
}

/// Bytes that look enough like SIP to get far.
fn sip_like() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "(Via|v|From|To|Call-ID|CSeq|Contact|Route|Content-Length|l)[ ]?: ?[ -~]{0,40}",
        "[ -~]{0,30}",
        "[ \\t][ -~]{0,20}",
    ];
    let start = prop_oneof![
        Just("INVITE sip:a@b SIP/2.0".to_owned()),
        Just("SIP/2.0 200 OK".to_owned()),
        "[ -~]{0,30}",
    ];
    (start, prop::collection::vec(line, 0..12), any::<Vec<u8>>(), any::<bool>()).prop_map(
        |(start, lines, body, lf)| {
            let end = if lf { "\n" } else { "\r\n" };
            let mut out = start.into_bytes();
            for line in lines {
                out.extend_from_slice(end.as_bytes());
                out.extend_from_slice(line.as_bytes());
            }
            out.extend_from_slice(end.as_bytes());
            out.extend_from_slice(end.as_bytes());
            out.extend_from_slice(&body);
            out
        },
    )
}

fn touch(message: &mut Message) {
    for name in [HeaderName::Via, HeaderName::Route, HeaderName::Contact] {
        let lines: Vec<String> = message.list(name).map(str::to_owned).collect();
        for line in &lines {
            let _ = sip::header::Via::parse(line).map(|v| v.seen_from(([1, 2, 3, 4], 5).into()));
            let _ =
                sip::header::NameAddr::parse(line).and_then(|a| a.parsed_uri().map(|u| u.aor()));
            let _ = sip::header::Challenge::parse(line);
            let _ = sip::header::Credentials::parse(line);
        }
        message.pop_element(name);
        message.set_element(name, "<sip:x>");
    }
    message.tag_to("t");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
        if let Ok(mut message) = parse(&bytes) {
            touch(&mut message);
            let _ = message.to_bytes();
        }
    }

    #[test]
    fn untouched_messages_are_written_as_they_came(bytes in sip_like()) {
        if let Ok(mut message) = parse(&bytes) {
            let out = message.to_bytes();
            let again = parse(&out).expect("what we write we can read");
            prop_assert_eq!(again.to_bytes(), out.clone());
            if message.has(HeaderName::ContentLength) && !bytes.contains(&b'\n') {
                prop_assert!(bytes.starts_with(&out[..]));
            }
            touch(&mut message);
            let _ = message.to_bytes();
        }
    }

    #[test]
    fn framing_never_panics_and_never_overruns(bytes in sip_like()) {
        match sip::framing::frame(&bytes) {
            sip::framing::Framed::Message(n) | sip::framing::Framed::Skip(n) => {
                prop_assert!(n > 0 && n <= bytes.len());
            }
            _ => {}
        }
    }
}
