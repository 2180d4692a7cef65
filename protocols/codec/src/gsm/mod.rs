//! GSM full rate (ETSI EN 300 961, formerly GSM 06.10): 160 samples at 8000 Hz in 33 bytes.
//!
//! The arithmetic is the standard's own, 16 bits with saturation, and so is the result to the last bit. In brackets
//! stand the standard's clauses; the tables are those of its clause 5.4.
//!
//! | File | What |
//! |---|---|
//! | `mod` | frames and bytes |
//! | `arithmetic` | the standard's operations (5.1) |
//! | `parameters` | the 76 parameters of a frame, in 33 bytes (RFC 3551 §4.5.8) |
//! | `reflection` | the short term filter: its coefficients and both its directions (5.2.4 to 5.2.10, 5.3.3, 5.3.4) |
//! | `analysis` | encoding (5.2) |
//! | `pulses` | the regular pulses of a quarter (5.2.13 to 5.2.17) |
//! | `synthesis` | decoding (5.3) |

mod analysis;
mod arithmetic;
mod parameters;
mod pulses;
mod reflection;
mod synthesis;

pub use analysis::Encoder;
pub use synthesis::Decoder;

/// Samples of a frame.
pub const FRAME: usize = 160;
/// Bytes of a frame.
pub const BYTES: usize = 33;
