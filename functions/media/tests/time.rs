//! Repetitions, timeouts, a silent packet path, and whatever else may come.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod bench;

use base::time::Duration;
use base::{Function, Input};
use bench::{Bench, answer, delete, offer, phone, port_of};
use media::MediaConfig;
use ng::{Command, Message, Outcome, Request, Response};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn call() -> (Bench, u16) {
    let mut bench = Bench::new();
    bench.sdp(&offer(&phone("192.0.2.1", 4000)));
    let at_alice = bench.sdp(&answer(&phone("192.0.2.2", 5000)));
    (bench, port_of(&at_alice, 0))
}

#[test]
fn a_repeated_request_gets_the_same_bytes_and_no_second_call() {
    let mut bench = Bench::new();
    let kamailio = b"0_7263_1 d8:supportsl10:load limite3:sdp81:v=0\r\no=m 1 2 IN IP4 192.168.1.90\r\n\
        c=IN IP4 192.168.1.90\r\nm=audio 3456 RTP/AVP 8\r\n3:ICE6:remove5:label6:caller5:flagsl13:\
        trust-addresse7:replacel6:origin18:session-connectione7:call-id6:kam1@x13:received-froml3:IP49:\
        127.0.0.1e8:from-tag2:ft7:command5:offere";
    let first = bench.bytes(kamailio);
    let second = bench.bytes(kamailio);
    assert_eq!((first.len(), &first), (1, &second));
    assert!(first[0].starts_with(b"0_7263_1 d3:sdp"), "{first:?}");
    assert_eq!(bench.ports.len(), 2);
}

#[test]
fn what_cannot_be_read_is_answered_where_it_can_be() {
    let mut bench = Bench::new();
    assert!(bench.bytes(b"garbage").is_empty());
    let reply = bench.bytes(b"c1 d3:");
    assert_eq!(Message::parse(&reply[0]).unwrap().cookie, "c1");
    assert_eq!(bench.bytes(b"c2 {}").len(), 1);
    assert_eq!(bench.logs.iter().filter(|log| log.counter == "ng.malformed").count(), 2);
}

#[test]
fn a_silent_call_ends_and_a_talking_one_does_not() {
    let (mut bench, port) = call();
    for n in 0..100u16 {
        bench.pass(SECOND);
        bench.packet("192.0.2.1:4000", port, n).unwrap();
    }
    assert_eq!(bench.media.sessions(), 1);
    bench.pass(59 * SECOND);
    assert_eq!(bench.media.sessions(), 1);
    bench.pass(3 * SECOND);
    assert_eq!((bench.media.sessions(), bench.ports.len()), (0, 0));
    let lines: Vec<_> = bench.logs.iter().filter(|log| log.counter == "media.timeout").collect();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].text.contains("no packet for 60 s") && lines[0].text.contains("100, 0"));
}

#[test]
fn a_held_call_may_be_silent_for_longer() {
    let (mut bench, _) = call();
    let tagged = |request: Request| Request { to_tag: Some("tt".into()), ..request };
    let hold = phone("192.0.2.1", 4000) + "a=inactive\r\n";
    bench.sdp(&tagged(offer(&hold)));
    bench.sdp(&answer(&(phone("192.0.2.2", 5000) + "a=inactive\r\n")));
    bench.pass(3500 * SECOND);
    assert_eq!(bench.media.sessions(), 1);
    // Resumed, the short timeout counts again.
    bench.sdp(&tagged(offer(&phone("192.0.2.1", 4000))));
    bench.sdp(&answer(&phone("192.0.2.2", 5000)));
    bench.pass(62 * SECOND);
    assert_eq!(bench.media.sessions(), 0);
}

