//! Header fields, one file each and all of one shape: a borrowed value with `parse(&str)` that never
//! panics and gives `None` for what is illegal, and `Display` that writes it.

mod access_network;
mod auth;
mod charging;
mod cseq;
mod event;
mod name;
mod name_addr;
mod numbers;
pub mod overload;
mod privacy;
mod rack;
mod replaces;
mod resource_priority;
mod security;
mod served_user;
mod session_expires;
mod via;

pub use access_network::AccessNetworkInfo;
pub use auth::{AuthParams, Challenge, Credentials};
pub use charging::ChargingVector;
pub use cseq::CSeq;
pub use event::{Event, SubscriptionState};
pub use name::HeaderName;
pub use name_addr::NameAddr;
pub use numbers::{delta_seconds, q_value};
pub use overload::{OverloadControl, Sequence};
pub use privacy::Privacy;
pub use rack::RAck;
pub use replaces::Replaces;
pub use resource_priority::ResourcePriority;
pub use security::SecurityMechanism;
pub use served_user::{ServedUser, SessionCase};
pub use session_expires::{Refresher, SessionExpires};
pub use via::{Seen, Via};
