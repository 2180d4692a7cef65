//! What was written and is not committed yet.

use std::collections::BTreeMap;

use base::Bytes;
use base::store::{Change, Durability, Table};
use redb::{Database, TableDefinition, WriteTransaction};

type Key = (Table, Bytes);
type Stored<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;

/// The effect of changes: `None` is a deleted record.
pub(super) type Overlay = BTreeMap<Key, Option<Bytes>>;

/// Changes that one commit makes durable, all or none.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    /// In order.
    changes: Vec<(Durability, Vec<Change>)>,
    overlay: Overlay,
    bytes: usize,
}

impl Batch {
    pub(super) fn add(&mut self, durability: Durability, changes: Vec<Change>) {
        for change in &changes {
            self.bytes += put(&mut self.overlay, change);
        }
        self.changes.push((durability, changes));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What whoever reads sees of it.
    pub(super) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Bytes of all keys and values.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// It could not be committed: what is left of it, followed by what was written later. Many
    /// changes of one record are one change from here on.
    pub(super) fn undone(self, later: Batch) -> Batch {
        let mut behind = Overlay::new();
        let kept = self.changes.iter().filter(|(durability, _)| *durability == Durability::Behind);
        for change in kept.flat_map(|(_, changes)| changes) {
            put(&mut behind, change);
        }
        let net = behind.into_iter().map(|((table, key), value)| match value {
            Some(value) => Change::Put { table, key, value },
            None => Change::Delete { table, key },
        });
        let net: Vec<Change> = net.collect();
        let mut left = Batch::default();
        if !net.is_empty() {
            left.add(Durability::Behind, net);
        }
        later.changes.into_iter().for_each(|(durability, changes)| left.add(durability, changes));
        left
    }

    /// Makes it durable.
    pub(super) fn apply(&self, database: &Database) -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        // Opening after a crash must not read the whole file.
        transaction.set_quick_repair(true);
        self.apply_to(&transaction)?;
        transaction.commit()?;
        Ok(())
    }

    pub(super) fn apply_to(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut open: Option<(Table, Stored<'_>)> = None;
        for ((table, key), value) in &self.overlay {
            if open.as_ref().is_none_or(|(of, _)| of != table) {
                drop(open.take());
                open = Some((*table, transaction.open_table(definition(*table))?));
            }
            if let Some((_, stored)) = &mut open {
                match value {
                    Some(value) => drop(stored.insert(&key[..], &value[..])?),
                    None => drop(stored.remove(&key[..])?),
                }
            }
        }
        Ok(())
    }
}

pub(super) fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.0)
}

/// Notes a change in an overlay; the bytes that it holds.
fn put(overlay: &mut Overlay, change: &Change) -> usize {
    let (key, value) = match change {
        Change::Put { table, key, value } => ((*table, key.clone()), Some(value.clone())),
        Change::Delete { table, key } => ((*table, key.clone()), None),
    };
    let size = key.1.len() + value.as_ref().map_or(0, Bytes::len);
    overlay.insert(key, value);
    size
}
