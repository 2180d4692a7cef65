//! Ties records into calls and registrations by what the messages themselves say.
//!
//! - One Call-ID is one dialog or registration; NG names calls by the same Call-ID.
//! - One icid of P-Charging-Vector is one session, whoever stood in the middle and changed the
//!   Call-ID.
//! - A border that hides this network may seal a Call-ID and takes the icid off: what has the same From tag and
//!   CSeq on the other side, within ten seconds, is the same request.
//! - One Session-Id is one exchange of Diameter. A Cx request belongs to the SIP request that caused
//!   it: the last one that its sender got, within ten seconds, for one of its identities. What had no
//!   cause (a push by the HSS, an expiry) belongs to the subscriber's registration.
//! - A subscription to the event package `reg` and a third-party REGISTER belong to the registration
//!   of the subscriber they are about.

use std::collections::{BTreeMap, BTreeSet};

use base::time::Duration;
use base::{Endpoint, Instant, Service};

use crate::dissect::{About, Key, Summary, dissect};
use crate::fold::merge;
use crate::identity::Wanted;
use crate::ladder::Ladder;
use crate::participants::{Names, Who};
use crate::record::Record;
use crate::union::Union;

/// How long after a SIP request a Diameter request may still be caused by it.
pub(crate) const CAUSE: Duration = Duration::from_secs(10);

/// What a thread is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// It has an INVITE.
    Call,
    /// It has a REGISTER and no INVITE.
    Registration,
    /// Messages, capability queries, subscriptions to something else, Diameter without a cause.
    Other,
}

/// Records that belong together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thread {
    /// What it is.
    pub kind: Kind,
    /// One line for a person: `sip:alice@… → sip:bob@…`.
    pub title: String,
    /// When it began.
    pub started: Instant,
    /// The numbers of its records in [`Correlation::records`], in order.
    pub records: Vec<usize>,
    /// All that ties it.
    pub keys: BTreeSet<Key>,
}

impl Thread {
    /// Its Call-IDs, in alphabetical order.
    pub fn call_ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().filter_map(|key| match key {
            Key::CallId(id) => Some(id.as_str()),
            _ => None,
        })
    }
}

/// Records with what ties them.
#[derive(Clone, Debug)]
pub struct Correlation {
    records: Vec<Record>,
    summaries: Vec<Summary>,
    names: Names,
    threads: Vec<Thread>,
    subscribers: Union<String>,
}

impl Correlation {
    /// Ties records of one or several traces. Messages that were seen at both ends are folded.
    pub fn new(records: impl IntoIterator<Item = Record>) -> Correlation {
        let records = merge(records);
        let summaries: Vec<Summary> = records.iter().map(dissect).collect();
        let names = Names::learn(&records, &summaries);
        let mut weaver = Weaver::new(&names);
        for (record, summary) in records.iter().zip(&summaries) {
            weaver.weave(record, summary);
        }
        let (threads, subscribers) = weaver.finish(&records, &summaries);
        Correlation { records, summaries, names, threads, subscribers }
    }

    /// All records, folded and in the order of their times.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// What each of the records says.
    pub fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// All threads in the order in which they began.
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// All calls in the order in which they began.
    pub fn calls(&self) -> impl Iterator<Item = &Thread> {
        self.threads.iter().filter(|t| t.kind == Kind::Call)
    }

    /// All registrations in the order in which they began.
    pub fn registrations(&self) -> impl Iterator<Item = &Thread> {
        self.threads.iter().filter(|t| t.kind == Kind::Registration)
    }

    /// The thread that a Call-ID belongs to.
    pub fn of_call(&self, call_id: &str) -> Option<&Thread> {
        let key = Key::CallId(call_id.to_owned());
        self.threads.iter().find(|t| t.keys.contains(&key))
    }

