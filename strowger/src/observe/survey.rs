//! Asks the functions how they are, as orders like any other.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base::Report;
use base::census::{self, Census, Tally};
use diameter::node::status::{self, Status};
use engine::{FunctionId, Handle};

/// How long the answers may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long answers are good for all who ask: however many ask, functions are asked no more often.
const FRESH: Duration = Duration::from_millis(250);

/// What one function says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Answer {
    /// What is alive in it; `None` if it does not answer.
    pub census: Option<Census>,
    /// What it has done, if it counts.
    pub tally: Tally,
    /// Its Diameter peers, if it speaks Diameter.
    pub diameter: Option<Status>,
}

/// What all functions say, by their names.
pub type Answers = Vec<(&'static str, Answer)>;

/// Asks functions; the answers come back through [`report`](Survey::report).
pub struct Survey {
    handle: Handle,
    functions: Vec<(&'static str, FunctionId)>,
    /// Held by the one who asks: there is one question at a time.
    last: Mutex<Option<(Instant, Arc<Answers>)>>,
    heard: Mutex<Heard>,
    more: Condvar,
}

#[derive(Default)]
struct Heard {
    answers: BTreeMap<FunctionId, Answer>,
    closed: bool,
}

impl Survey {
    /// A survey of these functions.
    pub fn new(handle: Handle, functions: Vec<(&'static str, FunctionId)>) -> Survey {
        let (last, heard) = (Mutex::default(), Mutex::default());
        Survey { handle, functions, last, heard, more: Condvar::new() }
    }

    /// Asks all functions, or tells what they said a moment ago. Who does not answer in time is told
    /// without an answer.
    pub fn ask(&self) -> Arc<Answers> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, answers)) = &*last
            && at.elapsed() < FRESH
        {
            return Arc::clone(answers);
        }
        // What came too late for an earlier question is no answer to this one.
        self.heard().answers.clear();
        let mut asked = Vec::new();
        for (_, id) in &self.functions {
            // The census is the last answer of each.
            let orders = [status::Ask::order(), census::Ask::order()];
            if orders.into_iter().all(|order| self.handle.order(*id, order).is_ok()) {
                asked.push(*id);
            }
        }
        let answers = Arc::new(self.collect(&asked));
        *last = Some((Instant::now(), Arc::clone(&answers)));
        answers
    }

    fn collect(&self, asked: &[FunctionId]) -> Answers {
        let waits = |heard: &mut Heard| {
            let silent = |id: &FunctionId| heard.answers.get(id).is_none_or(|a| a.census.is_none());
            !heard.closed && asked.iter().any(silent)
        };
        let heard = self.more.wait_timeout_while(self.heard(), PATIENCE, waits);
        let (mut heard, _) = heard.unwrap_or_else(PoisonError::into_inner);
        let mut answer = |id| heard.answers.remove(id).unwrap_or_default();
        self.functions.iter().map(|(role, id)| (*role, answer(id))).collect()
    }

    /// Takes a report if it is an answer; gives it back if it is not.
    pub fn report(&self, from: FunctionId, report: Report) -> Option<Report> {
        let report = match report.0.downcast::<Census>() {
            Ok(census) => {
                self.heard().answers.entry(from).or_default().census = Some(*census);
                self.more.notify_all();
                return None;
            }
            Err(other) => other,
        };
        let report = match report.downcast::<Tally>() {
            Ok(tally) => {
                self.heard().answers.entry(from).or_default().tally = *tally;
                return None;
            }
            Err(other) => other,
        };
        match report.downcast::<Status>() {
            Ok(status) => {
                self.heard().answers.entry(from).or_default().diameter = Some(*status);
                None
            }
            Err(other) => Some(Report(other)),
        }
    }

    /// The process ends: nobody waits any longer.
    pub fn close(&self) {
        self.heard().closed = true;
        self.more.notify_all();
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
