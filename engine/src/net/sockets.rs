//! All sockets of a shard: the network of the live loop.

mod network;
mod open;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use base::slots::{Slot, Slots};
use base::time::Duration;
use base::timer::Timers;
use base::{
    Bytes, Endpoint, Event, Flow, FlowError, FlowId, Input, Instant, Random, Service, Severity,
    Transport,
};
use bytes::BytesMut;
use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use socket2::{Socket, Type};

pub(super) use open::new_socket;
use open::{any_like, blame};

use super::LiveConfig;
use super::fill;
use super::inbound::Inbound;
use super::mmsg::{self, Inbox};
use super::resolver::{Resolver, Step};
use super::stream::{Stream, Turn};
use super::tls::{Session, Tls};
use crate::framing::Cutter;
use crate::shard::{FunctionId, Listener};

/// A datagram's buffer: one allocation serves many of them.
const POOL: usize = 64 * 1024;
/// How long a connection that others opened may take for its first message: 64 * T1 of RFC 3261.
const FIRST_MESSAGE: Duration = Duration::from_secs(32);
/// How long a closed connection may take to send the rest.
const LINGER: Duration = Duration::from_secs(5);
/// How long accepting pauses when the system is out of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// A socket's buffer that is so full, in percent, holds more than a burst.
const MUCH: u32 = 25;
/// Nobody: the resolver's sockets.
const ENGINE: FunctionId = FunctionId(u16::MAX);

pub(super) struct Sockets {
    registry: Registry,
    config: LiveConfig,
    table: Slots<Owned>,
    /// Sockets with something to read, in turn.
    ready: VecDeque<Slot>,
    /// Sockets with something to send.
    dirty: Vec<Slot>,
    timers: Timers<Slot>,
    inbound: Inbound,
    /// Functions that let nobody in over TLS without a certificate.
    closed: BTreeSet<FunctionId>,
    random: Random,
    inbox: Inbox,
    pool: BytesMut,
    scratch: Box<[u8]>,
    resolver: Resolver,
    resolver_sockets: [Option<Slot>; 2],
    /// What functions are to hear.
    pub(super) inputs: Vec<(FunctionId, Input)>,
    pub(super) events: Vec<Event>,
}

struct Owned {
    owner: FunctionId,
    service: Service,
    local: SocketAddr,
    kind: Kind,
    ready: bool,
    dirty: bool,
}

enum Kind {
    Udp {
        socket: UdpSocket,
        listener: bool,
        out: VecDeque<(SocketAddr, Bytes)>,
        /// The kernel took no more: it tells when it does again.
        full: bool,
    },
    Listener {
        listener: TcpListener,
        tls: bool,
    },
    Stream {
        stream: Box<Stream>,
        remote: SocketAddr,
    },
    /// Only while a socket is being registered under its number.
    Reserved,
}

