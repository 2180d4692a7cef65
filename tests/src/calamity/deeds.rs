//! What people do, and what their phones tell them.

use engine::sim::HostId;
use strowger::plan::SERVICE_CENTRE;
use ue::{By, CallId, UeOrder, UeReport, What};

use super::world::{FAR_NUMBER, Known, Standing, World};
use crate::network::Phone;

impl World {
    /// Somebody does something.
    pub(super) fn deed(&mut self) {
        let one = self.anybody();
        let other = self.anybody();
        match self.below(24) {
            0..=5 => self.call(one, other.tel(), false),
            6 => self.call(one, "112".to_owned(), false),
            7 => self.call(one, FAR_NUMBER.to_owned(), false),
            8 => self.call(self.trunk, other.tel(), false),
            9 => self.call(self.centre, other.tel(), false),
            10..=13 => self.with_some_call(UeOrder::Hangup),
            14 | 15 => self.with_some_call(UeOrder::Hold),
            16 => self.with_some_call(UeOrder::Resume),
            17..=19 => self.text(one, other),
            20 => {
                let (to, text, token) = (other.tel(), "hello".to_owned(), self.token());
                self.network.order(one, UeOrder::Message { to, text, token });
            }
            21 => {
                let (to, token) = (other.tel(), self.token());
                self.network.order(one, UeOrder::Options { to, token });
            }
            22 => self.register(one),
            _ => self.deregister(one),
        }
    }

    fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    pub(super) fn register(&mut self, phone: Phone) {
        self.wanted.insert(phone.host, true);
        self.network.order(phone, UeOrder::Register);
    }

    pub(super) fn deregister(&mut self, phone: Phone) {
        self.wanted.insert(phone.host, false);
        self.network.order(phone, UeOrder::Deregister);
    }

    pub(super) fn call(&mut self, from: Phone, to: String, must_succeed: bool) {
        let token = self.token();
        self.dialling.insert((from.host, token), must_succeed);
        self.statistics.calls += 1;
        self.network.order(from, UeOrder::Call { to, token });
    }

    /// A text by the service centre.
    pub(super) fn text(&mut self, from: Phone, to: Phone) {
        let token = self.token();
        let text = format!("text {token}");
        self.sent.insert(token, (to.host, text.clone()));
        let (to, centre) = (to.tel(), format!("+{SERVICE_CENTRE}"));
        let order = UeOrder::ShortMessage { to, text, centre, status_report: false, token };
        self.network.order(from, order);
    }

    fn with_some_call(&mut self, order: impl Fn(CallId) -> UeOrder) {
        let ends: Vec<(HostId, CallId)> = self.calls.keys().copied().collect();
        if let Some((host, call)) = ends.get(self.below(ends.len().max(1))).copied() {
            self.network.order(Phone { host, number: 0 }, order(call));
        }
    }

    pub(super) fn hang_up_all(&mut self) {
        for (host, call) in self.calls.keys().copied().collect::<Vec<_>>() {
            self.network.order(Phone { host, number: 0 }, UeOrder::Hangup(call));
        }
    }

    pub(super) fn hear(&mut self) {
        for (host, UeReport { what, .. }) in self.network.heard() {
            self.heard(host, what);
        }
    }

    fn heard(&mut self, host: HostId, what: What) {
        match what {
            What::Registered { .. } => {
                self.statistics.registered += 1;
                self.standing.insert(host, Standing::Registered);
            }
            What::RegistrationFailed { status, reason, retry } => {
                self.statistics.refused += 1;
                let again = if retry.is_some() { ", tries again" } else { "" };
                let why = format!("{status} {reason}{again}");
                self.standing.insert(host, Standing::Away(why));
            }
            What::Deregistered { event } => {
                let why = event.map_or("left".to_owned(), |event| format!("ended: {event}"));
                self.standing.insert(host, Standing::Away(why));
            }
            What::Calling { call, token } => {
                let must_succeed = self.dialling.remove(&(host, token)).unwrap_or(false);
                self.calls.insert((host, call), Known { answered: false, must_succeed });
            }
            What::Incoming { call, .. } => {
                let known = Known { answered: false, must_succeed: false };
                self.calls.insert((host, call), known);
            }
            What::Answered { call, .. } => {
                if let Some(known) = self.calls.get_mut(&(host, call)) {
                    known.answered = true;
                }
            }
            What::Ended { call, by, status, reason, .. } => {
                let Some(known) = self.calls.remove(&(host, call)) else { return };
                let bad = !known.answered || by == By::Failure;
                self.statistics.answered += u64::from(!bad);
                self.statistics.failed += u64::from(bad);
                if known.must_succeed && bad {
                    let who = self.who(host);
                    self.fail(format!("the call of {who} ended: {by:?} {status} {reason}"));
                }
            }
            What::ShortMessageResult { token, refused: None } => {
                self.statistics.texts += 1;
                if let Some(text) = self.sent.remove(&token) {
                    self.texts.insert(token, text);
                }
            }
            What::ShortMessageReceived { text: Some(text), .. } => {
                self.texts.retain(|_, (to, known)| (*to, &*known) != (host, &text));
                // It may arrive before its sender hears that it was taken.
                self.sent.retain(|_, (to, known)| (*to, &*known) != (host, &text));
            }
            What::ChangeRefused { call, status }
                if self.calls.get(&(host, call)).is_some_and(|known| known.must_succeed) =>
            {
                let who = self.who(host);
                self.fail(format!("hold or resume of {who} was refused: {status}"));
            }
            _ => {}
        }
    }
}
