//! The test phone of an IMS network, as a sans-I/O machine: one [`Ue`] is one phone.
//!
//! | File | What |
//! |---|---|
//! | `config`, `order`, `report` | what a phone is told about itself, told to do, and tells |
//! | `phone` | the [`base::Function`]: what comes in goes to whom it concerns |
//! | `core` | what all parts stand on: stack, timers, requests under way |
//! | `registration`, `reg_event` | REGISTER, and the subscription to its state |
//! | `gruu` | GRUUs: learned by registering, used as Contact |
//! | `authenticate` | answers to challenges: Digest and Digest-AKA |
//! | `call` | a call's phases; `uac`, `uas`: who calls, who is called |
//! | `call/prack`, `precondition` | reliable provisional responses; reservations |
//! | `call/change`, `update`, `session_timer` | what we change, what they change, refreshes |
//! | `media` | sockets, RTP out and in, digits, RTCP |
//! | `transfer`, `call/transfer` | REFER and Replaces: a call is handed on |
//! | `message` | texts, OPTIONS, INFO |
//! | `short_message` | SMS over IP: sender and receiver |
//!
//! Covered: RFC 3261 (user agent), 3262, 3264, 3310, 3311, 3312 and 4032 (segmented),
//! 3323 (`Privacy`), 3325 (preferred identity), 3326, 3327 (Supported), 3428, 3515, 3550, 3581, 3608, 3680, 3840 and 3841
//! (feature tags), 3891, 3892, 4028, 4169, 4733, 5009 (Supported), 5626 §4.2, §4.3 and §4.5 (reg-id, the flow, back-off),
//! 5627, 5628, 6026, 6086, 6665, 7315, 7616, 8760; TS 24.229 §5.1 as a UE, TS 24.341 §5.3.1 and
//! §5.3.2, GSMA IR.92's call.
//!
//! Not done: security agreement and IPsec (TS 33.203), AMR, video, conferences,
//! STUN and ICE, emergency calls.

#![forbid(unsafe_code)]

mod authenticate;
mod call;
pub mod config;
mod core;
mod flows;
mod gruu;
mod media;
mod message;
pub mod order;
mod phone;
mod reg_event;
mod registration;
pub mod report;
mod short_message;
mod transfer;

pub use config::{Audio, Credential, Incoming, MediaConfig, Options, Retry, UeConfig};
pub use order::UeOrder;
pub use phone::Ue;
pub use report::{By, CallId, MediaReport, MediaStats, UeReport, What};
