//! What the other side changes: UPDATE (RFC 3311) and re-INVITE (RFC 3261 §14.2).

use base::Instant;
use sip::session_timer::{Answer, MIN_SE, answer};
use sip::{HeaderName, Message, ServerId};

use super::*;

impl Call {
    /// An UPDATE came.
    pub(crate) fn update_received(
        &mut self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        request: &Message,
    ) {
        let offer = description(request);
        if self.is_ending() {
            return core.reply(now, server, request, 481);
        }
        let leg = self.leg_of(|dialog| dialog.owns_request(request)).map(|n| &self.legs[n]);
        if let Some(leg) = leg.filter(|leg| offer.is_some() && leg.negotiation.is_pending()) {
            // RFC 3311 §5.2: their own offer is unanswered, or ours is.
            let theirs = leg.negotiation.is_answering();
            return self.busy(core, now, server, request, if theirs { 500 } else { 491 });
        }
        let Some(mut response) = self.acceptable(core, now, server, request) else { return };
        if let Some(offer) = offer {
            match self.take_offer_on(core, request, &offer) {
                Ok(answer) => response.set_body("application/sdp", answer),
                Err(status) => return core.reply(now, server, request, status),
            }
        }
        if self.answered.is_some() {
            self.start_timer(core, now, &response, false);
        }
        core.stack.respond(now, server, response);
        self.agree(core, now, 0);
        self.watch_hold(core, now);
        self.advance(core, now);
        self.next_change(core, now);
    }

    /// A re-INVITE came.
    pub(crate) fn reinvite_received(
        &mut self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        request: &Message,
    ) {
        if self.is_ending() {
            return core.reply(now, server, request, 481);
        }
        // RFC 3261 §14.2: their first INVITE is not done, or one of ours is under way.
        if matches!(self.phase, Phase::Incoming(_) | Phase::Opening(_))
            || self.unacknowledged.is_some()
        {
            return self.busy(core, now, server, request, 500);
        }
        let pending = self.legs.iter().any(|leg| leg.negotiation.is_pending());
        if self.changing.is_some() || pending || !matches!(self.phase, Phase::Active) {
            return self.busy(core, now, server, request, 491);
        }
        let Some(mut response) = self.acceptable(core, now, server, request) else { return };
        let body = match description(request) {
            Some(offer) => self.take_offer(core, &offer),
            None => {
                let local = self.address(core);
                let leg = self.legs.first_mut();
                leg.and_then(|leg| leg.negotiation.offer(local, None).ok()).ok_or(500)
            }
        };
        match body {
            Ok(body) => response.set_body("application/sdp", body),
            Err(status) => return core.reply(now, server, request, status),
        }
        self.start_timer(core, now, &response, false);
        self.send_success(core, now, server, response);
        self.agree(core, now, 0);
        self.watch_hold(core, now);
    }

    fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Over)
    }

    fn busy(
        &self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        request: &Message,
        status: u16,
    ) {
        let mut response = core.stack.answer(request, status);
        if status == 500 {
            response.push(HeaderName::RetryAfter, core.random.below(11).to_string());
        }
        core.stack.respond(now, server, response);
    }

    /// The 2xx, unless the session interval is too small.
    fn acceptable(
        &mut self,
        core: &mut Core,
        now: Instant,
        server: ServerId,
        request: &Message,
    ) -> Option<Message> {
        if let Answer::TooSmall(least) = answer(request, 0, MIN_SE) {
            let mut response = core.stack.answer(request, 422);
            response.push(HeaderName::MinSe, least.to_string());
            core.stack.respond(now, server, response);
            return None;
        }
        let mut response = core.stack.answer(request, 200);
        introduce(core, &mut response);
        self.answer_timer(core, request, &mut response);
        Some(response)
    }

    /// As caller with forks, the offer is for the leg that it came in.
    fn take_offer_on(
        &mut self,
        core: &Core,
        request: &Message,
        offer: &[u8],
    ) -> Result<Vec<u8>, u16> {
        let index = self.leg_of(|dialog| dialog.owns_request(request)).unwrap_or(0);
        self.legs.swap(0, index);
        self.take_offer(core, offer)
    }
}
