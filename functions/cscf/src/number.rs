//! The telephone number in a URI, RFC 3966, as people dial it: TS 24.229 §5.4.3.2 step 10.

use base::dialling::Dialling;
use sip::{SipUri, Uri};

/// The number that a Request-URI asks for: with a plus sign if it is global, else as it stands.
///
/// A `sip:` URI counts if one of our `hosts` stands in it and it says that it is a number (`user=phone`,
/// a plus sign), or if what it says is dialled as one. A local number becomes a global one by the country in
/// its `phone-context`, or by what people dial here.
pub(crate) fn of(
    uri: &str,
    hosts: impl Fn(&SipUri<'_>) -> bool,
    dialling: Option<&Dialling>,
) -> Option<String> {
    match Uri::parse(uri)? {
        Uri::Tel(tel) => {
            let digits = tel.digits();
            let context = tel.params.get("phone-context");
            Some(global(&digits, context, dialling).unwrap_or(digits))
        }
        Uri::Sip(sip) if hosts(&sip) => {
            let user = sip.user_unescaped();
            let (number, params) = user.split_once(';').unwrap_or((&user, ""));
            let digits: String = number.chars().filter(|c| !"-.()".contains(*c)).collect();
            let context = params.split(';').find_map(|param| param.strip_prefix("phone-context="));
            let phone = sip.params.get("user").is_some_and(|v| v.eq_ignore_ascii_case("phone"));
            let dialled = || phone && is_number(&digits);
            global(&digits, context, dialling).or_else(|| dialled().then(|| digits.clone()))
        }
        _ => None,
    }
}

fn global(digits: &str, context: Option<&str>, dialling: Option<&Dialling>) -> Option<String> {
    let country = context.and_then(|context| context.strip_prefix('+'));
    let number = match (digits.strip_prefix('+'), country) {
        (Some(number), _) => number.to_owned(),
        (None, Some(country)) => {
            let trunk = dialling.map_or("", |dialling| dialling.trunk.as_str());
            format!("{country}{}", digits.strip_prefix(trunk).unwrap_or(digits))
        }
        (None, None) => dialling?.international(digits)?,
    };
    let legal = (3..=15).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    legal.then(|| format!("+{number}"))
}

fn is_number(digits: &str) -> bool {
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_all_their_forms() {
        let germany =
            Dialling { country: "49".into(), trunk: "0".into(), international: "00".into() };
        let ours = |uri: &SipUri<'_>| uri.host == "ims.test";
        let number = |uri| of(uri, ours, Some(&germany));
        for uri in [
            "tel:+4930123",
            "tel:+49-30-123;x=y",
            "tel:030123;phone-context=ims.test",
            "tel:00-4930-123",
            "tel:30123;phone-context=+49",
            "sip:+4930123@ims.test",
            "sip:030123@ims.test",
            "sip:030123;phone-context=ims.test@ims.test;user=phone",
        ] {
            assert_eq!(number(uri).as_deref(), Some("+4930123"), "{uri}");
        }
        assert_eq!(number("tel:1234;phone-context=ims.test").as_deref(), Some("1234"));
        assert_eq!(number("sip:1234@ims.test;user=phone").as_deref(), Some("1234"));
        for uri in [
            "sip:1234@ims.test",
            "sip:alice@ims.test",
            "sip:alice@ims.test;user=phone",
            "sip:+4930123@other.test",
            "sip:030123@other.test",
            "urn:service:sos",
        ] {
            assert_eq!(number(uri), None, "{uri}");
        }
        assert_eq!(of("sip:030123@ims.test", ours, None), None);
    }
}
