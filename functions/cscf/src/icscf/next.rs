//! The next S-CSCF when one is away, TS 24.229 §5.3.1.3: a REGISTER that it does not answer, or answers with
//! a 3xx, 480 or 503, goes to another one.
//!
//! If the HSS named the S-CSCF that serves the user, it is asked which capabilities another one needs (TS
//! 29.228 §6.1.1, REGISTRATION_AND_CAPABILITIES), and lets that one take over. A protected REGISTER goes on,
//! too, as with S-CSCF restoration (TS 23.380 §4.3): the other one challenges the phone anew.

use base::time::Duration;
use base::{Event as LogEvent, Flow, Instant, Severity};
use diameter::cx::{Authorization, ServerCapabilities, Uaa};
use sip::Message;

use super::select::{Choice, is_same};
use super::{Asked, Icscf, Waiting};
use crate::cx::Answer;
use crate::proxy::{ContextId, Refusal, Upstream};

/// How long an S-CSCF that did not answer is chosen last.
const AWAY: Duration = Duration::from_secs(30);

/// A REGISTER that an S-CSCF has.
#[derive(Debug)]
pub(super) struct Registering {
    upstream: Upstream,
    request: Message,
    /// The S-CSCFs that had it, the last one has it now.
    tried: Vec<String>,
    /// What the HSS asks for in an S-CSCF; `None` as long as it was not asked.
    capabilities: Option<Option<ServerCapabilities>>,
    /// When another one is tried.
    until: Option<Instant>,
}

/// The S-CSCFs that did not answer, and until when that counts.
#[derive(Debug, Default)]
pub(super) struct Away(Vec<(String, Instant)>);

impl Away {
    pub(super) fn has(&self, now: Instant, uri: &str) -> bool {
        self.0.iter().any(|(other, until)| *until > now && is_same(other, uri))
    }

    fn add(&mut self, now: Instant, uri: &str) {
        self.0.retain(|(other, until)| *until > now && !is_same(other, uri));
        self.0.push((uri.to_owned(), now + AWAY));
    }

    fn answers(&mut self, uri: &str) {
        self.0.retain(|(other, _)| !is_same(other, uri));
    }
}

impl Icscf {
    /// Sends a REGISTER to the first S-CSCF. `capabilities` are those that the HSS told.
    pub(super) fn begin_registering(
        &mut self,
        now: Instant,
        mut waiting: Waiting,
        choice: &Choice,
        capabilities: Option<Option<ServerCapabilities>>,
    ) -> Result<(), Refusal> {
        let upstream = waiting.upstream.clone();
        let mut registering = Registering {
            upstream: upstream.clone(),
            request: waiting.request.clone(),
            tried: vec![choice.uri.clone()],
            capabilities,
            until: None,
        };
        registering.until = self.patience_for(now, &registering);
        let until = registering.until;
        waiting.request.set_uri(choice.uri.as_str());
        self.forward(now, waiting, choice, Some(Box::new(registering)))?;
        if let (Some(at), Some(context)) = (until, self.proxy.context_of(upstream.server())) {
            self.patience.arm(at, context);
        }
        Ok(())
    }

    /// Until when the S-CSCF may answer, if there is another one.
    fn patience_for(&self, now: Instant, registering: &Registering) -> Option<Instant> {
        let wanted = registering.capabilities.as_ref().and_then(Option::as_ref);
        let another = self.choose(now, None, wanted, &registering.tried);
        another.map(|_| now + self.config.patience)
    }

