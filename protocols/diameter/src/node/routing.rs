//! Requests and answers: to whom they go, what happens when nobody answers, and what is refused
//! before a function sees it. RFC 6733 §6.

use base::trust::Networks;

use super::*;
use crate::avp::Avps;
use crate::dictionary::*;
use crate::fault::Fault;
use crate::header::{Flags, HEADER_LEN, Header};
use crate::peer;
use crate::result::{Outcome, ResultCode};

impl Node {
    /// Sends a request. If its peer is lost on the way it is sent to another with the T-bit, RFC 6733
    /// §5.5.4; a peer that is being connected to for the first time is waited for.
    pub fn request(&mut self, now: Instant, request: Request, timeout: Duration) -> RequestId {
        self.next_request += 1;
        let id = RequestId(self.next_request);
        if self.pending.len() >= self.config.max_pending {
            let text = "too many requests wait for answers; one was refused".to_owned();
            self.log(Severity::Warning, "diameter.overload", text);
            self.events.push_back(Event::Failed { id, reason: Failure::Overloaded });
            return id;
        }
        let session = request.session.unwrap_or_else(|| self.session_id());
        let header = Header {
            flags: Flags::REQUEST.with(Flags::PROXIABLE),
            command: request.command,
            application: request.application,
            hop_by_hop: 0,
            end_to_end: self.end_to_end(),
        };
        let message = Message::write(header, |out| {
            out.utf8(SESSION_ID, &session);
            self.origin(out);
            out.utf8(DESTINATION_REALM, &request.realm);
            if let Some(host) = &request.host {
                out.utf8(DESTINATION_HOST, host);
            }
            out.raw(request.avps.as_slice());
        });
        let deadline = now + timeout;
        self.pending.insert(
            id,
            Pending {
                message,
                realm: request.realm,
                host: request.host,
                deadline,
                sent: None,
                tried: Vec::new(),
                again: false,
            },
        );
        self.timers.arm(deadline, id);
        self.dispatch(id);
        id
    }

    /// Answers a request. The node writes Session-Id, the result, the origin and Proxy-Info.
    pub fn answer(&mut self, now: Instant, handle: AnswerHandle, outcome: Outcome, avps: Writer) {
        self.reply(now, handle, outcome, |out| {
            out.raw(avps.as_slice());
        });
    }

    /// Answers a request that is at fault, naming the AVP.
    pub fn refuse(&mut self, now: Instant, handle: AnswerHandle, fault: &Fault) {
        let text = format!("request refused: {fault}");
        self.log(Severity::Info, "diameter.request_refused", text);
        let rest = self.at_fault(handle.request.header().application, fault);
        self.reply(now, handle, Outcome::from(fault), |out| {
            out.raw(rest.as_slice());
        });
    }

    fn reply(
        &mut self,
        now: Instant,
        handle: AnswerHandle,
        outcome: Outcome,
        rest: impl FnOnce(&mut Writer),
    ) {
        let header = *handle.request.header();
        if !self.inbound.remove(&(handle.flow.id, header.hop_by_hop)) {
            let text = format!("an answer came too late for {:?}", handle.flow);
            return self.log(Severity::Info, "diameter.answer_dropped", text);
        }
        self.send_answer(handle.flow, header, handle.request.avps(), outcome, rest);
        self.disconnect_if_drained(now);
    }

    /// The answer to a request that may not even be well formed.
    pub(super) fn refuse_raw(&mut self, flow: Flow, header: Header, avps: Avps<'_>, fault: &Fault) {
        let rest = self.at_fault(header.application, fault);
        self.send_answer(flow, header, avps, Outcome::from(fault), |out| {
            out.raw(rest.as_slice());
        });
    }

    /// What an answer says that names a fault. If it is not an answer-message (RFC 6733 §7.2), it
    /// must be one of its command, and those of a vendor's application have this in common.
    fn at_fault(&self, application: u32, fault: &Fault) -> Writer {
        let mut out = Writer::new();
        let known = self.config.applications.iter().find(|a| a.id == application);
        if let Some(application) = known
            && !Outcome::from(fault).is_protocol_error()
        {
            application.write(&mut out);
        }
        fault.write(&mut out);
        out
    }

