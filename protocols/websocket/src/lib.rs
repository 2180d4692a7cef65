//! WebSocket, RFC 6455, as a server speaks it, without I/O.
//!
//! | File | What |
//! |---|---|
//! | `handshake` | the answer to a client that asks for it (§4.2) |
//! | `frame` | frames: headers, masks, what is forbidden (§5) |
//! | `reader` | messages and control frames out of bytes as they arrive (§5.4, §5.5) |
//!
//! Not done: extensions, which are never agreed on; the client's handshake.

#![forbid(unsafe_code)]
// Entry points are not inlined: this crate is compiled for size, and who calls it is not.

mod frame;
mod handshake;
mod reader;

pub use frame::{Opcode, Violation, close, frame, masked};
pub use handshake::{Handshake, VERSION};
pub use reader::{Event, Reader};
