//! What was seen: one message that crossed a seam.

use std::sync::Arc;

use base::{Bytes, Endpoint, Instant, Service, Transport};

/// One end of a seam.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Party {
    /// Its address.
    pub endpoint: Endpoint,
    /// Its configured name, if whoever saw the message knew it. One text for all records.
    pub name: Option<Arc<str>>,
}

impl Party {
    /// A party whose name is known.
    pub fn named(endpoint: impl Into<Endpoint>, name: impl Into<Arc<str>>) -> Party {
        Party { endpoint: endpoint.into(), name: Some(name.into()) }
    }

    /// A party of which only the address is known.
    pub fn unnamed(endpoint: impl Into<Endpoint>) -> Party {
        Party { endpoint: endpoint.into(), name: None }
    }
}

/// One message that crossed a seam.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// The protocol that the flow is configured for.
    pub service: Service,
    /// How it travelled.
    pub transport: Transport,
    /// Who sent it.
    pub from: Party,
    /// Who received it.
    pub to: Party,
    /// The message.
    pub bytes: Bytes,
    /// The number of the flow, as whoever saw the message numbers flows.
    pub flow: u64,
}

impl Record {
    /// Whether `other` is the same message seen from the other end: one knows who sent it, the other
    /// who received it.
    pub(crate) fn is_other_end_of(&self, other: &Record) -> bool {
        let halves = |a: &Record, b: &Record| {
            a.from.name.is_some()
                && a.to.name.is_none()
                && b.from.name.is_none()
                && b.to.name.is_some()
        };
        (halves(self, other) || halves(other, self))
            && self.service == other.service
            && self.transport == other.transport
            && same_place(self.from.endpoint, other.from.endpoint)
            && same_place(self.to.endpoint, other.to.endpoint)
            && self.bytes == other.bytes
    }

    /// Takes what the other end knew.
    pub(crate) fn complete(&mut self, other: &Record) {
        for (mine, theirs) in [(&mut self.from, &other.from), (&mut self.to, &other.to)] {
            if mine.name.is_none() {
                mine.name.clone_from(&theirs.name);
            }
            if is_wildcard(mine.endpoint) {
                mine.endpoint = theirs.endpoint;
            }
        }
        self.at = self.at.min(other.at);
    }
}

fn is_wildcard(endpoint: Endpoint) -> bool {
    endpoint.ip().is_some_and(|ip| ip.is_unspecified())
}

/// Whether two ends may be one; a socket that is bound to no address in particular is seen as such.
fn same_place(a: Endpoint, b: Endpoint) -> bool {
    let port = |e: Endpoint| e.socket_addr().map(|s| s.port());
    a == b || (is_wildcard(a) || is_wildcard(b)) && port(a).is_some() && port(a) == port(b)
}
