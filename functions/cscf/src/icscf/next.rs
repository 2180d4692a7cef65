//! The next S-CSCF when one is away, TS 24.229 §5.3.1.3: a REGISTER that it does not answer, or answers with
//! a 3xx, 480 or 503, goes to another one. So does an INVITE that it says nothing to, TS 23.380 §4.4.3: it
//! would say 100 at once. Of other requests nobody can tell whether it or the phone is silent (RFC 4320).
//!
//! If the HSS named the S-CSCF that serves the user, it is asked which capabilities another one needs (TS
//! 29.228 §6.1.1 and §6.1.4, REGISTRATION_AND_CAPABILITIES), and lets that one take over. A protected
//! REGISTER goes on, too: the other one challenges the phone anew.

use base::time::Duration;
use base::{Event as LogEvent, Flow, Instant, Severity};
use diameter::cx::{Authorization, Lia, Lir, ServerCapabilities, Uaa};
use sip::Message;
use sip::header::HeaderName;

use super::select::{Choice, is_same};
use super::{Asked, Icscf, Waiting};
use crate::cx::Answer;
use crate::proxy::{ContextId, Refusal, Upstream, loose};

/// How long an S-CSCF that did not answer is chosen last.
const AWAY: Duration = Duration::from_secs(30);

/// A request that an S-CSCF has.
#[derive(Debug)]
pub(super) struct Trying {
    upstream: Upstream,
    request: Message,
    /// The S-CSCFs that had it, the last one has it now.
    tried: Vec<String>,
    /// What the HSS asks for in an S-CSCF; `None` as long as it was not asked.
    capabilities: Option<Option<ServerCapabilities>>,
    /// When another one is tried.
    until: Option<Instant>,
    kind: Kind,
}

/// What the HSS is asked about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Register,
    /// A request to this user, or for his originating services.
    Session {
        public_identity: String,
        originating: bool,
    },
}

impl Kind {
    /// The request as this S-CSCF gets it.
    pub(super) fn to(&self, scscf: &str, request: &mut Message) {
        match self {
            Kind::Register => request.set_uri(scscf),
            Kind::Session { originating, .. } => {
                // It is told if we were asked for originating services.
                let orig = if *originating { ";orig" } else { "" };
                request.push_front(HeaderName::Route, format!("<{}{orig}>", loose(scscf)));
            }
        }
    }
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
    /// Sends a request to the first S-CSCF. `capabilities` are those that the HSS told.
    pub(super) fn begin_trying(
        &mut self,
        now: Instant,
        kind: Kind,
        mut waiting: Waiting,
        choice: &Choice,
        capabilities: Option<Option<ServerCapabilities>>,
    ) -> Result<(), Refusal> {
        let upstream = waiting.upstream.clone();
        let mut trying = Trying {
            upstream: upstream.clone(),
            request: waiting.request.clone(),
            tried: vec![choice.uri.clone()],
            capabilities,
            until: None,
            kind,
        };
        trying.until = self.patience_for(now, &trying);
        let until = trying.until;
        trying.kind.to(&choice.uri, &mut waiting.request);
        self.forward(now, waiting, choice, Some(Box::new(trying)))?;
        if let (Some(at), Some(context)) = (until, self.proxy.context_of(upstream.server())) {
            self.patience.arm(at, context);
        }
        Ok(())
    }

    /// Until when the S-CSCF may answer, if there is another one.
    fn patience_for(&self, now: Instant, trying: &Trying) -> Option<Instant> {
        let wanted = trying.capabilities.as_ref().and_then(Option::as_ref);
        let another = self.choose(now, None, wanted, &trying.tried);
        another.map(|_| now + self.config.patience)
    }

