//! The short message service's formats: what SMS over IP (TS 24.341) carries in the body
//! `application/vnd.3gpp.sms` of a SIP MESSAGE.
//!
//! Such a body is one RPDU, and the RPDU's user data is one TPDU:
//!
//! ```
//! use sms::rp::Rpdu;
//! use sms::tpdu::{Submit, Tpdu};
//! use sms::{Address, Number, Reference};
//!
//! let bob = Address::Number(Number::international("4930201")?);
//! let centre = Number::international("4930999")?;
//! for part in sms::split("hellohello", Reference::Eight(1))? {
//!     let submit = Submit::new(7, bob.clone(), part);
//!     let body = Rpdu::submit(7, Some(centre.clone()), &submit).emit();
//!     let read = Rpdu::parse(&body)?;
//!     assert_eq!(read.tpdu(), Some(Ok(Tpdu::Submit(submit))));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | File | What | Clause |
//! |---|---|---|
//! | `rp` | RP-DATA, RP-ACK, RP-ERROR, RP-SMMA | TS 24.011 §7.3, §8.2 |
//! | `rp/cause` | RP-Cause | TS 24.011 §8.2.5.4 |
//! | `tpdu` | the six TPDUs, and which of them an RPDU carries | TS 23.040 §9.2.2 |
//! | `tpdu/deliver`, `submit`, `status_report`, `command` | each with its report | TS 23.040 §9.2.2.1 to §9.2.2.4 |
//! | `tpdu/parameters` | TP-PI and what it announces | TS 23.040 §9.2.3.27 |
//! | `address` | numbers and names as addresses | TS 23.040 §9.1.2.5, TS 24.008 §10.5.4.7 |
//! | `protocol_id` | TP-PID | TS 23.040 §9.2.3.9 |
//! | `dcs` | TP-DCS | TS 23.038 §4 |
//! | `time_stamp` | TP-SCTS and TP-DT, with time zone | TS 23.040 §9.2.3.11 |
//! | `validity` | TP-VP: relative, absolute, enhanced | TS 23.040 §9.2.3.12 |
//! | `status` | TP-ST | TS 23.040 §9.2.3.15 |
//! | `failure` | TP-FCS | TS 23.040 §9.2.3.22 |
//! | `user_data` | TP-UDL and TP-UD | TS 23.040 §9.2.3.16, §9.2.3.24 |
//! | `header` | the user data header: concatenation, ports, others as they are | TS 23.040 §9.2.3.24 |
//! | `alphabet` | GSM 7 bit default alphabet and its extension, packing | TS 23.038 §6.1.2.1, §6.2.1 |
//! | `split` | a text of any length as parts | TS 23.040 §9.2.3.24.1 |
//! | `reassembly` | parts in any order, doubled or lost, as whole messages | the same |
//! | `octets` | octets that are not too many | |
//! | `reader` | octets by field, and the error that says which and where | |
//!
//! Parsers take what the clauses tell a receiver to take (reserved values, unknown elements, more
//! octets than are known), never panic, and keep at most what a TPDU can hold. What stays readable
//! though its meaning is unknown (a time stamp that is no time, a header that does not add up, a
//! reserved coding) is kept octet for octet.
//!
//! Not done: compression (TS 23.042) and the national language tables of TS 23.038 annex A: such
//! texts are carried, but [`UserData::text`] does not read them; RP-SMMA's and all other procedures
//! (those are a gateway's); cell broadcast.

#![forbid(unsafe_code)]

pub mod address;
pub mod alphabet;
pub mod dcs;
pub mod failure;
pub mod header;
pub mod octets;
pub mod protocol_id;
mod reader;
pub mod reassembly;
pub mod rp;
pub mod split;
pub mod status;
pub mod time_stamp;
pub mod tpdu;
pub mod user_data;
pub mod validity;

pub use address::{Address, Number};
pub use alphabet::Septets;
pub use dcs::{Alphabet, Dcs};
pub use failure::FailureCause;
pub use header::{Concatenation, Element, Header, Reference};
pub use octets::{Octets, TooLong};
pub use protocol_id::ProtocolId;
pub use reader::{Fault, ParseError};
pub use reassembly::Reassembler;
pub use rp::{Cause, Rpdu};
pub use split::split;
pub use status::Status;
pub use time_stamp::TimeStamp;
pub use tpdu::Tpdu;
pub use user_data::{ShortMessage, UserData, text_of};
pub use validity::ValidityPeriod;

/// The body type of SMS over IP, TS 24.341 §5.3.1.2.
pub const CONTENT_TYPE: &str = "application/vnd.3gpp.sms";
