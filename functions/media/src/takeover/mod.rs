//! Calls that outlive their relay: each has a record in a store that relays share, and another relay goes on with it when its own
//! one dies. The same record lets a relay go on with its own calls after a restart.
//!
//! **Who has a call** is whoever has its ports: only a relay whose packet path could bind all of them writes the record as its own.
//! So a relay that was taken for dead and is not keeps its calls on the same host, where nobody else can bind them; between two
//! hosts it loses them with the address, which only one of them has.
//!
//! **Who goes on** with the calls of a dead relay is the next living one in the order of names. A request for a call of another
//! relay lets whoever gets it try, too: the proxy says where the call is.
//!
//! | File | What |
//! |---|---|
//! | `mod` | which calls are whose |
//! | `record` | the record of a call |
//! | `resume` | going on with a call |
//! | `watch` | whether the other relays live |

mod record;
mod resume;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base::log::{Event, Severity};
use base::redact::Secret;
use base::relay;
use base::store::{Change, Durability, Table};
use base::{Bytes, Instant, Output};
use dtls::Certificate;

use crate::machine::Media;
use crate::totals::Reason;

pub(crate) use resume::Resuming;
use watch::Neighbour;
pub(crate) use watch::RELAY;

/// The table of calls, by Call-ID.
pub const CALLS: Table = Table("media.call");
/// The table of relays, by name: where others see whether they live.
pub const RELAYS: Table = Table("media.relay");
/// The table of the one certificate that handshakes of all relays show: browsers want that of the description (RFC 8842 §5.1), whichever
/// relay they speak with.
pub const CERTIFICATES: Table = Table("media.certificate");
/// The key of the one record there.
const DTLS: &[u8] = b"dtls";

/// Whether a record of [`CALLS`] can be read.
pub fn is_call(_: &[u8], value: &[u8]) -> bool {
    record::read(value).is_some()
}

/// Whether a record of [`RELAYS`] can be read.
pub fn is_relay(_: &[u8], value: &[u8]) -> bool {
    watch::doors(value).is_some()
}

/// Whether a record of [`CERTIFICATES`] can be read.
pub fn is_certificate(_: &[u8], value: &[u8]) -> bool {
    certificate(value).is_some()
}

fn certificate(value: &[u8]) -> Option<Certificate> {
    let (certificate, key) = postcard::from_bytes::<(Vec<u8>, Vec<u8>)>(value).ok()?;
    Certificate::from_der(&certificate, &Secret::new(key)).ok()
}

/// What is known of other relays and their calls.
#[derive(Debug, Default)]
pub(crate) struct Takeover {
    /// Our calls that are not as their records say.
    changed: BTreeSet<u64>,
    /// Records of calls that are not here, by Call-ID.
    elsewhere: BTreeMap<String, Bytes>,
    /// Those of them that are to be here, and until when that is tried.
    wanted: VecDeque<(String, Instant)>,
    /// Those whose ports are being opened.
    resuming: BTreeSet<u64>,
    /// No other one is tried before.
    pause: Instant,
    /// How many came here since that was last said, and how many could not.
    came: (usize, usize),
    neighbours: Vec<Neighbour>,
    /// The certificate is the one that all have.
    agreed: bool,
}

impl Takeover {
    /// A call is over that may not have been here yet.
    pub(crate) fn ended(&mut self, number: u64) {
        self.resuming.remove(&number);
    }
}

impl Media {
    /// How many calls other relays have.
    pub(crate) fn foreign(&self) -> usize {
        self.takeover.elsewhere.len()
    }

    /// A call is another one now: its record is to be.
    pub(crate) fn changed(&mut self, number: u64) {
        if self.config.relay.is_some() {
            self.takeover.changed.insert(number);
        }
    }

    /// Writes the records of calls that changed.
    pub(crate) fn write_records(&mut self) {
        let Some(relay) = &self.config.relay else { return };
        let mut changes = Vec::new();
        for number in std::mem::take(&mut self.takeover.changed) {
            // One that is not here yet is another relay's.
            if let Some(call) = self.calls.get(&number).filter(|call| call.resuming.is_none()) {
                let key = Bytes::copy_from_slice(call.call_id.as_bytes());
                let value = record::write(&relay.name, call).into();
                changes.push(Change::Put { table: CALLS, key, value });
            }
        }
        if !changes.is_empty() {
            self.store(changes);
        }
    }

