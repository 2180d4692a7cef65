//! Diameter, sans-I/O: RFC 6733 (base protocol), RFC 3539 (watchdog), TS 29.228 and TS 29.229 (Cx).
//!
//! | Module | What | Standard |
//! |---|---|---|
//! | [`mod@frame`] | cutting a byte stream into messages | RFC 6733 §3 |
//! | [`header`], [`avp`], [`message`] | borrowed views and writers | RFC 6733 §3, §4 |
//! | [`dictionary`] | names, types, flags; data from `dictionary/*.txt` | |
//! | [`result`], [`fault`] | how a request ended, and what was wrong with it | RFC 6733 §7 |
//! | [`peer`], [`watchdog`] | the machines of one peer | RFC 6733 §5.6, RFC 3539 §3.4 |
//! | [`node`] | all peers of a function: what functions embed | RFC 6733 §5, §6 |
//! | [`cx`] | the commands between CSCFs and HSS | TS 29.229 |
//! | [`redact`] | where key material stands in a message | |
//!
//! A message walks up: bytes, [`Message`] (well formed, unknown AVPs untouched), typed command.
//! Not done: TLS and SCTP, redirects (3006), detection of duplicates by End-to-End Identifier
//! (requests of Cx may be repeated; those that may not look at the T-bit), accounting sessions.

#![forbid(unsafe_code)]

pub mod avp;
pub mod cx;
pub mod dictionary;
pub mod fault;
pub mod frame;
pub mod header;
pub mod message;
pub mod node;
pub mod peer;
pub mod redact;
pub mod result;
pub mod watchdog;

pub use avp::{Avp, Avps, Key, Writer};
pub use fault::Fault;
pub use frame::{Frame, frame};
pub use message::Message;
pub use node::{Node, NodeConfig};
pub use result::{ExperimentalCode, Outcome, ResultCode};
