//! The program: it reads what a person wants, builds the functions, and hands them to the engine.
//!
//! Nothing here decides anything about telephony. [`plan`] says which functions run where;
//! [`assembly`] builds them; [`framing`] and [`relay`] fit the protocols to the engine's sockets;
//! [`provision`] reads and writes subscribers, behind the [`control`] door or without a process.
//! [`config`] is the file, [`password`] those that it names, [`state`] where things are kept, [`run`] the
//! running process, [`cli`] the commands, [`recorder`] what crossed lately, [`observe`] what is shown to
//! other programs over [`http`] and HEP, [`tls`] the certificates, [`shared`] what several nodes have in
//! common, [`resp_door`] the store as `redis-cli` sees it, [`phones`] test phones for any server, [`log`]
//! what is written down, [`doctor`] what would stop a call, [`events`] what was logged lately, [`explain`]
//! why something was refused, and [`demo`] a call that proves itself.

pub mod api;
pub mod archive;
pub mod assembly;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod events;
pub mod explain;
pub mod framing;
pub mod http;
pub mod log;
pub mod observe;
pub mod password;
pub mod phones;
mod places;
pub mod plan;
pub mod provision;
pub mod recorder;
pub mod recordings;
pub mod relay;
pub mod reload;
pub mod resp_door;
pub mod run;
pub mod shared;
pub mod sounds;
pub mod state;
pub mod tls;

/// What our phones call themselves in User-Agent and Server.
pub const PRODUCT: &str = concat!("Strowger/", env!("CARGO_PKG_VERSION"));
