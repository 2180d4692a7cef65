//! Digits that are said for a party.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use std::net::SocketAddr;

use base::Instant;
use base::relay::{Encoding, MasterKey, Suite};
use base::time::Duration;
use bench::{Bench, answer, offer};
use codec::dtmf::{Detector, Heard};
use media::MediaConfig;
use ng::{Command, Outcome, Request, Response, Value};
use rtp::event::TelephoneEvent;
use rtp::{Builder, Packet, prompts, wav};
use srtp::Inbound;
use srtp::sdes::Crypto;

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";
/// What a packet lasts.
const FRAME: Duration = Duration::from_millis(20);

/// The description of a phone with these formats, and lines about them.
fn phone(who: &str, formats: &str, lines: &[&str]) -> String {
    let (address, port) = who.split_once(':').unwrap();
    let lines: String = lines.iter().map(|line| format!("a={line}\r\n")).collect();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {formats}\r\n{lines}"
    )
}

const EVENTS: &[&str] = &["rtpmap:101 telephone-event/8000"];

/// A packet that leaves, and what it says.
#[derive(Clone, PartialEq, Debug)]
struct Left {
    to: String,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    payload_type: u8,
    marker: bool,
    payload: Vec<u8>,
}

impl Left {
    fn of(to: SocketAddr, bytes: &[u8]) -> Left {
        let packet = Packet::parse(bytes).unwrap();
        Left {
            to: to.to_string(),
            ssrc: packet.ssrc(),
            sequence: packet.sequence(),
            timestamp: packet.timestamp(),
            payload_type: packet.payload_type(),
            marker: packet.marker(),
            payload: packet.payload().to_vec(),
        }
    }

    fn event(&self) -> Option<TelephoneEvent> {
        TelephoneEvent::parse(&self.payload).filter(|_| self.payload_type == 101)
    }
}

struct Call {
    bench: Bench,
    facing: [u16; 2],
    sent: u16,
    /// Alice has SRTP.
    secure: Option<Inbound>,
}

impl Call {
    fn new(flags: &[&str], alice: &str, bob: &str) -> Call {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let mut bench = Bench::new();
        let offer = Request { other_flags: flags, ..offer(alice) };
        let facing = bench.connect(&offer, &answer(bob));
        Call { bench, facing, sent: 0, secure: None }
    }

    /// Both have PCMA and events.
    fn usual() -> Call {
        Call::new(&[], &phone(ALICE, "8 101", EVENTS), &phone(BOB, "8 101", EVENTS))
    }

    fn ask(&mut self, keys: &[(&str, Value)]) -> Response {
        self.ask_as("ft", keys)
    }

    fn ask_as(&mut self, tag: &str, keys: &[(&str, Value)]) -> Response {
        let mut request = Request::new(Command::Unknown("play DTMF".to_owned()));
        request.call_id = Some("call".to_owned());
        request.from_tag = Some(tag.to_owned());
        for (key, value) in keys {
            request.other.push(*key, value.clone());
        }
        self.bench.ask(&request)
    }

    /// Alice's phone says a digit.
    fn dial(&mut self, keys: &[(&str, Value)]) {
        self.dial_as("ft", keys);
    }

    fn dial_as(&mut self, tag: &str, keys: &[(&str, Value)]) {
        let response = self.ask_as(tag, keys);
        assert_eq!((response.outcome, response.error_reason), (Outcome::Ok, None));
    }

    /// One of them says so many packets; what leaves meanwhile, and when: milliseconds since the beginning.
    fn say(&mut self, from: &str, payload_type: u8, count: usize) -> Vec<(u64, Left)> {
        self.utter(from, payload_type, &vec![vec![0xd5; 160]; count])
    }