    /// S-CSCFs that took too long.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        while let Some((at, context)) = self.patience.due(now) {
            if self.is_patient(at, context) {
                self.proxy.give_up(now, context);
            }
        }
    }

    fn is_patient(&mut self, at: Instant, context: ContextId) -> bool {
        let silent = self.proxy.is_silent(context);
        let trying = self.proxy.kept(context).and_then(Option::as_deref_mut);
        // An S-CSCF that has a session works on it for as long as that takes.
        trying.is_some_and(|trying| {
            trying.until == Some(at) && (silent || trying.kind == Kind::Register)
        })
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
        let silent = self.proxy.is_silent(context);
        let Some(trying) = self.proxy.kept(context).and_then(Option::as_deref_mut) else {
            return self.proxy.pass(now, context, response);
        };
        let uri = trying.tried.last().cloned().unwrap_or_default();
        let failed = match flow {
            None => status >= 300,
            Some(_) => trying.kind == Kind::Register && matches!(status, 300..400 | 480 | 503),
        };
        // One that has too much to do is there (RFC 7339), and so was one that had the session.
        let failed = failed && (trying.kind == Kind::Register || silent && status != 503);
        if !failed {
            if status >= 200 {
                self.away.answers(&uri);
            }
            return self.proxy.pass(now, context, response);
        }
        trying.until = None;
        let upstream = trying.upstream.clone();
        let known = trying.capabilities.is_some();
        let request = trying.request.clone();
        self.away.add(now, &uri);
        let kind = trying.kind.clone();
        let text = match (flow, &kind) {
            (None, Kind::Register) => format!("{uri} does not answer a REGISTER"),
            (None, _) => format!("{uri} does not answer a request"),
            (Some(_), _) => format!("{uri} answers a REGISTER with {status}"),
        };
        let event = LogEvent::new(Severity::Warning, "icscf.scscf_failed", text);
        self.tell(upstream.about(event));
        if known {
            return self.try_next(now, context);
        }
        let authorization = Authorization::RegistrationAndCapabilities;
        let id = match kind {
            Kind::Register => self.uar(&request, authorization).map(|uar| self.cx.ask(now, &uar)),
            Kind::Session { public_identity, originating } => {
                let authorization = Some(authorization);
                Ok(self.cx.ask(now, &Lir { public_identity, originating, authorization }))
            }
        };
        match id {
            Ok(id) => {
                let asked = Asked::Capabilities(context);
                self.waiting.insert(id, Waiting { upstream, request, asked });
            }
            Err(refusal) => self.give_up(now, context, &refusal),
        }
    }

    /// The HSS told what another S-CSCF needs.
    pub(super) fn reassigned(&mut self, now: Instant, context: ContextId, answer: &Answer) {
        let kept = self.proxy.kept(context).and_then(Option::as_deref_mut);
        let capabilities = match kept.map(|trying| &trying.kind) {
            Some(Kind::Session { .. }) => answer.body::<Lia>().map(|lia| lia.capabilities),
            _ => answer.body::<Uaa>().map(|uaa| uaa.capabilities),
        };
        let Some(capabilities) = capabilities else {
            let trying = self.proxy.kept(context).and_then(Option::as_deref_mut);
            if let Some(upstream) = trying.map(|trying| trying.upstream.clone()) {
                let text = format!("no other S-CSCF: {answer}");
                let event = LogEvent::new(Severity::Info, "icscf.cx_refused", text);
                self.tell(upstream.about(event));
            }
            return self.give_up(now, context, &NONE_ANSWERS);
        };
        if let Some(trying) = self.proxy.kept(context).and_then(Option::as_deref_mut) {
            trying.capabilities = Some(capabilities);
        }
        self.try_next(now, context);
    }

    /// Sends a request to an S-CSCF that did not have it.
    fn try_next(&mut self, now: Instant, context: ContextId) {
        let Some(kept) = self.proxy.kept(context) else { return };
        let Some(mut trying) = kept.take() else { return };
        let wanted = trying.capabilities.as_ref().and_then(Option::as_ref);
        let next = self.choose(now, None, wanted, &trying.tried);
        let found = next.ok_or(NONE_ANSWERS).and_then(|next| {
            let hop = self.hop(&trying.upstream, &next)?;
            Ok((next, hop))
        });
        let (next, hop) = match found {
            Ok(found) => found,
            Err(refusal) => {
                if let Some(kept) = self.proxy.kept(context) {
                    *kept = Some(trying);
                }
                return self.give_up(now, context, &refusal);
            }
        };
        let mut copy = trying.request.clone();
        trying.kind.to(&next.uri, &mut copy);
        trying.tried.push(next.uri);
        trying.until = self.patience_for(now, &trying);
        if let Some(at) = trying.until {
            self.patience.arm(at, context);
        }
        if let Some(kept) = self.proxy.kept(context) {
            *kept = Some(trying);
        }
        self.proxy.again(now, context, vec![(copy, hop)]);
    }

    /// None is left.
    fn give_up(&mut self, now: Instant, context: ContextId, refusal: &Refusal) {
        let trying = self.proxy.kept(context).and_then(Option::take);
        if let Some(trying) = trying {
            let text = trying.upstream.refused(refusal);
            let event = LogEvent::new(Severity::Info, "icscf.refused", text);
            self.tell(trying.upstream.about(event));
        }
        self.proxy.abort(now, context, refusal.status);
    }
}

const NONE_ANSWERS: Refusal = Refusal { status: 504, header: None, why: "no S-CSCF answers" };
