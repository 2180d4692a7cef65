//! Control of a media relay: the function behind the NG protocol.
//!
//! ```text
//! call (Call-ID) -> dialogue (two parties, each with its tag) -> stream (one m= line) -> two legs,
//! each a port pair of the relay that faces one party
//! ```
//!
//! An offer of a party opens a leg on either side; the description that goes on shows the leg that
//! faces the other party. Packets never come here: [`Media`] tells the packet path which ports to
//! join ([`base::relay::Command`]) and hears what arrived ([`base::relay::Event`]).
//!
//! | File | What |
//! |---|---|
//! | `config` | interfaces, timeouts, limits |
//! | `call` | calls, dialogues, streams, legs |
//! | `rewrite` | what changes in a description |
//! | `statistics` | the answer to `query` and `delete` |
//! | `requests` | what each command does |
//! | `machine` | inputs, requests that wait for the packet path, timeouts |
//!
//! Behaves as rtpengine does for `ping`, `offer`, `answer`, `delete`, `query` and `list`. Learning of
//! addresses, `strict-source` and `port-latching` are always as if set: sources are locked once
//! learned, and ports stay across offers.
//!
//! Not done: SRTP (a description that needs it is refused), ICE (its attributes are always removed,
//! so that candidates cannot lead media past the relay), `replace` of user name, session name and
//! version, streams that are not RTP (refused with port 0), recording, playing, subscriptions.

#![forbid(unsafe_code)]

mod call;
mod config;
mod machine;
mod requests;
mod rewrite;
mod statistics;

pub use config::{Interface, MediaConfig, Timeouts};
pub use machine::Media;
