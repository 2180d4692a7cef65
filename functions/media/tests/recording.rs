//! Calls that are recorded: which packets, and the sound that they become.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use std::f64::consts::PI;

use base::relay::{Encoding, Form, Recorded};
use base::time::Duration;
use bench::{Bench, answer, delete, offer, phone, v4};
use media::MediaConfig;
use media::recording::Mixer;
use ng::{Command, Outcome, Request, Response};

const ALICE: &str = "192.0.2.1:4000";
const BOB: &str = "192.0.2.2:5000";

struct Call {
    bench: Bench,
    facing: [u16; 2],
    said: [u32; 2],
}

impl Call {
    fn new(form: Form) -> Call {
        Call::with(form, |request| request)
    }

    fn with(form: Form, wish: impl Fn(Request) -> Request) -> Call {
        let config = MediaConfig { recordings: Some(form), ..MediaConfig::new([v4()]) };
        let mut bench = Bench::with(config);
        let offer = wish(offer(&phone("192.0.2.1", 4000)));
        let facing = bench.connect(&offer, &answer(&phone("192.0.2.2", 5000)));
        Call { bench, facing, said: [0; 2] }
    }

    fn ask(&mut self, command: &str) -> Response {
        let mut request = Request::new(Command::Unknown(command.to_owned()));
        request.call_id = Some("call".to_owned());
        self.bench.ask(&request)
    }

    fn recorded(&mut self) -> Vec<Recorded> {
        std::iter::from_fn(|| self.bench.path.poll_recorded()).collect()
    }

    /// So many packets of 20 ms from each party that says something: a tone of so many hertz.
    fn talk(&mut self, packets: u32, hertz: [Option<u32>; 2]) {
        let mut encoder = codec::encoder(Encoding::Pcma);
        for _ in 0..packets {
            for (side, from) in [ALICE, BOB].into_iter().enumerate() {
                let n = self.said[side];
                self.said[side] += 1;
                let Some(hertz) = hertz[side] else { continue };
                let sample = |at: u32| {
                    (8000.0 * (2.0 * PI * f64::from(hertz) * f64::from(at) / 8000.0).sin()) as i16
                };
                let samples: Vec<i16> = (n * 160..(n + 1) * 160).map(sample).collect();
                let mut payload = Vec::new();
                encoder.encode(&samples, &mut payload);
                let bytes = rtp::Builder {
                    payload_type: 8,
                    sequence: n as u16,
                    timestamp: n * 160,
                    ssrc: 7 + side as u32,
                    payload: &payload,
                    ..Default::default()
                };
                self.bench.relay(from, self.facing[side], &bytes.build()).unwrap();
            }
            self.bench.now += Duration::from_millis(20);
        }
    }
}

/// What a file gets: its channels, and whether it ended.
fn mixed(recorded: &[Recorded]) -> (Vec<Vec<i16>>, bool) {
    let mut mixer: Option<Mixer> = None;
    let (mut samples, mut ended) = (Vec::new(), false);
    for what in recorded {
        match what {
            Recorded::Packet { tap, at, bytes, .. } => {
                let mixer = mixer.get_or_insert_with(|| Mixer::new(&tap.recording));
                mixer.packet(tap, *at, bytes);
                samples.extend(mixer.take(*at, false));
            }
            Recorded::End(_) => ended = true,
        }
    }
    let mut mixer = mixer.unwrap();
    loop {
        let more = mixer.take(base::Instant::EPOCH, true);
        if more.is_empty() {
            break;
        }
        samples.extend(more);
    }
    let channels = usize::from(mixer.channels());
    let channel = |n: usize| samples.iter().skip(n).step_by(channels).copied().collect();
    ((0..channels).map(channel).collect(), ended)
}

/// How loud a tone is in these samples.
fn loudness(samples: &[i16], hertz: f64) -> f64 {
    let (mut cosine, mut sine) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        let at = 2.0 * PI * hertz * n as f64 / 8000.0;
        cosine += f64::from(*sample) * at.cos();
        sine += f64::from(*sample) * at.sin();
    }
    2.0 * f64::hypot(cosine, sine) / samples.len() as f64
}

fn loud(samples: &[i16], hertz: f64) -> bool {
    let loudness = loudness(samples, hertz);
    assert!(!(400.0..7500.0).contains(&loudness), "neither loud nor silent: {loudness}");
    loudness > 7500.0
}

