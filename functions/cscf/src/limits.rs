//! How much one source may ask, so that it does not take from others what they need.
//!
//! - `bucket`: how often something may happen. `table`: the sources that are remembered, a bounded number.
//! - `guesses`: who answers challenges wrongly too often.
//!
//! Each source has a bucket for requests that begin something, one for emergencies, and one, much larger, for
//! all that it sends: what is beyond that one is not even read. Network functions, wires and programs on this host
//! have no limits.
//!
//! Over UDP anybody can send with any address. So what strangers send over it counts against a bucket that all of
//! them share, too. A registered phone has heard us at its address, and so has whoever has a connection.

mod bucket;
mod guesses;
mod table;

use std::collections::BTreeSet;

use base::source::{Source, is_here};
use base::time::Duration;
use base::trust::Networks;
use base::{Bytes, Event as LogEvent, Flow, FlowId, Instant, Severity};
use sip::{Admission, Message, Stack};

use crate::emergency::EmergencyNumbers;
use bucket::{Bucket, Rate};
pub(crate) use guesses::Claim;
use guesses::Guesses;
use table::Table;

/// Sources that are remembered.
const SOURCES: usize = 65_536;
/// Requests over UDP of all strangers together: as many transactions as that makes in their 32 s leave room
/// for others.
const STRANGERS: Rate = Rate::per_second(1000, 10_000);
/// Their emergency calls.
const STRANGERS_IN_NEED: Rate = Rate::per_second(50, 500);
/// Emergency calls and registrations of one source: one a second.
const EMERGENCIES: Rate = Rate::per_second(1, 20);
/// So many messages of all kinds go with each request that begins something.
const MESSAGES: u32 = 20;
/// The share of its bucket that a newcomer begins with.
const SHARE: u32 = 10;
/// How long a source is not named in the log again.
const SILENCE: Duration = Duration::from_secs(60);
/// Log lines about all sources together.
const LINES: Rate = Rate::per_second(1, 60);

/// The limits of a source, as they are configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitsConfig {
    /// Requests a second that begin something; 0: there are no limits.
    pub requests_per_second: u32,
    /// So many of them at once, at least 1.
    pub burst: u32,
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        LimitsConfig { requests_per_second: 50, burst: 1000 }
    }
}

impl LimitsConfig {
    fn requests(self) -> Rate {
        Rate::per_second(self.requests_per_second.max(1), self.burst.max(1))
    }

    fn messages(self) -> Rate {
        let times = |number: u32| number.saturating_mul(MESSAGES);
        Rate::per_second(times(self.requests_per_second.max(1)), times(self.burst.max(1)))
    }
}

/// Who is at the far end of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// Somebody without limits.
    Free,
    /// Somebody whose address a registered phone has.
    Known,
    /// Anybody.
    Stranger,
}

impl Standing {
    /// Network functions and programs on this host have no limits: load generators, and several phones of a
    /// test, share the address of the host; whoever is on it can take its processor anyway.
    pub(crate) fn of(trust: &Networks, flow: &Flow) -> Standing {
        let free = trust.includes(flow) || is_here(flow);
        if free { Standing::Free } else { Standing::Stranger }
    }
}

/// What a request is to its source's buckets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It belongs to something that we know.
    Within,
    /// It begins something.
    Begins,
    /// It begins an emergency call, or registers for one.
    Emergency,
}

/// What a function says of what arrives.
pub(crate) trait Judge {
    /// Who sends it.
    fn standing(&self, flow: &Flow) -> Standing;

    /// What a request is.
    fn kind(&self, _: &Message, _: &Flow) -> Kind {
        Kind::Begins
    }

    /// The emergency numbers, if calls to them come here first.
    fn emergency_numbers(&self) -> Option<&EmergencyNumbers> {
        None
    }
}

/// A function that takes nothing of phones but REGISTER and OPTIONS, and whom it trusts beside the network
/// functions.
pub(crate) struct Inner<'a> {
    pub(crate) trust: &'a Networks,
    pub(crate) others: Option<&'a Networks>,
}

