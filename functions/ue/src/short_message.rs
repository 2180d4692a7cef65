//! Short messages over IP, the SM-over-IP sender and receiver of TS 24.341 §5.3.1 and §5.3.2.
//!
//! A message of ours is one RP-DATA for each of its parts, each in a MESSAGE to the service centre's
//! number; the next part goes when the centre has answered the one before (TS 24.011 §7.3.1). The
//! centre's answer (RP-ACK, RP-ERROR) and what it delivers (RP-DATA) come in MESSAGEs of their own. What
//! it delivers is answered at once, unless the memory is full.

use std::collections::{BTreeMap, VecDeque};

use base::Instant;
use base::time::Duration;
use sip::{HeaderName, Message, Method, ServerId};
use sms::rp::{Cause, Direction, Rpdu, reference_of};
use sms::status::Outcome;
use sms::tpdu::{DeliverReport, Parameters, Submit, Tpdu};
use sms::{Address, FailureCause, Number, Reassembler, Reference, text_of};

use crate::core::{Purpose, TimerKey, sender};
use crate::phone::Ue;
use crate::report::What;

/// Timer TR1M, TS 24.011 §10.1: how long the centre may take to answer.
const TR1M: Duration = Duration::from_secs(40);
/// How long the parts of a message may take to come.
const PARTS: Duration = Duration::from_secs(600);
/// Messages of which parts are missing, at most; messages of ours that wait, and reports that are
/// waited for.
const MOST: usize = 64;

/// A message that is being sent, or waits for that.
#[derive(Debug)]
struct Outgoing {
    token: u64,
    /// Of the service centre.
    centre: Number,
    destination: Address,
    status_report: bool,
    parts: VecDeque<sms::ShortMessage>,
}

/// The short messages of a phone.
#[derive(Debug)]
pub(crate) struct ShortMessages {
    outgoing: VecDeque<Outgoing>,
    /// RP-Message-Reference of the part that the centre has not answered.
    awaited: Option<u8>,
    next_reference: u8,
    /// TP-Message-References whose status report is to come.
    reports: BTreeMap<u8, u64>,
    incoming: Reassembler<Address>,
    /// There is no memory for messages.
    full: bool,
}

impl Default for ShortMessages {
    fn default() -> ShortMessages {
        ShortMessages {
            outgoing: VecDeque::new(),
            awaited: None,
            next_reference: 0,
            reports: BTreeMap::new(),
            incoming: Reassembler::new(MOST, PARTS),
            full: false,
        }
    }
}

impl Ue {
    /// Sends a text to a number, in as many parts as it takes.
    pub(crate) fn send_short_message(
        &mut self,
        now: Instant,
        (to, text): (&str, &str),
        centre: &str,
        status_report: bool,
        token: u64,
    ) {
        let refused = match self.prepare((to, text), centre, status_report, token) {
            Ok(outgoing) => {
                self.short_messages.outgoing.push_back(outgoing);
                return self.send_part(now);
            }
            Err(why) => Some(why),
        };
        self.core.report(now, What::ShortMessageResult { token, refused });
    }

    fn prepare(
        &mut self,
        (to, text): (&str, &str),
        centre: &str,
        status_report: bool,
        token: u64,
    ) -> Result<Outgoing, String> {
        if self.short_messages.outgoing.len() >= MOST {
            return Err("too many short messages wait".to_owned());
        }
        let destination = number(to).ok_or_else(|| format!("{to} is not a telephone number"))?;
        let centre = number(centre).ok_or_else(|| format!("{centre} is no service centre"))?;
        let reference = Reference::Eight(self.core.random.bytes::<1>()[0]);
        let parts = sms::split(text, reference).map_err(|error| error.to_string())?;
        let destination = Address::Number(destination);
        Ok(Outgoing { token, centre, destination, status_report, parts: parts.into() })
    }

