//! The live loop: one thread, its shard, and the operating system.

mod clock;
mod dns;
mod entropy;
mod fill;
mod holder;
mod inbound;
mod load;
mod mmsg;
mod notices;
mod probe;
mod resolver;
mod sockets;
mod stream;
pub mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use base::machine::Order;
use base::time::Duration;
use base::{Event, Input, Instant, Random, Service, Severity, Transport};
use mio::{Events, Poll, Token, Waker};

pub use clock::Clock;
pub use dns::DnsConfig;
pub use holder::{Holder, holder};
use load::Load;
pub(crate) use mmsg::{BATCH, Inbox, send as send_batch};
use notices::Published;
pub use notices::{NOTICES, Notice, Notices, notices};
pub use probe::probe;
use sockets::Sockets;
use tls::Tls;

use crate::framing::{Framings, no_streams};
use crate::heap::Keeping;
use crate::relay::{Forward, RelayConfig, RelayThread};
use crate::shard::{
    Console, Counters, FunctionId, FunctionSpec, Limits, Listener, NoRelay, Outside, Packets,
    Place, Progress, Rebuild, Shard, Store, Tap,
};
use crate::store::MemoryStore;

/// The waker's number among the sockets.
const WAKER: Token = Token(usize::MAX);
/// Orders of one turn; then the network gets its turn.
const ORDERS: usize = 256;

/// Bounds and choices of a live loop.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// How each service cuts streams into messages.
    pub framings: Framings,
    /// The longest message of a stream, in bytes.
    pub max_message: usize,
    /// Connections that others may open.
    pub connections: usize,
    /// Of these, connections of one source; programs on this host have no limit of their own.
    pub connections_of_one: usize,
    /// Bytes that may wait on one connection; beyond it messages are refused.
    pub stream_bytes: usize,
    /// Datagrams that may wait on one socket; beyond it messages are refused.
    pub datagrams: usize,
    /// Addresses that move from machine to machine: a listener there need not have it now.
    pub floating: Vec<IpAddr>,
    /// How long a connection attempt may take.
    pub connect_timeout: Duration,
    /// The ports of sockets that functions bind without naming one; `None` lets the system choose.
    pub ports: Option<RangeInclusive<u16>>,
    /// Orders that may wait.
    pub orders: usize,
    /// The shard's bounds.
    pub limits: Limits,
    /// Where names are looked up that the topology does not know.
    pub dns: DnsConfig,
    /// Certificates; without them there is no TLS.
    pub tls: Option<Tls>,
    /// TLS handshakes of others that may be under way.
    pub handshakes: usize,
    /// Of these, those of one source, as for connections.
    pub handshakes_of_one: usize,
    /// How long each of them may take.
    pub handshake_timeout: Duration,
}

