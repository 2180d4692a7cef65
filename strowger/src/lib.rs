//! The program: it reads what a person wants, builds the functions, and hands them to the engine.
//!
//! Nothing here decides anything about telephony. [`plan`] says which functions run where;
//! [`assembly`] builds them; [`framing`] and [`relay`] fit the protocols to the engine's sockets;
//! [`provision`] writes subscribers.

pub mod assembly;
pub mod config;
pub mod framing;
pub mod plan;
pub mod provision;
pub mod relay;
