//! URIs: `sip:` and `sips:` (RFC 3261 §19.1), `tel:` (RFC 3966), others as they are.

use core::fmt;
use std::net::IpAddr;

use crate::lex::{self, Params};

/// A URI, borrowed from the text that it stands in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uri<'a> {
    /// `sip:` or `sips:`.
    Sip(SipUri<'a>),
    /// `tel:`.
    Tel(TelUri<'a>),
    /// `urn:` and all others.
    Other(&'a str),
}

/// `sip:user:password@host:port;parameters?headers`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SipUri<'a> {
    /// Whether the scheme is `sips`.
    pub secure: bool,
    /// The user part, still escaped; `None` without `@`.
    pub user: Option<&'a str>,
    /// The password, deprecated.
    pub password: Option<&'a str>,
    /// The host; an IPv6 address keeps its brackets.
    pub host: &'a str,
    /// The port.
    pub port: Option<u16>,
    /// The parameters.
    pub params: Params<'a>,
    /// What follows the question mark.
    pub headers: Option<&'a str>,
}

/// `tel:number;parameters`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TelUri<'a> {
    /// The number with its visual separators; global ones begin with `+`.
    pub number: &'a str,
    /// The parameters, such as `phone-context`.
    pub params: Params<'a>,
}

impl<'a> Uri<'a> {
    /// Reads a URI. `None` without a scheme, for a `sip:` URI without a host, or with a port that is
    /// no number.
    pub fn parse(text: &'a str) -> Option<Uri<'a>> {
        let (scheme, rest) = lex::split(text, b':')?;
        if scheme.eq_ignore_ascii_case("sip") {
            SipUri::parse(rest, false).map(Uri::Sip)
        } else if scheme.eq_ignore_ascii_case("sips") {
            SipUri::parse(rest, true).map(Uri::Sip)
        } else if scheme.eq_ignore_ascii_case("tel") {
            let end = lex::find(rest, b';').unwrap_or(rest.len());
            let (number, params) = (&rest[..end], Params::new(&rest[end..]));
            let digits = |b: u8| b.is_ascii_hexdigit() || b"+*#-.()".contains(&b);
            let legal = !number.is_empty() && number.bytes().all(digits);
            legal.then_some(Uri::Tel(TelUri { number, params }))
        } else {
            let letter = scheme.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
            (letter && !rest.is_empty()).then_some(Uri::Other(text))
        }
    }

    /// The URI if its scheme is `sip` or `sips`.
    pub fn sip(self) -> Option<SipUri<'a>> {
        match self {
            Uri::Sip(uri) => Some(uri),
            _ => None,
        }
    }

    /// The address of record that this URI names: what a registrar and an HSS know it by.
    ///
    /// Scheme `sip` for `sips` too, which names the same user (RFC 5630 §5.1), unescaped user and
    /// lower-case host, without port (unless it is not the default), password, parameters and headers
    /// (RFC 3261 §10.3 step 5; TS 23.003 §13.4). A
    /// `sip:` URI with `user=phone` and a global number keeps its form; `tel:` loses visual
    /// separators and parameters but `phone-context`.
    pub fn aor(&self) -> String {
        match self {
            Uri::Sip(uri) => {
                let mut out = String::from("sip:");
                out.reserve(uri.user.map_or(0, str::len) + uri.host.len() + 7);
                if let Some(user) = uri.user {
                    // Most users have nothing to be escaped.
                    if user.bytes().all(is_user_byte) {
                        out.push_str(user);
                    } else {
                        out.push_str(&escape_user(&unescape(user)));
                    }
                    out.push('@');
                }
                let host = out.len();
                out.push_str(uri.host);
                out[host..].make_ascii_lowercase();
                let default = if uri.secure { 5061 } else { 5060 };
                if let Some(port) = uri.port.filter(|p| *p != default) {
                    out.push(':');
                    out.push_str(&port.to_string());
                }
                out
            }
            Uri::Tel(uri) => {
                let mut out = format!("tel:{}", uri.digits());
                if let Some(context) = uri.params.get("phone-context") {
                    out.push_str(";phone-context=");
                    out.push_str(&context.to_ascii_lowercase());
                }
                out
            }
            Uri::Other(text) => (*text).to_owned(),
        }
    }
}