    /// A call is over: so is its record.
    pub(crate) fn erase(&mut self, call_id: &str) {
        if self.config.relay.is_some() {
            let key = Bytes::copy_from_slice(call_id.as_bytes());
            self.store(vec![Change::Delete { table: CALLS, key }]);
        }
    }

    fn store(&mut self, changes: Vec<Change>) {
        self.out(Output::Store { durability: Durability::Behind, changes, commit: None });
    }

    /// The records that were there at the start are: goes on with our own calls, and looks for the other relays.
    pub(crate) fn begin_takeover(&mut self) {
        let Some(relay) = self.config.relay.clone() else { return };
        let value = postcard::to_allocvec(&relay.doors).unwrap_or_default().into();
        let key = Bytes::copy_from_slice(relay.name.as_bytes());
        self.store(vec![Change::Put { table: RELAYS, key, value }]);
        if !self.takeover.agreed {
            self.agree();
        }
        self.want(&[&relay.name]);
    }

    /// Nobody has written a certificate: ours is everybody's.
    fn agree(&mut self) {
        let (certificate, key) = self.certificate.to_der();
        let value = postcard::to_allocvec(&(certificate, key.reveal())).unwrap_or_default().into();
        let key = Bytes::from_static(DTLS);
        self.store(vec![Change::Put { table: CERTIFICATES, key, value }]);
        self.takeover.agreed = true;
    }

    /// Somebody else's is.
    fn adopt(&mut self, value: &[u8]) {
        let Some(found) = certificate(value) else { return };
        self.takeover.agreed = true;
        if found.to_der() != self.certificate.to_der() {
            let (certificate, key) = found.to_der();
            self.certificate = found;
            self.tell(relay::Command::Present { certificate, key });
        }
    }

    /// Somebody wrote a record, or it was there at the start.
    pub(crate) fn restored(&mut self, table: Table, key: &Bytes, value: Bytes) {
        let Some(ours) = self.config.relay.clone() else { return };
        let Ok(key) = std::str::from_utf8(key) else { return };
        match table {
            CERTIFICATES => self.adopt(&value),
            RELAYS if key != ours.name => self.neighbour(key, &value),
            CALLS if record::relay(&value).is_some() => {
                self.takeover.elsewhere.insert(key.to_owned(), value);
                // Whoever wrote it has its ports.
                self.leave(key);
            }
            CALLS => {
                let text = format!("the record of {key} is of another version and is left alone");
                self.log(Severity::Warning, "media.record", text);
            }
            _ => {}
        }
    }

    /// Somebody deleted a record.
    pub(crate) fn forgotten(&mut self, table: Table, key: &Bytes) {
        let Ok(key) = std::str::from_utf8(key) else { return };
        match table {
            RELAYS => self.no_neighbour(key),
            CALLS => {
                self.takeover.elsewhere.remove(key);
                self.leave(key);
            }
            _ => {}
        }
    }

    /// A call of ours is another relay's now, or over there.
    fn leave(&mut self, call_id: &str) {
        let Some(number) = self.by_id.get(call_id).copied() else { return };
        if self.calls.get(&number).is_some_and(|call| call.resuming.is_some()) {
            return self.give_up(number, false);
        }
        let text = format!("{call_id} was taken over by another relay");
        self.note(Event::new(Severity::Info, "media.left", text).call_id(call_id));
        self.close_call(number, Reason::Takeover);
    }

    /// The calls of a relay that lives are left to it.
    fn want_no_more(&mut self, relay: &str) {
        let Takeover { elsewhere, wanted, .. } = &mut self.takeover;
        let theirs = |call_id: &String| {
            elsewhere.get(call_id).and_then(|record| record::relay(record)) == Some(relay)
        };
        wanted.retain(|(call_id, _)| !theirs(call_id));
    }

    /// The calls of these relays are to be here.
    fn want(&mut self, relays: &[&str]) {
        let until = self.now + resume::PATIENCE;
        let theirs = |(_, record): &(&String, &Bytes)| {
            record::relay(record).is_some_and(|relay| relays.contains(&relay))
        };
        let wanted: Vec<(String, Instant)> = self
            .takeover
            .elsewhere
            .iter()
            .filter(theirs)
            .map(|(call_id, _)| (call_id.clone(), until))
            .collect();
        self.takeover.wanted.extend(wanted);
        self.resume_wanted();
    }
}
