//! Which ports' packets the kernel moves by itself, and what is known of them meanwhile.
//!
//! A port is *steady* after [`RUN`] ordinary packets in a row: then nothing is to be decided about the next one. While the
//! kernel moves them, a packet of the peer comes here for two reasons only. It was on its way up when the kernel began
//! ([`GRACE`]): it is counted beside what the kernel counts. Or the kernel did not know what to do with it: the port
//! comes back, since such a packet is an event (RFC 3550 Appendix A.1: a new source, a jump).

use base::Instant;
use base::relay::{Offload, Shortcut, Tracking};
use base::slots::Slot;
use base::time::Duration;

use super::{Forward, Forwarder, Port, Source};
use crate::packet::Packet;

/// So many ordinary packets in a row make a port steady: half a second of the usual 20 ms.
const RUN: u32 = 25;
/// A port of which a packet came up before the kernel had moved so many was not worth the way: the next time needs twice
/// the run.
const WORTH: u64 = 256;
/// The longest run that is asked for.
const MOST: u32 = RUN << 10;
/// How long packets that went up before the kernel began may take.
const GRACE: Duration = Duration::from_millis(50);

/// Of one port.
#[derive(Debug)]
pub(super) struct Moved {
    /// Ordinary packets in a row.
    run: u32,
    /// How many are needed.
    wanted: u32,
    now: Option<Now>,
    /// Somebody waits for the counters.
    pub(super) asked: bool,
    /// The port is closed as soon as it is back.
    pub(super) closing: bool,
}

/// While the kernel has it.
#[derive(Debug)]
struct Now {
    since: Instant,
    /// What it said last.
    said: Tracking,
    /// Packets that came here nevertheless and belong to the same sequence.
    beside: u64,
    /// The kernel did not know what to do with one of them.
    came_up: bool,
    ending: bool,
}

impl Default for Moved {
    fn default() -> Moved {
        Moved { run: 0, wanted: RUN, now: None, asked: false, closing: false }
    }
}

impl Moved {
    /// Packets, bytes and the last arrival that the kernel has counted.
    pub(super) fn counted(&self) -> (u64, u64, Option<Instant>) {
        self.now.as_ref().map_or((0, 0, None), |now| {
            let Tracking { packets, bytes, last, .. } = now.said;
            (packets, bytes, last)
        })
    }

    /// Whether the kernel has the port.
    pub(super) fn is_away(&self) -> bool {
        self.now.is_some()
    }

    /// A packet that was counted here: whether it was an ordinary one.
    pub(super) fn passed(&mut self, ordinary: bool) {
        self.run = if ordinary { self.run.saturating_add(1) } else { 0 };
    }

    /// A packet of the peer came here although the kernel has the port: whether it is to come back.
    pub(super) fn beside(&mut self, at: Instant, packet: &Packet<'_>) -> bool {
        let Some(now) = &mut self.now else { return false };
        let Tracking { ssrc, highest, .. } = now.said;
        if packet.ssrc() == ssrc && crate::reception::is_near(packet.sequence(), highest) {
            now.beside += 1;
        }
        now.came_up |= at.since(now.since) >= GRACE;
        now.came_up
    }

    /// Marks that it is to come back; false if that is known, or it is not away.
    fn end(&mut self) -> bool {
        self.now.as_mut().is_some_and(|now| !std::mem::replace(&mut now.ending, true))
    }
}

impl Forwarder {
    /// Whether nothing is to be decided about the next packet of a port's peer.
    pub fn is_steady(&self, slot: Slot) -> bool {
        self.ports.get(slot).is_some_and(|port| port.moved.run >= port.moved.wanted)
    }

    /// The kernel may move the packets of a steady port from here on, as the last one left; [`Forwarder::poll_offload`]
    /// says so. Not while it is not known where they come from, nor between the versions of IP.
    pub fn offload(&mut self, at: Instant, slot: Slot, out: Forward) {
        if !self.is_steady(slot) {
            return;
        }
        let within = self.by_local.contains_key(&out.to);
        let Some(port) = self.ports.get_mut(slot) else { return };
        let Source::Known { address: from, .. } = port.source else { return };
        let unfit = out.rtcp || within || from.is_ipv4() != out.to.is_ipv4();
        if unfit || port.moved.is_away() || port.selected.is_some() {
            return;
        }
        let mut tracking = Tracking::default();
        port.reception.hand_over(&mut tracking);
        port.sound.hand_over(&mut tracking);
        let (name, by, to) = (port.name, out.port, out.to);
        port.moved.run = 0;
        port.moved.now =
            Some(Now { since: at, said: tracking, beside: 0, came_up: false, ending: false });
        self.offloads.push_back(Offload::Begin(Shortcut { port: name, from, by, to, tracking }));
    }

    /// What the packets of a port's peer, and of the port that it is joined with, go through is about to change.
    pub fn recall(&mut self, slot: Slot) {
        let other = self.ports.get(slot).and_then(|port| port.other);
        for slot in [Some(slot), other].into_iter().flatten() {
            let Some(port) = self.ports.get_mut(slot) else { continue };
            let end = port.call_back();
            self.offloads.extend(end);
        }
    }

    /// What the kernel is asked next.
    pub fn poll_offload(&mut self) -> Option<Offload> {
        self.offloads.pop_front()
    }

    /// What the kernel has counted of a port's packets so far, `None` if it does not know; and whether it moves no more
    /// of them.
    pub fn moved(&mut self, slot: Slot, tracking: Option<&Tracking>, over: bool) {
        let Some(port) = self.ports.get_mut(slot) else { return };
        port.hear(tracking, over);
        let name = port.name;
        if std::mem::take(&mut port.moved.asked) {
            self.report(name);
        }
        let closing = self.ports.get(slot).is_some_and(|port| port.moved.closing);
        if over && closing {
            self.close(name);
        }
    }
}

impl Port {
    /// What the kernel is told if it has the port: it comes back.
    pub(super) fn call_back(&mut self) -> Option<Offload> {
        self.moved.run = 0;
        self.moved.end().then_some(Offload::End(self.name))
    }

    fn hear(&mut self, tracking: Option<&Tracking>, over: bool) {
        let Some(now) = &mut self.moved.now else { return };
        if let Some(tracking) = tracking {
            now.said = *tracking;
            self.reception.take_back(tracking, now.beside);
            self.sound.take_back(tracking);
            if let (Source::Known { heard, .. }, Some(last)) = (&mut self.source, tracking.last) {
                *heard = last.max(*heard);
            }
        }
        if !over {
            return;
        }
        let in_vain = now.came_up || tracking.is_none();
        let (packets, bytes, last) = self.moved.counted();
        self.counters.packets += packets;
        self.counters.by_kernel += packets;
        self.counters.bytes += bytes;
        self.counters.last = self.counters.last.max(last);
        if packets >= WORTH {
            self.moved.wanted = RUN;
        } else if in_vain {
            self.moved.wanted = (self.moved.wanted * 2).min(MOST);
        }
        self.moved.now = None;
        self.moved.run = 0;
    }
}
