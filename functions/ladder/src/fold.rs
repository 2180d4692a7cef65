//! A message between two functions of one process that have real sockets is seen twice: when it is
//! sent and when it is received. It is one arrow.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

use base::Endpoint;
use base::time::Duration;
use foldhash::quality::FixedState;

use crate::record::Record;

/// How long the other half of a message is waited for.
const WINDOW: Duration = Duration::from_secs(5);

/// How many halves are remembered.
const MOST: usize = 512;

/// Finds the half of a message that was seen before.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    /// Open halves by what both halves have in common.
    open: HashMap<u64, Vec<(u64, Record)>, FixedState>,
    /// Their keys and numbers, oldest first; some are closed by now.
    order: VecDeque<(u64, u64)>,
}

impl Halves {
    /// The number that the other half of `record` was given; otherwise it is remembered under
    /// `number` if it is a half itself.
    pub(crate) fn fold(&mut self, number: u64, record: &Record) -> Option<u64> {
        if record.from.name.is_some() == record.to.name.is_some() {
            return None;
        }
        let close = |other: &Record| {
            record.at.since(other.at) <= WINDOW && other.at.since(record.at) <= WINDOW
        };
        let key = self.key(record);
        let found = self.open.get(&key).and_then(|halves| {
            let mut candidates = halves.iter();
            candidates.find(|(_, other)| close(other) && record.is_other_end_of(other))
        });
        if let Some((other, _)) = found {
            let other = *other;
            self.close(key, other);
            return Some(other);
        }
        if self.order.len() == MOST
            && let Some((key, oldest)) = self.order.pop_front()
        {
            self.close(key, oldest);
        }
        self.order.push_back((key, number));
        self.open.entry(key).or_default().push((number, record.clone()));
        None
    }

    /// Both halves have the same ports and bytes; an address may be a wildcard on one side.
    fn key(&self, record: &Record) -> u64 {
        let port = |end: Endpoint| end.socket_addr().map(|addr| addr.port());
        let ports = (port(record.from.endpoint), port(record.to.endpoint));
        self.open.hasher().hash_one((ports, &record.bytes))
    }

    fn close(&mut self, key: u64, number: u64) {
        if let Some(halves) = self.open.get_mut(&key) {
            halves.retain(|(other, _)| *other != number);
            if halves.is_empty() {
                self.open.remove(&key);
            }
        }
    }
}

/// The records of one or several traces as one, in the order of their times, each message once.
pub fn merge(records: impl IntoIterator<Item = Record>) -> Vec<Record> {
    let mut all: Vec<Record> = records.into_iter().collect();
    all.sort_by_key(|record| record.at);
    let mut halves = Halves::default();
    let mut out: Vec<Record> = Vec::with_capacity(all.len());
    for record in all {
        match halves.fold(out.len() as u64, &record) {
            Some(other) => out[other as usize].complete(&record),
            None => out.push(record),
        }
    }
    out
}
