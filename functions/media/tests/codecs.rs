//! Codecs that one party has and the other one has not.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use base::relay::{Amr, Encoding};
use base::time::Duration;
use bench::{Bench, answer, offer, port_of};
use codec::dtmf::{Detector, Heard};
use codec::stoi::stoi;
use codec::tone::{Tones, digit};
use codec::{decoder, encoder};
use ng::{Command, Dict, Request, Value};
use proptest::prelude::*;
use rtp::event::TelephoneEvent;
use rtp::likeness::{Verdict, compare};
use rtp::rtcp::{ReportBlock, Rtcp, SenderInfo};
use rtp::{Builder, Packet, prompts, wav};

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";
const FRAME: Duration = Duration::from_millis(20);

/// The description of a phone with these formats, and lines about them.
fn phone(who: &str, formats: &str, lines: &[&str]) -> String {
    let (address, port) = who.split_once(':').unwrap();
    let lines: String = lines.iter().map(|line| format!("a={line}\r\n")).collect();
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}\r\n{lines}"
    )
}

const DIGITS: &str = "rtpmap:101 telephone-event/8000";

struct Call {
    bench: Bench,
    /// What Bob and Alice were shown.
    shown: [String; 2],
    facing: [u16; 2],
}

impl Call {
    /// Alice calls Bob; both descriptions, and what is wanted of the offer.
    fn new(flags: &[&str], alice: &str, bob: &str) -> Call {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Call::with(Request { other_flags: flags, ..offer(alice) }, bob)
    }

    fn with(offer: Request, bob: &str) -> Call {
        let mut bench = Bench::new();
        let at_bob = bench.sdp(&offer);
        let at_alice = bench.sdp(&answer(bob));
        let facing = [port_of(&at_alice, 0), port_of(&at_bob, 0)];
        Call { bench, shown: [at_bob, at_alice], facing }
    }

    fn formats(&self) -> [String; 2] {
        self.shown.each_ref().map(|sdp| {
            let line = sdp.lines().find(|line| line.starts_with("m=")).unwrap();
            line.splitn(4, ' ').nth(3).unwrap().to_owned()
        })
    }

    /// A packet of one of them; what leaves for the other.
    fn send(&mut self, from: &str, packet: &Builder<'_>) -> Vec<Vec<u8>> {
        let facing = self.facing[usize::from(from == BOB)];
        let direct = self.bench.relay(from, facing, &packet.build());
        let leaving = self.bench.leaving().into_iter().map(|(_, _, bytes)| bytes);
        direct.map(|(_, bytes)| bytes).into_iter().chain(leaving).collect()
    }

    /// Samples of one of them in packets of 20 ms, the n-th of which may be lost; what leaves.
    fn say(
        &mut self,
        from: &str,
        (payload_type, encoding): (u8, Encoding),
        samples: &[i16],
        lost: impl Fn(usize) -> bool,
    ) -> Vec<Vec<u8>> {
        let mut encoder = encoder(encoding);
        let mut out = Vec::new();
        for (n, frame) in samples.chunks_exact(encoding.rate() as usize / 50).enumerate() {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            let timestamp = 1000 + n as u32 * encoding.clock() / 50;
            let sequence = 500_u16.wrapping_add(n as u16);
            let packet = Builder {
                payload_type,
                sequence,
                timestamp,
                ssrc: 7,
                payload: &payload,
                ..Builder::default()
            };
            if !lost(n) {
                out.extend(self.send(from, &packet));
            }
            self.bench.now += FRAME;
        }
        out
    }
}

fn speech() -> Vec<i16> {
    wav::read(prompts::ALICE).unwrap().samples
}

/// What somebody hears who takes only this payload type, and whether numbers and times are without a gap.
fn hear(packets: &[Vec<u8>], payload_type: u8, encoding: Encoding, units: u32) -> Vec<i16> {
    let mut decoder = decoder(encoding);
    let mut heard = Vec::new();
    let mut before: Option<(u16, u32)> = None;
    for bytes in packets {
        let packet = Packet::parse(bytes).unwrap();
        assert_eq!(packet.payload_type(), payload_type);
        let now = (packet.sequence(), packet.timestamp());
        if let Some((sequence, timestamp)) = before.replace(now) {
            assert_eq!(now, (sequence.wrapping_add(1), timestamp.wrapping_add(units)));
        }
        decoder.decode(packet.payload(), &mut heard).unwrap();
    }
    heard
}

