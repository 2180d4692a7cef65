//! The deterministic simulator: the very same machines and shards over a virtual network, in virtual
//! time, with loss, delay, reordering, duplication, partitions and crashes, all from one seed.
//!
//! A host is one process: one shard of functions, with IP addresses and a disk of its own. One
//! thread runs everything; what happens is ordered by (time, sequence), so that the same seed gives
//! the same [`Trace`], byte for byte.

mod fabric;
mod host;
mod relay;
mod tcp;
mod trace;

use std::collections::VecDeque;
use std::net::IpAddr;

use base::machine::{Naptr, Order};
use base::time::Duration;
use base::{Event, Input, Instant, Random, Report, Service};

use crate::framing::Framings;
use crate::shard::{Crossing, FunctionId, Limits, Place, Tap};
use fabric::{Delivery, Fabric};
pub use host::{Boot, Process};
pub use relay::VirtualRelay;
pub use trace::Trace;

/// What the network does to what is on its way. Within one host nothing of it happens.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Weather {
    /// The part of datagrams that is lost, 0 to 1. TCP only becomes slower.
    pub loss: f64,
    /// How long everything takes at least.
    pub delay: Duration,
    /// Up to so much longer, at random.
    pub jitter: Duration,
    /// The part of datagrams that others overtake.
    pub reorder: f64,
    /// The part of datagrams that arrives twice.
    pub duplicate: f64,
}

impl Weather {
    /// A millisecond from everywhere to everywhere and nothing else.
    pub const CALM: Weather = Weather {
        loss: 0.0,
        delay: Duration::from_millis(1),
        jitter: Duration::ZERO,
        reorder: 0.0,
        duplicate: 0.0,
    };

    /// A tenth lost, some doubled, some overtaken, 20 ms with 10 ms of jitter.
    pub const STORM: Weather = Weather {
        loss: 0.1,
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(10),
        reorder: 0.05,
        duplicate: 0.05,
    };
}

/// A host of a simulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostId(usize);

/// A report of a function.
#[derive(Debug)]
pub struct Reported {
    /// When.
    pub at: Instant,
    /// Where.
    pub host: HostId,
    /// Who.
    pub function: FunctionId,
    /// Its configured name.
    pub name: String,
    /// What; the function's own type.
    pub report: Report,
}

/// A log line of a function or (`name` is `"engine"`) of its process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Logged {
    /// When.
    pub at: Instant,
    /// Where.
    pub host: HostId,
    /// The function's configured name.
    pub name: String,
    /// The counter and the line.
    pub event: Event,
}

