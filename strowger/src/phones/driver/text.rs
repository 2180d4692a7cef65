//! Texts: SIP MESSAGEs, and SMS over IP, whose status report may come later.

use super::{Driver, State, Timer};
use crate::phones::outcome::{MessageResult, advice};
use crate::phones::{Sms, Work};

impl Driver<'_> {
    /// The final response to a MESSAGE.
    pub(super) fn text_sent(&mut self, number: usize, status: u16, reason: String) {
        let Work::Message { to, .. } = &self.setup.work else { return };
        let to = to.get(number).cloned().unwrap_or_default();
        let ending = if status < 300 { String::new() } else { advice(status, &reason, &to) };
        self.say(number, &format!("text to {to}: {status} {reason}{ending}"));
        self.text_over(number, status, reason);
    }

    /// What the service centre says to a short message.
    pub(super) fn short_message_sent(&mut self, number: usize, refused: Option<String>) {
        let Work::Message { to, sms: Some(Sms { report, .. }), .. } = &self.setup.work else {
            return;
        };
        let to = to.get(number).cloned().unwrap_or_default();
        match (refused, report) {
            (Some(why), _) => {
                self.say(number, &format!("short message to {to}: {why}"));
                self.text_over(number, 480, why);
            }
            (None, Some(patience)) => {
                self.say(number, &format!("short message to {to}: the service centre has it"));
                self.after(*patience, number, Timer::NoReport);
            }
            (None, None) => {
                let reason = "the service centre has it".to_owned();
                self.say(number, &format!("short message to {to}: {reason}"));
                self.text_over(number, 202, reason);
            }
        }
    }

    /// The status report of a short message.
    pub(super) fn status_report(&mut self, number: usize, delivered: bool, status: &str) {
        self.say(number, &format!("status report: {status}"));
        self.text_over(number, if delivered { 200 } else { 480 }, status.to_owned());
    }

    /// The status report did not come.
    pub(super) fn no_report(&mut self, number: usize) {
        if self.phones[number].state == State::Working {
            let reason = "no status report came: the recipient may be away".to_owned();
            self.say(number, &reason);
            self.text_over(number, 480, reason);
        }
    }

    fn text_over(&mut self, number: usize, status: u16, reason: String) {
        let Work::Message { to, text, .. } = &self.setup.work else { return };
        let (to, text) = (to.get(number).cloned().unwrap_or_default(), text.clone());
        let from = self.phones[number].result.identity.clone();
        let result = MessageResult { outgoing: true, from, to, status, reason, text };
        self.outcome.messages.push(result);
        self.leave(number);
    }

    /// A text came.
    pub(super) fn text_came(&mut self, number: usize, from: String, text: String) {
        self.say(number, &format!("text from {from}: {text}"));
        let (to, reason) = (self.phones[number].result.identity.clone(), "OK".to_owned());
        let (outgoing, status) = (false, 200);
        let result = MessageResult { outgoing, from, to, status, reason, text };
        self.outcome.messages.push(result);
    }
}
