//! Calls between two phones, without anybody between them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod world;

use std::sync::Arc;

use base::time::Duration;
use rtp::likeness::{Verdict, compare};
use ue::{By, Incoming, UeOrder, What};
use world::{World, config};

fn speech(prompt: &[u8]) -> Arc<[i16]> {
    rtp::wav::read(prompt).unwrap().samples.into()
}

fn pair(change: impl Fn(usize, &mut ue::UeConfig)) -> World {
    World::new(
        (0..2)
            .map(|n| {
                let mut config = config(n);
                config.audio.samples =
                    speech(if n == 0 { rtp::prompts::ALICE } else { rtp::prompts::BOB });
                change(n, &mut config);
                config
            })
            .collect(),
    )
}

fn plain(_: usize, config: &mut ue::UeConfig) {
    config.options.preconditions = None;
    config.options.prack_100rel = false;
    config.options.session_timer = 0;
}

/// IR.92's call: reliable 183, PRACK, UPDATE, 180, 200; both hear what the other one says.
#[test]
fn a_call_with_preconditions_is_heard_at_both_ends() {
    let mut world = pair(|_, c| c.audio.repeat = false);
    world.dial();
    world.seconds(20);
    let pdd = world.told(0, |w| match w {
        What::Answered { pdd, codec, .. } if codec == "PCMA" => Some(*pdd),
        _ => None,
    });
    assert!(pdd < Duration::from_millis(200), "{pdd:?}");
    let call = world.call(0);
    world.order(0, UeOrder::Hangup(call));
    world.seconds(1);
    assert_eq!(
        world.methods(0),
        ["INVITE", "PRACK", "UPDATE", "PRACK", "ACK", "BYE"],
        "{:?}",
        world.sent
    );
    assert_eq!(
        world.methods(1),
        ["100", "183", "200", "200", "180", "200", "200", "200"],
        "{:?}",
        world.sent
    );
    let (by, status, _, alice) = world.ended(0);
    assert_eq!((by, status), (By::Local, 200));
    let (by, _, _, bob) = world.ended(1);
    assert_eq!(by, By::Remote);
    for (heard, prompt) in [(&alice, rtp::prompts::BOB), (&bob, rtp::prompts::ALICE)] {
        let likeness = compare(&speech(prompt), &heard.recording);
        assert_eq!(likeness.verdict(), Verdict::Same, "{likeness:?}");
        assert!(heard.stats.mos.unwrap() > 4.3);
        assert_eq!(heard.stats.lost, 0);
        assert!(heard.stats.received > 300, "{:?}", heard.stats);
        let rtt = heard.stats.round_trip.unwrap();
        assert!(rtt < Duration::from_millis(15) && rtt > Duration::from_millis(5), "{rtt:?}");
    }
    assert_eq!(alice.stats.seen, bob.stats.local);
    assert_eq!(alice.stats.local.unwrap().port() % 2, 0, "RTP has the even port");
    assert_eq!((world.phones[0].calls(), world.phones[1].calls()), (0, 0));
}

#[test]
fn reservations_that_take_their_time_delay_the_ringing() {
    for (a, b) in [(300, 0), (0, 300), (300, 500), (500, 300)] {
        let mut world = pair(|n, c| {
            c.options.preconditions = Some(Duration::from_millis([a, b][n]));
        });
        world.dial();
        world.seconds(3);
        let delay = world.told(0, |w| match w {
            What::Ringing { delay, .. } => Some(*delay),
            _ => None,
        });
        assert!(delay >= Duration::from_millis(a.max(b)), "{a} {b}: {delay:?}");
        assert!(delay < Duration::from_millis(a.max(b) + 100), "{a} {b}: {delay:?}");
        world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
    }
}

#[test]
fn a_plain_call_needs_no_extension() {
    let mut world = pair(plain);
    world.dial();
    world.seconds(5);
    let call = world.call(1);
    world.order(1, UeOrder::Hangup(call));
    world.seconds(1);
    assert_eq!(world.methods(0), ["INVITE", "ACK", "200"]);
    assert_eq!(world.methods(1), ["100", "180", "200", "BYE"]);
    let (by, status, _, media) = world.ended(0);
    assert_eq!((by, status), (By::Remote, 200));
    assert!(media.stats.received > 150);
}

