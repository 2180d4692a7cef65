//! One function in its place in the shard, and how it is stepped.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use base::store::Table;
use base::time::Duration;
use base::{Deadline, Function, Input, Instant, Output, Service, Transport};

/// A function's place in its shard; also its wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FunctionId(pub u16);

/// A function and what it needs.
pub struct FunctionSpec {
    /// The configured name, such as `"pcscf"`: for log lines and traces.
    pub name: String,
    /// The host names under which others reach it.
    pub hosts: Vec<String>,
    /// The machine.
    pub function: Box<dyn Function>,
    /// Where it listens on the network; wires need no listener.
    pub listeners: Vec<Listener>,
    /// The tables whose records are handed in before `Input::Start`. A table that is not listed is
    /// only read by `Output::Load`.
    pub tables: &'static [Table],
}

/// Where a function listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listener {
    /// The protocol.
    pub service: Service,
    /// UDP or TCP.
    pub transport: Transport,
    /// The address; port 0 is any free one.
    pub addr: SocketAddr,
}

/// Builds a function anew.
pub type Rebuild = Box<dyn FnMut() -> Box<dyn Function> + Send>;

/// So many panics within [`PANIC_TIME`] and the function stays away: something is wrong for good.
const PANICS: usize = 5;
const PANIC_TIME: Duration = Duration::from_secs(10);

pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) tables: &'static [Table],
    /// Gone once the function was stopped or panicked.
    function: Option<Box<dyn Function>>,
    deadline: Option<Deadline>,
    /// Builds the function anew after a panic.
    pub(crate) rebuild: Option<Rebuild>,
    /// When it panicked last, oldest first.
    panics: Vec<Instant>,
    /// `Input::Timeout` is in the queue.
    pub(crate) timeout_queued: bool,
    /// The tables of others whose records it keeps.
    keeps: Vec<Table>,
    /// What it is to hear once whoever keeps its records has handed them out; `None` if it waits for
    /// nobody.
    held: Option<VecDeque<Input>>,
}

/// What a step led to.
pub(crate) enum Stepped {
    /// All outputs are taken.
    Done,
    /// The bound on outputs is reached; more wait.
    More,
    /// There is no function here any more.
    Absent,
    /// It panicked and is gone; the panic's text.
    Panicked(String),
}

impl Machine {
    pub(crate) fn new(
        name: String,
        tables: &'static [Table],
        function: Box<dyn Function>,
    ) -> Machine {
        Machine {
            keeps: function.keeps().to_vec(),
            held: None,
            name,
            tables,
            function: Some(function),
            deadline: None,
            rebuild: None,
            panics: Vec::new(),
            timeout_queued: false,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.function.is_some()
    }

    /// Whether it keeps the records of this table.
    pub(crate) fn keeps(&self, table: Table) -> bool {
        self.keeps.contains(&table)
    }

    /// Whether it keeps the records of anybody.
    pub(crate) fn keeps_any(&self) -> bool {
        !self.keeps.is_empty()
    }

    /// It hears nothing but records until [`let_begin`](Machine::let_begin).
    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Keeps an input for later if the machine waits for its records; beyond `bound` it is dropped.
    pub(crate) fn withhold(&mut self, input: Input, bound: usize) -> Option<Input> {
        let is_record = matches!(input, Input::Restored { .. } | Input::Forgotten { .. });
        let Some(held) = self.held.as_mut().filter(|_| !is_record) else { return Some(input) };
        if held.len() < bound {
            held.push_back(input);
        }
        None
    }

    /// Its records are there: what it is to hear now, in this order.
    pub(crate) fn let_begin(&mut self) -> VecDeque<Input> {
        self.held.take().unwrap_or_default()
    }

    pub(crate) fn deadline(&self) -> Option<Deadline> {
        if self.timeout_queued { None } else { self.deadline }
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.function.as_ref().is_some_and(|function| function.is_busy())
    }

    /// Takes the machine out of its table, steps it, and puts it back only if it returned. `None`
    /// as input only takes outputs.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        input: Option<Input>,
        outputs: &mut Vec<Output>,
        bound: usize,
    ) -> Stepped {
        let Some(mut function) = self.function.take() else { return Stepped::Absent };
        let timeout = matches!(input, Some(Input::Timeout));
        let stepped = catch_unwind(AssertUnwindSafe(move || {
            if let Some(input) = input {
                function.handle(now, input);
            }
            let mut more = true;
            while outputs.len() < bound {
                match function.poll() {
                    Some(output) => outputs.push(output),
                    None => {
                        more = false;
                        break;
                    }
                }
            }
            let deadline = function.deadline();
            (function, deadline, more)
        }));
        match stepped {
            Ok((function, mut deadline, more)) => {
                // A machine that still wants the past after its timeout would stop the clock.
                if let Some(late) = deadline.as_mut().filter(|d| timeout && d.at <= now) {
                    late.at = now + Duration::from_millis(1);
                }
                self.function = Some(function);
                self.deadline = deadline;
                if more { Stepped::More } else { Stepped::Done }
            }
            Err(payload) => {
                self.deadline = None;
                let text = payload
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| payload.downcast_ref::<&'static str>().copied())
                    .unwrap_or("no text");
                Stepped::Panicked(text.to_owned())
            }
        }
    }

    /// After a panic: a new function in the place of the old one, unless it panics all the time.
    pub(crate) fn revive(&mut self, now: Instant) -> bool {
        let Some(rebuild) = &mut self.rebuild else { return false };
        self.panics.retain(|at| now.since(*at) < PANIC_TIME);
        self.panics.push(now);
        if self.panics.len() >= PANICS {
            return false;
        }
        self.function = catch_unwind(AssertUnwindSafe(rebuild)).ok();
        self.function.is_some()
    }

    /// Drops the function.
    pub(crate) fn stop(&mut self) -> bool {
        self.deadline = None;
        let function = self.function.take();
        let was = function.is_some();
        // A destructor that panics must not take the shard with it.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(function)));
        was
    }
}
