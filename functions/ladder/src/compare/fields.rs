//! The parts of a message, each with how it is compared.

use std::fmt;

use base::{Bytes, Service};
use diameter::dictionary::{
    self, CONFIDENTIALITY_KEY, DIGEST_HA1, HOST_IP_ADDRESS, INTEGRITY_KEY, Kind, ORIGIN_STATE_ID,
    SESSION_ID, SIP_AUTHENTICATE, SIP_AUTHORIZATION,
};
use diameter::{Avp, Avps};
use ng::{Dict, Value as NgValue};
use sip::header::Via;
use sip::{HeaderName, lex};

use super::words::Mapping;
use crate::record::Record;

/// Groups are looked into this deep.
const DEPTH: usize = 8;

/// One part of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// Words, of which names, addresses and tokens may differ.
    Text(String),
    /// One random token.
    Token(String),
    /// A host or address.
    Place(String),
    /// Random octets: only their number counts.
    Random(usize),
    /// Nothing of it counts but that it is there.
    Any,
    /// All of it counts.
    Exact(String),
}

impl Value {
    pub(super) fn same(&self, other: &Value, mapping: &mut Mapping) -> bool {
        match (self, other) {
            (Value::Text(a), Value::Text(b)) => mapping.same_text(a, b),
            (Value::Token(a), Value::Token(b)) => mapping.maps(a, b),
            (Value::Place(a), Value::Place(b)) => mapping.same_place(a, b),
            (Value::Random(a), Value::Random(b)) => a == b,
            (Value::Any, Value::Any) => true,
            (Value::Exact(a), Value::Exact(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) | Value::Token(text) | Value::Place(text) | Value::Exact(text) => {
                f.write_str(text)
            }
            Value::Random(length) => write!(f, "{length} random octets"),
            Value::Any => f.write_str("anything"),
        }
    }
}

/// The parts of a message. What only tells its transport is left out unless both travelled alike.
pub(super) fn of(record: &Record, same_transport: bool) -> Vec<Field> {
    let mut out = Vec::new();
    let readable = match record.service {
        Service::Sip => of_sip(&record.bytes, same_transport, &mut out),
        Service::Diameter => of_diameter(&record.bytes, &mut out),
        Service::Ng => of_ng(&record.bytes, &mut out),
        Service::Rtp | Service::Resp | Service::Http | Service::Cli => None,
    };
    if readable.is_none() {
        push(&mut out, "bytes", Value::Exact(format!("{:?}", record.bytes)));
    }
    out
}

fn push(out: &mut Vec<Field>, name: impl Into<String>, value: Value) {
    out.push(Field { name: name.into(), value });
}

fn of_sip(bytes: &Bytes, same_transport: bool, out: &mut Vec<Field>) -> Option<()> {
    let message = sip::Message::parse(bytes.clone()).ok()?;
    let travels =
        |text: &str| if same_transport { text.to_owned() } else { without_transport(text) };
    match message.method() {
        Some(method) => {
            push(out, "method", Value::Exact(method.to_string()));
            push(out, "Request-URI", Value::Text(travels(message.uri())));
        }
        None => push(out, "status", Value::Exact(message.status().to_string())),
    }
    for via in message.list(HeaderName::Via).filter_map(Via::parse) {
        push(out, "Via branch", Value::Token(via.branch().to_owned()));
    }
    for (name, value) in message.headers() {
        let field = format!("header {}", name.as_str());
        match name {
            HeaderName::Via => {}
            HeaderName::ContentLength | HeaderName::Date | HeaderName::Timestamp => {
                push(out, field, Value::Any);
            }
            HeaderName::CallId
            | HeaderName::SessionId
            | HeaderName::InReplyTo
            | HeaderName::RSeq
            | HeaderName::SipEtag
            | HeaderName::SipIfMatch => push(out, field, Value::Token(value.to_owned())),
            HeaderName::CSeq | HeaderName::RAck => {
                for (at, word) in value.split_ascii_whitespace().enumerate() {
                    let number = word.bytes().all(|b| b.is_ascii_digit());
                    let word = if at == 0 && number && name == HeaderName::RAck {
                        Value::Token(word.to_owned())
                    } else {
                        Value::Exact(word.to_owned())
                    };
                    push(out, field.clone(), word);
                }
            }
            _ => {
                for element in lex::elements(value) {
                    push(out, field.clone(), Value::Text(travels(element)));
                }
            }
        }
    }
    of_body(message.body(), &message.content_type(), "body", out);
    Some(())
}

/// Without `;transport=…`.
fn without_transport(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let Some(at) = lower.find(";transport=") else { return text.to_owned() };
    let rest = &text[at + 1..];
    let end = rest.find([';', '>', ',', '?']).unwrap_or(rest.len());
    format!("{}{}", &text[..at], &rest[end..])
}

fn of_body(body: &[u8], kind: &str, name: &str, out: &mut Vec<Field>) {
    let Ok(text) = std::str::from_utf8(body) else {
        return push(out, name, Value::Random(body.len()));
    };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let prefix = line.split(['=', ':']).next().unwrap_or(line);
        match line.get(..2) {
            Some("o=") if kind == "application/sdp" => of_origin(line, name, out),
            Some("m=") if kind == "application/sdp" => {
                let port = line.split(' ').nth(1).unwrap_or("");
                // Port zero refuses a stream; others are of no interest.
                let closed = port == "0";
                let rest: Vec<&str> = line.split(' ').filter(|word| *word != port).collect();
                push(out, format!("{name} m="), Value::Text(rest.join(" ")));
                push(out, format!("{name} refused"), Value::Exact(closed.to_string()));
            }
            Some("a=") if line.starts_with("a=rtcp:") || line.starts_with("a=ssrc:") => {
                push(out, format!("{name} {line:.6}"), Value::Any);
            }
            Some("a=") if line.starts_with("a=crypto:") => {
                let suite: Vec<&str> = line.split(' ').take(2).collect();
                push(out, format!("{name} a=crypto"), Value::Exact(suite.join(" ")));
            }
            _ if kind == "application/sdp" => {
                push(out, format!("{name} {prefix}="), Value::Text(line.to_owned()));
            }
            _ => push(out, name, Value::Text(line.trim().to_owned())),
        }
    }
}