#[test]
fn one_that_wants_100rel_can_call_one_that_does_not_and_back() {
    for plain_one in [0, 1] {
        let mut world = pair(|n, c| {
            if n == plain_one {
                plain(n, c);
            }
        });
        world.dial();
        world.seconds(3);
        world.told(0, |w| matches!(w, What::MediaFlowing { .. }).then_some(()));
        world.told(1, |w| matches!(w, What::MediaFlowing { .. }).then_some(()));
    }
}

#[test]
fn a_caller_may_give_up() {
    for change in [plain as fn(usize, &mut ue::UeConfig), |_, _| {}] {
        let mut world = pair(|n, c| {
            change(n, c);
            c.incoming = Incoming::Manual;
        });
        world.dial();
        world.seconds(2);
        world.told(0, |w| matches!(w, What::Ringing { .. }).then_some(()));
        let call = world.call(0);
        world.order(0, UeOrder::Hangup(call));
        world.seconds(1);
        assert_eq!((world.ended(0).0, world.ended(0).1), (By::Local, 487));
        assert_eq!((world.ended(1).0, world.ended(1).1), (By::Remote, 487));
        assert_eq!((world.phones[0].calls(), world.phones[1].calls()), (0, 0));
    }
}

#[test]
fn a_callee_may_reject_or_answer_by_hand() {
    let mut world = pair(|_, c| c.incoming = Incoming::Reject(486));
    world.dial();
    world.seconds(1);
    assert_eq!((world.ended(0).0, world.ended(0).1), (By::Remote, 486));
    assert_eq!(world.ended(0).2, "Busy Here");
    let mut world = pair(|_, c| c.incoming = Incoming::Manual);
    world.dial();
    world.seconds(1);
    let call = world.call(1);
    world.order(1, UeOrder::Answer(call));
    world.seconds(1);
    world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
    world.dial();
    world.seconds(1);
    let call = world.call(1);
    world.order(1, UeOrder::Reject { call, status: 603 });
    world.seconds(1);
    assert_eq!(world.ended(0).1, 603);
}

/// Every single SIP message of the call is lost once.
#[test]
fn any_lost_message_is_survived() {
    for change in [plain as fn(usize, &mut ue::UeConfig), |_, _| {}] {
        for lost in 0..16 {
            let mut world = pair(change);
            let mut count = 0;
            world.lose = Box::new(move |line, _| {
                count += u32::from(line != "RTP");
                line != "RTP" && count == lost + 1
            });
            world.dial();
            world.seconds(12);
            world.told(0, |w| matches!(w, What::Answered { .. }).then_some(()));
            let call = world.call(0);
            world.order(0, UeOrder::Hangup(call));
            world.seconds(5);
            assert_eq!(world.ended(0).1, 200, "{lost} {:#?}", world.sent);
            assert_eq!(world.ended(1).1, 200, "{lost} {:#?}", world.sent);
        }
    }
}

#[test]
fn a_third_of_all_messages_may_be_lost() {
    let mut random = base::Random::from_u64(5);
    for _ in 0..20 {
        let mut world = pair(|_, _| {});
        let mut dice = random.fork();
        world.lose = Box::new(move |_, _| dice.below(3) == 0);
        world.dial();
        world.seconds(30);
        let call = world.call(0);
        world.order(0, UeOrder::Hangup(call));
        world.seconds(140);
        world.ended(0);
        assert_eq!((world.phones[0].calls(), world.phones[1].calls()), (0, 0), "{:#?}", world.sent);
    }
}

#[test]
fn lost_sound_is_seen() {
    let mut world = pair(plain);
    let mut count = 0;
    world.lose = Box::new(move |line, phone| {
        count += u32::from(line == "RTP" && phone == 0);
        line == "RTP" && phone == 0 && count % 10 == 0
    });
    world.dial();
    world.seconds(8);
    let call = world.call(0);
    world.order(0, UeOrder::Hangup(call));
    world.seconds(1);
    let media = world.ended(1).3;
    assert!(media.stats.lost > 25, "{:?}", media.stats);
    assert!(media.stats.mos.unwrap() < 3.0);
    let likeness = compare(&speech(rtp::prompts::ALICE), &media.recording);
    assert_eq!(likeness.verdict(), Verdict::Damaged);
}

