//! Where a phone is: the flow that it speaks on, and what is left of it after that flow is gone.

use std::net::SocketAddr;

use base::Flow;
use base::flow::{Endpoint, Service, Transport};
use base::machine::Name;
use serde::{Deserialize, Serialize};
use sip::Hop;

/// A phone's way to us.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Access {
    /// The transport, `true` for TCP, with or without TLS.
    tcp: bool,
    /// Whether with TLS; records of older programs do not say so.
    #[serde(default)]
    tls: bool,
    /// The phone's address as we see it.
    pub(super) remote: Option<SocketAddr>,
    /// The flow, while it stands.
    #[serde(skip)]
    pub(super) flow: Option<Flow>,
}

/// What makes two messages come by the same flow: over UDP the far address, else the connection.
pub(super) type FlowKey = (Transport, Endpoint);

pub(super) fn key(flow: &Flow) -> FlowKey {
    (flow.transport, flow.remote)
}

impl Access {
    pub(super) fn new(flow: Flow) -> Access {
        Access {
            tcp: flow.transport.is_connection(),
            tls: flow.transport == Transport::Tls,
            remote: flow.remote.socket_addr(),
            flow: Some(flow),
        }
    }

    /// What it is found by when a message comes: its flow, or, after a restart of ours, the address
    /// that a phone on UDP still has. A connection did not survive.
    pub(super) fn key(&self) -> Option<FlowKey> {
        match (self.flow, self.remote) {
            (Some(flow), _) => Some(key(&flow)),
            (None, Some(remote)) if !self.tcp => Some((Transport::Udp, Endpoint::Ip(remote))),
            _ => None,
        }
    }

    /// Whether the flow is the phone's: the one that it first used, or a connection from the same
    /// address, which it has to open for what is too large for UDP (RFC 3261 §18.1.1).
    pub(super) fn owns(&self, flow: &Flow) -> bool {
        let same = match self.flow {
            Some(own) => key(&own) == key(flow),
            None => self.remote.map(Endpoint::Ip) == Some(flow.remote),
        };
        let ip = self.remote.map(|remote| remote.ip());
        // Who came over TLS has no business without it.
        let further = if self.tls { Transport::Tls } else { Transport::Tcp };
        same || (flow.transport == further && ip.is_some() && ip == flow.remote.ip())
    }

    /// Whether this is the very address or connection, not one more from the same host.
    pub(super) fn is(&self, flow: &Flow) -> bool {
        match self.flow {
            Some(own) => key(&own) == key(flow),
            None => !self.tcp && self.remote.map(Endpoint::Ip) == Some(flow.remote),
        }
    }

    /// Where requests to the phone go: its own flow, or, once that is gone, its address.
    pub(super) fn hop(&self) -> Hop {
        if let Some(flow) = self.flow {
            return Hop::Flow(flow);
        }
        let transport = match (self.tls, self.tcp) {
            (true, _) => Transport::Tls,
            (false, true) => Transport::Tcp,
            (false, false) => Transport::Udp,
        };
        let host = self.remote.map_or(String::new(), |r| r.ip().to_string());
        let port = self.remote.map(|r| r.port());
        Hop::Name(Name { service: Service::Sip, host, port, transport: Some(transport) })
    }

    /// Whether a connection was all there is, and it is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.tcp && self.flow.is_none()
    }

    /// Whether two are the same way, as far as it is stored.
    pub(super) fn is_like(&self, other: &Access) -> bool {
        (self.tcp, self.tls, self.remote) == (other.tcp, other.tls, other.remote)
    }

    /// The same way, as another node wrote it: the flow is still ours.
    pub(super) fn keep_flow(&mut self, known: &Access) {
        if self.is_like(known) {
            self.flow = known.flow;
        }
    }

    /// A connection ended.
    pub(super) fn closed(&mut self, flow: &Flow) {
        if self.flow.is_some_and(|own| key(&own) == key(flow)) {
            self.flow = None;
        }
    }
}