    fn send_answer(
        &mut self,
        flow: Flow,
        request: Header,
        avps: Avps<'_>,
        outcome: Outcome,
        rest: impl FnOnce(&mut Writer),
    ) {
        let mut header = request.answer();
        if outcome.is_protocol_error() {
            header.flags = header.flags.with(Flags::ERROR);
        }
        let message = Message::write(header, |out| {
            if let Some(session) = avps.clone().find(SESSION_ID) {
                out.copy(&session);
            }
            outcome.write(out);
            self.origin(out);
            rest(out);
            // RFC 6733 §6.2: all of them, in their order.
            for info in avps.filter(|avp| avp.is(PROXY_INFO)) {
                out.copy(&info);
            }
        });
        self.transmit(flow, &message);
    }

    /// A message arrived.
    pub fn received(&mut self, now: Instant, flow: Flow, bytes: Bytes) {
        if !self.connections.contains_key(&flow.id) && !self.config.trusted.admits(&flow) {
            self.log(Severity::Warning, "diameter.untrusted", Networks::refusal(&flow));
            return self.close(flow);
        }
        let message = match Message::parse(bytes.clone()) {
            Ok(message) => message,
            Err(error) => return self.on_malformed(now, flow, &bytes, &error),
        };
        let Some(id) = self.connections.get(&flow.id).and_then(|c| c.peer) else {
            return self.on_stranger(now, flow, message);
        };
        let header = *message.header();
        match (header.command, header.is_request()) {
            (CMD_CAPABILITIES_EXCHANGE, true) => return self.on_cer(now, flow, message),
            (CMD_CAPABILITIES_EXCHANGE, false) => return self.on_cea(now, id, flow, &message),
            _ => {}
        }
        match self.peers.get(&id).map(|peer| peer.state) {
            Some(State::Open { flow: open } | State::Closing { flow: open })
                if open.id == flow.id => {}
            Some(_) => {
                let text = format!("{flow:?}: {} before CEA", message.header().command);
                self.log(Severity::Warning, "diameter.early", text);
                self.step(now, id, peer::Event::NonCea(flow));
                return;
            }
            None => return,
        }
        match (header.command, header.is_request()) {
            (CMD_DEVICE_WATCHDOG, false) => {
                self.run_watchdog(now, id, |w, random| w.answered(now, random));
                return;
            }
            (CMD_DEVICE_WATCHDOG, true) => self.on_dwr(flow, &message),
            (CMD_DISCONNECT_PEER, true) => return self.on_dpr(now, id, flow, &message),
            (CMD_DISCONNECT_PEER, false) => return self.step(now, id, peer::Event::Dpa(flow)),
            (_, true) => self.on_request(flow, message),
            (_, false) => self.on_answer(now, flow, message),
        }
        self.run_watchdog(now, id, |watchdog, random| watchdog.traffic(now, random));
    }

    fn on_malformed(
        &mut self,
        now: Instant,
        flow: Flow,
        bytes: &Bytes,
        error: &crate::message::ParseError,
    ) {
        let text = format!("malformed message of {} bytes on {flow:?}: {error}", bytes.len());
        self.log(Severity::Warning, "diameter.malformed", text);
        let peer = self.connections.get(&flow.id).and_then(|c| c.peer);
        match error.header {
            Some(header) if header.is_request() => {
                let avps = Avps::new(bytes.get(HEADER_LEN..).unwrap_or_default());
                self.refuse_raw(flow, header, avps, &error.fault);
            }
            _ => {}
        }
        // Whoever begins like this, or cannot even write a header, is no Diameter peer.
        if peer.is_none() || error.header.is_none() {
            self.hang_up(now, flow);
        }
    }

    fn on_request(&mut self, flow: Flow, message: Message) {
        if let Err(fault) = self.admissible(flow, &message) {
            let origin = message.origin_host().unwrap_or("a peer").to_owned();
            let command = message.header().command;
            let text = format!("command {command} of {origin} refused: {fault}");
            self.log(Severity::Info, "diameter.request_refused", text);
            return self.refuse_raw(flow, *message.header(), message.avps(), &fault);
        }
        self.inbound.insert((flow.id, message.header().hop_by_hop));
        let handle = AnswerHandle { flow, request: message.clone() };
        self.events.push_back(Event::Request { handle, message });
    }

