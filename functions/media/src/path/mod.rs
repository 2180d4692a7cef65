//! What happens to a packet: it is taken apart if its peer speaks SRTP, `rtp::forward` says where it goes, and it is
//! protected if the peer there speaks SRTP. All in the buffer that it came in.
//!
//! ICE and DTLS speak on the same ports (RFC 7983): what they send is the path's own, and waits for
//! [`Path::poll_packet`].
//!
//! | File | What |
//! |---|---|
//! | `mod` | packets, commands and events |
//! | `peer` | the peer of one port, if it is more than an address |
//! | `srtp` | the keys of its packets |
//! | `gate` | what of its packets does not pass |
//! | `transcode/` | its sound in another encoding |
//! | `player` | what it hears in place of the other one |
//! | `dialler` | digits that are said in its place |

mod dialler;
mod gate;
mod peer;
mod player;
mod srtp;
mod transcode;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use base::Instant;
use base::redact::Secret;
use base::relay::{
    Command, Conversion, Digit, Event, Failure, Form, Gate, Ice, Offload, Onward, Playing, PortId,
    Protection, Recorded, Side, Standing, Tap, Tracking,
};
use base::time::Duration;
use base::timer::Expiries;
use dtls::Certificate;
use rtp::demux::{Kind, kind};
use rtp::forward::{Forwarder, Refusal};

use dialler::Dialler;
use gate::Gated;
use peer::{Peer, Way, Wish};
use player::Player;
pub(crate) use transcode::Transcoder;
pub use transcode::convert;

/// Nobody is woken again sooner than this.
const LEAST: Duration = Duration::from_millis(1);
/// Octets behind a packet that SRTP may need.
const ROOM: usize = 64;

/// All ports of one packet path.
pub struct Path {
    certificate: Certificate,
    forwarder: Forwarder,
    /// Those whose peers speak ICE, DTLS or SRTP.
    peers: BTreeMap<PortId, Box<Peer>>,
    /// Those whose peers' packets do not all pass.
    gates: BTreeMap<PortId, Gated>,
    /// Those whose peers' sound becomes another.
    transcoders: BTreeMap<PortId, Transcoder>,
    /// What peers hear in place of the other one.
    players: BTreeMap<PortId, Player>,
    /// Those whose peers are heard elsewhere, too, and where.
    copies: BTreeMap<PortId, Arc<[PortId]>>,
    /// Those in the place of whose peers digits are said, or were: their packets have other numbers since.
    diallers: BTreeMap<PortId, Dialler>,
    /// Those whose peers' packets are recorded.
    taps: BTreeMap<PortId, Arc<Tap>>,
    recorded: VecDeque<Recorded>,
    /// Those of which media control is told how they stand, and those of these that stand otherwise than it knows.
    tracked: BTreeSet<PortId>,
    changed: BTreeSet<PortId>,
    /// When ICE or DTLS of a port go on by themselves.
    timers: Expiries<PortId>,
    /// When packets of a port have waited long enough for those before them.
    turns: Expiries<PortId>,
    /// When the next packet of what is played to a peer leaves.
    beats: Expiries<PortId>,
    /// When the next packet of a digit leaves.
    strokes: Expiries<PortId>,
    packets: VecDeque<(Onward, Vec<u8>)>,
    events: VecDeque<Event>,
    /// Whether the kernel can move packets by itself.
    kernel: bool,
}

impl Path {
    /// A path whose handshakes show this certificate.
    pub fn new(certificate: Certificate) -> Path {
        Path {
            certificate,
            forwarder: Forwarder::default(),
            peers: BTreeMap::new(),
            gates: BTreeMap::new(),
            transcoders: BTreeMap::new(),
            players: BTreeMap::new(),
            copies: BTreeMap::new(),
            diallers: BTreeMap::new(),
            taps: BTreeMap::new(),
            recorded: VecDeque::new(),
            tracked: BTreeSet::new(),
            changed: BTreeSet::new(),
            timers: Expiries::default(),
            turns: Expiries::default(),
            beats: Expiries::default(),
            strokes: Expiries::default(),
            packets: VecDeque::new(),
            events: VecDeque::new(),
            kernel: false,
        }
    }

    /// Whether the kernel can move packets by itself: only then it is asked to.
    pub fn trust_kernel(&mut self, able: bool) {
        self.kernel = able;
    }

    /// What the kernel is asked next. [`Path::moved`] is the answer.
    pub fn poll_offload(&mut self) -> Option<Offload> {
        self.forwarder.poll_offload()
    }