    /// S-CSCFs that took too long.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        while let Some((at, context)) = self.patience.due(now) {
            if self.is_patient(at, context) {
                self.proxy.give_up(context);
            }
        }
    }

    fn is_patient(&mut self, at: Instant, context: ContextId) -> bool {
        let registering = self.proxy.kept(context).and_then(Option::as_deref_mut);
        registering.is_some_and(|registering| registering.until == Some(at))
    }

    /// Timers that nobody waits for any more.
    pub(super) fn drop_stale(&mut self) {
        while let Some((at, context)) = self.patience.peek().map(|(at, context)| (at, *context)) {
            if self.is_patient(at, context) {
                return;
            }
            self.patience.pop();
        }
    }

    /// An answer of an S-CSCF, or none.
    pub(super) fn response(
        &mut self,
        now: Instant,
        context: ContextId,
        response: Message,
        flow: Option<Flow>,
    ) {
        let status = response.status();
        let Some(registering) = self.proxy.kept(context).and_then(Option::as_deref_mut) else {
            return self.proxy.pass(now, context, response);
        };
        let uri = registering.tried.last().cloned().unwrap_or_default();
        let failed = match flow {
            None => status >= 300,
            Some(_) => matches!(status, 300..400 | 480 | 503),
        };
        if !failed {
            if status >= 200 {
                self.away.answers(&uri);
            }
            return self.proxy.pass(now, context, response);
        }
        registering.until = None;
        let upstream = registering.upstream.clone();
        let known = registering.capabilities.is_some();
        let request = registering.request.clone();
        self.away.add(now, &uri);
        let text = match flow {
            None => format!("{uri} does not answer a REGISTER"),
            Some(_) => format!("{uri} answers a REGISTER with {status}"),
        };
        let event = LogEvent::new(Severity::Warning, "icscf.scscf_failed", text);
        self.tell(upstream.about(event));
        if known {
            return self.try_next(now, context);
        }
        match self.uar(&request, Authorization::RegistrationAndCapabilities) {
            Ok(uar) => {
                let id = self.cx.ask(now, &uar);
                let asked = Asked::Capabilities(context);
                self.waiting.insert(id, Waiting { upstream, request, asked });
            }
            Err(refusal) => self.give_up(now, context, &refusal),
        }
    }

    /// The HSS told what another S-CSCF needs.
    pub(super) fn reassigned(&mut self, now: Instant, context: ContextId, answer: &Answer) {
        let Some(uaa) = answer.body::<Uaa>() else {
            let registering = self.proxy.kept(context).and_then(Option::as_deref_mut);
            if let Some(upstream) = registering.map(|registering| registering.upstream.clone()) {
                let text = format!("no other S-CSCF: {answer}");
                let event = LogEvent::new(Severity::Info, "icscf.cx_refused", text);
                self.tell(upstream.about(event));
            }
            return self.give_up(now, context, &NONE_ANSWERS);
        };
        if let Some(registering) = self.proxy.kept(context).and_then(Option::as_deref_mut) {
            registering.capabilities = Some(uaa.capabilities);
        }
        self.try_next(now, context);
    }

    /// Sends a REGISTER to an S-CSCF that did not have it.
    fn try_next(&mut self, now: Instant, context: ContextId) {
        let Some(kept) = self.proxy.kept(context) else { return };
        let Some(mut registering) = kept.take() else { return };
        let wanted = registering.capabilities.as_ref().and_then(Option::as_ref);
        let next = self.choose(now, None, wanted, &registering.tried);
        let found = next.ok_or(NONE_ANSWERS).and_then(|next| {
            let hop = self.hop(&registering.upstream, &next)?;
            Ok((next, hop))
        });
        let (next, hop) = match found {
            Ok(found) => found,
            Err(refusal) => {
                if let Some(kept) = self.proxy.kept(context) {
                    *kept = Some(registering);
                }
                return self.give_up(now, context, &refusal);
            }
        };
        let mut copy = registering.request.clone();
        copy.set_uri(next.uri.as_str());
        registering.tried.push(next.uri);
        registering.until = self.patience_for(now, &registering);
        if let Some(at) = registering.until {
            self.patience.arm(at, context);
        }
        if let Some(kept) = self.proxy.kept(context) {
            *kept = Some(registering);
        }
        self.proxy.again(now, context, vec![(copy, hop)]);
    }

    /// None is left.
    fn give_up(&mut self, now: Instant, context: ContextId, refusal: &Refusal) {
        let registering = self.proxy.kept(context).and_then(Option::take);
        if let Some(registering) = registering {
            let text = registering.upstream.refused(refusal);
            let event = LogEvent::new(Severity::Info, "icscf.refused", text);
            self.tell(registering.upstream.about(event));
        }
        self.proxy.abort(now, context, refusal.status);
    }
}

const NONE_ANSWERS: Refusal = Refusal { status: 504, header: None, why: "no S-CSCF answers" };