fn changed(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    let mut out = Vec::new();
    codec::resample::Resampler::new(from, to).resample(samples, &mut out);
    out
}

#[test]
fn each_speaks_its_own_codec() {
    let alice = phone(ALICE, "9 101", &[DIGITS]);
    let mut call = Call::new(&["codec-transcode-PCMA"], &alice, &phone(BOB, "8 101", &[DIGITS]));
    assert_eq!(call.formats(), ["9 8 101", "9 101"]);
    let said = speech();
    let wide = changed(&said, 8000, 16_000);
    let packets = call.say(ALICE, (9, Encoding::G722), &wide, |_| false);
    let heard = hear(&packets, 8, Encoding::Pcma, 160);
    let likeness = compare(&said, &heard);
    assert!(likeness.mean > 0.99 && likeness.worst > 0.9, "{likeness:?}");
    let packets = call.say(BOB, (8, Encoding::Pcma), &said, |_| false);
    let heard = changed(&hear(&packets, 9, Encoding::G722, 160), 16_000, 8000);
    let likeness = compare(&said, &heard);
    assert!(likeness.mean > 0.99 && likeness.worst > 0.9, "{likeness:?}");
}

#[test]
fn every_pair_of_codecs_is_understood() {
    let amr = |wide| Encoding::Amr(Amr { wide, octet_aligned: false, modes: 0 });
    let all = [
        ("0", "PCMU/8000", Encoding::Pcmu),
        ("8", "PCMA/8000", Encoding::Pcma),
        ("9", "G722/8000", Encoding::G722),
        ("3", "GSM/8000", Encoding::Gsm),
        ("18", "G729/8000", Encoding::G729),
        ("97", "L16/16000", Encoding::L16 { rate: 16_000, channels: 1 }),
        ("98", "L16/48000/2", Encoding::L16 { rate: 48_000, channels: 2 }),
        ("99", "AMR/8000", amr(false)),
        ("100", "AMR-WB/16000", amr(true)),
        ("111", "opus/48000/2", Encoding::Opus),
    ];
    let said = speech();
    for (from, map, encoding) in all {
        for (to, other_map, other) in all {
            let alice = phone(ALICE, from, &[&format!("rtpmap:{from} {map}")]);
            let bob = phone(BOB, to, &[&format!("rtpmap:{to} {other_map}")]);
            let mut call = Call::new(&[&format!("transcode-{other_map}")], &alice, &bob);
            let mono = changed(&said, 8000, encoding.rate());
            let channels = usize::from(encoding.channels());
            let samples: Vec<i16> =
                mono.iter().flat_map(|s| std::iter::repeat_n(*s, channels)).collect();
            // A packet of 20 ms has as many samples of each channel.
            let mut packets = Vec::new();
            let mut coder = encoder(encoding);
            for (n, frame) in
                samples.chunks_exact(encoding.rate() as usize / 50 * channels).enumerate()
            {
                let mut payload = Vec::new();
                coder.encode(frame, &mut payload);
                let (sequence, timestamp) = (n as u16, n as u32 * encoding.clock() / 50);
                let payload_type = from.parse().unwrap();
                packets.extend(call.send(
                    ALICE,
                    &Builder {
                        payload_type,
                        sequence,
                        timestamp,
                        payload: &payload,
                        ..Builder::default()
                    },
                ));
                call.bench.now += FRAME;
            }
            let heard = hear(&packets, to.parse().unwrap(), other, other.clock() / 50);
            let first: Vec<i16> = heard.iter().step_by(other.channels().into()).copied().collect();
            let heard = changed(&first, other.rate(), 8000);
            let likeness = compare(&said, &heard);
            let delay = usize::try_from(likeness.delay).unwrap_or(0);
            let understood = stoi(&said, &heard[delay..], 8000).unwrap();
            // Some do not keep the form of a wave: what they say is understood, but not the same.
            let least = |encoding| match encoding {
                Encoding::Gsm | Encoding::G729 | Encoding::Amr(_) | Encoding::Opus => 0.9,
                _ => 0.99,
            };
            let least: f64 = least(encoding) * least(other);
            assert!(
                understood > least && likeness.presence > 0.98,
                "{map} {other_map}: {understood:.3}"
            );
            // Where both keep it, the form is the same, too.
            let keeps = |encoding| match encoding {
                Encoding::G729 | Encoding::Amr(_) | Encoding::Opus => None,
                Encoding::Gsm => Some(0.85),
                _ => Some(0.985),
            };
            if let Some((form, other_form)) = keeps(encoding).zip(keeps(other)) {
                let least = f64::min(form, other_form);
                assert!(likeness.mean > least, "{map} {other_map}: {likeness:?}");
            }
        }
    }
}

