//! Options as one string, as Kamailio's `rtpengine_offer("…")` and the key `rtpp_flags` carry them:
//! `trust-address replace-origin ICE=remove direction=pub direction=priv replace=[origin]`.

use crate::request::{Request, normal};
use crate::value::Value;

/// Takes all parts of the string.
pub(crate) fn read(request: &mut Request, text: &str) {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = end_of_part(rest);
        part(request, &rest[..end]);
        rest = rest[end..].trim_start();
    }
}

/// A part ends at white space outside of brackets.
fn end_of_part(text: &str) -> usize {
    let mut inside = false;
    for (at, char) in text.char_indices() {
        match char {
            '[' => inside = true,
            ']' => inside = false,
            c if c.is_ascii_whitespace() && !inside => return at,
            _ => {}
        }
    }
    text.len()
}

fn part(request: &mut Request, part: &str) {
    let Some((key, value)) = part.split_once('=') else {
        if part.contains("RTP/") {
            request.transport_protocol = Some(part.to_owned());
        } else {
            request.flag(part);
        }
        return;
    };
    // A flag string inside a flag string would not end.
    if matches!(normal(key).as_str(), "flags" | "rtpp-flags") {
        return request.flag(part);
    }
    let list = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
    match list {
        Some(list) => {
            let list = list.split_ascii_whitespace().map(Value::from).collect();
            request.option(key, &list);
        }
        None => request.option(key, &Value::from(value)),
    }
}