    /// The same with these payloads.
    fn utter(&mut self, from: &str, payload_type: u8, payloads: &[Vec<u8>]) -> Vec<(u64, Left)> {
        let begin = self.bench.now;
        let mut out = Vec::new();
        for payload in payloads {
            let n = self.sent;
            self.sent += 1;
            let packet = Builder {
                payload_type,
                sequence: 65_530_u16.wrapping_add(n),
                timestamp: 1000 + 160 * u32::from(n),
                ssrc: 7,
                payload,
                ..Builder::default()
            };
            out.extend(self.relay(begin, from, &packet));
            self.bench.now += FRAME;
            self.expire(begin, &mut out);
        }
        out
    }

    fn relay(&mut self, begin: Instant, from: &str, packet: &Builder<'_>) -> Vec<(u64, Left)> {
        let facing = self.facing[usize::from(from == BOB)];
        let direct = self.bench.relay(from, facing, &packet.build());
        let mut out: Vec<_> =
            direct.map(|(onward, bytes)| self.left(begin, onward.to, bytes)).into_iter().collect();
        self.leave(begin, &mut out);
        out
    }

    fn leave(&mut self, begin: Instant, out: &mut Vec<(u64, Left)>) {
        for (_, to, bytes) in self.bench.leaving() {
            out.push(self.left(begin, to, bytes));
        }
    }

    fn left(&mut self, begin: Instant, to: SocketAddr, mut bytes: Vec<u8>) -> (u64, Left) {
        if let Some(secure) = self.secure.as_mut().filter(|_| to.to_string() == ALICE) {
            let length = bytes.len();
            let length = secure.unprotect(&mut bytes, length).unwrap();
            bytes.truncate(length);
        }
        (self.bench.now.since(begin).as_millis() as u64, Left::of(to, &bytes))
    }

    /// What leaves by itself until now.
    fn expire(&mut self, begin: Instant, out: &mut Vec<(u64, Left)>) {
        let end = self.bench.now;
        while let Some(at) = self.bench.path.deadline().filter(|at| *at < end) {
            self.bench.now = at;
            self.bench.path.expire(at);
            self.leave(begin, out);
        }
        self.bench.now = end;
    }

    fn pass(&mut self, milliseconds: u64) -> Vec<(u64, Left)> {
        let begin = self.bench.now;
        self.bench.now += Duration::from_millis(milliseconds);
        let mut out = Vec::new();
        self.expire(begin, &mut out);
        out
    }
}

/// It is one stream: each number follows the one before it, and no sound comes before what was said.
fn is_whole(left: &[(u64, Left)]) {
    for pair in left.windows(2) {
        let [(_, before), (_, after)] = pair else { unreachable!() };
        assert_eq!(after.ssrc, before.ssrc);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1), "{before:?} {after:?}");
        assert!(after.timestamp >= before.timestamp, "{before:?} {after:?}");
    }
}

/// The digits of the events, each with its timestamp, its duration and how often its end was said.
fn digits(left: &[(u64, Left)]) -> Vec<(char, u32, u16, usize)> {
    let mut out: Vec<(char, u32, u16, usize)> = Vec::new();
    for (_, packet) in left {
        let Some(event) = packet.event() else { continue };
        if out.last().is_none_or(|last| last.1 != packet.timestamp) {
            assert!(packet.marker, "the first packet has the marker");
            out.push((event.digit().unwrap(), packet.timestamp, 0, 0));
        } else {
            assert!(!packet.marker);
        }
        let last = out.last_mut().unwrap();
        assert!(last.3 == 0 || event.end, "an event that ended goes on");
        assert!(event.duration >= last.2);
        last.2 = event.duration;
        last.3 += usize::from(event.end);
    }
    out
}

/// The digits that are heard in speech.
fn tones(left: &[(u64, Left)], encoding: Encoding) -> Vec<(u8, u64)> {
    let mut decoder = codec::decoder(encoding);
    let mut samples = Vec::new();
    for (_, packet) in left {
        decoder.decode(&packet.payload, &mut samples).unwrap();
    }
    let (mut detector, mut heard) = (Detector::new(encoding.rate()), Vec::new());
    detector.listen(&samples, &mut heard);
    let lasted =
        |Heard { event, lasted }: Heard| Some((event, lasted? * 1000 / u64::from(encoding.rate())));
    heard.into_iter().filter_map(lasted).collect()
}