    /// All threads of a subscriber: `sip:…`, `tel:…`, an IMPI, the digits of an IMSI or MSISDN, or
    /// the address of a phone. Other identities of the same subscriber are known from registrations.
    pub fn of_subscriber(&self, subscriber: &str) -> Vec<&Thread> {
        let wanted = Wanted::parse(subscriber);
        let sets: BTreeSet<usize> = self
            .subscribers
            .iter()
            .filter(|(identity, _)| wanted.is(identity))
            .map(|(_, set)| set)
            .collect();
        let is_theirs = |key: &Key| match key {
            Key::Impi(identity) | Key::Impu(identity) => {
                let set = self.subscribers.find(identity);
                set.is_some_and(|set| sets.contains(&set))
            }
            other => wanted.is_key(other),
        };
        self.threads.iter().filter(|t| t.keys.iter().any(is_theirs)).collect()
    }

    /// All identities of a subscriber that registrations and Cx told of, in alphabetical order.
    pub fn identities(&self, subscriber: &str) -> Vec<String> {
        let wanted = Wanted::parse(subscriber);
        let all: Vec<(&String, usize)> = self.subscribers.iter().collect();
        let sets: BTreeSet<usize> =
            all.iter().filter(|(identity, _)| wanted.is(identity)).map(|(_, set)| *set).collect();
        let theirs = all.into_iter().filter(|(_, set)| sets.contains(set));
        let found: BTreeSet<String> = theirs.map(|(identity, _)| identity.clone()).collect();
        found.into_iter().collect()
    }

    /// The ladder of one thread.
    pub fn ladder(&self, thread: &Thread) -> Ladder {
        self.ladder_of([thread])
    }

    /// One ladder of several threads.
    pub fn ladder_of<'a>(&self, threads: impl IntoIterator<Item = &'a Thread>) -> Ladder {
        let mut numbers = BTreeSet::new();
        let mut titles = Vec::new();
        for thread in threads {
            numbers.extend(thread.records.iter().copied());
            titles.push(thread.title.as_str());
        }
        let steps = numbers.into_iter().map(|n| (&self.records[n], &self.summaries[n]));
        Ladder::of(titles.join(", "), &self.names, steps)
    }
}

/// A SIP request that may cause Diameter requests.
#[derive(Clone, Debug)]
struct Cause {
    at: Instant,
    node: usize,
    register: bool,
    receiver: Who,
}

/// How many causes are remembered for one identity.
const MOST_CAUSES: usize = 16;

struct Weaver<'a> {
    names: &'a Names,
    ties: Union<Key>,
    /// The set of each record, if it is in any.
    nodes: Vec<Option<usize>>,
    causes: BTreeMap<Key, Vec<Cause>>,
    /// The latest registration of an identity.
    registrations: BTreeMap<Key, usize>,
    /// Requests whose answers have no key, by their ends and transaction.
    exchanges: BTreeMap<Exchange, usize>,
    /// The last request of an origin.
    origins: BTreeMap<String, Origin>,
    subscribers: Union<String>,
}

/// Where a request was seen that a border may have changed.
struct Origin {
    at: Instant,
    node: usize,
    sealed: bool,
}

