//! Names, types and flags of commands and AVPs: data from `dictionary/*.txt`, made into constants
//! (`SESSION_ID`, `CMD_USER_AUTHORIZATION` …) and sorted tables when the crate is built.
//!
//! Routing never asks the dictionary: unknown AVPs pass byte for byte. It serves to build messages,
//! to show them ([`Show`]), and to check requests before a function works on them ([`check`]).

use core::fmt;

use crate::avp::{Avp, Key};
use crate::fault::Fault;
use crate::message::Message;

include!(concat!(env!("OUT_DIR"), "/dictionary.rs"));

/// The vendor id of 3GPP.
pub const VENDOR_3GPP: u32 = 10415;

/// Groups within groups are followed this deep, no deeper.
const DEPTH: usize = 8;

/// The data formats of RFC 6733 §4.2 and §4.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Kind {
    OctetString,
    Unsigned32,
    Unsigned64,
    Grouped,
    Address,
    Time,
    UTF8String,
    DiameterIdentity,
    DiameterURI,
    Enumerated,
}

/// One AVP of the dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AvpEntry {
    /// Code, vendor and M-bit.
    pub key: Key,
    /// The name as the standard spells it.
    pub name: &'static str,
    /// The data format.
    pub kind: Kind,
}

/// One command of the dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommandEntry {
    /// The command code.
    pub code: u32,
    /// The application it belongs to, 0 for the base protocol.
    pub application: u32,
    /// The name as the standard spells it.
    pub name: &'static str,
    /// The request's abbreviation.
    pub request: &'static str,
    /// The answer's abbreviation.
    pub answer: &'static str,
}

/// The entry of an AVP.
pub fn avp(vendor: u32, code: u32) -> Option<&'static AvpEntry> {
    let found = AVPS.binary_search_by_key(&(vendor, code), |e| (e.key.vendor, e.key.code));
    found.ok().map(|index| &AVPS[index])
}

/// The entry of a command of that application or of the base protocol.
pub fn command(application: u32, code: u32) -> Option<&'static CommandEntry> {
    let find = |app| COMMANDS.binary_search_by_key(&(app, code), |e| (e.application, e.code));
    find(application).or_else(|_| find(0)).ok().map(|index| &COMMANDS[index])
}

/// The name of an enumerated value.
pub fn value(avp: &str, number: u32) -> Option<&'static str> {
    let found = VALUES.binary_search_by_key(&(avp, number), |(name, n, _)| (*name, *n));
    found.ok().map(|index| VALUES[index].2)
}

/// Checks what the dictionary can tell of a message: lengths and text of known AVPs (5014, 5004),
/// and that every AVP with the M-bit is known (5001), RFC 6733 §4.1 and §7.1.5.
pub fn check(message: &Message) -> Result<(), Fault> {
    check_avps(message.avps(), DEPTH)
}

fn check_avps<'a>(avps: impl Iterator<Item = Avp<'a>>, depth: usize) -> Result<(), Fault> {
    for avp in avps {
        let Some(entry) = self::avp(avp.vendor, avp.code) else {
            if avp.is_mandatory() {
                return Err(Fault::unsupported(&avp));
            }
            continue;
        };
        match entry.kind {
            Kind::OctetString => {}
            Kind::Unsigned32 | Kind::Enumerated | Kind::Time => {
                avp.u32()?;
            }
            Kind::Unsigned64 => {
                avp.u64()?;
            }
            Kind::Address => {
                avp.address_family()?;
            }
            Kind::UTF8String | Kind::DiameterIdentity | Kind::DiameterURI => {
                avp.utf8()?;
            }
            // What a Failed-AVP holds is wrong by its nature.
            Kind::Grouped if avp.is(FAILED_AVP) || depth == 0 => {}
            Kind::Grouped => check_avps(avp.group()?, depth - 1)?,
        }
    }
    Ok(())
}

/// Shows a message for a person: one line for each AVP, key material hidden.
pub struct Show<'a>(pub &'a Message);

impl fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = self.0.header();
        match command(header.application, header.command) {
            Some(c) => f.write_str(if header.is_request() { c.request } else { c.answer })?,
            None => write!(f, "command {}", header.command)?,
        }
        write!(f, " flags={} app={}", header.flags, header.application)?;
        writeln!(f, " hbh={:08x} e2e={:08x}", header.hop_by_hop, header.end_to_end)?;
        show_avps(f, self.0.avps(), 1, !header.is_request())
    }
}

fn show_avps<'a>(
    f: &mut fmt::Formatter<'_>,
    avps: impl Iterator<Item = Avp<'a>>,
    level: usize,
    answer: bool,
) -> fmt::Result {
    for avp in avps {
        write!(f, "{:1$}", "", level * 2)?;
        let Some(entry) = self::avp(avp.vendor, avp.code) else {
            writeln!(f, "{}:{} = {}", avp.vendor, avp.code, Octets(avp.data))?;
            continue;
        };
        write!(f, "{}", entry.name)?;
        if crate::redact::is_secret(&avp, answer) {
            writeln!(f, " = <{} secret bytes>", avp.data.len())?;
            continue;
        }
        match entry.kind {
            Kind::Grouped if level < DEPTH => {
                writeln!(f)?;
                show_avps(f, avp.members(), level + 1, answer)?;
                continue;
            }
            Kind::Unsigned32 | Kind::Enumerated if avp.data.len() == 4 => {
                let number = avp.u32().unwrap_or_default();
                write!(f, " = {number}")?;
                if let Some(name) = value(entry.name, number) {
                    write!(f, " {name}")?;
                }
            }
            Kind::Unsigned64 if avp.data.len() == 8 => {
                write!(f, " = {}", avp.u64().unwrap_or_default())?;
            }
            Kind::Address => match avp.address() {
                Ok(address) => write!(f, " = {address}")?,
                Err(_) => write!(f, " = {}", Octets(avp.data))?,
            },
            _ => write!(f, " = {}", Octets(avp.data))?,
        }
        writeln!(f)?;
    }
    Ok(())
}

/// Printable text as text, anything else as hexadecimal digits.
struct Octets<'a>(&'a [u8]);

impl fmt::Display for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match core::str::from_utf8(self.0) {
            Ok(text) if !text.chars().any(char::is_control) => write!(f, "{text}"),
            _ => self.0.iter().try_for_each(|b| write!(f, "{b:02x}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found() {
        let entry = avp(10415, 601).unwrap();
        assert_eq!((entry.name, entry.kind), ("Public-Identity", Kind::UTF8String));
        assert_eq!(entry.key, PUBLIC_IDENTITY);
        assert!(avp(0, 601).is_none());
        assert_eq!(command(16777216, 300).unwrap().request, "UAR");
        assert_eq!(command(16777216, 280).unwrap().answer, "DWA");
        assert_eq!(
            value("Server-Assignment-Type", 7),
            Some("USER_DEREGISTRATION_STORE_SERVER_NAME")
        );
    }
}
