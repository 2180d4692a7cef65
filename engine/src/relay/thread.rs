//! The live packet path: a thread that moves packets in batches and allocates nothing for them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

use base::relay::{Command, Event, Offload, PortId};
use base::slots::{Slot, Slots};
use base::{Instant, Random};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use socket2::{Domain, Protocol, Socket, Type};

use super::pool::{Pool, TRIES};
use super::xdp::Xdp;
use super::{Forward, event_port};
use crate::net::{BATCH, Clock, Inbox, send_batch};
use crate::shard::{FunctionId, Packets};

const WAKER: Token = Token(usize::MAX);
/// What the kernel asks of who loads a program, capabilities(7).
const NEEDS: &str = "; it takes CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON";

/// Choices of the packet path.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The ports of the pairs: RTP on the even ones.
    pub ports: RangeInclusive<u16>,
    /// The longest packet, in bytes; longer ones are dropped.
    pub packet: usize,
    /// Commands and events that may wait between the threads.
    pub queue: usize,
    /// The type-of-service byte of the packets, RFC 2474: EF for voice.
    pub tos: u8,
    /// Whether the kernel may move packets by itself, where it can.
    pub xdp: bool,
}

impl Default for RelayConfig {
    fn default() -> RelayConfig {
        RelayConfig { ports: 30_000..=39_999, packet: 9216, queue: 4096, tos: 0xb8, xdp: true }
    }
}

/// The shard's end of the packet path. The thread ends when this is dropped.
pub struct RelayThread {
    commands: Option<SyncSender<(FunctionId, Command)>>,
    /// Commands until [`RelayThread::push`], and those that found the queue full then; none is lost.
    waiting: VecDeque<(FunctionId, Command)>,
    events: Receiver<(FunctionId, Event)>,
    /// Events that have room.
    queue: usize,
    waker: Arc<Waker>,
}

impl RelayThread {
    /// Starts the thread; `shard` is woken when there are events.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn start(
        config: RelayConfig,
        clock: Clock,
        forward: impl Forward + 'static,
        random: Random,
        shard: Arc<Waker>,
    ) -> io::Result<RelayThread> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let queue = config.queue;
        let (commands, receiver) = sync_channel(queue);
        let (sender, events) = sync_channel(queue);
        let path = Path {
            registry: poll.registry().try_clone()?,
            forward,
            pairs: Slots::default(),
            by_port: BTreeMap::new(),
            ready: VecDeque::new(),
            inbox: Inbox::new(config.packet),
            pool: Pool::new(config.ports, random),
            tos: config.tos,
            clock,
            waker: Arc::clone(&waker),
            kernel: if config.xdp { Kernel::Unasked } else { Kernel::Unable },
            heard: VecDeque::new(),
        };
        std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || path.run(poll, &receiver, &sender, &shard))?;
        let waiting = VecDeque::new();
        Ok(RelayThread { commands: Some(commands), waiting, events, queue, waker })
    }

    /// What the packet path reported since the last call.
    pub fn events(&mut self) -> Vec<(FunctionId, Event)> {
        self.push();
        let events: Vec<_> = self.events.try_iter().collect();
        if events.len() >= self.queue {
            // It may wait for room.
            let _ = self.waker.wake();
        }
        events
    }

    /// Hands over the commands since the last time, and wakes the thread once for all of them. False if some found no room.
    pub fn push(&mut self) -> bool {
        let Some(commands) = &self.commands else { return true };
        let mut sent = false;
        while let Some(command) = self.waiting.pop_front() {
            match commands.try_send(command) {
                Ok(()) => sent = true,
                Err(TrySendError::Full(command)) => {
                    self.waiting.push_front(command);
                    break;
                }
                Err(TrySendError::Disconnected(_)) => break,
            }
        }
        if sent {
            let _ = self.waker.wake();
        }
        self.waiting.is_empty()
    }
}

impl Packets for RelayThread {
    fn command(&mut self, _: Instant, function: FunctionId, command: Command) {
        self.waiting.push_back((function, command));
    }
}

impl Drop for RelayThread {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.waker.wake();
    }
}

