//! SRTP and SRTCP: packets are protected and taken apart in place, without an allocation for each of them.
//!
//! | File | What |
//! |---|---|
//! | `key` | the session keys that come of a master key (RFC 3711 §4.3) |
//! | `transform` | ciphers and authentication: AES-CM (RFC 3711, RFC 6188), f8, NULL, AEAD GCM (RFC 7714) |
//! | `hmac` | HMAC-SHA1 (RFC 2104) that keeps no more of a session than it needs |
//! | `index` | which packet a sequence number means, and whether it came before (§3.3.1, §3.3.2) |
//! | `session` | one direction of a stream: [`Outbound`] and [`Inbound`] |
//! | `sdes` | `a=crypto` (RFC 4568) |
//!
//! Suites and master keys are [`base::relay`]'s: media control tells them to the packet path. A session of each
//! direction has one master key. What another node needs to go on with it are the master key and
//! the index of each source: [`Sources::indices`], [`Sources::resume`].
//!
//! Not done: key derivation rates other than 0, several master keys of one session (MKIs are written, and have to be
//! those that were agreed), EKT, UNENCRYPTED and UNAUTHENTICATED session parameters of SRTCP.

#![forbid(unsafe_code)]

mod hmac;
mod index;
mod key;
pub mod sdes;
mod session;
mod transform;

pub use session::{Inbound, Outbound, Sources, SrtpError};
