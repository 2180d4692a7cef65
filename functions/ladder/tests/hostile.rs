//! Bytes from anybody never stop us.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod flow;

use base::time::Duration;
use base::{Endpoint, Service, Transport, WireId};
use flow::{Place, evening};
use ladder::compare::{Order, compare};
use ladder::{
    Correlation, Filter, Ladder, Limits, Party, Record, Trace, full_text, html, json, pcapng,
    redact, text,
};
use proptest::prelude::*;

fn everything(records: Vec<Record>) {
    let mut trace = Trace::new(Limits { records: 100, bytes: 1 << 20, waiting: 100 });
    let live = trace.subscribe(Filter { subscriber: Some("+491".into()), ..Filter::default() });
    records.iter().cloned().for_each(|r| trace.push(r));
    while trace.poll(live).is_some() {}
    let all = trace.correlate();
    all.of_subscriber("1");
    let ladder = Ladder::new("all", records.clone());
    for width in [0, 70, 120] {
        let options = text::Options { width, detail: true, ..text::Options::default() };
        let drawn = text::render(&ladder, &options);
        let least = width.max(40).max(50 + 3 * ladder.participants.len());
        assert!(drawn.lines().all(|l| l.chars().count() <= least));
        assert!(!drawn.chars().any(|c| c.is_control() && c != '\n'));
    }
    let page = html::render(&ladder);
    assert_eq!(page.matches("<script>").count(), 1);
    records.iter().for_each(|r| drop(full_text(r)));
    assert_eq!(compare(&ladder, &ladder, Order::EachPair, &[]), []);
    assert_eq!(pcapng::read(&pcapng::write(&records)).unwrap(), records);
    for record in &records {
        assert_eq!(&json::parse(&json::line(record)).unwrap(), record);
        let mut masked = record.clone();
        redact(&mut masked);
        assert_eq!(masked.bytes.len(), record.bytes.len());
        let once = masked.clone();
        redact(&mut masked);
        assert_eq!(masked, once, "to redact twice is to redact once");
    }
}

fn service() -> impl Strategy<Value = Service> {
    prop::sample::select(vec![Service::Sip, Service::Diameter, Service::Ng, Service::Rtp])
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    prop::sample::select(vec![
        Endpoint::Wire(WireId(0)),
        Endpoint::Wire(WireId(65_535)),
        Endpoint::Ip("0.0.0.0:0".parse().unwrap()),
        Endpoint::Ip("127.0.0.1:5060".parse().unwrap()),
        Endpoint::Ip("10.0.0.9:1".parse().unwrap()),
        Endpoint::Ip("[::1]:65535".parse().unwrap()),
    ])
}

fn party() -> impl Strategy<Value = Party> {
    (endpoint(), prop::option::of("\\PC{0,12}"))
        .prop_map(|(endpoint, name)| Party { endpoint, name: name.map(Into::into) })
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let whole: Vec<Vec<u8>> = evening(Place::PROCESS).iter().map(|r| r.bytes.to_vec()).collect();
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "(SIP/2.0 [0-9]{3} x|INVITE sip:a SIP/2.0|REGISTER sip:a SIP/2.0)(\r\n\\PC{0,40}){0,6}\r\n\r\n\\PC{0,40}"
            .prop_map(String::into_bytes),
        // A true message with some bytes changed, or cut off.
        (prop::sample::select(whole), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(mut bytes, changes, end, cut)| {
                for (at, byte) in changes {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                if cut {
                    bytes.truncate(end.index(bytes.len()));
                }
                bytes
            }),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let transport = prop::sample::select(vec![Transport::Udp, Transport::Tcp, Transport::Wire]);
    (service(), transport, party(), party(), bytes(), 0..10_000_000u64, any::<u64>()).prop_map(
        |(service, transport, from, to, bytes, micros, flow)| Record {
            at: flow::START + Duration::from_micros(micros),
            service,
            transport,
            from,
            to,
            bytes: bytes.into(),
            flow,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_records_are_shown(records in prop::collection::vec(record(), 0..12)) {
        everything(records);
    }

    #[test]
    fn any_file_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = pcapng::read(&noise);
        let mut file = pcapng::write(&evening(Place::PROCESS)[..4]).to_vec();
        let at = at.index(file.len());
        file[at] = byte;
        let _ = pcapng::read(&file);
        let _ = json::parse(&String::from_utf8_lossy(&noise));
    }

    #[test]
    fn any_order_gives_threads_of_all(seed in any::<u64>()) {
        let mut records = evening(Place::PROCESS);
        let length = records.len() as u64;
        for i in 0..length {
            records.swap(i as usize, (seed.wrapping_mul(i + 1) % length) as usize);
        }
        let all = Correlation::new(records);
        prop_assert_eq!(all.threads().len(), 3);
    }
}