impl<'a> SipUri<'a> {
    fn parse(rest: &'a str, secure: bool) -> Option<SipUri<'a>> {
        // The user part may hold `;` and `?`: the last `@` before the host decides.
        let at = memchr::memrchr(b'@', rest.as_bytes());
        let host = at.map_or(0, |at| at + 1);
        let (rest, headers) = match lex::find(&rest[host..], b'?') {
            Some(end) => (&rest[..host + end], Some(&rest[host + end + 1..])),
            None => (rest, None),
        };
        let (user_info, host_part) = match at {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let (user, password) = match user_info.map(|u| (u, lex::split(u, b':'))) {
            None => (None, None),
            Some((_, Some((user, password)))) => (Some(user), Some(password)),
            Some((user, None)) => (Some(user), None),
        };
        let end = lex::find(host_part, b';').unwrap_or(host_part.len());
        let params = Params::new(&host_part[end..]);
        let (host, port) = split_host_port(&host_part[..end])?;
        let illegal = |b: u8| matches!(b, b'<' | b'>' | b'"' | b' ');
        let user_legal = user.is_none_or(|u| !u.is_empty() && !u.bytes().any(illegal));
        user_legal.then_some(SipUri { secure, user, password, host, port, params, headers })
    }

    /// The user part without escapes and without the parameters of a telephone subscriber.
    pub fn user_unescaped(&self) -> String {
        unescape(self.user.unwrap_or(""))
    }

    /// The `transport` parameter, lower case.
    pub fn transport(&self) -> Option<String> {
        self.params.get("transport").map(str::to_ascii_lowercase)
    }

    /// Whether the `lr` parameter is there: a loose router, RFC 3261 §19.1.1.
    pub fn is_loose(&self) -> bool {
        self.params.has("lr")
    }

    /// The telephone number in the user part, if there is one: `user=phone`, or a global number.
    pub fn phone_number(&self) -> Option<String> {
        let user = self.user?;
        let number = user.split(';').next().unwrap_or(user);
        let phone = self.params.get("user").is_some_and(|v| v.eq_ignore_ascii_case("phone"));
        let digits: String = number.chars().filter(|c| !"-.()".contains(*c)).collect();
        let global = digits
            .strip_prefix('+')
            .is_some_and(|d| d.len() >= 3 && d.bytes().all(|b| b.is_ascii_digit()));
        (global || (phone && !digits.is_empty())).then_some(digits)
    }
}

impl TelUri<'_> {
    /// The number without visual separators, RFC 3966 §5.1.1.
    pub fn digits(&self) -> String {
        self.number.chars().filter(|c| !"-.()".contains(*c)).collect()
    }
}

impl fmt::Display for SipUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = self.user {
            f.write_str(user)?;
            if let Some(password) = self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        f.write_str(self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.params.as_str())?;
        match self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Uri::Sip(uri) => uri.fmt(f),
            Uri::Tel(uri) => write!(f, "tel:{}{}", uri.number, uri.params.as_str()),
            Uri::Other(text) => f.write_str(text),
        }
    }
}

