use std::time::Instant as Clock;

use base::{Endpoint, FlowId, Transport, WireId};
use engine::shard::{Direction, Party as Place};

use super::*;

const OPTIONS: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
    From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c@h\r\nCSeq: 1 OPTIONS\r\n\r\n";

fn see(tap: &mut impl Tap, at: u64, service: Service, bytes: &Bytes) {
    let place = |wire, name| Place { endpoint: Endpoint::Wire(WireId(wire)), name: Some(name) };
    let crossing = Crossing {
        service,
        transport: Transport::Wire,
        from: place(1, "pcscf"),
        to: place(2, "icscf"),
        direction: Direction::Between,
        flow: FlowId(1),
        bytes,
    };
    tap.message(Instant::from_unix_micros(at), &crossing);
}

#[test]
fn a_full_channel_drops_and_counts() {
    // Nobody takes anything out.
    let (recorder, receiver) = Recorder::idle();
    let mut tap = recorder.tap();
    let bytes = Bytes::from_static(OPTIONS);
    for at in 0..WAITING as u64 + 7 {
        see(&mut tap, at, Service::Sip, &bytes);
    }
    assert_eq!(recorder.lost.load(Ordering::Relaxed), 7);
    let kept: Vec<Item> = receiver.try_iter().collect();
    assert_eq!(kept.len(), WAITING);
    assert!(matches!(&kept[0], Item::Seen(seen) if seen.at == Instant::from_unix_micros(0)));
}

#[test]
fn what_crossed_is_remembered_and_followed_until_the_end() {
    let recorder = Recorder::start(Limits { records: 2, ..LIMITS }).unwrap();
    let mut tap = recorder.tap();
    let following = recorder.follow(Filter::default()).unwrap();
    let bytes = Bytes::from_static(OPTIONS);
    for at in 1..=3 {
        see(&mut tap, at, Service::Sip, &bytes);
        see(&mut tap, at, Service::Rtp, &bytes);
    }
    let snapshot = recorder.snapshot().unwrap();
    let times: Vec<u64> = snapshot.records.iter().map(|r| r.at.unix_micros()).collect();
    assert_eq!((times, snapshot.forgotten, snapshot.lost), (vec![2, 3], 1, 0));
    assert_eq!(snapshot.records[0].from.name.as_deref(), Some("pcscf"));
    for at in 1..=3 {
        let record = following.next(Duration::from_secs(30)).unwrap().unwrap();
        assert_eq!(record.at.unix_micros(), at);
    }
    recorder.close();
    assert_eq!(following.next(Duration::from_secs(30)), Err(Ended));
    assert_eq!(recorder.snapshot().unwrap_err(), Ended);
}

/// What one message costs the loop: `cargo test --release -- --ignored --nocapture cost`.
#[test]
#[ignore = "a measurement"]
fn cost_of_the_tap() {
    let recorder = Recorder::start(LIMITS).unwrap();
    let mut tap = recorder.tap();
    let (rounds, burst) = (2000, 100);
    let mut spent = Duration::ZERO;
    for round in 0..rounds {
        let all: Vec<Bytes> = (0..burst).map(|_| Bytes::from(OPTIONS.repeat(4))).collect();
        let begin = Clock::now();
        all.iter().for_each(|bytes| see(&mut tap, round, Service::Sip, bytes));
        spent += begin.elapsed();
        std::thread::sleep(Duration::from_millis(1));
    }
    let lost = recorder.snapshot().unwrap().lost;
    let each = spent / (rounds as u32 * burst);
    eprintln!("{each:?} for each message; {lost} lost");
}
