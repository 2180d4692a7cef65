//! The memory of a running process for its log: the last events, whatever was written of them, so that
//! `strowger explain` can tell why something was refused.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use base::{Event, Instant, Severity};
use serde::{Deserialize, Serialize};

/// The most events that are remembered: what goes with as many messages as the recorder has.
const MOST: usize = 5_000;
/// The most bytes of their texts and names.
const MOST_BYTES: usize = 8 << 20;

/// One log event, as other processes read it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Noted {
    /// When, in microseconds since 1970.
    pub at: u64,
    /// The function's configured name, or `engine`.
    pub from: String,
    /// `debug`, `info`, `warning` or `error`.
    pub severity: String,
    /// The event's name, such as `scscf.refused`.
    pub counter: String,
    /// What happened.
    pub text: String,
    /// The call that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// The private identity that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impi: Option<String>,
    /// The public identity that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impu: Option<String>,
}

impl Noted {
    /// An event of a function at a time.
    pub fn of(at: Instant, from: &str, event: &Event) -> Noted {
        let severity = match event.severity {
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let about = event.about.as_deref().cloned().unwrap_or_default();
        Noted {
            at: at.unix_micros(),
            from: from.to_owned(),
            severity: severity.to_owned(),
            counter: event.counter.to_owned(),
            text: event.text.clone(),
            call_id: about.call_id,
            impi: about.impi,
            impu: about.impu,
        }
    }

    fn bytes(&self) -> usize {
        let names = [&self.call_id, &self.impi, &self.impu];
        let names: usize = names.into_iter().flatten().map(String::len).sum();
        self.from.len() + self.counter.len() + self.text.len() + names
    }
}

/// The events that are remembered; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Events(Arc<Mutex<Ring>>);

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Noted>,
    bytes: usize,
    forgotten: u64,
    lost: u64,
}

/// What is remembered.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Remembered {
    /// Oldest first.
    pub events: Vec<Noted>,
    /// Older ones that had to go.
    pub forgotten: u64,
    /// Those that came faster than they could be written down.
    pub lost: u64,
}

impl Events {
    /// Remembers one, and forgets old ones for it.
    pub fn note(&self, at: Instant, from: &str, event: &Event) {
        let noted = Noted::of(at, from, event);
        self.with(|ring| {
            ring.bytes += noted.bytes();
            ring.events.push_back(noted);
            while ring.events.len() > MOST || ring.bytes > MOST_BYTES {
                let Some(oldest) = ring.events.pop_front() else { return };
                ring.bytes -= oldest.bytes();
                ring.forgotten += 1;
            }
        });
    }

    /// So many did not come this far.
    pub fn lose(&self, count: u64) {
        self.with(|ring| ring.lost += count);
    }

    /// All that is remembered now.
    pub fn remembered(&self) -> Remembered {
        self.with(|ring| Remembered {
            events: ring.events.iter().cloned().collect(),
            forgotten: ring.forgotten,
            lost: ring.lost,
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Ring) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Event {
        Event::new(Severity::Debug, "test.event", text).call_id("a@b")
    }

    #[test]
    fn the_last_ones_are_remembered_with_whom_they_are_about() {
        let events = Events::default();
        for number in 0..MOST + 3 {
            events.note(Instant::from_unix_micros(number as u64), "pcscf", &event("x"));
        }
        let remembered = events.remembered();
        assert_eq!((remembered.events.len(), remembered.forgotten), (MOST, 3));
        let first = &remembered.events[0];
        assert_eq!((first.at, first.call_id.as_deref()), (3, Some("a@b")));
        let line = serde_json::to_string(first).unwrap();
        assert_eq!(serde_json::from_str::<Noted>(&line).unwrap(), *first);
    }

    #[test]
    fn long_ones_leave_room_for_fewer() {
        let events = Events::default();
        let long = "x".repeat(MOST_BYTES / 4);
        for _ in 0..10 {
            events.note(Instant::EPOCH, "pcscf", &event(&long));
        }
        let remembered = events.remembered();
        assert_eq!((remembered.events.len(), remembered.forgotten), (3, 7));
        events.note(Instant::EPOCH, "pcscf", &event(&"x".repeat(MOST_BYTES + 1)));
        assert_eq!(events.remembered().events, []);
    }
}