impl Judge for Inner<'_> {
    fn standing(&self, flow: &Flow) -> Standing {
        match self.others {
            Some(others) if others.has(flow) => Standing::Free,
            _ => Standing::of(self.trust, flow),
        }
    }
}

/// Who sends a message.
#[derive(Clone, Copy, Debug)]
struct Sender {
    source: Source,
    /// Whether nobody else can have sent it who only forges addresses.
    heard_us: bool,
}

/// What is remembered of a source.
#[derive(Clone, Copy, Debug)]
struct Asker {
    messages: Bucket,
    requests: Bucket,
    emergencies: Bucket,
    /// Not taken since the log named it.
    dropped: u64,
    named: Option<Instant>,
}

/// All sources of a function. See the module.
#[derive(Debug)]
pub(crate) struct Limits {
    config: LimitsConfig,
    askers: Table<Source, Asker>,
    guesses: Guesses,
    strangers: Bucket,
    strangers_in_need: Bucket,
    /// Requests of strangers that found no room, since the log told of them.
    crowded: u64,
    crowd_named: Option<Instant>,
    /// Connections that were told with a 503.
    told: BTreeSet<FlowId>,
    lines: Bucket,
    events: Vec<LogEvent>,
    dropped: u64,
}

impl Limits {
    pub(crate) fn new(config: LimitsConfig) -> Limits {
        Limits {
            config,
            askers: Table::new(SOURCES),
            guesses: Guesses::default(),
            strangers: Bucket::FULL,
            strangers_in_need: Bucket::FULL,
            crowded: 0,
            crowd_named: None,
            told: BTreeSet::new(),
            lines: Bucket::FULL,
            events: Vec::new(),
            dropped: 0,
        }
    }

    pub(crate) fn configure(&mut self, config: LimitsConfig) {
        self.config = config;
    }

    /// Messages that were not taken.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What the log is to say.
    pub(crate) fn poll_event(&mut self) -> Option<LogEvent> {
        self.events.pop()
    }