#[test]
fn a_digit_takes_the_place_of_what_is_said() {
    let mut call = Call::usual();
    let mut left = call.say(ALICE, 8, 10);
    call.dial(&[("code", Value::from("5"))]);
    left.extend(call.say(ALICE, 8, 20));
    is_whole(&left);
    assert_eq!(digits(&left), [('5', 1000 + 1600, 2000, 3)], "250 ms");
    let (before, rest) = left.split_at(10);
    let said = rest.iter().filter(|(_, packet)| packet.event().is_some()).count();
    assert_eq!(said, 13 + 3, "every 20 ms, and the end three times");
    let (events, after) = rest.split_at(said);
    assert!(before.iter().chain(after).all(|(_, packet)| packet.payload == [0xd5; 160]));
    assert!(events.iter().all(|(_, packet)| packet.event().unwrap().volume == 8));
    assert_eq!((events[0].0, events[15].0), (0, 250));
    // 13 packets of 20 ms were left out, and no time.
    assert_eq!(after.len(), 7);
    assert_eq!(after[0].1.timestamp, 1000 + 23 * 160);
    // The other direction stays as it is.
    call.sent = 0;
    let back = call.say(BOB, 8, 3);
    assert_eq!((back.len(), back[0].1.sequence), (3, 65_530));
}

#[test]
fn digits_wait_for_each_other() {
    let mut call = Call::usual();
    let pause = ("pause", Value::from(200i64));
    for (code, duration) in [("1", 100i64), ("*", 140), ("D", 100)] {
        let keys =
            [("digit", Value::from(code)), ("duration", Value::from(duration)), pause.clone()];
        call.dial(&keys);
    }
    let left = call.say(ALICE, 8, 60);
    is_whole(&left);
    // Between them the party is heard: 200 ms at least, until a packet comes.
    let second = 1000 + (100 + 200) * 8;
    let third = second + (140 + 200) * 8;
    let all = [('1', 1000, 800, 3), ('*', second, 1120, 3), ('D', third, 800, 3)];
    assert_eq!(digits(&left), all);
    let speech = left.iter().filter(|(_, packet)| packet.event().is_none()).count();
    assert_eq!(speech, 60 - 5 - 7 - 5);
}

#[test]
fn who_knows_no_events_hears_tones() {
    for (format, payload_type, encoding) in
        [("0", 0, Encoding::Pcmu), ("8", 8, Encoding::Pcma), ("9", 9, Encoding::G722)]
    {
        let bob = phone(BOB, format, &[]);
        let mut call = Call::new(&[], &phone(ALICE, &format!("{format} 101"), EVENTS), &bob);
        // Somebody speaks before and after.
        let speech = wav::read(prompts::ALICE).unwrap().samples;
        let mut encoder = codec::encoder(encoding);
        let frames = speech.chunks_exact(encoding.rate() as usize / 50).take(25).map(|frame| {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            payload
        });
        let payloads: Vec<Vec<u8>> = frames.collect();
        let mut left = call.utter(ALICE, payload_type, &payloads[..5]);
        call.dial(&[("code", Value::from(11i64)), ("duration", Value::from(200i64))]);
        left.extend(call.utter(ALICE, payload_type, &payloads[5..]));
        assert_eq!(left.len(), 25, "a packet for a packet");
        is_whole(&left);
        for pair in left.windows(2) {
            assert_eq!(pair[1].1.timestamp, pair[0].1.timestamp + 160, "{format}");
            assert_eq!(pair[1].1.payload_type, payload_type);
        }
        let heard = tones(&left, encoding);
        let [(event, lasted)] = heard[..] else { panic!("{format}: {heard:?}") };
        assert_eq!(event, 11);
        assert!((170..=230).contains(&lasted), "{lasted} ms");
    }
}