/// `o=`: user name, session id, version, network, family, address.
fn of_origin(line: &str, name: &str, out: &mut Vec<Field>) {
    for (at, word) in line[2..].split(' ').enumerate() {
        let value = match at {
            1 | 2 => Value::Any,
            5 => Value::Place(word.to_owned()),
            _ => Value::Exact(word.to_owned()),
        };
        push(out, format!("{name} o="), value);
    }
}

fn of_diameter(bytes: &Bytes, out: &mut Vec<Field>) -> Option<()> {
    let message = diameter::Message::parse(bytes.clone()).ok()?;
    let header = message.header();
    push(out, "flags", Value::Exact(header.flags.to_string()));
    push(out, "command", Value::Exact(format!("{} of {}", header.command, header.application)));
    of_avps(message.avps(), "", DEPTH, out);
    Some(())
}

fn of_avps(avps: Avps<'_>, path: &str, depth: usize, out: &mut Vec<Field>) {
    for avp in avps {
        let entry = dictionary::avp(avp.vendor, avp.code);
        let name =
            entry.map_or_else(|| format!("AVP {}/{}", avp.vendor, avp.code), |e| e.name.to_owned());
        let name = format!("{path}{name}");
        match entry.map(|e| e.kind) {
            Some(Kind::Grouped) if depth > 0 => {
                push(out, name.clone(), Value::Any);
                of_avps(avp.members(), &format!("{name} > "), depth - 1, out);
            }
            _ => push(out, name, of_avp(&avp)),
        }
    }
}

fn of_avp(avp: &Avp<'_>) -> Value {
    let random =
        [SIP_AUTHENTICATE, SIP_AUTHORIZATION, CONFIDENTIALITY_KEY, INTEGRITY_KEY, DIGEST_HA1];
    if random.iter().any(|key| avp.is(*key)) {
        return Value::Random(avp.data.len());
    }
    if avp.is(ORIGIN_STATE_ID) {
        return Value::Any;
    }
    if avp.is(HOST_IP_ADDRESS) {
        return avp.address().map_or(Value::Any, |ip| Value::Place(ip.to_string()));
    }
    match avp.utf8() {
        Ok(text) if avp.is(SESSION_ID) => Value::Token(text.to_owned()),
        Ok(text) if !text.chars().any(char::is_control) => Value::Text(text.to_owned()),
        _ => Value::Exact(avp.data.iter().map(|b| format!("{b:02x}")).collect()),
    }
}

fn of_ng(bytes: &Bytes, out: &mut Vec<Field>) -> Option<()> {
    let message = ng::Message::parse(bytes).ok()?;
    let answer = message.dict.text("command").is_none();
    of_dict(&message.dict, "", answer, out);
    Some(())
}

fn of_dict(dict: &Dict, path: &str, answer: bool, out: &mut Vec<Field>) {
    for (name, value) in dict.iter() {
        of_value(name, value, path, answer, out);
    }
}

fn of_value(name: &str, value: &NgValue, path: &str, answer: bool, out: &mut Vec<Field>) {
    let field = format!("{path}{name}");
    match value {
        // Counters and times of a relay's answer.
        NgValue::Int(_) if answer => push(out, field, Value::Any),
        NgValue::Int(int) => push(out, field, Value::Exact(int.to_string())),
        NgValue::Text(text) if name == "sdp" => of_body(text, "application/sdp", &field, out),
        NgValue::Text(text) => match std::str::from_utf8(text) {
            Ok(text) if ["call-id", "from-tag", "to-tag", "via-branch"].contains(&name) => {
                push(out, field, Value::Token(text.to_owned()));
            }
            Ok(text) => push(out, field, Value::Text(text.to_owned())),
            Err(_) => push(out, field, Value::Random(text.len())),
        },
        NgValue::List(list) => {
            list.iter().for_each(|member| of_value(name, member, path, answer, out));
        }
        NgValue::Dict(dict) => {
            // The relay's answers have tags and SSRCs as keys.
            let path = if answer { format!("{path}* > ") } else { format!("{field} > ") };
            of_dict(dict, &path, answer, out);
        }
    }
}