    /// Hands a message to the stack, if its source may send it.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        stack: &mut Stack,
        judge: &impl Judge,
        flow: Flow,
        message: Bytes,
    ) {
        let source = Source::of_flow(&flow).filter(|_| self.config.requests_per_second > 0);
        let standing = source.map_or(Standing::Free, |_| judge.standing(&flow));
        let Some(source) = source.filter(|_| standing != Standing::Free) else {
            return stack.received(now, flow, message);
        };
        let connection = flow.transport.is_connection();
        let in_need = || judge.emergency_numbers().is_some_and(|n| calls_for_help(n, &message));
        let by = Sender { source, heard_us: connection || standing == Standing::Known };
        let mut over = false;
        if self.hears(now, by, in_need) {
            stack.received_if(now, flow, message.clone(), |request| {
                let kind = request.map_or(Kind::Begins, |request| judge.kind(request, &flow));
                if self.admits(now, by, kind) {
                    return Admission::Taken;
                }
                over = connection && !self.told.insert(flow.id);
                if connection && !over { Admission::Refused } else { Admission::Dropped }
            });
        } else {
            over = connection;
        }
        if over {
            self.closed(&flow);
            stack.close(now, flow);
        }
    }

    /// A connection ended.
    pub(crate) fn closed(&mut self, flow: &Flow) {
        self.told.remove(&flow.id);
    }

    /// Whether what a source sends is read at all.
    fn hears(&mut self, now: Instant, by: Sender, in_need: impl Fn() -> bool) -> bool {
        let config = self.config;
        let asker = self.askers.touch(now, by.source, || Asker::new(now, config, by.heard_us));
        if asker.messages.take(now, config.messages()) || in_need() {
            return true;
        }
        self.refused(now, by.source);
        false
    }

    /// Whether a source may send a request of this kind.
    fn admits(&mut self, now: Instant, by: Sender, kind: Kind) -> bool {
        let config = self.config;
        let asker = self.askers.touch(now, by.source, || Asker::new(now, config, by.heard_us));
        let (own, shared) = match kind {
            Kind::Within => return true,
            Kind::Begins => {
                (asker.requests.take(now, config.requests()), (&mut self.strangers, STRANGERS))
            }
            Kind::Emergency => (
                asker.emergencies.take(now, EMERGENCIES),
                (&mut self.strangers_in_need, STRANGERS_IN_NEED),
            ),
        };
        if !own {
            self.refused(now, by.source);
            return false;
        }
        let (bucket, rate) = shared;
        let room = by.heard_us || bucket.take(now, rate);
        if !room {
            self.crowd_refused(now);
        }
        room
    }

    /// Counts what was not taken, and names the source once a minute.
    fn refused(&mut self, now: Instant, source: Source) {
        self.dropped += 1;
        let Some(asker) = self.askers.get_mut(&source) else { return };
        asker.dropped += 1;
        let silent = asker.named.is_some_and(|named| now.since(named) < SILENCE);
        if silent || !self.lines.take(now, LINES) {
            return;
        }
        asker.named = Some(now);
        let count = std::mem::take(&mut asker.dropped);
        let text = format!(
            "{source} sends too much, {count} not taken: `requests_per_second` below `[limits]`"
        );
        self.events.push(LogEvent::new(Severity::Warning, "sip.limited", text));
    }

    /// Counts what there was no room for among strangers, and tells of it once a minute.
    fn crowd_refused(&mut self, now: Instant) {
        self.dropped += 1;
        self.crowded += 1;
        if self.crowd_named.is_some_and(|named| now.since(named) < SILENCE) {
            return;
        }
        self.crowd_named = Some(now);
        let count = std::mem::take(&mut self.crowded);
        let text = format!(
            "too many datagrams of addresses where no phone is registered, {count} not taken: some may be forged"
        );
        self.events.push(LogEvent::new(Severity::Warning, "sip.crowded", text));
    }

    /// Whether somebody has answered challenges wrongly too often to be asked again now. One whose phone is
    /// registered on this flow only for this identity.
    pub(crate) fn is_guessing(&mut self, now: Instant, claim: &Claim, registered: bool) -> bool {
        let guessing = self.guesses.is_over(now, claim, registered);
        if guessing
            && let Some(source) = self.guesses.tell(now, claim, SILENCE)
            && self.lines.take(now, LINES)
        {
            let text = format!(
                "{source} answers challenges wrongly too often and is asked no more for now"
            );
            self.events.push(LogEvent::new(Severity::Warning, "pcscf.guessing", text));
        }
        guessing
    }

    /// Somebody was refused for good, or answered a challenge wrongly.
    pub(crate) fn guessed(&mut self, now: Instant, claim: &Claim) {
        self.guesses.wrong(now, claim);
    }

    /// Somebody proved who he is.
    pub(crate) fn proved(&mut self, claim: &Claim) {
        self.guesses.right(claim);
    }

    #[cfg(test)]
    fn sources(&self) -> usize {
        self.askers.len()
    }
}

impl Asker {
    fn new(now: Instant, config: LimitsConfig, whole: bool) -> Asker {
        let bucket = |rate: Rate| if whole { Bucket::FULL } else { Bucket::part(now, rate, SHARE) };
        Asker {
            messages: bucket(config.messages()),
            requests: bucket(config.requests()),
            emergencies: Bucket::FULL,
            dropped: 0,
            named: None,
        }
    }
}

/// Whether bytes begin like an INVITE to an emergency service.
fn calls_for_help(numbers: &EmergencyNumbers, bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"INVITE ") else { return false };
    let uri = rest.iter().take(256).position(|byte| *byte == b' ').map(|end| &rest[..end]);
    uri.and_then(|uri| std::str::from_utf8(uri).ok())
        .is_some_and(|uri| numbers.service(uri).is_some())
}

#[cfg(test)]
mod tests;
