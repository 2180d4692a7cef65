//! The quadrature mirror filters, G.722 §3.1 and §4.4: 24 taps, symmetric.

/// One half of the taps (table 4, H0 to H11 in the order that both sums use), in 8192ths.
const TAPS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// The last 24 samples, or sums and differences of the bands, oldest first.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    line: [i32; 24],
}

impl Mirror {
    /// The two bands of two samples: lower and higher.
    pub(super) fn analyse(&mut self, first: i16, second: i16) -> (i32, i32) {
        let (odd, even) = self.sums(first.into(), second.into());
        ((even + odd) >> 14, (even - odd) >> 14)
    }

    /// The two samples of both bands.
    pub(super) fn synthesize(&mut self, low: i32, high: i32) -> [i16; 2] {
        let (second, first) = self.sums(low + high, low - high);
        [first, second].map(|sum| super::adpcm::saturate(sum >> 11) as i16)
    }

    fn sums(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.line.copy_within(2.., 0);
        self.line[22] = first;
        self.line[23] = second;
        let pairs = self.line.as_chunks::<2>().0;
        let mut sums = (0, 0);
        for (pair, (tap, mirrored)) in pairs.iter().zip(TAPS.iter().zip(TAPS.iter().rev())) {
            sums.0 += pair[0] * tap;
            sums.1 += pair[1] * mirrored;
        }
        sums
    }
}
