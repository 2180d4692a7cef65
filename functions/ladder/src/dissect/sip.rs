//! SIP: methods, status codes, and the identities of TS 24.229.

use base::{Bytes, Service};
use sip::header::{CSeq, ChargingVector, Credentials, NameAddr, Via};
use sip::{HeaderName, Message, Method, Uri};

use super::{About, Key, Summary, first_words};

/// Header fields that name public identities; the Request-URI does too.
const IDENTITIES: [HeaderName; 7] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::PAssertedIdentity,
    HeaderName::PPreferredIdentity,
    HeaderName::PServedUser,
    HeaderName::PCalledPartyId,
    HeaderName::PAssociatedUri,
];

pub(super) fn summary(bytes: &Bytes) -> Summary {
    if bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
        return Summary::new(Service::Sip, "keep-alive");
    }
    if sip::stun::is_stun(bytes) {
        return Summary::new(Service::Sip, "keep-alive (STUN)");
    }
    let Ok(message) = Message::parse(bytes.clone()) else {
        return Summary::new(Service::Sip, format!("malformed SIP: {}", first_words(bytes)));
    };
    let cseq = message.get(HeaderName::CSeq).and_then(CSeq::parse);
    let method = message.method().cloned().or_else(|| cseq.as_ref().map(|c| c.method.clone()));
    let verb = method.as_ref().map(Method::to_string).unwrap_or_default();
    let title = match message.method() {
        Some(_) => verb.clone(),
        None if verb.is_empty() => format!("{} {}", message.status(), message.reason()),
        None => format!("{} {} ({verb})", message.status(), message.reason()),
    };
    let mut out = Summary::new(Service::Sip, title);
    out.answer = (!message.is_request()).then(|| u32::from(message.status()));
    out.vias = message.list(HeaderName::Via).count();
    let branch =
        message.list(HeaderName::Via).next().and_then(Via::parse).map(|v| v.branch().to_owned());
    let number = cseq.as_ref().map_or(0, |c| c.number);
    let from = message.get(HeaderName::From).and_then(NameAddr::parse);
    let tag = from.and_then(|from| from.tag()).filter(|_| message.is_request());
    out.origin = tag.map(|tag| format!("{tag} {number} {verb}"));
    out.sealed = message.get(HeaderName::CallId).is_some_and(|id| id.starts_with(SEALED));
    out.transaction = format!("{} {number} {verb}", branch.unwrap_or_default());
    out.verb = verb;
    details(&message, &mut out);
    keys(&message, &mut out);
    out.about = about(&message, method.as_ref());
    out
}

/// How a Call-ID begins that our border has sealed, TS 24.229 §5.10.4.
const SEALED: &str = "thig.";

fn details(message: &Message, out: &mut Summary) {
    if message.is_request() {
        out.push_detail("uri", Some(message.uri()));
    }
    for (name, header) in [("from", HeaderName::From), ("to", HeaderName::To)] {
        out.push_detail(name, aor_of(message, header));
    }
    for (name, header) in [
        ("Call-ID", HeaderName::CallId),
        ("CSeq", HeaderName::CSeq),
        ("Event", HeaderName::Event),
        ("Expires", HeaderName::Expires),
        ("Reason", HeaderName::Reason),
        ("Retry-After", HeaderName::RetryAfter),
        ("Warning", HeaderName::Warning),
    ] {
        out.push_detail(name, message.get(header));
    }
    if !message.body().is_empty() {
        out.push_detail("body", Some(message.content_type()));
    }
}

fn keys(message: &Message, out: &mut Summary) {
    if let Some(id) = message.get(HeaderName::CallId).filter(|id| !id.is_empty()) {
        out.push_key(Key::CallId(id.to_owned()));
    }
    let vector = message.get(HeaderName::PChargingVector).and_then(ChargingVector::parse);
    if let Some(icid) = vector.map(|v| v.icid()).filter(|icid| !icid.is_empty()) {
        out.push_key(Key::Icid(icid));
    }
    for header in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        for credentials in message.lines(header).filter_map(Credentials::parse) {
            if !credentials.username.is_empty() {
                out.push_key(Key::Impi(credentials.username.into_owned()));
            }
        }
    }
    let uri = message.is_request().then(|| message.uri());
    let others = IDENTITIES.iter().flat_map(|name| message.list(*name));
    let uris = others.filter_map(NameAddr::parse).map(|a| a.uri);
    for identity in uri.into_iter().chain(uris).filter_map(public_identity) {
        out.push_key(Key::Impu(identity));
    }
    // Only the phone's own message tells its address: others have passed a proxy, which may have hidden that.
    if message.is_request() && out.vias == 1 && !message.has(HeaderName::RecordRoute) {
        let contact = message.list(HeaderName::Contact).next().and_then(NameAddr::parse);
        let host = contact.and_then(|c| c.parsed_uri()).and_then(Uri::sip).map(|uri| uri.host);
        if let Some(ip) = host.and_then(|h| h.trim_matches(['[', ']']).parse().ok()) {
            out.push_key(Key::UeAddress(ip));
        }
    }
}

fn about(message: &Message, method: Option<&Method>) -> Option<About> {
    let aor = aor_of(message, HeaderName::To)?;
    match method? {
        Method::Register if aor_of(message, HeaderName::From).as_ref() == Some(&aor) => {
            let associated = message
                .list(HeaderName::PAssociatedUri)
                .filter_map(|element| public_identity(NameAddr::parse(element)?.uri))
                .collect();
            Some(About::Registration { aor, associated })
        }
        Method::Register => Some(About::Of { aor }),
        Method::Subscribe => {
            let event = message.get(HeaderName::Event).and_then(|e| e.split(';').next());
            event.is_some_and(|e| e.trim().eq_ignore_ascii_case("reg")).then_some(About::Of { aor })
        }
        _ => None,
    }
}

fn aor_of(message: &Message, header: HeaderName) -> Option<String> {
    NameAddr::parse(message.get(header)?)?.parsed_uri().map(|uri| uri.aor())
}

/// The address of record, if the URI names a subscriber: not a host, not a contact, not nobody.
fn public_identity(uri: &str) -> Option<String> {
    let parsed = Uri::parse(uri)?;
    let is_identity = match parsed {
        Uri::Sip(sip) => {
            let host = sip.host.trim_matches(['[', ']']);
            let nobody = host.to_ascii_lowercase().ends_with(".invalid");
            sip.user.is_some() && host.parse::<std::net::IpAddr>().is_err() && !nobody
        }
        Uri::Tel(_) => true,
        Uri::Other(_) => false,
    };
    is_identity.then(|| parsed.aor())
}
