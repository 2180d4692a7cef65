//! What arrives: RFC 3261 §18.1.2, §18.2.1, §16.3.

use base::{Bytes, Endpoint, Flow, Instant, Severity, Transport};

use super::server::{ServerKey, method_of};
use super::{Admission, Event, ServerId, Stack};
use crate::framing::{PING, PONG};
use crate::header::{CSeq, HeaderName, NameAddr, Seen, Via};
use crate::message::{Message, ParseError};
use crate::method::Method;
use crate::stun;
use crate::uri::Uri;

impl Stack {
    /// Takes one whole message.
    pub fn received(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        self.received_if(now, flow, bytes, |_| Admission::Taken);
    }

    /// The same, but `admit` is asked before anything is kept, said or logged for the message: about a
    /// request that would begin a transaction, and with `None` about what has no meaning here. It is not
    /// asked about what belongs to a transaction, nor about ACK.
    pub fn received_if(
        &mut self,
        now: Instant,
        flow: Flow,
        bytes: Bytes,
        admit: impl FnOnce(Option<&Message>) -> Admission,
    ) {
        if flow.transport == Transport::Udp && stun::is_stun(&bytes) {
            // RFC 5626 §5.4: on every UDP port.
            let answer = flow.remote.socket_addr().and_then(|from| stun::answer(&bytes, from));
            answer.into_iter().for_each(|answer| self.transmit(flow, answer));
            return;
        }
        match Message::parse(bytes.clone()) {
            Ok(message) => {
                self.remember(flow, None);
                if message.is_request() {
                    self.received_request(now, flow, message, admit);
                } else {
                    self.received_response(now, flow, message, admit);
                }
            }
            Err(ParseError::Empty) => {
                // RFC 5626 §3.5.1; over UDP blank lines are overlooked.
                if flow.transport.is_connection() && bytes == PING {
                    self.transmit(flow, Bytes::from_static(PONG));
                }
            }
            Err(error) if admit(None) == Admission::Taken => {
                self.malformed(now, flow, bytes, error)
            }
            Err(_) => {}
        }
    }

    fn received_response(
        &mut self,
        now: Instant,
        flow: Flow,
        message: Message,
        admit: impl FnOnce(Option<&Message>) -> Admission,
    ) {
        let via = message.list(HeaderName::Via).next().and_then(Via::parse);
        match via.map(|via| via.branch().to_owned()) {
            Some(branch) => self.client_response(now, &branch, flow, message),
            None if admit(None) == Admission::Taken => {
                let text = format!("response without a readable Via from {}", flow.remote);
                self.log(Severity::Warning, "sip.malformed", text);
            }
            None => {}
        }
    }

    fn received_request(
        &mut self,
        now: Instant,
        flow: Flow,
        mut request: Message,
        admit: impl FnOnce(Option<&Message>) -> Admission,
    ) {
        let via = request.list(HeaderName::Via).next().and_then(Via::parse);
        let key = via.as_ref().and_then(|via| self.keys.of(&request, via, method_of(&request)?));
        let defect = defect(&request).or(if key.is_none() { Some("Bad Via") } else { None });
        let (via, key) = match (via, key, defect) {
            (Some(via), Some(key), None) => (via, key),
            (_, _, defect) => {
                if admit(None) == Admission::Taken {
                    self.refuse(now, flow, &request, 400, defect.unwrap_or("Bad Via"));
                }
                return;
            }
        };
        let (reply, noted) = note_source(&via, flow);
        let cancel = request.method() == Some(&Method::Cancel);
        let invite = || self.by_key.get(&self.keys.of(&request, &via, &Method::Invite)?).copied();
        let invite = if cancel { invite() } else { None };
        if let Some(noted) = noted {
            request.set_element(HeaderName::Via, &noted);
        }
        if let Some(slot) = self.by_key.get(&key) {
            return self.server_again(now, *slot, request, flow, reply);
        }
        let known = request.method() == Some(&Method::Ack) || invite.is_some();
        match if known { Admission::Taken } else { admit(Some(&request)) } {
            Admission::Taken => {}
            Admission::Dropped => return,
            Admission::Refused => {
                return self.answer_once(now, flow, &request, 503, "Service Unavailable");
            }
        }
        match request.method() {
            // Of an INVITE that was answered statelessly, RFC 3261 §8.2.7.
            Some(Method::Ack) if request.to_tag() == Some(&self.tag_once(&key)) => {}
            Some(Method::Ack) => self.events.push_back(Event::Ack { request, flow }),
            Some(Method::Cancel) => {
                self.received_cancel(now, key, invite.map(ServerId), reply, request);
            }
            _ if self.is_shed(&request, &flow) => {
                self.answer_once(now, flow, &request, 503, "Service Unavailable");
            }
            _ if self.is_full_for(&request) => {
                self.refuse(now, flow, &request, 503, "Service Unavailable");
            }
            method => {
                let server =
                    ServerId(self.new_server(key, method.unwrap_or(&Method::Options), reply));
                self.events.push_back(Event::Request { server, request, flow });
            }
        }
    }