/// What each phone says of its AMR is what it gets: other payloads of the same codec, and modes that it can decode.
#[test]
fn amr_becomes_another_amr() {
    let amr = |octet_aligned, modes| Encoding::Amr(Amr { wide: false, octet_aligned, modes });
    let alice = phone(ALICE, "96", &["rtpmap:96 AMR/8000", "fmtp:96 octet-align=1; mode-set=7"]);
    let bob = phone(BOB, "97", &["rtpmap:97 AMR/8000", "fmtp:97 mode-set=0,2"]);
    let mut call = Call::new(&["transcode-AMR"], &alice, &bob);
    // Bob is offered both, and what is Alice's keeps its number and its parameters.
    assert_eq!(call.formats(), ["96 97", "96"]);
    assert!(call.shown[0].contains("a=fmtp:96 octet-align=1; mode-set=7"), "{}", call.shown[0]);
    assert!(!call.shown[0].contains("a=fmtp:97"), "{}", call.shown[0]);
    assert!(call.shown[1].contains("a=fmtp:96 octet-align=1; mode-set=7"), "{}", call.shown[1]);
    let said = speech();
    let packets = call.say(ALICE, (96, amr(true, 1 << 7)), &said, |_| false);
    // 5.9 kbit/s, behind a mode request and a description of ten bits: 16 bytes.
    assert!(packets.iter().all(|bytes| Packet::parse(bytes).unwrap().payload().len() == 16));
    let heard = hear(&packets, 97, amr(false, 0), 160);
    assert!(compare(&said, &heard).mean > 0.4);
    let packets = call.say(BOB, (97, amr(false, 1 << 2)), &said, |_| false);
    let heard = hear(&packets, 96, amr(true, 0), 160);
    assert!(compare(&said, &heard).mean > 0.4);
    assert_eq!(Packet::parse(&packets[0]).unwrap().payload().len(), 33);
}

/// With the same payloads the answer's modes go for both, and nothing is converted.
#[test]
fn amr_with_fewer_modes_passes() {
    let alice = phone(ALICE, "96", &["rtpmap:96 AMR-WB/16000"]);
    let bob = phone(BOB, "96", &["rtpmap:96 AMR-WB/16000", "fmtp:96 mode-set=0,1,2"]);
    let mut call = Call::new(&["transcode-PCMA"], &alice, &bob);
    assert!(call.shown[1].contains("a=fmtp:96 mode-set=0,1,2"), "{}", call.shown[1]);
    let payload = [0xf0, 0x44, 1, 2, 3];
    let packet = Builder { payload_type: 96, payload: &payload, ..Builder::default() };
    let out = call.send(ALICE, &packet);
    assert_eq!(Packet::parse(&out[0]).unwrap().payload(), payload);
}

/// The list of a flag names the payloads of AMR, too; Opus has two channels in its name, and one in our samples.
#[test]
fn flags_name_codecs_with_their_parameters() {
    let alice = phone(ALICE, "8", &[]);
    let flags = ["codec-transcode-AMR/8000/1///octet-align=1;mode-set=7", "codec-transcode-opus"];
    let call = Call::new(&flags, &alice, &phone(BOB, "8", &[]));
    assert_eq!(call.formats()[0], "8 96 97");
    for line in
        ["rtpmap:96 AMR/8000", "fmtp:96 octet-align=1; mode-set=7", "rtpmap:97 opus/48000/2"]
    {
        assert!(call.shown[0].contains(&format!("a={line}\r\n")), "{}", call.shown[0]);
    }
}

