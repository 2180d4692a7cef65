//! The virtual network: who is bound where, and what is on its way.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use base::machine::{Name, QueryId};
use base::relay::PortId;
use base::time::Duration;
use base::{Bytes, Endpoint, Flow, FlowError, FlowId, Input, Instant, Random, Service, Transport};

use super::Weather;
use super::tcp::Connection;
use super::trace::Trace;
use crate::framing::Framings;
use crate::shard::{FunctionId, Network, OpenRequest, Topology};
use crate::store::SimulatedDisk;

/// A host's number.
pub(crate) type Host = usize;

pub(crate) struct Fabric {
    pub(crate) now: Instant,
    pub(crate) random: Random,
    pub(crate) weather: Weather,
    pub(crate) framings: Framings,
    pub(crate) max_message: usize,
    pub(crate) trace: Trace,
    pub(crate) names: Topology,
    /// Names that the test gave places.
    pub(crate) told: BTreeSet<(String, Option<Service>)>,
    pub(crate) hosts: Vec<Vec<IpAddr>>,
    /// How often each host's process was started.
    pub(crate) incarnations: Vec<u64>,
    pub(crate) partitions: BTreeSet<(Host, Host)>,
    pub(crate) udp: BTreeMap<SocketAddr, Bound>,
    pub(crate) listeners: BTreeMap<SocketAddr, (Host, FunctionId, Service)>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    /// The connection and side of a flow.
    pub(crate) ends: BTreeMap<FlowId, (u64, usize)>,
    /// What the driver hands over next.
    pub(crate) deliveries: VecDeque<Delivery>,
    queue: BinaryHeap<Reverse<Scheduled>>,
    sequence: u64,
    next_flow: u64,
    next_port: u16,
}

/// Something for a process to hear.
#[derive(Debug)]
pub(crate) enum Delivery {
    Input(Host, FunctionId, Input),
    Packet { host: Host, port: PortId, rtcp: bool, source: SocketAddr, bytes: Bytes },
}

/// Who holds a UDP socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) id: FlowId,
    pub(crate) service: Service,
    pub(crate) host: Host,
    pub(crate) owner: Owner,
    /// It was configured, not opened by the function.
    pub(crate) listener: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner {
    Function(FunctionId),
    Relay(PortId, bool),
}

/// What will happen.
#[derive(Debug)]
pub(crate) enum Happening {
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        bytes: Bytes,
    },
    /// ICMP: `to` could not be reached from the socket `from`.
    Unreachable {
        from: SocketAddr,
        id: FlowId,
        to: SocketAddr,
    },
    /// A connection attempt arrives.
    Connect {
        connection: u64,
    },
    /// Something arrives at a side of a connection.
    Arrive {
        connection: u64,
        side: usize,
    },
    /// The answer to a name.
    Resolved {
        incarnation: u64,
        host: Host,
        function: FunctionId,
        input: Input,
    },
}

