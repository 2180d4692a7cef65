//! What phones send, TS 24.341 §5.3.3.3: texts, and answers to those that they got.

use base::store::{CommitId, Durability, StoreError};
use base::{Instant, Output, Severity};
use sip::header::{HeaderName, NameAddr};
use sip::{Hop, Message, Method, Stack, Uri};
use sms::rp::{Cause, Direction, Rpdu, reference_of};
use sms::tpdu::{Parameters, Submit, SubmitReport, Tpdu};
use sms::{FailureCause, TimeStamp, ValidityPeriod};

use crate::gateway::{IpSmGw, Sent};
use crate::record::{Content, Text};

/// A text that is being stored.
#[derive(Debug)]
pub(crate) struct Accepting {
    recipient: String,
    order: u64,
    text: Text,
    reference: u8,
    back: Back,
}

/// Where an answer to a phone's MESSAGE goes.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    /// The public identity that sent it.
    user: String,
    /// Of its MESSAGE.
    call_id: String,
    /// The S-CSCF that it came from.
    scscf: Option<String>,
}

/// Who sent a MESSAGE.
struct Sender {
    back: Back,
    /// What a recipient sees.
    originator: String,
    /// All identities that are asserted.
    identities: Vec<String>,
}

/// Why a text is refused: RP-ERROR's cause, and that of the SMS-SUBMIT-REPORT in it.
type Refusal = (Cause, FailureCause);

impl IpSmGw {
    /// A MESSAGE of the S-CSCF; its status.
    pub(crate) fn message(&mut self, now: Instant, request: &Message) -> u16 {
        if request.content_type() != sms::CONTENT_TYPE {
            return 415;
        }
        let Some(sender) = sender(request) else { return 403 };
        match Rpdu::parse(request.body()) {
            Ok(Rpdu::Data { direction: Direction::ToNetwork, .. }) if self.is_draining() => 503,
            Ok(rpdu) if rpdu.direction() == Direction::ToMobile => 400,
            Ok(rpdu) => {
                self.rpdu(now, request, sender, rpdu);
                202
            }
            Err(error) => {
                let text = format!("{}: {error}", sender.back.user);
                self.log(Severity::Info, "ipsmgw.malformed", text);
                let Some(reference) = reference_of(request.body()) else { return 400 };
                let (direction, user_data) = (Direction::ToMobile, None);
                let cause = Cause::INVALID_MANDATORY_INFORMATION;
                let rpdu = Rpdu::Error { direction, reference, cause, diagnostic: None, user_data };
                self.answer(now, &sender.back, &rpdu);
                202
            }
        }
    }

    fn rpdu(&mut self, now: Instant, request: &Message, sender: Sender, rpdu: Rpdu) {
        let reference = rpdu.reference();
        match &rpdu {
            Rpdu::Data { .. } => {
                let refused = match rpdu.tpdu() {
                    Some(Ok(Tpdu::Submit(submit))) => {
                        self.submit(now, &sender, reference, submit).err()
                    }
                    Some(Ok(_)) => {
                        Some((Cause::NOT_IMPLEMENTED, FailureCause::COMMAND_UNSUPPORTED))
                    }
                    Some(Err(error)) => {
                        let text = format!("{}: {error}", sender.back.user);
                        self.log(Severity::Info, "ipsmgw.malformed", text);
                        Some((Cause::PROTOCOL_ERROR, FailureCause::TPDU_NOT_SUPPORTED))
                    }
                    None => None,
                };
                if let Some((cause, failure)) = refused {
                    let text = format!("{}: {}", sender.back.user, failure.name());
                    self.log(Severity::Info, "ipsmgw.text_refused", text);
                    self.refuse(now, &sender.back, reference, cause, failure);
                }
            }
            Rpdu::Ack { .. } => self.answered(now, request, &sender.identities, reference, None),
            Rpdu::Error { cause, .. } => {
                self.answered(now, request, &sender.identities, reference, Some(*cause));
            }
            Rpdu::Smma { .. } => {
                let (direction, user_data) = (Direction::ToMobile, None);
                self.answer(now, &sender.back, &Rpdu::Ack { direction, reference, user_data });
                sender.identities.into_iter().for_each(|user| self.encourage(user));
            }
        }
    }

