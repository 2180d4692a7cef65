//! One band: how large its steps are (G.722 §3.4, §3.5) and what is predicted of it (§3.6).
//!
//! The names in brackets are the recommendation's.

/// Within 16 bits.
pub(super) fn saturate(value: i32) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

/// What differs between the bands' quantizers.
#[derive(Debug)]
pub(super) struct Band {
    /// Output levels in 32768ths of the step (QM4, QM2).
    levels: &'static [i32],
    /// What each code adds to the logarithm of the step (WL by RL42, WH by IH2).
    weights: &'static [i32],
    /// The greatest logarithm.
    most: i32,
    /// The step is shifted so far.
    shift: i32,
    /// The first step.
    step: i32,
}

/// The lower band, by four of its six bits.
pub(super) static LOW: Band = Band {
    levels: &[
        0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584,
        1200, 0,
    ],
    weights: &[-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60],
    most: 18432,
    shift: 8,
    step: 32,
};

/// The higher band, by its two bits.
pub(super) static HIGH: Band = Band {
    levels: &[-7408, -1616, 7408, 1616],
    weights: &[798, -214, 798, -214],
    most: 22528,
    shift: 10,
    step: 8,
};

/// 2048 times the 32nd roots of two (ILB).
const ROOTS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

/// A quantizer's step, which follows the codes.
#[derive(Debug)]
pub(super) struct Scale {
    band: &'static Band,
    /// In 2048ths of a power of two (NBL, NBH).
    logarithm: i32,
    /// (DETL, DETH)
    step: i32,
}

impl Scale {
    pub(super) fn new(band: &'static Band) -> Scale {
        Scale { band, logarithm: 0, step: band.step }
    }

    pub(super) fn step(&self) -> i32 {
        self.step
    }

    /// The difference that a code stands for; the step follows it (INVQAL, LOGSCL, SCALEL and those of the higher
    /// band).
    pub(super) fn adapt(&mut self, code: u8) -> i32 {
        let code = usize::from(code);
        let difference = (self.step * self.band.levels[code]) >> 15;
        let logarithm = ((self.logarithm * 127) >> 7) + self.band.weights[code];
        self.logarithm = logarithm.clamp(0, self.band.most);
        let root = ROOTS[(self.logarithm >> 6 & 31) as usize];
        let shift = self.band.shift - (self.logarithm >> 11);
        let step = if shift < 0 { root << -shift } else { root >> shift };
        self.step = step << 2;
        difference
    }
}

/// Predicts the next sample from the last two of the signal and the last six differences.
#[derive(Debug, Default)]
pub(super) struct Predictor {
    /// The prediction, and the share of the zeros in it (SL, SZL).
    prediction: i32,
    by_zeros: i32,
    /// Coefficients of the poles, in 16384ths (AL), and of the zeros, in 16384ths (BL).
    poles: [i32; 2],
    zeros: [i32; 6],
    /// Differences, newest first (DLT).
    differences: [i32; 6],
    /// The last reconstructed sample (RLT).
    reconstructed: i32,
    /// Whether the last two partly reconstructed samples were negative, newest first (PLT).
    negative: [bool; 2],
}

impl Predictor {
    pub(super) fn prediction(&self) -> i32 {
        self.prediction
    }

    /// Goes on by one difference (block 4: RECONS to PREDIC).
    pub(super) fn update(&mut self, difference: i32) {
        let reconstructed = saturate(self.prediction + difference);
        let negative = saturate(self.by_zeros + difference) < 0;
        let like = self.negative.map(|before| if before == negative { 1 } else { -1 });
        let [one, two] = self.poles;
        // UPPOL2, UPPOL1
        let turned = (-like[0] * saturate(one << 2)).min(i16::MAX.into());
        let two = ((like[1] * 128) + (turned >> 7) + ((two * 32512) >> 15)).clamp(-12288, 12288);
        let most = saturate(15360 - two);
        let one = saturate(like[0] * 192 + ((one * 32640) >> 15)).clamp(-most, most);
        // UPZERO
        let gain = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zeros.iter_mut().zip(self.differences) {
            let gain = if (before < 0) == (difference < 0) { gain } else { -gain };
            *zero = saturate(gain + ((*zero * 32640) >> 15));
        }
        // DELAYA, FILTEP, FILTEZ, PREDIC
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        let part = |sample: i32, coefficient: i32| (saturate(2 * sample) * coefficient) >> 15;
        let by_poles = saturate(part(reconstructed, one) + part(self.reconstructed, two));
        let zeros = self.differences.iter().zip(self.zeros);
        self.by_zeros = saturate(zeros.map(|(before, zero)| part(*before, zero)).sum());
        self.prediction = saturate(by_poles + self.by_zeros);
        self.poles = [one, two];
        self.reconstructed = reconstructed;
        self.negative = [negative, self.negative[0]];
    }
}
