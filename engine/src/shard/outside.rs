//! What a shard needs of the world around it. The live loop and the simulator both provide it.

use base::machine::{Name, OpenId, QueryId};
use base::store::{Change, Durability, StoreError, Table};
use base::{
    Bytes, Endpoint, Event, Flow, FlowError, FlowId, Instant, Report, Service, Transport, relay,
};
use std::io;
use std::net::SocketAddr;

use super::FunctionId;

/// All of a shard's surroundings, lent for one run.
pub struct Outside<'a> {
    /// Sockets.
    pub network: &'a mut dyn Network,
    /// The media relay's packet path.
    pub packets: &'a mut dyn Packets,
    /// What outlives a crash.
    pub store: &'a mut dyn Store,
    /// Who hears the functions' reports and log lines.
    pub console: &'a mut dyn Console,
    /// Who sees every message that crosses a seam.
    pub tap: &'a mut dyn Tap,
}

/// What a function asked for with `Output::Open`.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The asker's number.
    pub open: OpenId,
    /// The protocol to be spoken.
    pub service: Service,
    /// How bytes travel; never a wire.
    pub transport: Transport,
    /// The other end, `None` for a UDP socket of the function's own.
    pub remote: Option<SocketAddr>,
    /// Our end.
    pub local: Option<SocketAddr>,
    /// Whose certificate the other end has to show.
    pub name: Option<String>,
}

/// Flows that are not wires.
pub trait Network {
    /// Sends a message.
    ///
    /// # Errors
    /// The reason why it cannot be sent; the function hears it as `Input::Closed`.
    fn transmit(
        &mut self,
        now: Instant,
        function: FunctionId,
        flow: &Flow,
        message: Bytes,
    ) -> Result<(), FlowError>;

    /// Opens a flow. `None` if the answer comes later as an input.
    fn open(
        &mut self,
        now: Instant,
        function: FunctionId,
        request: OpenRequest,
    ) -> Option<Result<Flow, FlowError>>;

    /// Closes a flow, without an answer.
    fn close(&mut self, now: Instant, function: FunctionId, flow: &Flow);

    /// Looks up a name that the topology does not know; the answer comes later as an input.
    fn resolve(&mut self, now: Instant, function: FunctionId, query: QueryId, name: Name);

    /// Looks up the NAPTR records of a domain; the answer comes later as an input.
    fn look_up(&mut self, now: Instant, function: FunctionId, query: QueryId, domain: &str);

    /// A function is gone: closes everything that it had, unless its listeners wait for a new one.
    fn release(&mut self, now: Instant, function: FunctionId, keep_listeners: bool);
}

/// The media relay's packet path.
pub trait Packets {
    /// Hands over a command; its answer comes later as `Input::Relay` to the same function.
    fn command(&mut self, now: Instant, function: FunctionId, command: relay::Command);
}

/// Wakes whoever drives the shard.
pub type Wake = Box<dyn Fn() + Send>;

/// The store. Reads see what was written before, committed or not.
pub trait Store {
    /// Hands all records of a table to `record`, in the order of their keys.
    ///
    /// # Errors
    /// What the disk did.
    fn restore(
        &mut self,
        table: Table,
        record: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<(), StoreError>;

    /// Reads a record.
    ///
    /// # Errors
    /// What the disk did.
    fn load(&mut self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The first keys of a table, in their order, beyond `after` if it is set.
    ///
    /// # Errors
    /// What the disk did.
    fn keys(
        &mut self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Bytes>, StoreError>;

    /// Takes changes, all or none, for the next commit.
    fn write(&mut self, now: Instant, durability: Durability, changes: Vec<Change>);

    /// Whoever drives the shard does not wait for a commit from now on: another thread does, and calls
    /// `wake` after each.
    ///
    /// # Errors
    /// If the system gives us no thread.
    fn write_aside(&mut self, wake: Wake) -> io::Result<()>;

    /// Begins to make durable what was written, if nothing is under way.
    fn begin(&mut self, now: Instant);

    /// How the commit that was begun ended, once it has; nothing, too, if none was begun. After an
    /// error the changes of [`Durability::Before`] are undone and those of [`Durability::Behind`] are
    /// kept and tried again.
    fn ended(&mut self, now: Instant) -> Option<Result<(), StoreError>>;

    /// Makes everything durable that was written, and waits for it. Errors are as for
    /// [`ended`](Store::ended).
    ///
    /// # Errors
    /// What the disk did.
    fn commit(&mut self, now: Instant) -> Result<(), StoreError>;

    /// When to call [`begin`](Store::begin) at the latest, or [`ended`](Store::ended) if a commit is
    /// under way.
    fn deadline(&self) -> Option<Instant>;

    /// What an operator should know.
    fn event(&mut self) -> Option<Event>;
}

/// Hears what functions tell the program.
pub trait Console {
    /// A counter and log line; `from` is the function's configured name, or `"engine"`.
    fn log(&mut self, now: Instant, from: &str, event: Event);
    /// A report for the program.
    fn report(&mut self, now: Instant, function: FunctionId, name: &str, report: Report);
}

/// Sees every message that crosses a seam, once on each side of a network and once on a wire.
pub trait Tap {
    /// A message crosses.
    fn message(&mut self, now: Instant, crossing: &Crossing<'_>);
}

/// A message that crosses a seam.
#[derive(Clone, Debug)]
pub struct Crossing<'a> {
    /// The protocol.
    pub service: Service,
    /// How it travels.
    pub transport: Transport,
    /// Who sends it.
    pub from: Party<'a>,
    /// Who receives it.
    pub to: Party<'a>,
    /// On which side it was seen.
    pub direction: Direction,
    /// The flow, as the function that was seen knows it; the sender on a wire.
    pub flow: FlowId,
    /// The message.
    pub bytes: &'a Bytes,
}

/// One end of a crossing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Party<'a> {
    /// Its address.
    pub endpoint: Endpoint,
    /// The configured name, if it is a function of this process.
    pub name: Option<&'a str>,
}

/// On which side of the network a message was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// It left a function of this process.
    Sent,
    /// It arrived at a function of this process.
    Received,
    /// It went from one function of this process to another.
    Between,
}

impl Tap for () {
    fn message(&mut self, _: Instant, _: &Crossing<'_>) {}
}

impl<F: FnMut(Instant, &Crossing<'_>)> Tap for F {
    fn message(&mut self, now: Instant, crossing: &Crossing<'_>) {
        self(now, crossing);
    }
}

impl Console for () {
    fn log(&mut self, _: Instant, _: &str, _: Event) {}
    fn report(&mut self, _: Instant, _: FunctionId, _: &str, _: Report) {}
}

/// A host without a media relay: every pair is refused.
#[derive(Debug, Default)]
pub struct NoRelay {
    refused: Vec<(FunctionId, relay::Event)>,
}

impl NoRelay {
    /// The refusals since the last call, for the shard's inputs.
    pub fn take(&mut self) -> Vec<(FunctionId, relay::Event)> {
        std::mem::take(&mut self.refused)
    }
}

impl Packets for NoRelay {
    fn command(&mut self, _: Instant, function: FunctionId, command: relay::Command) {
        if let relay::Command::Open { port, .. } = command {
            self.refused.push((function, relay::Event::NoPort { port }));
        }
    }
}
