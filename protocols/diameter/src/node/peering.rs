//! Connections, capabilities and the watchdog: everything between a node and its direct peers.

use std::net::{IpAddr, Ipv4Addr};

use base::Transport;

use super::*;
use crate::avp::{Avp, Avps};
use crate::dictionary::*;
use crate::header::{Flags, Header};
use crate::peer::{self, Action, wins_election};
use crate::result::{Outcome, ResultCode};
use crate::watchdog;

/// The first wait before another attempt to connect.
const BACKOFF: Duration = Duration::from_secs(1);

impl Node {
    pub(super) fn add_peer(
        &mut self,
        host: String,
        realm: String,
        config: Option<PeerConfig>,
    ) -> PeerId {
        let id = PeerId(self.next_peer);
        self.next_peer += 1;
        let peer = Peer {
            config,
            host,
            realm,
            state: State::Closed,
            wins: false,
            watchdog: None,
            proving: false,
            failed: false,
            targets: VecDeque::new(),
            attempt: None,
            deadline: None,
            backoff: BACKOFF,
            applications: Vec::new(),
        };
        self.peers.insert(id, peer);
        id
    }

    /// A connection that we asked for is open.
    pub fn opened(&mut self, now: Instant, open: OpenId, flow: Flow) {
        let Some(id) = self.opens.remove(&open.0) else {
            self.outputs.push_back(Output::Close { flow });
            return;
        };
        let connection = Connection { peer: Some(id), ..Connection::new(flow, now) };
        self.connections.insert(flow.id, connection);
        self.step(now, id, peer::Event::ConnAck(flow));
    }

    /// A connection that we asked for cannot be opened.
    pub fn open_failed(&mut self, now: Instant, open: OpenId, error: FlowError) {
        if let Some(id) = self.opens.remove(&open.0) {
            self.connect_next(now, id, &error.to_string());
        }
    }

    /// A name is resolved.
    pub fn resolved(&mut self, now: Instant, query: QueryId, targets: Vec<Target>) {
        let Some(id) = self.queries.remove(&query.0) else {
            return;
        };
        if let Some(peer) = self.peers.get_mut(&id) {
            let usable = |t: &Target| matches!(t.transport, Transport::Tcp | Transport::Wire);
            peer.targets = targets.into_iter().filter(usable).collect();
        }
        self.connect_next(now, id, "its name has no address");
    }

    /// A connection ended, or something could not be sent on it.
    pub fn closed(&mut self, now: Instant, flow: Flow, error: FlowError) {
        self.forget_flow(flow.id);
        let Some(connection) = self.connections.remove(&flow.id) else {
            return;
        };
        // What could not be sent on may still be open: neither end shall keep it.
        self.outputs.push_back(Output::Close { flow });
        let Some(id) = connection.peer else {
            return;
        };
        if let Some(peer) = self.peers.get(&id) {
            let text = format!("{} ({flow:?}): {error}", peer.host);
            self.log(Severity::Info, "diameter.connection_closed", text);
        }
        self.step(now, id, peer::Event::Disconnected(flow));
    }

    /// The deadline has come.
    pub fn timeout(&mut self, now: Instant) {
        let late = |c: &&Connection| c.peer.is_none() && c.since + HANDSHAKE <= now;
        let strangers: Vec<Flow> = self.connections.values().filter(late).map(|c| c.flow).collect();
        for flow in strangers {
            self.close(flow);
        }
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        for id in peers {
            let Some(peer) = self.peers.get_mut(&id) else {
                continue;
            };
            if peer.deadline.is_some_and(|at| at <= now) {
                peer.deadline = None;
                let closed = peer.state == State::Closed;
                self.step(now, id, if closed { peer::Event::Start } else { peer::Event::Timeout });
            }
            self.run_watchdog(now, id, |watchdog, random| {
                if watchdog.deadline() > now {
                    return None;
                }
                watchdog.expired(now, random)
            });
        }
        self.expire_requests(now);
    }