struct Scheduled {
    at: Instant,
    sequence: u64,
    what: Happening,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Scheduled) -> bool {
        self.sequence == other.sequence
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Scheduled) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Scheduled) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl Fabric {
    pub(crate) fn new(now: Instant, random: Random, weather: Weather) -> Fabric {
        Fabric {
            now,
            random,
            weather,
            framings: crate::framing::no_streams,
            max_message: 256 * 1024,
            trace: Trace::default(),
            names: Topology::default(),
            told: BTreeSet::new(),
            hosts: Vec::new(),
            incarnations: Vec::new(),
            partitions: BTreeSet::new(),
            udp: BTreeMap::new(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            ends: BTreeMap::new(),
            deliveries: VecDeque::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            next_flow: 1,
            next_port: FIRST_EPHEMERAL,
        }
    }

    pub(crate) fn schedule(&mut self, at: Instant, what: Happening) {
        self.sequence += 1;
        self.queue.push(Reverse(Scheduled { at, sequence: self.sequence, what }));
    }

    /// When the next thing happens.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse(next)| next.at)
    }

    /// Lets the next thing happen; what processes hear of it is in `deliveries`.
    pub(crate) fn happen(&mut self) {
        let Some(Reverse(next)) = self.queue.pop() else { return };
        self.now = self.now.max(next.at);
        match next.what {
            Happening::Datagram { from, to, bytes } => self.datagram(from, to, bytes),
            Happening::Unreachable { from, id, to } => {
                if let Some(bound) = self.udp.get(&from).filter(|bound| bound.id == id)
                    && let Owner::Function(function) = bound.owner
                {
                    let flow = bound.flow(from, to);
                    let input = Input::Closed { flow, error: FlowError::Unreachable };
                    self.deliveries.push_back(Delivery::Input(bound.host, function, input));
                }
            }
            Happening::Connect { connection } => self.connect_arrives(connection),
            Happening::Arrive { connection, side } => self.arrive(connection, side),
            Happening::Resolved { incarnation, host, function, input } => {
                // A process that was started anew did not ask.
                if self.incarnations[host] == incarnation {
                    self.deliveries.push_back(Delivery::Input(host, function, input));
                }
            }
        }
    }

    /// The host that has this address.
    pub(crate) fn host_of(&self, ip: IpAddr) -> Option<Host> {
        self.hosts.iter().position(|ips| ips.contains(&ip))
    }

    pub(crate) fn parted(&self, a: Host, b: Host) -> bool {
        self.partitions.contains(&(a.min(b), a.max(b)))
    }

    /// How long something takes from one host to another.
    pub(crate) fn travel(&mut self, a: Host, b: Host) -> Duration {
        if a == b {
            return Duration::from_micros(20);
        }
        let jitter = u64::try_from(self.weather.jitter.as_micros()).unwrap_or(u64::MAX);
        self.weather.delay + Duration::from_micros(self.random.below(jitter.saturating_add(1)))
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        (self.random.below(1_000_000) as f64) < probability * 1e6
    }

    pub(crate) fn flow_id(&mut self) -> FlowId {
        self.next_flow += 1;
        FlowId(self.next_flow)
    }

    /// Puts a datagram on its way.
    pub(crate) fn send(&mut self, host: Host, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let Some(other) = self.host_of(to.ip()) else {
            return self.trace.line(self.now, format_args!("{from} -> {to} nowhere"));
        };
        if host != other {
            if self.parted(host, other) {
                return self.trace.line(self.now, format_args!("{from} -> {to} parted"));
            }
            if self.chance(self.weather.loss) {
                return self.trace.line(self.now, format_args!("{from} -> {to} lost"));
            }
            if self.chance(self.weather.duplicate) {
                let at = self.now + self.travel(host, other);
                self.schedule(at, Happening::Datagram { from, to, bytes: bytes.clone() });
            }
        }
        let mut at = self.now + self.travel(host, other);
        if host != other && self.chance(self.weather.reorder) {
            at += self.weather.delay + self.weather.jitter * 2 + Duration::from_millis(1);
        }
        self.schedule(at, Happening::Datagram { from, to, bytes });
    }

    fn datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        let Some(bound) = self.udp.get(&to).copied() else {
            if let Some(sender) = self.udp.get(&from).copied() {
                let host = self.host_of(to.ip()).unwrap_or(sender.host);
                let at = self.now + self.travel(sender.host, host);
                self.schedule(at, Happening::Unreachable { from, id: sender.id, to });
            }
            return;
        };
        self.deliveries.push_back(match bound.owner {
            Owner::Function(function) => {
                let flow = bound.flow(to, from);
                Delivery::Input(bound.host, function, Input::Received { flow, message: bytes })
            }
            Owner::Relay(port, rtcp) => {
                Delivery::Packet { host: bound.host, port, rtcp, source: from, bytes }
            }
        });
    }

    /// Binds a UDP socket; `None` if the address is taken or not the host's.
    pub(crate) fn bind(
        &mut self,
        host: Host,
        owner: Owner,
        service: Service,
        addr: SocketAddr,
        listener: bool,
    ) -> Option<(SocketAddr, FlowId)> {
        let addr = self.local(host, addr)?;
        if self.udp.contains_key(&addr) {
            return None;
        }
        let id = self.flow_id();
        self.udp.insert(addr, Bound { id, service, host, owner, listener });
        Some((addr, id))
    }

    /// The host's own address and a port, for what may be unspecified.
    pub(crate) fn local(&mut self, host: Host, addr: SocketAddr) -> Option<SocketAddr> {
        let own = &self.hosts[host];
        let ip = if addr.ip().is_unspecified() {
            *own.iter().find(|ip| ip.is_ipv4() == addr.is_ipv4())?
        } else {
            *own.iter().find(|ip| **ip == addr.ip())?
        };
        if addr.port() != 0 {
            return Some(SocketAddr::new(ip, addr.port()));
        }
        for _ in FIRST_EPHEMERAL..=u16::MAX {
            let free = SocketAddr::new(ip, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_EPHEMERAL);
            if !self.udp.contains_key(&free) && !self.listeners.contains_key(&free) {
                return Some(free);
            }
        }
        None
    }

    /// Everything of a host, or of one of its functions, is closed.
    pub(crate) fn release(
        &mut self,
        host: Host,
        function: Option<FunctionId>,
        keep_listeners: bool,
    ) {
        let of = |f: FunctionId| function.is_none_or(|function| function == f);
        self.udp.retain(|_, bound| {
            let gone = match bound.owner {
                Owner::Function(f) => of(f),
                Owner::Relay(..) => function.is_none(),
            };
            bound.host != host || !gone || (keep_listeners && bound.listener)
        });
        self.listeners.retain(|_, (h, f, _)| *h != host || !of(*f) || keep_listeners);
        self.reset(host, function);
    }
}

const FIRST_EPHEMERAL: u16 = 49_152;