#[test]
fn no_ack_and_no_prack_end_the_call() {
    let mut world = pair(plain);
    world.lose = Box::new(|line, _| line.starts_with("ACK"));
    world.dial();
    world.seconds(40);
    assert_eq!((world.ended(1).0, world.ended(1).1), (By::Failure, 408));
    assert!(world.count(1, "SIP/2.0 200 OK") >= 10);
    assert_eq!(world.ended(0).0, By::Remote);
    let mut world = pair(|_, _| {});
    world.lose = Box::new(|line, _| line.starts_with("PRACK"));
    world.dial();
    world.seconds(50);
    assert_eq!(world.count(1, "SIP/2.0 183"), 7, "T1 doubles until 64*T1: {:?}", world.sent);
    assert_eq!((world.ended(1).0, world.ended(1).1), (By::Failure, 504));
    world.ended(0);
    assert_eq!((world.phones[0].calls(), world.phones[1].calls()), (0, 0));
}

#[test]
fn hold_and_resume() {
    let mut world = pair(|_, _| {});
    world.dial();
    world.seconds(3);
    let (a, b) = (world.call(0), world.call(1));
    world.order(0, UeOrder::Hold(a));
    world.seconds(1);
    world.told(0, |w| (*w == What::Held(a)).then_some(()));
    world.told(1, |w| (*w == What::HeldByPeer { call: b, held: true }).then_some(()));
    world.order(0, UeOrder::Resume(a));
    world.seconds(1);
    world.told(0, |w| (*w == What::Resumed(a)).then_some(()));
    world.told(1, |w| (*w == What::HeldByPeer { call: b, held: false }).then_some(()));
    world.order(1, UeOrder::Hangup(b));
    world.seconds(1);
    let (at_alice, at_bob) = (world.ended(0).3.stats, world.ended(1).3.stats);
    // A second of silence from Bob, and none from Alice.
    let gap = at_alice.received as i64 - at_bob.received as i64;
    assert!((-60..-40).contains(&gap), "{gap}");
}

#[test]
fn both_may_hold_at_the_same_time() {
    let mut world = pair(|_, _| {});
    world.dial();
    world.seconds(3);
    let (a, b) = (world.call(0), world.call(1));
    world.order(0, UeOrder::Hold(a));
    world.order(1, UeOrder::Hold(b));
    world.seconds(6);
    assert!(world.count(0, "SIP/2.0 491") + world.count(1, "SIP/2.0 491") > 0);
    world.told(0, |w| (*w == What::Held(a)).then_some(()));
    world.told(1, |w| (*w == What::Held(b)).then_some(()));
}

#[test]
fn digits_arrive_once_and_in_order() {
    let mut world = pair(plain);
    let mut count = 0;
    world.lose = Box::new(move |line, _| {
        count += u32::from(line == "RTP");
        line == "RTP" && count % 7 == 0
    });
    world.dial();
    world.seconds(2);
    let call = world.call(0);
    world.order(0, UeOrder::Dtmf { call, digits: "1590*#D".into() });
    world.order(0, UeOrder::Dtmf { call, digits: "x".into() });
    world.seconds(3);
    let digits: String = world.reports[1]
        .iter()
        .filter_map(|r| match &r.what {
            What::DtmfReceived { digit, duration, .. } => {
                assert_eq!(*duration, Duration::from_millis(100));
                Some(*digit)
            }
            _ => None,
        })
        .collect();
    assert_eq!(digits, "1590*#D");
    let about = |w: &What| matches!(w, What::OrderRefused { call: Some(c), .. } if *c == call);
    world.told(0, |w| about(w).then_some(()));
}

#[test]
fn the_session_is_refreshed_for_as_long_as_it_lives() {
    for (asks, other) in [(90, 0), (0, 90), (90, 90), (1800, 90)] {
        let mut world = pair(|n, c| {
            c.options.session_timer = [asks, other][n];
            c.media.enabled = false;
        });
        world.dial();
        world.seconds(400);
        let refreshes = world.count(0, "UPDATE") + world.count(1, "UPDATE");
        assert!(asks == 1800 || refreshes > 7, "{asks} {other}: {:?}", world.sent);
        assert!(world.find(0, |w| matches!(w, What::Ended { .. }).then_some(())).is_none());
    }
}