#[test]
fn what_is_converted_has_digits_too() {
    let alice = phone(ALICE, "0 101", EVENTS);
    let bob = phone(BOB, "9 101", EVENTS);
    let mut call = Call::new(&["codec-transcode-G722"], &alice, &bob);
    let mut left = call.say(ALICE, 0, 5);
    call.dial(&[("code", Value::from("#"))]);
    left.extend(call.say(ALICE, 0, 20));
    is_whole(&left);
    let [(digit, _, duration, ends)] = digits(&left)[..] else { panic!("one digit") };
    assert_eq!((digit, duration, ends), ('#', 2000, 3));
    assert!(left.iter().all(|(_, packet)| [9, 101].contains(&packet.payload_type)));
}

#[test]
fn a_party_that_says_nothing_has_digits() {
    let mut call = Call::usual();
    call.dial(&[("code", Value::from("7"))]);
    call.dial(&[("code", Value::from("8"))]);
    let silent = call.pass(1000);
    is_whole(&silent);
    let said = digits(&silent);
    let what: Vec<_> =
        said.iter().map(|(digit, _, duration, ends)| (*digit, *duration, *ends)).collect();
    assert_eq!(what, [('7', 2000, 3), ('8', 2000, 3)]);
    // It begins after 100 ms without a packet, and so does the next one after its pause.
    assert_eq!(said[1].1 - said[0].1, (250 + 100 + 100) * 8);
    // Then it speaks, with numbers of its own.
    let spoken = call.say(ALICE, 8, 10);
    is_whole(&spoken);
    assert_eq!((spoken.len(), spoken[0].1.ssrc, spoken[0].1.sequence), (10, 7, 65_530));
    assert_ne!(silent[0].1.ssrc, 7);
    // In a pause of what it says, a digit goes on with those.
    call.dial(&[("code", Value::from("9"))]);
    let mut left = spoken;
    left.extend(call.pass(600));
    is_whole(&left);
    call.sent += 30;
    left.extend(call.say(ALICE, 8, 10));
    assert_eq!(digits(&left)[0].0, '9');
    let (_, first) = &left[left.len() - 10];
    assert_eq!(first.timestamp, 1000 + 40 * 160, "time has passed as it did");
    for pair in left.windows(2) {
        assert_eq!(pair[1].1.sequence, pair[0].1.sequence.wrapping_add(1));
    }
}

#[test]
fn what_comes_late_is_not_said_twice() {
    let mut call = Call::usual();
    let begin = call.bench.now;
    call.say(ALICE, 8, 5);
    call.dial(&[("code", Value::from("1")), ("duration", Value::from(100i64))]);
    let mut left = call.say(ALICE, 8, 6);
    is_whole(&left);
    let last = left.last().unwrap().1.sequence;
    for behind in [1, 3, 8] {
        let sequence = 65_530_u16.wrapping_add(call.sent - 1 - behind);
        let packet =
            Builder { payload_type: 8, sequence, ssrc: 7, payload: &[1], ..Builder::default() };
        assert_eq!(call.relay(begin, ALICE, &packet), [], "{behind}");
    }
    left.extend(call.say(ALICE, 8, 5));
    is_whole(&left);
    assert_eq!(left[left.len() - 5].1.sequence, last.wrapping_add(1));
    // Another source has its own numbers, and so has one that begins anew.
    let other =
        Builder { payload_type: 8, sequence: 3, ssrc: 8, payload: &[1], ..Builder::default() };
    assert_eq!(call.relay(begin, ALICE, &other)[0].1.sequence, 3);
}

