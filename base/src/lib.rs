//! The few things that all floors of the house speak: the machine's verbs, flows, time, the timer
//! table, what is stored, what the relay is told, identities, randomness and redaction.
//!
//! Nothing here opens a socket, reads a clock or draws a random number: time, bytes and the seed of
//! the random numbers are handed in by whoever drives a machine.

#![forbid(unsafe_code)]

pub mod census;
pub mod dialling;
pub mod flow;
pub mod fnv;
pub mod identity;
pub mod log;
pub mod machine;
pub mod random;
pub mod redact;
pub mod relay;
pub mod slots;
pub mod source;
pub mod store;
pub mod time;
pub mod timer;
pub mod trust;
pub mod wildcard;

pub use bytes::Bytes;
pub use flow::{Endpoint, Flow, FlowError, FlowId, Service, Transport, WireId};
pub use log::{Event, Severity};
pub use machine::{Deadline, Function, Input, Order, Output, Report};
pub use random::Random;
pub use time::Instant;
