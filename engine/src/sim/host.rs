//! One virtual host: its process, its disk, and how it is run.

use std::net::IpAddr;

use base::machine::Report;
use base::{Event, Input, Instant, Random};

use super::fabric::{Delivery, HostNetwork, Owner};
use super::relay::{Commands, VirtualRelay};
use super::{HostId, HostTap, Logged, Reported, Simulation};
use crate::shard::{Console, FunctionId, FunctionSpec, Outside, Place, Progress, Shard};
use crate::store::{DiskStore, SimulatedDisk};

/// What a process is built from.
pub struct Boot {
    /// Virtual time.
    pub now: Instant,
    /// Random numbers of this process alone.
    pub random: Random,
    /// The host's addresses.
    pub ips: Vec<IpAddr>,
}

/// What runs on a host.
pub struct Process {
    /// The functions, in this order.
    pub functions: Vec<FunctionSpec>,
    /// The packet path, if a function is a media relay.
    pub relay: Option<VirtualRelay>,
}

impl From<Vec<FunctionSpec>> for Process {
    fn from(functions: Vec<FunctionSpec>) -> Process {
        Process { functions, relay: None }
    }
}

impl From<FunctionSpec> for Process {
    fn from(function: FunctionSpec) -> Process {
        vec![function].into()
    }
}

pub(super) struct HostState {
    pub(super) name: String,
    factory: Box<dyn FnMut(Boot) -> Process>,
    pub(super) shard: Option<Shard>,
    relay: Option<VirtualRelay>,
    pub(super) disk: SimulatedDisk,
    store: DiskStore,
    /// When the process wants to be woken.
    pub(super) wake: Option<Instant>,
}

impl HostState {
    pub(super) fn new(
        name: &str,
        factory: Box<dyn FnMut(Boot) -> Process>,
        seed: u64,
    ) -> HostState {
        let disk = SimulatedDisk::new(seed);
        let store = DiskStore::simulated(disk.clone());
        let name = name.to_owned();
        HostState { name, factory, shard: None, relay: None, disk, store, wake: None }
    }

    /// When its process, or its packet path, wants to be woken.
    pub(super) fn wakes(&self) -> Option<Instant> {
        let relay = self.relay.as_ref().and_then(VirtualRelay::deadline);
        [self.wake, relay].into_iter().flatten().min()
    }

    pub(super) fn crash(&mut self, random: &mut Random) {
        self.shard = None;
        self.relay = None;
        self.wake = None;
        // First the power fails: then the store's destructor finds no disk to write to.
        self.disk.crash(random.u64());
        self.store = DiskStore::simulated(self.disk.clone());
    }
}

impl Simulation {
    pub(super) fn boot(&mut self, host: usize) {
        let Simulation { fabric, hosts, limits, .. } = self;
        let state = &mut hosts[host];
        fabric.trace.line(fabric.now, format_args!("{} starts", state.name));
        fabric.incarnations[host] += 1;
        let (now, ips) = (fabric.now, fabric.hosts[host].clone());
        let process = (state.factory)(Boot { now, random: fabric.random.fork(), ips });
        let mut shard = Shard::new(*limits);
        *shard.topology() = fabric.names.clone();
        for spec in process.functions {
            let (hosts, listeners) = (spec.hosts.clone(), spec.listeners.clone());
            let id = shard.add(spec);
            let mut places = Vec::new();
            for listener in listeners {
                let Some(addr) = fabric.local(host, listener.addr) else {
                    let text = format_args!("{} has no address {}", state.name, listener.addr);
                    fabric.trace.line(now, text);
                    continue;
                };
                if listener.transport.is_connection() {
                    fabric.listeners.insert(addr, (host, id, listener.service));
                } else {
                    fabric.bind(host, Owner::Function(id), listener.service, addr, true);
                }
                let target = base::machine::Target {
                    transport: listener.transport,
                    endpoint: base::Endpoint::Ip(addr),
                };
                places.push((listener.service, Place::At(target)));
            }
            for name in hosts {
                let mut by_service = std::collections::BTreeMap::<_, Vec<Place>>::new();
                for (service, place) in &places {
                    by_service.entry(*service).or_default().push(place.clone());
                }
                for (service, places) in by_service {
                    if !fabric.told.contains(&(name.clone(), Some(service))) {
                        fabric.names.place(&name, Some(service), places);
                    }
                }
            }
        }
        state.shard = Some(shard);
        state.relay = process.relay;
        self.with_shard(host, |shard, now, outside| shard.start(now, outside));
    }