    /// Whether there is no room for one more request of this kind.
    fn is_full_for(&self, request: &Message) -> bool {
        let beyond = self.unanswered().checked_sub(self.config.max_transactions);
        let urgent = self.config.urgent.as_ref();
        beyond.is_some_and(|beyond| {
            urgent.is_none_or(|urgent| beyond >= urgent.reserve || !(urgent.is)(request))
        })
    }

    /// RFC 3261 §9.2: 200 if there is such an INVITE, else 481.
    fn received_cancel(
        &mut self,
        now: Instant,
        key: ServerKey,
        invite: Option<ServerId>,
        reply: Flow,
        request: Message,
    ) {
        let server = ServerId(self.new_server(key, &Method::Cancel, reply));
        let status = if invite.is_some() { 200 } else { 481 };
        let mut response = Message::answer(&request, status);
        response.tag_to(&self.random.token::<4>());
        self.respond(now, server, response);
        if let Some(server) = invite.filter(|server| self.is_unanswered(*server)) {
            self.events.push_back(Event::Cancel { server, request });
        }
    }

    /// Bytes that are no message. What is recognisably a request still gets its answer.
    fn malformed(&mut self, now: Instant, flow: Flow, bytes: Bytes, error: ParseError) {
        let salvaged = match error {
            ParseError::ContentLength | ParseError::Version => Message::salvage(bytes),
            _ => None,
        };
        match salvaged {
            Some(request) if error == ParseError::Version => {
                self.refuse(now, flow, &request, 505, "Version Not Supported");
            }
            Some(request) => self.refuse(now, flow, &request, 400, "Bad Content-Length"),
            None => {
                let text = format!("no SIP message from {}: {error}", flow.remote);
                self.log(Severity::Warning, "sip.malformed", text);
            }
        }
    }

    /// Answers statelessly, and says so.
    fn refuse(&mut self, now: Instant, flow: Flow, request: &Message, status: u16, reason: &str) {
        let text = format!("{status} {reason} to a request from {}", flow.remote);
        self.log_of(request, Severity::Warning, "sip.refused", text);
        self.answer_once(now, flow, request, status, reason);
    }

    /// Answers statelessly; never an ACK.
    fn answer_once(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Message,
        status: u16,
        reason: &str,
    ) {
        if request.method() == Some(&Method::Ack) || !request.has(HeaderName::Via) {
            return;
        }
        let mut response = Message::answer(request, status);
        response.set_reason(reason);
        let via = request.list(HeaderName::Via).next().and_then(Via::parse);
        let key = via.and_then(|via| self.keys.of(request, &via, method_of(request)?));
        let tag = key.map(|key| self.tag_once(&key));
        response.tag_to(&tag.unwrap_or_else(|| self.random.token::<4>()));
        if status == 503 && !Stack::is_reduced(request) {
            response.push(HeaderName::RetryAfter, "10");
        }
        self.announce(now, Some(&flow), &mut response);
        self.transmit(flow, response.to_bytes());
    }
}

/// What makes a request unanswerable or meaningless, RFC 3261 §8.1.1 and §16.3.
fn defect(request: &Message) -> Option<&'static str> {
    let cseq = request.get(HeaderName::CSeq).and_then(CSeq::parse);
    let address = |name| request.get(name).and_then(NameAddr::parse).is_some();
    let once = |name| request.lines(name).take(2).count() < 2;
    match cseq {
        None => return Some("Bad CSeq"),
        Some(cseq) if Some(&cseq.method) != request.method() => {
            return Some("CSeq Method Mismatch");
        }
        Some(_) => {}
    }
    if !address(HeaderName::From) || !once(HeaderName::From) {
        return Some("Bad From");
    }
    if !address(HeaderName::To) || !once(HeaderName::To) {
        return Some("Bad To");
    }
    if request.get(HeaderName::CallId).is_none_or(str::is_empty) || !once(HeaderName::CallId) {
        return Some("Bad Call-ID");
    }
    (!is_request_uri(request.uri())).then_some("Bad Request-URI")
}

/// Whether a URI may be a Request-URI: of any scheme, but well-formed if we know the scheme, and
/// without header fields (RFC 3261 §19.1.1).
fn is_request_uri(text: &str) -> bool {
    let known = || {
        ["sip:", "sips:", "tel:"].iter().any(|scheme| {
            text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
    };
    let one_word = !text.is_empty() && memchr::memchr3(b' ', b'<', b'>', text.as_bytes()).is_none();
    one_word
        && match Uri::parse(text) {
            Some(Uri::Sip(uri)) => uri.headers.is_none(),
            Some(_) => true,
            None => !known(),
        }
}

/// Where responses go, and the top Via with the source noted in it, unless it stays as it is.
fn note_source(via: &Via<'_>, flow: Flow) -> (Flow, Option<String>) {
    let Endpoint::Ip(source) = flow.remote else { return (flow, None) };
    let Seen { asks, element } = via.seen_from(source);
    if flow.transport != Transport::Udp || asks {
        return (flow, element);
    }
    let port = via.port.unwrap_or(5060);
    (flow.to(Endpoint::Ip((source.ip(), port).into())), element)
}
