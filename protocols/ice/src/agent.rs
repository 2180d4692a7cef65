//! The agent of one component: checks, the address that is used, and consent.

use std::collections::VecDeque;
use std::net::SocketAddr;

use base::Instant;
use base::relay::{CandidateKind, Component, Failure, Ice, Remote};
use base::time::Translation;
use hmac::{Hmac, KeyInit, Mac};
use is::stun::{StunMessage, StunPacket};
use is::{IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol, Sha1HmacProvider};
use sha1::Sha1;

/// Pairs of one agent at most, RFC 8445 §6.1.2.5: what the peer's candidates may cost us.
const MAX_PAIRS: usize = 32;
/// Addresses that a peer may send from: of each pair that it checks.
const MAX_SOURCES: usize = MAX_PAIRS;

/// What an agent wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// A check, or the answer to one.
    Transmit(SocketAddr, Vec<u8>),
    /// Media goes to this address of the peer from here on.
    Selected(SocketAddr),
    /// Nothing reaches the peer. A later check may mend it.
    Failed(Failure),
}

/// ICE with one peer, for one of a stream's components.
pub struct Agent {
    agent: IceAgent,
    time: Translation,
    /// Our address, as the peer knows it.
    address: SocketAddr,
    remote: Option<Remote>,
    component: Component,
    /// Where genuine checks came from.
    sources: Vec<SocketAddr>,
    connected: bool,
    deadline: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Agent {
    /// An agent whose checks begin as soon as the peer is known.
    pub fn new(ice: &Ice, component: Component, now: Instant) -> Agent {
        let time = Translation::new(now);
        let creds =
            IceCreds { ufrag: ice.local.ufrag.clone(), pass: ice.local.pwd.reveal().clone() };
        let mut agent = IceAgent::with_hmac(creds, &Provider);
        agent.set_ice_lite(ice.lite);
        agent.set_controlling(ice.controlling && !ice.lite);
        agent.set_control_tie_breaker(ice.tie_breaker);
        agent.set_max_candidate_pairs(MAX_PAIRS);
        let port = ice.address.port() + u16::from(component == Component::Rtcp);
        let address = SocketAddr::new(ice.address.ip(), port);
        // What cannot be a candidate, such as a link-local address, leaves the agent without one: it fails in time.
        if let Ok(host) = is::Candidate::host(address, Protocol::Udp) {
            agent.add_local_candidate(host);
        }
        let mut agent = Agent {
            agent,
            time,
            address,
            remote: None,
            component,
            sources: Vec::new(),
            connected: false,
            deadline: None,
            outputs: VecDeque::new(),
        };
        agent.hear(ice.remote.as_ref(), now);
        agent
    }

    /// The peer said more of itself.
    pub fn hear(&mut self, remote: Option<&Remote>, now: Instant) {
        if let Some(remote) = remote.filter(|remote| self.remote.as_ref() != Some(remote)) {
            let Remote { credentials, candidates, .. } = remote;
            self.agent.set_remote_credentials(IceCreds {
                ufrag: credentials.ufrag.clone(),
                pass: credentials.pwd.reveal().clone(),
            });
            let ours = |at: &SocketAddr| at.is_ipv4() == self.address.is_ipv4();
            let of_ours =
                candidates.iter().filter(|c| c.component == self.component && ours(&c.address));
            for candidate in of_ours.take(MAX_PAIRS) {
                self.agent.add_remote_candidate(theirs(candidate));
            }
            self.remote = Some(remote.clone());
        }
        self.expire(now);
    }

    /// A STUN message. What is not authentic is not answered.
    pub fn datagram(&mut self, now: Instant, source: SocketAddr, bytes: &[u8]) {
        let Ok(message) = StunMessage::parse(bytes) else { return };
        let packet =
            StunPacket { proto: Protocol::Udp, source, destination: self.address, message };
        let theirs = self.time.theirs(now);
        if self.agent.handle_packet(theirs, packet)
            && !self.sources.contains(&source)
            && self.sources.len() < MAX_SOURCES
        {
            self.sources.push(source);
        }
        self.drain();
        // An answer, or a check of our own that it gave rise to, leaves at once.
        self.expire(now);
    }

    /// Whether the peer has proved that it is at this address: media from elsewhere is a stranger's.
    pub fn admits(&self, source: SocketAddr) -> bool {
        self.sources.contains(&source)
    }

    /// It is later.
    pub fn expire(&mut self, now: Instant) {
        self.agent.handle_timeout(self.time.theirs(now));
        self.drain();
        self.deadline = self.agent.poll_timeout().map(|at| self.time.ours(at));
    }

    /// When [`Agent::expire`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What it wants next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn drain(&mut self) {
        while let Some(packet) = self.agent.poll_transmit() {
            self.outputs.push_back(Output::Transmit(packet.destination, packet.contents.into()));
        }
        while let Some(event) = self.agent.poll_event() {
            match event {
                IceAgentEvent::NominatedSend { destination, .. } => {
                    self.connected = true;
                    self.outputs.push_back(Output::Selected(destination));
                }
                IceAgentEvent::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                    let failure = match std::mem::take(&mut self.connected) {
                        true => Failure::ConsentLost,
                        false => Failure::NoCandidateAnswers,
                    };
                    self.outputs.push_back(Output::Failed(failure));
                }
                _ => {}
            }
        }
    }
}

/// A candidate of the peer's in the library's words. It knows one component: there is an agent for each.
fn theirs(candidate: &base::relay::Candidate) -> is::Candidate {
    let kind = match candidate.kind {
        CandidateKind::Host => is::CandidateKind::Host,
        CandidateKind::ServerReflexive => is::CandidateKind::ServerReflexive,
        CandidateKind::PeerReflexive => is::CandidateKind::PeerReflexive,
        CandidateKind::Relayed => is::CandidateKind::Relayed,
    };
    let (foundation, address) = (candidate.foundation.clone(), candidate.address);
    let (priority, none) = (candidate.priority, None);
    is::Candidate::from_parts(
        foundation,
        1,
        Protocol::Udp,
        priority,
        address,
        kind,
        none,
        None,
        None,
    )
}

/// MESSAGE-INTEGRITY, RFC 8489 §14.5.
#[derive(Debug)]
struct Provider;

impl Sha1HmacProvider for Provider {
    fn sha1_hmac(&self, key: &[u8], payloads: &[&[u8]]) -> [u8; 20] {
        let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of any length");
        payloads.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests;
