//! Session descriptions, and the machine that offers and answers them.
//!
//! | File | What |
//! |---|---|
//! | `section` | the lines of one level, kept byte for byte; finding, replacing, inserting |
//! | `session` | a description: the session level and its media sections |
//! | `media` | one media section: port, profile, formats, attributes |
//! | `value` | what stands behind `o=`, `c=`, `m=` and the attributes we understand |
//! | `codec` | codecs, static payload types, matching |
//! | `offer_answer` | offer/answer for one audio stream, hold and resume |
//! | `precondition` | quality-of-service preconditions |
//!
//! Covered: RFC 4566 and RFC 8866 (grammar as far as a relay and a telephone need it), RFC 3264,
//! RFC 3605 (`a=rtcp`), RFC 5761 §5.1.1 (`a=rtcp-mux`), RFC 3312 and RFC 4032 (segmented QoS),
//! RFC 4733 §7.1.1 (`telephone-event`).
//!
//! Not done: capability negotiation (RFC 5939), bundling (RFC 9143), trickle ICE, key management,
//! end-to-end preconditions, AMR and AMR-WB (they are not offered before they can be spoken).

#![forbid(unsafe_code)]

mod build;
pub mod codec;
pub mod media;
pub mod offer_answer;
pub mod precondition;
mod section;
mod session;
mod value;

pub use codec::Codec;
pub use media::Media;
pub use offer_answer::{Negotiated, OfferAnswer};
pub use precondition::Preconditions;
pub use section::Section;
pub use session::{ParseError, Session};
pub use value::{Connection, Direction, MediaLine, Origin, Rtcp, RtpMap};
