//! The control door of a running process: a Unix domain socket for its owner, one JSON document per
//! line, an answer for each request.
//!
//! ```json
//! {"put":{"subscribers":[{"subscriber":{…}}],"replace":false}}
//! {"show":{"names":["tel:+491701"]}}   {"remove":{"names":[…]}}   {"list":{"after":null}}
//! {"ok":{"subscribers":[…],"more":false}}   {"error":"there is no subscriber …"}
//! ```

mod client;
mod desk;
mod server;
mod wire;

pub use client::{Client, ClientError};
pub use desk::{Asked, Desk};
pub use server::{Door, DoorError};

/// The longest line in bytes: a full page of subscribers with long filter criteria fits.
const MAX_LINE: u64 = 16 << 20;
