//! Calls that come in, RFC 3261 §13.3 and TS 24.229 §5.1.4.

use base::Instant;
use base::slots::Slot;
use base::time::Duration;
use sdp::Preconditions;
use sdp::offer_answer::OfferAnswerError;
use sip::header::{CSeq, NameAddr};
use sip::session_timer::{Answer, MIN_SE, answer};
use sip::{Dialog, HeaderName, Message, ServerId};

use super::*;
use crate::config;
use crate::core::sender;

/// Their INVITE while it waits for our answer.
pub(super) struct Incoming {
    pub(super) server: ServerId,
    pub(super) request: Message,
    /// Provisional responses are sent reliably.
    pub(super) reliable: bool,
    preconditions: bool,
    pub(super) rseq: u32,
    pub(super) unpracked: Option<Unpracked>,
    ringing: bool,
    /// To be answered as soon as that is possible.
    accept: bool,
    /// The answer that went out in an unreliable response and is said again in the 2xx.
    preview: Option<Vec<u8>>,
}

/// A reliable provisional response that waits for its PRACK.
pub(super) struct Unpracked {
    pub(super) rseq: u32,
    pub(super) response: Message,
    pub(super) interval: Duration,
    pub(super) give_up: Instant,
}

/// How long a call that came in may wait to be answered. A proxy that still lives cancels it earlier
/// (Timer C, RFC 3261 §16.6: some more than three minutes); after this nobody does any more.
pub(super) const UNANSWERED: Duration = Duration::from_secs(240);

/// The status of an offer that cannot be answered.
fn status_of(error: OfferAnswerError) -> u16 {
    match error {
        OfferAnswerError::Malformed(_) => 400,
        OfferAnswerError::Pending => 491,
        _ => 488,
    }
}

impl Call {
    /// Takes an INVITE. One that cannot be taken is answered, and `None`.
    pub(crate) fn take(
        core: &mut Core,
        now: Instant,
        slot: Slot,
        server: ServerId,
        request: Message,
    ) -> Option<Call> {
        if !request.body().is_empty() && description(&request).is_none() {
            let mut response = core.stack.answer(&request, 415);
            response.push(HeaderName::Accept, "application/sdp");
            core.stack.respond(now, server, response);
            return None;
        }
        if let Answer::TooSmall(least) = answer(&request, 0, MIN_SE) {
            let mut response = core.stack.answer(&request, 422);
            response.push(HeaderName::MinSe, least.to_string());
            core.stack.respond(now, server, response);
            return None;
        }
        let tag = core.random.token::<8>();
        let Some(dialog) = Dialog::of_request(&request, &tag, true) else {
            core.reply(now, server, &request, 400);
            return None;
        };
        let mut negotiation = OfferAnswer::new(core.config.codecs.clone(), core.random.u64());
        let heard = description(&request).map(|offer| negotiation.receive_offer(&offer));
        let peer = match heard.transpose() {
            Ok(agreed) => agreed.and_then(|a| a.preconditions),
            Err(error) => {
                let mut response = core.stack.answer(&request, status_of(error));
                response.push(HeaderName::Warning, format!("399 ue \"{error}\""));
                core.stack.respond(now, server, response);
                return None;
            }
        };
        let says = |name| request.lists(name, "100rel");
        let reliable = says(HeaderName::Require)
            || (core.config.options.prack_100rel && says(HeaderName::Supported));
        let preconditions = peer.is_some() && Call::wants_preconditions(core, &request, reliable);
        let mut leg = Leg::new(dialog, negotiation, &request);
        leg.preconditions =
            peer.filter(|_| preconditions).map(|p| Preconditions::answer(&p, false));
        leg.confirm = peer.is_some_and(|p| p.confirm.is_some());
        core.reply(now, server, &request, 100);
        let called = request.get(HeaderName::PCalledPartyId).and_then(NameAddr::parse);
        let called = called.map_or(request.uri(), |a| a.uri).to_owned();
        let (call, from) = (slot.into(), sender(&request));
        core.report(now, What::Incoming { call, from, called });
        let invite = request.clone();
        let incoming = Box::new(Incoming {
            server,
            request,
            reliable,
            preconditions,
            rseq: core.random.u32() & 0xffff,
            unpracked: None,
            ringing: false,
            accept: false,
            preview: None,
        });
        if let config::Incoming::Reject(status) = core.config.incoming {
            let mut call = Call::new(core, now, slot, Phase::Incoming(incoming), invite);
            call.legs.push(leg);
            call.reject(core, now, status);
            return Some(call);
        }
        let phase = Phase::Opening(Opening::Callee(incoming));
        let mut call = Call::new(core, now, slot, phase, invite);
        call.legs.push(leg);
        call.media = Some(Media::open(core, slot));
        core.arm(call.key(CallTimer::Unanswered), now + UNANSWERED);
        Some(call)
    }

