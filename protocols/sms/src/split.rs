//! A text of any length as the user data of as many messages as it takes, TS 23.040 §9.2.3.24.1.

use crate::alphabet::{ESCAPE, Septets};
use crate::header::Reference;
use crate::user_data::{Body, ShortMessage, part, utf16};

/// A text that takes more than the 255 parts that can be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the text takes {parts} messages, and there are at most 255")]
pub struct TooManyParts {
    /// So many it would take.
    pub parts: usize,
}

/// Splits a text: in one message without a header if it fits (160 characters of the GSM 7 bit default
/// alphabet, or 70 of UTF-16), else in parts of 153 or 67 (152 or 66 with a reference of sixteen
/// bits). No escape and no surrogate pair is cut in two.
///
/// # Errors
/// [`TooManyParts`] if it takes more than 255.
pub fn split(text: &str, reference: Reference) -> Result<Vec<ShortMessage>, TooManyParts> {
    if let Ok(whole) = ShortMessage::from_text(text) {
        return Ok(vec![whole]);
    }
    let wide = usize::from(matches!(reference, Reference::Sixteen(_)));
    let bodies: Vec<Body> = match Septets::encode(text) {
        Ok(septets) => {
            let chunks = cut(septets.codes(), 153 - wide, |last| *last == ESCAPE);
            chunks.into_iter().filter_map(Septets::new).map(Body::Septets).collect()
        }
        Err(_) => {
            let units: Vec<u16> = text.encode_utf16().collect();
            let chunks = cut(&units, 67 - wide, |last| (0xd800..0xdc00).contains(last));
            chunks.into_iter().map(|chunk| Body::Octets(utf16(chunk.iter().copied()))).collect()
        }
    };
    let too_many = TooManyParts { parts: bodies.len() };
    let total = u8::try_from(bodies.len()).map_err(|_| too_many)?;
    let parts = (1..=total).zip(bodies).map(|(number, body)| part(reference, total, number, body));
    Ok(parts.map(|part| part.expect("a part is cut to fit")).collect())
}

/// Cuts into chunks of so many, one less where the last of them belongs to the next.
fn cut<T>(mut rest: &[T], most: usize, belongs_to_next: impl Fn(&T) -> bool) -> Vec<&[T]> {
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let mut count = most.min(rest.len());
        if count < rest.len() && belongs_to_next(&rest[count - 1]) {
            count -= 1;
        }
        let (chunk, later) = rest.split_at(count);
        chunks.push(chunk);
        rest = later;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_data::text_of;

    fn lengths(text: &str, reference: Reference) -> Vec<usize> {
        let parts = split(text, reference).unwrap();
        assert_eq!(text_of(&parts).as_deref(), Some(text));
        let length = |part: &ShortMessage| match part.body() {
            Body::Septets(septets) => septets.codes().len(),
            Body::Octets(octets) => octets.len() / 2,
        };
        // Each part can be read by itself: nothing is cut in two.
        let alone: String = parts.iter().map(|part| part.text().unwrap()).collect();
        assert_eq!(alone, text);
        parts.iter().map(length).collect()
    }

    #[test]
    fn parts_have_the_lengths_of_the_standard() {
        let (eight, sixteen) = (Reference::Eight(1), Reference::Sixteen(1));
        assert_eq!(lengths("", eight), [0]);
        assert_eq!(lengths(&"a".repeat(160), eight), [160]);
        assert_eq!(lengths(&"a".repeat(161), eight), [153, 8]);
        assert_eq!(lengths(&"a".repeat(307), eight), [153, 153, 1]);
        assert_eq!(lengths(&"a".repeat(161), sixteen), [152, 9]);
        assert_eq!(lengths(&"ж".repeat(70), eight), [70]);
        assert_eq!(lengths(&"ж".repeat(71), eight), [67, 4]);
        assert_eq!(lengths(&"ж".repeat(71), sixteen), [66, 5]);
    }

    #[test]
    fn no_escape_and_no_pair_is_cut() {
        let text = format!("{}€{}", "a".repeat(152), "b".repeat(20));
        assert_eq!(lengths(&text, Reference::Eight(1)), [152, 22]);
        let text = format!("{}🙂{}", "ж".repeat(66), "b".repeat(20));
        assert_eq!(lengths(&text, Reference::Eight(1)), [66, 22]);
        assert_eq!(lengths(&"€".repeat(100), Reference::Eight(1)), [152, 48]);
    }

    #[test]
    fn at_most_255_parts() {
        assert_eq!(split(&"a".repeat(255 * 153), Reference::Eight(1)).unwrap().len(), 255);
        let more = split(&"a".repeat(255 * 153 + 1), Reference::Eight(1));
        assert_eq!(more, Err(TooManyParts { parts: 256 }));
    }
}
