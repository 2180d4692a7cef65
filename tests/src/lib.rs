//! What the whole-system tests share: a network in the simulator.

pub mod network;
pub use network::{Network, Phone};
