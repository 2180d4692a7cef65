//! The control door of a running process: a Unix domain socket for its owner, one JSON document per
//! line, an answer for each request.
//!
//! ```json
//! {"put":{"subscribers":[{"subscriber":{…}}],"replace":false,"check":false}}
//! {"show":{"names":["tel:+491701"]}}   {"remove":{"names":[…]}}   {"list":{"after":null}}
//! {"bar":{"names":[…],"barred":true}}   {"deregister":{"names":[…],"again":false,"reason":null}}
//! {"ok":{"subscribers":[…],"more":false}}   {"error":"there is no subscriber …"}
//! ```
//!
//! The configuration is read anew; the keys that changed are told.
//!
//! ```json
//! {"reload":{}}   {"reloaded":{"live":["trust.networks"],"restart":["pcscf.listen"]}}
//! ```
//!
//! One request is answered with many lines: messages that crossed, as [`ladder::json`] writes them.
//!
//! ```json
//! {"trace":{"who":["tel:+491701"],"follow":false,"secrets":false}}
//! {"at":…,"service":"sip",…}   {"end":{"forgotten":0,"lost":0}}
//! {"trace":{"follow":true}}
//! {"following":{}}   {"at":…}   {"lost":3}   {"at":…}   … until the client closes
//! ```
//!
//! So is this one, with what was logged lately.
//!
//! ```json
//! {"events":{}}
//! {"event":{"at":…,"from":"scscf.…","counter":"scscf.refused",…}}   {"end":{"forgotten":0,"lost":0}}
//! ```

mod client;
mod desk;
mod server;
mod watch;
mod wire;

pub use client::{Client, ClientError, Told, Watching};
pub use desk::{Asked, Desk};
pub use server::{Behind, Door, DoorError};
pub use watch::Watch;

/// The longest line in bytes: a full page of subscribers with long filter criteria fits.
const MAX_LINE: u64 = 16 << 20;
