//! The record of a call: all that media control knows of it, and all that the packet path needs to go on.

use serde::{Deserialize, Serialize};

use crate::call::Call;

/// The version of records. It changes with whatever stands in them: records of other versions are not read, so that the calls of
/// a relay of another version end with it.
const VERSION: u8 = 1;

/// Whose call it is, before the call itself.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    version: u8,
    relay: &'a str,
    recorded: bool,
}

/// The record of a call of this relay.
pub(super) fn write(relay: &str, call: &Call) -> Vec<u8> {
    let head = Head { version: VERSION, relay, recorded: call.recorded.is_some() };
    // What is written here has no parts that cannot be.
    postcard::to_allocvec(&(head, call)).unwrap_or_default()
}

/// The relay that has a call; `None` if the record is none of this version.
pub(super) fn relay(record: &[u8]) -> Option<&str> {
    Some(head(record)?.0.relay)
}

/// The call, and whether it was recorded.
pub(super) fn read(record: &[u8]) -> Option<(Call, bool)> {
    let (head, rest) = head(record)?;
    Some((postcard::from_bytes(rest).ok()?, head.recorded))
}

fn head(record: &[u8]) -> Option<(Head<'_>, &[u8])> {
    let found = postcard::take_from_bytes::<Head<'_>>(record).ok();
    found.filter(|(head, _)| head.version == VERSION)
}
