//! SIP, RFC 3261 and what a GSMA IR.92 handset sends, as values and sans-I/O machines.
//!
//! Bottom up:
//!
//! - [`lex`]: quotes, commas, parameters; borrowed, never panics.
//! - [`message`]: a [`Message`] keeps the datagram that it came in and rewrites only what is touched.
//! - [`header`]: one file per header field, all of one shape: `parse(&str)` and `Display`.
//! - [`uri`]: `sip:`, `sips:` (RFC 3261 §19.1) and `tel:` (RFC 3966); [`service_urn`]: RFC 5031;
//!   [`gruu`]: RFC 5627.
//! - [`transaction`]: the four machines of RFC 3261 §17 with RFC 6026, one file each, and their timers.
//! - [`stack`]: transport (§18), targets (RFC 3263), transactions and overload control (RFC 7339) of one
//!   function, put together.
//! - [`framing`]: where a message ends on a stream (§18.3), and [`stun`]: keep-alives there and over UDP, RFC 5626.
//! - [`dialog`]: RFC 3261 §12; [`session_timer`]: RFC 4028.
//! - [`features`]: what a phone can and a caller prefers, RFC 3840 and 3841.
//! - [`reginfo`]: the document of the reg event package, RFC 3680 §5 and RFC 5628.
//!
//! Not here: SDP (a body is bytes, reginfo excepted), TLS, which of its flows a phone is reached by (RFC 5626).

#![forbid(unsafe_code)]

pub mod dialog;
pub mod features;
pub mod framing;
pub mod gruu;
pub mod header;
pub mod lex;
pub mod message;
pub mod method;
pub mod reginfo;
pub mod service_urn;
pub mod session_timer;
pub mod stack;
pub mod status;
pub mod stun;
pub mod transaction;
pub mod uri;

pub use dialog::Dialog;
pub use header::HeaderName;
pub use message::{Message, ParseError};
pub use method::Method;
pub use service_urn::ServiceUrn;
pub use stack::{Admission, ClientId, Event, Failure, Hop, ServerId, Stack, StackConfig};
pub use uri::{SipUri, Uri};