impl<'a> Weaver<'a> {
    fn new(names: &'a Names) -> Weaver<'a> {
        Weaver {
            names,
            ties: Union::default(),
            nodes: Vec::new(),
            causes: BTreeMap::new(),
            registrations: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            origins: BTreeMap::new(),
            subscribers: Union::default(),
        }
    }

    fn weave(&mut self, record: &Record, summary: &Summary) {
        let node = self.node(record, summary);
        self.nodes.push(node);
        self.learn_identities(summary);
        let Some(node) = node else { return };
        match (summary.protocol, summary.is_request()) {
            (Service::Sip, true) => self.remember_cause(record, summary, node),
            (Service::Diameter | Service::Ng, true) => {
                self.exchanges.insert(exchange(record, summary), node);
            }
            _ => {}
        }
        match &summary.about {
            Some(About::Registration { aor, associated }) => {
                let impis = summary.keys.iter().filter(|k| matches!(k, Key::Impi(_))).cloned();
                let impus = associated.iter().chain([aor]).cloned().map(Key::Impu);
                self.registrations.extend(impis.chain(impus).map(|key| (key, node)));
            }
            Some(About::Of { aor }) => {
                if let Some(registration) = self.registrations.get(&Key::Impu(aor.clone())) {
                    self.ties.join(*registration, node);
                }
            }
            None => {}
        }
    }

    /// The set that the record's own keys put it in, and if they are new, the set of its cause.
    fn node(&mut self, record: &Record, summary: &Summary) -> Option<usize> {
        let mut node = None;
        let mut known = false;
        for key in &summary.keys {
            if matches!(key, Key::CallId(_) | Key::Icid(_) | Key::SessionId(_)) {
                known |= self.ties.find(key).is_some();
                let this = self.ties.node(key.clone());
                node = Some(node.map_or(this, |other| self.ties.join(other, this)));
            }
        }
        if summary.protocol == Service::Sip {
            return self.past_the_border(record, summary, node);
        }
        if !summary.is_request() {
            // An answer may lack what its request was tied by.
            let request = self.exchanges.get(&exchange(record, summary)).copied();
            return match (node, request) {
                (Some(node), Some(request)) if !known => Some(self.ties.join(node, request)),
                (node, request) => node.or(request),
            };
        }
        let is_about_somebody = summary
            .keys
            .iter()
            .any(|k| matches!(k, Key::Impi(_) | Key::Impu(_) | Key::UeAddress(_)));
        if known || summary.protocol != Service::Diameter || !is_about_somebody {
            return node;
        }
        let node = node.unwrap_or_else(|| self.ties.anonymous());
        if let Some(cause) = self.cause(record, summary) {
            self.ties.join(cause, node);
        }
        Some(node)
    }

    /// The same for a SIP message that may have crossed a border.
    fn past_the_border(
        &mut self,
        record: &Record,
        summary: &Summary,
        node: Option<usize>,
    ) -> Option<usize> {
        let (Some(node), Some(origin)) = (node, &summary.origin) else { return node };
        let sealed = summary.sealed;
        let known = self.origins.get(origin);
        let other = known.filter(|o| o.sealed != sealed && record.at.since(o.at) <= CAUSE);
        let node = other.map(|other| other.node).map_or(node, |other| self.ties.join(other, node));
        if matches!(summary.verb.as_str(), "INVITE" | "MESSAGE" | "SUBSCRIBE") {
            self.origins.insert(origin.clone(), Origin { at: record.at, node, sealed });
        }
        Some(node)
    }

    /// What made somebody ask: the last request that this function got for one of the identities,
    /// else the last that anybody got, else the registration.
    fn cause(&self, record: &Record, summary: &Summary) -> Option<usize> {
        let asker = self.names.who(&record.from);
        let asked = self.names.who(&record.to);
        // UAR comes from a registration and LIR never does; the others may come from both.
        let fits = |cause: &Cause| match summary.verb.as_str() {
            "UAR" => cause.register,
            "LIR" => !cause.register,
            _ => true,
        };
        let recent: Vec<&Cause> = summary
            .keys
            .iter()
            .filter_map(|key| self.causes.get(key))
            .flatten()
            .filter(|cause| record.at.since(cause.at) <= CAUSE && fits(cause))
            .collect();
        // What the HSS sends by itself is not caused by any SIP request.
        let pushed = matches!(summary.verb.as_str(), "RTR" | "PPR");
        let nearest = |own: bool| {
            let mine = |c: &&&Cause| !own || c.receiver == asker || c.receiver == asked;
            recent.iter().filter(mine).max_by_key(|c| c.at).map(|c| c.node)
        };
        let caused = if pushed { None } else { nearest(true).or_else(|| nearest(false)) };
        let registered =
            || summary.keys.iter().find_map(|key| self.registrations.get(key)).copied();
        caused.or_else(registered)
    }

    fn remember_cause(&mut self, record: &Record, summary: &Summary, node: usize) {
        let receiver = self.names.who(&record.to);
        let register = summary.verb == "REGISTER";
        let cause = Cause { at: record.at, node, register, receiver };
        for key in &summary.keys {
            if matches!(key, Key::Impi(_) | Key::Impu(_) | Key::UeAddress(_)) {
                let causes = self.causes.entry(key.clone()).or_default();
                if causes.len() == MOST_CAUSES {
                    causes.remove(0);
                }
                causes.push(cause.clone());
            }
        }
    }

    /// Identities that stand together in a registration or in Cx are of one subscriber.
    fn learn_identities(&mut self, summary: &Summary) {
        let mut together = Vec::new();
        let of_registration = match &summary.about {
            Some(About::Registration { aor, associated }) => {
                together.extend(associated.iter().chain([aor]).cloned());
                true
            }
            _ => summary.protocol == Service::Diameter,
        };
        for key in &summary.keys {
            match key {
                Key::Impi(identity) if of_registration => together.push(identity.clone()),
                Key::Impu(identity) if summary.protocol == Service::Diameter => {
                    together.push(identity.clone());
                }
                Key::Impi(identity) | Key::Impu(identity) => {
                    self.subscribers.node(identity.clone());
                }
                _ => {}
            }
        }
        let numbers: Vec<usize> =
            together.into_iter().map(|identity| self.subscribers.node(identity)).collect();
        for pair in numbers.windows(2) {
            self.subscribers.join(pair[0], pair[1]);
        }
    }

    fn finish(self, records: &[Record], summaries: &[Summary]) -> (Vec<Thread>, Union<String>) {
        let mut sets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, node) in self.nodes.iter().enumerate() {
            if let Some(node) = node {
                sets.entry(self.ties.root(*node)).or_default().push(number);
            }
        }
        let mut threads: Vec<Thread> =
            sets.into_values().map(|members| thread(members, records, summaries)).collect();
        threads.sort_by_key(|thread| thread.records.first().copied());
        (threads, self.subscribers)
    }
}

