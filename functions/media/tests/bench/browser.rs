//! A browser as the relay sees it: ICE, DTLS and SRTP on one port, or on two; and a network that may be bad.

use std::net::SocketAddr;

use base::relay::{
    Candidate, CandidateKind, Component, Credentials, Failure, Handshake, HashFunction, Ice,
    MasterKeys, Remote,
};
use base::time::Duration;
use base::{Instant, Random};
use dtls::{Certificate, Session, Setup};
use ice::Agent;
use sdp::Session as Description;
use srtp::{Inbound, Outbound};

use super::Bench;

/// How a browser speaks.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) ice: bool,
    pub(crate) mux: bool,
    /// What its offers say; in its answers it begins, unless this is `passive`.
    pub(crate) setup: Setup,
}

pub(crate) const CHROME: Style = Style { ice: true, mux: true, setup: Setup::Actpass };

/// One socket of it.
#[derive(Default)]
struct Socket {
    agent: Option<Agent>,
    session: Option<Session>,
    keys: Option<(Outbound, Inbound)>,
    peer: Option<SocketAddr>,
}

pub(crate) struct Browser {
    pub(crate) address: SocketAddr,
    pub(crate) style: Style,
    pub(crate) certificate: Certificate,
    /// What its descriptions say in place of its own certificate's.
    pub(crate) claims: Option<Certificate>,
    pub(crate) credentials: Credentials,
    sockets: [Socket; 2],
    handshake: Option<Handshake>,
    pub(crate) heard: Vec<Vec<u8>>,
    pub(crate) failures: Vec<Failure>,
    pub(crate) keys_seen: u32,
}

impl Browser {
    pub(crate) fn new(address: &str, style: Style) -> Browser {
        let address: SocketAddr = address.parse().unwrap();
        let mut random = Random::from_u64(u64::from(address.port()));
        Browser {
            address,
            style,
            certificate: Certificate::generate().unwrap(),
            claims: None,
            credentials: ice::credentials(&mut random),
            sockets: Default::default(),
            handshake: None,
            heard: Vec::new(),
            failures: Vec::new(),
            keys_seen: 0,
        }
    }