    /// The call waited too long: for us, for a caller who is gone (his UPDATE, his CANCEL), or for a
    /// final response after a provisional one, since the proxy whose Timer C ran may be gone, too.
    pub(super) fn unanswered(&mut self, core: &mut Core, now: Instant) {
        let status = match self.phase {
            Phase::Incoming(_) | Phase::Opening(Opening::Callee(_)) => 480,
            Phase::Inviting { cancelled: false, .. } => 408,
            _ => return,
        };
        self.finish(core, now, By::Failure, status, "nobody answered".into());
    }

    /// Does whatever is the next step of a call that came in.
    pub(super) fn advance(&mut self, core: &mut Core, now: Instant) {
        let Phase::Incoming(incoming) = &self.phase else { return };
        if incoming.unpracked.is_some() {
            return;
        }
        let (preconditions, ringing) = (incoming.preconditions, incoming.ringing);
        let described = self.legs.first().is_some_and(|leg| leg.negotiation.negotiated().is_some());
        if preconditions && !described {
            self.progress_183(core, now);
            return self.begin_reservation(core, now);
        }
        if self.legs.first().and_then(|leg| leg.preconditions).is_some_and(|p| p.failed()) {
            return self.finish(core, now, By::Failure, 580, "preconditions failed".into());
        }
        if !self.legs.first().is_some_and(Leg::may_ring) {
            return;
        }
        if !ringing {
            self.ring(core, now);
        }
        if let Phase::Incoming(incoming) = &self.phase
            && incoming.accept
            && incoming.unpracked.is_none()
        {
            self.accept(core, now);
        }
    }

    /// Our side of the description, if it has not been given yet.
    fn describe(&mut self, core: &Core) -> Option<Vec<u8>> {
        let local = self.address(core);
        let leg = self.legs.first_mut()?;
        let table = leg.preconditions;
        if leg.negotiation.is_pending() {
            // Pending is either their offer, or ours, which is not given twice.
            return leg.negotiation.answer(local, table.as_ref()).ok();
        }
        match leg.negotiation.negotiated() {
            Some(_) => None,
            None => leg.negotiation.offer(local, None).ok(),
        }
    }

    pub(super) fn tagged(&self, request: &Message, status: u16) -> Message {
        let mut response = Message::answer(request, status);
        if let Some(leg) = self.legs.first() {
            response.tag_to(&leg.dialog.local_tag);
        }
        for route in request.lines(HeaderName::RecordRoute) {
            response.push(HeaderName::RecordRoute, route);
        }
        response
    }

    fn progress_183(&mut self, core: &mut Core, now: Instant) {
        let Phase::Incoming(incoming) = &self.phase else { return };
        let mut response = self.tagged(&incoming.request, 183);
        introduce(core, &mut response);
        if self.legs.first().is_some_and(|leg| leg.preconditions.is_some()) {
            response.push(HeaderName::Require, "precondition");
        }
        if let Some(answer) = self.describe(core) {
            response.set_body("application/sdp", answer);
        }
        if let Some(leg) = self.legs.first_mut()
            && let Some(table) = &mut leg.preconditions
        {
            // The confirmation is asked for once.
            table.confirm = None;
        }
        self.send_provisional(core, now, response);
        self.agree(core, now, 0);
    }

    fn ring(&mut self, core: &mut Core, now: Instant) {
        let policy = core.config.incoming;
        let early_media = core.config.options.early_media;
        let Phase::Incoming(incoming) = &mut self.phase else { return };
        incoming.ringing = true;
        self.progress.get_or_insert(now);
        let (reliable, offered) = (incoming.reliable, description(&incoming.request).is_some());
        let request = incoming.request.clone();
        let mut response = self.tagged(&request, 180);
        introduce(core, &mut response);
        // RFC 3261 §13.2.1: the first reliable response to an INVITE without offer has one.
        if (offered && early_media) || (!offered && reliable) {
            if let Some(body) = self.describe(core) {
                if let (Phase::Incoming(incoming), false) = (&mut self.phase, reliable) {
                    incoming.preview = Some(body.clone());
                }
                response.set_body("application/sdp", body);
            }
            self.agree(core, now, 0);
        }
        self.send_provisional(core, now, response);
        if let config::Incoming::Answer { ring } = policy {
            core.arm(self.key(CallTimer::Ring), now + ring);
        }
    }

    /// The telephone is picked up.
    pub(crate) fn answer(&mut self, core: &mut Core, now: Instant) {
        match &mut self.phase {
            Phase::Incoming(incoming) | Phase::Opening(Opening::Callee(incoming)) => {
                incoming.accept = true;
                self.advance(core, now);
            }
            _ => {}
        }
    }

    /// The call is not wanted.
    pub(crate) fn reject(&mut self, core: &mut Core, now: Instant, status: u16) {
        let status = if (300..700).contains(&status) { status } else { 603 };
        if matches!(self.phase, Phase::Incoming(_) | Phase::Opening(Opening::Callee(_))) {
            self.finish(core, now, By::Local, status, "rejected".into());
        }
    }

