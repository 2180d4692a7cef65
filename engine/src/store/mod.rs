//! The store: what outlives a crash.
//!
//! [`DiskStore`] keeps records in one file (redb: ACID, no server), on the real disk or on a
//! [`SimulatedDisk`] that loses and tears what was not synced. [`MemoryStore`] forgets everything.

mod disk_store;
mod memory;
mod shadow;
mod simulated_disk;

pub use disk_store::{DiskStore, Migrate, OpenError, Records, StoreConfig};
pub use memory::MemoryStore;
pub use simulated_disk::SimulatedDisk;

#[cfg(test)]
mod tests;
