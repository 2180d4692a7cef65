//! Records that several nodes share on a Valkey or Redis server.
//!
//! Every node has all records of its tables in memory, hears of every change that another one makes, and
//! goes on with what it has when the server is away. So no request of a phone ever waits for the server,
//! and whoever gets a request may serve it: a node that died leaves nothing that the others have not.
//!
//! **Ownership.** A record's *epoch* is the number of the change that wrote it last, counted by the server
//! over all records. Who writes says which epoch he knows; one script on the server compares, and writes
//! only if it is still the record's: whoever wrote last owns the record. A node whose epoch is over is told
//! what is there now, and goes on with that.
//!
//! **On the server** there are, all with one hash tag so that a cluster keeps them together:
//!
//! | key | what |
//! |---|---|
//! | `{prefix}:birth` | a random word that the first node wrote: another one means that the server forgot everything |
//! | `{prefix}:epoch` | the number of the last change |
//! | `{prefix}:changes` | a stream of the latest changes, which the nodes follow |
//! | `{prefix}:TABLE` | a hash: each record's epoch, the node that wrote it, and its value |
//!
//! - [`SharedConfig`]: which server, which node.
//! - [`Shared`]: the function that keeps the records, see `base::Function::keeps`.
//! - `connection`: commands and their answers on one connection. `command`: what is said on it.
//! - [`Door`]: apart from all that, a read-only door into a store for `redis-cli`.
//! - `records`: what is known of each record, and what becomes of it.
#![forbid(unsafe_code)]

mod command;
mod config;
mod connection;
mod door;
mod machine;
mod records;

pub use command::{Held, SCRIPT};
pub use config::SharedConfig;
pub use door::{Door, DoorConfig};
pub use machine::Shared;
