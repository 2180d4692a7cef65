//! Quotes, commas and parameters of header field values, RFC 3261 §25.1: borrowed, never panics.

/// The position of the first `wanted`, an ASCII byte. Most texts are so short that more than a plain loop
/// costs more than it gains.
pub fn find(text: &str, wanted: u8) -> Option<usize> {
    if text.len() < 48 {
        return text.bytes().position(|byte| byte == wanted);
    }
    memchr::memchr(wanted, text.as_bytes())
}

/// What stands before the first `wanted`, an ASCII byte, and what behind it.
pub fn split(text: &str, wanted: u8) -> Option<(&str, &str)> {
    let at = find(text, wanted)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Splits at commas that stand outside quoted strings and angle brackets, RFC 3261 §7.3.1.
///
/// Elements are trimmed; empty ones are skipped, since phones send stray commas.
pub fn elements(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    core::iter::from_fn(move || {
        loop {
            let text = rest?;
            let end = outside(text, b',');
            rest = end.map(|at| &text[at + 1..]);
            let element = text[..end.unwrap_or(text.len())].trim_ascii();
            if !element.is_empty() {
                return Some(element);
            }
        }
    })
}

/// The position of the first `wanted` outside quoted strings and angle brackets.
pub fn outside(text: &str, wanted: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut angle = false;
    loop {
        // Most texts have neither quotes nor brackets before it.
        at += match angle {
            false if bytes.len() - at > 32 => memchr::memchr3(wanted, b'"', b'<', &bytes[at..])?,
            false => {
                let ends = |byte: &u8| *byte == wanted || matches!(byte, b'"' | b'<');
                bytes[at..].iter().position(ends)?
            }
            true => bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'>'))?,
        };
        match bytes[at] {
            byte if byte == wanted && !angle => return Some(at),
            b'"' => at = quote_end(bytes, at + 1)?,
            byte => angle = byte == b'<',
        }
        at += 1;
    }
}

/// The quote that ends a quoted string whose content begins at `from`.
fn quote_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Parameters `;name[=value]…`, RFC 3261 §25.1 `generic-param`. Holds the text from the first
/// semicolon on.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Params<'a>(&'a str);

impl<'a> Params<'a> {
    /// Parameters from text that is empty or begins at a semicolon.
    pub fn new(text: &'a str) -> Params<'a> {
        Params(text)
    }

    /// The text, empty or beginning at a semicolon.
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// Name and value of each parameter, in order. Values keep their quotes.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            loop {
                let blank = |byte: &u8| matches!(byte, b';' | b' ' | b'\t');
                rest = &rest[rest.bytes().take_while(|byte| blank(byte)).count()..];
                if rest.is_empty() {
                    return None;
                }
                let end = outside(rest, b';').unwrap_or(rest.len());
                let (param, after) = rest.split_at(end);
                rest = after;
                let (name, value) = match split(param, b'=') {
                    Some((name, value)) => (name.trim_ascii(), Some(value.trim_ascii())),
                    None => (param.trim_ascii(), None),
                };
                if !name.is_empty() {
                    return Some((name, value));
                }
            }
        })
    }

    /// The value of a parameter: `None` if absent, empty if it has none. Names compare without case.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.unwrap_or(""))
    }

    /// Writes all but these, each behind a semicolon.
    pub fn write_others(&self, out: &mut String, but: &[&str]) {
        for (name, value) in self.iter() {
            if but.iter().any(|other| name.eq_ignore_ascii_case(other)) {
                continue;
            }
            push_param(out, name, value);
        }
    }

    /// Whether the parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// Writes one parameter behind a semicolon.
pub fn push_param(out: &mut String, name: &str, value: Option<&str>) {
    out.push(';');
    out.push_str(name);
    if let Some(value) = value {
        out.push('=');
        out.push_str(value);
    }
}

/// The content of a quoted string without quotes and escapes; other text as it is.
pub fn unquote(text: &str) -> std::borrow::Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return text.into();
    };
    if find(inner, b'\\').is_none() {
        return inner.into();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    out.into()
}

/// Text as a quoted string, RFC 3261 §25.1.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    out
}

/// The same, behind what is there.
pub fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    if text.bytes().any(|byte| matches!(byte, b'"' | b'\\')) {
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
    } else {
        out.push_str(text);
    }
    out.push('"');
}

/// Whether the text is a non-empty `token`, RFC 3261 §25.1.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether the byte may stand in a `token`.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let value = "\"Bell, A\\\" \" <sip:a,b@x>;q=1, <sip:c@x> ,, sip:d@x";
        let parts: Vec<_> = elements(value).collect();
        assert_eq!(parts, ["\"Bell, A\\\" \" <sip:a,b@x>;q=1", "<sip:c@x>", "sip:d@x"]);
    }

    #[test]
    fn params_are_found_without_case() {
        let params = Params::new(";lr;Transport=TCP; x = \"a;b\" ;;");
        assert_eq!(params.get("transport"), Some("TCP"));
        assert_eq!(params.get("LR"), Some(""));
        assert_eq!(params.get("x"), Some("\"a;b\""));
        assert_eq!(params.get("y"), None);
    }

    #[test]
    fn quotes_come_and_go() {
        assert_eq!(unquote(&quote("a\"b\\c")), "a\"b\\c");
        assert_eq!(unquote("plain"), "plain");
    }
}
