//! A call's sound: two UDP sockets, packets out by deadline, packets in through a playout buffer into
//! a recording, and RTCP beside them.

mod dtmf;
mod receive;
mod rtcp;
mod send;

use std::net::{IpAddr, SocketAddr};

use base::flow::Endpoint;
use base::machine::OpenId;
use base::slots::Slot;
use base::time::Duration;
use base::{Bytes, Flow, Instant, Output, Severity};
use rtp::demux::{Kind, kind};
use sdp::Negotiated;

use crate::core::{CallTimer, Core, TimerKey};
use crate::report::{CallId, MediaReport, MediaStats, What};
use receive::Receiver;
use rtcp::Control;
use send::Sender;

/// How often another pair of ports is asked for before RTCP is given up.
const TRIES: u32 = 4;

pub(crate) struct Media {
    call: Slot,
    sockets: Sockets,
    agreed: Option<Negotiated>,
    sender: Sender,
    receiver: Receiver,
    control: Control,
}

enum Sockets {
    /// No sound at all; this address is described.
    Mute(SocketAddr),
    /// A socket on any port is asked for.
    First {
        open: OpenId,
        tries: u32,
    },
    /// The other one of the pair is asked for.
    Second {
        open: OpenId,
        first: Flow,
        tries: u32,
    },
    /// Both are there, or the second one cannot be had.
    Ready {
        rtp: Flow,
        rtcp: Option<Flow>,
    },
    Failed,
}

/// What became of asking for sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    Waiting,
    Ready,
    Failed,
}

impl Media {
    /// Asks for sockets.
    pub(crate) fn open(core: &mut Core, call: Slot) -> Media {
        let config = &core.config.media;
        let (enabled, address) = (config.enabled, config.address);
        let sender = Sender::new(core);
        let receiver = Receiver::new(core);
        let control = Control::new(core);
        let sockets = if enabled {
            let open = core.open(call, (address, 0).into());
            Sockets::First { open, tries: 0 }
        } else {
            // The discard port, RFC 863: described and never listened on.
            Sockets::Mute((address, 9).into())
        };
        Media { call, sockets, agreed: None, sender, receiver, control }
    }