    /// What the kernel has counted of a port's packets so far, `None` if it does not say; and whether it moves no more of
    /// them. To be called before a packet of a port that it has is handed in, too.
    pub fn moved(&mut self, port: PortId, tracking: Option<&Tracking>, over: bool) {
        if let Some(slot) = self.forwarder.slot(port) {
            self.forwarder.moved(slot, tracking, over);
        }
    }

    /// A pair is bound; `rtp` is its RTP address.
    pub fn open(&mut self, port: PortId, rtp: SocketAddr) {
        self.forget(port);
        self.forwarder.open(port, rtp);
    }

    /// What media control wants. Of a port that is not open it wants nothing.
    pub fn command(&mut self, now: Instant, command: Command) {
        let port = match &command {
            Command::Present { certificate, key } => return self.present(certificate, key),
            Command::Join { a: side, .. } | Command::Resume { side, .. } => side.port,
            Command::Open { port, .. }
            | Command::Protect { port, .. }
            | Command::Connect { port, .. }
            | Command::Gate { port, .. }
            | Command::Convert { port, .. }
            | Command::Play { port, .. }
            | Command::Dial { port, .. }
            | Command::Record { port, .. }
            | Command::Track { port }
            | Command::Copy { port, .. }
            | Command::Query { port }
            | Command::Close { port } => *port,
        };
        self.contain(port, |path| path.obey(now, command));
    }

    fn obey(&mut self, now: Instant, command: Command) {
        match command {
            // Whoever bound it says so.
            Command::Open { .. } | Command::Present { .. } => {}
            Command::Join { a, b } => self.join(now, a, b),
            Command::Protect { port, protection } => self.protect(port, protection),
            Command::Connect { port, ice } => self.connect(now, port, ice),
            Command::Gate { port, gate } => self.gate(port, gate),
            Command::Convert { port, conversions } => self.convert(port, conversions),
            Command::Play { port, playing } => self.play(now, port, playing),
            Command::Dial { port, digit } => self.dial(now, port, digit),
            Command::Record { port, tap } => self.record(port, tap),
            Command::Track { port } => self.track(port),
            Command::Copy { port, to } => self.copy(port, to),
            Command::Resume { side, standing } => self.resume(now, side, &standing),
            Command::Query { port } => self.forwarder.query(port),
            Command::Close { port } => {
                self.forget(port);
                self.forwarder.close(port);
            }
        }
    }

    /// Handshakes that begin show this certificate.
    fn present(&mut self, certificate: &[u8], key: &Secret<Vec<u8>>) {
        // Media control has read it already.
        if let Ok(certificate) = Certificate::from_der(certificate, key) {
            self.certificate = certificate;
        }
    }

    /// Joins two ports, or changes how.
    fn join(&mut self, now: Instant, a: Side, b: Side) {
        self.forwarder.join(a, b);
        for side in [a, b] {
            self.with_peer(now, side.port, |peer, _, _| peer.multiplex(side.mux));
        }
    }

    /// How packets to and from the peer of a port are protected. A key that is in use already goes on where it is; a
    /// handshake begins with the next [`Path::join`], which says how many there are.
    fn protect(&mut self, port: PortId, protection: Protection) {
        if let Some(slot) = self.forwarder.slot(port) {
            self.forwarder.recall(slot);
            self.peers.entry(port).or_default().protect(protection);
        }
    }

    /// ICE says where the peer of a port is, or its description again.
    fn connect(&mut self, now: Instant, port: PortId, ice: Option<Ice>) {
        let Some(slot) = self.forwarder.slot(port) else { return };
        self.forwarder.govern(slot, ice.is_some());
        self.peers.entry(port).or_default();
        self.with_peer(now, port, |peer, _, wishes| peer.connect(now, ice, wishes));
    }

    /// What of a peer's packets passes from here on.
    fn gate(&mut self, port: PortId, gate: Gate) {
        self.recall(port);
        if gate == Gate::default() {
            self.gates.remove(&port);
        } else if self.forwarder.slot(port).is_some() {
            self.gates.entry(port).or_default().gate = gate;
        }
    }

    /// What becomes of a peer's sound from here on.
    fn convert(&mut self, port: PortId, conversions: Vec<Conversion>) {
        self.recall(port);
        if conversions.is_empty() {
            self.transcoders.remove(&port);
            self.turns.remove(&port);
        } else if let Some(transcoder) = self.transcoders.get_mut(&port) {
            transcoder.convert(conversions);
        } else if self.forwarder.slot(port).is_some() {
            self.transcoders.insert(port, Transcoder::new(conversions));
        }
    }

