//! The operations of EN 300 961 clause 5.1.

/// Within 16 bits.
pub(super) fn saturate(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

pub(super) fn add(a: i16, b: i16) -> i16 {
    a.saturating_add(b)
}

pub(super) fn sub(a: i16, b: i16) -> i16 {
    a.saturating_sub(b)
}

/// The product of two fractions.
pub(super) fn mult(a: i16, b: i16) -> i16 {
    saturate((i32::from(a) * i32::from(b)) >> 15)
}

/// The product of two fractions, rounded.
pub(super) fn mult_r(a: i16, b: i16) -> i16 {
    saturate((i32::from(a) * i32::from(b) + 16384) >> 15)
}

/// How far a number other than zero can be shifted to the left.
pub(super) fn norm(value: i32) -> u32 {
    (if value < 0 { !value } else { value }).leading_zeros().saturating_sub(1)
}

/// `numerator / denominator` for `0 <= numerator <= denominator`, `denominator > 0`.
pub(super) fn div(numerator: i16, denominator: i16) -> i16 {
    let (mut rest, denominator) = (i32::from(numerator), i32::from(denominator));
    let mut quotient = 0;
    for _ in 0..15 {
        quotient <<= 1;
        rest <<= 1;
        if rest >= denominator {
            rest -= denominator;
            quotient += 1;
        }
    }
    quotient
}