    /// The next part, unless the centre has one to answer.
    fn send_part(&mut self, now: Instant) {
        let texts = &mut self.short_messages;
        if texts.awaited.is_some() {
            return;
        }
        let Some(first) = texts.outgoing.front_mut() else { return };
        let Some(part) = first.parts.pop_front() else { return };
        let reference = texts.next_reference;
        texts.next_reference = reference.wrapping_add(1);
        texts.awaited = Some(reference);
        let mut submit = Submit::new(reference, first.destination.clone(), part);
        // One report is enough: that of the last part.
        if first.status_report && first.parts.is_empty() {
            submit.status_report = true;
            if texts.reports.len() >= MOST {
                texts.reports.pop_first();
            }
            texts.reports.insert(reference, first.token);
        }
        let rpdu = Rpdu::submit(reference, Some(first.centre.clone()), &submit);
        let centre = uri(&first.centre);
        self.core.arm(TimerKey::ShortMessage, now + TR1M);
        self.relay(now, &centre, &rpdu, Purpose::ShortMessage { reference }, None);
    }

    /// Sends an RPDU; `answered` is the Call-ID of the MESSAGE that it answers.
    fn relay(
        &mut self,
        now: Instant,
        to: &str,
        rpdu: &Rpdu,
        purpose: Purpose,
        answered: Option<&str>,
    ) {
        let mut request = self.core.request(Method::Message, to, to);
        if let Some(call_id) = answered {
            request.push(HeaderName::InReplyTo, call_id);
        }
        request.set_body(sms::CONTENT_TYPE, rpdu.emit());
        let hop = self.core.first_hop(&request);
        self.core.send(now, purpose, request, hop);
    }

    /// The MESSAGE with a part was refused or lost; otherwise the centre's answer is waited for.
    pub(crate) fn short_message_sent(
        &mut self,
        now: Instant,
        reference: u8,
        status: u16,
        reason: &str,
    ) {
        if status >= 300 && self.short_messages.awaited == Some(reference) {
            self.part_over(now, Some(format!("{status} {reason}")));
        }
    }

    /// Timer TR1M fired.
    pub(crate) fn short_message_unanswered(&mut self, now: Instant) {
        if self.short_messages.awaited.is_some() {
            self.part_over(now, Some("the service centre does not answer".to_owned()));
        }
    }

    /// The centre has a part, or why not: then the others are not sent.
    fn part_over(&mut self, now: Instant, refused: Option<String>) {
        let texts = &mut self.short_messages;
        let reference = texts.awaited.take();
        self.core.disarm(TimerKey::ShortMessage);
        let Some(first) = texts.outgoing.front() else { return };
        let token = first.token;
        if refused.is_some() || first.parts.is_empty() {
            texts.outgoing.pop_front();
            if let Some(reference) = reference.filter(|_| refused.is_some()) {
                texts.reports.remove(&reference);
            }
            self.core.report(now, What::ShortMessageResult { token, refused });
        }
        self.send_part(now);
    }

    /// A MESSAGE with an RPDU.
    pub(crate) fn rpdu_received(&mut self, now: Instant, server: ServerId, request: &Message) {
        let rpdu = Rpdu::parse(request.body());
        let legible = rpdu.is_ok() || reference_of(request.body()).is_some();
        self.core.reply(now, server, request, if legible { 200 } else { 400 });
        match rpdu {
            Ok(rpdu) if rpdu.direction() == Direction::ToNetwork => {}
            Ok(Rpdu::Ack { reference, .. }) if self.short_messages.awaited == Some(reference) => {
                self.part_over(now, None);
            }
            Ok(Rpdu::Error { reference, cause, .. })
                if self.short_messages.awaited == Some(reference) =>
            {
                let why = format!("the service centre refuses it: {}", cause.name());
                self.part_over(now, Some(why));
            }
            Ok(Rpdu::Ack { .. } | Rpdu::Error { .. } | Rpdu::Smma { .. }) => {}
            Ok(rpdu @ Rpdu::Data { .. }) => {
                let reference = rpdu.reference();
                let tpdu = rpdu.tpdu().and_then(Result::ok);
                let report = self.delivered(now, tpdu);
                let rpdu = Rpdu::deliver_report(reference, &report.0, report.1);
                self.answer_rpdu(now, request, &rpdu);
            }
            Err(_) => {
                let Some(reference) = reference_of(request.body()) else { return };
                let direction = Direction::ToNetwork;
                let cause = Cause::INVALID_MANDATORY_INFORMATION;
                let error =
                    Rpdu::Error { direction, reference, cause, diagnostic: None, user_data: None };
                self.answer_rpdu(now, request, &error);
            }
        }
    }