    /// What of a peer's packets is recorded from here on.
    fn record(&mut self, port: PortId, tap: Option<Tap>) {
        self.recall(port);
        let before = self.taps.remove(&port);
        if let Some(tap) = tap.filter(|_| self.forwarder.slot(port).is_some()) {
            self.taps.insert(port, Arc::new(tap));
        }
        let Some(before) = before else { return };
        let ends = |tap: &Arc<Tap>| tap.recording.number != before.recording.number;
        if self.taps.values().all(ends) {
            self.recorded.push_back(Recorded::End(Arc::clone(&before.recording)));
        }
    }

    /// What recordings get.
    pub fn poll_recorded(&mut self) -> Option<Recorded> {
        self.recorded.pop_front()
    }

    /// A packet, as it is to pass, is recorded if its peer's are.
    fn tap(&mut self, now: Instant, (port, rtcp): (PortId, bool), from: SocketAddr, bytes: &[u8]) {
        let Some(tap) = self.taps.get(&port).filter(|tap| !tap.paused) else { return };
        if rtcp && tap.recording.form != Form::Pcap {
            return;
        }
        let local = self.forwarder.slot(port).and_then(|slot| self.forwarder.local(slot));
        if let Some(to) = local {
            let (tap, bytes) = (Arc::clone(tap), bytes.to_vec());
            self.recorded.push_back(Recorded::Packet { tap, at: now, from, to, bytes });
        }
    }

    /// Where a peer is heard, too, from here on.
    fn copy(&mut self, port: PortId, to: Vec<PortId>) {
        self.recall(port);
        self.copies.remove(&port);
        if !to.is_empty() && self.forwarder.slot(port).is_some() {
            self.copies.insert(port, to.into());
        }
    }

    /// A packet of a peer goes the way of those that arrive at another port.
    fn enter(&mut self, now: Instant, port: PortId, bytes: &[u8]) {
        if !self.transcode(now, port, |transcoder| transcoder.packet(now, bytes)) {
            let onward = self.forwarder.slot(port).and_then(|slot| self.forwarder.onward(slot));
            self.leave(onward, bytes.to_vec());
        }
    }

    /// Media control is to know how a port stands.
    fn track(&mut self, port: PortId) {
        if self.forwarder.slot(port).is_some() {
            self.tracked.insert(port);
        }
    }

    /// A port stands otherwise than media control knows.
    fn changed(&mut self, port: PortId) {
        if self.tracked.contains(&port) {
            self.changed.insert(port);
        }
    }

    /// What another packet path needs to go on with a port.
    fn standing(&self, port: PortId) -> Option<Standing> {
        let mut standing = self.forwarder.standing(self.forwarder.slot(port)?);
        if let Some(peer) = self.peers.get(&port) {
            peer.tell(&mut standing);
        }
        standing.stream = self.transcoders.get(&port).and_then(Transcoder::leaving);
        standing.renumbered = self.diallers.get(&port).and_then(Dialler::renumbered);
        Some(standing)
    }

    /// Goes on where another packet path was.
    fn resume(&mut self, now: Instant, side: Side, standing: &Standing) {
        let Some(slot) = self.forwarder.slot(side.port) else { return };
        self.forwarder.resume(now, slot, side, standing);
        if let Some(peer) = self.peers.get_mut(&side.port) {
            peer.resume(standing);
        }
        if let Some((transcoder, stream)) =
            self.transcoders.get_mut(&side.port).zip(standing.stream)
        {
            transcoder.resume(now, &stream);
        }
        if let Some(renumbered) = standing.renumbered {
            self.diallers.insert(side.port, Dialler::resume(renumbered));
        }
    }

    /// What a peer hears in place of the other one from here on.
    fn play(&mut self, now: Instant, port: PortId, playing: Option<Playing>) {
        self.recall(port);
        let before = self.players.remove(&port);
        self.beats.remove(&port);
        let Some(playing) = playing.filter(|_| self.forwarder.slot(port).is_some()) else { return };
        let player = match before {
            Some(player) => player.go_on(now, playing),
            None => Player::new(now, playing),
        };
        if let Some(at) = player.deadline() {
            self.beats.set(at, port);
            self.players.insert(port, player);
        }
    }

