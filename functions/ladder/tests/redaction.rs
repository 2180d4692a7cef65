//! Secrets go, lengths and meaning stay.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod flow;

use base::{Bytes, Endpoint, Service, Transport};
use flow::{Place, evening};
use ladder::{Party, Record, dissect, html, json, pcapng, redact};

fn record(service: Service, bytes: impl Into<Bytes>) -> Record {
    let end: Endpoint = Endpoint::Ip("10.0.0.1:5060".parse().unwrap());
    Record {
        at: flow::START,
        service,
        transport: Transport::Udp,
        from: Party::unnamed(end),
        to: Party::unnamed(end),
        bytes: bytes.into(),
        flow: 1,
    }
}

fn redacted(service: Service, text: &str) -> String {
    let mut record = record(service, text.to_owned());
    redact(&mut record);
    assert_eq!(record.bytes.len(), text.len());
    String::from_utf8(record.bytes.to_vec()).unwrap()
}

#[test]
fn an_evening_without_secrets_says_the_same() {
    let secrets: [&[u8]; 6] = [
        "c0".repeat(16).as_bytes().to_vec().leak(),
        "1e".repeat(16).as_bytes().to_vec().leak(),
        &[0xc0; 16],
        &[0x1e; 16],
        &[0xa5; 8],
        b"WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
    ];
    let holds = |bytes: &[u8], secret: &[u8]| memchr::memmem::find(bytes, secret).is_some();
    let before = evening(Place::PROCESS);
    for secret in secrets {
        assert!(before.iter().any(|r| holds(&r.bytes, secret)));
    }
    let after: Vec<Record> = before
        .iter()
        .cloned()
        .map(|mut r| {
            redact(&mut r);
            r
        })
        .collect();
    for (a, b) in before.iter().zip(&after) {
        assert_eq!(a.bytes.len(), b.bytes.len());
        assert_eq!(dissect(a), dissect(b), "title, fields and keys stay");
        for secret in secrets {
            assert!(!holds(&b.bytes, secret));
        }
        // Nothing changed but to the mask.
        assert!(a.bytes.iter().zip(&b.bytes[..]).all(|(a, b)| a == b || *b == b'x'));
        match b.service {
            Service::Sip => drop(sip::Message::parse(b.bytes.clone()).unwrap()),
            Service::Diameter => drop(diameter::Message::parse(b.bytes.clone()).unwrap()),
            Service::Ng => drop(ng::Message::parse(&b.bytes).unwrap()),
            Service::Rtp | Service::Resp | Service::Http | Service::Cli => {}
        }
    }
    let shown = [
        html::render(&ladder::Ladder::new("", after.clone())).into_bytes(),
        pcapng::write(&after).to_vec(),
        json::lines(&after).into_bytes(),
    ];
    for secret in secrets {
        assert!(shown.iter().all(|bytes| !holds(bytes, secret)));
    }
}

/// RFC 3310 §5's kind of header fields, and RFC 2617 §3.5's.
#[test]
fn a_password_can_be_guessed_from_a_response_and_a_sim_key_cannot() {
    let message = |value: &str| format!("REGISTER sip:a SIP/2.0\r\nAuthorization: {value}\r\n\r\n");
    let aka = "Digest username=\"u\",nonce=\"n\",algorithm=AKAv1-MD5,response=\"6629fae4\"";
    assert_eq!(redacted(Service::Sip, &message(aka)), message(aka));
    let md5 = "Digest username=\"u\", response = \"6629fae4\" ,algorithm=MD5";
    let masked = "Digest username=\"u\", response = \"xxxxxxxx\" ,algorithm=MD5";
    assert_eq!(redacted(Service::Sip, &message(md5)), message(masked));
    let bare = "Digest username=\"response=\\\"u\",response=6629fae4";
    let masked = "Digest username=\"response=\\\"u\",response=xxxxxxxx";
    assert_eq!(redacted(Service::Sip, &message(bare)), message(masked));
}

#[test]
fn keys_are_found_however_they_are_written() {
    for (before, after) in [
        (
            "www-AUTHENTICATE :Digest CK=\"ab\",\r\n\tik=cd",
            "www-AUTHENTICATE :Digest CK=\"xx\",\r\n\tik=xx",
        ),
        (
            "WWW-Authenticate: Digest nonce=\"ck=\",ck = \"ab",
            "WWW-Authenticate: Digest nonce=\"ck=\",ck = \"xx",
        ),
        ("Authentication-Info: rspauth=\"ab\"", "Authentication-Info: rspauth=\"xx\""),
    ] {
        for head in ["", "\r\n\r\n", "SIP/2.0 401 Unauthorized\r\n", "SIP/2.0 401 x\n\r\r\n"] {
            for tail in ["", "\r\n\r\n"] {
                let (a, b) = (format!("{head}{before}{tail}"), format!("{head}{after}{tail}"));
                // A quoted string that does not end takes all that follows.
                if !before.ends_with("\"ab") || tail.is_empty() {
                    assert_eq!(redacted(Service::Sip, &a), b);
                }
            }
        }
    }
}

#[test]
fn descriptions_lose_their_keys() {
    let sdp = "a=crypto:1 A inline:S3cr|2^20;inline:0ther|1:1\r\nk=base64:S3cr\r\na=ice-pwd:S3cr\r\n\
               a=key-mgmt:mikey S3cr\r\na=fingerprint:sha-1 AA:BB\r\n";
    let masked = "a=crypto:1 A inline:xxxx|2^20;inline:xxxxx|1:1\r\nk=base64:xxxx\r\na=ice-pwd:xxxx\r\n\
                  a=key-mgmt:mikey xxxx\r\na=fingerprint:sha-1 AA:BB\r\n";
    let bencode = |sdp: &str| format!("c d7:command5:offer3:sdp{}:v=0\r\n{sdp}e", sdp.len() + 5);
    assert_eq!(redacted(Service::Ng, &bencode(sdp)), bencode(masked));
    let json = |sdp: &str| {
        let text = serde_json::Value::from(format!("v=0\r\n{sdp}")).to_string();
        format!("c {{\"command\":\"offer\",\"sdp\":{text}}}")
    };
    assert_eq!(redacted(Service::Ng, &json(sdp)), json(masked));
    assert!(ng::Message::parse(redacted(Service::Ng, &json(sdp)).as_bytes()).is_ok());
    let sip = |sdp: &str| format!("INVITE sip:a SIP/2.0\r\n\r\nv=0\r\n{sdp}");
    assert_eq!(redacted(Service::Sip, &sip(sdp)), sip(masked));
}