impl Sockets {
    pub(super) fn new(registry: Registry, config: LiveConfig, mut random: Random) -> Sockets {
        let resolver = Resolver::new(config.dns.clone(), random.fork());
        Sockets {
            registry,
            config,
            table: Slots::default(),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            timers: Timers::default(),
            inbound: Inbound::default(),
            closed: BTreeSet::new(),
            random,
            inbox: Inbox::new(65_536),
            pool: BytesMut::new(),
            scratch: vec![0; 64 * 1024].into_boxed_slice(),
            resolver,
            resolver_sockets: [None; 2],
            inputs: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Other certificates for connections that begin from now on.
    pub(super) fn use_tls(&mut self, tls: Tls) {
        self.config.tls = Some(tls);
    }

    /// This function lets nobody in over TLS without a certificate that is believed.
    pub(super) fn demand_certificates(&mut self, function: FunctionId) {
        self.closed.insert(function);
    }

    /// Opens a configured listener; its address with the real port.
    pub(super) fn listen(
        &mut self,
        owner: FunctionId,
        listener: Listener,
    ) -> io::Result<SocketAddr> {
        let Listener { service, transport, addr } = listener;
        if transport == Transport::Udp {
            let slot = self.bind_udp(owner, service, addr, true)?;
            return Ok(self.table.get(slot).map_or(addr, |socket| socket.local));
        }
        let tls = transport == Transport::Tls;
        if tls && !self.config.tls.as_ref().is_some_and(Tls::can_listen) {
            return Err(io::Error::other("TLS needs a certificate and its key"));
        }
        let socket = new_socket(addr, Type::STREAM)?;
        socket.set_reuse_address(true)?;
        self.may_float(&socket, addr)?;
        socket.bind(&addr.into())?;
        socket.listen(1024)?;
        let mut listener = TcpListener::from_std(socket.into());
        let local = listener.local_addr()?;
        let (registry, table) = (&self.registry, &mut self.table);
        next(table, owner, service, local, |slot| {
            registry.register(&mut listener, token(slot), Interest::READABLE)?;
            Ok(Kind::Listener { listener, tls })
        })
        .map(|_| local)
    }

    /// Something happened to a socket.
    pub(super) fn event(&mut self, event: &mio::event::Event) {
        let slot = Slot::from_bits(event.token().0 as u64);
        let Some(socket) = self.table.get_mut(slot) else { return };
        if let Kind::Stream { stream, remote } = &mut socket.kind
            && let Some(open) = stream.connecting
            && !stream.connected
        {
            let outcome = match stream.socket.take_error() {
                Ok(Some(error)) | Err(error) => Err(blame(&error)),
                Ok(None) => match stream.socket.peer_addr() {
                    Ok(_) => Ok(()),
                    // Not yet.
                    Err(_) if !event.is_error() && !event.is_write_closed() => return,
                    Err(_) => Err(FlowError::Refused),
                },
            };
            match outcome {
                Ok(()) => {
                    stream.connected = true;
                    // With TLS the handshake comes first.
                    if !stream.handshaking {
                        stream.connecting = None;
                        let flow = stream_flow(slot, socket.service, socket.local, *remote, stream);
                        self.inputs.push((socket.owner, Input::Opened { open, flow }));
                    }
                }
                Err(error) => {
                    self.inputs.push((socket.owner, Input::OpenFailed { open, error }));
                    return self.remove(slot);
                }
            }
        }
        if event.is_error() {
            self.icmp_errors(slot);
        }
        if event.is_writable() {
            self.flush_one(slot);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            self.make_ready(slot);
        }
    }

    /// Whether sockets wait for their turn to be read.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether much waits in a socket that others know.
    pub(super) fn are_full(&self) -> bool {
        self.table.iter().any(|(_, owned)| match &owned.kind {
            Kind::Udp { socket, listener: true, .. } => fill::percent(socket.as_raw_fd()) >= MUCH,
            _ => false,
        })
    }

    /// Gives every socket that has something to read one turn.
    pub(super) fn read(&mut self, now: Instant) {
        for _ in 0..self.ready.len() {
            let Some(slot) = self.ready.pop_front() else { break };
            let Some(socket) = self.table.get_mut(slot) else { continue };
            socket.ready = false;
            let more = match socket.kind {
                Kind::Udp { .. } => self.read_udp(now, slot),
                Kind::Listener { .. } => self.accept(now, slot),
                Kind::Stream { .. } => self.read_stream(now, slot),
                Kind::Reserved => false,
            };
            if more {
                self.make_ready(slot);
            }
        }
    }

    /// Connection attempts that take too long, connections that linger, names that nobody answers.
    pub(super) fn timeouts(&mut self, now: Instant) {
        while let Some((_, slot)) = self.timers.due(now) {
            let Some(socket) = self.table.get(slot) else { continue };
            match &socket.kind {
                Kind::Stream { stream, .. } => {
                    if stream.connecting.is_some() {
                        self.over(slot, FlowError::TimedOut);
                    } else if stream.closing || (!stream.heard && stream.patience <= now) {
                        // Of a connection without a message the function knows nothing.
                        self.over(slot, FlowError::TimedOut);
                    }
                }
                Kind::Listener { .. } => self.make_ready(slot),
                Kind::Udp { .. } | Kind::Reserved => {}
            }
        }
        if self.resolver.deadline().is_some_and(|at| at <= now) {
            self.resolver.timeout(now);
            self.resolver_steps();
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.timers.next(), self.resolver.deadline()].into_iter().flatten().min()
    }

    /// Sends what was written during the last run.
    pub(super) fn flush(&mut self) {
        for slot in std::mem::take(&mut self.dirty) {
            if let Some(socket) = self.table.get_mut(slot) {
                socket.dirty = false;
                self.flush_one(slot);
            }
        }
    }

    fn make_ready(&mut self, slot: Slot) {
        if let Some(socket) = self.table.get_mut(slot)
            && !std::mem::replace(&mut socket.ready, true)
        {
            self.ready.push_back(slot);
        }
    }

    fn read_udp(&mut self, now: Instant, slot: Slot) -> bool {
        let Some(Owned { owner, service, local, kind: Kind::Udp { socket, .. }, .. }) =
            self.table.get(slot)
        else {
            return false;
        };
        let (owner, service, local) = (*owner, *service, *local);
        let (got, more) = match self.inbox.receive(socket.as_raw_fd()) {
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(_) => {
                self.icmp_errors(slot);
                return true;
            }
        };
        for at in 0..got {
            let Some((remote, bytes)) = self.inbox.datagram(at) else { continue };
            if owner == ENGINE {
                self.resolver.datagram(now, remote, bytes);
                continue;
            }
            if self.pool.capacity() < bytes.len() {
                self.pool = BytesMut::with_capacity(POOL.max(bytes.len()));
            }
            self.pool.extend_from_slice(bytes);
            let message = self.pool.split().freeze();
            let flow = flow(slot, service, Transport::Udp, local, remote);
            self.inputs.push((owner, Input::Received { flow, message }));
        }
        if owner == ENGINE {
            self.resolver_steps();
        }
        more
    }

    fn read_stream(&mut self, now: Instant, slot: Slot) -> bool {
        let Some(Owned { owner, service, local, kind: Kind::Stream { stream, remote }, .. }) =
            self.table.get_mut(slot)
        else {
            return false;
        };
        let flow = stream_flow(slot, *service, *local, *remote, stream);
        let (inputs, owner, closing) = (&mut self.inputs, *owner, stream.closing);
        let before = inputs.len();
        let turn = stream.read(&mut self.scratch, |message| {
            if !closing {
                inputs.push((owner, Input::Received { flow, message }));
            }
        });
        let asked = inputs.len() > before;
        stream.heard |= asked;
        // What TLS has to say, such as its side of the handshake, leaves with the rest.
        let says = flow.transport == Transport::Tls;
        if says && stream.has_shaken_hands() {
            self.shaken(now, slot, before);
        }
        match turn {
            // Whoever asks and closes his half at once still hears the answer: the end is found again next turn.
            Turn::Over(FlowError::Closed) if asked && !says => return true,
            Turn::Over(error) => {
                self.over(slot, error);
                return false;
            }
            _ if says => self.mark_dirty(slot),
            _ => {}
        }
        matches!(turn, Turn::More)
    }

    /// A TLS handshake is over. What came with its end stands in the inputs from `at` on.
    fn shaken(&mut self, now: Instant, slot: Slot, at: usize) {
        let Some(Owned { owner, service, local, kind: Kind::Stream { stream, remote }, .. }) =
            self.table.get_mut(slot)
        else {
            return;
        };
        let whole = stream_flow(slot, *service, *local, *remote, stream);
        for (_, input) in &mut self.inputs[at..] {
            if let Input::Received { flow, .. } = input {
                *flow = whole;
            }
        }
        if let Some(open) = stream.connecting.take() {
            self.inputs.insert(at, (*owner, Input::Opened { open, flow: whole }));
        }
        if stream.inbound {
            self.inbound.shaken(*remote);
            stream.patience = now + FIRST_MESSAGE;
            self.timers.arm(now + FIRST_MESSAGE, slot);
        }
    }

    /// A connection is over; its function hears of it if it knows it.
    fn over(&mut self, slot: Slot, error: FlowError) {
        let Some(Owned { owner, service, local, kind: Kind::Stream { stream, remote }, .. }) =
            self.table.get_mut(slot)
        else {
            return;
        };
        let mut error = error;
        if stream.handshaking && stream.connected {
            let late = error == FlowError::TimedOut;
            let why = if late { "it takes too long".to_owned() } else { stream.complain() };
            let text = format!("no TLS with {remote}: {why}");
            self.events.push(Event::new(Severity::Warning, "tls.handshake", text));
            if !late {
                error = FlowError::Untrusted;
            }
        }
        match stream.connecting {
            Some(open) => self.inputs.push((*owner, Input::OpenFailed { open, error })),
            None if stream.heard && !stream.closing => {
                let flow = stream_flow(slot, *service, *local, *remote, stream);
                self.inputs.push((*owner, Input::Closed { flow, error }));
            }
            None => {}
        }
        self.remove(slot);
    }

    fn accept(&mut self, now: Instant, slot: Slot) -> bool {
        for _ in 0..16 {
            let Some(Owned { owner, service, kind: Kind::Listener { listener, tls }, .. }) =
                self.table.get(slot)
            else {
                return false;
            };
            let (owner, service, tls) = (*owner, *service, *tls);
            match listener.accept() {
                Ok((socket, remote)) => {
                    let Ok(local) = socket.local_addr() else { continue };
                    let ends = (local, remote);
                    if let Err(event) = self.inbound.admits(now, &self.config, ends, tls) {
                        self.events.extend(event);
                        continue;
                    }
                    let closed = self.closed.contains(&owner);
                    let session = match self.config.tls.as_ref().filter(|_| tls) {
                        Some(tls) => tls.accept(closed),
                        None => None,
                    };
                    if session.is_none() && tls {
                        continue;
                    }
                    let _ = socket.set_nodelay(true);
                    let patience = if tls { self.config.handshake_timeout } else { FIRST_MESSAGE };
                    let ends = Ends { owner, service, local, remote };
                    let slot = self.insert_stream(ends, socket, session, None, now + patience);
                    if slot.is_ok() {
                        self.inbound.opened(remote, tls);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    let event =
                        Event::new(Severity::Error, "tcp.accept", format!("accept: {error}"));
                    self.events.push(event);
                    self.timers.arm(now + ACCEPT_AGAIN, slot);
                    return false;
                }
            }
        }
        true
    }

    fn insert_stream(
        &mut self,
        ends: Ends,
        mut socket: TcpStream,
        tls: Option<Session>,
        connecting: Option<base::machine::OpenId>,
        patience: Instant,
    ) -> io::Result<Slot> {
        let Ends { owner, service, local, remote } = ends;
        let framing = (self.config.framings)(service);
        let cutter = Cutter::new(framing, self.config.max_message);
        let registry = &self.registry;
        let slot = next(&mut self.table, owner, service, local, |slot| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut socket, token(slot), interest)?;
            let stream = Box::new(Stream::new(socket, cutter, tls, connecting, patience));
            Ok(Kind::Stream { stream, remote })
        })?;
        self.timers.arm(patience, slot);
        Ok(slot)
    }

    fn bind_udp(
        &mut self,
        owner: FunctionId,
        service: Service,
        addr: SocketAddr,
        listener: bool,
    ) -> io::Result<Slot> {
        let socket = new_socket(addr, Type::DGRAM)?;
        mmsg::prepare(socket.as_raw_fd(), addr.is_ipv4());
        self.may_float(&socket, addr)?;
        // The system's limit may be lower; then it is that.
        let _ = socket.set_recv_buffer_size(if listener { 4 << 20 } else { 1 << 18 });
        match self.config.ports.clone().filter(|_| addr.port() == 0 && !listener) {
            Some(ports) => self.bind_within(&socket, addr, ports)?,
            None => socket.bind(&addr.into())?,
        }
        let mut socket = UdpSocket::from_std(socket.into());
        let local = socket.local_addr()?;
        let registry = &self.registry;
        next(&mut self.table, owner, service, local, |slot| {
            // Not for writing: each datagram that has left would wake us.
            registry.register(&mut socket, token(slot), Interest::READABLE)?;
            Ok(Kind::Udp { socket, listener, out: VecDeque::new(), full: false })
        })
    }

    /// Lets a socket be bound to an address that this machine may have only later, ip(7).
    fn may_float(&self, socket: &Socket, addr: SocketAddr) -> io::Result<()> {
        match addr.ip() {
            ip if !self.config.floating.contains(&ip) => Ok(()),
            ip if ip.is_ipv4() => socket.set_freebind_v4(true),
            _ => socket.set_freebind_v6(true),
        }
    }

    /// Binds to any free port of a range, beginning anywhere in it.
    fn bind_within(
        &mut self,
        socket: &Socket,
        addr: SocketAddr,
        ports: std::ops::RangeInclusive<u16>,
    ) -> io::Result<()> {
        let (first, count) = (*ports.start(), ports.len() as u64);
        let begin = self.random.below(count);
        for step in 0..count {
            let port = first + ((begin + step) % count) as u16;
            match socket.bind(&SocketAddr::new(addr.ip(), port).into()) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                result => return result,
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    fn flush_one(&mut self, slot: Slot) {
        let Some(socket) = self.table.get_mut(slot) else { return };
        match &mut socket.kind {
            Kind::Udp { .. } => self.flush_udp(slot),
            Kind::Listener { .. } | Kind::Reserved => {}
            Kind::Stream { stream, .. } => {
                if !stream.connected {
                    return;
                }
                match stream.flush() {
                    Ok(()) if stream.closing && stream.is_flushed() => self.remove(slot),
                    Ok(()) => {}
                    Err(error) => self.over(slot, error),
                }
            }
        }
    }

    fn flush_udp(&mut self, slot: Slot) {
        let mut stumbles = 0;
        let mut blocks = false;
        while let Some(Owned { owner, service, local, kind: Kind::Udp { socket, out, .. }, .. }) =
            self.table.get_mut(slot)
            && !out.is_empty()
        {
            let batch = out.iter().map(|(to, bytes)| (*to, &bytes[..]));
            match mmsg::send(socket.as_raw_fd(), batch) {
                Ok(sent) => drop(out.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    blocks = true;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // An ICMP error about an earlier datagram says nothing about this one.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && stumbles < 16 => {
                    stumbles += 1;
                    self.icmp_errors(slot);
                }
                Err(_) => {
                    if let Some((to, _)) = out.pop_front()
                        && *owner != ENGINE
                    {
                        let flow = flow(slot, *service, Transport::Udp, *local, to);
                        let error = FlowError::Unreachable;
                        self.inputs.push((*owner, Input::Closed { flow, error }));
                    }
                }
            }
        }
        self.await_room(slot, blocks);
    }

    /// The kernel tells when a UDP socket can send again, as long as that matters.
    fn await_room(&mut self, slot: Slot, blocks: bool) {
        if let Some(Owned { kind: Kind::Udp { socket, full, .. }, .. }) = self.table.get_mut(slot)
            && *full != blocks
        {
            let interest = match blocks {
                true => Interest::READABLE | Interest::WRITABLE,
                false => Interest::READABLE,
            };
            // Without it what waits leaves with the next datagram.
            *full = self.registry.reregister(socket, token(slot), interest).is_ok() && blocks;
        }
    }

    /// Tells the owner of a UDP socket which destinations cannot be reached.
    fn icmp_errors(&mut self, slot: Slot) {
        let Some(Owned { owner, service, local, kind: Kind::Udp { socket, .. }, .. }) =
            self.table.get(slot)
        else {
            return;
        };
        // Reading the pending error clears it.
        let _ = socket.take_error();
        for _ in 0..64 {
            let Some(to) = mmsg::unreachable(socket.as_raw_fd()) else { break };
            if *owner != ENGINE {
                let flow = flow(slot, *service, Transport::Udp, *local, to);
                let input = Input::Closed { flow, error: FlowError::Unreachable };
                self.inputs.push((*owner, input));
            }
        }
    }

    fn remove(&mut self, slot: Slot) {
        let Some(mut socket) = self.table.remove(slot) else { return };
        let _ = match &mut socket.kind {
            Kind::Udp { socket, .. } => self.registry.deregister(socket),
            Kind::Listener { listener, .. } => self.registry.deregister(listener),
            Kind::Reserved => Ok(()),
            Kind::Stream { stream, remote } => {
                if stream.inbound {
                    self.inbound.ended(*remote, stream.handshaking);
                }
                self.registry.deregister(&mut stream.socket)
            }
        };
    }

    fn mark_dirty(&mut self, slot: Slot) {
        if let Some(socket) = self.table.get_mut(slot)
            && !std::mem::replace(&mut socket.dirty, true)
        {
            self.dirty.push(slot);
        }
    }

    /// Does what the resolver wants done.
    fn resolver_steps(&mut self) {
        while let Some(step) = self.resolver.poll() {
            match step {
                Step::Ask { server, bytes } => {
                    if let Some(slot) = self.resolver_socket(server)
                        && let Some(Owned { kind: Kind::Udp { out, .. }, .. }) =
                            self.table.get_mut(slot)
                        && out.len() < self.config.datagrams
                    {
                        out.push_back((server, bytes));
                        self.mark_dirty(slot);
                    }
                }
                Step::Answer { function, input } => self.inputs.push((function, input)),
            }
        }
    }

    fn resolver_socket(&mut self, server: SocketAddr) -> Option<Slot> {
        let at = usize::from(server.is_ipv6());
        if self.resolver_sockets[at].is_none() {
            let slot = self.bind_udp(ENGINE, Service::Rtp, any_like(server), false).ok();
            self.resolver_sockets[at] = slot;
        }
        self.resolver_sockets[at]
    }
}

/// Whose connection it is, and between whom.
struct Ends {
    owner: FunctionId,
    service: Service,
    local: SocketAddr,
    remote: SocketAddr,
}

/// Reserves a slot, lets `register` use its number, and takes the slot back if that fails.
fn next(
    table: &mut Slots<Owned>,
    owner: FunctionId,
    service: Service,
    local: SocketAddr,
    register: impl FnOnce(Slot) -> io::Result<Kind>,
) -> io::Result<Slot> {
    // The number is only known once the slot is taken.
    let kind = Kind::Reserved;
    let slot = table.insert(Owned { owner, service, local, kind, ready: false, dirty: false });
    match register(slot) {
        Ok(kind) => {
            if let Some(socket) = table.get_mut(slot) {
                socket.kind = kind;
            }
            Ok(slot)
        }
        Err(error) => {
            table.remove(slot);
            Err(error)
        }
    }
}

fn token(slot: Slot) -> Token {
    Token(slot.to_bits() as usize)
}

fn stream_flow(
    slot: Slot,
    service: Service,
    local: SocketAddr,
    remote: SocketAddr,
    stream: &Stream,
) -> Flow {
    Flow { proved: stream.proved, ..flow(slot, service, stream.transport(), local, remote) }
}

fn flow(
    slot: Slot,
    service: Service,
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
) -> Flow {
    Flow {
        id: FlowId(slot.to_bits()),
        service,
        transport,
        local: Endpoint::Ip(local),
        remote: Endpoint::Ip(remote),
        proved: false,
    }
}
