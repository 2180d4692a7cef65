//! Questions of other threads to the provisioner, and who waits for the answer. The HSS hears of what
//! was done, so that the network follows at once.

use std::collections::BTreeMap;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base::machine::{Order, Report};
use engine::{FunctionId, Handle};
use hss::{Operation, OperationKind};

use crate::provision::{Answer, Ask, Found, Refusal, Request};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

type Reply = Result<Found, Refusal>;

/// Routes answers of the provisioner to those who asked.
pub struct Desk {
    handle: Handle,
    provisioner: FunctionId,
    hss: Option<FunctionId>,
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
    /// A desk for a running provisioner, and the HSS of the process if there is one.
    pub fn new(handle: Handle, provisioner: FunctionId, hss: Option<FunctionId>) -> Desk {
        Desk { handle, provisioner, hss, waiting: Mutex::default() }
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
                let result = self.tell(answer.operations).and(answer.result);
                if let Some(sender) = self.waiting().replies.remove(&answer.number) {
                    // Whoever asked may be gone.
                    let _ = sender.try_send(result);
                }
                None
            }
            Err(other) => Some(Report(other)),
        }
    }

    /// Gives the HSS its order. What was written is so without it; a deregistration is not.
    fn tell(&self, operations: Vec<Operation>) -> Result<(), Refusal> {
        let ends =
            |operation: &Operation| matches!(operation.kind, OperationKind::Deregistered { .. });
        match self.hss {
            _ if operations.is_empty() => Ok(()),
            Some(hss) => {
                let order = Order(Box::new(operations));
                self.handle.order(hss, order).map_err(|_| Refusal::Busy)
            }
            None if operations.iter().any(ends) => Err(Refusal::NoHss),
            None => Ok(()),
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
