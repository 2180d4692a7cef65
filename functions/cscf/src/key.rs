//! A key that a function seals with. It stands in the store, so that what was sealed outlives a restart and is
//! good at every node that shares the table.

use auth::seal::Seal;
use base::redact::Secret;
use base::store::{Change, Durability, Table};
use base::{Bytes, Output, Random};

/// The record that holds it.
const KEY: &[u8] = b"key";

/// The key of a table.
#[derive(Debug)]
pub(crate) struct StoredKey {
    table: Table,
    seal: Seal,
    /// The key, as long as the store does not have it.
    unsaved: Option<Secret<[u8; 32]>>,
}

impl StoredKey {
    /// A new one, which holds unless the store has another.
    pub(crate) fn new(table: Table, mut random: Random) -> StoredKey {
        let key = Secret::new(random.bytes());
        StoredKey { table, seal: Seal::new(&key), unsaved: Some(key) }
    }

    /// What it seals with.
    pub(crate) fn seal(&self) -> &Seal {
        &self.seal
    }

    /// The store has a key.
    pub(crate) fn restore(&mut self, value: &[u8]) {
        let Ok(key) = value.try_into() else { return };
        self.seal = Seal::new(&Secret::new(key));
        self.unsaved = None;
    }

    /// The first start: the key is written down.
    pub(crate) fn start(&mut self) -> Option<Output> {
        let value = Bytes::copy_from_slice(self.unsaved.take()?.reveal());
        let change = Change::Put { table: self.table, key: Bytes::from_static(KEY), value };
        Some(Output::Store { durability: Durability::Behind, changes: vec![change], commit: None })
    }
}

/// Whether a record of such a table can be read.
pub(crate) fn is_record(key: &[u8], value: &[u8]) -> bool {
    key == KEY && value.len() == 32
}
