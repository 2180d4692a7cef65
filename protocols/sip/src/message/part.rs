//! What a body has of one media type: the body itself, or a part of it, RFC 5621 §3.1. A phone that calls for help
//! sends its place beside its SDP (RFC 6442 §4.2), in `multipart/mixed` of RFC 2046 §5.1.

use core::ops::Range;

use base::Bytes;
use memchr::memmem;

use super::Message;
use crate::header::HeaderName;
use crate::lex::{self, Params, unquote};

/// Parts that are looked at.
const MAX_PARTS: usize = 32;

/// Where a part of a body is.
struct Part {
    head: Range<usize>,
    content: Range<usize>,
}

impl Message {
    /// The content of this media type, lower case: the body, or the first such part of a `multipart/mixed` one. None
    /// that is empty, or encoded (RFC 2045 §6.1).
    pub fn part(&self, media_type: &str) -> Option<Bytes> {
        let content = match self.find_part(media_type)? {
            Some(part) => self.body().slice(part.content),
            None => self.body().clone(),
        };
        Some(content).filter(|content| !content.is_empty())
    }

    /// Replaces what [`Message::part`] finds; all else of the body stays as it is.
    pub fn set_part(&mut self, media_type: &str, content: impl Into<Bytes>) {
        let content = content.into();
        let Some(found) = self.find_part(media_type) else { return };
        let content_type = self.get(HeaderName::ContentType).unwrap_or("").to_owned();
        let Some(Part { head, content: old }) = found else {
            return self.set_body(&content_type, content);
        };
        let body = self.body();
        let mut new = body[..head.start].to_vec();
        for line in body[head.clone()].split_inclusive(|byte| *byte == b'\n') {
            // MIME has no such header field, but some phones write it.
            match field(line) {
                Some((name, _)) if name.eq_ignore_ascii_case("content-length") => {
                    new.extend(format!("{name}: {}\r\n", content.len()).bytes());
                }
                _ => new.extend(line),
            }
        }
        new.extend(&body[head.end..old.start]);
        new.extend(&content);
        new.extend(&body[old.end..]);
        self.set_body(&content_type, new);
    }

    /// The part of this type, or `Some(None)` if it is the whole body.
    fn find_part(&self, media_type: &str) -> Option<Option<Part>> {
        if self.is_of_type(media_type) {
            return Some(None);
        }
        if !self.is_of_type("multipart/mixed") {
            return None;
        }
        let value = self.get(HeaderName::ContentType)?;
        let params = Params::new(lex::find(value, b';').map_or("", |at| &value[at..]));
        let boundary = params.get("boundary").map(unquote).filter(|text| !text.is_empty())?;
        let body = self.body();
        let is = |part: &Part| is_of_type(&body[part.head.clone()], media_type);
        parts(body, &boundary).into_iter().find(is).map(Some)
    }
}

/// The parts between the lines that begin with two dashes and the boundary.
fn parts(body: &[u8], boundary: &str) -> Vec<Part> {
    let delimiter = format!("--{boundary}");
    let begins = |at: &usize| *at == 0 || body[at - 1] == b'\n';
    let mut lines: Vec<(usize, usize)> = Vec::new();
    for at in memmem::find_iter(body, delimiter.as_bytes()).filter(begins) {
        let rest = &body[at + delimiter.len()..];
        let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let last = match rest[..end].trim_ascii() {
            b"" => false,
            b"--" => true,
            // Another boundary that begins like this one.
            _ => continue,
        };
        lines.push((at, at + delimiter.len() + end));
        if last || lines.len() > MAX_PARTS {
            break;
        }
    }
    let between = lines.windows(2).filter_map(|pair| part(body, pair[0].1, pair[1].0));
    between.collect()
}

/// A part from the end of its delimiter to the beginning of the next one, whose line end is not the part's.
fn part(body: &[u8], from: usize, to: usize) -> Option<Part> {
    let text = body.get(from..to)?;
    let text = text.strip_suffix(b"\n")?;
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let mut head = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let end = head + line.len();
        if matches!(line, b"\r\n" | b"\n") {
            return Some(Part { head: from..from + head, content: from + end..from + text.len() });
        }
        head = end;
    }
    None
}

