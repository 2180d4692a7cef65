//! Questions of other threads to the provisioner, and who waits for the answer.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base::machine::{Order, Report};
use engine::{FunctionId, Handle};

use crate::provision::{Answer, Ask, Found, Refusal, Request};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

type Reply = Result<Found, Refusal>;

/// Routes answers of the provisioner to those who asked.
pub struct Desk {
    handle: Handle,
    provisioner: FunctionId,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    replies: BTreeMap<u64, SyncSender<Reply>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Asked {
    /// The provisioner refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The process ends, or has too much to do.
    #[error("the running process did not answer ({0}); try again")]
    Silent(&'static str),
}

impl Desk {
    /// A desk for a running provisioner.
    pub fn new(handle: Handle, provisioner: FunctionId) -> Desk {
        Desk { handle, provisioner, waiting: Mutex::default() }
    }

    /// Asks and waits.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn ask(&self, ask: Ask) -> Result<Found, Asked> {
        let (sender, receiver) = sync_channel(1);
        let number = {
            let mut waiting = self.waiting();
            waiting.next += 1;
            let number = waiting.next;
            waiting.replies.insert(number, sender);
            number
        };
        let order = Order(Box::new(Request { number, ask }));
        let reply = match self.handle.order(self.provisioner, order) {
            Ok(()) => receiver.recv_timeout(PATIENCE),
            Err(_) => Err(RecvTimeoutError::Disconnected),
        };
        self.waiting().replies.remove(&number);
        match reply {
            Ok(reply) => Ok(reply?),
            Err(RecvTimeoutError::Timeout) => Err(Asked::Silent("it took too long")),
            Err(RecvTimeoutError::Disconnected) => Err(Asked::Silent("it has ended or is busy")),
        }
    }

    /// Takes a report if it is an answer; gives it back if it is not.
    pub fn report(&self, report: Report) -> Option<Report> {
        match report.0.downcast::<Answer>() {
            Ok(answer) => {
                if let Some(sender) = self.waiting().replies.remove(&answer.number) {
                    // Whoever asked may be gone.
                    let _ = sender.try_send(answer.result);
                }
                None
            }
            Err(other) => Some(Report(other)),
        }
    }

    /// The process ends: nobody waits any longer.
    pub fn close(&self) {
        self.waiting().replies.clear();
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