#[test]
fn a_ringing_call_is_patient_and_no_call_is_endless() {
    let mut config = MediaConfig::new([bench::v4()]);
    config.timeouts.final_timeout = Some(7200 * SECOND);
    let mut bench = Bench::with(config);
    bench.sdp(&offer(&phone("192.0.2.1", 4000)));
    bench.pass(180 * SECOND);
    assert_eq!(bench.media.sessions(), 1);
    let at_alice = bench.sdp(&answer(&phone("192.0.2.2", 5000)));
    for n in 0..701 {
        bench.packet("192.0.2.1:4000", port_of(&at_alice, 0), n);
        bench.pass(10 * SECOND);
    }
    assert_eq!(bench.media.sessions(), 1);
    bench.pass(11 * SECOND);
    assert_eq!((bench.media.sessions(), bench.ports.len()), (0, 0));
}

#[test]
fn a_packet_path_that_does_not_answer_is_no_dead_end() {
    let (mut bench, _) = call();
    bench.deaf = true;
    let ask = |bench: &mut Bench, cookie: &str, request: &Request| {
        let encoding = ng::Encoding::Bencode;
        let message = Message { cookie: cookie.into(), encoding, dict: request.to_dict() };
        assert!(bench.bytes(&message.emit()).is_empty());
        assert!(bench.bytes(&message.emit()).is_empty(), "being worked on");
        bench.pass(2 * SECOND);
        let reply = Message::parse(&bench.replies.pop().unwrap()).unwrap();
        Response::from_dict(&reply.dict).unwrap()
    };
    let other = Request { call_id: Some("other".into()), ..offer(&phone("192.0.2.1", 4000)) };
    assert_eq!(ask(&mut bench, "1", &other).outcome, Outcome::Error);
    assert_eq!(ask(&mut bench, "2", &delete()).outcome, Outcome::Ok);
    assert_eq!(bench.media.sessions(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Ask(usize, u8, u8, u8, usize),
    Bytes(Vec<u8>),
    Pass(u64),
    Scarce(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4usize, 0..2u8, 0..3u8, 0..4u8, 0..6usize)
            .prop_map(|(c, id, from, to, sdp)| Step::Ask(c, id, from, to, sdp)),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Bytes),
        1 => (0..90u64).prop_map(Step::Pass),
        1 => (0..9usize).prop_map(Step::Scarce),
    ]
}

proptest! {
    /// Whatever is asked: each request has one answer, and no port outlives its call.
    #[test]
    fn no_port_is_ever_lost(steps in proptest::collection::vec(step(), 0..40)) {
        let mut bench = Bench::new();
        let video = "m=video 9 RTP/AVP 99\r\n";
        let bodies = [
            phone("192.0.2.1", 4000),
            phone("2001:db8::1", 4000) + "a=inactive\r\n",
            phone("192.0.2.1", 4000) + video,
            phone("192.0.2.1", 4000) + &video.replace('9', "0"),
            phone("192.0.2.1", 0),
            phone("0.0.0.0", 4000),
        ];
        let commands = [Command::Offer, Command::Answer, Command::Delete, Command::Query];
        for step in steps {
            match step {
                Step::Ask(command, id, from, to, sdp) => {
                    let tag = |n: u8| (n > 0).then(|| format!("t{n}"));
                    let request = Request {
                        call_id: Some(format!("c{id}")),
                        from_tag: tag(from),
                        to_tag: tag(to),
                        via_branch: (sdp == 1).then(|| "b".to_owned()),
                        sdp: Some(bodies[sdp].clone().into_bytes()),
                        ..Request::new(commands[command].clone())
                    };
                    bench.ask(&request);
                }
                Step::Bytes(bytes) => drop(bench.bytes(&bytes)),
                Step::Pass(seconds) => bench.pass(Duration::from_secs(seconds)),
                Step::Scarce(most) => bench.most = most,
            }
        }
        for id in 0..2 {
            bench.ask(&Request { call_id: Some(format!("c{id}")), ..Request::new(Command::Delete) });
        }
        prop_assert_eq!((bench.media.sessions(), bench.ports.len()), (0, 0));
        bench.input(Input::Timeout);
    }
}

#[test]
fn a_call_that_ended_leaves_no_timer() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.sdp(&offer(&phone("192.0.2.1", 4000)));
    }
    bench.sdp(&answer(&phone("192.0.2.2", 5000)));
    bench.ask(&delete());
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.media.deadline(), None);
}
