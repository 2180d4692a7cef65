//! Texts (RFC 3428) and questions (OPTIONS, RFC 3261 §11), both ways; INFO (RFC 6086).

use base::Instant;
use base::time::Duration;
use sip::{HeaderName, Message, Method, ServerId};

use crate::core::{ALLOW, Purpose, sender};
use crate::phone::Ue;
use crate::report::{CallId, What};

impl Ue {
    /// Sends a text.
    pub(crate) fn send_message(&mut self, now: Instant, to: &str, text: &str, token: u64) {
        let Some(uri) = self.core.target(to) else {
            let reason = "not a number or address".to_owned();
            return self.core.report(now, What::MessageResult { token, status: 416, reason });
        };
        let mut request = self.core.request(Method::Message, &uri, &uri);
        request.set_body("text/plain;charset=UTF-8", text.as_bytes().to_vec());
        let hop = self.core.first_hop(&request);
        self.core.send(now, Purpose::Message { token }, request, hop);
    }

    /// Asks what somebody can.
    pub(crate) fn send_options(&mut self, now: Instant, to: &str, token: u64) {
        let Some(uri) = self.core.target(to) else {
            let allow = String::new();
            return self.core.report(now, What::OptionsResult { token, status: 416, allow });
        };
        let mut request = self.core.request(Method::Options, &uri, &uri);
        request.push(HeaderName::Contact, self.core.contact());
        request.push(HeaderName::Accept, "application/sdp");
        let hop = self.core.first_hop(&request);
        self.core.send(now, Purpose::Options { token }, request, hop);
    }

    /// A text came.
    pub(crate) fn message_received(&mut self, now: Instant, server: ServerId, request: &Message) {
        if request.content_type() == sms::CONTENT_TYPE && !self.core.config.options.raw_sms {
            return self.rpdu_received(now, server, request);
        }
        let from = sender(request);
        let (content_type, body) = (request.content_type(), request.body().clone());
        self.core.reply(now, server, request, 200);
        self.core.report(now, What::MessageReceived { from, content_type, body });
    }

    /// Somebody asks what we can: as an INVITE would be answered, RFC 3261 §11.2.
    pub(crate) fn options_received(&mut self, now: Instant, server: ServerId, request: &Message) {
        let mut response = self.core.stack.answer(request, 200);
        response.push(HeaderName::Contact, self.core.contact());
        response.push(HeaderName::Allow, ALLOW);
        response.push(HeaderName::Accept, "application/sdp, text/plain");
        response.push(HeaderName::Supported, self.core.supported().join(", "));
        self.core.stack.respond(now, server, response);
    }

    /// INFO in a call: of old style 200, of a package 469, since we offer none (RFC 6086 §4.2.2).
    pub(crate) fn info_received(
        &mut self,
        now: Instant,
        server: ServerId,
        request: &Message,
        call: CallId,
    ) {
        if request.has(HeaderName::InfoPackage) {
            let mut response = self.core.stack.answer(request, 469);
            response.push(HeaderName::RecvInfo, "");
            return self.core.stack.respond(now, server, response);
        }
        self.core.reply(now, server, request, 200);
        if request.content_type() == "application/dtmf-relay"
            && let Some((digit, duration)) = relayed_digit(&String::from_utf8_lossy(request.body()))
        {
            self.core.report(now, What::DtmfReceived { call, digit, duration });
        }
    }
}

/// `Signal=5` and `Duration=160` of a body that many servers send, though no RFC describes it.
fn relayed_digit(body: &str) -> Option<(char, Duration)> {
    let value = |wanted: &str| {
        let pairs = body.lines().filter_map(|line| line.split_once('='));
        let mut of_name = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        of_name.next().map(|(_, value)| value.trim())
    };
    let digit = value("Signal")?.chars().next()?.to_ascii_uppercase();
    let millis = value("Duration").and_then(|d| d.parse().ok()).unwrap_or(0u32);
    let legal = digit.is_ascii_digit() || "*#ABCD".contains(digit);
    legal.then(|| (digit, Duration::from_millis(u64::from(millis))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relayed_digits_are_read() {
        let read = relayed_digit("Signal=5\r\nDuration=160\r\n");
        assert_eq!(read, Some(('5', Duration::from_millis(160))));
        assert_eq!(relayed_digit("signal = #").map(|d| d.0), Some('#'));
        assert_eq!(relayed_digit("Signal="), None);
        assert_eq!(relayed_digit("Signal=x"), None);
    }
}
