//! Whatever arrives in whatever order: statistics and playout stay within bounds.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use base::Instant;
use base::time::Duration;
use proptest::prelude::*;
use rtp::playout::{Frame, Playout};
use rtp::reception::Arrival;
use rtp::{Builder, Packet, Reception};

proptest! {
    #[test]
    fn arbitrary_packets_are_counted(packets in proptest::collection::vec(
        (any::<u32>(), 0..3u32, any::<u16>(), any::<u32>()), 0..200)) {
        let mut reception = Reception::new(8000);
        let mut now = Instant::from_unix_micros(1);
        for (wait, ssrc, sequence, timestamp) in packets {
            now += Duration::from_micros(u64::from(wait));
            reception.packet(now, ssrc, sequence, timestamp);
            let report = reception.report();
            prop_assert!(reception.received() <= reception.expected());
            prop_assert!(report.lost >= 0);
        }
    }

    /// Losing, doubling and reordering within the window is counted exactly.
    #[test]
    fn loss_is_exact(start in any::<u16>(), fates in proptest::collection::vec(0..4u8, 2..300)) {
        let mut order: Vec<(usize, u16)> = Vec::new();
        let (mut lost, mut doubled) = (0, 0);
        let last = fates.len() - 1;
        for (n, fate) in fates.iter().enumerate() {
            let sequence = start.wrapping_add(n as u16);
            match fate {
                // The first and the last packet arrive: what is lost outside of them nobody knows.
                1 if n != 0 && n != last => lost += 1,
                2 => {
                    doubled += 1;
                    order.extend([(n, sequence), (n + 3, sequence)]);
                }
                3 => order.push((n + 5, sequence)),
                _ => order.push((n, sequence)),
            }
        }
        order.sort_by_key(|(at, _)| *at);
        let mut reception = Reception::new(8000);
        let mut duplicates = 0;
        for (at, sequence) in order {
            let now = Instant::from_unix_micros(at as u64 * 20_000);
            let arrival = reception.packet(now, 1, sequence, u32::from(sequence) * 160);
            duplicates += u64::from(arrival == Arrival::Duplicate);
        }
        prop_assert_eq!((reception.lost(), reception.duplicates()), (lost, doubled));
        prop_assert_eq!(duplicates, doubled);
    }

    #[test]
    fn playout_never_plays_twice_nor_too_much(packets in proptest::collection::vec(
        (0..40u64, any::<u8>(), any::<bool>()), 0..300)) {
        let frame = Duration::from_millis(20);
        let mut playout = Playout::new(Duration::from_millis(60), frame, 8000);
        let mut now = Instant::from_unix_micros(1_000_000);
        let (mut pushed, mut played) = (0, 0);
        for (wait, n, wild) in packets {
            now += Duration::from_millis(wait);
            let timestamp = u32::from(n).wrapping_mul(if wild { 0x0123_4567 } else { 160 });
            let bytes = Builder { timestamp, payload: &[n], ..Builder::default() }.build();
            playout.push(now, &Packet::parse(&bytes).unwrap());
            pushed += 1;
            while playout.due().is_some_and(|due| due <= now) {
                played += u64::from(matches!(playout.pop(now), Frame::Payload(..)));
            }
        }
        prop_assert!(played <= pushed);
    }
}
