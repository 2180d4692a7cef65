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
//! | `origin` | who a description is from, as its reader sees it |
//! | `codecs/` | codecs that are taken out, added and converted |
//! | `crypto` | keys in SDP: what is offered and answered on each side (RFC 4568) |
//! | `handshake` | the same of DTLS (RFC 5763) |
//! | `connectivity` | the same of ICE (RFC 8839) |
//! | `statistics` | the answer to `query` and `delete` |
//! | `totals` | what was done since the start |
//! | `playing` | sounds that a party hears in place of the other one |
//! | `dialling` | digits that are said for a party, and the log of those that it says |
//! | `recording/` | calls that are recorded |
//! | `takeover/` | calls that go on when their relay dies |
//! | `subscribing` | who else hears |
//! | `gates` | what of a party's packets does not pass |
//! | `verdict` | what is wrong with the sound of a leg, in words |
//! | `listening` | when somebody listens, and who is told |
//! | `requests` | what each command does |
//! | `words` | words of requests, however they are written |
//! | `doors/` | the ways in beside a datagram: TCP, HTTP, WebSocket, the command line |
//! | `machine` | inputs, requests that wait for the packet path, timeouts |
//! | `path/` | the packet path's core: what happens to a packet |
//!
//! Behaves as rtpengine does for `ping`, `offer`, `answer`, `delete`, `query`, `list`, `block` and `unblock` of media and
//! DTMF, `silence media` and `unsilence media`, `play media` and `stop media`, `play DTMF`, `start`, `pause` and `stop recording`, `subscribe` and `unsubscribe`. Learning of
//! addresses, `strict-source` and `port-latching` are always as if set: sources are locked once
//! learned, and ports stay across offers.
//!
//! SRTP by keys in SDP or by DTLS, and ICE: each side speaks it or not, whatever the other one does. Known are
//! `transport-protocol`, `ICE=remove|force|default|optional`, `ICE-lite`, `DTLS=off|passive`, `DTLS-fingerprint`, `generate-mid`, and of `SDES` the words
//! `off`, `nonew`, `no-SUITE` and `only-SUITE`, as flags or as a list.
//!
//! Codecs: the lists `strip offer except mask consume accept transcode` of `codec` and the flags that mean the same,
//! `always-transcode`, `single-codec`, `ptime`, `ptime-reverse`.
//!
//! Not done: OSRTP, `codec-set`, `codec-ignore`, `ICE=force-relay` (acts as `force`, with a warning), trickled candidates,
//! streams that are not RTP (refused with port 0),
//! `publish`, `start forwarding`.

#![forbid(unsafe_code)]

mod call;
mod codecs;
mod config;
mod connectivity;
mod crypto;
mod dialling;
mod doors;
mod gates;
mod handshake;
mod listening;
mod machine;
mod origin;
mod path;
mod playing;
pub mod recording;
mod requests;
mod rewrite;
mod statistics;
mod subscribing;
mod takeover;
mod totals;
mod verdict;
mod words;

pub use config::{Interface, MediaConfig, Relay, Timeouts};
pub use doors::{Page, PageAsked};
pub use machine::Media;
pub use path::{Path, convert};
pub use playing::{Sound, SoundError};
pub use takeover::{CALLS, CERTIFICATES, RELAYS, is_call, is_certificate, is_relay};
