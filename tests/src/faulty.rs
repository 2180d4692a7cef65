//! Faults that are planted into functions from outside, to see whether the invariants find them.

use std::collections::VecDeque;

use base::store::Change;
use base::time::Duration;
use base::{Deadline, Function, Input, Instant, Output};
use engine::FunctionSpec;

/// A fault in one function of the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The P-CSCF's INVITEs wait for a response for ever.
    TimerBNeverArmed,
    /// The S-CSCF never deletes a user from its table.
    BindingSurvives,
    /// The HSS says that a block of sequence numbers is reserved, and it is not.
    SqnNotPersisted,
    /// Phones send their 200 to an INVITE only once.
    SuccessNeverRepeated,
    /// What the HSS says about the third subscriber comes ten seconds late.
    HssLate,
    /// The S-CSCF has an empty disk whenever it starts.
    DiskLost,
}

const LATE: Duration = Duration::from_secs(10);

impl Fault {
    /// Plants the fault into a function, if it is one of that function.
    pub fn plant(fault: Option<Fault>, mut spec: FunctionSpec) -> FunctionSpec {
        let concerns = match fault {
            Some(Fault::DiskLost) => {
                if spec.name == "scscf" {
                    spec.tables = &[];
                }
                return spec;
            }
            Some(Fault::BindingSurvives) => "scscf",
            Some(Fault::SqnNotPersisted | Fault::HssLate) => "hss",
            Some(Fault::SuccessNeverRepeated) => "ue",
            // This one is a value of the configuration.
            Some(Fault::TimerBNeverArmed) | None => return spec,
        };
        if let Some(fault) = fault.filter(|_| spec.name == concerns) {
            let (last, held) = (Vec::new(), VecDeque::new());
            let inner = spec.function;
            spec.function = Box::new(Faulty { inner, fault, now: Instant::EPOCH, last, held });
        }
        spec
    }
}

/// A function with a fault: what it wants done is tampered with.
struct Faulty {
    inner: Box<dyn Function>,
    fault: Fault,
    now: Instant,
    /// The 200s that were sent.
    last: Vec<base::Bytes>,
    /// What is sent later.
    held: VecDeque<(Instant, Output)>,
}

impl Faulty {
    /// The output as the fault leaves it.
    fn tamper(&mut self, output: Output) -> Option<Output> {
        match (self.fault, output) {
            (Fault::BindingSurvives, Output::Store { durability, mut changes, commit }) => {
                changes.retain(|change| !matches!(change, Change::Delete { .. }));
                Some(Output::Store { durability, changes, commit })
            }
            (Fault::SqnNotPersisted, Output::Store { changes, commit, .. })
                if changes.iter().all(is_sqn) =>
            {
                if let Some(commit) = commit {
                    self.inner.handle(self.now, Input::Committed { commit, result: Ok(()) });
                }
                None
            }
            (Fault::SuccessNeverRepeated, Output::Transmit { flow, message }) => {
                let text = String::from_utf8_lossy(&message);
                let success = text.starts_with("SIP/2.0 200") && text.contains(" INVITE\r\n");
                if success && self.last.contains(&message) {
                    return None;
                }
                if success {
                    self.last.push(message.clone());
                }
                Some(Output::Transmit { flow, message })
            }
            (Fault::HssLate, output @ Output::Transmit { .. }) => {
                let Output::Transmit { message, .. } = &output else { return None };
                if !message.windows(10).any(|bytes| bytes == b"0000000003") {
                    return Some(output);
                }
                self.held.push_back((self.now + LATE, output));
                None
            }
            (_, output) => Some(output),
        }
    }
}

fn is_sqn(change: &Change) -> bool {
    let (Change::Put { table, .. } | Change::Delete { table, .. }) = change;
    *table == hss::records::SQN
}

impl Function for Faulty {
    fn handle(&mut self, now: Instant, input: Input) {
        self.now = now;
        self.inner.handle(now, input);
    }

    fn poll(&mut self) -> Option<Output> {
        if self.held.front().is_some_and(|(at, _)| *at <= self.now) {
            return self.held.pop_front().map(|(_, output)| output);
        }
        loop {
            let output = self.inner.poll()?;
            if let Some(output) = self.tamper(output) {
                return Some(output);
            }
        }
    }

    fn deadline(&self) -> Option<Deadline> {
        let held = self.held.front();
        let held = held.map(|(at, _)| Deadline { at: *at, reason: "held back" });
        Deadline::earliest(self.inner.deadline(), held)
    }

    fn is_busy(&self) -> bool {
        self.inner.is_busy()
    }
}
