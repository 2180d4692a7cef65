//! Quotes, commas and parameters of header field values, RFC 3261 §25.1: borrowed, never panics.

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
            let element = text[..end.unwrap_or(text.len())].trim();
            if !element.is_empty() {
                return Some(element);
            }
        }
    })
}

/// The position of the first `wanted` outside quoted strings and angle brackets.
pub fn outside(text: &str, wanted: u8) -> Option<usize> {
    // Most texts have neither quotes nor brackets before it.
    let first = memchr::memchr3(wanted, b'"', b'<', text.as_bytes())?;
    if text.as_bytes()[first] == wanted {
        return Some(first);
    }
    let mut quoted = false;
    let mut angle = false;
    let mut escaped = false;
    for (at, &byte) in text.as_bytes().iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            _ if byte == wanted && !angle => return Some(at),
            b'<' => angle = true,
            b'>' => angle = false,
            _ => {}
        }
    }
    None
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
                rest = rest.trim_start_matches([';', ' ', '\t']);
                if rest.is_empty() {
                    return None;
                }
                let end = outside(rest, b';').unwrap_or(rest.len());
                let (param, after) = rest.split_at(end);
                rest = after;
                let (name, value) = match param.split_once('=') {
                    Some((name, value)) => (name.trim(), Some(value.trim())),
                    None => (param.trim(), None),
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

    /// Whether the parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// The content of a quoted string without quotes and escapes; other text as it is.
pub fn unquote(text: &str) -> std::borrow::Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return text.into();
    };
    if !inner.contains('\\') {
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
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Whether the text is a non-empty `token`, RFC 3261 §25.1.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Whether the byte may stand in a `token`.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
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
