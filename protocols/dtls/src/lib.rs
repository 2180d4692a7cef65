//! Keys for SRTP by a DTLS handshake on the media's own port.
//!
//! | File | What |
//! |---|---|
//! | `certificate` | our self-signed certificate and its fingerprints (RFC 8122) |
//! | `setup` | `a=setup`: who begins (RFC 4145, RFC 8842) |
//! | `session` | one handshake, and the keys that come of it (RFC 5764) |
//!
//! DTLS 1.2 and 1.3 themselves are the library's, `dimpl`. A certificate proves nothing but that it is the one whose
//! fingerprint was signalled: [`Session`] gives out no key before it has seen it.
//!
//! Not done: DTLS 1.0, certificates with RSA keys (old phones have them), the profiles SRTP_AES128_CM_HMAC_SHA1_32 and SRTP_NULL_*.

#![forbid(unsafe_code)]

mod certificate;
mod session;
mod setup;

pub use certificate::{Certificate, CertificateError, is_of};
pub use session::{Output, Session};
pub use setup::Setup;
