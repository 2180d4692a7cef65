//! What the whole-system tests share: a network in the simulator, and one next to real programs.

#[cfg(feature = "interop")]
pub mod interop;
pub mod network;
pub use network::{Network, Phone};
