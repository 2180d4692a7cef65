//! Runs Strowger's machines.

pub mod framing;
pub mod relay;
pub mod shard;
pub mod sim;
pub mod store;
