//! The sockets as functions see them: what `Output::Transmit`, `Open`, `Close` and `Resolve` do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use base::machine::{Name, QueryId};
use base::slots::Slot;
use base::{Bytes, Flow, FlowError, Instant, Transport};
use mio::net::TcpStream;
use socket2::{SockAddr, Type};

use super::open::{any_like, blame, new_socket};
use super::{Ends, Kind, LINGER, Owned, Sockets, flow};
use crate::shard::{FunctionId, Network, OpenRequest};

impl Network for Sockets {
    fn transmit(
        &mut self,
        _: Instant,
        function: FunctionId,
        flow: &Flow,
        message: Bytes,
    ) -> Result<(), FlowError> {
        let (datagrams, bytes) = (self.config.datagrams, self.config.stream_bytes);
        let (slot, socket) = self.owned(function, flow).ok_or(FlowError::Stale)?;
        match &mut socket.kind {
            Kind::Udp { out, .. } => {
                let remote = flow.remote.socket_addr().ok_or(FlowError::Unreachable)?;
                if remote.is_ipv4() != socket.local.is_ipv4() || message.len() > 65_507 {
                    return Err(FlowError::Unreachable);
                }
                if out.len() >= datagrams {
                    return Err(FlowError::Overloaded);
                }
                out.push_back((remote, message));
            }
            Kind::Stream { stream, .. } if !stream.closing => stream.push(message, bytes)?,
            _ => return Err(FlowError::Stale),
        }
        self.mark_dirty(slot);
        Ok(())
    }

    fn open(
        &mut self,
        now: Instant,
        function: FunctionId,
        request: OpenRequest,
    ) -> Option<Result<Flow, FlowError>> {
        let OpenRequest { service, remote, local, .. } = request;
        if request.transport.is_connection() {
            let Some(remote) = remote else { return Some(Err(FlowError::Unreachable)) };
            return self.connect(now, function, request, remote).err().map(Err);
        }
        if let Some(remote) = remote {
            let wanted = local.filter(|local| local.port() != 0);
            let found = self.table.iter().find(|(_, socket)| {
                let Kind::Udp { listener, .. } = &socket.kind else { return false };
                socket.owner == function
                    && socket.service == service
                    && match wanted {
                        Some(wanted) => socket.local == wanted,
                        None => {
                            *listener
                                && local.is_none()
                                && socket.local.is_ipv4() == remote.is_ipv4()
                        }
                    }
            });
            if let Some((slot, socket)) = found {
                return Some(Ok(flow(slot, service, Transport::Udp, socket.local, remote)));
            }
        }
        let any = remote.map_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), any_like);
        Some(match self.bind_udp(function, service, local.unwrap_or(any), false) {
            Ok(slot) => {
                let local = self.table.get(slot).map_or(any, |socket| socket.local);
                let remote = remote.unwrap_or_else(|| any_like(local));
                Ok(flow(slot, service, Transport::Udp, local, remote))
            }
            Err(error) => Err(match blame(&error) {
                FlowError::Unreachable => FlowError::NoPort,
                error => error,
            }),
        })
    }

    fn close(&mut self, now: Instant, function: FunctionId, flow: &Flow) {
        let Some((slot, socket)) = self.owned(function, flow) else { return };
        match &mut socket.kind {
            Kind::Udp { listener: true, .. } | Kind::Listener { .. } | Kind::Reserved => {}
            Kind::Udp { .. } => {
                // What was written before the end still leaves.
                self.flush_udp(slot);
                self.remove(slot);
            }
            Kind::Stream { stream, .. } => {
                stream.closing = true;
                if stream.is_flushed() {
                    self.remove(slot);
                } else {
                    self.timers.arm(now + LINGER, slot);
                    self.mark_dirty(slot);
                }
            }
        }
    }

    fn resolve(&mut self, now: Instant, function: FunctionId, query: QueryId, name: Name) {
        self.resolver.resolve(now, function, query, name);
        self.resolver_steps();
    }

    fn look_up(&mut self, now: Instant, function: FunctionId, query: QueryId, domain: &str) {
        self.resolver.look_up(now, function, query, domain);
        self.resolver_steps();
    }

    fn release(&mut self, _: Instant, function: FunctionId, keep_listeners: bool) {
        let listens =
            |kind: &Kind| matches!(kind, Kind::Listener { .. } | Kind::Udp { listener: true, .. });
        let gone: Vec<Slot> = self
            .table
            .iter()
            .filter(|(_, s)| s.owner == function && !(keep_listeners && listens(&s.kind)))
            .map(|(slot, _)| slot)
            .collect();
        gone.into_iter().for_each(|slot| self.remove(slot));
    }
}

impl Sockets {
    fn connect(
        &mut self,
        now: Instant,
        function: FunctionId,
        request: OpenRequest,
        remote: SocketAddr,
    ) -> Result<(), FlowError> {
        let session = match request.transport {
            Transport::Tls => {
                let address = remote.ip().to_string();
                let name = request.name.as_deref().unwrap_or(&address);
                let session = self.config.tls.as_ref().and_then(|tls| tls.connect(name));
                Some(session.ok_or(FlowError::Untrusted)?)
            }
            _ => None,
        };
        let attempt = || -> io::Result<TcpStream> {
            let socket = new_socket(remote, Type::STREAM)?;
            if let Some(local) = request.local {
                socket.bind(&local.into())?;
            }
            socket.set_tcp_nodelay(true)?;
            match socket.connect(&SockAddr::from(remote)) {
                Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
                _ => {}
            }
            Ok(TcpStream::from_std(socket.into()))
        };
        let socket = attempt().map_err(|error| blame(&error))?;
        let local = socket.local_addr().map_err(|error| blame(&error))?;
        let patience = now + self.config.connect_timeout;
        let ends = Ends { owner: function, service: request.service, local, remote };
        self.insert_stream(ends, socket, session, Some(request.open), patience)
            .map_err(|error| blame(&error))?;
        Ok(())
    }

    fn owned(&mut self, function: FunctionId, flow: &Flow) -> Option<(Slot, &mut Owned)> {
        let slot = Slot::from_bits(flow.id.0);
        let socket = self.table.get_mut(slot).filter(|socket| socket.owner == function)?;
        Some((slot, socket))
    }
}