    /// Where we hear, once that is known.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        match &self.sockets {
            Sockets::Mute(address) => Some(*address),
            Sockets::Ready { rtp, .. } => rtp.local.socket_addr(),
            _ => None,
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        match self.sockets {
            Sockets::Mute(_) | Sockets::Ready { .. } => Progress::Ready,
            Sockets::Failed => Progress::Failed,
            _ => Progress::Waiting,
        }
    }

    /// A socket is bound. RTP gets the even port of a pair and RTCP the odd one, RFC 3550 §11.
    pub(crate) fn opened(&mut self, core: &mut Core, open: OpenId, flow: Flow) {
        core.sockets.insert(flow.id, self.call);
        let port = |flow: &Flow| flow.local.socket_addr().map_or(0, |a| a.port());
        match self.sockets {
            Sockets::First { open: ours, tries } if ours == open => {
                let other = port(&flow) ^ 1;
                let open = core.open(self.call, (core.config.media.address, other).into());
                self.sockets = Sockets::Second { open, first: flow, tries };
            }
            Sockets::Second { open: ours, first, .. } if ours == open => {
                let even = port(&first).is_multiple_of(2);
                let (rtp, rtcp) = if even { (first, flow) } else { (flow, first) };
                self.sockets = Sockets::Ready { rtp, rtcp: Some(rtcp) };
            }
            _ => close(core, flow),
        }
    }

    /// A socket could not be bound.
    pub(crate) fn open_failed(&mut self, core: &mut Core, open: OpenId) {
        match self.sockets {
            Sockets::First { open: ours, .. } if ours == open => self.sockets = Sockets::Failed,
            Sockets::Second { open: ours, first, tries } if ours == open => {
                if tries >= TRIES {
                    let text = "no pair of ports for RTP and RTCP; this call has no RTCP";
                    core.log(Severity::Warning, "ue.no_rtcp_port", text.to_owned());
                    self.sockets = Sockets::Ready { rtp: first, rtcp: None };
                } else {
                    close(core, first);
                    let open = core.open(self.call, (core.config.media.address, 0).into());
                    self.sockets = Sockets::First { open, tries: tries + 1 };
                }
            }
            _ => {}
        }
    }

    /// What was agreed on; from here on sound goes out as far as it allows. `speak` is unset while
    /// the call is not answered yet: then we only hear.
    pub(crate) fn agree(
        &mut self,
        core: &mut Core,
        now: Instant,
        agreed: &Negotiated,
        speak: bool,
    ) {
        self.receiver.expect(&agreed.receive);
        self.agreed = Some(agreed.clone());
        if self.rtp().is_none() {
            return;
        }
        let key = TimerKey::Call(self.call, CallTimer::Send);
        if speak && agreed.direction.sends() && agreed.rtp.is_some() {
            let first = self.sender.start(now, agreed);
            if !core.is_armed(key) {
                core.arm(key, first);
            }
        } else {
            self.sender.pause();
            core.disarm(key);
        }
        if self.control.start() {
            let at = now + self.control.interval(core) / 2;
            core.arm(TimerKey::Call(self.call, CallTimer::Control), at);
        }
    }

    fn rtp(&self) -> Option<Flow> {
        match &self.sockets {
            Sockets::Ready { rtp, .. } => Some(*rtp),
            _ => None,
        }
    }

    /// Digits to be sent; `false` if the peer takes none or there is no sound.
    pub(crate) fn digits(&mut self, digits: &str) -> bool {
        let ready = self.sender.is_sending()
            && self.agreed.as_ref().is_some_and(|a| a.telephone_event.is_some());
        ready && self.sender.digits(digits)
    }

    /// The next packet is due.
    pub(crate) fn send(&mut self, core: &mut Core, now: Instant, at: Instant) {
        let (Some(flow), Some(agreed)) = (self.rtp(), &self.agreed) else { return };
        let Some(remote) = agreed.rtp else { return };
        if let Some(packet) = self.sender.tick(at, agreed) {
            let flow = flow.to(Endpoint::Ip(remote));
            core.output(Output::Transmit { flow, message: packet.into() });
        }
        if let Some(next) = self.sender.next(now, at) {
            core.arm(TimerKey::Call(self.call, CallTimer::Send), next);
        }
    }

    /// A datagram arrived at one of our sockets.
    pub(crate) fn received(&mut self, core: &mut Core, now: Instant, flow: Flow, bytes: &Bytes) {
        let call = CallId::from(self.call);
        match kind(bytes) {
            Kind::Rtp => {
                let Ok(packet) = rtp::Packet::parse(bytes) else {
                    return self.strange(core, flow);
                };
                let heard = self.receiver.packet(now, flow.remote.socket_addr(), &packet);
                if let (true, Some(from)) = (heard.first, flow.remote.socket_addr()) {
                    core.report(now, What::MediaFlowing { call, from });
                }
                if let Some((digit, duration)) = heard.digit {
                    core.report(now, What::DtmfReceived { call, digit, duration });
                }
                let key = TimerKey::Call(self.call, CallTimer::Play);
                if let Some(due) = self.receiver.due().filter(|_| !core.is_armed(key)) {
                    core.arm(key, due);
                }
            }
            Kind::Rtcp => match rtp::rtcp::parse(bytes) {
                Ok(packets) => self.control.received(now, &packets, self.sender.ssrc()),
                Err(_) => self.strange(core, flow),
            },
            Kind::Other => self.strange(core, flow),
        }
    }

    fn strange(&self, core: &mut Core, flow: Flow) {
        let text = format!("a datagram from {} is neither RTP nor RTCP", flow.remote);
        core.log(Severity::Debug, "ue.strange_media", text);
    }

    /// The next frame is due.
    pub(crate) fn play(&mut self, core: &mut Core, now: Instant) {
        self.receiver.play(now);
        if let Some(due) = self.receiver.due() {
            core.arm(TimerKey::Call(self.call, CallTimer::Play), due);
        }
    }

    /// The next RTCP report is due.
    pub(crate) fn report(&mut self, core: &mut Core, now: Instant) {
        self.send_report(core, now, false);
        let at = now + self.control.interval(core);
        core.arm(TimerKey::Call(self.call, CallTimer::Control), at);
    }

    fn send_report(&mut self, core: &mut Core, now: Instant, goodbye: bool) {
        let Sockets::Ready { rtp, rtcp } = &self.sockets else { return };
        let Some(agreed) = &self.agreed else { return };
        let (flow, remote) = match (agreed.rtcp_mux, rtcp) {
            (true, _) => (*rtp, agreed.rtp),
            (false, Some(rtcp)) => (*rtcp, agreed.rtcp),
            (false, None) => return,
        };
        let Some(remote) = remote else { return };
        let bytes = self.control.compound(now, &self.sender, &mut self.receiver, goodbye);
        let flow = flow.to(Endpoint::Ip(remote));
        core.output(Output::Transmit { flow, message: bytes.into() });
    }

    /// Says goodbye, closes the sockets and sums up.
    pub(crate) fn close(mut self, core: &mut Core, now: Instant) -> MediaReport {
        if self.control.is_started() {
            self.send_report(core, now, true);
        }
        // What waits in the playout buffer was heard, too.
        self.receiver.drain();
        let stats = self.stats(core);
        match self.sockets {
            Sockets::Ready { rtp, rtcp } => {
                close(core, rtp);
                rtcp.into_iter().for_each(|flow| close(core, flow));
            }
            Sockets::Second { first, .. } => close(core, first),
            _ => {}
        }
        MediaReport { stats, recording: self.receiver.into_recording() }
    }

    fn stats(&self, core: &Core) -> MediaStats {
        let round_trip = self.control.round_trip();
        let one_way = round_trip.unwrap_or_default() / 2;
        let delay = one_way + core.config.media.playout + Duration::from_millis(20);
        MediaStats {
            sent: self.sender.packets(),
            round_trip,
            lost_there: self.control.lost_there(),
            mos: self.receiver.mos(delay),
            codec: self.agreed.as_ref().map_or_else(String::new, |a| a.codec.name.clone()),
            local: self.local(),
            remote: self.agreed.as_ref().and_then(|a| a.rtp),
            ..self.receiver.stats()
        }
    }

    /// The address that is described: the address of our sockets, unless they hear everywhere.
    pub(crate) fn described(&self, configured: IpAddr) -> Option<SocketAddr> {
        let local = self.local()?;
        let ip = if local.ip().is_unspecified() { configured } else { local.ip() };
        Some((ip, local.port()).into())
    }
}

fn close(core: &mut Core, flow: Flow) {
    core.sockets.remove(&flow.id);
    core.output(Output::Close { flow });
}