#[test]
fn each_party_has_a_channel_and_a_pause_is_a_pause() {
    let mut call = Call::new(Form::Stereo);
    call.talk(10, [Some(500), Some(1000)]);
    assert_eq!(call.recorded(), [], "nobody asked yet");
    let response = call.ask("start recording");
    let name = response.other.text("recording-file").unwrap().to_owned();
    assert!(name.starts_with("call-"), "{name}");
    call.talk(50, [Some(500), None]);
    call.talk(50, [None, Some(1000)]);
    call.bench.ask(&delete());
    let (channels, ended) = mixed(&call.recorded());
    assert!(ended);
    let [left, right] = channels.as_slice() else { panic!("{}", channels.len()) };
    let length = left.len();
    assert!((15_800..=16_200).contains(&length) && right.len() == length, "{length}");
    let parts = |samples: &[i16]| [500..7500, 8500..15_500].map(|part| samples[part].to_vec());
    let [early, late] = parts(left);
    assert!(loud(&early, 500.0) && !loud(&late, 500.0) && !loud(&early, 1000.0));
    let [early, late] = parts(right);
    assert!(!loud(&early, 1000.0) && loud(&late, 1000.0) && !loud(&late, 500.0));
}

#[test]
fn both_parties_share_one_channel() {
    let mut call = Call::with(Form::Mono, |request| Request {
        other: ng::Dict::default().with("record-call", "yes"),
        ..request
    });
    call.talk(50, [Some(500), Some(1000)]);
    assert_eq!(call.ask("pause recording").error_reason, None);
    call.talk(50, [Some(700), Some(700)]);
    assert_eq!(call.ask("start recording").error_reason, None);
    call.talk(50, [Some(500), Some(1000)]);
    assert_eq!(call.ask("stop recording").error_reason, None);
    call.talk(50, [Some(700), Some(700)]);
    let (channels, ended) = mixed(&call.recorded());
    assert!(ended);
    assert_eq!(channels.len(), 1);
    let samples = &channels[0];
    assert!((23_800..=24_200).contains(&samples.len()), "{}", samples.len());
    for (part, sounds) in [(500..7500, true), (8500..15_500, false), (16_500..23_500, true)] {
        let part = &samples[part];
        assert_eq!(
            [loud(part, 500.0), loud(part, 1000.0), loud(part, 700.0)],
            [sounds, sounds, false]
        );
    }
}

#[test]
fn packets_are_kept_as_they_are() {
    let mut call = Call::new(Form::Pcap);
    call.ask("start recording");
    call.talk(5, [Some(500), Some(1000)]);
    call.ask("stop recording");
    let recorded = call.recorded();
    assert_eq!(recorded.len(), 11);
    let Recorded::Packet { from, to, bytes, .. } = &recorded[0] else { panic!() };
    assert_eq!((from.to_string().as_str(), to.port()), (ALICE, call.facing[0]));
    assert_eq!(rtp::Packet::parse(bytes).unwrap().payload().len(), 160);
    assert!(matches!(recorded[10], Recorded::End(_)));
}

#[test]
fn a_late_packet_has_its_place_and_a_lost_one_is_concealed() {
    let mut call = Call::new(Form::Mono);
    call.ask("start recording");
    call.talk(100, [Some(500), None]);
    let mut recorded = call.recorded();
    recorded.swap(30, 32);
    recorded.remove(60);
    let (channels, _) = mixed(&recorded);
    assert!((15_800..=16_200).contains(&channels[0].len()), "{}", channels[0].len());
    assert!(loud(&channels[0][500..15_500], 500.0));
}

#[test]
fn what_cannot_be_recorded_is_told() {
    let mut call = Call::new(Form::Mono);
    assert_eq!(call.ask("pause recording").error_reason.unwrap(), "Not currently recording");
    let mut bench = Bench::new();
    // Who wants no recording is not told that there can be none.
    for (wish, told) in [("no", 0), ("yes", 1)] {
        let mut request = offer(&phone("192.0.2.1", 4000));
        request.other.push("record-call", wish);
        bench.sdp(&request);
        let logged = bench.logs.iter().filter(|log| log.counter == "media.not_recorded");
        assert_eq!(logged.count(), told, "{wish}");
    }
    let mut request = Request::new(Command::Unknown("start recording".to_owned()));
    request.call_id = Some("call".to_owned());
    let response = bench.ask(&request);
    assert_eq!(response.outcome, Outcome::Error);
    assert!(response.error_reason.unwrap().contains("`recordings` below [media]"));
}

#[test]
fn a_name_stays_within_the_folder() {
    let mut call = Call::new(Form::Mono);
    let mut request = Request::new(Command::Unknown("start recording".to_owned()));
    request.call_id = Some("call".to_owned());
    request.other.push("recording-file", "/var/spool/../../etc/pass wd.wav");
    let response = call.bench.ask(&request);
    assert_eq!(response.other.text("recording-file"), Some("pass_wd"));
}
