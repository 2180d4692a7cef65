//! The relay's core: which packet leaves by which port, to whom. It owns no socket and allocates
//! nothing for a packet.
//!
//! A port learns its peer's address once, after its description. The first valid RTP packet decides;
//! for three seconds a source that fits the signalled address better may replace it, then it is
//! locked. Whatever comes from elsewhere is counted and dropped. A new [`join`](Forwarder::join) with another signalled
//! address starts anew; one with the same address lets another source in at once if it is a host
//! that the signalling named, else only once the old one has been silent for three seconds, and
//! never one that fits worse, unless it is the same host. Who is first is believed: behind a NAT only
//! [`Side::host`] tells the peer from a stranger who guessed the port.
//!
//! Where ICE says where a peer is ([`Forwarder::govern`]), nothing is learned: whoever hands in a packet has asked the
//! agent whether its source is the peer.
//!
//! Where nothing is to be decided about a port's packets any more, the kernel may move them by itself (`forward/moved.rs`).

mod moved;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use base::Instant;
use base::relay::{Counters, Event, Offload, PortId, Side, Standing};
use base::slots::{Slot, Slots};
use base::time::Duration;

use crate::demux::{Kind, kind};
use crate::packet::Packet;
use crate::reception::{Arrival, Reception};
use crate::sound::Sound;

use moved::Moved;

/// How long a better fitting source may replace the first one.
const LEARNING: Duration = Duration::from_secs(3);
/// The worst [fit](Port::fit) of a host that the signalling named.
const SAME_HOST: u8 = 2;

/// How often a packet may cross this relay.
const MAX_HOPS: usize = 8;

/// Where a packet leaves: the payload is sent unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forward {
    /// The slot of the port pair, for the socket table.
    pub slot: Slot,
    /// The port pair.
    pub port: PortId,
    /// Whether by its RTCP socket.
    pub rtcp: bool,
    /// To whom.
    pub to: SocketAddr,
}

/// Why a packet was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It came from elsewhere than the peer.
    Stranger,
    /// It is SRTP, and not with the peer's key.
    NotAuthentic,
    /// It is neither RTP nor RTCP, nor anything else that somebody waits for.
    NoMedia,
}

/// All port pairs of one packet path.
#[derive(Debug, Default)]
pub struct Forwarder {
    ports: Slots<Port>,
    names: BTreeMap<PortId, Slot>,
    /// Both addresses of every pair.
    by_local: BTreeMap<SocketAddr, Slot>,
    events: VecDeque<Event>,
    offloads: VecDeque<Offload>,
}

#[derive(Debug)]
struct Port {
    name: PortId,
    local: SocketAddr,
    /// The other port of the stream; stale once that is closed.
    other: Option<Slot>,
    side: Side,
    source: Source,
    rtcp_source: Option<SocketAddr>,
    /// Where ICE says that the peer receives RTP and RTCP; `None` without ICE.
    selected: Option<[Option<SocketAddr>; 2]>,
    reception: Reception,
    sound: Sound,
    counters: Counters,
    moved: Moved,
}

/// What is known of where the peer sends from.
#[derive(Clone, Copy, Debug)]
enum Source {
    Unknown,
    /// `fit` is the better the lower; `heard` is when a packet came from there last.
    Known {
        address: SocketAddr,
        fit: u8,
        since: Instant,
        heard: Instant,
        /// Re-joined with the same address: silence opens it.
        reopened: bool,
    },
}

impl Forwarder {
    /// A port pair was bound; `local` is its RTP address. The slot names it on the packet path.
    /// Opening a port again closes it first.
    pub fn open(&mut self, port: PortId, local: SocketAddr) -> Slot {
        self.forget(port);
        let side =
            Side { port, rtp: None, rtcp: None, host: None, mux: false, learn: false, clock: 8000 };
        let slot = self.ports.insert(Port {
            name: port,
            local,
            other: None,
            side,
            source: Source::Unknown,
            rtcp_source: None,
            selected: None,
            reception: Reception::new(8000),
            sound: Sound::default(),
            counters: Counters::default(),
            moved: Moved::default(),
        });
        self.names.insert(port, slot);
        for address in pair(local) {
            self.by_local.insert(address, slot);
        }
        slot
    }

    /// The slot of a port.
    pub fn slot(&self, port: PortId) -> Option<Slot> {
        self.names.get(&port).copied()
    }

