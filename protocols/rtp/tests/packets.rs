//! RTP and RTCP packets there and back.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use proptest::prelude::*;
use rtp::rtcp::{self, CNAME, Chunk, ReportBlock, Rtcp, SenderInfo};
use rtp::{Builder, Packet, RtpError};

#[test]
fn a_packet_with_everything() {
    let built = Builder {
        marker: true,
        payload_type: 101,
        sequence: 0xfffe,
        timestamp: 7,
        ssrc: 0xdead_beef,
        csrc: &[1, 2],
        extension: Some((0xbede, &[1, 2, 3, 4, 5])),
        payload: b"sound",
        align: 4,
    }
    .build();
    assert_eq!(built.len() % 4, 0);
    let packet = Packet::parse(&built).unwrap();
    assert!(packet.marker());
    assert_eq!((packet.payload_type(), packet.sequence()), (101, 0xfffe));
    assert_eq!((packet.timestamp(), packet.ssrc()), (7, 0xdead_beef));
    assert_eq!(packet.csrc().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(packet.extension(), Some((0xbede, &[1, 2, 3, 4, 5, 0, 0, 0][..])));
    assert_eq!(packet.payload(), b"sound");
}

#[test]
fn broken_packets_say_why() {
    assert_eq!(Packet::parse(&[]), Err(RtpError::Truncated));
    assert_eq!(Packet::parse(&[0x40; 12]), Err(RtpError::Version));
    assert_eq!(Packet::parse(&[0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(RtpError::Truncated));
    assert_eq!(Packet::parse(&[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), Err(RtpError::Padding));
    assert_eq!(rtcp::parse(&[]), Err(RtpError::Truncated));
    assert_eq!(rtcp::parse(&[0x81, 201, 0, 1, 0, 0, 0, 1]), Err(RtpError::Truncated));
}

/// RFC 3550 §6.4.1, figure 2: a round trip of 6.125 s.
#[test]
fn the_standards_round_trip() {
    let block = ReportBlock { last_sr: 0xb705_2000, delay: 0x0005_4000, ..Default::default() };
    assert_eq!(block.round_trip(0xb710_8000), Some(0x0006_2000));
    assert_eq!(ReportBlock::default().round_trip(1), None);
}

fn block() -> impl Strategy<Value = ReportBlock> {
    (any::<[u32; 5]>(), any::<u8>(), -0x80_0000..0x80_0000).prop_map(|(n, fraction_lost, lost)| {
        let [ssrc, highest, jitter, last_sr, delay] = n;
        ReportBlock { ssrc, fraction_lost, lost, highest, jitter, last_sr, delay }
    })
}

fn packet() -> impl Strategy<Value = Rtcp> {
    let blocks = || proptest::collection::vec(block(), 0..4);
    let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
    let item = (1..9u8, bytes());
    let chunk = (any::<u32>(), proptest::collection::vec(item, 0..3))
        .prop_map(|(ssrc, items)| Chunk { ssrc, items });
    prop_oneof![
        (any::<u32>(), any::<(u64, u32, u32, u32)>(), blocks()).prop_map(|(ssrc, s, blocks)| {
            let sender = SenderInfo { ntp: s.0, rtp: s.1, packets: s.2, octets: s.3 };
            Rtcp::SenderReport { ssrc, sender, blocks }
        }),
        (any::<u32>(), blocks()).prop_map(|(ssrc, blocks)| Rtcp::ReceiverReport { ssrc, blocks }),
        proptest::collection::vec(chunk, 0..3).prop_map(Rtcp::Description),
        (proptest::collection::vec(any::<u32>(), 0..4), proptest::option::of("[a-z ]{1,20}"))
            .prop_map(|(sources, reason)| Rtcp::Goodbye { sources, reason }),
    ]
}

proptest! {
    #[test]
    fn rtcp_comes_back(packets in proptest::collection::vec(packet(), 1..5)) {
        prop_assert_eq!(rtcp::parse(&rtcp::build(&packets)), Ok(packets));
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for first in [None, Some(0x80), Some(0xbf)] {
            if let (Some(first), Some(byte)) = (first, bytes.first_mut()) { *byte = first }
            if let Ok(packet) = Packet::parse(&bytes) {
                let _ = (packet.csrc().count(), packet.extension(), packet.payload());
                let _ = (packet.ssrc(), packet.sequence(), packet.marker());
            }
            let _ = (rtcp::parse(&bytes), rtp::demux::kind(&bytes), rtp::wav::read(&bytes).is_ok());
            let _ = rtp::event::TelephoneEvent::parse(&bytes);
            for kind in 200..205u8 {
                let mut framed = vec![0x82, kind, 0, (bytes.len() / 4) as u8];
                framed.extend(&bytes[..bytes.len() / 4 * 4]);
                let _ = rtcp::parse(&framed);
            }
        }
    }

    #[test]
    fn rtp_comes_back(payload in proptest::collection::vec(any::<u8>(), 0..50), align in 0..9u8,
        csrc in proptest::collection::vec(any::<u32>(), 0..15), data in any::<Option<[u8; 8]>>()) {
        let extension = data.as_ref().map(|data| (5, &data[..]));
        let bytes =
            Builder { payload: &payload, align, csrc: &csrc, extension, ..Default::default() }.build();
        let packet = Packet::parse(&bytes).unwrap();
        prop_assert_eq!(packet.payload(), &payload[..]);
        prop_assert_eq!(packet.extension(), extension);
        prop_assert!(packet.csrc().eq(csrc));
    }
}

#[test]
fn a_compound_names_its_sender() {
    let items = vec![(CNAME, b"alice@192.0.2.1".to_vec())];
    let packets = [
        Rtcp::ReceiverReport { ssrc: 1, blocks: vec![] },
        Rtcp::Description(vec![Chunk { ssrc: 1, items }]),
    ];
    let bytes = rtcp::build(&packets);
    assert_eq!(bytes[..8], [0x80, 201, 0, 1, 0, 0, 0, 1]);
    assert_eq!(bytes[8..12], [0x81, 202, 0, 6]);
}