    /// A text; it is accepted when it is durable.
    fn submit(
        &mut self,
        now: Instant,
        sender: &Sender,
        reference: u8,
        submit: Submit,
    ) -> Result<(), Refusal> {
        let recipient = self
            .config
            .recipient(&submit.destination)
            .ok_or((Cause::UNASSIGNED_NUMBER, FailureCause::INVALID_SME_ADDRESS))?;
        let user = &sender.back.user;
        if submit.reject_duplicates && self.queues.has(&recipient, user, submit.reference) {
            return Err((Cause::TRANSFER_REJECTED, FailureCause::DUPLICATE));
        }
        let waiting = |a: &&Accepting| a.recipient == recipient;
        let of_him = self.queues.of(&recipient) + self.accepting.values().filter(waiting).count();
        let limits = self.config.limits;
        let total = self.queues.total() + self.accepting.len();
        if of_him >= limits.per_recipient || total >= limits.total {
            return Err((Cause::CONGESTION, FailureCause::SC_BUSY));
        }
        let patience = &self.config.patience;
        let asked = submit.validity.and_then(|validity| validity.end(now));
        let end = asked.unwrap_or(now + patience.validity).min(now + patience.longest_validity);
        let content = Content::Submitted {
            submit,
            sender: user.clone(),
            originator: sender.originator.clone(),
        };
        let text = Text { received: now, end, content };
        let order = self.queues.next();
        self.next_commit += 1;
        let commit = CommitId(self.next_commit);
        self.output(Output::Store {
            durability: Durability::Before,
            changes: vec![text.put(&recipient, order)],
            commit: Some(commit),
        });
        let back = sender.back.clone();
        self.accepting.insert(commit, Accepting { recipient, order, text, reference, back });
        Ok(())
    }

    /// A text is durable, or cannot be stored.
    pub(crate) fn committed(
        &mut self,
        now: Instant,
        commit: CommitId,
        result: Result<(), StoreError>,
    ) {
        let Some(accepting) = self.accepting.remove(&commit) else { return };
        let Accepting { recipient, order, text, reference, back } = accepting;
        if let Err(error) = result {
            self.log(Severity::Error, "ipsmgw.not_stored", format!("a text is refused: {error}"));
            let (cause, failure) = (Cause::TEMPORARY_FAILURE, FailureCause::SC_SYSTEM_FAILURE);
            return self.refuse(now, &back, reference, cause, failure);
        }
        let time_stamp = TimeStamp::new(text.received, self.config.zone);
        self.log(Severity::Info, "ipsmgw.accepted", format!("{} to {recipient}", back.user));
        self.queues.insert(recipient.clone(), order, text);
        let report = SubmitReport::Ack(time_stamp, Parameters::NONE);
        self.answer(now, &back, &Rpdu::submit_report(reference, &report, Cause::PROTOCOL_ERROR));
        self.ready.push_back(recipient);
    }

    fn refuse(
        &mut self,
        now: Instant,
        back: &Back,
        reference: u8,
        cause: Cause,
        failure: FailureCause,
    ) {
        let time_stamp = TimeStamp::new(now, self.config.zone);
        let report = SubmitReport::Error(failure, time_stamp, Parameters::NONE);
        self.answer(now, back, &Rpdu::submit_report(reference, &report, cause));
    }

    /// TS 24.341 §5.3.3.4.2: an answer goes to the sender through his S-CSCF.
    fn answer(&mut self, now: Instant, back: &Back, rpdu: &Rpdu) {
        let token = self.stack.token();
        let mut request = self.build(&back.user, token, rpdu);
        request.push(HeaderName::InReplyTo, back.call_id.as_str());
        let hop = back.scscf.as_deref().and_then(Stack::hop);
        if let (Some(scscf), Some(_)) = (&back.scscf, &hop) {
            request.push_front(HeaderName::Route, format!("<{scscf};lr>"));
        }
        let hop = hop.unwrap_or_else(|| Hop::Name(self.config.icscf.clone()));
        let client = self.stack.request(now, request, hop);
        self.sent.insert(client, Sent::Answer { to: back.user.clone() });
    }

    /// A MESSAGE to a user.
    pub(crate) fn build(&mut self, user: &str, call_id: String, rpdu: &Rpdu) -> Message {
        let us = self.config.uri();
        let (tag, icid) = (self.stack.token(), self.stack.token());
        Message::request(Method::Message, user)
            .with(HeaderName::MaxForwards, "70")
            .with(HeaderName::From, format!("<{us}>;tag={tag}"))
            .with(HeaderName::To, format!("<{user}>"))
            .with(HeaderName::CallId, call_id)
            .with(HeaderName::CSeq, "1 MESSAGE")
            .with(HeaderName::PAssertedIdentity, format!("<{us}>"))
            .with(HeaderName::PChargingVector, format!("icid-value={icid}"))
            .with(HeaderName::RequestDisposition, "no-fork")
            .with(HeaderName::AcceptContact, "*;+g.3gpp.smsip;require;explicit")
            .with_body(sms::CONTENT_TYPE, rpdu.emit())
    }

