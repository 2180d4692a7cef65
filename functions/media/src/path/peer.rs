//! The peer of one port, if it is more than an address: ICE, DTLS and SRTP on its RTP and on its RTCP socket.

use std::net::SocketAddr;

use base::Instant;
use base::relay::{Component, Failure, Handshake, Ice, Protection, Standing};
use base::time::Duration;
use dtls::{Certificate, Session};
use ice::Agent;
use rtp::forward::Refusal;

use super::srtp::Srtp;

/// Datagrams of a first flight that come before the answer, and wait for it.
const EARLY: usize = 4;
/// How long a handshake that was agreed may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(40);
/// Handshakes of one port that may fail before it is left alone: strangers can begin them too.
const HANDSHAKES: u8 = 8;

/// What a peer may need to go on.
pub(super) struct Way<'a> {
    pub(super) certificate: &'a Certificate,
    /// Where it receives RTP and RTCP, as far as that is known.
    pub(super) targets: [Option<SocketAddr>; 2],
}

/// What comes of it.
pub(super) enum Wish {
    Transmit {
        rtcp: bool,
        to: SocketAddr,
        bytes: Vec<u8>,
    },
    Selected {
        rtcp: bool,
        address: SocketAddr,
    },
    /// A handshake gave keys.
    Keyed,
    Failed(Failure),
}

#[derive(Default)]
pub(super) struct Peer {
    mux: bool,
    protection: Protection,
    ice: Option<Ice>,
    sockets: [Socket; 2],
}

/// One socket of the pair, as the peer sees it. What few peers have is elsewhere: a peer with keys of the descriptions
/// has neither agents nor handshakes, whose state is ten times its own.
#[derive(Default)]
struct Socket {
    agent: Option<Box<Agent>>,
    /// The agent before a restart: the peer may still send from where that one found it.
    former: Option<Box<Agent>>,
    session: Option<Box<Session>>,
    /// A first flight that nobody can answer yet, RFC 5763 §6.7.
    early: Vec<(SocketAddr, Vec<u8>)>,
    /// Handshakes that failed.
    failed: u8,
    /// Until when the keys are awaited; none before they are, or when they are there, or when that was said.
    awaited: Option<Instant>,
    agreed: bool,
    /// The handshake was another packet path's, which had its keys.
    inherited: bool,
    /// Where that one's ICE found the peer, until ours has.
    found: Option<SocketAddr>,
    /// Where the handshake's last datagram came from.
    heard: Option<SocketAddr>,
    /// With keys of the descriptions both sockets have those of the first one.
    srtp: Srtp,
}

impl Peer {
    /// Nothing distinguishes it from an address.
    pub(super) fn is_plain(&self) -> bool {
        self.ice.is_none() && self.protection == Protection::None
    }

    /// Whether RTCP shares the port of RTP: then there is one handshake, not two.
    pub(super) fn multiplex(&mut self, mux: bool) {
        self.mux = mux;
        if mux {
            (self.sockets[1].session, self.sockets[1].awaited) = (None, None);
        }
    }

    pub(super) fn protect(&mut self, protection: Protection) {
        if self.protection == protection {
            return;
        }
        let waited =
            matches!(&self.protection, Protection::Handshake(h) if h.fingerprints.is_empty());
        for socket in &mut self.sockets {
            socket.session = None;
            socket.failed = 0;
            socket.heard = None;
            (socket.awaited, socket.agreed, socket.inherited) = (None, false, false);
            if !waited {
                socket.early.clear();
            }
            match &protection {
                Protection::Keys(_) => {}
                _ => socket.srtp = Srtp::default(),
            }
        }
        if let Protection::Keys(keys) = &protection {
            self.sockets[0].srtp.set(keys.clone());
        }
        self.protection = protection;
    }

    /// What whoever could go on elsewhere has to know of it.
    pub(super) fn tell(&self, standing: &mut Standing) {
        for (socket, rtcp_port) in self.sockets.iter().zip([false, true]) {
            let keys = socket.srtp.keys();
            if let Protection::Handshake(_) = self.protection
                && keys.inbound.is_some()
            {
                standing.keys[usize::from(rtcp_port)] = Some(keys);
            }
            standing.sources.extend(socket.srtp.sources(rtcp_port));
        }
    }

    /// Goes on where another packet path was: it has had its handshake, and ICE.
    pub(super) fn resume(&mut self, standing: &Standing) {
        let found = standing.selected.unwrap_or_default();
        for ((socket, keys), found) in self.sockets.iter_mut().zip(&standing.keys).zip(found) {
            if let Some(keys) = keys {
                socket.srtp.set(keys.clone());
                (socket.inherited, socket.awaited) = (true, None);
            }
            socket.found = found;
        }
        for source in &standing.sources {
            self.sockets[usize::from(source.rtcp_port)].srtp.resume(source);
        }
    }