/// The thread's own.
struct Path<F> {
    registry: Registry,
    forward: F,
    pairs: Slots<Pair>,
    by_port: BTreeMap<PortId, Slot>,
    ready: VecDeque<(Slot, bool)>,
    inbox: Inbox,
    pool: Pool,
    tos: u8,
    clock: Clock,
    /// Held to the end: a last wake is lost if nobody has the waker any more when the thread comes to look.
    waker: Arc<Waker>,
    kernel: Kernel,
    /// For media control, until there is room.
    heard: VecDeque<(FunctionId, Event)>,
}

/// Whether the kernel moves packets by itself.
enum Kernel {
    /// Nobody has asked it; that is left until there is something to move.
    Unasked,
    /// It looks at the program, which takes a while; and for whom it does so.
    Asked(Receiver<io::Result<Xdp>>, Vec<(FunctionId, PortId, IpAddr)>),
    Unable,
    Able(Box<Xdp>),
}

struct Pair {
    port: PortId,
    owner: FunctionId,
    /// Its RTP address.
    local: SocketAddr,
    /// RTP and RTCP.
    sockets: [UdpSocket; 2],
    ready: [bool; 2],
}

impl<F: Forward> Path<F> {
    fn run(
        mut self,
        mut poll: Poll,
        commands: &Receiver<(FunctionId, Command)>,
        sender: &SyncSender<(FunctionId, Event)>,
        shard: &Waker,
    ) {
        let mut events = Events::with_capacity(1024);
        loop {
            match poll.poll(&mut events, self.rest()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                _ => {}
            }
            let now = self.clock.now();
            loop {
                match commands.try_recv() {
                    Ok((function, command)) => self.command(now, function, command),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.loaded(now);
            for event in &events {
                if event.token() != WAKER && event.is_readable() {
                    let bits = event.token().0 as u64;
                    self.make_ready(Slot::from_bits(bits & !RTCP), bits & RTCP != 0);
                }
            }
            for _ in 0..self.ready.len() {
                let Some((slot, rtcp)) = self.ready.pop_front() else { break };
                if let Some(pair) = self.pairs.get_mut(slot) {
                    pair.ready[usize::from(rtcp)] = false;
                    if self.packets(now, slot, rtcp) {
                        self.make_ready(slot, rtcp);
                    }
                }
            }
            if self.forward.deadline().is_some_and(|at| at <= now) {
                self.forward.expire(now);
            }
            self.send();
            self.hear();
            let mut woken = false;
            while let Some(event) = self.heard.pop_front() {
                match sender.try_send(event) {
                    Ok(()) => woken = true,
                    Err(TrySendError::Full(event)) => {
                        self.heard.push_front(event);
                        woken = true;
                        break;
                    }
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
            if woken {
                let _ = shard.wake();
            }
        }
    }

    fn command(&mut self, now: Instant, owner: FunctionId, command: Command) {
        match command {
            Command::Open { port, address, rtp } => match self.open(port, owner, (address, rtp)) {
                Some(rtp) => {
                    self.forward.open(now, port, rtp);
                    self.heard.push_back((owner, Event::Opened { port, rtp: rtp.port() }));
                    self.cover(now, owner, port, rtp.ip());
                }
                None => self.heard.push_back((owner, Event::NoPort { port })),
            },
            Command::Close { port } => {
                self.forward.command(now, command);
                self.offload(now);
                self.hear();
                if let Some(slot) = self.by_port.remove(&port)
                    && let Some(pair) = self.pairs.remove(slot)
                {
                    // Whoever closes a socket need not take it out of the poll first.
                    self.pool.give(pair.local);
                }
            }
            command => self.forward.command(now, command),
        }
        self.offload(now);
        self.hear();
    }

    /// An address is used: the kernel may move what arrives there.
    fn cover(&mut self, now: Instant, owner: FunctionId, port: PortId, ip: IpAddr) {
        if ip.is_loopback() {
            return;
        }
        match &mut self.kernel {
            Kernel::Unasked => {
                let (sender, receiver) = sync_channel(1);
                let (clock, tos, waker) = (self.clock, self.tos, Arc::clone(&self.waker));
                let load = move || {
                    let _ = sender.send(Xdp::load(clock, tos));
                    let _ = waker.wake();
                };
                let loader = std::thread::Builder::new().name("xdp".to_owned()).spawn(load);
                self.kernel = match loader {
                    Ok(_) => Kernel::Asked(receiver, vec![(owner, port, ip)]),
                    Err(_) => Kernel::Unable,
                };
            }
            Kernel::Asked(_, waiting) => waiting.push((owner, port, ip)),
            Kernel::Unable => {}
            Kernel::Able(xdp) => {
                if let Some(way) = xdp.cover(now, ip) {
                    if way.is_ok() {
                        self.forward.trust_kernel(true);
                    }
                    self.heard.push_back((owner, Event::Kernel { port, way }));
                }
            }
        }
    }

    /// What the kernel says of the program, if it was asked and has looked at it.
    fn loaded(&mut self, now: Instant) {
        let Kernel::Asked(receiver, waiting) = &mut self.kernel else { return };
        let Ok(loaded) = receiver.try_recv() else { return };
        let waiting = std::mem::take(waiting);
        match loaded {
            Ok(xdp) => {
                self.kernel = Kernel::Able(Box::new(xdp));
                for (owner, port, ip) in waiting {
                    self.cover(now, owner, port, ip);
                }
            }
            Err(error) => {
                self.kernel = Kernel::Unable;
                if let Some((owner, port, _)) = waiting.first() {
                    let needs = match error.kind() {
                        io::ErrorKind::PermissionDenied => NEEDS,
                        _ => "",
                    };
                    let way = Err(format!("the kernel does not load the program: {error}{needs}"));
                    self.heard.push_back((*owner, Event::Kernel { port: *port, way }));
                }
            }
        }
    }

    /// Does what the forwarding decision wants of the kernel.
    fn offload(&mut self, now: Instant) {
        while let Some(offload) = self.forward.poll_offload() {
            let Kernel::Able(xdp) = &mut self.kernel else { return };
            match offload {
                Offload::Begin(shortcut) => {
                    let [local, source] = [shortcut.port, shortcut.by]
                        .map(|port| self.by_port.get(&port).and_then(|slot| self.pairs.get(*slot)));
                    let begun = local.zip(source).is_some_and(|(local, source)| {
                        xdp.begin(&shortcut, local.local, source.local)
                    });
                    if !begun {
                        self.forward.moved(shortcut.port, None, true);
                    }
                }
                Offload::Read(port) => self.forward.moved(port, xdp.read(port).as_ref(), false),
                Offload::End(port) => self.forward.moved(port, xdp.end(now, port).as_ref(), true),
            }
        }
    }

    /// How long there is nothing to do, if no packet comes.
    fn rest(&self) -> Option<std::time::Duration> {
        if !self.ready.is_empty() {
            return Some(std::time::Duration::ZERO);
        }
        // Not for shorter than the poll can sleep.
        let until =
            |at: Instant| at.since(self.clock.now()) + std::time::Duration::from_micros(999);
        self.forward.deadline().map(until)
    }

    /// Sends the packets that are nobody's but the path's own.
    fn send(&mut self) {
        while let Some((onward, bytes)) = self.forward.poll_packet() {
            let pair = self.by_port.get(&onward.port).and_then(|slot| self.pairs.get(*slot));
            if let Some(pair) = pair {
                // What the kernel does not take is lost; whoever needs an answer asks again.
                let _ = pair.sockets[usize::from(onward.rtcp)].send_to(&bytes, onward.to);
            }
        }
    }

    /// Moves one batch of packets; whether there may be more.
    fn packets(&mut self, now: Instant, slot: Slot, rtcp: bool) -> bool {
        let Some(pair) = self.pairs.get(slot) else { return false };
        let port = pair.port;
        let (got, more) = match self.inbox.receive(fd(pair, rtcp)) {
            Ok(got) => got,
            Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
        };
        if !rtcp
            && got > 0
            && let Kernel::Able(xdp) = &self.kernel
            && xdp.has(port)
        {
            self.forward.moved(port, xdp.read(port).as_ref(), false);
        }
        // Packets that leave by the same socket leave with one system call.
        let mut leaving = [(0usize, SocketAddr::from(([0, 0, 0, 0], 0))); BATCH];
        let mut count = 0;
        let mut by: Option<(PortId, bool, RawFd)> = None;
        for at in 0..got {
            let Some((source, buffer, length)) = self.inbox.datagram_mut(at) else { continue };
            let onward = self.forward.packet(now, (port, rtcp), source, buffer, length);
            let Some(onward) = onward else { continue };
            self.inbox.set_length(at, onward.length);
            if by.is_none_or(|(port, rtcp, _)| (port, rtcp) != (onward.port, onward.rtcp)) {
                flush(&self.inbox, by, &leaving[..count]);
                count = 0;
                let out = self.by_port.get(&onward.port).and_then(|slot| self.pairs.get(*slot));
                by = out.map(|pair| (onward.port, onward.rtcp, fd(pair, onward.rtcp)));
            }
            if by.is_some() {
                leaving[count] = (at, onward.to);
                count += 1;
            }
        }
        flush(&self.inbox, by, &leaving[..count]);
        self.offload(now);
        more
    }

    fn hear(&mut self) {
        while let Some(event) = self.forward.poll_event() {
            let port = event_port(&event);
            let pair = self.by_port.get(&port).and_then(|slot| self.pairs.get(*slot));
            if let Some(pair) = pair {
                self.heard.push_back((pair.owner, event));
            }
        }
    }

    fn make_ready(&mut self, slot: Slot, rtcp: bool) {
        if let Some(pair) = self.pairs.get_mut(slot)
            && !std::mem::replace(&mut pair.ready[usize::from(rtcp)], true)
        {
            self.ready.push_back((slot, rtcp));
        }
    }

    /// Binds a free pair, or the one that is wanted.
    fn open(
        &mut self,
        port: PortId,
        owner: FunctionId,
        (ip, wanted): (IpAddr, Option<u16>),
    ) -> Option<SocketAddr> {
        for _ in 0..wanted.map_or(TRIES, |_| 1) {
            let local = self.pool.lease(ip, wanted)?;
            let rtcp = SocketAddr::new(ip, local.port() + 1);
            let sockets = bind(local, self.tos).and_then(|a| Ok([a, bind(rtcp, self.tos)?]));
            match sockets {
                Ok(sockets) => {
                    let pair = Pair { port, owner, local, sockets, ready: [false; 2] };
                    let slot = self.pairs.insert(pair);
                    self.by_port.insert(port, slot);
                    return self.register(slot).then_some(local);
                }
                Err(error) => {
                    self.pool.give(local);
                    if error.kind() != io::ErrorKind::AddrInUse {
                        return None;
                    }
                }
            }
        }
        None
    }

    fn register(&mut self, slot: Slot) -> bool {
        let Some(pair) = self.pairs.get_mut(slot) else { return false };
        let registered = pair.sockets.iter_mut().zip([0, RTCP]).all(|(socket, rtcp)| {
            let token = Token((slot.to_bits() | rtcp) as usize);
            self.registry.register(socket, token, Interest::READABLE).is_ok()
        });
        if !registered && let Some(pair) = self.pairs.remove(slot) {
            self.by_port.remove(&pair.port);
            self.pool.give(pair.local);
        }
        registered
    }
}

/// The bit of a token that says RTCP; a slot's index never needs it.
const RTCP: u64 = 1 << 31;

fn fd(pair: &Pair, rtcp: bool) -> RawFd {
    pair.sockets[usize::from(rtcp)].as_raw_fd()
}

/// What the kernel does not take is lost, as media may be.
fn flush(inbox: &Inbox, by: Option<(PortId, bool, RawFd)>, leaving: &[(usize, SocketAddr)]) {
    let Some((_, _, socket)) = by else { return };
    let mut rest = leaving;
    while !rest.is_empty() {
        let batch = rest.iter().map(|(at, to)| (*to, inbox.datagram(*at).map_or(&[][..], |d| d.1)));
        match send_batch(socket, batch) {
            Ok(sent) if sent > 0 => rest = &rest[sent..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            _ => rest = &rest[1..],
        }
    }
}

fn bind(addr: SocketAddr, tos: u8) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Unmarked media is better than none.
    let _ = match addr {
        SocketAddr::V4(_) => socket.set_tos_v4(tos.into()),
        SocketAddr::V6(_) => socket.set_tclass_v6(tos.into()),
    };
    socket.bind(&addr.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_marked() {
        let socket = bind("127.0.0.1:0".parse().unwrap(), 0xb8).unwrap();
        assert_eq!(socket2::SockRef::from(&socket).tos_v4().unwrap(), 0xb8);
    }
}
