//! Media and digits that do not pass, for one party or for all.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use bench::{Bench, answer, offer, phone};
use ng::{Command, Outcome, Request};

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";

struct Call {
    bench: Bench,
    facing: [u16; 2],
    sequence: u16,
}

impl Call {
    fn new() -> Call {
        let mut bench = Bench::new();
        let labelled =
            Request { label: Some("caller".to_owned()), ..offer(&phone("192.0.2.1", 4000)) };
        let facing = bench.connect(&labelled, &answer(&phone("192.0.2.2", 5000)));
        Call { bench, facing, sequence: 0 }
    }

    fn ask(&mut self, command: &str, change: impl FnOnce(&mut Request)) {
        let mut request = Request::new(Command::Unknown(command.to_owned()));
        request.call_id = Some("call".to_owned());
        change(&mut request);
        let response = self.bench.ask(&request);
        assert_eq!((response.outcome, response.error_reason), (Outcome::Ok, None), "{command}");
    }

    /// What of speech (8) and digits (101) comes through from Alice and from Bob.
    fn passes(&mut self) -> [Option<Vec<u8>>; 4] {
        let cases = [(ALICE, 0, 8), (ALICE, 0, 101), (BOB, 1, 8), (BOB, 1, 101)];
        cases.map(|(from, at, payload_type)| {
            self.sequence += 1;
            let (sequence, payload) = (self.sequence, &b"said"[..]);
            let bytes =
                rtp::Builder { payload_type, sequence, payload, ..Default::default() }.build();
            let (_, relayed) = self.bench.relay(from, self.facing[at], &bytes)?;
            Some(rtp::Packet::parse(&relayed).unwrap().payload().to_vec())
        })
    }

    fn said(&mut self) -> [&'static str; 4] {
        self.passes().map(|payload| match payload.as_deref() {
            None => "-",
            Some(b"said") => "said",
            Some([0xd5, 0xd5, 0xd5, 0xd5]) => "silence",
            Some(_) => "?",
        })
    }
}

const ALL: [&str; 4] = ["said"; 4];

#[test]
fn media_and_digits_are_blocked_and_let_through() {
    let mut call = Call::new();
    assert_eq!(call.said(), ALL);
    for (begin, end, all, alice) in [
        ("block media", "unblock media", ["-", "said", "-", "said"], ["-", "said", "said", "said"]),
        ("block DTMF", "unblock DTMF", ["said", "-", "said", "-"], ["said", "-", "said", "said"]),
        (
            "silence media",
            "unsilence media",
            ["silence", "said", "silence", "said"],
            ["silence", "said", "said", "said"],
        ),
    ] {
        call.ask(begin, |_| {});
        assert_eq!(call.said(), all, "{begin}");
        call.ask(end, |_| {});
        assert_eq!(call.said(), ALL, "{end}");
        call.ask(begin, |request| request.from_tag = Some("ft".to_owned()));
        assert_eq!(call.said(), alice, "{begin} of one");
        // A new answer forgets nothing.
        call.bench.sdp(&answer(&phone("192.0.2.2", 5000)));
        assert_eq!(call.said(), alice);
        call.ask(end, |request| request.label = Some("caller".to_owned()));
        assert_eq!(call.said(), ALL);
        call.ask(begin, |request| request.other.push("address", "192.0.2.1"));
        assert_eq!(call.said(), alice);
        call.ask(end, |request| {
            request.from_tag = Some("tt".to_owned());
            request.other_flags.push("all".to_owned());
        });
        assert_eq!(call.said(), ALL);
    }
}

#[test]
fn an_offer_may_drop_all_traffic() {
    let mut call = Call::new();
    let mut again = offer(&phone("192.0.2.1", 4000));
    again.to_tag = Some("tt".to_owned());
    again.other.push("drop-traffic", "start");
    call.bench.sdp(&again);
    assert_eq!(call.said(), ["-"; 4]);
    let mut answered = answer(&phone("192.0.2.2", 5000));
    answered.other.push("drop-traffic", "stop");
    call.bench.sdp(&answered);
    assert_eq!(call.said(), ALL);
}

#[test]
fn who_is_not_there_is_an_error() {
    let mut call = Call::new();
    let mut request = Request::new(Command::Unknown("block media".to_owned()));
    assert!(call.bench.ask(&request).error_reason.is_some(), "no Call-ID");
    request.call_id = Some("another".to_owned());
    assert!(call.bench.ask(&request).error_reason.is_some());
    request.call_id = Some("call".to_owned());
    request.from_tag = Some("nobody".to_owned());
    assert!(call.bench.ask(&request).error_reason.is_some());
    let mut tone = Request::new(Command::Unknown("block DTMF".to_owned()));
    tone.call_id = Some("call".to_owned());
    tone.other.push("DTMF-security", "tone");
    assert!(call.bench.ask(&tone).error_reason.unwrap().contains("DTMF-security"));
    assert_eq!(call.said(), ALL);
}
