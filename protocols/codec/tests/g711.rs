//! Every byte and every sample against the definition of ITU-T G.711.

use codec::g711::{Law, decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};

/// G.711 table 1a, column 6 (decision values) of the segments' upper ends, scaled from 4096 to 32768.
#[test]
fn the_recommendations_segment_ends() {
    // A-law output values 1, 33, 66, 132, 264, 528, 1056, 2112 and 4032 of table 1a, column 8.
    let values = [(0xd5u8, 1), (0xc5, 33), (0xf5, 66), (0xe5, 132), (0x95, 264), (0x85, 528)];
    for (byte, value) in values.into_iter().chain([(0xb5, 1056), (0xa5, 2112), (0xaa, 4032)]) {
        assert_eq!(decode_alaw(byte), value * 8, "{byte:#x}");
        assert_eq!(decode_alaw(byte ^ 0x80), -value * 8, "{byte:#x}");
    }
    // µ-law output values 0, 2, 33, 99, 231, 495, 1023, 2079, 4191 and 8031 of table 2a, column 8.
    let values = [(0xffu8, 0), (0xfe, 2), (0xef, 33), (0xdf, 99), (0xcf, 231), (0xbf, 495)];
    for (byte, value) in values.into_iter().chain([(0xaf, 1023), (0x9f, 2079), (0x8f, 4191)]) {
        assert_eq!(decode_ulaw(byte), value * 4, "{byte:#x}");
    }
    assert_eq!((decode_ulaw(0x80), decode_ulaw(0x00)), (8031 * 4, -8031 * 4));
}

#[test]
fn every_byte_comes_back() {
    for byte in 0..=255u8 {
        assert_eq!(encode_alaw(decode_alaw(byte)), byte, "A-law {byte:#x}");
        // Both zeros of µ-law are the same sample; the positive one is sent.
        let wanted = if byte == 0x7f { 0xff } else { byte };
        assert_eq!(encode_ulaw(decode_ulaw(byte)), wanted, "µ-law {byte:#x}");
    }
}

/// Tables 1a and 2a: the number of intervals of a segment and their width, in units of which 8 (4)
/// make one of 16 bits; the value of an interval is its middle.
#[test]
fn every_sample_goes_to_its_interval() {
    let a_law = [(32, 2), (16, 4), (16, 8), (16, 16), (16, 32), (16, 64), (16, 128)];
    let u_law = [(15, 2), (16, 4), (16, 8), (16, 16), (16, 32), (16, 64), (16, 128), (16, 256)];
    check(&a_law, 0, 8, |s| decode_alaw(encode_alaw(s)));
    // µ-law begins with half an interval around zero, whose value is zero.
    check(&u_law, 1, 4, |s| decode_ulaw(encode_ulaw(s)));
}

fn check(segments: &[(i32, i32)], start: i32, unit: i32, there_and_back: impl Fn(i16) -> i16) {
    let mut intervals = if start == 0 { vec![] } else { vec![(start * unit, 0)] };
    let mut low = start;
    for (count, width) in segments {
        for _ in 0..*count {
            intervals.push(((low + width) * unit, (2 * low + width) * unit / 2));
            low += width;
        }
    }
    assert_eq!(intervals.len(), 128);
    for sample in i16::MIN..=i16::MAX {
        // A sample stands for [sample, sample + 1): no decision value lies inside.
        let size = i32::from(if sample < 0 { !sample } else { sample });
        let interval = intervals.iter().find(|(end, _)| size < *end);
        let value = interval.unwrap_or(&intervals[127]).1;
        let wanted = if sample < 0 { -value } else { value };
        assert_eq!(i32::from(there_and_back(sample)), wanted, "{sample}");
    }
}

#[test]
fn encoding_is_monotonous() {
    for (decode, encode) in
        [(decode_alaw as fn(u8) -> i16, encode_alaw as fn(i16) -> u8), (decode_ulaw, encode_ulaw)]
    {
        let heard: Vec<_> = (i16::MIN..=i16::MAX).map(|s| decode(encode(s))).collect();
        assert!(heard.is_sorted());
    }
}

#[test]
fn a_law_goes_both_ways() {
    for law in [Law::A, Law::Mu] {
        let (mut bytes, mut samples) = (Vec::new(), Vec::new());
        law.encode(&[0, 1000, -1000], &mut bytes);
        law.decode(&bytes, &mut samples);
        assert!(samples[0].abs() <= 8 && (samples[1] - 1000).abs() < 40 && samples[2] < -960);
        assert_eq!(bytes[0], law.silence());
    }
    assert_eq!(Law::of_payload_type(8), Some(Law::A));
    assert_eq!((Law::A.silence(), Law::Mu.silence()), (0xd5, 0xff));
}
