//! From a record to what a person wants to know of it, and what ties it to others.

mod diameter;
mod ng;
mod sip;

use std::net::IpAddr;

use base::Service;

use crate::record::Record;

/// What ties a message to a call or a subscriber.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// Call-ID of SIP, RFC 3261 §8.1.1.4, and `call-id` of NG, which is the same.
    CallId(String),
    /// The IMS charging identity of P-Charging-Vector, RFC 7315 §4.6.
    Icid(String),
    /// Session-Id of Diameter, RFC 6733 §8.8.
    SessionId(String),
    /// A private identity, TS 23.003 §13.3: a digest's user name, or User-Name of Cx.
    Impi(String),
    /// A public identity, TS 23.003 §13.4, as an address of record.
    Impu(String),
    /// The address of a phone.
    UeAddress(IpAddr),
}

/// One message, told in a few words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// The protocol.
    pub protocol: Service,
    /// What an arrow is called: `INVITE`, `180 Ringing (INVITE)`, `Cx UAR`, `Cx UAA 2001`, `NG offer`.
    pub title: String,
    /// A few key fields with their values, in the order of the message.
    pub detail: Vec<(&'static str, String)>,
    /// What ties it to others.
    pub keys: Vec<Key>,
    /// SIP method, abbreviation of the Diameter request, or NG command; of an answer that of its
    /// request, empty where the answer does not tell. Empty for what cannot be read.
    pub verb: String,
    /// Status code, result code, or 0 for an NG answer; `None` for a request.
    pub answer: Option<u32>,
    /// Whether an NG answer tells of a failure.
    pub(crate) failed: bool,
    /// What request and answer have in common beside their ends: Via branch and CSeq, Hop-by-Hop
    /// Identifier, or cookie.
    pub transaction: String,
    /// Via header fields of a SIP message.
    pub(crate) vias: usize,
    /// What a SIP request keeps where a border changes its Call-ID: From tag and CSeq.
    pub(crate) origin: Option<String>,
    /// Whether a border has sealed its Call-ID.
    pub(crate) sealed: bool,
    /// Whether it is of a dialog or subscription for registration state, or registers for somebody else.
    pub(crate) about: Option<About>,
}

/// What a SIP message says of a registration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum About {
    /// A REGISTER of the subscriber's own, or its answer: the address of record and the identities
    /// that come with it.
    Registration { aor: String, associated: Vec<String> },
    /// A third-party REGISTER, or a SUBSCRIBE to the event package `reg`.
    Of { aor: String },
}

impl Summary {
    pub(crate) fn new(protocol: Service, title: impl Into<String>) -> Summary {
        Summary {
            protocol,
            title: title.into(),
            detail: Vec::new(),
            keys: Vec::new(),
            verb: String::new(),
            answer: None,
            failed: false,
            transaction: String::new(),
            vias: 0,
            origin: None,
            sealed: false,
            about: None,
        }
    }

    /// Whether it is a request that could be read.
    pub fn is_request(&self) -> bool {
        self.answer.is_none() && !self.verb.is_empty()
    }

    /// Whether it is an answer that tells of a failure; a challenge is none.
    pub fn is_failure(&self) -> bool {
        match (self.protocol, self.answer) {
            (Service::Sip, Some(code)) => code >= 400 && !matches!(code, 401 | 407),
            (Service::Diameter, Some(code)) => code / 1000 != 2,
            (Service::Ng, Some(_)) => self.failed,
            _ => false,
        }
    }

    /// The title without what stands in parentheses.
    pub fn short_title(&self) -> &str {
        self.title.split(" (").next().unwrap_or(&self.title)
    }

    pub(crate) fn push_key(&mut self, key: Key) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    pub(crate) fn push_detail(&mut self, name: &'static str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.detail.push((name, plain(&value.into())));
        }
    }
}

/// What a record says. Bytes that are no message of their protocol get a title that says so.
pub fn dissect(record: &Record) -> Summary {
    let mut summary = match record.service {
        Service::Sip => sip::summary(&record.bytes),
        Service::Diameter => diameter::summary(&record.bytes),
        Service::Ng => ng::summary(&record.bytes),
        Service::Rtp => Summary::new(Service::Rtp, "RTP"),
        Service::Resp => Summary::new(Service::Resp, "RESP"),
        Service::Http => Summary::new(Service::Http, "HTTP"),
        Service::Cli => Summary::new(Service::Cli, "CLI"),
    };
    summary.title = plain(&summary.title);
    summary
}

/// The whole message as text for a person.
pub fn full_text(record: &Record) -> String {
    let shown = match record.service {
        Service::Sip => Some(String::from_utf8_lossy(&record.bytes).replace("\r\n", "\n")),
        Service::Diameter => diameter::full(&record.bytes),
        Service::Ng => ng::full(&record.bytes),
        Service::Rtp | Service::Resp | Service::Http | Service::Cli => None,
    };
    shown.unwrap_or_else(|| hex_dump(&record.bytes))
}

/// Control characters, which could move a terminal's cursor, become question marks.
pub fn plain(text: &str) -> String {
    // Characters that turn the direction of writing are as harmful as escape sequences.
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if harmful(c) { '?' } else { c }).collect()
}

/// The first line of what could not be read.
fn first_words(bytes: &[u8]) -> String {
    let line = bytes.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let text: String =
        String::from_utf8_lossy(&line[..line.len().min(160)]).chars().take(40).collect();
    plain(&text)
}

fn hex_dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (row, chunk) in bytes.chunks(16).enumerate() {
        let hex: Vec<String> = chunk.iter().map(|b| format!("{b:02x}")).collect();
        let text: String =
            chunk.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '.' }).collect();
        out.push_str(&format!("{:06x}  {:<47}  {text}\n", row * 16, hex.join(" ")));
    }
    out
}