#[test]
fn what_was_said_during_a_digit_is_not_heard_behind_it() {
    let mut call = Call::usual();
    call.dial(&[("code", Value::from("1"))]);
    let mut left = call.say(ALICE, 8, 1);
    // A packet of 240 ms after its beginning comes late, when the 250 ms are over.
    left.extend(call.pass(235));
    call.sent = 12;
    let late = call.say(ALICE, 8, 1);
    assert_eq!(late, []);
    left.extend(call.say(ALICE, 8, 1));
    is_whole(&left);
    assert_eq!(left.last().unwrap().1.timestamp, 1000 + 13 * 160);
}

#[test]
fn digits_are_told_in_the_log_once_if_that_is_wanted() {
    for (dtmf_log, blocked, told) in [(false, false, 0), (true, false, 2), (true, true, 2)] {
        let mut bench = Bench::with(MediaConfig { dtmf_log, ..MediaConfig::new([bench::v4()]) });
        let events = &["rtpmap:101 telephone-event/8000", "rtpmap:96 telephone-event/16000"];
        let [alice, bob] = [ALICE, BOB].map(|who| phone(who, "8 101 96", events));
        let facing = bench.connect(&offer(&alice), &answer(&bob));
        let mut call = Call { bench, facing, sent: 0, secure: None };
        let event =
            |event, end, duration| TelephoneEvent { event, end, volume: 10, duration }.build();
        let digits = [(0, false, 160), (1, true, 800), (2, true, 800), (3, true, 800)];
        for (payload_type, timestamp, digit) in [(101, 1000, 9), (96, 5000, 11), (101, 9000, 16)] {
            for (n, end, duration) in digits {
                // What changes in the middle of a digit makes no other one of it.
                if n == 2 && blocked {
                    let mut request = Request::new(Command::Unknown("block DTMF".to_owned()));
                    request.call_id = Some("call".to_owned());
                    assert_eq!(call.bench.ask(&request).error_reason, None);
                }
                call.sent += 1;
                let (sequence, payload) = (call.sent, &event(digit, end, duration));
                let packet =
                    Builder { payload_type, sequence, timestamp, payload, ..Builder::default() };
                call.relay(Instant::EPOCH, BOB, &packet);
            }
        }
        // Speech is none, and what was said for a party is not told.
        call.say(BOB, 8, 2);
        call.dial(&[("code", Value::from("3"))]);
        call.say(ALICE, 8, 20);
        let lines = call.bench.logs.iter().filter(|log| log.counter == "media.dtmf");
        let lines: Vec<&str> = lines.map(|log| log.text.as_str()).collect();
        assert_eq!(lines.len(), told, "{lines:?}");
        if dtmf_log {
            assert_eq!(lines[0], "call: leg B said 9 for 100 ms, 10 dB below 0 dBm0");
            assert_eq!(lines[1], "call: leg B said # for 50 ms, 10 dB below 0 dBm0");
        }
    }
}

#[test]
fn keys_have_limits() {
    let int = |key: &'static str, value: i64| (key, Value::from(value));
    for (keys, duration, volume) in [
        (vec![int("duration", 1)], 800, 8),
        (vec![int("duration", 9_000_000)], 40_000, 8),
        (vec![int("volume", -20), int("duration", 100)], 800, 20),
        (vec![int("volume", 20), int("duration", 100)], 800, 20),
        (vec![int("volume", i64::MIN), int("duration", i64::MIN)], 800, 63),
        (vec![("duration", Value::from("120"))], 960, 8),
    ] {
        let mut call = Call::usual();
        call.dial(&[&[("code", Value::from("0"))], &keys[..]].concat());
        let left = call.say(ALICE, 8, 300);
        is_whole(&left);
        assert_eq!(digits(&left)[0].2, duration, "{keys:?}");
        assert!(left.iter().filter_map(|(_, l)| l.event()).all(|e| e.volume == volume));
    }
    for (code, digit) in [
        (Value::from(0i64), '0'),
        (Value::from("a"), 'A'),
        (Value::from("12"), 'A'),
        (Value::from(15i64), 'D'),
    ] {
        let mut call = Call::usual();
        call.dial(&[("code", code)]);
        assert_eq!(digits(&call.say(ALICE, 8, 20))[0].0, digit);
    }
}

