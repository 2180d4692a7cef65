//! A shard: machines, the wires between them, and the order in which they are stepped.
//!
//! A shard does no I/O of its own. It is fed with inputs and run with its surroundings lent to it
//! ([`Outside`]); the live loop and the simulator drive the very same code.

mod machine;
mod outside;
mod topology;
mod wires;

use std::collections::VecDeque;

use base::machine::Target;
use base::store::{Change, CommitId, Durability, Table};
use base::{Bytes, Deadline, Endpoint, Event, Flow, FlowError, Input, Instant, Output, Severity};
use base::{Transport, WireId};

pub use machine::{FunctionId, FunctionSpec, Listener, Rebuild};
use machine::{Machine, Stepped};
pub use outside::{
    Console, Crossing, Direction, Network, NoRelay, OpenRequest, Outside, Packets, Party, Store,
    Tap, Wake,
};
pub(crate) use topology::asked;
pub use topology::{Place, Topology, default_port, default_transport, literal};
use wires::Wires;

/// Bounds of a shard.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Steps of one run; then the network gets its turn.
    pub steps: usize,
    /// Waiting inputs; beyond that, what functions send each other is refused.
    pub queue: usize,
    /// Outputs that are taken at once from one function.
    pub outputs: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { steps: 4096, queue: 65_536, outputs: 16_384 }
    }
}

/// What a shard has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Inputs handed to functions.
    pub steps: u64,
    /// Messages over wires.
    pub wired: u64,
    /// Messages to the network.
    pub sent: u64,
    /// Messages from the network.
    pub received: u64,
    /// Messages refused because the queue was full.
    pub refused: u64,
    /// Functions that panicked.
    pub panics: u64,
    /// Runs that ended by the bound on steps.
    pub yields: u64,
}

/// Whether a run left work behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// Everything is done until the next input or deadline.
    Idle,
    /// The bound on steps was reached: run again.
    More,
}

/// Who waits for a commit, and for which of his changes.
type Waiting = (FunctionId, CommitId, Durability);

/// Machines that share a thread.
pub struct Shard {
    machines: Vec<Machine>,
    wires: Wires,
    topology: Topology,
    /// What functions are to hear, in this order; `None` only takes outputs that were left.
    queue: VecDeque<(FunctionId, Option<Input>)>,
    /// Who waits for the next commit.
    committing: Vec<Waiting>,
    /// Who waits for the commit that is under way, if one is.
    under_way: Option<Vec<Waiting>>,
    /// Somebody's answer waits for the commit.
    hurry: bool,
    outputs: Vec<Output>,
    limits: Limits,
    counters: Counters,
}

impl Shard {
    /// An empty shard.
    pub fn new(limits: Limits) -> Shard {
        Shard {
            machines: Vec::new(),
            wires: Wires::default(),
            topology: Topology::default(),
            queue: VecDeque::new(),
            committing: Vec::new(),
            under_way: None,
            hurry: false,
            outputs: Vec::new(),
            limits,
            counters: Counters::default(),
        }
    }

    /// The number that the next function gets.
    pub fn next_id(&self) -> FunctionId {
        FunctionId(u16::try_from(self.machines.len()).unwrap_or(u16::MAX))
    }

    /// Takes a function in. Its listeners are the caller's business.
    pub fn add(&mut self, spec: FunctionSpec) -> FunctionId {
        let id = u16::try_from(self.machines.len()).expect("fewer than 65536 functions in a shard");
        for host in &spec.hosts {
            self.topology.function(host, WireId(id));
        }
        self.machines.push(Machine::new(spec.name, spec.tables, spec.function));
        FunctionId(id)
    }

    /// Who is where.
    pub fn topology(&mut self) -> &mut Topology {
        &mut self.topology
    }

    /// What was done so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The configured name of a function.
    pub fn name(&self, function: FunctionId) -> &str {
        self.machines.get(usize::from(function.0)).map_or("?", |m| &m.name)
    }