    /// RP-ACK or RP-ERROR: it names what it answers in In-Reply-To, or else must be of the user who is
    /// waited for.
    fn answered(
        &mut self,
        now: Instant,
        request: &Message,
        identities: &[String],
        reference: u8,
        error: Option<Cause>,
    ) {
        let mut named = request.list(HeaderName::InReplyTo).peekable();
        let recipient = match named.peek() {
            Some(_) => named.find_map(|call_id| self.queues.recipient_of(call_id)),
            None => identities.iter().find(|user| self.queues.attempt(user).is_some()),
        };
        let recipient = recipient.cloned().unwrap_or_default();
        let attempt = self.queues.attempt(&recipient);
        let order = attempt.filter(|a| a.reference == reference).map(|a| a.order);
        match (order, error) {
            (Some(order), None) => self.delivered(now, &recipient, order),
            (Some(order), Some(cause)) => self.rejected(now, &recipient, order, cause),
            (None, _) => {
                let text = format!("{identities:?} answers {reference}, which nobody waits for");
                self.log(Severity::Info, "ipsmgw.stray_answer", text);
            }
        }
    }

    /// A third-party REGISTER: whoever has come gets what waits for him. The server is told one of his
    /// identities; the others are in the answer to the phone, if the criteria have it included.
    pub(crate) fn registered(&mut self, request: &Message) {
        if request.get(HeaderName::Expires).is_some_and(|expires| expires.trim() == "0") {
            return;
        }
        let body = String::from_utf8_lossy(request.body());
        let associated = body.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("P-Associated-URI").then_some(value)
        });
        let to = request.get(HeaderName::To);
        let elements = to.into_iter().chain(associated.flat_map(|value| value.split(',')));
        let users = elements.filter_map(NameAddr::parse).filter_map(|user| user.parsed_uri());
        let users: Vec<String> = users.map(|uri| identity(&uri)).collect();
        for user in users {
            self.encourage(user);
        }
    }
}

impl IpSmGw {
    /// Tries at once what waits for somebody.
    fn encourage(&mut self, recipient: String) {
        if let Some(queue) = self.queues.get(&recipient) {
            queue.encourage();
            self.ready.push_back(recipient);
        }
    }
}

/// Whether the centre is to try at most once.
pub(crate) fn is_single_shot(text: &Text) -> bool {
    match &text.content {
        Content::Submitted { submit, .. } => {
            submit.validity.is_some_and(ValidityPeriod::is_single_shot)
        }
        Content::Report(_) => false,
    }
}

/// How recipients are known here: a number is `tel:`, whatever form its URI has.
fn identity(uri: &Uri<'_>) -> String {
    match uri {
        Uri::Sip(sip) => match sip.phone_number().filter(|number| number.starts_with('+')) {
            Some(number) => format!("tel:{number}"),
            None => uri.aor(),
        },
        _ => uri.aor(),
    }
}

/// The asserted sender; `None` if nobody is.
fn sender(request: &Message) -> Option<Sender> {
    let asserted: Vec<NameAddr<'_>> =
        request.list(HeaderName::PAssertedIdentity).filter_map(NameAddr::parse).collect();
    let uris = asserted.iter().filter_map(NameAddr::parsed_uri);
    let identities: Vec<String> = uris.map(|uri| identity(&uri)).collect();
    let user = identities.first()?.clone();
    let number = identities.iter().find_map(|identity| identity.strip_prefix("tel:"));
    let originator = match (number, Uri::parse(&user)) {
        (Some(number), _) => number.to_owned(),
        (None, Some(Uri::Sip(uri))) => uri.user_unescaped(),
        _ => return None,
    };
    let call_id = request.get(HeaderName::CallId)?.to_owned();
    let route = request.list(HeaderName::Route).next().and_then(NameAddr::parse);
    let scscf = route.and_then(|route| route.parsed_uri()?.sip()).map(|uri| {
        let port = uri.port.map(|port| format!(":{port}")).unwrap_or_default();
        let transport = uri.transport().map(|t| format!(";transport={t}")).unwrap_or_default();
        format!("sip:{}{port}{transport}", uri.host)
    });
    Some(Sender { back: Back { user, call_id, scscf }, originator, identities })
}