/// Bob offers anew, with the same flags: Alice has no other codec than before.
#[test]
fn a_new_offer_of_the_other_one_is_converted_too() {
    let (alice, bob) = (phone(ALICE, "9 101", &[DIGITS]), phone(BOB, "8 101", &[DIGITS]));
    let mut call = Call::new(&["transcode-PCMA"], &alice, &bob);
    let flags = vec!["transcode-PCMA".to_owned()];
    let tags = |request: Request| Request {
        from_tag: Some("tt".to_owned()),
        to_tag: Some("ft".to_owned()),
        ..request
    };
    call.shown[0] = call.bench.sdp(&tags(Request { other_flags: flags, ..offer(&bob) }));
    call.shown[1] = call.bench.sdp(&tags(answer(&alice)));
    assert_eq!(call.formats(), ["8 9 101", "8 101"]);
    let packets = call.say(ALICE, (9, Encoding::G722), &[0; 3200], |_| false);
    assert_eq!(hear(&packets, 8, Encoding::Pcma, 160).len(), 1600);
    let packets = call.say(BOB, (8, Encoding::Pcma), &[0; 1600], |_| false);
    assert_eq!(hear(&packets, 9, Encoding::G722, 160).len(), 3200);
}

/// What is hidden from Bob is still taken from Alice.
#[test]
fn a_masked_codec_is_converted() {
    let alice = phone(ALICE, "9 0 101", &[DIGITS]);
    let bob = phone(BOB, "0 101", &[DIGITS]);
    let mut call = Call::new(&["codec-mask-G722"], &alice, &bob);
    assert_eq!(call.formats(), ["0 101", "0 9 101"]);
    let packets = call.say(ALICE, (9, Encoding::G722), &[0; 3200], |_| false);
    assert_eq!(packets.len(), 10);
    assert!(packets.iter().all(|bytes| Packet::parse(bytes).unwrap().payload_type() == 0));
    // What both have passes, in the same stream.
    let passed = call.say(BOB, (0, Encoding::Pcmu), &[0; 320], |_| false);
    assert_eq!(hear(&passed, 0, Encoding::Pcmu, 160).len(), 320);
    // A payload type that nobody was told of does not.
    assert!(call.say(ALICE, (3, Encoding::Gsm), &[0; 320], |_| false).is_empty());
}

#[test]
fn lists_of_codecs_change_descriptions_only() {
    let alice = || {
        phone(ALICE, "0 8 9 96 101", &["rtpmap:96 opus/48000/2", "fmtp:96 useinbandfec=1", DIGITS])
    };
    let bob = phone(BOB, "8", &[]);
    let codec = |verb: &str, names: &[&str]| {
        let names: Value = names.iter().map(|name| Value::from(*name)).collect();
        Dict::new().with(verb, names)
    };
    let shown = |lists: &[(&str, &[&str])]| {
        let lists = lists.iter().fold(Dict::new(), |all, (verb, names)| {
            codec(verb, names).iter().fold(all, |all, (key, value)| all.with(key, value.clone()))
        });
        let mut request = offer(&alice());
        request.other.push("codec", lists);
        let call = Call::with(request, &bob);
        assert_eq!(
            call.shown[0].contains("opus"),
            call.formats()[0].contains("96"),
            "{}",
            call.shown[0]
        );
        call.formats()
    };
    assert_eq!(shown(&[]), ["0 8 9 96 101", "8"]);
    assert_eq!(shown(&[("strip", &["PCMU", "opus"])])[0], "8 9 101");
    assert_eq!(shown(&[("strip", &["all"]), ("except", &["PCMA"])])[0], "8");
    assert_eq!(shown(&[("strip", &["all"]), ("offer", &["G722", "PCMA"])])[0], "9 8");
    assert_eq!(shown(&[("strip", &["all"])])[0], "0 8 9 96 101", "a section needs a format");
    // Bob's answer has what was not offered to him: Alice does not hear of it.
    assert_eq!(shown(&[("strip", &["PCMA"])]), ["0 9 96 101", "8"], "an answer needs one too");
    assert_eq!(shown(&[("offer", &["PCMA"])])[0], "8 0 9 96 101");
    assert_eq!(shown(&[("transcode", &["GSM", "L16/16000", "PCMA"])])[0], "0 8 9 96 3 97 101 98");
}