    fn at(&self, rtcp: bool) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.address.port() + u16::from(rtcp))
    }

    fn components(&self) -> usize {
        if self.style.mux { 1 } else { 2 }
    }

    fn describes(&self, setup: Setup) -> String {
        let (ip, port) = (self.address.ip(), self.address.port());
        let shown = self.claims.as_ref().unwrap_or(&self.certificate);
        let mut lines = vec![
            format!(
                "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\na=group:BUNDLE a0"
            ),
            format!(
                "m=audio {port} UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=mid:a0"
            ),
            format!("a=fingerprint:{}", shown.fingerprint(HashFunction::Sha256)),
            format!("a=setup:{}", setup.as_str()),
        ];
        if self.style.mux {
            lines.push("a=rtcp-mux".to_owned());
        }
        if self.style.ice {
            lines.push(format!("a=ice-ufrag:{}", self.credentials.ufrag));
            lines.push(format!("a=ice-pwd:{}", self.credentials.pwd.reveal()));
            for component in [Component::Rtp, Component::Rtcp].into_iter().take(self.components()) {
                let kind = CandidateKind::Host;
                let host = Candidate {
                    foundation: "7".to_owned(),
                    component,
                    priority: ice::priority(kind, 65_535, component),
                    address: self.at(component == Component::Rtcp),
                    kind,
                };
                lines.push(format!("a=candidate:{}", ice::candidate(&host)));
            }
        }
        lines.join("\r\n") + "\r\n"
    }

    pub(crate) fn offers(&self) -> String {
        self.describes(self.style.setup)
    }

    /// Its answer to an offer, which it acts on at once.
    pub(crate) fn answers(&mut self, offer: &str, now: Instant) -> String {
        let setup = match self.style.setup {
            Setup::Passive => Setup::Passive,
            _ => Setup::Active,
        };
        self.hear(offer, setup == Setup::Active, false, now);
        self.describes(setup)
    }

    /// The answer to its offer came.
    pub(crate) fn hears(&mut self, answer: &str, now: Instant) {
        assert!(!answer.contains("actpass"), "{answer}");
        self.hear(answer, answer.contains("a=setup:passive"), true, now);
    }

    fn hear(&mut self, sdp: &str, active: bool, controlling: bool, now: Instant) {
        let description = Description::parse(sdp.as_bytes()).unwrap();
        let section = description.media()[0].section();
        let fingerprint = section.attribute("fingerprint").unwrap_or_else(|| panic!("{sdp}"));
        let fingerprints = vec![base::relay::Fingerprint::parse(fingerprint).unwrap()];
        let handshake = Handshake { active, fingerprints };
        if self.handshake.as_ref() != Some(&handshake) {
            self.handshake = Some(handshake);
            self.sockets.iter_mut().for_each(|socket| socket.session = None);
        }
        if !self.style.ice {
            assert!(!sdp.contains("candidate"), "{sdp}");
            self.sockets[0].peer = description.rtp_of(0);
            self.sockets[1].peer = description.rtcp_of(0);
            return self.begin(now);
        }
        let candidates: Vec<Candidate> =
            section.attributes("candidate").filter_map(ice::parse_candidate).collect();
        assert!(candidates.len() >= self.components(), "{sdp}");
        let text = |name: &str| section.attribute(name).unwrap().to_owned();
        let credentials = Credentials {
            ufrag: text("ice-ufrag"),
            pwd: base::redact::Secret::new(text("ice-pwd")),
        };
        let lite = sdp.contains("a=ice-lite\r\n");
        let (controlling, remote) =
            (controlling || lite, Some(Remote { credentials, candidates, lite }));
        let ice = Ice {
            local: self.credentials.clone(),
            address: self.address,
            remote,
            lite: false,
            controlling,
            tie_breaker: 7,
            rtcp: !self.style.mux,
        };
        let components = self.components();
        for (socket, component) in
            self.sockets.iter_mut().zip([Component::Rtp, Component::Rtcp]).take(components)
        {
            socket.agent = Some(Agent::new(&ice, component, now));
        }
    }

    fn begin(&mut self, now: Instant) {
        let Some(handshake) = &self.handshake else { return };
        let components = self.components();
        for socket in self.sockets.iter_mut().take(components) {
            if socket.session.is_none() && socket.peer.is_some() {
                socket.session = Some(Session::new(&self.certificate, handshake, now));
            }
        }
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.sockets.iter().take(self.components()).all(|socket| socket.keys.is_some())
    }

    /// Protects a packet; where it goes.
    pub(crate) fn says(&mut self, packet: &[u8], rtcp: bool) -> (SocketAddr, SocketAddr, Vec<u8>) {
        let by_rtcp = rtcp && !self.style.mux;
        let from = self.at(by_rtcp);
        let socket = &mut self.sockets[usize::from(by_rtcp)];
        let (out, _) = socket.keys.as_mut().expect("it has keys");
        let mut buffer = [packet, &[0; 64]].concat();
        let length = match rtcp {
            true => out.protect_rtcp(&mut buffer, packet.len()),
            false => out.protect(&mut buffer, packet.len()),
        };
        buffer.truncate(length.unwrap());
        (from, socket.peer.unwrap(), buffer)
    }

    fn receive(&mut self, now: Instant, rtcp: bool, from: SocketAddr, bytes: &[u8]) {
        let socket = &mut self.sockets[usize::from(rtcp)];
        match bytes.first() {
            Some(0..=3) => {
                if let Some(agent) = &mut socket.agent {
                    agent.datagram(now, from, bytes);
                }
            }
            Some(20..=63) => {
                if socket.session.is_none()
                    && let Some(handshake) = self.handshake.as_ref().filter(|h| !h.active)
                {
                    socket.session = Some(Session::new(&self.certificate, handshake, now));
                }
                if let Some(session) = &mut socket.session {
                    socket.peer.get_or_insert(from);
                    session.datagram(now, bytes);
                }
            }
            Some(_) => {
                let Some((_, inbound)) = &mut socket.keys else { return };
                let mut buffer = bytes.to_vec();
                let control = rtp::demux::kind(bytes) == rtp::demux::Kind::Rtcp;
                let length = match control {
                    true => inbound.unprotect_rtcp(&mut buffer, bytes.len()),
                    false => inbound.unprotect(&mut buffer, bytes.len()),
                };
                if let Ok(length) = length {
                    buffer.truncate(length);
                    self.heard.push(buffer);
                }
            }
            None => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let agents = self.sockets.iter().filter_map(|s| s.agent.as_ref()?.deadline());
        agents.chain(self.sockets.iter().filter_map(|s| s.session.as_ref()?.deadline())).min()
    }

    fn expire(&mut self, now: Instant) {
        for socket in &mut self.sockets {
            if let Some(agent) =
                socket.agent.as_mut().filter(|a| a.deadline().is_some_and(|at| at <= now))
            {
                agent.expire(now);
            }
            if let Some(session) =
                socket.session.as_mut().filter(|s| s.deadline().is_some_and(|at| at <= now))
            {
                session.expire(now);
            }
        }
    }

    /// Datagrams that leave.
    fn poll(&mut self, now: Instant) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        let mut out = Vec::new();
        for rtcp in [false, true] {
            let from = self.at(rtcp);
            let socket = &mut self.sockets[usize::from(rtcp)];
            while let Some(output) = socket.agent.as_mut().and_then(Agent::poll) {
                match output {
                    ice::Output::Transmit(to, bytes) => out.push((from, to, bytes)),
                    ice::Output::Selected(address) => socket.peer = Some(address),
                    ice::Output::Failed(failure) => self.failures.push(failure),
                }
            }
        }
        self.begin(now);
        for rtcp in [false, true] {
            let from = self.at(rtcp);
            let socket = &mut self.sockets[usize::from(rtcp)];
            while let Some(output) = socket.session.as_mut().and_then(Session::poll) {
                match output {
                    dtls::Output::Transmit(bytes) => out.push((from, socket.peer.unwrap(), bytes)),
                    dtls::Output::Keys(MasterKeys { inbound, outbound }) => {
                        self.keys_seen += 1;
                        socket.keys = Some((
                            Outbound::new(&outbound.unwrap()),
                            Inbound::new(&inbound.unwrap()),
                        ));
                    }
                    dtls::Output::Failed(failure) => self.failures.push(failure),
                    dtls::Output::Closed => {}
                }
            }
        }
        out
    }
}