    /// Joins two ports, or changes how. What either was joined with before is joined no longer.
    /// Returns whether both ports are open and different; otherwise nothing changes.
    pub fn join(&mut self, a: Side, b: Side) -> bool {
        let (Some(slot_a), Some(slot_b)) = (self.slot(a.port), self.slot(b.port)) else {
            return false;
        };
        if slot_a == slot_b {
            return false;
        }
        self.recall(slot_a);
        self.recall(slot_b);
        for (slot, other, side) in [(slot_a, slot_b, a), (slot_b, slot_a, b)] {
            let Some(port) = self.ports.get_mut(slot) else { continue };
            let before = port.other.replace(other);
            port.rejoin(side);
            if let Some(before) = before.filter(|before| *before != other)
                && let Some(left) = self.ports.get_mut(before)
                && left.other == Some(slot)
            {
                left.other = None;
            }
        }
        true
    }

    /// Goes on where another packet path was with a port: its peer is where it was learned, or where ICE found it.
    pub fn resume(&mut self, now: Instant, slot: Slot, side: Side, standing: &Standing) {
        let Some(port) = self.ports.get_mut(slot) else { return };
        port.rejoin(side);
        if let Some(address) = standing.learned {
            let fit = port.fit(address);
            port.source = Source::Known { address, fit, since: now, heard: now, reopened: false };
        }
        port.selected = standing.selected;
    }

    /// Where the peer of a port is: as it was learned, and as ICE found it.
    pub fn standing(&self, slot: Slot) -> Standing {
        let Some(port) = self.ports.get(slot) else { return Standing::default() };
        Standing { learned: port.learned(), selected: port.selected, ..Standing::default() }
    }

    /// From now on ICE says where the peer of a port is, or its description again.
    pub fn govern(&mut self, slot: Slot, by_ice: bool) {
        self.recall(slot);
        let Some(port) = self.ports.get_mut(slot) else { return };
        if by_ice {
            port.selected.get_or_insert_default();
        } else if port.selected.take().is_some() {
            port.source = Source::Unknown;
            port.rtcp_source = None;
        }
    }

    /// ICE chose where the RTP, or RTCP, of a port's peer goes.
    pub fn select(&mut self, slot: Slot, rtcp: bool, address: SocketAddr) {
        let Some(port) = self.ports.get_mut(slot) else { return };
        let Some(selected) = &mut port.selected else { return };
        selected[usize::from(rtcp)] = Some(address);
        if !rtcp {
            self.events.push_back(Event::Learned { port: port.name, address });
        }
    }

    /// The RTP address of a port.
    pub fn local(&self, slot: Slot) -> Option<SocketAddr> {
        Some(self.ports.get(slot)?.local)
    }

    /// Where packets that we make ourselves reach the peer by a port's RTP, or RTCP, socket.
    pub fn peer(&self, slot: Slot, rtcp: bool) -> Option<SocketAddr> {
        let port = self.ports.get(slot)?;
        if rtcp { port.rtcp_target() } else { port.rtp_target() }
    }

    /// Where RTP that came from the peer of a port leaves now.
    pub fn onward(&self, slot: Slot) -> Option<Forward> {
        self.target(self.ports.get(slot)?.other?)
    }

    /// How RTP reaches the peer of a port now.
    pub fn target(&self, slot: Slot) -> Option<Forward> {
        let port = self.ports.get(slot)?;
        let (rtcp, to) = port.target(false)?;
        Some(Forward { slot, port: port.name, rtcp, to })
    }

    /// Forgets a port and reports its counters a last time; if the kernel moves its packets, as soon as those are back.
    pub fn close(&mut self, port: PortId) -> Option<Counters> {
        let slot = self.slot(port)?;
        self.recall(slot);
        if let Some(open) = self.ports.get_mut(slot)
            && open.moved.is_away()
        {
            open.moved.closing = true;
            return Some(open.counters());
        }
        let counters = self.forget(port)?.counters();
        self.events.push_back(Event::Counters { port, counters });
        Some(counters)
    }

    fn forget(&mut self, port: PortId) -> Option<Port> {
        let slot = self.names.remove(&port)?;
        let port = self.ports.remove(slot)?;
        for address in pair(port.local) {
            if self.by_local.get(&address) == Some(&slot) {
                self.by_local.remove(&address);
            }
        }
        Some(port)
    }

    /// The counters of a port now.
    pub fn counters(&self, port: PortId) -> Option<Counters> {
        Some(self.ports.get(self.slot(port)?)?.counters())
    }