    /// What is refused before the function sees it, RFC 6733 §6.1.4 and §7.1.
    fn admissible(&self, flow: Flow, message: &Message) -> Result<(), Fault> {
        let header = message.header();
        let refuse = |code| Err(Fault::of(code));
        if header.application == 0 {
            // The base protocol is everybody's: only the command is unknown.
            return refuse(ResultCode::COMMAND_UNSUPPORTED);
        }
        let mine = self.config.applications.iter().find(|a| a.id == header.application);
        let Some(application) = mine else {
            return refuse(ResultCode::APPLICATION_UNSUPPORTED);
        };
        if !application.serves.contains(&header.command) {
            return refuse(ResultCode::COMMAND_UNSUPPORTED);
        }
        let is = |name: &str, avp: crate::avp::Avp<'_>| {
            avp.utf8().is_ok_and(|text| text.eq_ignore_ascii_case(name))
        };
        if message.all(ROUTE_RECORD).any(|avp| is(&self.config.origin_host, avp)) {
            return refuse(ResultCode::LOOP_DETECTED);
        }
        message.require(SESSION_ID)?;
        message.require(ORIGIN_HOST)?;
        message.require(ORIGIN_REALM)?;
        if !is(&self.config.origin_realm, message.require(DESTINATION_REALM)?) {
            return refuse(ResultCode::REALM_NOT_SERVED);
        }
        if message.find(DESTINATION_HOST).is_some_and(|avp| !is(&self.config.origin_host, avp)) {
            return refuse(ResultCode::UNABLE_TO_DELIVER);
        }
        check(message)?;
        let full = self.inbound.len() >= self.config.max_pending;
        // While draining too: the peer sends it to somebody else.
        if self.draining || full || self.inbound.contains(&(flow.id, header.hop_by_hop)) {
            return refuse(ResultCode::TOO_BUSY);
        }
        Ok(())
    }

    fn on_answer(&mut self, now: Instant, flow: Flow, message: Message) {
        let hop = message.header().hop_by_hop;
        let found = self.by_hop.get(&hop).copied().and_then(|id| {
            let sent = self.pending.get(&id)?.sent?;
            (sent.1 == flow.id).then_some((id, sent.0))
        });
        let Some((id, peer)) = found else {
            let text = format!("an answer on {flow:?} that nobody waits for");
            return self.log(Severity::Info, "diameter.unexpected_answer", text);
        };
        // RFC 6733 §7.1.3: somebody else may be able to do what this peer is not.
        let retry = matches!(
            message.outcome(),
            Some(Outcome::Base(ResultCode::UNABLE_TO_DELIVER | ResultCode::TOO_BUSY))
        );
        if retry && let Some(pending) = self.pending.get_mut(&id) {
            pending.tried.push(peer);
            if let Some(other) = self.choose(id) {
                return self.send_to(id, other);
            }
        }
        self.by_hop.remove(&hop);
        self.pending.remove(&id);
        self.events.push_back(Event::Answer { id, message });
        while self.timers.peek().is_some_and(|(_, id)| !self.pending.contains_key(id)) {
            self.timers.pop();
        }
        self.disconnect_if_drained(now);
    }

    /// Sends what a peer was asked to others.
    pub(super) fn fail_over(&mut self, now: Instant, lost: PeerId) {
        let mut waiting = Vec::new();
        for (id, pending) in &mut self.pending {
            if let Some((peer, _, hop)) = pending.sent
                && peer == lost
            {
                self.by_hop.remove(&hop);
                pending.sent = None;
                pending.again = true;
                pending.tried.push(peer);
                waiting.push(*id);
            }
        }
        for id in waiting {
            self.dispatch(id);
        }
        self.disconnect_if_drained(now);
    }

    /// Tries again for requests that wait for a peer to come up.
    pub(super) fn dispatch_waiting(&mut self, now: Instant) {
        let unsent = self.pending.iter().filter(|(_, p)| p.sent.is_none());
        let waiting: Vec<RequestId> = unsent.map(|(id, _)| *id).collect();
        for id in waiting {
            self.dispatch(id);
        }
        self.disconnect_if_drained(now);
    }

    pub(super) fn expire_requests(&mut self, now: Instant) {
        while let Some((_, id)) = self.timers.due(now) {
            if self.pending.get(&id).is_some_and(|pending| pending.deadline <= now) {
                self.fail(id, Failure::Timeout);
            }
        }
        self.disconnect_if_drained(now);
    }

    fn dispatch(&mut self, id: RequestId) {
        if let Some(peer) = self.choose(id) {
            self.send_to(id, peer);
        } else if !self.may_come_up(id) {
            self.fail(id, Failure::NoPeer);
        }
    }

    fn send_to(&mut self, id: RequestId, to: PeerId) {
        let hop = self.hop_by_hop();
        let flow = self.peers.get(&to).and_then(|peer| peer.state.open());
        let (Some(pending), Some(flow)) = (self.pending.get_mut(&id), flow) else {
            return;
        };
        if let Some((_, _, old)) = pending.sent.replace((to, flow.id, hop)) {
            self.by_hop.remove(&old);
        }
        let mut header = Header { hop_by_hop: hop, ..*pending.message.header() };
        if pending.again {
            header.flags = header.flags.with(Flags::RETRANSMITTED);
        }
        let message = pending.message.with_header(header);
        self.by_hop.insert(hop, id);
        self.transmit(flow, &message);
    }

    fn fail(&mut self, id: RequestId, reason: Failure) {
        let Some(pending) = self.pending.remove(&id) else {
            return;
        };
        if let Some((_, _, hop)) = pending.sent {
            self.by_hop.remove(&hop);
        }
        let command = pending.message.header().command;
        let text = format!("command {command} to {}: {reason}", pending.realm);
        self.log(Severity::Warning, "diameter.request_failed", text);
        self.events.push_back(Event::Failed { id, reason });
    }

    /// The best open peer for a request: the host itself, then its realm, then relays; a peer that
    /// the watchdog suspects only if there is no other.
    fn choose(&self, id: RequestId) -> Option<PeerId> {
        let pending = self.pending.get(&id)?;
        let application = pending.message.header().application;
        let rank = |peer: &Peer| {
            let host = pending.host.as_deref();
            let place = if host.is_some_and(|h| h.eq_ignore_ascii_case(&peer.host)) {
                0
            } else if peer.realm.eq_ignore_ascii_case(&pending.realm) {
                1
            } else if peer.applications.contains(&RELAY) {
                2
            } else {
                return None;
            };
            let healthy =
                peer.watchdog.as_ref().is_none_or(|w| w.health() == crate::watchdog::Health::Okay);
            Some((!healthy, place))
        };
        self.peers
            .iter()
            .filter(|(id, peer)| {
                peer.state.open().is_some()
                    && peer.supports(application)
                    && !pending.tried.contains(id)
            })
            .filter_map(|(id, peer)| rank(peer).map(|rank| (rank, *id)))
            .min()
            .map(|(_, id)| id)
    }

    /// Whether a peer for the request is being connected to for the first time.
    fn may_come_up(&self, id: RequestId) -> bool {
        let Some(pending) = self.pending.get(&id) else {
            return false;
        };
        self.peers.iter().any(|(id, peer)| {
            let fits = peer.realm.eq_ignore_ascii_case(&pending.realm)
                || pending.host.as_deref().is_some_and(|h| h.eq_ignore_ascii_case(&peer.host));
            peer.config.is_some()
                && fits
                && !peer.failed
                && peer.state.open().is_none()
                && !pending.tried.contains(id)
        })
    }

    pub(super) fn hop_by_hop(&mut self) -> u32 {
        self.next_hop = self.next_hop.wrapping_add(1);
        self.next_hop
    }

    pub(super) fn end_to_end(&mut self) -> u32 {
        self.next_end = self.next_end.wrapping_add(1);
        self.next_end
    }
}
