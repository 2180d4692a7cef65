//! Sounds that a party hears in place of the other one.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::sync::Arc;

use base::time::Duration;
use bench::{Bench, answer, offer, phone, v4};
use media::{MediaConfig, Sound};
use ng::{Command, Encoding, Outcome, Request, Response, Value};

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";

/// A tone of 1000 Hz.
fn tone(rate: u32, milliseconds: u32) -> Vec<u8> {
    let count = rate * milliseconds / 1000;
    let sample =
        |n: u32| (8000.0 * (2.0 * PI * 1000.0 * f64::from(n) / f64::from(rate)).sin()) as i16;
    rtp::wav::write(rate, &(0..count).map(sample).collect::<Vec<_>>()).unwrap()
}

/// How loud the tone is in samples of so many in a second, and how loud everything is.
fn loudness(samples: &[i16], rate: u32) -> (f64, f64) {
    let count = samples.len() as f64;
    let (mut cosine, mut sine, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let (at, sample) = (2.0 * PI * 1000.0 * n as f64 / f64::from(rate), f64::from(*sample));
        cosine += sample * at.cos();
        sine += sample * at.sin();
        all += sample * sample;
    }
    (2.0 * cosine.hypot(sine) / count, (2.0 * all / count).sqrt())
}

struct Call {
    bench: Bench,
    facing: [u16; 2],
    sequence: u16,
}

impl Call {
    fn new() -> Call {
        Call::between(&phone("192.0.2.1", 4000), &phone("192.0.2.2", 5000))
    }

    fn between(alice: &str, bob: &str) -> Call {
        let sounds = [("hold", tone(16_000, 1000)), ("7", tone(8000, 100))];
        let sounds: BTreeMap<String, Sound> = sounds
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), Sound::read(&bytes).unwrap()))
            .collect();
        let config = MediaConfig { sounds: Arc::new(sounds), ..MediaConfig::new([v4()]) };
        let mut bench = Bench::with(config);
        let facing = bench.connect(&offer(alice), &answer(bob));
        Call { bench, facing, sequence: 0 }
    }

    fn ask(&mut self, command: &str, keys: &[(&str, Value)]) -> Response {
        let mut request = Request::new(Command::Unknown(command.to_owned()));
        request.call_id = Some("call".to_owned());
        request.from_tag = Some("ft".to_owned());
        for (key, value) in keys {
            request.other.push(*key, value.clone());
        }
        // Only bencode carries bytes.
        self.bench.ask_in(Encoding::Bencode, &request)
    }

    /// What of a packet of the other one reaches Alice.
    fn bob_is_heard(&mut self) -> bool {
        self.sequence += 1;
        self.bench.packet(BOB, self.facing[1], self.sequence).is_some()
    }

    /// What leaves for Alice within this time.
    fn leaves(&mut self, milliseconds: u64) -> Vec<Vec<u8>> {
        let end = self.bench.now + Duration::from_millis(milliseconds);
        let mut out = Vec::new();
        while let Some(at) = self.bench.path.deadline().filter(|at| *at < end) {
            self.bench.now = self.bench.now.max(at);
            self.bench.path.expire(self.bench.now);
            for (from, to, bytes) in self.bench.leaving() {
                assert_eq!((from.port(), to), (self.facing[0], ALICE.parse().unwrap()));
                out.push(bytes);
            }
        }
        self.bench.now = end;
        out
    }
}

fn decoded(packets: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = codec::decoder(base::relay::Encoding::Pcma);
    let mut out = Vec::new();
    for packet in packets {
        decoder.decode(rtp::Packet::parse(packet).unwrap().payload(), &mut out).unwrap();
    }
    out
}

fn error(response: &Response) -> String {
    assert_eq!(response.outcome, Outcome::Error);
    response.error_reason.clone().unwrap()
}

#[test]
fn a_file_is_played_in_place_of_the_other_one() {
    let mut call = Call::new();
    assert!(call.bob_is_heard());
    let response = call.ask("play media", &[("file", Value::from("/somewhere/hold.wav"))]);
    assert_eq!(response.error_reason, None);
    assert_eq!(response.other.get("duration"), Some(&Value::from(1000i64)));
    let packets = call.leaves(600);
    assert_eq!(packets.len(), 30, "a packet each 20 ms");
    assert!(!call.bob_is_heard());
    let parsed: Vec<_> = packets.iter().map(|bytes| rtp::Packet::parse(bytes).unwrap()).collect();
    let first = &parsed[0];
    assert!(first.marker() && !parsed[1].marker());
    for (n, packet) in (0u16..).zip(&parsed) {
        assert_eq!((packet.payload_type(), packet.ssrc()), (8, first.ssrc()));
        assert_eq!(packet.sequence(), first.sequence().wrapping_add(n));
        assert_eq!(packet.timestamp(), first.timestamp().wrapping_add(160 * u32::from(n)));
    }
    let (tone, all) = loudness(&decoded(&packets)[800..], 8000);
    assert!((7800.0..8200.0).contains(&tone) && all - tone < 200.0, "{tone} of {all}");
    assert_eq!(call.leaves(600).len(), 20, "the rest of a second");
    assert!(call.bob_is_heard());
}

