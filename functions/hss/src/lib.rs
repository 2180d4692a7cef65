//! Home Subscriber Server as a sans-I/O machine: the Cx reference point (TS 29.228, TS 29.229) and
//! the authentication centre (TS 33.203, TS 33.102).
//!
//! | Module | What | Standard |
//! |---|---|---|
//! | [`subscriber`] | who a subscriber is, derived from a SIM or a password | TS 23.003 §13 |
//! | [`profile`] | initial filter criteria | TS 29.228 Annex B, TS 23.218 §5.2 |
//! | [`user_data`] | the Cx-User-Data document | TS 29.228 Annex B to E |
//! | [`mod@records`] | what the store holds, for the machine and for the command line | |
//! | [`import`] | Open5GS documents and CSV rows | |
//! | [`registration`] | registration state and what each request does to it | TS 29.228 §6 |
//! | [`machine`] | [`Hss`]: requests, loads, commits, answers | |
//! | `machine::operation` | [`Operation`]: what an operator did, as RTR or PPR | TS 29.228 §6.1.3, §6.2.2 |
//!
//! The store is the truth about subscribers: each request loads what it needs, so that others may
//! write while the HSS runs. Only registration state and reserved blocks of sequence numbers are
//! kept in memory.
//!
//! Not done: wildcarded identities of subscribers, several private identities that share a public
//! one, new SIP Digest data in a PPR, Sh, S6a and SWx.

#![forbid(unsafe_code)]

pub mod import;
pub mod machine;
pub mod password;
pub mod profile;
pub mod psi;
pub mod records;
pub mod registration;
pub mod subscriber;
pub mod user_data;

mod authentication;

pub use machine::{Hss, HssConfig, Operation, OperationKind};
pub use psi::Psi;
pub use records::{records, removal, replacement};
pub use subscriber::{Credential, ImplicitSet, PublicIdentity, Subscriber, SubscriberError};