    /// The next packets of what is played leave.
    fn beat(&mut self, now: Instant, port: PortId) {
        let Some(mut player) = self.players.remove(&port) else { return };
        player.expire(now);
        let target = self.forwarder.slot(port).and_then(|slot| self.forwarder.target(slot));
        while let Some(bytes) = player.poll() {
            self.leave(target, bytes);
        }
        if let Some(at) = player.deadline() {
            self.beats.set(at.max(now + LEAST), port);
            self.players.insert(port, player);
        }
    }

    /// A digit is said in the place of a peer.
    fn dial(&mut self, now: Instant, port: PortId, digit: Digit) {
        self.recall(port);
        if self.forwarder.slot(port).is_some() {
            self.diallers.entry(port).or_default().dial(now, digit);
            self.stroke(now, port);
        }
    }

    /// The next packets of a digit leave.
    fn stroke(&mut self, now: Instant, port: PortId) {
        let Some(dialler) = self.diallers.get_mut(&port) else { return };
        dialler.expire(now);
        let packets: Vec<Vec<u8>> = std::iter::from_fn(|| dialler.poll()).collect();
        if dialler.take_news() && self.tracked.contains(&port) {
            self.changed.insert(port);
        }
        match dialler.deadline() {
            Some(at) => self.strokes.set(at.max(now + LEAST), port),
            None => self.strokes.remove(&port),
        }
        let onward = self.forwarder.slot(port).and_then(|slot| self.forwarder.onward(slot));
        packets.into_iter().for_each(|bytes| self.leave(onward, bytes));
    }

    /// Whether a packet of a peer leaves, and not a digit in its place, or first.
    fn passes_dialler(&mut self, now: Instant, port: PortId, bytes: &mut [u8]) -> bool {
        let Some(dialler) = self.diallers.get_mut(&port) else { return true };
        let passes = dialler.packet(now, bytes);
        if passes && !dialler.is_ready() {
            if dialler.take_news() {
                self.changed(port);
            }
            return true;
        }
        self.stroke(now, port);
        if passes {
            let onward = self.forwarder.slot(port).and_then(|slot| self.forwarder.onward(slot));
            self.leave(onward, bytes.to_vec());
        }
        false
    }

