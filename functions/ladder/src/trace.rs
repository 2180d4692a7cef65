//! The bounded memory of what crossed, and who wants to hear of it live.

use std::collections::{BTreeMap, VecDeque};

use base::Endpoint;

use crate::correlate::Correlation;
use crate::dissect::dissect;
use crate::filter::{Filter, Follow};
use crate::fold::Halves;
use crate::record::{Party, Record};
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
    /// The number of the first record in the ring.
    first: u64,
    bytes: usize,
    halves: Halves,
    names: BTreeMap<Endpoint, String>,
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
            first: 0,
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

    /// Takes a record. The second sight of a message that was seen at its other end completes the
    /// first one.
    pub fn push(&mut self, record: Record) {
        self.learn(&record.from);
        self.learn(&record.to);
        let number = self.first + self.ring.len() as u64;
        if let Some(other) = self.halves.fold(number, &record) {
            let index = other.checked_sub(self.first).and_then(|i| usize::try_from(i).ok());
            if let Some(first) = index.and_then(|i| self.ring.get_mut(i)) {
                first.complete(&record);
            }
            return;
        }
        self.deliver(&record);
        self.bytes += record.bytes.len();
        self.ring.push_back(record);
        while self.ring.len() > self.limits.records || self.bytes > self.limits.bytes {
            let Some(oldest) = self.ring.pop_front() else { break };
            self.bytes -= oldest.bytes.len();
            self.first += 1;
        }
    }

    /// Records in the ring.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether the ring is empty.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Records that were dropped because the ring was full.
    pub fn forgotten(&self) -> u64 {
        self.first
    }

    /// Records in the ring, and the bytes of their messages.
    pub fn size(&self) -> (usize, usize) {
        (self.ring.len(), self.bytes)
    }

    /// All records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.ring.iter().map(|record| self.shown(record.clone()))
    }

    /// All records, tied together.
    pub fn correlate(&self) -> Correlation {
        Correlation::new(self.records())
    }

    /// From now on, records that pass the filter wait to be polled.
    pub fn subscribe(&mut self, filter: Filter) -> SubscriptionId {
        let id = SubscriptionId(self.next);
        self.next += 1;
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

    fn learn(&mut self, party: &Party) {
        let Some(name) = &party.name else { return };
        if self.names.get(&party.endpoint) == Some(name) {
            return;
        }
        if self.names.len() >= MOST_NAMES {
            self.names.clear();
        }
        self.names.insert(party.endpoint, name.clone());
    }

    fn deliver(&mut self, record: &Record) {
        if self.subscriptions.is_empty() {
            return;
        }
        let mut record = record.clone();
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
