//! How a person names a subscriber, and which identities that means.

use crate::dissect::Key;

/// What was asked for: a public identity, an IMSI, a private identity, or a telephone number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    text: String,
    digits: Option<String>,
}

impl Wanted {
    /// `sip:…`, `tel:…`, an IMPI, digits of an IMSI, or digits of an MSISDN with or without plus sign.
    pub(crate) fn parse(text: &str) -> Wanted {
        let text = text.trim();
        let bare =
            text.strip_prefix("imsi:").or_else(|| text.strip_prefix("msisdn:")).unwrap_or(text);
        let number: String = bare.chars().filter(|c| !" -.()".contains(*c)).collect();
        let digits = number.strip_prefix('+').unwrap_or(&number);
        let is_number = digits.len() >= 3 && digits.bytes().all(|b| b.is_ascii_digit());
        let aor = sip::Uri::parse(text).map(|uri| uri.aor());
        Wanted {
            text: aor.unwrap_or_else(|| text.to_owned()),
            digits: is_number.then(|| digits.to_owned()),
        }
    }

    /// Whether an identity is the one that was asked for.
    pub(crate) fn is(&self, identity: &str) -> bool {
        identity == self.text
            || self.digits.as_deref().is_some_and(|d| digits_of(identity) == Some(d))
    }

    /// Whether a key names what was asked for.
    pub(crate) fn is_key(&self, key: &Key) -> bool {
        match key {
            Key::Impi(identity) | Key::Impu(identity) => self.is(identity),
            Key::UeAddress(address) => address.to_string() == self.text,
            _ => false,
        }
    }
}

/// The digits of an IMSI or number in `001…@ims…`, `sip:+49…@…`, `tel:+49…`.
fn digits_of(identity: &str) -> Option<&str> {
    let start = identity.find(':').map_or(0, |colon| colon + 1);
    let user = identity[start..].split(['@', ';']).next()?;
    let digits = user.strip_prefix('+').unwrap_or(user);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}