impl Default for LiveConfig {
    fn default() -> LiveConfig {
        LiveConfig {
            framings: no_streams,
            max_message: 256 * 1024,
            connections: 4096,
            connections_of_one: 1024,
            stream_bytes: 1 << 20,
            datagrams: 4096,
            floating: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            ports: None,
            orders: 1024,
            limits: Limits::default(),
            dns: DnsConfig::system(),
            tls: None,
            handshakes: 256,
            handshakes_of_one: 64,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// Why a function cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Somebody else has the port.
    #[error("{name}: {transport:?} {addr} is in use{}", by(.holder))]
    InUse {
        /// The function.
        name: String,
        /// UDP, TCP or TLS.
        transport: Transport,
        /// The address.
        addr: SocketAddr,
        /// Who has it, as far as we may know.
        holder: Option<Holder>,
    },
    /// Anything else that the system said.
    #[error("{name}: {transport:?} {addr} cannot be opened: {error}")]
    Refused {
        /// The function.
        name: String,
        /// UDP, TCP or TLS.
        transport: Transport,
        /// The address.
        addr: SocketAddr,
        /// What it said.
        error: io::Error,
    },
}

fn by(holder: &Option<Holder>) -> String {
    holder.as_ref().map_or(String::new(), |h| format!(" by {} (process {})", h.command, h.pid))
}

/// Why an order was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandleError {
    /// Too many orders wait.
    #[error("too many orders wait")]
    Full,
    /// The loop has ended.
    #[error("the loop has ended")]
    Ended,
}

/// What changes in one step.
#[derive(Default)]
pub struct Change {
    /// Where these names are from now on.
    pub places: Vec<Places>,
    /// What functions are told.
    pub orders: Vec<(FunctionId, Order)>,
    /// Other certificates, for connections that begin from now on.
    pub tls: Option<Tls>,
}

/// A name, the service (or all of them) and where it is.
pub type Places = (String, Option<Service>, Vec<Place>);

/// Talks to a running loop from other threads.
#[derive(Clone)]
pub struct Handle {
    sender: SyncSender<Command>,
    waker: Arc<Waker>,
    counters: Arc<Published>,
}

enum Command {
    Order(FunctionId, Order),
    StopFunction(FunctionId),
    Change(Change),
    Drain(Duration),
    Stop,
}

impl Handle {
    /// Gives a function an order.
    ///
    /// # Errors
    /// If too many orders wait, or the loop has ended.
    pub fn order(&self, function: FunctionId, order: Order) -> Result<(), HandleError> {
        self.send(Command::Order(function, order))
    }

    /// Changes several things in one step: nobody sees a part of it. Connections that are open stay.
    ///
    /// # Errors
    /// As for [`order`](Handle::order).
    pub fn change(&self, change: Change) -> Result<(), HandleError> {
        self.send(Command::Change(change))
    }

    /// Takes one function away; the others live on.
    ///
    /// # Errors
    /// As for [`order`](Handle::order).
    pub fn stop_function(&self, function: FunctionId) -> Result<(), HandleError> {
        self.send(Command::StopFunction(function))
    }

    /// Asks all functions to take no new work, and ends the loop when none is busy any more, after
    /// `grace` at the latest.
    ///
    /// # Errors
    /// As for [`order`](Handle::order).
    pub fn drain(&self, grace: Duration) -> Result<(), HandleError> {
        self.send(Command::Drain(grace))
    }

    /// Ends the loop now; what was written to the store is made durable.
    ///
    /// # Errors
    /// As for [`order`](Handle::order).
    pub fn stop(&self) -> Result<(), HandleError> {
        self.send(Command::Stop)
    }

    /// What the shard has done so far.
    pub fn counters(&self) -> Counters {
        self.counters.read()
    }

    fn send(&self, command: Command) -> Result<(), HandleError> {
        self.sender.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => HandleError::Full,
            TrySendError::Disconnected(_) => HandleError::Ended,
        })?;
        // A loop that cannot be woken finds the order at its next turn.
        let _ = self.waker.wake();
        Ok(())
    }
}

/// One shard on the operating system's network.
pub struct Live {
    poll: Poll,
    clock: Clock,
    random: Random,
    sockets: Sockets,
    shard: Shard,
    store: Box<dyn Store + Send>,
    relay: Option<RelayThread>,
    handle: Handle,
    commands: Receiver<Command>,
    listening: Vec<(FunctionId, Listener)>,
}

