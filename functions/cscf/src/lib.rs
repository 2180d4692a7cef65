//! The call session control functions of an IMS as sans-I/O machines: TS 23.228, TS 24.229.
//!
//! - [`proxy`]: the stateful proxy core that all of them share, RFC 3261 §16.
//! - [`pcscf`]: the phone's door, TS 24.229 §5.2.
//! - [`icscf`]: finds the S-CSCF, TS 24.229 §5.3.
//! - [`scscf`]: registrar, filter criteria and routing, TS 24.229 §5.4.
//! - [`ecscf`]: emergency calls to their centre, TS 24.229 §5.11; [`emergency`]: what is one.
//! - [`bgcf`]: calls to the public telephone network and from it, TS 24.229 §5.6.
//! - `anchor`: the media relay's part in what S- and E-CSCF forward.
//! - `border`: what another network does not see of this one, TS 24.229 §5.10.4.
//! - [`cx`]: what I- and S-CSCF ask the HSS, TS 29.228.
//!
//! Covered beside them: RFC 5626 (several flows of one phone), RFC 8760 (Digest with SHA-256).
//!
//! They meet only on the wire: no function here calls another's code. Not here yet: IPsec (Gm), Rx,
//! Ro; their seams are named in the machines.

#![forbid(unsafe_code)]

mod anchor;
pub mod bgcf;
mod border;
pub mod cx;
pub mod ecscf;
pub mod emergency;
mod enum_rules;
pub mod icscf;
mod index;
mod key;
mod lifetime;
mod limits;
mod number;
mod outbound;
mod own;
pub mod pcscf;
pub mod proxy;
mod restoration;
pub mod scscf;
mod trust_domain;

pub use limits::LimitsConfig;
pub use own::Door;
