//! ENUM at the S-CSCF, TS 24.229 §5.4.3.2 step 10: calls that wait for DNS to say whose a number is.

use std::collections::BTreeMap;

use base::machine::{Naptr, QueryId};
use base::time::Duration;
use base::timer::Expiries;
use base::{Event, Instant, Output, Severity};
use sip::ServerId;

use super::Scscf;
use super::session::Pending;
use crate::enum_rules::{self, Found};
use crate::proxy::{ContextId, Refusal, Upstream};

/// How long DNS may take; then the number is looked for without it.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often records may send on to another domain, RFC 6116 §5.1.
const DOMAINS: u8 = 5;

/// Calls that wait for DNS.
#[derive(Debug, Default)]
pub(super) struct EnumQueries {
    waiting: BTreeMap<QueryId, Waiting>,
    expiries: Expiries<QueryId>,
    last: u64,
}

#[derive(Debug)]
struct Waiting {
    pending: Pending,
    context: Option<ContextId>,
    number: String,
    /// How many further domains may be asked.
    left: u8,
}

impl EnumQueries {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }

    /// The INVITE was cancelled before it went on.
    pub(super) fn cancel(&mut self, server: ServerId) -> Option<Upstream> {
        let ours = |waiting: &Waiting| {
            waiting.context.is_none() && waiting.pending.upstream.server() == server
        };
        let query = self.waiting.iter().find(|(_, w)| ours(w)).map(|(query, _)| *query)?;
        self.expiries.remove(&query);
        self.waiting.remove(&query).map(|waiting| waiting.pending.upstream)
    }

    fn ask(&mut self, now: Instant, waiting: Waiting, domain: String) -> Output {
        self.last += 1;
        let query = QueryId(self.last);
        self.waiting.insert(query, waiting);
        self.expiries.set(now + PATIENCE, query);
        Output::LookUp { query, domain }
    }
}

impl Scscf {
    /// Whether a call waits for DNS; the number has its plus sign.
    pub(super) fn ask_enum(
        &mut self,
        now: Instant,
        pending: &Pending,
        context: Option<ContextId>,
        number: &str,
    ) -> bool {
        let suffix = self.config.enum_suffix.as_deref();
        let Some(domain) = suffix.and_then(|suffix| enum_rules::domain(number, suffix)) else {
            return false;
        };
        let (pending, number) = (pending.clone(), number.to_owned());
        let waiting = Waiting { pending, context, number, left: DOMAINS };
        let ask = self.enum_queries.ask(now, waiting, domain);
        self.outputs.push_back(ask);
        true
    }

    /// DNS answered.
    pub(super) fn enum_answered(&mut self, now: Instant, query: QueryId, records: &[Naptr]) {
        let Some(mut waiting) = self.enum_queries.waiting.remove(&query) else { return };
        self.enum_queries.expiries.remove(&query);
        if !self.proxy.is_unanswered(&waiting.pending.upstream) {
            return;
        }
        match enum_rules::choose(records, &waiting.number) {
            Found::Next(domain) if waiting.left > 0 => {
                waiting.left -= 1;
                let ask = self.enum_queries.ask(now, waiting, domain);
                self.outputs.push_back(ask);
            }
            Found::Uri(uri) => {
                let text = format!("ENUM: {} is {uri}", waiting.number);
                let event = Event::new(Severity::Debug, "scscf.enum", text);
                self.tell(waiting.pending.upstream.about(event));
                waiting.pending.request.set_uri(uri);
                self.enum_done(now, waiting, None);
            }
            Found::Next(_) | Found::Nothing => {
                let number = waiting.number.clone();
                self.enum_done(now, waiting, Some(number));
            }
        }
    }

    /// DNS takes too long.
    pub(super) fn expire_enum(&mut self, now: Instant) {
        while let Some(query) = self.enum_queries.expiries.due(now) {
            let text = "DNS does not answer ENUM: calls to numbers wait for it".to_owned();
            self.log(Severity::Warning, "scscf.enum_late", text);
            self.enum_answered(now, query, &[]);
        }
    }

    fn enum_done(&mut self, now: Instant, waiting: Waiting, number: Option<String>) {
        let Waiting { pending, context, .. } = waiting;
        let upstream = pending.upstream.clone();
        let result: Result<(), Refusal> = self.route_onward(now, pending, context, number);
        match (result, context) {
            (Ok(()), _) => {}
            (Err(refusal), Some(context)) => self.proxy.abort(now, context, refusal.status),
            (Err(refusal), None) => self.refuse(now, &upstream, &refusal),
        }
    }
}
