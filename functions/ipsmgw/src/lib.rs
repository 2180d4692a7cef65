//! IP-SM-GW, TS 24.341 §5.3.3, with the service centre of TS 23.040 behind it as one sans-I/O machine: it
//! takes texts of registered phones from the S-CSCF, keeps them, and delivers them through the I-CSCF.
//!
//! - [`config`]: where it stands, its number, its limits.
//! - `gateway`: the machine.
//! - `submit`: what phones send: SMS-SUBMIT, answers, RP-SMMA (§5.3.3.3, TS 24.011).
//! - `deliver`: what phones get, and what becomes of it (§5.3.3.4, TS 23.040 §3.2.2 and §3.3).
//! - `queue`: the texts that wait, by recipient and in order.
//! - [`record`]: what is stored of them.
//!
//! A text is accepted (RP-ACK) when it is durable. One is under way to a recipient at a time; it is tried
//! again after a while that doubles, when the recipient registers (third-party REGISTER, TS 24.229
//! §5.4.1.7), and when his phone says that it has memory again (RP-SMMA), until its validity period ends.
//! Its sender gets a status report if he asked for one.
//!
//! Not here: SMS-COMMAND (refused), circuit-switched delivery and everything MAP, the reg event
//! package, transport of instant messages (TS 29.311), SMPP.

#![forbid(unsafe_code)]

pub mod config;
mod deliver;
mod gateway;
mod queue;
pub mod record;
mod submit;

pub use config::{Dialling, IpSmGwConfig, Limits, Patience};
pub use gateway::IpSmGw;
pub use record::{TABLE, is_record};