    /// Answers [`base::relay::Command::Query`] with an event; an unknown port answers nothing.
    pub fn query(&mut self, port: PortId) {
        let open = self.slot(port).and_then(|slot| self.ports.get_mut(slot));
        if let Some(open) = open
            && open.moved.is_away()
        {
            open.moved.asked = true;
            return self.offloads.push_back(Offload::Read(port));
        }
        self.report(port);
    }

    fn report(&mut self, port: PortId) {
        if let Some(counters) = self.counters(port) {
            self.events.push_back(Event::Counters { port, counters });
        }
    }

    /// A packet at a port was refused before it came here: it counts as an error.
    pub fn refuse(&mut self, slot: Slot, why: Refusal) {
        let Some(port) = self.ports.get_mut(slot) else { return };
        port.refuse();
        match why {
            Refusal::Stranger => port.counters.strangers += 1,
            Refusal::NotAuthentic => port.counters.unauthentic += 1,
            Refusal::NoMedia => {}
        }
    }

    /// The next event for media control.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A datagram arrived at a port; `rtcp_socket` says at which of the pair. Returns where it is to
    /// be sent, `None` if nowhere.
    pub fn packet(
        &mut self,
        now: Instant,
        slot: Slot,
        rtcp_socket: bool,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Option<Forward> {
        let source = SocketAddr::new(source.ip().to_canonical(), source.port());
        let port = self.ports.get_mut(slot)?;
        let mut changed = false;
        let rtcp = match (kind(bytes), rtcp_socket) {
            (Kind::Rtp, false) => false,
            (Kind::Rtcp, _) => true,
            (Kind::Rtp, true) | (Kind::Other, _) => return port.refuse(),
        };
        if rtcp {
            if !port.admit_rtcp(source, rtcp_socket) {
                return port.refuse();
            }
        } else {
            let Ok(packet) = Packet::parse(bytes) else { return port.refuse() };
            match port.admit(now, source) {
                Admission::Refused => {
                    port.counters.strangers += 1;
                    return port.refuse();
                }
                Admission::Admitted => {}
                Admission::Learned => {
                    changed = true;
                    if port.side.learn {
                        let learned = Event::Learned { port: port.name, address: source };
                        self.events.push_back(learned);
                    }
                }
            }
            if port.moved.is_away() {
                if port.moved.beside(now, &packet) {
                    self.offloads.extend(port.call_back());
                }
            } else {
                let (sequence, timestamp) = (packet.sequence(), packet.timestamp());
                let arrival = port.reception.packet(now, packet.ssrc(), sequence, timestamp);
                port.sound.packet(&packet);
                port.moved.passed(arrival == Arrival::Fresh && !packet.has_padding());
            }
        }
        port.counters.last = Some(now);
        if changed {
            self.recall(slot);
        }
        let port = self.ports.get_mut(slot)?;
        let out = port.other.and_then(|other| self.forward(slot, other, rtcp, source));
        let port = self.ports.get_mut(slot)?;
        if out.is_none() {
            return port.refuse();
        }
        if rtcp {
            port.counters.rtcp += 1;
        } else {
            port.counters.packets += 1;
            port.counters.bytes += bytes.len() as u64;
        }
        out
    }

    /// What entered at `entry` leaves by `slot`.
    fn forward(&self, entry: Slot, slot: Slot, rtcp: bool, source: SocketAddr) -> Option<Forward> {
        let port = self.ports.get(slot)?;
        let (by_rtcp_socket, to) = port.target(rtcp)?;
        // Never back to where it came from.
        if to == source || to.port() == 0 || to.ip().is_unspecified() {
            return None;
        }
        if self.returns([entry, slot], rtcp, to) {
            return None;
        }
        Some(Forward { slot, port: port.name, rtcp: by_rtcp_socket, to })
    }

    /// Whether a packet to this address comes back to the stream that it left, through ports of
    /// this relay alone: it would circulate for ever. A call may be anchored here more than once,
    /// but not more than [`MAX_HOPS`] times.
    fn returns(&self, stream: [Slot; 2], rtcp: bool, mut to: SocketAddr) -> bool {
        for _ in 0..MAX_HOPS {
            let Some(entry) = self.by_local.get(&to) else { return false };
            if stream.contains(entry) {
                return true;
            }
            let next = self.ports.get(*entry).and_then(|port| self.ports.get(port.other?));
            let Some((_, next)) = next.and_then(|port| port.target(rtcp)) else { return false };
            to = next;
        }
        true
    }
}

/// The RTP and RTCP address of a pair.
fn pair(rtp: SocketAddr) -> [SocketAddr; 2] {
    [rtp, SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1))]
}

enum Admission {
    Refused,
    Admitted,
    Learned,
}