impl Bound {
    pub(crate) fn flow(&self, local: SocketAddr, remote: SocketAddr) -> Flow {
        Flow {
            id: self.id,
            service: self.service,
            transport: Transport::Udp,
            local: Endpoint::Ip(local),
            remote: Endpoint::Ip(remote),
            proved: false,
        }
    }
}

/// The network as one host sees it.
pub(crate) struct HostNetwork<'a> {
    pub(crate) fabric: &'a mut Fabric,
    pub(crate) host: Host,
    /// Once the power has failed in the middle of a commit, nothing leaves any more.
    pub(crate) disk: &'a SimulatedDisk,
}

impl HostNetwork<'_> {
    /// The answer of a name server, which is somewhere in the network.
    fn answer(&mut self, function: FunctionId, input: Input) {
        let (host, incarnation) = (self.host, self.fabric.incarnations[self.host]);
        let at = self.fabric.now + self.fabric.weather.delay + Duration::from_micros(20);
        self.fabric.schedule(at, Happening::Resolved { incarnation, host, function, input });
    }
}

impl Network for HostNetwork<'_> {
    fn transmit(
        &mut self,
        _: Instant,
        function: FunctionId,
        flow: &Flow,
        message: Bytes,
    ) -> Result<(), FlowError> {
        if self.disk.has_failed() {
            return Err(FlowError::Stale);
        }
        if flow.transport.is_connection() {
            return self.fabric.transmit_tcp(self.host, function, flow, message);
        }
        let (Some(local), Some(remote)) = (flow.local.socket_addr(), flow.remote.socket_addr())
        else {
            return Err(FlowError::Unreachable);
        };
        match self.fabric.udp.get(&local) {
            Some(Bound { id, host, owner: Owner::Function(owner), .. })
                if *id == flow.id && *host == self.host && *owner == function => {}
            _ => return Err(FlowError::Stale),
        }
        if remote.is_ipv4() != local.is_ipv4() || message.len() > 65_507 {
            return Err(FlowError::Unreachable);
        }
        self.fabric.send(self.host, local, remote, message);
        Ok(())
    }

    fn open(
        &mut self,
        _: Instant,
        function: FunctionId,
        request: OpenRequest,
    ) -> Option<Result<Flow, FlowError>> {
        let OpenRequest { service, remote, local, .. } = request;
        if request.transport.is_connection() {
            let Some(remote) = remote else { return Some(Err(FlowError::Unreachable)) };
            return self.fabric.connect(self.host, function, request, remote);
        }
        let any: SocketAddr = match remote {
            Some(SocketAddr::V6(_)) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
            _ => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        };
        let facing = remote.unwrap_or(local.unwrap_or(any));
        if remote.is_some() {
            let wanted = local.filter(|l| l.port() != 0);
            let fits = |addr: &SocketAddr, bound: &Bound| match wanted {
                Some(wanted) => *addr == wanted,
                None => bound.listener && local.is_none() && addr.is_ipv4() == facing.is_ipv4(),
            };
            let found = self.fabric.udp.iter().find(|(addr, bound)| {
                matches!(bound.owner, Owner::Function(f) if f == function)
                    && bound.host == self.host
                    && bound.service == service
                    && fits(addr, bound)
            });
            if let Some((addr, bound)) = found {
                return Some(Ok(bound.flow(*addr, facing)));
            }
        }
        let addr = local.unwrap_or(any);
        let owner = Owner::Function(function);
        let bound = self.fabric.bind(self.host, owner, service, addr, false);
        let Some((addr, _)) = bound else { return Some(Err(FlowError::NoPort)) };
        Some(Ok(self.fabric.udp[&addr].flow(addr, remote.unwrap_or(any))))
    }

    fn close(&mut self, _: Instant, function: FunctionId, flow: &Flow) {
        if flow.transport.is_connection() {
            return self.fabric.close_tcp(self.host, function, flow.id);
        }
        if let Some(local) = flow.local.socket_addr()
            && let Some(bound) = self.fabric.udp.get(&local)
            && bound.id == flow.id
            && !bound.listener
            && matches!(bound.owner, Owner::Function(f) if f == function && bound.host == self.host)
        {
            self.fabric.udp.remove(&local);
        }
    }

    fn resolve(&mut self, _: Instant, function: FunctionId, query: QueryId, name: Name) {
        let mut targets = self.fabric.names.resolve(&name).unwrap_or_default();
        targets.retain(|target| target.transport != Transport::Wire);
        self.answer(function, Input::Resolved { query, targets });
    }

    fn look_up(&mut self, _: Instant, function: FunctionId, query: QueryId, domain: &str) {
        let records = self.fabric.names.look_up(domain);
        self.answer(function, Input::Naptr { query, records });
    }

    fn release(&mut self, _: Instant, function: FunctionId, keep_listeners: bool) {
        self.fabric.release(self.host, Some(function), keep_listeners);
    }
}