/// An answer says what its writer said, and nothing that was taken out of the offer.
#[test]
fn an_answer_has_nothing_that_was_not_offered() {
    let alice = phone(ALICE, "8 101", &[DIGITS, "fmtp:101 0-15"]);
    let both = phone(BOB, "8 101", &[DIGITS]);
    let call = Call::new(&["codec-strip-telephone-event"], &alice, &both);
    assert_eq!(call.formats(), ["8", "8"]);
    let call = Call::new(&["codec-strip-PCMU"], &alice, &both);
    assert_eq!(call.formats(), ["8 101", "8 101"]);
    assert!(!call.shown[1].contains("fmtp"), "{}", call.shown[1]);
}

/// Whoever asks for what cannot be is told.
#[test]
fn a_codec_that_cannot_be_converted_is_named() {
    let mut bench = Bench::new();
    let flags = ["codec-transcode-PCMU", "codec-transcode-speed"].map(str::to_owned).into();
    let response = bench.ask(&Request { other_flags: flags, ..offer(&phone(ALICE, "8", &[])) });
    let warning = response.warning.unwrap();
    assert!(warning.starts_with("speed cannot be converted"), "{warning}");
    assert_eq!(bench.ask(&answer(&phone(BOB, "8", &[]))).warning, None);
}

/// When the conversion ends, what passes is another stream than what was made, so that nobody takes one's numbers for
/// the other's.
#[test]
fn what_is_made_is_a_stream_of_its_own() {
    let mut call = Call::new(&["transcode-PCMA"], &phone(ALICE, "9", &[]), &phone(BOB, "8", &[]));
    let made = call.say(ALICE, (9, Encoding::G722), &[0; 3200], |_| false);
    let made = Packet::parse(&made[0]).unwrap().ssrc();
    let tagged = |request: Request| Request { to_tag: Some("tt".into()), ..request };
    call.bench.sdp(&tagged(offer(&phone(ALICE, "8", &[]))));
    call.bench.sdp(&answer(&phone(BOB, "8", &[])));
    let passed = call.say(ALICE, (8, Encoding::Pcma), &[0; 160], |_| false);
    let passed = Packet::parse(&passed[0]).unwrap().ssrc();
    assert_eq!(passed, 7);
    assert_ne!(made, passed);
}

#[test]
fn one_codec_is_left_if_one_is_wanted() {
    let both = phone(BOB, "8 0 101", &[DIGITS]);
    let call = Call::new(&["single-codec"], &phone(ALICE, "0 8 101", &[DIGITS]), &both);
    assert_eq!(call.formats(), ["0 8 101", "8 101"]);
}

#[test]
fn packets_get_another_length() {
    let mut request = offer(&phone(ALICE, "8", &[]));
    request.other.push("ptime", 40_u64);
    request.other.push("ptime-reverse", 10_u64);
    let mut call = Call::with(request, &phone(BOB, "8", &[]));
    assert!(call.shown[0].contains("a=ptime:40\r\n") && call.shown[1].contains("a=ptime:10\r\n"));
    let said = speech();
    let packets = call.say(ALICE, (8, Encoding::Pcma), &said[..16_000], |_| false);
    assert_eq!(packets.len(), 50);
    assert!(
        compare(&said[..16_000], &hear(&packets, 8, Encoding::Pcma, 320)).verdict()
            == Verdict::Same
    );
    let packets = call.say(BOB, (8, Encoding::Pcma), &said[..16_000], |_| false);
    assert_eq!(packets.len(), 200);
    assert!(
        compare(&said[..16_000], &hear(&packets, 8, Encoding::Pcma, 80)).verdict() == Verdict::Same
    );
}

/// Packets that are lost are concealed: whoever hears it has a stream without a gap.
#[test]
fn a_lost_packet_leaves_no_gap() {
    let mut call = Call::new(&["transcode-PCMA"], &phone(ALICE, "9", &[]), &phone(BOB, "8", &[]));
    let mut tone = Vec::new();
    Tones::new(&[250], 16_000, 10).make(32_000, &mut tone);
    let packets = call.say(ALICE, (9, Encoding::G722), &tone, |n| n % 10 == 7);
    let heard = hear(&packets, 8, Encoding::Pcma, 160);
    assert!(heard.len() >= 15_000, "{}", heard.len());
    let quiet =
        heard[800..14_000].chunks(160).filter(|frame| frame.iter().all(|s| s.abs() < 3000)).count();
    assert_eq!(quiet, 0, "a hole is filled");
}

