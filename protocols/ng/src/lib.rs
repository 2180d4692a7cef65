//! The NG control protocol of media relays, as rtpengine speaks it, and its client.
//!
//! A datagram is a cookie, a space and a dictionary, in bencode or in JSON; the answer carries the
//! same cookie and the same encoding. There is no standard: what real peers send is in
//! `tests/captures`.
//!
//! | File | What |
//! |---|---|
//! | `value` | the tree that both encodings mean |
//! | `bencode`, `json` | the encodings |
//! | `message` | cookie and dictionary |
//! | `request` | commands and their options, typed; unknown ones stay accessible |
//! | `flags` | options as one string (`rtpp_flags`) |
//! | `response` | results |
//! | `framing` | messages on a byte stream (NG over TCP), lines of commands |
//! | `cookies` | answers to requests that come twice |
//! | `client` | who asks a relay: retransmission, matching, finding the relay |
//!
//! Typed commands: `ping`, `offer`, `answer`, `delete`, `query`, `list`. Not done: codec verbs,
//! recording, playing and subscriptions as typed options (they are in [`Request::other`]).

#![forbid(unsafe_code)]

pub mod bencode;
pub mod client;
pub mod cookies;
mod flags;
pub mod framing;
pub mod json;
pub mod message;
pub mod request;
pub mod response;
pub mod value;

pub use client::{Client, ClientError, ClientEvent, RequestId};
pub use cookies::{Cookies, Seen};
pub use message::{Encoding, Message, MessageError};
pub use request::{Command, Request};
pub use response::{Outcome, Response};
pub use value::{Dict, Value};
