//! The bounded memory of what crossed, and who wants to hear of it live.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use base::{Bytes, Endpoint};

use crate::correlate::Correlation;
use crate::dissect::dissect;
use crate::filter::{Filter, Follow};
use crate::fold::{Halves, merge};
use crate::record::Record;
use crate::redact::redact;

/// How much a [`Trace`] keeps. The oldest records go first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Records in the ring.
    pub records: usize,
    /// Bytes of messages in the ring.
    pub bytes: usize,
    /// Records that wait for one slow subscriber.
    pub waiting: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { records: 100_000, bytes: 64 << 20, waiting: 4096 }
    }
}

/// Most endpoints whose names are remembered for live subscribers.
const MOST_NAMES: usize = 8192;

/// Names one subscription; never used twice by one trace.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SubscriptionId(u64);

/// A ring of records with live subscriptions.
///
/// Everything that leaves it is redacted, unless it was made [`with_secrets`](Trace::with_secrets).
#[derive(Debug)]
pub struct Trace {
    limits: Limits,
    secrets: bool,
    ring: VecDeque<Record>,
    /// Records that were in the ring and are no longer.
    forgotten: u64,
    bytes: usize,
    /// For live subscribers only: what is in the ring is put together when somebody asks.
    halves: Halves,
    names: BTreeMap<Endpoint, Arc<str>>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    next: u64,
}

#[derive(Debug)]
struct Subscription {
    follow: Follow,
    waiting: VecDeque<Record>,
    lost: u64,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::new(Limits::default())
    }
}

impl Trace {
    /// An empty ring.
    pub fn new(limits: Limits) -> Trace {
        Trace {
            limits,
            secrets: false,
            ring: VecDeque::new(),
            forgotten: 0,
            bytes: 0,
            halves: Halves::default(),
            names: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            next: 0,
        }
    }

    /// The same, but what leaves it shows key material: for networks of test SIMs only.
    #[must_use]
    pub fn with_secrets(mut self) -> Trace {
        self.secrets = true;
        self
    }

    /// Takes a record. Without live subscribers nothing more is done than to keep it.
    pub fn push(&mut self, record: Record) {
        if !self.subscriptions.is_empty() {
            learn(&mut self.names, &record);
            let number = self.forgotten + self.ring.len() as u64;
            if self.halves.fold(number, &record).is_none() {
                self.deliver(&record);
            }
        }
        self.bytes += record.bytes.len();
        self.ring.push_back(record);
        while self.ring.len() > self.limits.records || self.bytes > self.limits.bytes {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.bytes -= oldest.bytes.len();
            self.forgotten += 1;
        }
    }

    /// Records in the ring. A message that was seen at both of its ends is two.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether the ring is empty.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Records that were dropped because the ring was full.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Records in the ring, and the bytes of their messages.
    pub fn size(&self) -> (usize, usize) {
        (self.ring.len(), self.bytes)
    }

    /// All records, oldest first, each message once.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        merge(self.ring.iter().cloned()).into_iter().map(|record| self.shown(record))
    }

    /// All records, tied together.
    pub fn correlate(&self) -> Correlation {
        Correlation::new(self.records())
    }

    /// From now on, records that pass the filter wait to be polled.
    pub fn subscribe(&mut self, filter: Filter) -> SubscriptionId {
        let id = SubscriptionId(self.next);
        self.next += 1;
        if self.subscriptions.is_empty() {
            // Nobody listened until now.
            self.halves = Halves::default();
            self.ring.iter().for_each(|record| learn(&mut self.names, record));
        }
        let follow = Follow::new(filter);
        self.subscriptions.insert(id, Subscription { follow, waiting: VecDeque::new(), lost: 0 });
        id
    }

    /// Ends a subscription.
    pub fn unsubscribe(&mut self, id: SubscriptionId) {
        self.subscriptions.remove(&id);
    }

    /// The next record for a subscription, redacted.
    pub fn poll(&mut self, id: SubscriptionId) -> Option<Record> {
        let record = self.subscriptions.get_mut(&id)?.waiting.pop_front()?;
        Some(self.shown(record))
    }

    /// Records that a subscriber was too slow for since this was last asked.
    pub fn lost(&mut self, id: SubscriptionId) -> u64 {
        self.subscriptions.get_mut(&id).map_or(0, |s| std::mem::take(&mut s.lost))
    }

    fn shown(&self, mut record: Record) -> Record {
        if !self.secrets {
            redact(&mut record);
        }
        record
    }

    fn deliver(&mut self, record: &Record) {
        let mut record = record.clone();
        // It may wait longer than what it shares its memory with.
        record.bytes = Bytes::copy_from_slice(&record.bytes);
        for party in [&mut record.from, &mut record.to] {
            if party.name.is_none() {
                party.name = self.names.get(&party.endpoint).cloned();
            }
        }
        let summary = dissect(&record);
        for subscription in self.subscriptions.values_mut() {
            if !subscription.follow.wants(&record, &summary) {
                continue;
            }
            if subscription.waiting.len() >= self.limits.waiting {
                subscription.waiting.pop_front();
                subscription.lost += 1;
            }
            subscription.waiting.push_back(record.clone());
        }
    }
}

fn learn(names: &mut BTreeMap<Endpoint, Arc<str>>, record: &Record) {
    for party in [&record.from, &record.to] {
        let Some(name) = &party.name else { continue };
        if names.get(&party.endpoint) == Some(name) {
            continue;
        }
        if names.len() >= MOST_NAMES {
            names.clear();
        }
        names.insert(party.endpoint, Arc::clone(name));
    }
}