#[test]
fn packets_in_the_wrong_order_are_put_right() {
    let mut call = Call::new(&["transcode-PCMA"], &phone(ALICE, "9", &[]), &phone(BOB, "8", &[]));
    let mut out = Vec::new();
    for n in [0_u16, 2, 1, 3, 5, 6, 4, 7] {
        let packet = Builder {
            payload_type: 9,
            sequence: n,
            timestamp: 160 * u32::from(n),
            payload: &[0x55; 160],
            ..Builder::default()
        };
        out.extend(call.send(ALICE, &packet));
        call.bench.now += FRAME;
    }
    assert_eq!(hear(&out, 8, Encoding::Pcma, 160).len(), 8 * 160);
}

/// The last packet before silence waits for one that never comes, but not for ever.
#[test]
fn what_waits_is_sent_without_another_packet() {
    let mut call = Call::new(&["transcode-PCMA"], &phone(ALICE, "9", &[]), &phone(BOB, "8", &[]));
    let packet = |sequence: u16| Builder {
        payload_type: 9,
        sequence,
        timestamp: 160 * u32::from(sequence),
        payload: &[0x55; 160],
        ..Builder::default()
    };
    assert_eq!(call.send(ALICE, &packet(0)).len(), 1);
    assert_eq!(call.send(ALICE, &packet(2)).len(), 0);
    let deadline = call.bench.path.deadline().unwrap();
    assert!(deadline.since(call.bench.now) <= Duration::from_millis(60));
    call.bench.path.expire(deadline);
    assert_eq!(call.bench.leaving().len(), 2, "the one that is missing is concealed");
    assert_eq!(call.bench.path.deadline(), None);
}

/// A pause of the sender is one for the receiver.
#[test]
fn a_pause_stays_one() {
    let mut call = Call::new(&["transcode-PCMA"], &phone(ALICE, "9", &[]), &phone(BOB, "8", &[]));
    let mut times = Vec::new();
    for (sequence, timestamp) in [(0, 0), (1, 160), (2, 8000), (3, 8160)] {
        let packet = Builder {
            payload_type: 9,
            sequence,
            timestamp,
            payload: &[0x55; 160],
            ..Builder::default()
        };
        for bytes in call.send(ALICE, &packet) {
            let packet = Packet::parse(&bytes).unwrap();
            times.push((packet.sequence(), packet.timestamp(), packet.marker()));
        }
    }
    assert_eq!(times, [(0, 0, true), (1, 160, false), (2, 8000, true), (3, 8160, false)]);
}

fn event(event: u8, duration: u16, end: bool) -> [u8; 4] {
    TelephoneEvent { event, end, volume: 10, duration }.build()
}

#[test]
fn digits_become_tones_for_who_knows_no_events() {
    let mut call =
        Call::new(&["transcode-PCMA"], &phone(ALICE, "9 101", &[DIGITS]), &phone(BOB, "8", &[]));
    assert_eq!(call.formats(), ["9 8 101", "9 101"]);
    let mut out = call.say(ALICE, (9, Encoding::G722), &[0; 3200], |_| false);
    let spoken = out.len();
    for (n, (duration, end)) in
        [(160, false), (320, false), (480, false), (640, true), (640, true)].iter().enumerate()
    {
        let payload = event(5, *duration, *end);
        let packet = Builder {
            payload_type: 101,
            sequence: 510 + n as u16,
            timestamp: 2600,
            ssrc: 7,
            payload: &payload,
            ..Builder::default()
        };
        out.extend(call.send(ALICE, &packet));
    }
    assert_eq!(out.len() - spoken, 4);
    let heard = hear(&out, 8, Encoding::Pcma, 160);
    let mut digits = Vec::new();
    Detector::new(8000).listen(&[heard, vec![0; 800]].concat(), &mut digits);
    assert_eq!(digits[0], Heard { event: 5, lasted: None });
    assert_eq!(digits.len(), 2);
}