    /// What media control is to hear.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front().or_else(|| self.forwarder.poll_event());
        match event {
            Some(Event::Learned { port, .. }) => self.changed(port),
            Some(_) => {}
            None => {
                let port = self.changed.pop_first()?;
                let standing = Box::new(self.standing(port)?);
                return Some(Event::Standing { port, standing });
            }
        }
        event
    }

    /// A packet of ICE or DTLS, and where it goes.
    pub fn poll_packet(&mut self) -> Option<(Onward, Vec<u8>)> {
        self.packets.pop_front()
    }

    /// When [`Path::expire`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        let timers = [&self.timers, &self.turns, &self.beats, &self.strokes];
        timers.into_iter().filter_map(Expiries::next).min()
    }

    /// It is later.
    pub fn expire(&mut self, now: Instant) {
        while let Some(port) = self.timers.due(now) {
            self.contain(port, |path| {
                path.with_peer(now, port, |peer, way, wishes| peer.expire(now, way, wishes));
            });
        }
        while let Some(port) = self.turns.due(now) {
            self.contain(port, |path| {
                path.transcode(now, port, |transcoder| transcoder.expire(now));
            });
        }
        while let Some(port) = self.beats.due(now) {
            self.contain(port, |path| path.beat(now, port));
        }
        while let Some(port) = self.strokes.due(now) {
            self.contain(port, |path| path.stroke(now, port));
        }
    }

    /// A packet of `length` bytes arrived at a port, or, if the flag is set, at its RTCP port. Nobody's address is
    /// learned from a packet that is not authentic.
    pub fn packet(
        &mut self,
        now: Instant,
        at: (PortId, bool),
        source: SocketAddr,
        buffer: &mut [u8],
        length: usize,
    ) -> Option<Onward> {
        self.contain(at.0, |path| path.take(now, at, source, buffer, length))?
    }

    fn take(
        &mut self,
        now: Instant,
        (port, rtcp_port): (PortId, bool),
        source: SocketAddr,
        buffer: &mut [u8],
        mut length: usize,
    ) -> Option<Onward> {
        let slot = self.forwarder.slot(port)?;
        let kind = kind(buffer.get(..length)?);
        let rtcp = kind == Kind::Rtcp;
        if let Some(peer) = self.peers.get_mut(&port) {
            let source = SocketAddr::new(source.ip().to_canonical(), source.port());
            if kind == Kind::Other {
                let bytes = &buffer[..length];
                let heard = self.with_peer(now, port, |peer, way, wishes| {
                    peer.datagram(now, rtcp_port, source, bytes, way, wishes)
                });
                if heard != Some(true) {
                    self.forwarder.refuse(slot, Refusal::NoMedia);
                }
                return None;
            }
            let taken = peer.take((rtcp_port, rtcp), source, buffer, length);
            if peer.take_news(rtcp_port) {
                self.changed(port);
            }
            match taken {
                Ok(clear) => length = clear,
                Err(why) => {
                    self.forwarder.refuse(slot, why);
                    return None;
                }
            }
        }
        let out = self.forwarder.packet(now, slot, rtcp_port, source, &buffer[..length])?;
        if let Some(gated) = self.gates.get_mut(&port).filter(|_| !rtcp) {
            self.events.extend(gated.digit(port, &buffer[..length]));
            if !gate::passes(&gated.gate, &mut buffer[..length]) {
                return None;
            }
        }
        self.tap(now, (port, rtcp), source, &buffer[..length]);
        if !rtcp && let Some(copies) = self.copies.get(&port).map(Arc::clone) {
            copies.iter().for_each(|to| self.enter(now, *to, &buffer[..length]));
        }
        if !rtcp && self.players.contains_key(&out.port) {
            return None;
        }
        if rtcp {
            length = self.report([port, out.port], buffer, length)?;
        } else if self.transcode(now, port, |transcoder| transcoder.packet(now, &buffer[..length]))
            || !self.passes_dialler(now, port, &mut buffer[..length])
        {
            return None;
        }
        if let Some(peer) = self.peers.get_mut(&out.port) {
            let sealed = peer.seal((out.rtcp, rtcp), buffer, length);
            if peer.take_news(out.rtcp) {
                self.changed(out.port);
            }
            length = sealed?;
        } else if self.kernel && !rtcp && self.is_plain(port, out.port) {
            self.forwarder.offload(now, slot, out);
        }
        Some(Onward { port: out.port, rtcp: out.rtcp, to: out.to, length })
    }

    /// Lets something happen to a port. A panic in it, which would be a fault of ours or of a codec's library, is the end of
    /// that port alone: thousands of calls have the same thread. What the path keeps for all ports is changed between such
    /// calls to others, never within them, so that it is whole afterwards.
    fn contain<T>(&mut self, port: PortId, what: impl FnOnce(&mut Path) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| what(self))) {
            Ok(result) => Some(result),
            Err(_) => {
                self.forget(port);
                self.forwarder.close(port);
                self.events.push_back(Event::Failed { port, failure: Failure::Fault });
                None
            }
        }
    }

    /// What the packets of a port's peer go through is about to change: none passes it by.
    fn recall(&mut self, port: PortId) {
        if let Some(slot) = self.forwarder.slot(port) {
            self.forwarder.recall(slot);
        }
    }

    /// Whether the packets of a port's peer leave by another one as they came.
    fn is_plain(&self, port: PortId, by: PortId) -> bool {
        let peers = [port, by].iter().any(|port| self.peers.contains_key(port));
        let changed = self.gates.contains_key(&port)
            || self.transcoders.contains_key(&port)
            || self.diallers.contains_key(&port);
        let heard = self.taps.contains_key(&port) || self.copies.contains_key(&port);
        let seen = heard || self.players.contains_key(&by);
        !peers && !changed && !seen
    }

    fn forget(&mut self, port: PortId) {
        self.gates.remove(&port);
        self.peers.remove(&port);
        self.timers.remove(&port);
        self.transcoders.remove(&port);
        self.turns.remove(&port);
        self.players.remove(&port);
        self.copies.remove(&port);
        self.beats.remove(&port);
        self.tracked.remove(&port);
        self.changed.remove(&port);
        self.diallers.remove(&port);
        self.strokes.remove(&port);
        self.record(port, None);
    }

    /// RTCP from the first port to the second, if the sound of either is converted.
    fn report(&self, ports: [PortId; 2], buffer: &mut [u8], length: usize) -> Option<usize> {
        let [said, heard] = ports.map(|port| self.transcoders.get(&port));
        if said.is_none() && heard.is_none() {
            return Some(length);
        }
        let report = transcode::report(&buffer[..length], said, heard)?;
        buffer.get_mut(..report.len())?.copy_from_slice(&report);
        Some(report.len())
    }

    /// Lets something happen to what a peer says, and sends on what comes of it. False if its sound stays as it is.
    fn transcode(
        &mut self,
        now: Instant,
        port: PortId,
        what: impl FnOnce(&mut Transcoder),
    ) -> bool {
        let Some(transcoder) = self.transcoders.get_mut(&port) else { return false };
        what(transcoder);
        match transcoder.deadline() {
            Some(at) => self.turns.set(at.max(now + LEAST), port),
            None => self.turns.remove(&port),
        }
        if transcoder.take_news(now) && self.tracked.contains(&port) {
            self.changed.insert(port);
        }
        let onward = self.forwarder.slot(port).and_then(|slot| self.forwarder.onward(slot));
        let packets: Vec<Vec<u8>> = std::iter::from_fn(|| transcoder.poll()).collect();
        for mut bytes in packets {
            if self.passes_dialler(now, port, &mut bytes) {
                self.leave(onward, bytes);
            }
        }
        true
    }

    /// A packet that we made leaves, protected for whom it goes to, if there is a way to him.
    fn leave(&mut self, way: Option<rtp::forward::Forward>, mut bytes: Vec<u8>) {
        let Some(out) = way else { return };
        let length = bytes.len();
        bytes.resize(length + ROOM, 0);
        let length = match self.peers.get_mut(&out.port) {
            Some(peer) => {
                let sealed = peer.seal((out.rtcp, false), &mut bytes, length);
                if peer.take_news(out.rtcp) {
                    self.changed(out.port);
                }
                sealed
            }
            None => Some(length),
        };
        if let Some(length) = length {
            bytes.truncate(length);
            let onward = Onward { port: out.port, rtcp: out.rtcp, to: out.to, length };
            self.packets.push_back((onward, bytes));
        }
    }

    /// Lets something happen to a peer, and does what comes of it.
    fn with_peer<T>(
        &mut self,
        now: Instant,
        port: PortId,
        what: impl FnOnce(&mut Peer, &Way<'_>, &mut Vec<Wish>) -> T,
    ) -> Option<T> {
        let slot = self.forwarder.slot(port)?;
        let peer = self.peers.get_mut(&port)?;
        let mut wishes = Vec::new();
        let targets = [false, true].map(|rtcp| self.forwarder.peer(slot, rtcp));
        let result = what(peer, &Way { certificate: &self.certificate, targets }, &mut wishes);
        for wish in &wishes {
            if let Wish::Selected { rtcp, address } = wish {
                self.forwarder.select(slot, *rtcp, *address);
            }
        }
        // It may know only now where its handshake goes.
        let targets = [false, true].map(|rtcp| self.forwarder.peer(slot, rtcp));
        peer.begin(now, &Way { certificate: &self.certificate, targets }, &mut wishes);
        if peer.is_plain() {
            self.peers.remove(&port);
            self.timers.remove(&port);
        } else {
            match peer.deadline() {
                Some(at) => self.timers.set(at.max(now + LEAST), port),
                None => self.timers.remove(&port),
            }
        }
        for wish in wishes {
            match wish {
                Wish::Transmit { rtcp, to, bytes } => {
                    let length = bytes.len();
                    self.packets.push_back((Onward { port, rtcp, to, length }, bytes));
                }
                Wish::Failed(failure) => self.events.push_back(Event::Failed { port, failure }),
                Wish::Keyed => self.changed(port),
                Wish::Selected { .. } => {}
            }
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn a_fault_ends_one_port_and_no_other() {
        let mut path = Path::new(Certificate::generate().unwrap());
        let [a, b] = [1, 2].map(PortId);
        for (port, rtp) in [(a, 30_000), (b, 30_002)] {
            path.open(port, ([192, 0, 2, 1], rtp).into());
        }
        assert_eq!(path.contain(a, |_| 7), Some(7));
        assert_eq!(path.contain(a, |_| -> () { panic!("on purpose") }), None);
        let told: Vec<Event> = std::iter::from_fn(|| path.poll_event()).collect();
        assert!(told.contains(&Event::Failed { port: a, failure: Failure::Fault }), "{told:?}");
        for (port, answers) in [(a, false), (b, true)] {
            path.command(Instant::EPOCH, Command::Query { port });
            assert_eq!(path.poll_event().is_some(), answers);
        }
    }
}
