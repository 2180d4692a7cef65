//! Somebody hears parties of a call without being one.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use base::relay::{MasterKey, Suite};
use bench::{Bench, answer, delete, offer, phone, port_of};
use ng::{Command, Dict, Request, Response, Value};
use srtp::Inbound;
use srtp::sdes::Crypto;

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";
const RECORDER: &str = "192.0.2.3:6000";

fn about(command: &str) -> Request {
    let command = Command::Unknown(command.to_owned());
    Request { from_tag: None, ..Request::about(command, "call", "") }
}

fn flagged(request: Request, flags: &[&str]) -> Request {
    Request { other_flags: flags.iter().map(|flag| (*flag).to_owned()).collect(), ..request }
}

fn call(bench: &mut Bench) -> [u16; 2] {
    bench.connect(&offer(&phone("192.0.2.1", 4000)), &answer(&phone("192.0.2.2", 5000)))
}

fn rtp(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    rtp::Builder { payload_type, sequence, ssrc: 7, payload, ..Default::default() }.build()
}

/// An offer of what is heard, and the tag of who asked.
fn subscribe(bench: &mut Bench, request: &Request) -> (Response, String, String) {
    let response = bench.ask(request);
    assert_eq!(response.error_reason, None);
    let sdp = String::from_utf8(response.sdp.clone().unwrap()).unwrap();
    let tag = response.other.text("to-tag").unwrap().to_owned();
    (response, sdp, tag)
}

/// The subscriber takes the offer, with a port of its own for each stream.
fn accept(bench: &mut Bench, tag: &str, streams: &[(&str, &str)]) {
    let mut sdp =
        "v=0\r\no=- 1 1 IN IP4 192.0.2.3\r\ns=-\r\nc=IN IP4 192.0.2.3\r\nt=0 0\r\n".to_owned();
    for (port, (line, more)) in (6000..).step_by(2).zip(streams) {
        sdp += &format!("m=audio {port} {line}\r\na=recvonly\r\n{more}");
    }
    let request = about("subscribe answer");
    let request = Request { to_tag: Some(tag.into()), sdp: Some(sdp.into()), ..request };
    assert_eq!(bench.ask(&request).error_reason, None);
}

/// What left as copies when this arrived, and where to.
fn copies(bench: &mut Bench, from: &str, to: u16, packet: &[u8]) -> Vec<(String, Vec<u8>)> {
    let passed = bench.relay(from, to, packet).expect("the other party hears it");
    assert_eq!(passed.1, packet, "as it was");
    bench.leaving().into_iter().map(|(_, to, bytes)| (to.to_string(), bytes)).collect()
}

#[test]
fn one_party_is_heard_by_a_third() {
    let mut bench = Bench::new();
    let ports = call(&mut bench);
    let request = Request { from_tag: Some("ft".into()), ..about("subscribe request") };
    let (response, sdp, tag) = subscribe(&mut bench, &request);
    assert_eq!(response.other.text("from-tag"), Some("ft"));
    assert!(sdp.contains(" RTP/AVP 8 101\r\n") && sdp.contains("a=sendonly\r\n"), "{sdp}");
    assert!(sdp.contains("a=rtpmap:101 telephone-event/8000\r\n"), "{sdp}");
    assert!(!ports.contains(&port_of(&sdp, 0)), "it has a port of its own");
    assert_eq!(
        copies(&mut bench, ALICE, ports[0], &rtp(8, 1, &[1; 160])),
        [],
        "nobody has answered"
    );
    accept(&mut bench, &tag, &[("RTP/AVP 8 101", "")]);
    for sequence in 2..10 {
        let said = rtp(8, sequence, &[sequence as u8; 160]);
        let copies = copies(&mut bench, ALICE, ports[0], &said);
        assert_eq!(copies, [(RECORDER.to_owned(), said)]);
    }
    // Bob is not heard, and what the subscriber sends goes nowhere.
    assert_eq!(copies(&mut bench, BOB, ports[1], &rtp(8, 1, &[2; 160])), []);
    assert_eq!(bench.relay(RECORDER, port_of(&sdp, 0), &rtp(8, 1, &[3; 160])), None);
    let told = bench.query();
    assert!(told.contains(&tag) && told.contains("pub/sub"), "{told}");
    // Another offer changes nothing of it, and neither does a party that is silenced for the other one.
    bench.connect(&offer(&phone("192.0.2.1", 4000)), &answer(&phone("192.0.2.2", 5000)));
    assert_eq!(copies(&mut bench, ALICE, ports[0], &rtp(8, 10, &[1; 160])).len(), 1);
    let gone = Request { to_tag: Some(tag), ..about("unsubscribe") };
    for _ in 0..2 {
        assert_eq!(bench.ask(&gone).error_reason, None);
    }
    assert_eq!(copies(&mut bench, ALICE, ports[0], &rtp(8, 11, &[1; 160])), []);
    assert_eq!(bench.ports.len(), 2);
}

