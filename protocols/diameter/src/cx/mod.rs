//! The Cx and Dx application, TS 29.228 and TS 29.229: one file for each command pair, all of the
//! same shape. A request or answer type holds what is the command's own; the node writes what every
//! message has (Session-Id, origin, destination, result).
//!
//! AVPs that are not named in a type are left alone on receipt. Of Supported-Features one is known:
//! without an answer to it no optional feature is in use (TS 29.229 §7.2).

mod auth_data;
mod charging;
mod lir;
mod mar;
mod ppr;
mod restoration;
mod rtr;
mod sar;
mod server;
mod uar;

pub use auth_data::{AuthData, DigestAuthenticate};
pub use charging::ChargingInformation;
pub use lir::{Lia, Lir};
pub use mar::{Maa, Mar};
pub use ppr::{Ppa, Ppr};
pub use restoration::{IMS_RESTORATION, Restoration, RestoredContact, features, write_features};
pub use rtr::{DeregistrationReason, ReasonCode, Rta, Rtr};
pub use sar::{Assignment, Saa, Sar};
pub use server::ServerCapabilities;
pub use uar::{Authorization, Uaa, Uar};

use crate::avp::{Avps, Key, Writer};
use crate::dictionary::*;
use crate::fault::Fault;
use crate::message::Message;
use crate::node::{Application, Request};

/// The application id of Cx and Dx, TS 29.229 §6.
pub const APPLICATION: u32 = 16_777_216;

/// Cx as a node announces it; `serves` are the command codes whose requests it takes.
pub fn application(serves: &[u32]) -> Application {
    Application { id: APPLICATION, vendor: Some(VENDOR_3GPP), serves: serves.to_vec() }
}

/// A Cx command: what its request or its answer carries beside the common AVPs.
pub trait Body: Sized {
    /// The command code.
    const COMMAND: u32;

    /// Reads the AVPs of a message; a [`Fault`] says what to answer.
    fn parse(message: &Message) -> Result<Self, Fault>;

    /// Writes the AVPs.
    fn write(&self, out: &mut Writer);
}

/// A request for the node to send, to a host if one is known, else to the realm (TS 29.228 §5.6).
pub fn request<B: Body>(body: &B, realm: &str, host: Option<&str>) -> Request {
    Request {
        application: APPLICATION,
        command: B::COMMAND,
        realm: realm.to_owned(),
        host: host.map(str::to_owned),
        session: None,
        avps: avps(body),
    }
}

/// The AVPs of an answer, for the node to send with an outcome.
pub fn answer<B: Body>(body: &B) -> Writer {
    avps(body)
}

fn avps<B: Body>(body: &B) -> Writer {
    let mut out = common();
    body.write(&mut out);
    out
}

/// The AVPs of every Cx message, also of an answer with nothing else to say: the application, and
/// that no state is maintained (TS 29.229 §6.1).
pub fn common() -> Writer {
    let mut out = Writer::new();
    application(&[]).write(&mut out);
    out
}

fn text(avps: Avps<'_>, key: Key) -> Result<Option<String>, Fault> {
    avps.find(key).map(|avp| avp.utf8().map(str::to_owned)).transpose()
}

fn required_text(avps: Avps<'_>, key: Key) -> Result<String, Fault> {
    Ok(avps.require(key)?.utf8()?.to_owned())
}

fn number(avps: Avps<'_>, key: Key) -> Result<Option<u32>, Fault> {
    avps.find(key).map(|avp| avp.u32()).transpose()
}

fn octets(avps: Avps<'_>, key: Key) -> Option<Vec<u8>> {
    avps.find(key).map(|avp| avp.data.to_vec())
}

fn texts(avps: Avps<'_>, key: Key) -> Result<Vec<String>, Fault> {
    avps.filter(|avp| avp.is(key)).map(|avp| avp.utf8().map(str::to_owned)).collect()
}

fn write_text(out: &mut Writer, key: Key, text: &Option<String>) {
    if let Some(text) = text {
        out.utf8(key, text);
    }
}

fn write_octets(out: &mut Writer, key: Key, octets: &Option<Vec<u8>>) {
    if let Some(octets) = octets {
        out.bytes(key, octets);
    }
}

/// An enumeration of the dictionary: variants with their numbers, and a parser that refuses others
/// with 5004.
macro_rules! enumerated {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// Every value, in the order of the numbers.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            pub(crate) fn parse(avp: &$crate::avp::Avp<'_>) -> Result<$name, $crate::fault::Fault> {
                let number = avp.u32()?;
                let known = $name::ALL.iter().find(|value| **value as u32 == number);
                known.copied().ok_or_else(|| $crate::fault::Fault::value(avp))
            }
        }
    };
}
use enumerated;
