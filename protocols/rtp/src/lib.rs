//! RTP and RTCP, what they carry, how well it arrived, and the core of a relay.
//!
//! | File | What |
//! |---|---|
//! | `packet` | RTP packets: a view and a builder |
//! | `rtcp` | RTCP compound packets: SR, RR, SDES, BYE |
//! | `demux` | telling RTP, RTCP and strangers apart |
//! | `reception` | reception statistics: loss, jitter, duplicates |
//! | `sound` | what packets carry, without decoding them: their length, silence |
//! | `event` | telephone-event payloads (digits) |
//! | `playout` | a playout buffer with a fixed delay |
//! | `quality` | the E-model: what a listener would say |
//! | `wav` | WAV files as bytes |
//! | `likeness` | whether what arrived is what was said |
//! | `prompts` | two spoken sentences |
//! | `forward` | the relay's core: which packet leaves by which port, to whom |
//!
//! Covered: RFC 3550 §5, §6 and Appendix A, RFC 3551 (audio), RFC 4733 §2, RFC 5761 §4, ITU-T
//! G.107 (with its defaults for everything but delay, loss and codec).
//!
//! Not done: RTCP APP and feedback packets (kept as unknown), SRTP, RTCP timing rules (§6.3),
//! adaptive playout, loss concealment.

#![forbid(unsafe_code)]

pub mod demux;
pub mod event;
pub mod forward;
pub mod likeness;
pub mod packet;
pub mod playout;
pub mod prompts;
pub mod quality;
pub mod reception;
pub mod rtcp;
pub mod sound;
pub mod wav;

pub use packet::{Builder, Packet, RtpError};
pub use reception::Reception;