#[test]
fn what_is_played_is_stopped() {
    let mut call = Call::new();
    let hold = [("file", Value::from("hold")), ("repeat-times", Value::from(0i64))];
    let response = call.ask("play media", &hold);
    assert_eq!((response.error_reason, response.other.get("duration")), (None, None), "endless");
    assert_eq!(call.leaves(2500).len(), 125);
    let response = call.ask("stop media", &[]);
    assert_eq!(response.error_reason, None);
    assert_eq!(response.other.get("last-frame-pos"), Some(&Value::from(500i64)));
    assert_eq!(call.leaves(500).len(), 0);
    assert!(call.bob_is_heard());
    assert_eq!(error(&call.ask("stop media", &[])), "Not currently playing media");
}

#[test]
fn how_long_it_is_played_can_be_told() {
    let cases: [(&[(&str, i64)], i64); 4] = [
        (&[("repeat-times", 3)], 300),
        (&[("repeat-times", 0), ("repeat-duration", 240)], 240),
        (&[("start-pos", 60)], 40),
        (&[("start-pos", 60), ("repeat-times", 2)], 140),
    ];
    for (keys, milliseconds) in cases {
        let mut call = Call::new();
        let mut all = vec![("db-id", Value::from(7i64))];
        all.extend(keys.iter().map(|(key, value)| (*key, Value::from(*value))));
        let response = call.ask("play media", &all);
        assert_eq!(response.other.get("duration"), Some(&Value::from(milliseconds)), "{keys:?}");
        assert_eq!(call.leaves(1000).len() as i64, milliseconds / 20, "{keys:?}");
        assert!(call.bob_is_heard());
    }
}

#[test]
fn numbers_may_be_huge() {
    let hold = ("file", Value::from("hold"));
    for (key, value, duration) in [
        ("repeat-times", i64::MAX, Some(i64::from(u32::MAX) * 1000)),
        ("repeat-duration", i64::MAX, Some(1000)),
        ("start-pos", i64::MAX, Some(0)),
        ("repeat-times", -1, Some(1000)),
    ] {
        let mut call = Call::new();
        let response = call.ask("play media", &[hold.clone(), (key, Value::from(value))]);
        let told = response.other.get("duration").and_then(Value::as_int);
        assert_eq!(told, duration, "{key} {value}: {response:?}");
        call.leaves(100);
    }
}

#[test]
fn bytes_are_played_and_what_cannot_be_is_told() {
    let mut call = Call::new();
    let blob = |bytes: Vec<u8>| [("blob", Value::Text(bytes))];
    let response = call.ask("play media", &blob(tone(44_100, 100)));
    assert_eq!(response.other.get("duration"), Some(&Value::from(100i64)), "{response:?}");
    // The last samples wait in the resampler's memory: half a packet of silence is behind them.
    let count = call.leaves(1000).len();
    assert!((5..=6).contains(&count), "{count}");
    assert!(error(&call.ask("play media", &blob(b"RIFF".to_vec()))).contains("broken WAV"));
    let odd = error(&call.ask("play media", &blob(tone(7999, 100))));
    assert!(odd.contains("7999 samples"), "{odd}");
    let unknown = error(&call.ask("play media", &[("file", Value::from("../etc/passwd"))]));
    assert!(unknown.contains("There is no sound passwd"), "{unknown}");
    assert_eq!(error(&call.ask("play media", &[])), "No media file specified");
    let stranger = Request {
        call_id: Some("nobody".to_owned()),
        other: ng::Dict::default().with("file", "hold"),
        ..Request::new(Command::Unknown("play media".to_owned()))
    };
    assert_eq!(error(&call.bench.ask(&stranger)), "Unknown call-id");
}

#[test]
fn a_new_offer_goes_on_with_its_own_codec() {
    let alice = |format: &str| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP {format}\r\n"
        )
    };
    let bob =
        |format: &str| alice(format).replace("192.0.2.1", "192.0.2.2").replace("4000", "5000");
    let mut call = Call::between(&alice("9 0"), &bob("0 9"));
    call.ask("play media", &[("file", Value::from("hold"))]);
    let types = |packets: Vec<Vec<u8>>| -> Vec<(u8, u32)> {
        let parsed = packets.iter().map(|bytes| rtp::Packet::parse(bytes).unwrap());
        parsed.map(|packet| (packet.payload_type(), packet.ssrc())).collect()
    };
    let before = types(call.leaves(200));
    assert_eq!((before.len(), before[0].0), (10, 9));
    let again = Request { to_tag: Some("tt".into()), ..offer(&alice("0")) };
    call.bench.sdp(&again);
    call.bench.sdp(&answer(&bob("0")));
    let after = types(call.leaves(2000));
    assert_eq!(after, vec![(0, before[0].1); 40]);
    // It is over: the next offer does not begin it again.
    let again = Request { to_tag: Some("tt".into()), ..offer(&alice("9")) };
    call.bench.sdp(&again);
    call.bench.sdp(&answer(&bob("9")));
    assert_eq!(call.leaves(200).len(), 0);
}