impl Live {
    /// A loop without functions, with a store that forgets everything.
    ///
    /// # Errors
    /// What the system refuses: an epoll instance, random bytes.
    pub fn new(config: LiveConfig) -> io::Result<Live> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut random = Random::new(entropy::seed()?);
        let (sender, commands) = sync_channel(config.orders);
        let shard = Shard::new(config.limits);
        let sockets = Sockets::new(poll.registry().try_clone()?, config, random.fork());
        Ok(Live {
            poll,
            clock: Clock::start(),
            random,
            sockets,
            shard,
            store: Box::new(MemoryStore::default()),
            relay: None,
            handle: Handle { sender, waker, counters: Arc::default() },
            commands,
            listening: Vec::new(),
        })
    }

    /// Random numbers for a function, seeded by the operating system.
    pub fn random(&mut self) -> Random {
        self.random.fork()
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The clock that functions' time comes from.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Takes a function in and opens its listeners.
    ///
    /// # Errors
    /// The listener that cannot be opened; the function is not taken in then.
    pub fn add(&mut self, spec: FunctionSpec) -> Result<FunctionId, ListenError> {
        let (name, listeners) = (spec.name.clone(), spec.listeners.clone());
        let id = self.shard.next_id();
        for listener in listeners {
            match self.sockets.listen(id, listener) {
                Ok(addr) => self.listening.push((id, Listener { addr, ..listener })),
                Err(error) => {
                    let Listener { transport, addr, .. } = listener;
                    let now = self.clock.now();
                    crate::shard::Network::release(&mut self.sockets, now, id, false);
                    self.listening.retain(|(owner, _)| *owner != id);
                    return Err(if error.kind() == io::ErrorKind::AddrInUse {
                        let holder = holder(transport, addr);
                        ListenError::InUse { name, transport, addr, holder }
                    } else {
                        ListenError::Refused { name, transport, addr, error }
                    });
                }
            }
        }
        Ok(self.shard.add(spec))
    }

    /// Lets nobody in over TLS at this function's listeners without a certificate that is believed.
    pub fn demand_certificates(&mut self, function: FunctionId) {
        self.sockets.demand_certificates(function);
    }

    /// Where functions listen, with the real ports.
    pub fn listening(&self) -> &[(FunctionId, Listener)] {
        &self.listening
    }

    /// The places of a name, for one service or all; without any it is asked for in DNS.
    pub fn topology(&mut self, name: &str, service: Option<Service>, places: Vec<Place>) {
        self.shard.topology().place(name, service, places);
    }

    /// The store to be used instead of one that forgets everything; a thread of its own writes it.
    ///
    /// # Errors
    /// If the system gives us no thread.
    pub fn store(&mut self, mut store: impl Store + Send + 'static) -> io::Result<()> {
        let waker = Arc::clone(&self.handle.waker);
        // A loop that cannot be woken sees the end of the commit at its next turn.
        store.write_aside(Box::new(move || drop(waker.wake())))?;
        self.store = Box::new(store);
        Ok(())
    }

    /// Starts the packet path: a thread of its own.
    ///
    /// # Errors
    /// What the system refuses: a thread, an epoll instance.
    pub fn relay(
        &mut self,
        config: RelayConfig,
        forward: impl Forward + 'static,
    ) -> io::Result<()> {
        let waker = Arc::clone(&self.handle.waker);
        let random = self.random();
        self.relay = Some(RelayThread::start(config, self.clock, forward, random, waker)?);
        Ok(())
    }

    /// How to build a function anew after a panic, see [`Shard::rebuild`].
    pub fn rebuild(&mut self, function: FunctionId, rebuild: Rebuild) {
        self.shard.rebuild(function, rebuild);
    }

    /// For other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Restores and starts the functions and runs them until [`Handle::stop`], or until a drain is
    /// over.
    ///
    /// # Errors
    /// If the system no longer tells us of events.
    pub fn run(mut self, mut tap: impl Tap, mut console: impl Console) -> io::Result<()> {
        let _keeping = Keeping::begin();
        let mut events = Events::with_capacity(1024);
        let mut no_relay = NoRelay::default();
        let mut now = self.clock.now();
        let mut load = Load::new(now);
        let mut end: Option<Instant> = None;
        let mut orders_left = false;
        let mut progress =
            self.turn(now, &mut no_relay, &mut tap, &mut console, |shard, outside| {
                shard.start(now, outside);
                shard.run(now, outside)
            });
        loop {
            let busy = orders_left || progress == Progress::More || self.sockets.has_ready();
            let asleep = self.clock.now();
            let timeout =
                if busy { Some(Duration::ZERO) } else { self.patience(asleep, &load, end) };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            now = self.clock.now();
            if let Some(percent) = load.turn(now, now.since(asleep), || self.sockets.are_full()) {
                self.shard.overload(percent);
            }
            for event in &events {
                if event.token() != WAKER {
                    self.sockets.event(event);
                }
            }
            // What cannot be queued stays in the kernel's buffers.
            if !self.shard.is_full() {
                self.sockets.read(now);
            }
            self.sockets.timeouts(now);
            let mut stop = end.is_some_and(|end| end <= now);
            let commands: Vec<_> = self.commands.try_iter().take(ORDERS).collect();
            orders_left = commands.len() == ORDERS;
            for command in commands {
                match command {
                    Command::Order(function, order) => {
                        self.shard.input(function, Input::Order(order));
                    }
                    Command::StopFunction(function) => {
                        self.turn(now, &mut no_relay, &mut tap, &mut console, |shard, outside| {
                            shard.stop(now, function, outside);
                            Progress::Idle
                        });
                    }
                    Command::Change(Change { places, orders, tls }) => {
                        if let Some(tls) = tls {
                            self.sockets.use_tls(tls);
                        }
                        for (name, service, places) in places {
                            self.topology(&name, service, places);
                        }
                        for (function, order) in orders {
                            self.shard.input(function, Input::Order(order));
                        }
                    }
                    Command::Drain(grace) => {
                        self.shard.drain();
                        end = Some(now + grace);
                    }
                    Command::Stop => stop = true,
                }
            }
            if let Some(relay) = &mut self.relay {
                for (function, event) in relay.events() {
                    self.shard.input(function, Input::Relay(event));
                }
            }
            self.shard.timeouts(now);
            progress = self.turn(now, &mut no_relay, &mut tap, &mut console, |shard, outside| {
                shard.run(now, outside)
            });
            // Functions hear of a drain in the turn that begins it.
            stop |= end.is_some() && !self.shard.is_busy();
            if stop {
                if self.store.commit(now).is_err() {
                    let text = "the store could not be written at the end";
                    console.log(now, "engine", Event::new(Severity::Error, "store.failed", text));
                }
                return Ok(());
            }
        }
    }

    /// How long there is nothing to do.
    fn patience(&self, now: Instant, load: &Load, end: Option<Instant>) -> Option<Duration> {
        let function = self.shard.next_deadline().map(|deadline| deadline.at);
        let all = [function, self.store.deadline(), self.sockets.deadline(), load.deadline(), end];
        let next = all.into_iter().flatten().min()?;
        Some(next.since(now))
    }

    /// Lends the shard its surroundings, then sends what was written.
    fn turn(
        &mut self,
        now: Instant,
        no_relay: &mut NoRelay,
        tap: &mut impl Tap,
        console: &mut impl Console,
        with: impl FnOnce(&mut Shard, &mut Outside<'_>) -> Progress,
    ) -> Progress {
        for (function, input) in self.sockets.inputs.drain(..) {
            self.shard.input(function, input);
        }
        let packets: &mut dyn Packets = match &mut self.relay {
            Some(relay) => relay,
            None => no_relay,
        };
        let mut outside =
            Outside { network: &mut self.sockets, packets, store: &mut *self.store, console, tap };
        let mut progress = with(&mut self.shard, &mut outside);
        // Before the answers leave, so that who was answered finds done what he asked for.
        if self.relay.as_mut().is_some_and(|relay| !relay.push()) {
            progress = Progress::More;
        }
        self.sockets.flush();
        let refused = no_relay.take().into_iter().map(|(id, event)| (id, Input::Relay(event)));
        for (function, input) in self.sockets.inputs.drain(..).chain(refused) {
            self.shard.input(function, input);
            progress = Progress::More;
        }
        for event in self.sockets.events.drain(..) {
            console.log(now, "engine", event);
        }
        self.handle.counters.publish(self.shard.counters());
        progress
    }
}