impl Port {
    fn refuse(&mut self) -> Option<Forward> {
        self.counters.errors += 1;
        None
    }

    fn rejoin(&mut self, side: Side) {
        let same = self.side.rtp == side.rtp && self.side.learn == side.learn;
        match &mut self.source {
            Source::Known { reopened, .. } if same => *reopened = true,
            source => {
                *source = Source::Unknown;
                self.rtcp_source = None;
            }
        }
        self.side = side;
        self.reception.set_rate(side.clock);
    }

    /// How well a source fits what the signalling said: 0 exactly, 4 not at all.
    fn fit(&self, source: SocketAddr) -> u8 {
        match self.side.rtp {
            Some(said) if said == source => 0,
            Some(said) if said.ip() == source.ip() => 1,
            _ if self.side.host == Some(source.ip()) => 2,
            Some(said) if said.port() == source.port() => 3,
            _ => 4,
        }
    }

    fn admit(&mut self, now: Instant, from: SocketAddr) -> Admission {
        if self.selected.is_some() {
            return Admission::Admitted;
        }
        let fit = self.fit(from);
        let learned = Source::Known { address: from, fit, since: now, heard: now, reopened: false };
        match &mut self.source {
            Source::Known { address, heard, .. } if *address == from => {
                *heard = now;
                return Admission::Admitted;
            }
            Source::Known { address, fit: old, since, heard, reopened } => {
                let named = *reopened && fit <= SAME_HOST;
                let better = fit < *old && (named || now.since(*since) < LEARNING);
                let silent = *reopened && now.since(*heard) >= LEARNING;
                if !better && !(silent && (fit <= *old || from.ip() == address.ip())) {
                    return Admission::Refused;
                }
            }
            // Nothing is learned before the peer said where it is: early media passes.
            Source::Unknown if self.other.is_none() || self.side.rtp.is_none() => {
                return Admission::Admitted;
            }
            Source::Unknown => {}
        }
        self.source = learned;
        self.rtcp_source = None;
        Admission::Learned
    }

    /// RTCP follows RTP: it must come from the same host, and keeps its port once learned.
    fn admit_rtcp(&mut self, from: SocketAddr, rtcp_socket: bool) -> bool {
        if self.selected.is_some() {
            return true;
        }
        let host = match self.source {
            Source::Known { address, .. } => Some(address.ip()),
            Source::Unknown => self.side.rtcp.or(self.side.rtp).map(|said| said.ip()),
        };
        if host != Some(from.ip()) {
            return false;
        }
        if !rtcp_socket {
            return true;
        }
        *self.rtcp_source.get_or_insert(from) == from
    }

    fn learned(&self) -> Option<SocketAddr> {
        match self.source {
            Source::Known { address, .. } if self.side.learn => Some(address),
            _ => None,
        }
    }

    /// Where packets to the peer go, and whether they leave by the RTCP socket.
    fn target(&self, rtcp: bool) -> Option<(bool, SocketAddr)> {
        let by_rtcp_socket = rtcp && !self.side.mux;
        let to = if by_rtcp_socket { self.rtcp_target() } else { self.rtp_target() }?;
        Some((by_rtcp_socket, to))
    }

    fn rtp_target(&self) -> Option<SocketAddr> {
        match self.selected {
            Some([rtp, _]) => rtp,
            None => self.learned().or(self.side.rtp),
        }
    }

    fn rtcp_target(&self) -> Option<SocketAddr> {
        if let Some([_, rtcp]) = self.selected {
            return rtcp;
        }
        let Some(learned) = self.learned() else { return self.side.rtcp };
        if self.rtcp_source.is_some() {
            return self.rtcp_source;
        }
        // Behind a NAT the signalled RTCP port is as wrong as the address; the next port is a guess.
        match self.side.rtp {
            Some(said) if said == learned => self.side.rtcp,
            _ => Some(SocketAddr::new(learned.ip(), learned.port().checked_add(1)?)),
        }
    }

    fn counters(&self) -> Counters {
        let (packets, bytes, last) = self.moved.counted();
        Counters {
            packets: self.counters.packets + packets,
            bytes: self.counters.bytes + bytes,
            by_kernel: self.counters.by_kernel + packets,
            last: self.counters.last.max(last),
            ssrc: self.reception.ssrc(),
            lost: self.reception.lost(),
            jitter: self.reception.jitter_time(),
            payload_type: self.sound.payload_type(),
            step: self.sound.step(),
            quiet: self.sound.quiet(),
            ..self.counters
        }
    }
}
