//! Control of a media relay: the function behind the NG protocol.
//!
//! ```text
//! call (Call-ID) -> dialogue (two parties, each with its tag) -> stream (one m= line) -> two legs,
//! each a port pair of the relay that faces one party
//! ```
//!
//! An offer of a party opens a leg on either side; the description that goes on shows the leg that
//! faces the other party. Packets do not come to [`Media`]: it tells the packet path ([`Path`], in a thread of its own)
//! which ports to join ([`base::relay::Command`]) and hears what arrived ([`base::relay::Event`]).
//!
//! | File | What |
//! |---|---|
//! | `config` | interfaces, timeouts, limits |
//! | `call` | calls, dialogues, streams, legs |
//! | `rewrite` | what changes in a description |
//! | `crypto` | keys in SDP: what is offered and answered on each side (RFC 4568) |
//! | `statistics` | the answer to `query` and `delete` |
//! | `requests` | what each command does |
//! | `machine` | inputs, requests that wait for the packet path, timeouts |
//! | `path` | the packet path's core: what happens to a packet |
//!
//! Behaves as rtpengine does for `ping`, `offer`, `answer`, `delete`, `query` and `list`. Learning of
//! addresses, `strict-source` and `port-latching` are always as if set: sources are locked once
//! learned, and ports stay across offers.
//!
//! SRTP by keys in SDP: each side speaks it or not, whatever the other one does; of the flags `SDES-nonew`,
//! `SDES-no-SUITE` and `SDES-only-SUITE` are known.
//!
//! Not done: DTLS-SRTP (a description that needs it is refused), OSRTP, ICE (its attributes are always removed,
//! so that candidates cannot lead media past the relay), `replace` of user name, session name and
//! version, streams that are not RTP (refused with port 0), recording, playing, subscriptions.

#![forbid(unsafe_code)]

mod call;
mod config;
mod crypto;
mod machine;
mod path;
mod requests;
mod rewrite;
mod statistics;

pub use config::{Interface, MediaConfig, Timeouts};
pub use machine::Media;
pub use path::Path;
