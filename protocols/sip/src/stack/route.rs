//! Which flow a request takes: names, targets, connections. RFC 3263 §4, RFC 3261 §18.1.1.

use std::sync::Arc;

use base::flow::Service;
use base::machine::{Name, OpenId, QueryId, Target};
use base::slots::Slot;
use base::{Flow, Instant, Output, Transport};

use super::client::Route;
use super::{Hop, Stack, UDP_LIMIT};
use crate::uri::{Uri, literal};

/// The name that a URI asks to be resolved, RFC 3263 §4: `None` for other schemes than `sip` and `sips`.
/// `sips` is TLS on every hop, RFC 5630 §3.1.
pub fn name_of(uri: &str) -> Option<Name> {
    let uri = Uri::parse(uri)?.sip()?;
    let transport = match uri.transport().as_deref() {
        _ if uri.secure => Some(Transport::Tls),
        Some("tls") => Some(Transport::Tls),
        Some("udp") => Some(Transport::Udp),
        Some("tcp") => Some(Transport::Tcp),
        _ => None,
    };
    let host = uri.params.get("maddr").unwrap_or(uri.host);
    let host = literal(host).map_or_else(|| host.to_owned(), |ip| ip.to_string());
    Some(Name { service: Service::Sip, host, port: uri.port, transport })
}

/// Whose certificate a connection over TLS needs: who was asked for, RFC 5922 §7.3. An address names
/// nobody.
pub(super) type PeerName = Option<Arc<str>>;

/// Who waits for a connection.
#[derive(Debug)]
pub(super) struct Opening {
    target: Target,
    name: PeerName,
    waiting: Vec<Slot>,
}

impl Stack {
    pub(super) fn send(&mut self, now: Instant, slot: Slot, hop: Hop) {
        match hop {
            Hop::Flow(flow) => self.put_on_flow(now, slot, flow),
            Hop::Name(name) => {
                let control = self.config.overload_control;
                if let Some(record) = self.running(slot) {
                    let named = literal(&name.host).is_none();
                    record.can_be_less = control && !record.is_ack();
                    record.name = named.then(|| name.host.to_ascii_lowercase().into());
                }
                let query = QueryId(self.next_id());
                self.resolving.insert(query, slot);
                self.outputs.push_back(Output::Resolve { query, name });
            }
        }
    }

    /// A name's targets came.
    pub fn resolved(&mut self, now: Instant, query: QueryId, targets: Vec<Target>) {
        let Some(slot) = self.resolving.remove(&query) else { return };
        let Some(client) = self.clients.get_mut(slot) else { return };
        let Some(record) = client.running.as_deref_mut() else { return };
        let datagrams = targets.iter().any(|target| target.transport == Transport::Udp);
        // Our Via is not written yet; 200 bytes stand for it.
        let size = || record.request.to_bytes().len();
        let large = datagrams && size() + 200 > UDP_LIMIT;
        for target in targets {
            if large && target.transport == Transport::Udp {
                record.targets.push(Target { transport: Transport::Tcp, ..target });
            }
            record.targets.push(target);
        }
        self.failed.put_last(now, &mut record.targets);
        record.targets.reverse();
        if record.targets.is_empty() {
            self.target_failed(now, slot)
        } else {
            self.next_target(now, slot)
        }
    }

    pub(super) fn next_target(&mut self, now: Instant, slot: Slot) {
        let Some(record) = self.running(slot) else { return };
        let Some(target) = record.targets.pop() else { return self.target_failed(now, slot) };
        record.route = Route::Pending;
        let name = record.name.clone().filter(|_| target.transport == Transport::Tls);
        let key = (target.transport, target.endpoint, name.clone());
        if let Some(flow) = self.connections.get(&key) {
            let flow = *flow;
            return self.put_on_flow(now, slot, flow);
        }
        let same = |o: &&mut Opening| o.target == target && o.name == name;
        if let Some(opening) = self.opening.values_mut().find(same) {
            opening.waiting.push(slot);
            return;
        }
        let open = OpenId(self.next_id());
        let asked = name.as_deref().map(str::to_owned);
        self.opening.insert(open, Opening { target, name, waiting: vec![slot] });
        self.outputs.push_back(Output::Open {
            open,
            service: Service::Sip,
            transport: target.transport,
            remote: Some(target.endpoint),
            local: None,
            name: asked,
        });
    }

    /// A connection stands.
    pub fn opened(&mut self, now: Instant, open: OpenId, flow: Flow) {
        let opening = self.opening.remove(&open);
        self.remember(flow, opening.as_ref().and_then(|opening| opening.name.clone()));
        let Some(opening) = opening else { return };
        for slot in opening.waiting {
            self.put_on_flow(now, slot, flow);
        }
    }

    /// A connection could not be made.
    pub fn open_failed(&mut self, now: Instant, open: OpenId) {
        let Some(opening) = self.opening.remove(&open) else { return };
        self.failed.failed(now, (opening.target.transport, opening.target.endpoint));
        for slot in opening.waiting {
            self.target_failed(now, slot);
        }
    }

    /// The sent-by of our Via on this flow.
    pub(super) fn sent_by(&self, flow: &Flow) -> String {
        let local = flow.local.socket_addr();
        let name = &self.config.sent_by;
        let by_address =
            self.config.by_address && local.is_some_and(|at| !at.ip().is_unspecified());
        match (name.as_ref().filter(|_| !by_address), local) {
            (Some(name), _) => name.clone(),
            (None, Some(addr)) => addr.to_string(),
            (None, None) => "localhost".to_owned(),
        }
    }
}
