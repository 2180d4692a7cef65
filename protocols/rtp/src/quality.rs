//! The E-model, ITU-T G.107: what a listener would say of delay and loss.
//!
//! All transmission parameters but delay, loss and codec have the recommendation's default, for
//! which R0 - Is is 93.2.

/// How a codec suffers, ITU-T G.113 Appendix I.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct CodecImpairment {
    /// Equipment impairment factor without loss.
    pub ie: f64,
    /// Robustness against random loss.
    pub bpl: f64,
}

/// G.711 without loss concealment.
pub const G711: CodecImpairment = CodecImpairment { ie: 0.0, bpl: 4.3 };
/// G.711 with the concealment of G.711 Appendix I.
pub const G711_PLC: CodecImpairment = CodecImpairment { ie: 0.0, bpl: 25.1 };
/// G.729 with voice activity detection.
pub const G729A: CodecImpairment = CodecImpairment { ie: 11.0, bpl: 19.0 };
/// AMR at 12.2 kbit/s (GSM-EFR).
pub const AMR_12_2: CodecImpairment = CodecImpairment { ie: 5.0, bpl: 10.0 };

/// The rating factor R, 0 to 100: one-way delay from mouth to ear in milliseconds, random loss in
/// percent.
pub fn rating(delay_ms: f64, loss_percent: f64, codec: CodecImpairment) -> f64 {
    let loss = loss_percent.clamp(0.0, 100.0);
    let effective = codec.ie + (95.0 - codec.ie) * loss / (loss + codec.bpl);
    (93.2 - delay_impairment(delay_ms.max(0.0)) - effective).clamp(0.0, 100.0)
}

/// Idd, G.107 §7.4, equations 7-27 and 7-28; without echo the other delay impairments are small,
/// so that they stay zero.
fn delay_impairment(delay_ms: f64) -> f64 {
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0)
        + 2.0)
}

/// The mean opinion score of a rating, 1 to 4.5, G.107 Annex B.
pub fn mos(rating: f64) -> f64 {
    let r = rating.clamp(0.0, 100.0);
    // Between 0 and 6.5 the cubic dips below 1, which is no score.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G.107 table 3: all defaults give R = 93.2 and MOS 4.41; Annex B's table pairs.
    #[test]
    fn the_recommendations_values() {
        assert!((rating(0.0, 0.0, G711) - 93.2).abs() < 0.01);
        for (r, score) in [(93.2, 4.41), (90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10)] {
            assert!((mos(r) - score).abs() < 0.011, "R {r}: {}", mos(r));
        }
    }

    #[test]
    fn worse_is_worse() {
        assert!(rating(300.0, 0.0, G711) < rating(150.0, 0.0, G711));
        assert!(rating(0.0, 5.0, G711) < rating(0.0, 5.0, G711_PLC));
        assert!(mos(rating(20.0, 20.0, G711)) < 2.0);
        assert_eq!(mos(rating(0.0, 100.0, AMR_12_2)), 1.0);
    }
}
