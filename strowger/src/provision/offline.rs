//! The provisioner on a store file that no process runs.

use base::machine::{Function, Input, Order};
use base::store::StoreError;
use base::{Instant, Output};
use engine::DiskStore;
use engine::shard::Store;

use super::{Answer, Ask, Found, Provisioner, Refusal, Request, TABLES};

/// Drives a [`Provisioner`] by hand.
pub struct Offline {
    store: DiskStore,
    provisioner: Provisioner,
}

impl Offline {
    /// Takes an open store.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn new(mut store: DiskStore) -> Result<Offline, StoreError> {
        let mut provisioner = Provisioner::default();
        for table in TABLES {
            store.restore(*table, &mut |key, value| {
                let table = *table;
                provisioner.handle(Instant::EPOCH, Input::Restored { table, key, value });
            })?;
        }
        Ok(Offline { store, provisioner })
    }

    /// Does or finds what is asked.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn ask(&mut self, ask: Ask) -> Result<Found, Refusal> {
        let now = Instant::EPOCH;
        self.provisioner.handle(now, Input::Order(Order(Box::new(Request { number: 0, ask }))));
        while let Some(output) = self.provisioner.poll() {
            match output {
                Output::Load { load, table, key } => {
                    let value = self.store.load(table, &key);
                    self.provisioner.handle(now, Input::Loaded { load, value });
                }
                Output::Store { durability, changes, commit } => {
                    self.store.write(now, durability, changes);
                    let result = self.store.commit(now);
                    if let Some(commit) = commit {
                        self.provisioner.handle(now, Input::Committed { commit, result });
                    }
                }
                Output::Report(report) => {
                    if let Ok(answer) = report.0.downcast::<Answer>() {
                        return answer.result;
                    }
                }
                _ => {}
            }
        }
        Err(Refusal::Store(StoreError::Failed))
    }
}
