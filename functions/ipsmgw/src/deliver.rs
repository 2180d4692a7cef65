//! What phones get, TS 24.341 §5.3.3.4: one text at a time to each, and what becomes of it.

use base::store::Durability;
use base::{Instant, Output, Severity};
use sip::{ClientId, Hop};
use sms::rp::{Cause, Rpdu};
use sms::tpdu::{StatusReport, Tpdu};
use sms::{Status, TimeStamp};

use crate::gateway::{IpSmGw, Sent};
use crate::queue::Attempt;
use crate::record::{Content, Text, delete};
use crate::submit::is_single_shot;

impl IpSmGw {
    /// Does what is to be done for a recipient: gives up an answer that is overdue and texts whose time
    /// is over, and makes the next attempt.
    pub(crate) fn attend(&mut self, now: Instant, recipient: &str) {
        let under_way = self.queues.under_way(recipient);
        if let Some(Attempt { order, .. }) = under_way.filter(|u| u.until <= Some(now)) {
            let (order, why) = (*order, "the phone did not answer");
            return self.failed(now, recipient, order, Status::NO_RESPONSE, why);
        }
        let Some(queue) = self.queues.get(recipient) else { return };
        if let Some(order) = queue.over(now) {
            return self.over(now, recipient, order, Status::VALIDITY_EXPIRED);
        }
        if queue.is_due(now)
            && let Some((order, text, more)) = queue.first()
        {
            let (text, centre) = (text.clone(), self.config.service_centre.clone());
            self.next_reference = self.next_reference.wrapping_add(1);
            let reference = self.next_reference;
            let rpdu = match text.tpdu(self.config.zone, more) {
                Tpdu::StatusReport(report) => Rpdu::status_report(reference, Some(centre), &report),
                Tpdu::Deliver(deliver) => Rpdu::deliver(reference, Some(centre), &deliver),
                other => unreachable!("a text is never {}", other.name()),
            };
            let call_id = self.stack.token();
            let request = self.build(recipient, call_id.clone(), &rpdu);
            let hop = Hop::Name(self.config.icscf.clone());
            let client = self.stack.request(now, request, hop);
            let sent = Sent::Text { recipient: recipient.to_owned(), call_id: call_id.clone() };
            self.sent.insert(client, sent);
            let until = Some(now + self.config.patience.answer);
            self.queues.start(recipient, Attempt { order, call_id, reference, until });
        }
        self.set_wake(recipient);
    }

    fn set_wake(&mut self, recipient: &str) {
        match self.queues.get(recipient).and_then(|queue| queue.wake()) {
            Some(at) => self.wake.set(at, recipient.to_owned()),
            None => self.wake.remove(&recipient.to_owned()),
        }
    }

    /// The final response to a MESSAGE of ours. A phone that has it (2xx) answers in a MESSAGE of its own.
    pub(crate) fn sent_is_over(&mut self, now: Instant, client: ClientId, status: u16) {
        match self.sent.remove(&client) {
            Some(Sent::Text { recipient, call_id }) if status >= 300 => {
                let under_way = self.queues.under_way(&recipient);
                // It may have been answered already, or given up.
                let Some(order) = under_way.filter(|u| u.call_id == call_id).map(|u| u.order)
                else {
                    return;
                };
                let why = format!("the MESSAGE got {status}");
                match status {
                    404 | 410 | 484 | 604 => {
                        self.over(now, &recipient, order, Status::NOT_OBTAINABLE)
                    }
                    403 | 603 => self.over(now, &recipient, order, Status::CONNECTION_REJECTED),
                    405 | 415 | 416 | 488 | 606 => {
                        self.over(now, &recipient, order, Status::INCOMPATIBLE_DESTINATION);
                    }
                    _ => self.failed(now, &recipient, order, Status::NO_RESPONSE, &why),
                }
            }
            Some(Sent::Answer { to }) if status >= 300 => {
                let text = format!("{to}: {status}");
                self.log(Severity::Info, "ipsmgw.answer_lost", text);
            }
            _ => {}
        }
    }

    /// The phone has the text (RP-ACK).
    pub(crate) fn delivered(&mut self, now: Instant, recipient: &str, order: u64) {
        if let Some(queue) = self.queues.get(recipient) {
            queue.encourage();
        }
        self.over(now, recipient, order, Status::RECEIVED);
    }

    /// The phone does not take the text (RP-ERROR), TS 24.011 §8.2.5.4. A full memory is temporary.
    pub(crate) fn rejected(&mut self, now: Instant, recipient: &str, order: u64, cause: Cause) {
        if cause == Cause::MEMORY_CAPACITY_EXCEEDED {
            if self.queues.under_way(recipient).is_none() {
                return;
            }
            let why = format!("RP-ERROR {cause:?}");
            return self.failed(now, recipient, order, Status::NO_RESPONSE, &why);
        }
        self.log(Severity::Info, "ipsmgw.rejected", format!("{recipient}: RP-ERROR {cause:?}"));
        let status = match cause {
            Cause::PROTOCOL_ERROR | Cause::SEMANTICALLY_INCORRECT => {
                Status::INCOMPATIBLE_DESTINATION
            }
            _ => Status::REMOTE_PROCEDURE_ERROR,
        };
        self.over(now, recipient, order, status);
    }

    /// An attempt failed: another is made later, unless one was enough, or the time is over.
    fn failed(&mut self, now: Instant, recipient: &str, order: u64, given_up: Status, why: &str) {
        let patience = self.config.patience;
        let Some(queue) = self.queues.get(recipient) else { return };
        queue.failed(now, &patience);
        let once =
            queue.first().is_some_and(|(first, text, _)| first == order && is_single_shot(text));
        let wait = queue.not_before.since(now).as_secs();
        let text = format!("{recipient}: {why}; next attempt in {wait} s");
        self.log(Severity::Info, "ipsmgw.attempt_failed", text);
        if once {
            return self.over(now, recipient, order, given_up);
        }
        self.set_wake(recipient);
    }

    /// A text is no longer kept; its sender hears why if he asked.
    fn over(&mut self, now: Instant, recipient: &str, order: u64, status: Status) {
        let Some(text) = self.queues.remove(recipient, order) else { return };
        let mut changes = vec![delete(recipient, order)];
        self.log(Severity::Info, "ipsmgw.over", format!("{recipient}: {}", status.name()));
        if let Some((sender, report)) = self.report(now, &text, status) {
            let order = self.queues.next();
            changes.push(report.put(&sender, order));
            self.queues.insert(sender.clone(), order, report);
            self.ready.push_back(sender);
        }
        self.output(Output::Store { durability: Durability::Behind, changes, commit: None });
        self.ready.push_back(recipient.to_owned());
        self.set_wake(recipient);
    }

    /// TS 23.040 §3.2.9: the status report, if the sender asked for one. It is no more than a text, so it
    /// is not kept where there is no room for texts.
    fn report(&self, now: Instant, text: &Text, status: Status) -> Option<(String, Text)> {
        let Content::Submitted { submit, sender, .. } = &text.content else { return None };
        let limits = self.config.limits;
        let full =
            self.queues.of(sender) >= limits.per_recipient || self.queues.total() >= limits.total;
        if !submit.status_report || full {
            return None;
        }
        let stamp = |at| TimeStamp::new(at, self.config.zone);
        let (received, discharge) = (stamp(text.received), stamp(now));
        let recipient = submit.destination.clone();
        let report = StatusReport::new(submit.reference, recipient, received, discharge, status);
        let end = now + self.config.patience.validity;
        let content = Content::Report(report);
        Some((sender.clone(), Text { received: now, end, content }))
    }
}
