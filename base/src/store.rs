//! What must outlive a crash, as outputs of the machines and inputs to them.

use bytes::Bytes;

/// A table of the store, named by the function that owns it, such as `"scscf.binding"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Table(pub &'static str);

/// How soon a change must be durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// The answer waits for the commit: subscribers, SQN blocks, accepted texts, money.
    Before,
    /// A group commit within 50 ms, and nobody waits: bindings, confirmed dialogs, sessions.
    Behind,
}

/// One changed record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Write a record.
    Put {
        /// The table.
        table: Table,
        /// The record's key.
        key: Bytes,
        /// The record's value.
        value: Bytes,
    },
    /// Remove a record; removing what is not there is no error.
    Delete {
        /// The table.
        table: Table,
        /// The record's key.
        key: Bytes,
    },
}

/// A number that the asker chose to recognise the answer to a load by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LoadId(pub u64);

/// A number that the asker chose to recognise the answer to a commit by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CommitId(pub u64);

/// Why the store did not do what it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum StoreError {
    /// No space is left.
    #[error("the store is full")]
    Full,
    /// The file or its file system cannot be written.
    #[error("the store is read-only")]
    ReadOnly,
    /// Anything else that the disk did.
    #[error("the store failed")]
    Failed,
}