    /// Whether [`Peer::tell`] says something else of the keys of a port since somebody asked last.
    pub(super) fn take_news(&mut self, rtcp_socket: bool) -> bool {
        self.srtp(rtcp_socket).is_some_and(Srtp::take_news)
    }

    /// ICE with other credentials of ours begins anew, RFC 8445 §9; what is in use stays until it has found something.
    pub(super) fn connect(&mut self, now: Instant, ice: Option<Ice>, wishes: &mut Vec<Wish>) {
        let goes_on = match (&self.ice, &ice) {
            (Some(before), Some(now)) => {
                let name = |ice: &Ice| ice.remote.as_ref().map(|r| r.credentials.ufrag.clone());
                before.local == now.local && (before.remote.is_none() || name(before) == name(now))
            }
            _ => false,
        };
        for (socket, component) in self.sockets.iter_mut().zip([Component::Rtp, Component::Rtcp]) {
            let wanted = ice.as_ref().filter(|ice| component == Component::Rtp || ice.rtcp);
            match wanted {
                None => (socket.agent, socket.former) = (None, None),
                Some(ice) => match &mut socket.agent {
                    Some(agent) if goes_on => agent.hear(ice.remote.as_ref(), now),
                    agent => {
                        socket.former = agent.replace(Box::new(Agent::new(ice, component, now)));
                    }
                },
            }
        }
        self.ice = ice;
        self.asked(wishes);
    }

    /// Begins the handshakes that can begin now.
    pub(super) fn begin(&mut self, now: Instant, way: &Way<'_>, wishes: &mut Vec<Wish>) {
        let Protection::Handshake(handshake) = &self.protection else { return };
        if handshake.fingerprints.is_empty() {
            return;
        }
        let handshake = handshake.clone();
        for rtcp in [false, true].into_iter().take(if self.mux { 1 } else { 2 }) {
            let socket = &mut self.sockets[usize::from(rtcp)];
            if socket.inherited {
                continue;
            }
            if !std::mem::replace(&mut socket.agreed, true) {
                socket.awaited = Some(now + PATIENCE);
            }
            if handshake.active && way.targets[usize::from(rtcp)].is_some() {
                socket.session_of(way.certificate, &handshake, now);
            }
            for (source, bytes) in std::mem::take(&mut socket.early) {
                if let Some(session) = socket.session_of(way.certificate, &handshake, now) {
                    session.datagram(now, &bytes);
                    socket.heard = Some(source);
                }
            }
        }
        self.said(way, wishes);
    }

    /// A datagram that is neither RTP nor RTCP; whether it is of use.
    pub(super) fn datagram(
        &mut self,
        now: Instant,
        rtcp: bool,
        source: SocketAddr,
        bytes: &[u8],
        way: &Way<'_>,
        wishes: &mut Vec<Wish>,
    ) -> bool {
        let admitted = self.admits(rtcp, source);
        let socket = &mut self.sockets[usize::from(rtcp)];
        match bytes.first() {
            Some(0..=3) => {
                let Some(agent) = &mut socket.agent else { return false };
                agent.datagram(now, source, bytes);
                self.asked(wishes);
                true
            }
            Some(20..=63) => {
                let Protection::Handshake(handshake) = &self.protection else { return false };
                if !admitted {
                    return false;
                }
                if handshake.fingerprints.is_empty() {
                    let early = &mut socket.early;
                    let room = early.len() < EARLY;
                    if room {
                        early.push((source, bytes.to_vec()));
                    }
                    return room;
                }
                // Who begins chooses whom to talk to.
                if handshake.active && socket.session.is_none() {
                    return false;
                }
                let Some(session) = socket.session_of(way.certificate, handshake, now) else {
                    return false;
                };
                session.datagram(now, bytes);
                socket.heard = Some(source);
                self.said(way, wishes);
                true
            }
            _ => false,
        }
    }

