//! Secrets are overwritten with as many bytes before a record is shown, written or sent, so that
//! lengths, offsets and parsers stay right.
//!
//! | Where | Masked | Left |
//! |---|---|---|
//! | SIP authentication header fields | `ck`, `ik` (TS 24.229 §5.4.1.2); `response` and `rspauth` of a password's digest, from which the password can be guessed | nonces, AUTS; the response of AKA, whose secret is used once and never leaves the SIM |
//! | Diameter | what [`diameter::redact::secrets`] finds: CK, IK, XRES, H(A1) | RAND, AUTN |
//! | Descriptions in SIP and NG | keys of `a=crypto` (RFC 4568), `k=` (RFC 8866 §5.12), `a=key-mgmt` (RFC 4567), `a=ice-pwd` (RFC 8839) | `a=fingerprint` |

use core::ops::Range;

use base::redact::mask;
use base::{Bytes, Service};

use crate::record::Record;

/// Overwrites all secrets in the record's bytes; their length stays.
pub fn redact(record: &mut Record) {
    let secrets = secrets(record.service, &record.bytes);
    if secrets.is_empty() {
        return;
    }
    let mut bytes = record.bytes.to_vec();
    // In a text, white space is no part of a secret: a quote that nobody closed must not make the mask
    // swallow the end of its line.
    let text = record.service != Service::Diameter;
    for range in secrets {
        let kept = |byte: &u8| text && byte.is_ascii_whitespace();
        bytes[range].split_mut(kept).for_each(mask);
    }
    record.bytes = Bytes::from(bytes);
}

/// Where secrets stand in a message of this protocol, well formed or not.
pub fn secrets(service: Service, bytes: &[u8]) -> Vec<Range<usize>> {
    match service {
        Service::Sip => {
            let mut found = header_secrets(bytes);
            found.extend(description_secrets(bytes));
            found
        }
        Service::Diameter => diameter::redact::secrets(bytes),
        Service::Ng => description_secrets(bytes),
        Service::Rtp | Service::Resp | Service::Http | Service::Cli => Vec::new(),
    }
}

/// Header fields whose parameters are searched; none has a compact form.
const AUTHENTICATION: [&[u8]; 5] = [
    b"www-authenticate",
    b"proxy-authenticate",
    b"authorization",
    b"proxy-authorization",
    b"authentication-info",
];

/// Works on lines and not on the parsed message: what the parser refuses is shown too. The body is
/// looked into as well, for it may be a message or a part of one.
fn header_secrets(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let mut end = line_end(bytes, at);
        while matches!(bytes.get(end), Some(b' ' | b'\t')) {
            end = line_end(bytes, end);
        }
        if let Some(colon) = memchr::memchr(b':', &bytes[at..end]) {
            let name = bytes[at..at + colon].trim_ascii();
            if AUTHENTICATION.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                parameters(bytes, at + colon + 1..end, &mut found);
            }
        }
        at = end;
    }
    found
}

/// Behind the line feed that ends the line, or the end of all.
fn line_end(bytes: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |lf| at + lf + 1)
}

/// Walks over `name = value` pairs; a value is a quoted string or ends at a separator.
fn parameters(bytes: &[u8], range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let separator = |b: u8| matches!(b, b',' | b' ' | b'\t' | b'\r' | b'\n' | b'=');
    let mut always = Vec::new();
    let mut of_passwords = Vec::new();
    // Whether all that was said of the algorithm is AKA.
    let mut aka = None;
    let mut at = range.start;
    while at < range.end {
        if separator(bytes[at]) {
            at += 1;
            continue;
        }
        let name_end = (at..range.end).find(|i| separator(bytes[*i])).unwrap_or(range.end);
        let name = &bytes[at..name_end];
        let after = (name_end..range.end).find(|i| !bytes[*i].is_ascii_whitespace());
        let Some(equals) = after.filter(|i| bytes[*i] == b'=') else {
            at = name_end;
            continue;
        };
        let start = (equals + 1..range.end).find(|i| !bytes[*i].is_ascii_whitespace());
        let Some(start) = start else { break };
        let value = value_range(bytes, start, range.end);
        at = value.end.max(start) + usize::from(bytes[start] == b'"');
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        if is("ck") || is("ik") {
            always.push(value);
        } else if is("response") || is("rspauth") {
            of_passwords.push(value);
        } else if is("algorithm") {
            let is_aka = bytes[value].to_ascii_uppercase().starts_with(b"AKA");
            aka = Some(aka.unwrap_or(true) && is_aka);
        }
    }
    found.append(&mut always);
    if aka != Some(true) {
        found.append(&mut of_passwords);
    }
}

fn value_range(bytes: &[u8], start: usize, end: usize) -> Range<usize> {
    if bytes[start] != b'"' {
        let stop = |i: &usize| matches!(bytes[*i], b',' | b' ' | b'\t' | b'\r' | b'\n');
        return start..(start..end).find(stop).unwrap_or(end);
    }
    let mut at = start + 1;
    while at < end && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    start + 1..at.min(end)
}

/// Keys in session descriptions, as they stand in SIP, bencode and JSON (where a line ends with the
/// two characters `\r` or `\n`).
fn description_secrets(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for at in memchr::memchr_iter(b'=', bytes) {
        let (before, after) = (&bytes[..at], &bytes[at + 1..]);
        let end = at + 1 + description_line(after);
        let value = |name: &[u8]| {
            let starts =
                after.len() >= name.len() && after[..name.len()].eq_ignore_ascii_case(name);
            starts.then_some(at + 1 + name.len()..end.max(at + 1 + name.len()))
        };
        match before.last() {
            Some(b'a') => {
                if let Some(range) = value(b"crypto:") {
                    inline_keys(bytes, range, &mut found);
                } else if let Some(range) = value(b"ice-pwd:") {
                    found.push(range);
                } else if let Some(range) = value(b"key-mgmt:") {
                    found.push(behind_space(bytes, range));
                }
            }
            // `k=` only where a line begins: it is too short to be searched for anywhere.
            Some(b'k') if begins_line(&before[..before.len() - 1]) => {
                found.push(behind_colon(bytes, at + 1..end));
            }
            _ => {}
        }
    }
    found
}

fn begins_line(before: &[u8]) -> bool {
    before.last() == Some(&b'\n') || before.ends_with(b"\\n") || before.ends_with(b"\\r")
}

fn description_line(bytes: &[u8]) -> usize {
    let end = |i: usize| match bytes[i] {
        b'\r' | b'\n' | b'"' => true,
        b'\\' => matches!(bytes.get(i + 1), Some(b'r' | b'n' | b'"')),
        _ => false,
    };
    (0..bytes.len()).find(|i| end(*i)).unwrap_or(bytes.len())
}

/// RFC 4568 §6.1: `inline:<key||salt>[|lifetime][|MKI:length]`, several separated by semicolons.
fn inline_keys(bytes: &[u8], range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut at = range.start;
    while let Some(next) = memchr::memmem::find(&bytes[at..range.end], b"inline:") {
        let start = at + next + b"inline:".len();
        let stop = |i: &usize| matches!(bytes[*i], b'|' | b';' | b' ' | b'\t');
        let end = (start..range.end).find(stop).unwrap_or(range.end);
        found.push(start..end);
        at = end;
    }
}

fn behind_space(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let space = memchr::memchr(b' ', &bytes[range.clone()]);
    space.map_or(range.start, |i| range.start + i + 1)..range.end
}

fn behind_colon(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let colon = memchr::memchr(b':', &bytes[range.clone()]);
    colon.map_or(range.end, |i| range.start + i + 1)..range.end
}
