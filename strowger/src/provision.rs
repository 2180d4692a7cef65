//! Reads and writes subscribers in the store of a running process, as an operator may.
//!
//! The [`Provisioner`] is a function like any other: it hears an [`Order`](base::Order) and answers
//! with a [`Report`]. Two orders exist: [`Provision`] writes records as they are, [`Request`] asks
//! about subscribers. [`Offline`] drives the very same function on a store that nobody runs.

mod ask;
mod offline;

use std::collections::{BTreeMap, VecDeque};

use base::machine::{Function, Input, Report};
use base::store::{Change, CommitId, Durability, LoadId, StoreError, Table};
use base::{Bytes, Deadline, Instant, Output};

pub use ask::{Ask, Found, PAGE, Refusal, StoredRecord, names};
use ask::{Decision, Loaded};
pub use offline::Offline;

/// The order to a [`Provisioner`]: write these records, all or none.
#[derive(Debug)]
pub struct Provision {
    /// Comes back in [`Provisioned`].
    pub number: u64,
    /// The changes.
    pub changes: Vec<Change>,
}

/// The report of a [`Provisioner`] about a [`Provision`].
#[derive(Debug)]
pub struct Provisioned {
    /// The order's number.
    pub number: u64,
    /// Whether the records are durable.
    pub result: Result<(), StoreError>,
}

/// The order to a [`Provisioner`]: do or find this.
#[derive(Debug)]
pub struct Request {
    /// Comes back in [`Answer`].
    pub number: u64,
    /// What.
    pub ask: Ask,
}

/// The report of a [`Provisioner`] about a [`Request`].
#[derive(Debug)]
pub struct Answer {
    /// The request's number.
    pub number: u64,
    /// What was done or found.
    pub result: Result<Found, Refusal>,
    /// What the HSS is to be told of, in the order [`hss::Hss`] takes: whoever hears this report does it.
    pub operations: Vec<hss::Operation>,
}

/// The report of a [`Provisioner`] at its start: it and all functions before it are started.
#[derive(Debug)]
pub struct Started;

/// A function that owns no table and writes into those of others, as an operator may.
#[derive(Debug, Default)]
pub struct Provisioner {
    asks: BTreeMap<u64, Asking>,
    loading: BTreeMap<LoadId, (u64, Table, Bytes)>,
    scanning: BTreeMap<LoadId, u64>,
    waiting: BTreeMap<CommitId, Waiting>,
    next: u64,
    outputs: VecDeque<Output>,
}

/// A request that waits for records.
#[derive(Debug)]
struct Asking {
    ask: Ask,
    loaded: Loaded,
    /// The keys of the page that is asked for, and one more if there is a next page.
    page: Option<Vec<Bytes>>,
    /// Loads without an answer.
    open: usize,
}

/// Changes that wait for their commit.
#[derive(Debug)]
struct Waiting {
    number: u64,
    /// What to answer; `None` for a [`Provision`].
    found: Option<(Found, Vec<hss::Operation>)>,
}

impl Provisioner {
    fn report(&mut self, report: impl Send + 'static) {
        self.outputs.push_back(Output::Report(Report(Box::new(report))));
    }

    fn answer(&mut self, number: u64, result: Result<Found, Refusal>) {
        self.report(Answer { number, result, operations: Vec::new() });
    }

    fn store(
        &mut self,
        number: u64,
        changes: Vec<Change>,
        found: Option<(Found, Vec<hss::Operation>)>,
    ) {
        self.next += 1;
        let commit = CommitId(self.next);
        self.waiting.insert(commit, Waiting { number, found });
        let durability = Durability::Before;
        self.outputs.push_back(Output::Store { durability, changes, commit: Some(commit) });
    }

    fn advance(&mut self, number: u64, mut asking: Asking) {
        match ask::decide(&asking.ask, asking.page.as_deref(), &asking.loaded) {
            Decision::Scan { table, after, limit } => {
                self.next += 1;
                let load = LoadId(self.next);
                self.scanning.insert(load, number);
                self.asks.insert(number, asking);
                self.outputs.push_back(Output::Scan { load, table, after, limit });
            }
            Decision::Need(keys) => {
                asking.open = keys.len();
                for (table, key) in keys {
                    self.next += 1;
                    let load = LoadId(self.next);
                    self.loading.insert(load, (number, table, key.clone()));
                    self.outputs.push_back(Output::Load { load, table, key });
                }
                self.asks.insert(number, asking);
            }
            Decision::Write(changes, found, operations) => {
                self.store(number, changes, Some((found, operations)));
            }
            Decision::Tell(found, operation) => {
                self.report(Answer { number, result: Ok(found), operations: vec![operation] });
            }
            Decision::Answer(result) => self.answer(number, result),
        }
    }

    fn loaded(&mut self, load: LoadId, value: Result<Option<Bytes>, StoreError>) {
        let Some((number, table, key)) = self.loading.remove(&load) else { return };
        let Some(mut asking) = self.asks.remove(&number) else { return };
        match value {
            Ok(value) => {
                asking.loaded.insert((table, key), value);
                asking.open = asking.open.saturating_sub(1);
                if asking.open == 0 {
                    self.advance(number, asking);
                } else {
                    self.asks.insert(number, asking);
                }
            }
            // The other loads of this request find nobody.
            Err(error) => self.answer(number, Err(error.into())),
        }
    }

    fn scanned(&mut self, load: LoadId, keys: Result<Vec<Bytes>, StoreError>) {
        let asking = self.scanning.remove(&load).and_then(|number| self.asks.remove_entry(&number));
        let Some((number, mut asking)) = asking else { return };
        match keys {
            Ok(keys) => {
                asking.page = Some(keys);
                self.advance(number, asking);
            }
            Err(error) => self.answer(number, Err(error.into())),
        }
    }

    fn committed(&mut self, commit: CommitId, result: Result<(), StoreError>) {
        let Some(Waiting { number, found }) = self.waiting.remove(&commit) else { return };
        match found {
            Some((found, operations)) => match result {
                Ok(()) => self.report(Answer { number, result: Ok(found), operations }),
                Err(error) => self.answer(number, Err(error.into())),
            },
            None => self.report(Provisioned { number, result }),
        }
    }
}

impl Function for Provisioner {
    fn handle(&mut self, _now: Instant, input: Input) {
        match input {
            Input::Start => self.report(Started),
            Input::Order(order) => match order.0.downcast::<Provision>() {
                Ok(order) => self.store(order.number, order.changes, None),
                Err(order) => {
                    let Ok(request) = order.downcast::<Request>() else { return };
                    let Request { number, ask } = *request;
                    let loaded = Loaded::new();
                    self.advance(number, Asking { ask, loaded, page: None, open: 0 });
                }
            },
            Input::Loaded { load, value } => self.loaded(load, value),
            Input::Scanned { load, keys } => self.scanned(load, keys),
            Input::Committed { commit, result } => self.committed(commit, result),
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Deadline> {
        None
    }
}
