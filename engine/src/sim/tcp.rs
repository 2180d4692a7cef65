//! Virtual TCP, for TLS too: reliable, ordered, cut into pieces at random, slowed by loss.

use std::collections::VecDeque;
use std::net::SocketAddr;

use base::machine::OpenId;
use base::time::Duration;
use base::{Bytes, Endpoint, Flow, FlowError, FlowId, Input, Instant, Service, Transport};

use super::fabric::{Delivery, Fabric, Happening, Host};
use crate::framing::Cutter;
use crate::shard::{FunctionId, OpenRequest};

/// How long a connection attempt may take, and how often it is repeated.
const CONNECT: Duration = Duration::from_secs(5);
const CONNECT_AGAIN: Duration = Duration::from_secs(1);
/// How long a connection lives without a way, and how often it is tried.
const BLOCKED: Duration = Duration::from_secs(60);
const BLOCKED_AGAIN: Duration = Duration::from_millis(500);
/// The first retransmission of a lost segment; it doubles.
const RETRANSMIT: Duration = Duration::from_millis(200);
/// Bytes on their way to one side.
const WINDOW: usize = 1 << 20;

/// A connection. The opener is side 0.
#[derive(Debug)]
pub(crate) struct Connection {
    open: OpenId,
    began: Instant,
    service: Service,
    transport: Transport,
    sides: [Side; 2],
}

#[derive(Debug)]
struct Side {
    host: Host,
    addr: SocketAddr,
    /// The function and its flow, while it holds this side.
    holder: Option<(FunctionId, FlowId)>,
    cutter: Cutter,
    /// What is on its way to this side, in order.
    inbox: VecDeque<(Instant, Piece)>,
    inbox_bytes: usize,
    blocked: Option<Instant>,
}

#[derive(Debug)]
enum Piece {
    /// The attempt succeeded.
    Accepted,
    /// The attempt failed, or the connection is reset.
    Reset(FlowError),
    Bytes(Bytes),
    Fin,
}

impl Fabric {
    pub(super) fn connect(
        &mut self,
        host: Host,
        function: FunctionId,
        request: OpenRequest,
        remote: SocketAddr,
    ) -> Option<Result<Flow, FlowError>> {
        let any = SocketAddr::new(
            if remote.is_ipv4() {
                std::net::Ipv4Addr::UNSPECIFIED.into()
            } else {
                std::net::Ipv6Addr::UNSPECIFIED.into()
            },
            0,
        );
        let Some(local) = self.local(host, request.local.unwrap_or(any)) else {
            return Some(Err(FlowError::NoPort));
        };
        let Some(other) = self.host_of(remote.ip()) else {
            return Some(Err(FlowError::Unreachable));
        };
        let id = self.flow_id();
        let framing = (self.framings)(request.service);
        let side = |host, addr, holder| Side {
            host,
            addr,
            holder,
            cutter: Cutter::new(framing, self.max_message),
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            blocked: None,
        };
        let sides = [side(host, local, Some((function, id))), side(other, remote, None)];
        let (open, began, service) = (request.open, self.now, request.service);
        let transport = request.transport;
        self.connections.insert(id.0, Connection { open, began, service, transport, sides });
        self.ends.insert(id, (id.0, 0));
        let at = self.now + self.travel(host, other);
        self.schedule(at, Happening::Connect { connection: id.0 });
        None
    }