    fn accept(&mut self, core: &mut Core, now: Instant) {
        let body = self.describe(core);
        let phase = std::mem::replace(&mut self.phase, Phase::Active);
        let Phase::Incoming(incoming) = phase else {
            self.phase = phase;
            return;
        };
        let mut response = self.tagged(&incoming.request, 200);
        introduce(core, &mut response);
        if let Some(body) = body.or(incoming.preview) {
            response.set_body("application/sdp", body);
        }
        self.answer_timer(core, &incoming.request, &mut response);
        core.disarm(self.key(CallTimer::Ring));
        core.disarm(self.key(CallTimer::Reserve));
        self.changes.clear();
        if let Some(leg) = self.legs.first_mut() {
            leg.dialog.early = false;
        }
        self.answered = Some(now);
        self.progress.get_or_insert(now);
        self.start_timer(core, now, &response, false);
        self.send_success(core, now, incoming.server, response);
        self.report_answered(core, now);
        self.agree(core, now, 0);
        self.watch_hold(core, now);
    }

    /// Sends a 2xx to an INVITE, to be repeated until the ACK comes, RFC 3261 §13.3.1.4.
    pub(super) fn send_success(
        &mut self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        response: Message,
    ) {
        core.stack.respond(now, server, response.clone());
        let (interval, give_up) = (core.config.timers.t1, now + core.config.timers.give_up());
        core.arm(self.key(CallTimer::Success), now + interval);
        let hang_up = false;
        self.unacknowledged = Some(Unacknowledged { server, response, interval, give_up, hang_up });
    }

    pub(super) fn repeat_success(&mut self, core: &mut Core, now: Instant) {
        let t2 = core.config.timers.t2;
        let key = self.key(CallTimer::Success);
        let Some(waiting) = &mut self.unacknowledged else { return };
        if now >= waiting.give_up {
            self.verdict.get_or_insert((By::Failure, 408, "no ACK came".into()));
            return self.bye(core, now);
        }
        waiting.interval = (waiting.interval * 2).min(t2);
        core.arm(key, (now + waiting.interval).min(waiting.give_up));
        core.stack.respond(now, waiting.server, waiting.response.clone());
    }

    /// An ACK came.
    pub(crate) fn ack_received(&mut self, core: &mut Core, now: Instant, ack: &Message) {
        let number = |m: &Message| Some(m.get(HeaderName::CSeq).and_then(CSeq::parse)?.number);
        let fits = |u: &Unacknowledged| number(&u.response) == number(ack);
        let Some(waiting) = self.unacknowledged.take_if(|u| fits(u)) else { return };
        core.disarm(self.key(CallTimer::Success));
        if self.legs.first().is_some_and(|leg| leg.negotiation.is_pending()) {
            let body = description(ack).unwrap_or_default();
            if let Err(error) = self.take_answer(0, &body) {
                let text = format!("the answer in ACK cannot be used: {error}");
                self.trouble(core, "ue.bad_answer", &text);
                return self.finish(core, now, By::Failure, 488, text);
            }
            self.agree(core, now, 0);
            self.watch_hold(core, now);
        }
        if waiting.hang_up {
            return self.bye(core, now);
        }
        self.next_change(core, now);
    }

    /// The INVITE was cancelled; who did it may have said why.
    pub(crate) fn cancelled(
        &mut self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        why: &Message,
    ) {
        let ours = match &self.phase {
            Phase::Incoming(incoming) | Phase::Opening(Opening::Callee(incoming)) => {
                incoming.server == server
            }
            _ => false,
        };
        if ours {
            let text = why.get(HeaderName::Reason).unwrap_or("cancelled").to_owned();
            self.finish(core, now, By::Remote, 487, text);
        }
    }

    /// Whether this call came in by that transaction and still waits.
    pub(crate) fn waits_for(&self, server: ServerId) -> bool {
        matches!(&self.phase, Phase::Incoming(i) | Phase::Opening(Opening::Callee(i))
            if i.server == server)
    }

    /// Takes the peer's offer and gives the answer; the error is the status of the refusal.
    pub(super) fn take_offer(&mut self, core: &Core, offer: &[u8]) -> Result<Vec<u8>, u16> {
        let local = self.address(core);
        let leg = self.legs.first_mut().ok_or(481u16)?;
        let peer = leg.negotiation.receive_offer(offer).map_err(status_of)?.preconditions;
        if peer.is_some() {
            leg.hear(peer);
        }
        let table = leg.preconditions.filter(|_| peer.is_some());
        leg.negotiation.answer(local, table.as_ref()).map_err(status_of)
    }

    /// The description in a PRACK: the answer to our offer, or another offer.
    pub(super) fn take_late_answer_or_offer(
        &mut self,
        core: &Core,
        body: &[u8],
    ) -> Result<Option<Vec<u8>>, u16> {
        let ours = description(&self.invite).is_none()
            && self.legs.first().is_some_and(|leg| leg.negotiation.is_pending());
        if ours {
            return self.take_answer(0, body).map(|()| None).map_err(|_| 488);
        }
        self.take_offer(core, body).map(Some)
    }
}
