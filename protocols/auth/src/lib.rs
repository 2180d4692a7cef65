//! Authentication of telephone subscribers, as pure functions: no clock, no randomness of its own.
//!
//! | Module | What | Standard |
//! |---|---|---|
//! | [`milenage`] | f1, f1*, f2, f3, f4, f5, f5*, OPc | TS 35.206 (vectors: TS 35.208) |
//! | [`sqn`] | sequence numbers: generation, freshness, resynchronisation | TS 33.102 Annex C |
//! | [`aka`] | authentication vectors, AUTN and AUTS, both sides | TS 33.102 §6.3 |
//! | [`digest`] | HTTP Digest: MD5, SHA-256, SHA-512-256, `-sess`, auth, auth-int | RFC 2617, 7616, 8760 |
//! | [`digest_aka`] | AKA inside Digest: nonce, `auts`, AKAv1 and AKAv2 passwords | RFC 3310, RFC 4169 |
//! | [`hex`] | hexadecimal text of keys | |
//! | [`seal`] | tokens that only their maker can read | RFC 2104, after RFC 5297 |
//!
//! Header fields (WWW-Authenticate, Authorization) are the SIP crate's business; this crate takes
//! and returns their parameter values. Not done: TUAK (TS 35.231), the anonymity key being optional
//! (f5 is always applied), the `userhash` parameter of RFC 7616.

#![forbid(unsafe_code)]

pub mod aka;
pub mod digest;
pub mod digest_aka;
pub mod hex;
pub mod milenage;
pub mod seal;
pub mod sqn;

use subtle::ConstantTimeEq;

/// Compares two secrets in a time that depends on their lengths only.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