    /// Runs one event through a peer's state machine and does what it says.
    pub(super) fn step(&mut self, now: Instant, id: PeerId, event: peer::Event) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if let peer::Event::Cer { wins, .. } = event {
            peer.wins = wins;
        }
        let before = peer.state;
        let (state, actions) = peer.state.step(event, peer.wins);
        peer.state = state;
        if state != before {
            peer.deadline = match state {
                State::Open { .. } => None,
                State::Closed => peer.config.as_ref().map(|_| now + peer.backoff),
                _ => Some(now + HANDSHAKE),
            };
        }
        for action in actions {
            self.act(now, id, action);
        }
        if state == State::Closed && before != State::Closed {
            self.rest(now, id);
        }
    }

    /// A peer is closed: wait for another attempt, or forget it if it came by itself.
    fn rest(&mut self, now: Instant, id: PeerId) {
        let draining = self.draining;
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if peer.config.is_none() {
            self.peers.remove(&id);
        } else {
            peer.failed = true;
            peer.backoff = (peer.backoff * 2).min(self.config.tc);
            if draining {
                peer.deadline = None;
            }
        }
        self.dispatch_waiting(now);
    }

    fn act(&mut self, now: Instant, id: PeerId, action: Action) {
        match action {
            Action::Connect => self.resolve(id),
            Action::Cancel => self.cancel(id),
            Action::SendCer(flow) => {
                let header = self.own_header(CMD_CAPABILITIES_EXCHANGE);
                let message = Message::write(header, |out| self.capabilities(flow, out));
                self.transmit(flow, &message);
            }
            Action::SendCea(flow) => self.send_cea(flow, ResultCode::SUCCESS),
            Action::Reject(flow) => {
                self.send_cea(flow, ResultCode::ELECTION_LOST);
                self.close(flow);
                // If the connection in use is dead, its watchdog shall find out now.
                self.run_watchdog(now, id, |watchdog, random| watchdog.probe(now, random));
            }
            Action::Disconnect(flow) => self.close(flow),
            Action::SendDpr(flow) => {
                let header = self.own_header(CMD_DISCONNECT_PEER);
                let message = Message::write(header, |out| {
                    self.origin(out);
                    out.u32(DISCONNECT_CAUSE, 0);
                });
                self.transmit(flow, &message);
            }
            // The answer to DPR is sent where the request is at hand.
            Action::SendDpa(_) => {}
            Action::Up(flow) => self.up(now, id, flow),
            Action::Down(flow) => self.down(now, id, flow),
        }
    }

    fn resolve(&mut self, id: PeerId) {
        let query = self.mint();
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if let Some(config) = &peer.config {
            self.queries.insert(query, id);
            peer.attempt = Some(query);
            let name = config.name.clone();
            self.outputs.push_back(Output::Resolve { query: QueryId(query), name });
        }
    }

    fn connect_next(&mut self, now: Instant, id: PeerId, error: &str) {
        let open = self.mint();
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let Some(target) = peer.targets.pop_front() else {
            peer.attempt = None;
            let text = format!("cannot connect to {}: {error}", peer.host);
            let severity = if peer.failed { Severity::Debug } else { Severity::Warning };
            self.log(severity, "diameter.connect_failed", text);
            self.step(now, id, peer::Event::ConnNack);
            return;
        };
        peer.attempt = Some(open);
        peer.deadline = Some(now + HANDSHAKE);
        self.opens.insert(open, id);
        self.outputs.push_back(Output::Open {
            open: OpenId(open),
            service: Service::Diameter,
            transport: target.transport,
            remote: Some(target.endpoint),
            local: None,
            name: None,
        });
    }

    /// Forgets an attempt to connect; should it succeed, the connection is closed.
    fn cancel(&mut self, id: PeerId) {
        if let Some(attempt) = self.peers.get_mut(&id).and_then(|peer| peer.attempt.take()) {
            self.opens.remove(&attempt);
            self.queries.remove(&attempt);
        }
    }

    fn up(&mut self, now: Instant, id: PeerId, flow: Flow) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        if flow.transport != Transport::Wire {
            let watchdog = Watchdog::new(self.config.tw, now, peer.proving, &mut self.random);
            peer.watchdog = Some(watchdog);
        }
        if let Some(connection) = self.connections.get_mut(&flow.id) {
            peer.applications = std::mem::take(&mut connection.announced);
        }
        peer.failed = false;
        peer.backoff = BACKOFF;
        let (host, realm) = (peer.host.clone(), peer.realm.clone());
        self.cancel(id);
        self.log(Severity::Info, "diameter.peer_up", format!("{host} on {flow:?}"));
        self.events.push_back(Event::PeerUp { host, realm });
        self.dispatch_waiting(now);
    }

    fn down(&mut self, now: Instant, id: PeerId, flow: Flow) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        peer.watchdog = None;
        peer.failed = true;
        let host = peer.host.clone();
        self.log(Severity::Warning, "diameter.peer_down", format!("{host} on {flow:?}"));
        self.events.push_back(Event::PeerDown { host });
        self.fail_over(now, id);
    }

    pub(super) fn run_watchdog(
        &mut self,
        now: Instant,
        id: PeerId,
        event: impl FnOnce(&mut Watchdog, &mut Random) -> Option<watchdog::Action>,
    ) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        let (Some(watchdog), Some(flow)) = (&mut peer.watchdog, peer.state.open()) else {
            return;
        };
        match event(watchdog, &mut self.random) {
            Some(watchdog::Action::SendDwr) => {
                let header = self.own_header(CMD_DEVICE_WATCHDOG);
                let message = Message::write(header, |out| self.origin(out));
                self.transmit(flow, &message);
            }
            Some(watchdog::Action::Failover) => {
                let text = format!("{} does not answer the watchdog", peer.host);
                self.log(Severity::Warning, "diameter.peer_suspect", text);
                self.fail_over(now, id);
            }
            Some(watchdog::Action::Failback) => {
                peer.proving = false;
                self.dispatch_waiting(now);
            }
            Some(watchdog::Action::Close) => {
                peer.proving = true;
                self.step(now, id, peer::Event::Timeout);
            }
            None => {}
        }
    }

    /// A message on a connection that has not identified itself: it must be a CER.
    pub(super) fn on_stranger(&mut self, now: Instant, flow: Flow, message: Message) {
        if !self.connections.contains_key(&flow.id) {
            let strangers = self.connections.values().filter(|c| c.peer.is_none()).count();
            self.connections.insert(flow.id, Connection::new(flow, now));
            if strangers >= MAX_STRANGERS {
                let text = format!("too many connections without a CER; closed {flow:?}");
                self.log(Severity::Warning, "diameter.strangers", text);
                return self.close(flow);
            }
        }
        let header = message.header();
        if header.command != CMD_CAPABILITIES_EXCHANGE || !header.is_request() {
            let text = format!("{flow:?} began with something else than CER; closed");
            self.log(Severity::Warning, "diameter.no_cer", text);
            return self.close(flow);
        }
        self.on_cer(now, flow, message);
    }

    pub(super) fn on_cer(&mut self, now: Instant, flow: Flow, message: Message) {
        let known = self.connections.get(&flow.id).and_then(|c| c.peer);
        let checked = check(&message).and_then(|()| {
            let host = message.require(ORIGIN_HOST)?.utf8()?.to_owned();
            Ok((host, message.require(ORIGIN_REALM)?.utf8()?.to_owned()))
        });
        let (host, realm) = match checked {
            Ok(names) => names,
            Err(fault) => {
                self.refuse_raw(flow, *message.header(), message.avps(), &fault);
                let text = format!("{flow:?}: CER: {fault}; closed");
                self.log(Severity::Warning, "diameter.bad_cer", text);
                return self.hang_up(now, flow);
            }
        };
        let applications = announced(message.avps());
        let common = self.common(&applications);
        if let Some(connection) = self.connections.get_mut(&flow.id) {
            connection.cer = Some(message);
            connection.announced = applications;
        }
        if !common {
            let code = ResultCode::NO_COMMON_APPLICATION;
            self.send_cea(flow, code);
            let text = format!("{host} on {flow:?} was refused: {code}");
            self.log(Severity::Warning, "diameter.cer_refused", text);
            return self.hang_up(now, flow);
        }
        let mut named = self.peers.iter().filter(|(_, p)| p.host.eq_ignore_ascii_case(&host));
        let id = match named.next().map(|(id, _)| *id) {
            Some(id) if known.is_none_or(|known| known == id) => id,
            // A connection does not change its name.
            Some(_) => return self.hang_up(now, flow),
            None if known.is_some() => return self.hang_up(now, flow),
            None => self.add_peer(host.clone(), realm, None),
        };
        if let Some(connection) = self.connections.get_mut(&flow.id) {
            connection.peer = Some(id);
        }
        let wins = wins_election(&self.config.origin_host, &host);
        self.step(now, id, peer::Event::Cer { flow, wins });
    }

    pub(super) fn on_cea(&mut self, now: Instant, id: PeerId, flow: Flow, message: &Message) {
        let Some(peer) = self.peers.get(&id) else {
            return;
        };
        let host = message.origin_host().unwrap_or_default();
        let outcome = message.outcome();
        let applications = announced(message.avps());
        let refusal = if !outcome.is_some_and(Outcome::is_success) {
            Some(match outcome {
                Some(outcome) => format!("{} refused us: {outcome}", peer.host),
                None => format!("{} sent a CEA without a result", peer.host),
            })
        } else if !host.eq_ignore_ascii_case(&peer.host) {
            Some(format!("{} calls itself {host:?}: correct the configured name", peer.host))
        } else if !self.common(&applications) {
            Some(format!("{} has no application in common with us", peer.host))
        } else {
            None
        };
        let accepted = refusal.is_none();
        if let Some(text) = refusal {
            self.log(Severity::Warning, "diameter.cea_refused", text);
        } else if let Some(connection) = self.connections.get_mut(&flow.id) {
            connection.announced = applications;
        }
        self.step(now, id, peer::Event::Cea { flow, accepted });
    }

    pub(super) fn on_dpr(&mut self, now: Instant, id: PeerId, flow: Flow, message: &Message) {
        let answer = Message::write(message.header().answer(), |out| {
            Outcome::from(ResultCode::SUCCESS).write(out);
            self.origin(out);
        });
        self.transmit(flow, &answer);
        // BUSY and DO_NOT_WANT_TO_TALK_TO_YOU ask not to be called again soon, RFC 6733 §5.4.3.
        let cause = message.find(DISCONNECT_CAUSE).and_then(|avp| avp.u32().ok());
        if let Some(peer) = self.peers.get_mut(&id).filter(|_| cause.is_some_and(|c| c != 0)) {
            peer.backoff = self.config.tc;
        }
        self.step(now, id, peer::Event::Dpr(flow));
    }

    pub(super) fn on_dwr(&mut self, flow: Flow, message: &Message) {
        let answer = Message::write(message.header().answer(), |out| {
            Outcome::from(ResultCode::SUCCESS).write(out);
            self.origin(out);
        });
        self.transmit(flow, &answer);
    }

    pub(super) fn disconnect_if_drained(&mut self, now: Instant) {
        if self.draining && self.pending.is_empty() && self.inbound.is_empty() {
            let peers: Vec<PeerId> = self.peers.keys().copied().collect();
            for id in peers {
                self.step(now, id, peer::Event::Stop);
            }
            self.peers.values_mut().filter(|p| p.state == State::Closed).for_each(|peer| {
                peer.deadline = None;
            });
        }
    }

    /// Closes a connection and tells its peer's machine, if it has one.
    pub(super) fn hang_up(&mut self, now: Instant, flow: Flow) {
        let peer = self.connections.get(&flow.id).and_then(|c| c.peer);
        self.close(flow);
        if let Some(id) = peer {
            self.step(now, id, peer::Event::Disconnected(flow));
        }
    }

    pub(super) fn close(&mut self, flow: Flow) {
        self.connections.remove(&flow.id);
        self.forget_flow(flow.id);
        self.outputs.push_back(Output::Close { flow });
    }

    fn forget_flow(&mut self, flow: FlowId) {
        let gone: Vec<_> = self.inbound.range((flow, 0)..=(flow, u32::MAX)).copied().collect();
        gone.iter().for_each(|request| {
            self.inbound.remove(request);
        });
    }

    fn common(&self, theirs: &[u32]) -> bool {
        let ours = &self.config.applications;
        theirs.contains(&RELAY) || ours.iter().any(|a| a.id == RELAY || theirs.contains(&a.id))
    }

    fn send_cea(&mut self, flow: Flow, code: ResultCode) {
        let Some(cer) = self.connections.get(&flow.id).and_then(|c| c.cer.as_ref()) else {
            return;
        };
        let outcome = Outcome::from(code);
        let mut header = cer.header().answer();
        if outcome.is_protocol_error() {
            header.flags = header.flags.with(Flags::ERROR);
        }
        let message = Message::write(header, |out| {
            outcome.write(out);
            self.capabilities(flow, out);
        });
        self.transmit(flow, &message);
    }

    /// The AVPs of CER and CEA, RFC 6733 §5.3.1.
    fn capabilities(&self, flow: Flow, out: &mut Writer) {
        self.origin(out);
        match flow.local.ip() {
            Some(ip) if !ip.is_unspecified() => {
                out.address(HOST_IP_ADDRESS, ip);
            }
            _ if self.config.addresses.is_empty() => {
                out.address(HOST_IP_ADDRESS, IpAddr::V4(Ipv4Addr::LOCALHOST));
            }
            _ => {
                for ip in &self.config.addresses {
                    out.address(HOST_IP_ADDRESS, *ip);
                }
            }
        }
        out.u32(VENDOR_ID, self.config.vendor_id).utf8(PRODUCT_NAME, &self.config.product_name);
        for vendor in &self.config.supported_vendors {
            out.u32(SUPPORTED_VENDOR_ID, *vendor);
        }
        for application in self.config.applications.iter().filter(|a| a.vendor.is_none()) {
            out.u32(AUTH_APPLICATION_ID, application.id);
        }
        for application in &self.config.applications {
            if let Some(vendor) = application.vendor {
                out.group(VENDOR_SPECIFIC_APPLICATION_ID, |group| {
                    group.u32(VENDOR_ID, vendor).u32(AUTH_APPLICATION_ID, application.id);
                });
            }
        }
    }

    pub(super) fn origin(&self, out: &mut Writer) {
        out.utf8(ORIGIN_HOST, &self.config.origin_host);
        out.utf8(ORIGIN_REALM, &self.config.origin_realm);
    }

    fn own_header(&mut self, command: u32) -> Header {
        Header {
            flags: Flags::REQUEST,
            command,
            application: 0,
            hop_by_hop: self.hop_by_hop(),
            end_to_end: self.end_to_end(),
        }
    }
}

/// The applications that a CER or CEA announces, RFC 6733 §5.3.
fn announced(avps: Avps<'_>) -> Vec<u32> {
    let is_id = |avp: &Avp<'_>| avp.is(AUTH_APPLICATION_ID) || avp.is(ACCT_APPLICATION_ID);
    let mut found = Vec::new();
    for avp in avps {
        if is_id(&avp) {
            found.extend(avp.u32().ok());
        } else if avp.is(VENDOR_SPECIFIC_APPLICATION_ID) {
            found.extend(avp.members().filter(is_id).filter_map(|avp| avp.u32().ok()));
        }
    }
    found
}
