//! Header values that are a number: Expires, Min-Expires, Max-Forwards, RSeq, Min-SE, and `q`.

/// delta-seconds, RFC 3261 §25.1; what is too large is 2^32-1 (§20.19), parameters are ignored.
pub fn delta_seconds(value: &str) -> Option<u32> {
    let end = crate::lex::find(value, b';').unwrap_or(value.len());
    let digits = value[..end].trim_ascii();
    let legal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    legal.then(|| digits.parse().unwrap_or(u32::MAX))
}

/// A `q` value as thousandths, RFC 3261 §25.1 `qvalue`.
pub fn q_value(value: &str) -> Option<u16> {
    let (whole, part) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    if !matches!(whole, "0" | "1") || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut thousandths = if whole == "1" { 1000 } else { 0 };
    for (digit, weight) in part.bytes().zip([100, 10, 1]) {
        thousandths += u16::from(digit - b'0') * weight;
    }
    (thousandths <= 1000).then_some(thousandths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_within_their_limits() {
        assert_eq!(delta_seconds("3600"), Some(3600));
        assert_eq!(delta_seconds("99999999999999"), Some(u32::MAX));
        assert_eq!(delta_seconds("-1"), None);
        assert_eq!(q_value("0.75"), Some(750));
        assert_eq!(q_value("1.0"), Some(1000));
        assert_eq!(q_value("1.1"), None);
        assert_eq!(q_value("0.1234"), None);
    }
}