#[test]
fn tones_become_digits_for_who_wants_events() {
    let flags = ["transcode-telephone-event"];
    let mut call = Call::new(
        &flags,
        &phone(ALICE, "8", &[]),
        &phone(BOB, "8 96", &["rtpmap:96 telephone-event/8000"]),
    );
    assert_eq!(call.formats(), ["8 96", "8"]);
    let mut samples = vec![0; 1600];
    Tones::new(&digit(9).unwrap(), 8000, 12).make(800, &mut samples);
    samples.resize(4000, 0);
    let packets = call.say(ALICE, (8, Encoding::Pcma), &samples, |_| false);
    let events: Vec<(TelephoneEvent, bool, u32)> = packets
        .iter()
        .map(|bytes| Packet::parse(bytes).unwrap())
        .filter(|packet| packet.payload_type() == 96)
        .map(|p| (TelephoneEvent::parse(p.payload()).unwrap(), p.marker(), p.timestamp()))
        .collect();
    assert!(events.len() >= 6, "{events:?}");
    assert!(events.iter().all(|(event, _, since)| event.event == 9 && *since == events[0].2));
    assert_eq!(events.iter().filter(|(event, ..)| event.end).count(), 3);
    assert_eq!(events.iter().filter(|(_, marker, _)| *marker).count(), 1);
    assert!(events.windows(2).all(|two| two[0].0.duration <= two[1].0.duration));
    let lasted = events.last().unwrap().0.duration;
    assert!((500..=1100).contains(&lasted), "{lasted}");
    // Numbers go on without a gap over both.
    let numbers: Vec<u16> = packets.iter().map(|b| Packet::parse(b).unwrap().sequence()).collect();
    assert!(numbers.windows(2).all(|two| two[1] == two[0].wrapping_add(1)));
}

/// Digits keep their number of events, with the payload type that the other one knows.
#[test]
fn digits_pass_with_another_number() {
    let bob = phone(BOB, "8 96", &["rtpmap:96 telephone-event/8000"]);
    let mut call = Call::new(&["transcode-PCMA"], &phone(ALICE, "9 101", &[DIGITS]), &bob);
    let payload = event(3, 160, false);
    for sequence in 0..2 {
        let packet = Builder {
            payload_type: 101,
            sequence,
            timestamp: 800,
            payload: &payload,
            ..Builder::default()
        };
        let out = call.send(ALICE, &packet);
        let packet = Packet::parse(&out[0]).unwrap();
        assert_eq!((packet.payload_type(), packet.payload()), (96, &payload[..]));
        assert_eq!((packet.timestamp(), packet.sequence()), (800, sequence));
    }
}

/// RFC 3550 §7.2: reports are about the streams that their reader knows.
#[test]
fn reports_are_about_the_streams_that_are_there() {
    let mut call = Call::new(
        &["transcode-L16/16000"],
        &phone(ALICE, "8", &[]),
        &phone(BOB, "96", &["rtpmap:96 L16/16000"]),
    );
    let packets = call.say(ALICE, (8, Encoding::Pcma), &[0; 1600], |_| false);
    let made = Packet::parse(&packets[0]).unwrap().ssrc();
    let sender = SenderInfo { ntp: 1 << 40, rtp: 1800, packets: 10, octets: 1600 };
    let report = rtp::rtcp::build(&[Rtcp::SenderReport { ssrc: 7, sender, blocks: Vec::new() }]);
    let (_, bytes) = call.bench.relay("192.0.2.1:4001", call.facing[0] + 1, &report).unwrap();
    let told = rtp::rtcp::parse(&bytes).unwrap();
    let Rtcp::SenderReport { ssrc, sender, .. } = told[0] else { panic!("{told:?}") };
    assert_eq!(ssrc, made);
    // 800 units of 8000 Hz after the beginning are 1600 of 16,000 Hz.
    assert_eq!((sender.rtp, sender.packets, sender.octets), (2600, 10, 10 * 640));
}

