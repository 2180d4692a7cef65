//! HEP version 3, the Homer encapsulation protocol (also EEP): a captured message with its addresses
//! and its time, on its way to a collector such as Homer or sngrep.
//!
//! `HEP3`, the length of all, then chunks: a vendor, a type, a length, a value. The generic chunks are
//! those of vendor 0. There is no standard beyond sipcapture.org's "HEP3 Network Protocol
//! Specification"; numbers are big-endian.
//!
//! | File | What |
//! |---|---|
//! | `chunk` | the tolerant view: chunks of any kind, never a panic |
//! | `packet` | a whole packet of generic chunks; [`Packet::parse`] and [`Packet::emit`] |
//! | `content` | what the payload is |
//!
//! Unknown chunks and those of vendors are skipped. Not done: inflating a compressed payload, HEP
//! versions 1 and 2, the generic chunks 18 and above (VLAN, groups, media reports).

#![forbid(unsafe_code)]

mod chunk;
mod content;
mod packet;

pub use chunk::{Chunk, Chunks, kind};
pub use content::Content;
pub use packet::{EmitError, MOST_PAYLOAD, Packet, ParseError};
