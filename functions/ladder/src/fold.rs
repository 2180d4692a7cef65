//! A message between two functions of one process that have real sockets is seen twice: when it is
//! sent and when it is received. It is one arrow.

use std::collections::VecDeque;

use base::time::Duration;

use crate::record::Record;

/// How long the other half of a message is waited for.
const WINDOW: Duration = Duration::from_secs(5);

/// How many halves are remembered.
const MOST: usize = 512;

/// Finds the half of a message that was seen before.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    open: VecDeque<(u64, Record)>,
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
        let found =
            self.open.iter().position(|(_, other)| close(other) && record.is_other_end_of(other));
        if let Some((number, _)) = found.and_then(|at| self.open.remove(at)) {
            return Some(number);
        }
        if self.open.len() == MOST {
            self.open.pop_front();
        }
        self.open.push_back((number, record.clone()));
        None
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