#[test]
fn what_cannot_be_said_is_told() {
    let error = |call: &mut Call, keys: &[(&str, Value)]| call.ask(keys).error_reason.unwrap();
    let mut call = Call::usual();
    assert!(error(&mut call, &[]).contains("No code in message"));
    for code in [Value::from(16i64), Value::from(-1i64), Value::from("E"), Value::from("")] {
        assert!(error(&mut call, &[("code", code)]).contains("Out of range 'code'"));
    }
    let code = ("code", Value::from("1"));
    let nobody = [code.clone(), ("address", Value::from("192.0.2.77"))];
    assert_eq!(error(&mut call, &nobody), "No such participant");
    assert_eq!(call.say(ALICE, 8, 30).len(), 30);
    assert!(digits(&call.say(ALICE, 8, 30)).is_empty());
    // Nobody answered yet.
    let mut bench = Bench::new();
    bench.sdp(&offer(&phone(ALICE, "8 101", EVENTS)));
    let mut early = Call { bench, facing: [0; 2], sent: 0, secure: None };
    assert!(error(&mut early, std::slice::from_ref(&code)).contains("has not answered"));
    let odd = ["rtpmap:97 EVS/16000"];
    let mut odd = Call::new(&[], &phone(ALICE, "97", &odd), &phone(BOB, "97", &odd));
    assert!(error(&mut odd, &[code]).contains("neither telephone-event"));
}

#[test]
fn all_of_them_may_say_it() {
    for (party, hears) in
        [(Some("ft"), vec![BOB]), (Some("tt"), vec![ALICE]), (None, vec![ALICE, BOB])]
    {
        let mut call = Call::usual();
        let mut request = Request::new(Command::Unknown("play DTMF".to_owned()));
        request.call_id = Some("call".to_owned());
        request.from_tag = party.map(str::to_owned);
        request.other.push("code", "4");
        assert_eq!(call.bench.ask(&request).error_reason, None);
        let mut left = Vec::new();
        for _ in 0..30 {
            left.extend(call.say(ALICE, 8, 1));
            left.extend(call.say(BOB, 8, 1));
        }
        for who in [ALICE, BOB] {
            let mut to = left.clone();
            to.retain(|(_, packet)| packet.to == who);
            assert_eq!(digits(&to).len(), usize::from(hears.contains(&who)), "{party:?} {who}");
        }
    }
}

#[test]
fn who_speaks_srtp_hears_digits_of_one_stream() {
    let octets: Vec<u8> = (0..30).collect();
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &octets).unwrap();
    let crypto = format!("crypto:{}", Crypto::new(1, key));
    let alice = phone(ALICE, "8 101", &[EVENTS[0], &crypto]).replace("RTP/AVP", "RTP/SAVP");
    let mut offer = offer(&alice);
    offer.transport_protocol = Some("RTP/AVP".to_owned());
    let mut bench = Bench::new();
    let at_bob = bench.sdp(&offer);
    let at_alice = bench.sdp(&answer(&phone(BOB, "8 101", EVENTS)));
    let ours = at_alice.lines().find_map(|line| line.strip_prefix("a=crypto:")).unwrap();
    let secure = Some(Inbound::new(&Crypto::parse(ours).unwrap().key));
    let facing = [&at_alice, &at_bob].map(|sdp| bench::port_of(sdp, 0));
    let mut call = Call { bench, facing, sent: 0, secure };
    let mut left = call.say(BOB, 8, 5);
    for code in ["1", "2"] {
        call.dial_as("tt", &[("code", Value::from(code))]);
    }
    // No number is used twice under one key, over the wrap of the sequence numbers too.
    left.extend(call.say(BOB, 8, 60));
    is_whole(&left);
    let said: Vec<char> = digits(&left).iter().map(|(digit, ..)| *digit).collect();
    assert_eq!(said, ['1', '2']);
}