#[test]
fn a_recorder_hears_both_and_is_told_who_they_are() {
    let mut bench = Bench::new();
    let ports = call(&mut bench);
    let request = flagged(about("subscribe request"), &["all", "SIPREC"]);
    let (response, sdp, tag) = subscribe(&mut bench, &request);
    assert_eq!(sdp.matches("m=audio").count(), 2, "{sdp}");
    let labels: Vec<&str> = sdp.lines().filter_map(|l| l.strip_prefix("a=label:")).collect();
    let Some(Value::Dict(media_labels)) = response.other.get("media-labels") else { panic!() };
    let tag_of = |label: &str| match media_labels.get(label) {
        Some(Value::Dict(facts)) => facts.text("tag").unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(labels.iter().map(|label| tag_of(label)).collect::<Vec<_>>(), ["ft", "tt"]);
    let Some(Value::List(medias)) = response.other.get("tag-medias") else { panic!() };
    let tags: Vec<_> =
        medias.iter().filter_map(Value::as_dict).filter_map(|m: &Dict| m.text("tag")).collect();
    assert_eq!(tags, ["ft", "tt"]);
    accept(&mut bench, &tag, &[("RTP/AVP 8", ""), ("RTP/AVP 8", "")]);
    let said = rtp(8, 1, &[1; 160]);
    assert_eq!(copies(&mut bench, ALICE, ports[0], &said), [(RECORDER.to_owned(), said)]);
    let said = rtp(8, 9, &[2; 160]);
    let second = "192.0.2.3:6002".to_owned();
    assert_eq!(copies(&mut bench, BOB, ports[1], &said), [(second, said)]);
    // Two subscribers hear the same.
    let request = Request {
        other: Dict::new().with("from-tags", Value::from_iter([Value::from("tt")])),
        to_tag: Some("mine".into()),
        ..about("subscribe request")
    };
    let (_, _, mine) = subscribe(&mut bench, &request);
    assert_eq!(mine, "mine");
    accept(&mut bench, &mine, &[("RTP/AVP 8", "")]);
    assert_eq!(copies(&mut bench, BOB, ports[1], &rtp(8, 10, &[2; 160])).len(), 2);
    // The call ends for all.
    assert_eq!(bench.ask(&delete()).warning, None);
    assert!(bench.ports.is_empty());
}

#[test]
fn a_subscriber_may_speak_srtp_and_another_codec() {
    let mut bench = Bench::new();
    let ports = call(&mut bench);
    let request = Request {
        from_tag: Some("ft".into()),
        transport_protocol: Some("RTP/SAVP".into()),
        ..flagged(about("subscribe request"), &["codec-transcode-PCMU"])
    };
    let (_, sdp, tag) = subscribe(&mut bench, &request);
    assert!(sdp.contains(" RTP/SAVP ") && sdp.contains("a=rtpmap:0 PCMU/8000"), "{sdp}");
    let suite = Suite::AesCm128HmacSha1_80;
    let lines = sdp.lines().filter_map(|line| line.strip_prefix("a=crypto:"));
    let line = lines.map(|line| Crypto::parse(line).unwrap()).find(|l| l.suite() == suite).unwrap();
    let ours = Crypto::new(line.tag, MasterKey::new(suite, &[5; 30]).unwrap());
    accept(&mut bench, &tag, &[("RTP/SAVP 0", &format!("a=crypto:{ours}\r\n"))]);
    let mut inbound = Inbound::new(&line.key);
    let mut heard = 0;
    for sequence in 1..20 {
        for (to, mut bytes) in copies(&mut bench, ALICE, ports[0], &rtp(8, sequence, &[0xd5; 160]))
        {
            let length = bytes.len();
            let length = inbound.unprotect(&mut bytes, length).unwrap();
            let packet = rtp::Packet::parse(&bytes[..length]).unwrap();
            assert_eq!((to.as_str(), packet.payload_type()), (RECORDER, 0));
            assert_eq!(packet.payload().len(), 160);
            heard += 1;
        }
    }
    assert_eq!(heard, 19);
}

#[test]
fn what_cannot_be_heard_is_refused_as_rtpengine_does() {
    let mut bench = Bench::new();
    call(&mut bench);
    let refused = |bench: &mut Bench, request: Request| bench.ask(&request).error_reason.unwrap();
    assert_eq!(refused(&mut bench, about("subscribe request")), "No monologues matched");
    let elsewhere = Request { call_id: Some("x".into()), ..about("subscribe request") };
    assert_eq!(refused(&mut bench, elsewhere), "Unknown call-id");
    let sdp = Some(phone("192.0.2.3", 6000).into());
    let answer = Request { to_tag: Some("nope".into()), sdp, ..about("subscribe answer") };
    assert_eq!(refused(&mut bench, answer), "To-tag not found");
    bench.most = 3;
    let none = flagged(about("subscribe request"), &["all"]);
    assert_eq!(refused(&mut bench, none), "Ran out of ports");
    assert_eq!((bench.ports.len(), bench.media.sessions()), (2, 1), "the call goes on without it");
}

#[test]
fn a_subscription_outlives_its_relay() {
    let mut bench = Bench::relay_named("a", &Default::default());
    let ports = call(&mut bench);
    let request = Request { from_tag: Some("ft".into()), ..about("subscribe request") };
    let (_, _, tag) = subscribe(&mut bench, &request);
    accept(&mut bench, &tag, &[("RTP/AVP 8", "")]);
    let mut heir = bench.heir("b");
    let said = rtp(8, 1, &[1; 160]);
    assert_eq!(copies(&mut heir, ALICE, ports[0], &said), [(RECORDER.to_owned(), said)]);
}