#[test]
fn a_partitioned_session_expires_at_both_ends() {
    let mut world = pair(|_, c| {
        c.options.session_timer = 90;
        c.media.enabled = false;
    });
    world.dial();
    world.seconds(5);
    world.lose = Box::new(|_, _| true);
    world.seconds(150);
    assert_eq!((world.ended(0).0, world.ended(0).1), (By::Failure, 408));
    assert_eq!((world.ended(1).0, world.ended(1).1), (By::Failure, 408));
    assert_eq!((world.phones[0].calls(), world.phones[1].calls()), (0, 0));
}

#[test]
fn early_media_is_heard_before_the_answer() {
    for change in [plain as fn(usize, &mut ue::UeConfig), |_, _| {}] {
        let mut world = pair(|n, c| {
            change(n, c);
            c.options.early_media = true;
            c.incoming = Incoming::Manual;
        });
        world.dial();
        world.seconds(2);
        world.told(0, |w| matches!(w, What::MediaFlowing { .. }).then_some(()));
        assert!(world.find(0, |w| matches!(w, What::Answered { .. }).then_some(())).is_none());
        let call = world.call(1);
        world.order(1, UeOrder::Answer(call));
        world.seconds(2);
        world.told(1, |w| matches!(w, What::MediaFlowing { .. }).then_some(()));
    }
}

#[test]
fn texts_and_questions() {
    let mut world = pair(|_, _| {});
    let to = || "sip:bob@10.0.0.2".to_owned();
    world.order(0, UeOrder::Message { to: to(), text: "Grüße".into(), token: 3 });
    world.order(0, UeOrder::Options { to: to(), token: 4 });
    world.seconds(1);
    let ok =
        |w: &What| matches!(w, What::MessageResult { token: 3, status: 200, .. }).then_some(());
    world.told(0, ok);
    let text = world.told(1, |w| match w {
        What::MessageReceived { body, from, .. } => Some((body.clone(), from.clone())),
        _ => None,
    });
    assert_eq!((&text.0[..], text.1.as_str()), ("Grüße".as_bytes(), "sip:alice@ims.test"));
    world.told(0, |w| match w {
        What::OptionsResult { token: 4, status: 200, allow } => {
            allow.contains("PRACK").then_some(())
        }
        _ => None,
    });
}

#[test]
fn several_calls_at_once() {
    let mut world = pair(|_, _| {});
    for _ in 0..3 {
        world.dial();
    }
    world.seconds(3);
    assert_eq!(world.phones[0].calls(), 3);
    let answered =
        world.reports[0].iter().filter(|r| matches!(r.what, What::Answered { .. })).count();
    assert_eq!(answered, 3);
}

#[test]
fn a_talk_limit_ends_the_talk_and_not_the_call() {
    let mut world = pair(|_, c| c.media.talk = Some(Duration::from_secs(1)));
    world.dial();
    world.seconds(6);
    let call = world.call(0);
    world.order(0, UeOrder::Hangup(call));
    world.seconds(1);
    assert_eq!(world.ended(0).3.stats.sent, 50);
}

/// RFC 3261 §15: the callee must not send a BYE before the ACK came or will never come.
#[test]
fn a_callee_hangs_up_after_the_ack() {
    let mut world = pair(plain);
    world.lose = Box::new(|line, _| line.starts_with("ACK"));
    world.dial();
    world.seconds(2);
    world.told(1, |w| matches!(w, What::Answered { .. }).then_some(()));
    let call = world.call(1);
    world.order(1, UeOrder::Hangup(call));
    world.seconds(2);
    assert_eq!(world.count(1, "BYE"), 0);
    world.lose = Box::new(|_, _| false);
    world.seconds(5);
    assert_eq!(world.count(1, "BYE"), 1);
    assert_eq!((world.ended(1).0, world.ended(1).1), (By::Local, 200));
    assert_eq!(world.ended(0).0, By::Remote);
}