    pub(super) fn expire(&mut self, now: Instant, way: &Way<'_>, wishes: &mut Vec<Wish>) {
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        for socket in &mut self.sockets {
            if let Some(agent) = socket.agent.as_mut().filter(|agent| due(agent.deadline())) {
                agent.expire(now);
            }
            if let Some(session) = socket.session.as_mut().filter(|s| due(s.deadline())) {
                session.expire(now);
            }
            if due(socket.awaited) {
                socket.awaited = None;
                let nobody = "nobody began it, or it was never over".to_owned();
                wishes.push(Wish::Failed(Failure::Handshake(nobody)));
            }
        }
        self.asked(wishes);
        self.said(way, wishes);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let agents = self.sockets.iter().filter_map(|s| s.agent.as_ref()?.deadline());
        let sessions = self.sockets.iter().filter_map(|s| s.session.as_ref()?.deadline());
        agents.chain(sessions).chain(self.sockets.iter().filter_map(|s| s.awaited)).min()
    }

    /// A packet of RTP, or RTCP, taken apart where it is; its length then.
    pub(super) fn take(
        &mut self,
        (rtcp_socket, rtcp): (bool, bool),
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, Refusal> {
        if !self.admits(rtcp_socket, source) {
            return Err(Refusal::Stranger);
        }
        match self.srtp(rtcp_socket) {
            Some(srtp) => srtp.take(rtcp, buffer, length).ok_or(Refusal::NotAuthentic),
            None => Ok(length),
        }
    }

    /// A packet for the peer, protected where it is; its length then. `None` if it must not leave.
    pub(super) fn seal(
        &mut self,
        (rtcp_socket, rtcp): (bool, bool),
        buffer: &mut [u8],
        length: usize,
    ) -> Option<usize> {
        match self.srtp(rtcp_socket) {
            Some(srtp) => srtp.seal(rtcp, buffer, length),
            None => Some(length),
        }
    }

    /// Whether the peer may be there: with ICE it has proved it, once it is known.
    fn admits(&self, rtcp_socket: bool, source: SocketAddr) -> bool {
        if self.ice.as_ref().is_none_or(|ice| ice.remote.is_none()) {
            return true;
        }
        let Socket { agent, former, found, .. } = &self.sockets[usize::from(rtcp_socket)];
        if *found == Some(source) {
            return true;
        }
        [agent, former].into_iter().flatten().any(|agent| agent.admits(source))
    }

    fn srtp(&mut self, rtcp_socket: bool) -> Option<&mut Srtp> {
        match self.protection {
            Protection::None => None,
            Protection::Keys(_) => Some(&mut self.sockets[0].srtp),
            Protection::Handshake(_) => Some(&mut self.sockets[usize::from(rtcp_socket)].srtp),
        }
    }

    /// What the agents want.
    fn asked(&mut self, wishes: &mut Vec<Wish>) {
        for (socket, rtcp) in self.sockets.iter_mut().zip([false, true]) {
            let Some(agent) = &mut socket.agent else { continue };
            while let Some(output) = agent.poll() {
                wishes.push(match output {
                    ice::Output::Transmit(to, bytes) => Wish::Transmit { rtcp, to, bytes },
                    ice::Output::Selected(address) => {
                        (socket.former, socket.found) = (None, None);
                        Wish::Selected { rtcp, address }
                    }
                    ice::Output::Failed(failure) => Wish::Failed(failure),
                });
            }
        }
    }

    /// What the handshakes want.
    fn said(&mut self, way: &Way<'_>, wishes: &mut Vec<Wish>) {
        for (socket, rtcp) in self.sockets.iter_mut().zip([false, true]) {
            let Some(session) = &mut socket.session else { continue };
            let to = socket.heard.or(way.targets[usize::from(rtcp)]);
            let mut over = false;
            while let Some(output) = session.poll() {
                match output {
                    dtls::Output::Transmit(bytes) => {
                        wishes.extend(to.map(|to| Wish::Transmit { rtcp, to, bytes }));
                    }
                    dtls::Output::Keys(keys) => {
                        (socket.awaited, socket.inherited) = (None, false);
                        socket.srtp.set(keys);
                        wishes.push(Wish::Keyed);
                    }
                    dtls::Output::Failed(failure) => {
                        (over, socket.awaited) = (true, None);
                        wishes.push(Wish::Failed(failure));
                    }
                    dtls::Output::Closed => {}
                }
            }
            if over {
                (socket.session, socket.heard) = (None, None);
                socket.failed += 1;
            }
        }
    }
}

impl Socket {
    /// The session, begun if there is none; `None` if too many came to nothing.
    fn session_of(
        &mut self,
        certificate: &Certificate,
        handshake: &Handshake,
        now: Instant,
    ) -> Option<&mut Session> {
        // Who begins does so once: the peer is wrong, or not there.
        let most = if handshake.active { 1 } else { HANDSHAKES };
        if self.session.is_none() && self.failed < most {
            self.session = Some(Box::new(Session::new(certificate, handshake, now)));
        }
        self.session.as_deref_mut()
    }
}
