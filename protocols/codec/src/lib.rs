//! Speech codecs, and what is done to sound between them.
//!
//! | File | What |
//! |---|---|
//! | `coder` | what every codec can do, and which one an encoding needs |
//! | `g711` | PCMA and PCMU |
//! | `g722` | G.722 at 64 kbit/s |
//! | `gsm` | GSM full rate |
//! | `g729` | G.729 with Annex A |
//! | `amr` | AMR and AMR-WB |
//! | `opus` | Opus |
//! | `l16` | samples as they are |
//! | `comfort` | comfort noise |
//! | `conceal` | what stands in for a packet that did not come |
//! | `resample` | from one sampling rate to another |
//! | `tone` | tones, and the digits made of them |
//! | `dtmf` | hearing digits |
//! | `voice` | whether somebody speaks |
//! | `mix` | several voices in one |
//! | `stoi` | how well a copy of speech is understood |
//!
//! Covered: ITU-T G.711, G.722 (mode 1), ETSI EN 300 961 (GSM 06.10) without discontinuous transmission, RFC 3551 §4.5
//! (those codecs' payloads), G.729 with Annex A (Annex B is heard), AMR and AMR-WB (RFC 4867 without CRC, sorting and interleaving),
//! Opus (RFC 6716, RFC 7587; one channel of 16,000 Hz, without its forward error correction), RFC 3389 (level and spectrum are heard, the level alone is sent), ITU-T Q.23 and Q.24
//! (DTMF).
//!
//! Samples are linear, 16 bits, interleaved if there are several channels.

#![deny(unsafe_code)]

pub mod amr;
pub mod coder;
pub mod comfort;
pub mod conceal;
pub mod dtmf;
pub mod g711;
pub mod g722;
pub mod g729;
pub mod gsm;
pub mod l16;
pub mod mix;
pub mod opus;
pub mod resample;
pub mod stoi;
pub mod tone;
pub mod voice;

pub use coder::{Corrupt, Decode, Encode, decoder, encoder};
