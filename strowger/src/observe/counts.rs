//! How often each thing was logged: counted on the loop's thread, read by others.
//!
//! Every log event names its counter, so every event is one. Counting takes no lock but for the first
//! event of its kind, and none is missed if log lines are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use base::{Event, Instant, Report};
use engine::FunctionId;
use engine::shard::Console;

/// Kinds of events that are counted; they are words of the program, so there are no more.
const KINDS: usize = 4096;

/// How often a function logged an event: the function, the event's counter, how often.
pub type Count = (String, &'static str, u64);

/// The counters of all events.
#[derive(Debug, Default)]
pub struct Counts {
    kinds: Mutex<Vec<(String, &'static str, Arc<AtomicU64>)>>,
    lost: AtomicU64,
}

impl Counts {
    /// All counts, by function and event.
    pub fn all(&self) -> Vec<Count> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |(from, event, count): &(String, &'static str, Arc<AtomicU64>)| {
            (from.clone(), *event, count.load(Relaxed))
        };
        let mut all: Vec<Count> = kinds.iter().map(read).collect();
        all.sort();
        all
    }

    /// So many log lines or reports found no room on their way to standard error.
    pub fn add_lost(&self, lines: u64) {
        self.lost.fetch_add(lines, Relaxed);
    }

    /// Log lines and reports that were lost.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    fn kind(&self, from: &str, event: &'static str) -> Arc<AtomicU64> {
        let count = Arc::default();
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() < KINDS {
            kinds.push((from.to_owned(), event, Arc::clone(&count)));
        }
        count
    }
}

/// A console that counts what it hands on.
#[derive(Debug)]
pub struct Counting<C> {
    inner: C,
    counts: Arc<Counts>,
    known: BTreeMap<String, Vec<(&'static str, Arc<AtomicU64>)>>,
}

impl<C: Console> Counting<C> {
    /// Counts and hands on.
    pub fn new(inner: C, counts: Arc<Counts>) -> Counting<C> {
        Counting { inner, counts, known: BTreeMap::new() }
    }

    fn count(&mut self, from: &str, event: &'static str) {
        if let Some((_, count)) =
            self.known.get(from).and_then(|known| known.iter().find(|(name, _)| *name == event))
        {
            count.fetch_add(1, Relaxed);
            return;
        }
        let count = self.counts.kind(from, event);
        count.fetch_add(1, Relaxed);
        self.known.entry(from.to_owned()).or_default().push((event, count));
    }
}

impl<C: Console> Console for Counting<C> {
    fn log(&mut self, at: Instant, from: &str, event: Event) {
        self.count(from, event.counter);
        self.inner.log(at, from, event);
    }

    fn report(&mut self, at: Instant, function: FunctionId, name: &str, report: Report) {
        self.inner.report(at, function, name, report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Severity;

    #[test]
    fn events_are_counted_even_if_nobody_reads_them() {
        let counts = Arc::new(Counts::default());
        let (notices, _unread) = engine::net::notices(1);
        let mut console = Counting::new(notices, Arc::clone(&counts));
        let mut log = |from: &str, counter| {
            console.log(Instant::EPOCH, from, Event::new(Severity::Info, counter, "x"));
        };
        (0..3).for_each(|_| log("scscf", "scscf.registered"));
        log("pcscf", "sip.malformed");
        log("icscf", "sip.malformed");
        let expected = [
            ("icscf".to_owned(), "sip.malformed", 1),
            ("pcscf".to_owned(), "sip.malformed", 1),
            ("scscf".to_owned(), "scscf.registered", 3),
        ];
        assert_eq!(counts.all(), expected);
    }
}
