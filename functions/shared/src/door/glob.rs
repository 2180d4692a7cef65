//! Patterns of KEYS and SCAN: `*`, `?`, and `\` before what is meant as it stands.

/// Whether a pattern fits a whole text: in a time that grows with their product at most.
pub(super) fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and what it took so far ends.
    let mut star = None;
    while t < text.len() {
        let (one, width) = match pattern.get(p..) {
            Some([b'\\', byte, ..]) => (Some(*byte), 2),
            Some([b'*', ..]) => {
                star = Some((p, t));
                p += 1;
                continue;
            }
            Some([b'?', ..]) => (Some(text[t]), 1),
            Some([byte, ..]) => (Some(*byte), 1),
            _ => (None, 0),
        };
        if one == Some(text[t]) {
            (p, t) = (p + width, t + 1);
        } else if let Some((at, end)) = star {
            star = Some((at, end + 1));
            (p, t) = (at + 1, end + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_fit_as_redis_has_them() {
        for (pattern, yes, no) in [
            ("*", &["", "a", "abc"][..], &[][..]),
            ("", &[""], &["a"]),
            ("a*c", &["ac", "abc", "abcc"], &["ab", "bac"]),
            ("?b*", &["ab", "xbc"], &["b", "ba"]),
            ("*a*b*", &["ab", "xaxbx", "aab"], &["ba", "b"]),
            ("a\\*", &["a*"], &["ab", "a\\*"]),
        ] {
            assert!(yes.iter().all(|text| fits(pattern.as_bytes(), text.as_bytes())), "{pattern}");
            assert!(!no.iter().any(|text| fits(pattern.as_bytes(), text.as_bytes())), "{pattern}");
        }
        let long = "a".repeat(10_000);
        assert!(!fits(format!("{}b", "*a".repeat(50)).as_bytes(), long.as_bytes()));
    }
}
