//! ICE: which addresses of two ends reach each other, and whether they still do.
//!
//! | File | What |
//! |---|---|
//! | `attributes` | candidates and credentials in SDP (RFC 8839 §5) |
//! | `agent` | the checks of one component with one peer (RFC 8445), and consent (RFC 7675) |
//!
//! The checks themselves are the library's, `is`; what both ends said of themselves is [`base::relay`]'s. An agent has
//! one local candidate, the host's: a relay is where it says it is.
//!
//! Not done: candidates over TCP (RFC 6544), TURN of our own, names in candidates (mDNS: the peer's checks find it as
//! peer reflexive).

#![forbid(unsafe_code)]

mod agent;
mod attributes;

pub use agent::{Agent, Output};
pub use attributes::{candidate, credentials, parse_candidate, priority};
