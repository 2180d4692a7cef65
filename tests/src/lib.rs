//! What the whole-system tests share: a network in the simulator, what happens in it from a seed, what
//! must hold then, and a network next to real programs.
//!
//! - [`network`]: a whole IMS and its phones on simulated hosts.
//! - [`nodes`]: the same with nodes that share registrations, by a [`valkey`] with its bad days.
//! - [`calamity`]: everything that can break does, everywhere; all from one seed.
//! - [`doors`]: a network with two P-CSCFs.
//! - [`scenario`]: phones register, call and deregister while things break; all from one seed.
//! - [`raw`]: a phone that also sends what it is told to, byte for byte.
//! - [`server`]: an application server between two passes of the S-CSCF.
//! - [`ear`]: overhears what reaches a host.
//! - [`wire`]: RFC 3261's timers, checked on the wire.
//! - [`flooder`]: somebody who sends as much as he likes.
//! - [`faulty`]: planted faults, to see that the invariants find them.
//! - `interop` (feature `interop`): foreign programs in network namespaces of their own.

pub mod calamity;
pub mod doors;
pub mod ear;
pub mod faulty;
pub mod flooder;
#[cfg(feature = "interop")]
pub mod interop;
pub mod network;
pub mod nodes;
mod places;
pub mod raw;
pub mod scenario;
pub mod server;
pub mod valkey;
pub mod wire;
pub use faulty::Fault;
pub use network::{Network, Phone};
pub use nodes::Nodes;
pub use scenario::{Scenario, Verdict};
