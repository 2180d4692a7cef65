//! Every call visible as one ladder: SIP, Diameter and NG of a call or a registration, tied together
//! by what the messages themselves say.
//!
//! A [`Record`] is one message that crossed a seam. Records are kept in a [`Trace`] or come from a
//! file, are tied into calls and registrations by [`Correlation`], and are shown as a [`Ladder`].
//!
//! | Module | What |
//! |---|---|
//! | [`record`], `fold` | one message; the two sights of it made one |
//! | [`trace`], [`filter`] | the bounded ring, and live subscriptions |
//! | [`mod@dissect`] | title, key fields and ties of a message: one file for each protocol |
//! | [`correlate`] | calls, registrations, and what belongs to a subscriber |
//! | [`participants`], [`ladder`] | roles learned from deeds; participants and arrows |
//! | [`text`], [`html`] | for a terminal; one HTML file |
//! | [`pcapng`], [`json`] | for other tools, and back; [`address`]: who has none gets one |
//! | [`redact`](mod@redact) | secrets overwritten with as many bytes |
//! | [`compare`] | two ladders, arrow for arrow |
//!
//! Read here: RFC 3261, RFC 7315 §4.6 (icid), RFC 3680 (reg event), RFC 6733, TS 29.229 (Cx), NG.
//! Written here: pcapng (draft-ietf-opsawg-pcapng), RFC 791, RFC 8200, RFC 768, RFC 9293.
//!
//! Not done: GTP, DNS, aligning the clocks of different hosts, IPv6 prefixes of phones in
//! Rx and Gx.

#![forbid(unsafe_code)]

pub mod address;
pub mod compare;
pub mod correlate;
pub mod dissect;
pub mod filter;
mod fold;
pub mod html;
mod identity;
pub mod json;
pub mod ladder;
pub mod participants;
pub mod pcapng;
pub mod record;
pub mod redact;
pub mod text;
pub mod trace;
mod union;

pub use correlate::{Correlation, Kind, Thread};
pub use dissect::{Key, Summary, dissect, full_text};
pub use filter::Filter;
pub use fold::merge;
pub use ladder::{Arrow, Ladder, Participant};
pub use participants::Role;
pub use record::{Party, Record};
pub use redact::redact;
pub use trace::{Limits, SubscriptionId, Trace};