    /// The function of a configured name.
    pub fn find(&self, name: &str) -> Option<FunctionId> {
        let at = self.machines.iter().position(|m| m.name == name)?;
        Some(FunctionId(at as u16))
    }

    /// Whether the function is there and has not panicked.
    pub fn is_running(&self, function: FunctionId) -> bool {
        self.machines.get(usize::from(function.0)).is_some_and(Machine::is_running)
    }

    /// Hands stored records to their functions, then starts all of them.
    pub fn start(&mut self, now: Instant, outside: &mut Outside<'_>) {
        for id in self.ids() {
            self.restore(now, id, outside);
            if self.machines[usize::from(id.0)].tables.iter().any(|t| self.keeper(*t).is_some()) {
                self.machines[usize::from(id.0)].hold();
            }
        }
        for id in self.ids() {
            self.input(id, Input::Start);
        }
    }

    fn restore(&mut self, now: Instant, id: FunctionId, outside: &mut Outside<'_>) {
        for table in self.machines[usize::from(id.0)].tables {
            if self.keeper(*table).is_some() {
                continue;
            }
            let mut records = Vec::new();
            let read = outside.store.restore(*table, &mut |key, value| records.push((key, value)));
            if let Err(error) = read {
                let text = format!("table {} cannot be read: {error}", table.0);
                log(now, outside, Event::new(Severity::Error, "store.restore", text));
            }
            for (key, value) in records {
                self.step(now, id, Some(Input::Restored { table: *table, key, value }), outside);
            }
        }
    }

    /// The function that keeps the records of a table, if it is not the store; once that function is
    /// gone, the store does.
    fn keeper(&self, table: Table) -> Option<FunctionId> {
        let keeps = |machine: &Machine| machine.is_running() && machine.keeps(table);
        let at = self.machines.iter().position(keeps)?;
        Some(FunctionId(at as u16))
    }

    /// A function that was built anew lost the records that another one keeps.
    fn recall(&mut self, id: FunctionId) {
        let tables = self.machines[usize::from(id.0)].tables;
        for keeper in self.ids() {
            let machine = &self.machines[usize::from(keeper.0)];
            let tables: Vec<_> = tables.iter().filter(|t| machine.keeps(**t)).copied().collect();
            if !tables.is_empty() {
                self.input(keeper, Input::Recall { tables });
            }
        }
    }

    /// How to build a function anew after a panic. It keeps its listeners, loses its wires and
    /// connections, and gets its records and `Input::Start` again. Without it, or if it panics again
    /// and again, the function stays away.
    pub fn rebuild(&mut self, function: FunctionId, rebuild: Rebuild) {
        if let Some(machine) = self.machines.get_mut(usize::from(function.0)) {
            machine.rebuild = Some(rebuild);
        }
    }

    /// Tells a function something, after all that it is to hear already.
    pub fn input(&mut self, function: FunctionId, input: Input) {
        self.queue.push_back((function, Some(input)));
    }

