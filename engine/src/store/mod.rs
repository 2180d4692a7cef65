//! The store: what outlives a crash.
//!
//! [`DiskStore`] keeps records in one file (redb: ACID, no server), on the real disk or on a
//! [`SimulatedDisk`] that loses and tears what was not synced. [`MemoryStore`] forgets everything.
//!
//! `file`: how the file is opened; `batch`: what waits for a commit; `writer`: the thread that commits;
//! `shadow`: a file that cannot be written, opened to be read.

mod batch;
mod disk_store;
mod file;
mod memory;
mod shadow;
mod simulated_disk;
mod writer;

pub use disk_store::DiskStore;
pub use file::{Migrate, OpenError, Records, StoreConfig};
pub use memory::MemoryStore;
pub use simulated_disk::SimulatedDisk;

#[cfg(test)]
mod tests;