    /// Lends a host's shard its surroundings.
    pub(super) fn with_shard<T>(
        &mut self,
        host: usize,
        with: impl FnOnce(&mut Shard, Instant, &mut Outside<'_>) -> T,
    ) -> Option<T> {
        let Simulation { fabric, hosts, reports, logs, log_limit, tap, .. } = self;
        let state = &mut hosts[host];
        let mut shard = state.shard.take()?;
        let now = fabric.now;
        let mut commands = Commands::default();
        let mut lines = Vec::new();
        let mut console = Notebook {
            host: HostId(host),
            reports,
            logs,
            log_limit: *log_limit,
            disk: &state.disk,
        };
        let mut host_tap =
            HostTap { host: HostId(host), name: &state.name, lines: &mut lines, tap: &mut **tap };
        let mut outside = Outside {
            network: &mut HostNetwork { fabric, host, disk: &state.disk },
            packets: &mut commands,
            store: &mut state.store,
            console: &mut console,
            tap: &mut host_tap,
        };
        let result = with(&mut shard, now, &mut outside);
        for (at, line) in lines {
            fabric.trace.line(at, format_args!("{line}"));
        }
        for (function, command) in commands.0 {
            match &mut state.relay {
                Some(relay) => relay.command(fabric, host, function, command),
                None => {
                    if let base::relay::Command::Open { port, .. } = command {
                        let input = Input::Relay(base::relay::Event::NoPort { port });
                        fabric.deliveries.push_back(Delivery::Input(host, function, input));
                    }
                }
            }
        }
        let store = crate::shard::Store::deadline(&state.store);
        let next = shard.next_deadline().map(|deadline| deadline.at);
        state.wake = [store, next].into_iter().flatten().min();
        state.shard = Some(shard);
        Some(result)
    }

    /// A host is woken.
    pub(super) fn wake(&mut self, host: usize) {
        let Simulation { fabric, hosts, .. } = self;
        let (now, state) = (fabric.now, &mut hosts[host]);
        if let Some(relay) = &mut state.relay
            && relay.deadline().is_some_and(|at| at <= now)
        {
            relay.expire(fabric, host);
        }
        if let Some(shard) = &mut state.shard {
            shard.timeouts(now);
        }
        self.run_host(host);
    }

    /// Runs a host until it is idle, and everybody who is to hear something of it at once.
    pub(super) fn run_host(&mut self, host: usize) {
        self.run_shard(host);
        self.deliver();
    }

    fn run_shard(&mut self, host: usize) {
        while self.with_shard(host, |shard, now, outside| shard.run(now, outside))
            == Some(Progress::More)
        {}
        if self.hosts[host].disk.has_failed() {
            self.crash(HostId(host));
        }
    }

    /// Hands over what processes are to hear.
    pub(super) fn deliver(&mut self) {
        while let Some(delivery) = self.fabric.deliveries.pop_front() {
            let host = match delivery {
                Delivery::Input(host, function, input) => {
                    if let Some(shard) = &mut self.hosts[host].shard {
                        shard.input(function, input);
                    }
                    host
                }
                Delivery::Packet { host, port, rtcp, source, bytes } => {
                    let Simulation { fabric, hosts, .. } = self;
                    if let Some(relay) = &mut hosts[host].relay {
                        relay.packet(fabric, host, (port, rtcp), source, bytes);
                    }
                    continue;
                }
            };
            self.run_shard(host);
        }
    }
}

/// Where reports and log lines of all hosts are noted.
struct Notebook<'a> {
    host: HostId,
    reports: &'a mut Vec<Reported>,
    logs: &'a mut std::collections::VecDeque<Logged>,
    log_limit: usize,
    disk: &'a SimulatedDisk,
}

impl Console for Notebook<'_> {
    fn log(&mut self, at: Instant, from: &str, event: Event) {
        if self.disk.has_failed() {
            return;
        }
        if self.logs.len() >= self.log_limit {
            self.logs.pop_front();
        }
        self.logs.push_back(Logged { at, host: self.host, name: from.to_owned(), event });
    }

    fn report(&mut self, at: Instant, function: FunctionId, name: &str, report: Report) {
        if self.disk.has_failed() {
            return;
        }
        let name = name.to_owned();
        self.reports.push(Reported { at, host: self.host, function, name, report });
    }
}
