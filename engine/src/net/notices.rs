//! What a running loop tells other threads: reports, log lines and counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use base::{Event, Instant, Report};

use crate::shard::{Console, Counters, FunctionId};

/// A report or a log line.
#[derive(Debug)]
pub enum Notice {
    /// A counter and one line; `from` is a function's configured name or `"engine"`.
    Log {
        /// When.
        at: Instant,
        /// Who.
        from: String,
        /// What.
        event: Event,
    },
    /// A function tells the program something.
    Report {
        /// When.
        at: Instant,
        /// Who.
        function: FunctionId,
        /// The function's configured name.
        name: String,
        /// What; the function's own type.
        report: Report,
    },
    /// So many notices were lost here because the receiver was too slow.
    Lost(u64),
}

/// A console that hands notices to another thread and never waits for it.
#[derive(Debug)]
pub struct Notices {
    sender: SyncSender<Notice>,
    lost: u64,
}

/// Notices that may wait for a receiver that keeps up: the room of a program that has no other wish.
pub const NOTICES: usize = 4096;

/// A console and the end at which its notices arrive; at most `room` of them wait,
/// [`NOTICES`] unless there is a reason.
pub fn notices(room: usize) -> (Notices, Receiver<Notice>) {
    let (sender, receiver) = sync_channel(room);
    (Notices { sender, lost: 0 }, receiver)
}

impl Notices {
    fn send(&mut self, notice: Notice) {
        if self.lost > 0 && self.sender.try_send(Notice::Lost(self.lost)).is_ok() {
            self.lost = 0;
        }
        if self.lost > 0 || self.sender.try_send(notice).is_err() {
            self.lost += 1;
        }
    }
}

impl Console for Notices {
    fn log(&mut self, at: Instant, from: &str, event: Event) {
        self.send(Notice::Log { at, from: from.to_owned(), event });
    }

    fn report(&mut self, at: Instant, function: FunctionId, name: &str, report: Report) {
        self.send(Notice::Report { at, function, name: name.to_owned(), report });
    }
}

/// The shard's counters, as other threads may read them.
#[derive(Debug, Default)]
pub(super) struct Published([AtomicU64; 7]);

impl Published {
    pub(super) fn publish(&self, counters: Counters) {
        let Counters { steps, wired, sent, received, refused, panics, yields } = counters;
        let values = [steps, wired, sent, received, refused, panics, yields];
        self.0.iter().zip(values).for_each(|(cell, value)| cell.store(value, Relaxed));
    }

    pub(super) fn read(&self) -> Counters {
        let [steps, wired, sent, received, refused, panics, yields] =
            self.0.each_ref().map(|cell| cell.load(Relaxed));
        Counters { steps, wired, sent, received, refused, panics, yields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Severity;

    #[test]
    fn a_slow_receiver_is_told_what_it_lost() {
        let (mut console, receiver) = notices(2);
        let mut log = |n: u8| {
            let event = Event::new(Severity::Info, "test", n.to_string());
            console.log(Instant::EPOCH, "me", event);
        };
        (1..=5).for_each(&mut log);
        assert!(matches!(receiver.recv(), Ok(Notice::Log { event, .. }) if event.text == "1"));
        assert!(matches!(receiver.recv(), Ok(Notice::Log { event, .. }) if event.text == "2"));
        log(6);
        assert!(matches!(receiver.recv(), Ok(Notice::Lost(3))));
        assert!(matches!(receiver.recv(), Ok(Notice::Log { event, .. }) if event.text == "6"));
    }
}