/// Sees every crossing and the host that it was seen on.
type HostTapFn = dyn FnMut(Instant, HostId, &Crossing<'_>);

/// A network of hosts in virtual time.
pub struct Simulation {
    fabric: Fabric,
    hosts: Vec<host::HostState>,
    reports: Vec<Reported>,
    logs: VecDeque<Logged>,
    log_limit: usize,
    limits: Limits,
    tap: Box<HostTapFn>,
}

/// What a simulation's clock says at its beginning: 2026-01-01T00:00:00Z.
pub const BEGINNING: Instant = Instant::from_unix_micros(1_767_225_600_000_000);

impl Simulation {
    /// An empty network.
    pub fn new(seed: u64, weather: Weather) -> Simulation {
        Simulation {
            fabric: Fabric::new(BEGINNING, Random::from_u64(seed), weather),
            hosts: Vec::new(),
            reports: Vec::new(),
            logs: VecDeque::new(),
            log_limit: 10_000,
            limits: Limits::default(),
            tap: Box::new(|_, _, _| {}),
        }
    }

    /// How each service cuts streams into messages; without it TCP connections are closed at the
    /// first byte.
    #[must_use]
    pub fn framing(mut self, framings: Framings) -> Simulation {
        self.fabric.framings = framings;
        self
    }

    /// Bounds of every shard.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Simulation {
        self.limits = limits;
        self
    }

    /// Who sees every crossing, with the host that it was seen on.
    pub fn tap(&mut self, tap: impl FnMut(Instant, HostId, &Crossing<'_>) + 'static) {
        self.tap = Box::new(tap);
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.fabric.now
    }

    /// Changes the weather from now on.
    pub fn weather(&mut self, weather: Weather) {
        self.fabric.weather = weather;
    }

    /// Adds a host and starts its process. The factory builds the process, now and after each
    /// crash.
    pub fn host(
        &mut self,
        name: &str,
        ip: IpAddr,
        factory: impl FnMut(Boot) -> Process + 'static,
    ) -> HostId {
        self.host_with(name, vec![ip], factory)
    }

    /// Adds a host with several addresses.
    pub fn host_with(
        &mut self,
        name: &str,
        ips: Vec<IpAddr>,
        factory: impl FnMut(Boot) -> Process + 'static,
    ) -> HostId {
        let id = HostId(self.hosts.len());
        let disk = self.fabric.random.u64();
        self.fabric.hosts.push(ips);
        self.fabric.incarnations.push(0);
        self.hosts.push(host::HostState::new(name, Box::new(factory), disk));
        self.restart(id);
        id
    }

    /// A name that stands for places, for one service or all. Every host knows it, also if a function of
    /// that name starts anywhere.
    pub fn name(&mut self, name: &str, service: Option<Service>, places: Vec<Place>) {
        self.fabric.told.insert((name.to_owned(), service));
        self.fabric.names.place(name, service, places);
    }

    /// The NAPTR records of a domain, as DNS would answer.
    pub fn naptr(&mut self, domain: &str, records: Vec<Naptr>) {
        self.fabric.names.rules(domain, records);
    }

    /// The host of a name.
    pub fn find(&self, name: &str) -> Option<HostId> {
        self.hosts.iter().position(|host| host.name == name).map(HostId)
    }

    /// The function of a configured name on a host that is up.
    pub fn function(&self, host: HostId, name: &str) -> Option<FunctionId> {
        self.hosts[host.0].shard.as_ref()?.find(name)
    }

    /// Gives a function an order, at this moment; `false` if there is no such function.
    pub fn order(&mut self, host: HostId, function: &str, order: Order) -> bool {
        let Some(id) = self.function(host, function) else { return false };
        self.input(host, id, Input::Order(order));
        true
    }

    /// Asks all functions of a host to take no new work.
    pub fn drain(&mut self, host: HostId) {
        if let Some(shard) = &mut self.hosts[host.0].shard {
            shard.drain();
        }
        self.run_host(host.0);
    }

    /// A host does not keep up: so many of a hundred new requests are too many for its functions.
    pub fn overload(&mut self, host: HostId, percent: u8) {
        if let Some(shard) = &mut self.hosts[host.0].shard {
            shard.overload(percent);
        }
        self.run_host(host.0);
    }

    /// Stops one function; the others of its host live on.
    pub fn stop(&mut self, host: HostId, function: &str) {
        let Some(id) = self.function(host, function) else { return };
        self.with_shard(host.0, |shard, now, outside| shard.stop(now, id, outside));
        self.run_host(host.0);
    }

    /// Whether a function is there and has not panicked.
    pub fn is_running(&self, host: HostId, function: &str) -> bool {
        let shard = self.hosts[host.0].shard.as_ref();
        shard.is_some_and(|shard| shard.find(function).is_some_and(|id| shard.is_running(id)))
    }

    /// The host's process dies: functions are dropped, what was not synced may be lost or torn,
    /// connections are reset.
    pub fn crash(&mut self, host: HostId) {
        let state = &mut self.hosts[host.0];
        self.fabric.trace.line(self.fabric.now, format_args!("{} crashes", state.name));
        state.crash(&mut self.fabric.random);
        self.fabric.release(host.0, None, false);
        self.fabric
            .deliveries
            .retain(|d| !matches!(d, Delivery::Input(at, ..) | Delivery::Packet { host: at, .. } if *at == host.0));
    }

    /// The host's process dies at its disk's next operation but so many: in the middle of a commit.
    pub fn crash_at_write(&mut self, host: HostId, operations: u64) {
        self.hosts[host.0].disk.fail_after(operations);
    }

    /// Whether the host's process runs.
    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts[host.0].shard.is_some()
    }

    /// Starts the host's process, anew if it runs already. Its functions get their records from the
    /// disk, then `Input::Start`.
    pub fn restart(&mut self, host: HostId) {
        if self.hosts[host.0].shard.is_some() {
            self.crash(host);
        }
        self.boot(host.0);
        self.run_host(host.0);
    }

    /// Nothing travels between two hosts from now on.
    pub fn partition(&mut self, a: HostId, b: HostId) {
        self.fabric.partitions.insert((a.0.min(b.0), a.0.max(b.0)));
    }

    /// The partition between two hosts ends.
    pub fn heal(&mut self, a: HostId, b: HostId) {
        self.fabric.partitions.remove(&(a.0.min(b.0), a.0.max(b.0)));
    }

    /// The disk of a host, to fill it or to make it read-only.
    pub fn disk(&self, host: HostId) -> &crate::store::SimulatedDisk {
        &self.hosts[host.0].disk
    }

    /// Reports since the last call.
    pub fn reports(&mut self) -> Vec<Reported> {
        std::mem::take(&mut self.reports)
    }

    /// Log lines since the last call; only the latest 10,000 are kept.
    pub fn logs(&mut self) -> Vec<Logged> {
        std::mem::take(&mut self.logs).into()
    }

    /// What happened.
    pub fn trace(&mut self) -> &mut Trace {
        &mut self.fabric.trace
    }

    /// Lets the next thing happen, if it happens until `limit`; `false` if nothing does.
    pub fn step(&mut self, limit: Instant) -> bool {
        let wake = self.hosts.iter().enumerate().filter_map(|(at, h)| Some((h.wakes()?, at))).min();
        let next = self.fabric.next();
        match (wake, next) {
            (Some((at, host)), next) if at <= limit && next.is_none_or(|next| at < next) => {
                self.fabric.now = self.fabric.now.max(at);
                self.wake(host);
                true
            }
            (_, Some(next)) if next <= limit => {
                self.fabric.happen();
                self.deliver();
                true
            }
            _ => false,
        }
    }

    /// Lets everything happen until `t`; then it is `t`.
    pub fn run_until(&mut self, t: Instant) {
        while self.step(t) {}
        self.fabric.now = self.fabric.now.max(t);
    }

    /// Lets everything happen for so long.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now() + time);
    }

    /// Lets everything happen until nothing is left, or (`false`) until `limit`.
    pub fn run_until_idle(&mut self, limit: Instant) -> bool {
        while self.step(limit) {}
        self.fabric.next().is_none() && self.hosts.iter().all(|host| host.wakes().is_none())
    }

    /// Lets things happen until `done` says so, or (`false`) until `limit`.
    pub fn run_until_true(
        &mut self,
        limit: Instant,
        mut done: impl FnMut(&mut Simulation) -> bool,
    ) -> bool {
        loop {
            if done(self) {
                return true;
            }
            if !self.step(limit) {
                return false;
            }
        }
    }

    fn input(&mut self, host: HostId, function: FunctionId, input: Input) {
        if let Some(shard) = &mut self.hosts[host.0].shard {
            shard.input(function, input);
        }
        self.run_host(host.0);
    }
}

/// The simulator's tap on one host: the trace, then the caller's.
struct HostTap<'a> {
    host: HostId,
    name: &'a str,
    lines: &'a mut Vec<(Instant, String)>,
    tap: &'a mut HostTapFn,
}

impl Tap for HostTap<'_> {
    fn message(&mut self, now: Instant, crossing: &Crossing<'_>) {
        self.lines.push((now, trace::crossing(self.name, crossing)));
        (self.tap)(now, self.host, crossing);
    }
}