/// The address that a host is; IPv6 with or without brackets. The three colons of RFC 3261's grammar
/// are taken for two (RFC 5118 §4.10).
pub fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // Names are no addresses: nearly all that is asked for is one.
    if !bare.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')) {
        return None;
    }
    let three = || bare.contains(":::").then(|| bare.replacen(":::", "::", 1).parse().ok());
    bare.parse().ok().or_else(|| three().flatten())
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port`; a host of illegal characters is refused.
pub fn split_host_port(text: &str) -> Option<(&str, Option<u16>)> {
    let text = text.trim_ascii();
    let (host, port) = if text.starts_with('[') {
        let end = text.find(']')?;
        literal(&text[..=end]).filter(IpAddr::is_ipv6)?;
        (&text[..=end], &text[end + 1..])
    } else {
        let end = text.bytes().position(|b| !HOST_BYTES[usize::from(b)]).unwrap_or(text.len());
        if end == 0 {
            return None;
        }
        text.split_at(end)
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => Some(digits.trim_ascii().parse().ok()?),
        None if port.is_empty() => None,
        None => return None,
    };
    Some((host, port))
}

/// What a host name may be made of.
static HOST_BYTES: [bool; 256] = {
    let mut legal = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        legal[byte] = b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        byte += 1;
    }
    legal
};

/// Text without `%HH` escapes, RFC 3261 §19.1.2; what is no escape, or gives no UTF-8, stays.
pub fn unescape(text: &str) -> String {
    if lex::find(text, b'%').is_none() {
        return text.to_owned();
    }
    let hex = |b: Option<&u8>| b.and_then(|b| (*b as char).to_digit(16)).map(|d| d as u8);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = (bytes[at] == b'%').then(|| (hex(bytes.get(at + 1)), hex(bytes.get(at + 2))));
        match pair {
            Some((Some(high), Some(low))) => {
                out.push(high << 4 | low);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// A user part with all escaped that RFC 3261 §25.1 `user` does not allow.
pub fn escape_user(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_user_byte(byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The value of a header field of a URI with all escaped that RFC 3261 §25.1 `hvalue` does not allow.
pub fn escape_header(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()[]/?:+$".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// RFC 3261 §25.1 `unreserved` and `user-unreserved`.
fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte)
}

/// Whether two URIs are equal as RFC 3261 §19.1.4 (`sip:`) and RFC 3966 §4 (`tel:`) compare them.
pub fn equal(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    match (Uri::parse(a), Uri::parse(b)) {
        (Some(Uri::Sip(a)), Some(Uri::Sip(b))) => sip_equal(&a, &b),
        (Some(a @ Uri::Tel(_)), Some(b @ Uri::Tel(_))) => a.aor() == b.aor(),
        _ => a == b,
    }
}

fn sip_equal(a: &SipUri<'_>, b: &SipUri<'_>) -> bool {
    let user = |u: &SipUri<'_>| (u.user.map(unescape), u.password.map(unescape));
    let same_param = |x: &SipUri<'_>, y: &SipUri<'_>| {
        x.params.iter().all(|(name, value)| {
            // `user`, `ttl`, `method`, `maddr` and `transport` count even when one side lacks them, and so
            // does `gr` (RFC 5627 §6).
            let decisive = ["user", "ttl", "method", "maddr", "transport", "gr"];
            match y.params.get(name) {
                Some(other) => other.eq_ignore_ascii_case(value.unwrap_or("")),
                None => !decisive.iter().any(|d| d.eq_ignore_ascii_case(name)),
            }
        })
    };
    a.secure == b.secure
        && user(a) == user(b)
        && a.host.eq_ignore_ascii_case(b.host)
        && a.port == b.port
        && same_param(a, b)
        && same_param(b, a)
        && a.headers.unwrap_or("") == b.headers.unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sip(text: &str) -> SipUri<'_> {
        Uri::parse(text).and_then(Uri::sip).unwrap()
    }

    #[test]
    fn all_parts_are_found() {
        let uri = sip("sips:alice;day=tue?x:pw@[2001:db8::9]:5061;transport=TCP;lr?subject=a");
        assert!(uri.secure && uri.is_loose());
        assert_eq!((uri.user, uri.password), (Some("alice;day=tue?x"), Some("pw")));
        assert_eq!((uri.host, uri.port), ("[2001:db8::9]", Some(5061)));
        assert_eq!(uri.transport().as_deref(), Some("tcp"));
        assert_eq!(uri.headers, Some("subject=a"));
    }

    #[test]
    fn illegal_ones_are_refused() {
        for text in ["sip:", "sip:a@", "alice", "sip:a@b:x", "sip:[1:2]", "sip:@b", "tel:", "tel:x"]
        {
            assert_eq!(Uri::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_of_record_has_no_ornaments() {
        let aor = |text| Uri::parse(text).unwrap().aor();
        assert_eq!(aor("sip:%61lice@Example.COM:5060;transport=tcp"), "sip:alice@example.com");
        assert_eq!(aor("sips:alice@Example.COM:5061"), "sip:alice@example.com");
        assert_eq!(aor("tel:+1-201-555-0123;x=y"), "tel:+12015550123");
        assert_eq!(aor("tel:7042;phone-context=Example.com"), "tel:7042;phone-context=example.com");
        assert_eq!(aor("urn:service:sos"), "urn:service:sos");
    }

    /// RFC 3261 §19.1.4 gives these examples.
    #[test]
    fn comparison_follows_the_examples_of_rfc_3261() {
        let same = [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        ];
        let different = [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;gr=urn:x:y"),
        ];
        assert!(same.iter().all(|(a, b)| equal(a, b)));
        assert!(different.iter().all(|(a, b)| !equal(a, b)));
    }

    #[test]
    fn numbers_are_found_in_sip_uris() {
        assert_eq!(sip("sip:+49-30-123@x").phone_number().as_deref(), Some("+4930123"));
        assert_eq!(sip("sip:123@x;user=phone").phone_number().as_deref(), Some("123"));
        assert_eq!(sip("sip:123@x").phone_number(), None);
    }
}