/// The network between browsers, plain phones and the relay.
pub(crate) struct World {
    pub(crate) bench: Bench,
    pub(crate) browsers: Vec<Browser>,
    /// What came to addresses that are no browser's.
    pub(crate) plain: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    pub(crate) random: Random,
    /// Percent that is lost; with any, packets overtake each other too.
    pub(crate) loss: u64,
    flying: Vec<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
}

impl World {
    pub(crate) fn new(browsers: Vec<Browser>, seed: u64, loss: u64) -> World {
        let (random, bench) = (Random::from_u64(seed), Bench::new());
        World { bench, browsers, plain: Vec::new(), random, loss, flying: Vec::new() }
    }

    pub(crate) fn send(&mut self, (from, to, bytes): (SocketAddr, SocketAddr, Vec<u8>)) {
        if self.random.below(100) < self.loss {
            return;
        }
        let spread = if self.loss > 0 { 60 } else { 1 };
        let at = self.bench.now + Duration::from_millis(5 + self.random.below(spread));
        self.flying.push((at, from, to, bytes));
    }

    pub(crate) fn all_secure(&self) -> bool {
        self.browsers.iter().all(Browser::is_secure)
    }

    /// Lets time pass until it is done, or over; whether it is done.
    pub(crate) fn run(&mut self, time: Duration, done: impl Fn(&World) -> bool) -> bool {
        let limit = self.bench.now + time;
        loop {
            let now = self.bench.now;
            let mut leaving: Vec<_> = self.browsers.iter_mut().flat_map(|b| b.poll(now)).collect();
            leaving.extend(self.bench.leaving());
            leaving.into_iter().for_each(|datagram| self.send(datagram));
            if done(self) {
                return true;
            }
            let deadlines = self.browsers.iter().filter_map(Browser::deadline);
            let deadlines = deadlines.chain(self.bench.path.deadline());
            let next = deadlines.chain(self.flying.iter().map(|flying| flying.0)).min();
            let Some(next) = next.filter(|next| *next <= limit) else {
                self.bench.now = limit;
                return false;
            };
            self.bench.now = now.max(next);
            let now = self.bench.now;
            let flying = std::mem::take(&mut self.flying);
            let (arrived, later) = flying.into_iter().partition(|(at, ..)| *at <= now);
            self.flying = later;
            for (_, from, to, bytes) in arrived {
                self.arrive(from, to, bytes);
            }
            self.browsers.iter_mut().for_each(|browser| browser.expire(now));
            if self.bench.path.deadline().is_some_and(|at| at <= now) {
                self.bench.path.expire(now);
            }
        }
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let now = self.bench.now;
        for browser in &mut self.browsers {
            for rtcp in [false, true] {
                if browser.at(rtcp) == to {
                    return browser.receive(now, rtcp, from, &bytes);
                }
            }
        }
        if to.ip() == super::v4() {
            if let Some((onward, bytes)) = self.bench.relay(&from.to_string(), to.port(), &bytes) {
                let leaves = self.bench.local(onward.port, onward.rtcp);
                self.send((leaves, onward.to, bytes));
            }
            return;
        }
        self.plain.push((from, to, bytes));
    }
}