/// Whether the header fields of a part say that it is of this type, and as it is.
fn is_of_type(head: &[u8], media_type: &str) -> bool {
    let fields = || head.split(|byte| *byte == b'\n').filter_map(field);
    let get = |wanted: &str| {
        fields().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    let encoding = get("content-transfer-encoding").unwrap_or("binary");
    let plain = ["7bit", "8bit", "binary"].iter().any(|plain| encoding.eq_ignore_ascii_case(plain));
    let kind = get("content-type").or(get("c")).and_then(|value| value.split(';').next());
    plain && kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case(media_type))
}

fn field(line: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = core::str::from_utf8(line).ok()?.split_once(':')?;
    Some((name.trim(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::method::Method;

    const SDP: &str = "application/sdp";

    fn message(content_type: &str, body: &str) -> Message {
        Message::request(Method::Invite, "urn:service:sos").with_body(content_type, body.to_owned())
    }

    fn text(message: &Message) -> String {
        String::from_utf8(message.body().to_vec()).expect("text")
    }

    #[test]
    fn a_body_of_one_type_is_its_own_part() {
        let mut one = message("Application/SDP;charset=utf-8", "v=0\r\n");
        assert_eq!(one.part(SDP).as_deref(), Some(&b"v=0\r\n"[..]));
        one.set_part(SDP, "v=1\r\n");
        assert_eq!(text(&one), "v=1\r\n");
        assert_eq!(one.get(HeaderName::ContentType), Some("Application/SDP;charset=utf-8"));
        assert_eq!(one.part("text/plain"), None);
        assert_eq!(message(SDP, "").part(SDP), None);
        one.set_part("text/plain", "x");
        assert_eq!(text(&one), "v=1\r\n");
    }

    #[test]
    fn of_several_parts_one_is_replaced_and_the_others_stay() {
        let place = "Content-Type: application/pidf+xml\r\nContent-ID: <a@b>\r\n\r\n<presence/>";
        for (boundary, length) in [("x", ""), ("\"x\"", "Content-Length: 5\r\n")] {
            let body = |sdp: &str, length: &str| {
                let sdp = format!("{length}content-type: application/sdp\r\n\r\n{sdp}");
                format!("for others\r\n--x\r\n{place}\r\n--x \r\n{sdp}\r\n--xy\r\n--x--\r\nend")
            };
            let kind = format!("multipart/mixed;boundary={boundary}");
            let mut call = message(&kind, &body("v=0\r\n", length));
            // The line end before a delimiter is the delimiter's; one that only begins like it is none.
            let ours = b"v=0\r\n\r\n--xy";
            assert_eq!(call.part(SDP).as_deref(), Some(&ours[..]));
            call.set_part(SDP, "v=0\r\ns=-\r\n\r\n--xy");
            let length = length.replace('5', "16");
            assert_eq!(text(&call), body("v=0\r\ns=-\r\n", &length));
            assert_eq!(call.part("application/pidf+xml").as_deref(), Some(&b"<presence/>"[..]));
        }
    }

    #[test]
    fn what_cannot_be_told_apart_has_no_parts() {
        let whole = "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n";
        let kind = "multipart/mixed;boundary=x";
        assert_eq!(message(kind, whole).part(SDP).as_deref(), Some(&b"v=0"[..]));
        for (kind, body) in [
            ("multipart/mixed", whole),
            ("multipart/mixed;boundary=\"\"", whole),
            ("multipart/mixed;boundary=y", whole),
            ("multipart/related;boundary=x", whole),
            (kind, "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"),
            (kind, "--x\r\nContent-Type: application/sdp\r\n--x--\r\n"),
            (kind, "--x\r\nContent-Type: application/sdp\r\n\r\n\r\n--x--\r\n"),
            (kind, "--x\r\n\r\nv=0\r\n--x--\r\n"),
            (kind, "a--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n"),
            (kind, "--x--\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n"),
            (
                kind,
                "--x\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\ndj0w\r\n--x--",
            ),
        ] {
            assert_eq!(message(kind, body).part(SDP), None, "{kind} {body}");
        }
    }
}
