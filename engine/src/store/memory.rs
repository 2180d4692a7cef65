//! A store that forgets everything with the process.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;

use base::store::{Change, Durability, StoreError, Table};
use base::{Bytes, Event, Instant};

use crate::shard::{Store, Wake};

/// Records in memory; every commit succeeds at once.
#[derive(Debug, Default)]
pub struct MemoryStore {
    tables: BTreeMap<Table, BTreeMap<Bytes, Bytes>>,
    /// Somebody may wait to hear that the commit is done.
    dirty: bool,
}

impl Store for MemoryStore {
    fn restore(
        &mut self,
        table: Table,
        record: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<(), StoreError> {
        for (key, value) in self.tables.entry(table).or_default() {
            record(key.clone(), value.clone());
        }
        Ok(())
    }

    fn load(&mut self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.tables.get(&table).and_then(|records| records.get(key)).cloned())
    }

    fn keys(
        &mut self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Bytes>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let records = self.tables.entry(table).or_default();
        let range = records.range::<[u8], _>((start, Bound::Unbounded));
        Ok(range.take(limit).map(|(key, _)| key.clone()).collect())
    }

    fn write(&mut self, _: Instant, _: Durability, changes: Vec<Change>) {
        self.dirty = true;
        for change in changes {
            match change {
                Change::Put { table, key, value } => {
                    self.tables.entry(table).or_default().insert(key, value);
                }
                Change::Delete { table, key } => {
                    if let Some(records) = self.tables.get_mut(&table) {
                        records.remove(&key);
                    }
                }
            }
        }
    }

    fn write_aside(&mut self, _: Wake) -> io::Result<()> {
        Ok(())
    }

    fn begin(&mut self, _: Instant) {}

    fn ended(&mut self, now: Instant) -> Option<Result<(), StoreError>> {
        Some(self.commit(now))
    }

    fn commit(&mut self, _: Instant) -> Result<(), StoreError> {
        self.dirty = false;
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.dirty.then_some(Instant::EPOCH)
    }

    fn event(&mut self) -> Option<Event> {
        None
    }
}