    pub(super) fn connect_arrives(&mut self, number: u64) {
        let Some(connection) = self.connections.get(&number) else { return };
        let hosts = [connection.sides[0].host, connection.sides[1].host];
        let (began, addr) = (connection.began, connection.sides[1].addr);
        if self.parted(hosts[0], hosts[1]) {
            if self.now.since(began) < CONNECT {
                let at = self.now + CONNECT_AGAIN;
                return self.schedule(at, Happening::Connect { connection: number });
            }
            return self.post(number, 0, Piece::Reset(FlowError::TimedOut));
        }
        let Some((_, function, _)) = self.listeners.get(&addr).copied() else {
            return self.post(number, 0, Piece::Reset(FlowError::Refused));
        };
        let id = self.flow_id();
        self.ends.insert(id, (number, 1));
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.sides[1].holder = Some((function, id));
        }
        self.post(number, 0, Piece::Accepted);
    }

    pub(super) fn transmit_tcp(
        &mut self,
        host: Host,
        function: FunctionId,
        flow: &Flow,
        mut message: Bytes,
    ) -> Result<(), FlowError> {
        let (number, side) = self.held(host, function, flow.id).ok_or(FlowError::Stale)?;
        let to = &self.connections[&number].sides[1 - side];
        if to.inbox_bytes + message.len() > WINDOW {
            return Err(FlowError::Overloaded);
        }
        let near = to.host == host;
        while !message.is_empty() {
            let whole = message.len() as u64;
            let piece = match self.random.below(4) {
                _ if near => whole,
                0 => 1 + self.random.below(whole),
                1 => 1,
                _ => whole,
            };
            let piece = message.split_to(piece as usize);
            self.post(number, 1 - side, Piece::Bytes(piece));
        }
        Ok(())
    }

    pub(super) fn close_tcp(&mut self, host: Host, function: FunctionId, flow: FlowId) {
        if let Some((number, side)) = self.held(host, function, flow) {
            self.ends.remove(&flow);
            self.let_go(number, side);
        }
    }

    /// A host or one of its functions is gone: its connections are reset.
    pub(super) fn reset(&mut self, host: Host, function: Option<FunctionId>) {
        let mut gone = Vec::new();
        for (number, connection) in &mut self.connections {
            for at in 0..2 {
                let side = &connection.sides[at];
                let Some((f, id)) = side.holder.filter(|_| side.host == host) else { continue };
                if function.is_none_or(|function| function == f) {
                    gone.push((*number, at, id));
                    // What it sent last may never arrive.
                    let peer = &mut connection.sides[1 - at];
                    peer.inbox.retain(|(_, piece)| matches!(piece, Piece::Accepted));
                    peer.inbox_bytes = 0;
                }
            }
        }
        for (number, side, id) in gone {
            self.ends.remove(&id);
            self.let_go(number, side);
        }
    }

    /// The next piece arrives at a side.
    pub(super) fn arrive(&mut self, number: u64, at: usize) {
        let now = self.now;
        let Some(connection) = self.connections.get(&number) else { return };
        let hosts = [connection.sides[0].host, connection.sides[1].host];
        let parted = self.parted(hosts[0], hosts[1]);
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let side = &mut connection.sides[at];
        if parted && !matches!(side.inbox.front(), Some((_, Piece::Reset(_)))) {
            let since = *side.blocked.get_or_insert(now);
            if now.since(since) < BLOCKED {
                let again = Happening::Arrive { connection: number, side: at };
                return self.schedule(now + BLOCKED_AGAIN, again);
            }
            return self.abandon(number);
        }
        side.blocked = None;
        // Each piece has an arrival of its own.
        let mut over = false;
        if let Some((due, _)) = side.inbox.front()
            && *due <= now
            && let Some((_, piece)) = side.inbox.pop_front()
        {
            if let Piece::Bytes(bytes) = &piece {
                side.inbox_bytes -= bytes.len();
            }
            let Some((function, id)) = side.holder else { return };
            let flow = Flow {
                id,
                service: connection.service,
                transport: connection.transport,
                local: Endpoint::Ip(side.addr),
                remote: Endpoint::Ip(connection.sides[1 - at].addr),
                proved: false,
            };
            let side = &mut connection.sides[at];
            let mut tell =
                |input| self.deliveries.push_back(Delivery::Input(side.host, function, input));
            match piece {
                Piece::Accepted => tell(Input::Opened { open: connection.open, flow }),
                Piece::Reset(error) => {
                    tell(Input::OpenFailed { open: connection.open, error });
                    over = true;
                }
                Piece::Fin => {
                    tell(Input::Closed { flow, error: FlowError::Closed });
                    over = true;
                }
                Piece::Bytes(bytes) => {
                    side.cutter.push(&bytes);
                    loop {
                        match side.cutter.message() {
                            Ok(Some(message)) => tell(Input::Received { flow, message }),
                            Ok(None) => break,
                            Err(error) => {
                                tell(Input::Closed { flow, error });
                                over = true;
                                break;
                            }
                        }
                    }
                }
            }
            if over {
                self.ends.remove(&id);
                self.let_go(number, at);
            }
        }
    }

    /// Puts something on its way to a side, behind all that is there already.
    fn post(&mut self, number: u64, to: usize, piece: Piece) {
        let Some(connection) = self.connections.get(&number) else { return };
        let hosts = [connection.sides[1 - to].host, connection.sides[to].host];
        let mut at = self.now + self.travel(hosts[0], hosts[1]);
        let mut wait = RETRANSMIT;
        while hosts[0] != hosts[1] && wait < RETRANSMIT * 64 && self.chance(self.weather.loss) {
            at += wait;
            wait *= 2;
        }
        let Some(connection) = self.connections.get_mut(&number) else { return };
        let side = &mut connection.sides[to];
        at = side.inbox.back().map_or(at, |(last, _)| at.max(*last));
        if let Piece::Bytes(bytes) = &piece {
            side.inbox_bytes += bytes.len();
        }
        side.inbox.push_back((at, piece));
        self.schedule(at, Happening::Arrive { connection: number, side: to });
    }

    /// A side is held no longer; the other side hears it, or the connection is over.
    fn let_go(&mut self, number: u64, at: usize) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.sides[at].holder = None;
        if connection.sides[1 - at].holder.is_some() {
            self.post(number, 1 - at, Piece::Fin);
        } else {
            self.connections.remove(&number);
        }
    }

    /// There was no way for too long.
    fn abandon(&mut self, number: u64) {
        let Some(connection) = self.connections.remove(&number) else { return };
        for (at, side) in connection.sides.iter().enumerate() {
            let Some((function, id)) = side.holder else { continue };
            self.ends.remove(&id);
            let flow = Flow {
                id,
                service: connection.service,
                transport: connection.transport,
                local: Endpoint::Ip(side.addr),
                remote: Endpoint::Ip(connection.sides[1 - at].addr),
                proved: false,
            };
            let input = Input::Closed { flow, error: FlowError::TimedOut };
            self.deliveries.push_back(Delivery::Input(side.host, function, input));
        }
    }

    fn held(&self, host: Host, function: FunctionId, flow: FlowId) -> Option<(u64, usize)> {
        let (number, side) = *self.ends.get(&flow)?;
        let held = &self.connections.get(&number)?.sides[side];
        (held.host == host && held.holder == Some((function, flow))).then_some((number, side))
    }
}