fn thread(members: Vec<usize>, records: &[Record], summaries: &[Summary]) -> Thread {
    let has = |verb: &str| members.iter().any(|n| summaries[*n].verb == verb);
    let kind = match () {
        () if has("INVITE") => Kind::Call,
        () if has("REGISTER") => Kind::Registration,
        () => Kind::Other,
    };
    let decisive = match kind {
        Kind::Call => "INVITE",
        Kind::Registration => "REGISTER",
        Kind::Other => "",
    };
    let first = members.iter().find(|n| summaries[**n].verb == decisive).or(members.first());
    let title = first.map(|n| title(kind, &summaries[*n])).unwrap_or_default();
    let keys = members.iter().flat_map(|n| summaries[*n].keys.iter().cloned()).collect();
    let started = members.first().map_or(Instant::EPOCH, |n| records[*n].at);
    Thread { kind, title, started, records: members, keys }
}

fn title(kind: Kind, summary: &Summary) -> String {
    let detail = |name: &str| {
        let found = summary.detail.iter().find(|(n, _)| *n == name);
        found.map_or("?", |(_, value)| value.as_str())
    };
    match kind {
        Kind::Call => format!("call {} → {}", detail("from"), detail("to")),
        Kind::Registration => format!("registration of {}", detail("to")),
        Kind::Other => summary.title.clone(),
    }
}

/// A request and its answer: both ends, and the transaction.
pub(crate) type Exchange = (Endpoint, Endpoint, String);

pub(crate) fn exchange(record: &Record, summary: &Summary) -> Exchange {
    let (a, b) = (record.from.endpoint, record.to.endpoint);
    (a.min(b), a.max(b), summary.transaction.clone())
}