    /// Whether the queue is full: then the caller refuses new work.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= self.limits.queue
    }

    /// Tells all functions whose deadline has come.
    pub fn timeouts(&mut self, now: Instant) {
        for (at, machine) in self.machines.iter_mut().enumerate() {
            if machine.deadline().is_some_and(|deadline| deadline.at <= now) {
                machine.timeout_queued = true;
                self.queue.push_back((FunctionId(at as u16), Some(Input::Timeout)));
            }
        }
    }

    /// The earliest deadline of all functions.
    pub fn next_deadline(&self) -> Option<Deadline> {
        self.machines.iter().fold(None, |next, m| Deadline::earliest(next, m.deadline()))
    }

    /// Steps functions until nothing is left to do or the bound is reached.
    pub fn run(&mut self, now: Instant, outside: &mut Outside<'_>) -> Progress {
        let mut steps = 0;
        loop {
            while let Some((function, input)) = self.queue.pop_front() {
                self.step(now, function, input, outside);
                steps += 1;
                if steps >= self.limits.steps {
                    break;
                }
            }
            while self.commit(now, outside) {}
            if self.queue.is_empty() {
                return Progress::Idle;
            }
            if steps >= self.limits.steps {
                self.counters.yields += 1;
                return Progress::More;
            }
        }
    }

    /// Tells all functions how many of a hundred new requests from the network are too many.
    pub fn overload(&mut self, percent: u8) {
        for id in self.ids() {
            self.input(id, Input::Overload { percent });
        }
    }

    /// Asks all functions to take no new work.
    pub fn drain(&mut self) {
        for id in self.ids() {
            self.input(id, Input::Drain);
        }
    }

    /// Whether a function has something under way that a drain waits for.
    pub fn is_busy(&self) -> bool {
        !self.queue.is_empty() || self.machines.iter().any(Machine::is_busy)
    }

    /// Takes a function away: its wires close, its sockets too.
    pub fn stop(&mut self, now: Instant, function: FunctionId, outside: &mut Outside<'_>) {
        if self.machines.get_mut(usize::from(function.0)).is_some_and(Machine::stop) {
            self.release(now, function, outside, false);
        }
    }

    fn ids(&self) -> impl Iterator<Item = FunctionId> + use<> {
        (0..self.machines.len()).map(|at| FunctionId(at as u16))
    }

    fn step(
        &mut self,
        now: Instant,
        id: FunctionId,
        input: Option<Input>,
        outside: &mut Outside<'_>,
    ) {
        let queue = self.limits.queue;
        let Some(machine) = self.machines.get_mut(usize::from(id.0)) else { return };
        let input = match input {
            Some(input) => match machine.withhold(input, queue) {
                Some(input) => Some(input),
                None => return,
            },
            None => None,
        };
        match &input {
            Some(Input::Timeout) => machine.timeout_queued = false,
            Some(Input::Received { flow, message })
                if flow.transport != Transport::Wire && machine.is_running() =>
            {
                self.counters.received += 1;
                let crossing = Crossing {
                    service: flow.service,
                    transport: flow.transport,
                    from: Party { endpoint: flow.remote, name: None },
                    to: Party { endpoint: flow.local, name: Some(&machine.name) },
                    direction: Direction::Received,
                    flow: flow.id,
                    bytes: message,
                };
                outside.tap.message(now, &crossing);
            }
            Some(Input::Closed { flow, error: FlowError::Overloaded }) => {
                self.wires.refusal_heard(flow.id);
            }
            _ => {}
        }
        self.counters.steps += 1;
        let mut outputs = std::mem::take(&mut self.outputs);
        let stepped = machine.step(now, input, &mut outputs, self.limits.outputs);
        match stepped {
            Stepped::Done => {}
            Stepped::Absent => outputs.clear(),
            Stepped::More => self.queue.push_front((id, None)),
            Stepped::Panicked(text) => {
                outputs.clear();
                self.counters.panics += 1;
                let revived = machine.revive(now);
                let fate = if revived { "is started anew" } else { "is stopped" };
                let text = format!("{} panicked and {fate}: {text}", machine.name);
                log(now, outside, Event::new(Severity::Error, "engine.panic", text));
                self.release(now, id, outside, revived);
                if revived {
                    // Answers to the old one mean nothing to the new one; messages do.
                    self.queue.retain(|(function, input)| *function != id || is_news(input));
                    self.machines[usize::from(id.0)].timeout_queued = false;
                    self.restore(now, id, outside);
                    self.recall(id);
                    return self.queue.push_front((id, Some(Input::Start)));
                }
            }
        }
        // Answers of the embedded store come before anything else that the function may hear.
        let mut loaded = Vec::new();
        for output in outputs.drain(..) {
            self.output(now, id, output, outside, &mut loaded);
        }
        for input in loaded.into_iter().rev() {
            self.queue.push_front((id, Some(input)));
        }
        self.outputs = outputs;
    }

    fn output(
        &mut self,
        now: Instant,
        id: FunctionId,
        output: Output,
        outside: &mut Outside<'_>,
        loaded: &mut Vec<Input>,
    ) {
        match output {
            Output::Transmit { flow, message } if flow.transport == Transport::Wire => {
                self.transmit_wire(now, id, flow, message, outside);
            }
            Output::Transmit { flow, message } => {
                let crossing = Crossing {
                    service: flow.service,
                    transport: flow.transport,
                    from: Party { endpoint: flow.local, name: Some(self.name(id)) },
                    to: Party { endpoint: flow.remote, name: None },
                    direction: Direction::Sent,
                    flow: flow.id,
                    bytes: &message,
                };
                // The tap sees only what crossed; a shared buffer makes the copy free.
                match outside.network.transmit(now, id, &flow, message.clone()) {
                    Ok(()) => {
                        outside.tap.message(now, &crossing);
                        self.counters.sent += 1;
                    }
                    Err(error) => self.input(id, Input::Closed { flow, error }),
                }
            }
            Output::Open { open, service, transport, remote, local, name } => {
                let answer = match (transport, remote) {
                    (Transport::Wire, Some(Endpoint::Wire(wire))) => {
                        let other = FunctionId(wire.0);
                        Some(if self.is_running(other) {
                            Ok(self.wires.open(service, id, other))
                        } else {
                            Err(FlowError::Refused)
                        })
                    }
                    (Transport::Wire, _) | (_, Some(Endpoint::Wire(_))) => {
                        Some(Err(FlowError::Unreachable))
                    }
                    (_, remote) => {
                        let remote = remote.and_then(|end| end.socket_addr());
                        let request = OpenRequest { open, service, transport, remote, local, name };
                        outside.network.open(now, id, request)
                    }
                };
                match answer {
                    Some(Ok(flow)) => self.input(id, Input::Opened { open, flow }),
                    Some(Err(error)) => self.input(id, Input::OpenFailed { open, error }),
                    None => {}
                }
            }
            Output::Close { flow } if flow.transport == Transport::Wire => {
                if let Some(Some((other, flow))) = self.wires.close(id, flow.id) {
                    self.input(other, Input::Closed { flow, error: FlowError::Closed });
                }
            }
            Output::Close { flow } => outside.network.close(now, id, &flow),
            Output::Resolve { query, name } => match self.resolve(&name) {
                Some(targets) => self.input(id, Input::Resolved { query, targets }),
                None => outside.network.resolve(now, id, query, name),
            },
            Output::LookUp { query, domain } => outside.network.look_up(now, id, query, &domain),
            Output::Load { load, table, key } => {
                let value = outside.store.load(table, &key);
                loaded.push(Input::Loaded { load, value });
            }
            Output::Scan { load, table, after, limit } => {
                let keys = outside.store.keys(table, after.as_deref(), limit);
                loaded.push(Input::Scanned { load, keys });
            }
            Output::Kept { table, key, value } => {
                let owns = |machine: &Machine| machine.tables.contains(&table);
                if let Some(owner) = self.machines.iter().position(owns) {
                    let input = match value {
                        Some(value) => Input::Restored { table, key, value },
                        None => Input::Forgotten { table, key },
                    };
                    self.input(FunctionId(owner as u16), input);
                }
            }
            Output::Ready => self.let_begin(),
            Output::Store { durability, changes, commit } => match self.kept_by(&changes) {
                // Nobody waits for the commit of such a change: it is shared behind.
                Some(keeper) => self.input(keeper, Input::Keep { changes }),
                None => {
                    outside.store.write(now, durability, changes);
                    self.hurry |= durability == Durability::Before;
                    if let Some(commit) = commit {
                        self.committing.push((id, commit, durability));
                    }
                }
            },
            Output::Relay(command) => outside.packets.command(now, id, command),
            Output::Log(event) => outside.console.log(now, self.name(id), event),
            Output::Report(report) => outside.console.report(now, id, self.name(id), report),
        }
    }

    /// Who keeps the records that are changed, if it is not the store.
    fn kept_by(&self, changes: &[Change]) -> Option<FunctionId> {
        let (Change::Put { table, .. } | Change::Delete { table, .. }) = changes.first()?;
        self.keeper(*table)
    }

    /// The records are there: whoever waits for them hears what was kept from it.
    fn let_begin(&mut self) {
        for id in self.ids() {
            for input in self.machines[usize::from(id.0)].let_begin() {
                self.input(id, input);
            }
        }
    }

    fn resolve(&self, name: &base::machine::Name) -> Option<Vec<Target>> {
        self.topology.resolve(name)
    }

    fn transmit_wire(
        &mut self,
        now: Instant,
        id: FunctionId,
        flow: Flow,
        message: Bytes,
        outside: &mut Outside<'_>,
    ) {
        if self.is_full() {
            self.counters.refused += 1;
            if self.wires.refuse(flow.id) {
                self.input(id, Input::Closed { flow, error: FlowError::Overloaded });
            }
            return;
        }
        let Some((other, peer)) = self.wires.cross(id, flow.id) else {
            return self.input(id, Input::Closed { flow, error: FlowError::Stale });
        };
        self.counters.wired += 1;
        let crossing = Crossing {
            service: flow.service,
            transport: Transport::Wire,
            from: Party { endpoint: peer.remote, name: Some(self.name(id)) },
            to: Party { endpoint: peer.local, name: Some(self.name(other)) },
            direction: Direction::Between,
            flow: flow.id,
            bytes: &message,
        };
        outside.tap.message(now, &crossing);
        self.input(other, Input::Received { flow: peer, message });
    }

    /// One commit for everybody who waits, now that no function has anything more to say, or the end
    /// of the one that is under way. Whether something was settled.
    fn commit(&mut self, now: Instant, outside: &mut Outside<'_>) -> bool {
        if self.under_way.is_none() {
            let due = outside.store.deadline().is_some_and(|at| at <= now);
            if !self.hurry && !due {
                return false;
            }
            self.hurry = false;
            outside.store.begin(now);
            self.under_way = Some(std::mem::take(&mut self.committing));
        }
        let Some(result) = outside.store.ended(now) else { return false };
        while let Some(event) = outside.store.event() {
            log(now, outside, event);
        }
        for (id, commit, durability) in self.under_way.take().into_iter().flatten() {
            if result.is_err() && durability == Durability::Behind {
                self.committing.push((id, commit, durability));
            } else {
                self.input(id, Input::Committed { commit, result });
            }
        }
        true
    }

    fn release(
        &mut self,
        now: Instant,
        function: FunctionId,
        outside: &mut Outside<'_>,
        keep_listeners: bool,
    ) {
        for (other, flow) in self.wires.release(function) {
            self.input(other, Input::Closed { flow, error: FlowError::Closed });
        }
        let waiting = self.under_way.iter_mut().chain([&mut self.committing]);
        waiting.for_each(|waiting| waiting.retain(|(id, ..)| *id != function));
        outside.network.release(now, function, keep_listeners);
        let keeps = |machine: &Machine| !machine.is_running() && machine.keeps_any();
        if self.machines.get(usize::from(function.0)).is_some_and(keeps) {
            // Whoever waits for records from it would wait for ever.
            self.let_begin();
        }
    }
}

/// Whether an input means something to a function that asked for nothing yet.
fn is_news(input: &Option<Input>) -> bool {
    match input {
        Some(Input::Received { flow, .. }) => flow.transport != Transport::Wire,
        Some(Input::Order(_) | Input::Drain) => true,
        _ => false,
    }
}

fn log(now: Instant, outside: &mut Outside<'_>, event: Event) {
    outside.console.log(now, "engine", event);
}

#[cfg(test)]
mod tests;
