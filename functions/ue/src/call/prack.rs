//! Reliable provisional responses, RFC 3262, both roles.

use base::Instant;
use sip::header::{CSeq, RAck, delta_seconds};
use sip::{HeaderName, Message, Method, ServerId};

use super::uas::Unpracked;
use super::*;

impl Call {
    /// Whether a reliable response is the next one of its leg (§4); repeated and early ones are not.
    pub(super) fn is_next(&mut self, index: usize, response: &Message) -> bool {
        let Some(rseq) = response.get(HeaderName::RSeq).and_then(delta_seconds) else {
            return false;
        };
        let leg = &mut self.legs[index];
        let next = leg.rseq.is_none_or(|last| last.checked_add(1) == Some(rseq));
        if next {
            leg.rseq = Some(rseq);
        }
        next
    }

    /// Sends the PRACK of the response that was just taken.
    pub(super) fn acknowledge(
        &mut self,
        core: &mut Core,
        now: Instant,
        index: usize,
        response: &Message,
    ) {
        let Some(cseq) = response.get(HeaderName::CSeq).and_then(CSeq::parse) else { return };
        let leg = &mut self.legs[index];
        let Some(rseq) = leg.rseq else { return };
        let mut prack = leg.dialog.request(Method::Prack);
        prack.push(HeaderName::RAck, RAck { rseq, cseq }.to_string());
        core.send_in(now, Purpose::Prack(self.slot), prack, &leg.dialog);
        leg.pracks += 1;
    }

    /// Our PRACK was answered. One that was not ends its leg: the callee will give up, too.
    pub(crate) fn prack_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Message,
        status: u16,
    ) {
        if let Some(index) = self.leg_to(request) {
            let leg = &mut self.legs[index];
            leg.pracks = leg.pracks.saturating_sub(1);
        }
        if status >= 300 {
            let text = format!("PRACK was answered with {status}");
            self.trouble(core, "ue.prack_refused", &text);
            if matches!(self.phase, Phase::Inviting { .. }) && matches!(status, 408 | 481 | 503) {
                return self.leg_failed(core, now, request, status, text);
            }
        }
        self.next_change(core, now);
    }

    /// Sends a provisional response, reliably if both sides want that.
    pub(super) fn send_provisional(
        &mut self,
        core: &mut Core,
        now: Instant,
        mut response: Message,
    ) {
        let values = core.config.timers;
        let key = self.key(CallTimer::Provisional);
        let Phase::Incoming(incoming) = &mut self.phase else { return };
        if incoming.reliable {
            incoming.rseq += 1;
            response.push(HeaderName::Require, "100rel");
            response.push(HeaderName::RSeq, incoming.rseq.to_string());
            incoming.unpracked = Some(Unpracked {
                rseq: incoming.rseq,
                response: response.clone(),
                interval: values.t1,
                give_up: now + values.give_up(),
            });
            core.arm(key, now + values.t1);
        }
        core.stack.respond(now, incoming.server, response);
    }

    /// No PRACK yet: again after twice the time, and after 64*T1 no more (§3).
    pub(super) fn repeat_provisional(&mut self, core: &mut Core, now: Instant) {
        let key = self.key(CallTimer::Provisional);
        let Phase::Incoming(incoming) = &mut self.phase else { return };
        let server = incoming.server;
        let Some(unpracked) = &mut incoming.unpracked else { return };
        if now >= unpracked.give_up {
            return self.finish(core, now, By::Failure, 504, "no PRACK came".into());
        }
        unpracked.interval *= 2;
        let (response, at) = (unpracked.response.clone(), now + unpracked.interval);
        core.arm(key, at.min(unpracked.give_up));
        core.stack.respond(now, server, response);
    }

    /// A PRACK came.
    pub(crate) fn prack_received(
        &mut self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        request: &Message,
    ) {
        let rack = request.get(HeaderName::RAck).and_then(RAck::parse);
        let own_cseq = self.invite.get(HeaderName::CSeq).and_then(CSeq::parse);
        let key = self.key(CallTimer::Provisional);
        let Phase::Incoming(incoming) = &mut self.phase else {
            return core.reply(now, server, request, 481);
        };
        let awaited = incoming.unpracked.as_ref().map(|u| u.rseq);
        let fits = rack.is_some_and(|r| Some(r.rseq) == awaited && Some(r.cseq) == own_cseq);
        if !fits {
            return core.reply(now, server, request, 481);
        }
        incoming.unpracked = None;
        core.disarm(key);
        let mut response = core.stack.answer(request, 200);
        if let Some(body) = description(request) {
            match self.take_late_answer_or_offer(core, &body) {
                Ok(Some(answer)) => response.set_body("application/sdp", answer),
                Ok(None) => {}
                Err(status) => return core.reply(now, server, request, status),
            }
        }
        core.stack.respond(now, server, response);
        self.agree(core, now, 0);
        self.advance(core, now);
        self.next_change(core, now);
    }
}