    /// To the IP-SM-GW that delivered it, TS 24.341 §5.3.2.4.
    fn answer_rpdu(&mut self, now: Instant, request: &Message, rpdu: &Rpdu) {
        let call_id = request.get(HeaderName::CallId).unwrap_or_default().to_owned();
        self.relay(now, &sender(request), rpdu, Purpose::Orphan, Some(&call_id));
    }

    /// Takes what the centre delivers; what it is told of that.
    fn delivered(&mut self, now: Instant, tpdu: Option<Tpdu>) -> (DeliverReport, Cause) {
        let ack = || (DeliverReport::Ack(Parameters::NONE), Cause::PROTOCOL_ERROR);
        let refuse = |failure, cause| (DeliverReport::Error(failure, Parameters::NONE), cause);
        while self.short_messages.incoming.expire(now).is_some() {}
        match tpdu {
            Some(Tpdu::Deliver(_)) if self.short_messages.full => {
                refuse(FailureCause::MEMORY_CAPACITY_EXCEEDED, Cause::MEMORY_CAPACITY_EXCEEDED)
            }
            Some(Tpdu::Deliver(deliver)) => {
                let from = deliver.originator;
                let taken = self.short_messages.incoming.take(now, from.clone(), deliver.user_data);
                if let sms::reassembly::Taken::Whole(parts) = taken {
                    let (from, text) = (shown(&from), text_of(&parts));
                    self.core.report(now, What::ShortMessageReceived { from, text });
                }
                ack()
            }
            Some(Tpdu::StatusReport(report)) => {
                let token = match report.status.outcome() {
                    // Another report will come.
                    Outcome::StillTrying => {
                        self.short_messages.reports.get(&report.reference).copied()
                    }
                    _ => self.short_messages.reports.remove(&report.reference),
                };
                if let Some(token) = token {
                    let delivered = report.status.outcome() == Outcome::Completed;
                    let status = report.status.name();
                    self.core.report(now, What::ShortMessageStatus { token, delivered, status });
                }
                ack()
            }
            _ => refuse(FailureCause::TPDU_NOT_SUPPORTED, Cause::PROTOCOL_ERROR),
        }
    }

    /// There is memory for short messages again, of which the centre is told (RP-SMMA, TS 24.011
    /// §7.3.2), or no longer.
    pub(crate) fn set_memory(&mut self, now: Instant, centre: &str, full: bool) {
        let was = std::mem::replace(&mut self.short_messages.full, full);
        let Some(centre) = number(centre).filter(|_| was && !full) else { return };
        let reference = self.short_messages.next_reference;
        self.short_messages.next_reference = reference.wrapping_add(1);
        self.relay(now, &uri(&centre), &Rpdu::Smma { reference }, Purpose::Orphan, None);
    }
}

/// A number as it is dialled: international with a plus sign or as a `tel:` URI.
fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let bare: String = text.chars().filter(|c| !"-.()".contains(*c)).collect();
    match bare.strip_prefix('+') {
        Some(digits) => Number::international(digits).ok(),
        None => Number::unknown(&bare).ok(),
    }
}

/// The service centre's public service identity, TS 24.341 §5.3.1.2: its number.
fn uri(centre: &Number) -> String {
    match centre.msisdn() {
        Some(msisdn) => format!("tel:+{msisdn}"),
        None => format!("tel:{}", centre.digits.as_str()),
    }
}

/// Who sent it, for a person.
fn shown(from: &Address) -> String {
    match from {
        Address::Number(number) => match number.msisdn() {
            Some(msisdn) => format!("+{msisdn}"),
            None => number.digits.as_str().to_owned(),
        },
        Address::Name(name) => name.text(),
    }
}
