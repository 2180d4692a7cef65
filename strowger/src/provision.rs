//! Writes records that a person or a tool asks for into the store of a running process.

use std::collections::{BTreeMap, VecDeque};

use base::machine::{Function, Input, Report};
use base::store::{Change, CommitId, Durability, StoreError};
use base::{Deadline, Instant, Output};

/// The order to a [`Provisioner`]: write these records, all or none.
#[derive(Debug)]
pub struct Provision {
    /// Comes back in [`Provisioned`].
    pub number: u64,
    /// The changes.
    pub changes: Vec<Change>,
}

/// The report of a [`Provisioner`].
#[derive(Debug)]
pub struct Provisioned {
    /// The order's number.
    pub number: u64,
    /// Whether the records are durable.
    pub result: Result<(), StoreError>,
}

/// A function that owns no table and writes into those of others, as an operator may.
#[derive(Debug, Default)]
pub struct Provisioner {
    waiting: BTreeMap<CommitId, u64>,
    next: u64,
    outputs: VecDeque<Output>,
}

impl Function for Provisioner {
    fn handle(&mut self, _now: Instant, input: Input) {
        match input {
            Input::Order(order) => {
                let Ok(order) = order.0.downcast::<Provision>() else { return };
                self.next += 1;
                let commit = CommitId(self.next);
                self.waiting.insert(commit, order.number);
                self.outputs.push_back(Output::Store {
                    durability: Durability::Before,
                    changes: order.changes,
                    commit: Some(commit),
                });
            }
            Input::Committed { commit, result } => {
                if let Some(number) = self.waiting.remove(&commit) {
                    let report = Report(Box::new(Provisioned { number, result }));
                    self.outputs.push_back(Output::Report(report));
                }
            }
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
