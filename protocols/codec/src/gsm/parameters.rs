//! The parameters of a frame and where their bits stand (RFC 3551 §4.5.8, table 2): each from its highest bit on,
//! after the four bits `1101`.

use super::BYTES;

/// A quarter of a frame, 5 ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Quarter {
    /// The lag of the long term predictor (N), 40 to 120, 7 bits.
    pub(super) lag: u8,
    /// Its gain (b), 2 bits.
    pub(super) gain: u8,
    /// Where the pulses begin (M), 2 bits.
    pub(super) grid: u8,
    /// The greatest of them (Xmax), 6 bits.
    pub(super) most: u8,
    /// The thirteen pulses (x), 3 bits.
    pub(super) pulses: [u8; 13],
}

/// A frame, 20 ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Parameters {
    /// The logarithmic area ratios (LAR).
    pub(super) ratios: [u8; 8],
    pub(super) quarters: [Quarter; 4],
}

const MAGIC: u8 = 0b1101;
/// Bits of each area ratio.
const RATIO_BITS: [u32; 8] = [6, 6, 5, 5, 4, 4, 3, 3];

/// Bits of bytes, from the highest one on.
struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
    waiting: u32,
    count: u32,
}

impl Writer<'_> {
    fn put(&mut self, value: u8, bits: u32) {
        self.waiting = self.waiting << bits | u32::from(value) & ((1 << bits) - 1);
        self.count += bits;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.waiting >> self.count) as u8);
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8; BYTES],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, bits: u32) -> u8 {
        (0..bits).fold(0, |value, _| {
            let bit = self.bytes[self.at / 8] >> (7 - self.at % 8) & 1;
            self.at += 1;
            value << 1 | bit
        })
    }
}

impl Parameters {
    /// Appends the 33 bytes.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        let mut out = Writer { bytes, waiting: 0, count: 0 };
        out.put(MAGIC, 4);
        for (ratio, bits) in self.ratios.iter().zip(RATIO_BITS) {
            out.put(*ratio, bits);
        }
        for quarter in &self.quarters {
            out.put(quarter.lag, 7);
            out.put(quarter.gain, 2);
            out.put(quarter.grid, 2);
            out.put(quarter.most, 6);
            for pulse in &quarter.pulses {
                out.put(*pulse, 3);
            }
        }
    }

    /// What 33 bytes say; `None` if they do not begin with `1101`.
    pub(super) fn read(bytes: &[u8; BYTES]) -> Option<Parameters> {
        let mut from = Reader { bytes, at: 0 };
        if from.take(4) != MAGIC {
            return None;
        }
        let ratios = RATIO_BITS.map(|bits| from.take(bits));
        let quarters = [(); 4].map(|()| Quarter {
            lag: from.take(7),
            gain: from.take(2),
            grid: from.take(2),
            most: from.take(6),
            pulses: [(); 13].map(|()| from.take(3)),
        });
        Some(Parameters { ratios, quarters })
    }
}