#[test]
fn without_wishes_packets_stay_as_they_are() {
    let mut call = Call::new(&[], &phone(ALICE, "8", &[]), &phone(BOB, "8", &[]));
    let packet =
        Builder { payload_type: 77, sequence: 9, payload: b"as it is", ..Builder::default() };
    assert_eq!(call.send(ALICE, &packet), [packet.build()]);
    assert_eq!(call.bench.ask(&Request::about(Command::Delete, "call", "ft")).error_reason, None);
}

/// A source that is another one with each packet, in one of two encodings, still makes one stream.
#[test]
fn a_peer_that_changes_all_the_time_makes_one_stream() {
    let alice = phone(ALICE, "9 98", &["rtpmap:98 L16/44100"]);
    let mut call = Call::new(&["transcode-PCMA"], &alice, &phone(BOB, "8", &[]));
    let mut numbers = Vec::new();
    for n in 0..50_u16 {
        let (payload_type, length) = if n % 2 == 0 { (9, 160) } else { (98, 1764) };
        let payload = vec![0; length];
        let (ssrc, timestamp) = (n.into(), u32::from(n) * 1000);
        let packet = Builder {
            payload_type,
            sequence: n * 77,
            timestamp,
            ssrc,
            payload: &payload,
            ..Builder::default()
        };
        for bytes in call.send(ALICE, &packet) {
            let packet = Packet::parse(&bytes).unwrap();
            numbers.push((packet.ssrc(), packet.sequence()));
        }
        call.bench.now += FRAME;
    }
    assert!(numbers.len() >= 50, "{}", numbers.len());
    let (source, first) = numbers[0];
    assert!((0..).zip(&numbers).all(|(n, number)| *number == (source, first + n)));
}

/// What a stranger to all rules might send: a kind of packet, and its numbers.
fn odd() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let payload = proptest::collection::vec(any::<u8>(), 0..400);
    let numbers = (any::<u16>(), any::<u32>(), 0..3_u32, any::<bool>());
    let payload_type = prop_oneof![Just(9_u8), Just(101), Just(8), Just(13)];
    let rtp = (payload_type, numbers, payload).prop_map(
        |(payload_type, (sequence, timestamp, ssrc, marker), payload)| {
            // Some are near each other, as packets are.
            let near = |n: u32| if marker { n } else { n % 4000 };
            let (sequence, timestamp) = (near(sequence.into()) as u16, near(timestamp));
            let payload = &payload[..];
            let builder = Builder {
                payload_type,
                sequence,
                timestamp,
                ssrc,
                marker,
                payload,
                ..Builder::default()
            };
            (false, builder.build())
        },
    );
    let report = (0..3_u32, any::<u32>(), any::<[u32; 3]>()).prop_map(
        |(ssrc, rtp, [highest, jitter, about])| {
            let sender = SenderInfo { rtp, ..SenderInfo::default() };
            let block = ReportBlock { ssrc: about % 3, highest, jitter, ..ReportBlock::default() };
            (true, rtp::rtcp::build(&[Rtcp::SenderReport { ssrc, sender, blocks: vec![block] }]))
        },
    );
    prop_oneof![4 => rtp, 1 => report]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is sent, what leaves is RTP of one stream, in order.
    #[test]
    fn nothing_stops_the_path(packets in proptest::collection::vec((any::<bool>(), odd()), 1..40)) {
        let alice = phone(ALICE, "9 101", &[DIGITS]);
        let mut call = Call::new(&["transcode-PCMA"], &alice, &phone(BOB, "8", &[]));
        let mut last = [None; 2];
        for (by_bob, (rtcp, bytes)) in packets {
            let (from, to) = if by_bob { (BOB, 1) } else { (ALICE, 0) };
            let port = call.facing[to] + u16::from(rtcp);
            let source = if rtcp { from.replace("00", "01") } else { from.to_owned() };
            call.bench.relay(&source, port, &bytes);
            call.bench.now += FRAME;
            let now = call.bench.now;
            call.bench.path.expire(now);
            for (_, to, bytes) in call.bench.leaving() {
                let packet = Packet::parse(&bytes).unwrap();
                let number = &mut last[usize::from(to.to_string() == ALICE)];
                let expected = number.map(|n: (u32, u16)| (n.0, n.1.wrapping_add(1)));
                let this = (packet.ssrc(), packet.sequence());
                prop_assert!(expected.is_none_or(|expected| expected == this));
                *number = Some(this);
            }
        }
    }
}
