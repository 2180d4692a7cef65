//! What we change: hold and resume (RFC 3264 §8.4), the refresh of RFC 4028, and the word that our
//! reservation is done. One change at a time, in the order that they were wanted.

use base::time::Duration;
use base::{Instant, Severity};
use sip::header::{CSeq, delta_seconds};
use sip::{ClientId, HeaderName, Message, Method};

use super::*;

/// A change that we want.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Put the peer on hold.
    Hold,
    /// Take the peer back.
    Resume,
    /// Our reservation is done, RFC 3312 §5.1.
    Reserve,
    /// The session goes on, RFC 4028 §7.4.
    Refresh,
}

/// A change under way.
pub(super) struct Changing {
    change: Change,
    pub(super) client: ClientId,
    /// The remote tag of its leg.
    pub(super) leg: String,
}

impl Call {
    /// Makes a change as soon as that is possible.
    pub(crate) fn want(&mut self, core: &mut Core, now: Instant, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push_back(change);
        }
        self.next_change(core, now);
    }

    /// Whether hold and resume make sense now.
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Active) && self.verdict.is_none()
    }

    pub(super) fn next_change(&mut self, core: &mut Core, now: Instant) {
        let waits = self.changing.is_some()
            || self.legs.iter().any(|leg| leg.pracks > 0)
            || self.unacknowledged.is_some()
            // RFC 3311 §5.1: no offer before the PRACK.
            || matches!(&self.phase, Phase::Incoming(incoming) if incoming.unpracked.is_some())
            || core.is_armed(self.key(CallTimer::Glare));
        let Some(change) = self.changes.front().copied().filter(|_| !waits) else { return };
        let index = match (&self.phase, change) {
            (Phase::Inviting { cancelled: false, .. } | Phase::Incoming(_), Change::Reserve) => {
                let ready = |leg: &Leg| leg.has_news() && leg.negotiation.negotiated().is_some();
                self.legs.iter().position(ready)
            }
            (Phase::Active, Change::Hold | Change::Resume | Change::Refresh) => Some(0),
            (Phase::Active, Change::Reserve) => None,
            _ => return,
        };
        let Some(index) = index.filter(|index| *index < self.legs.len()) else {
            self.changes.pop_front();
            return self.next_change(core, now);
        };
        if self.legs[index].negotiation.is_pending() {
            return;
        }
        self.changes.pop_front();
        self.make(core, now, change, index);
    }

    fn make(&mut self, core: &mut Core, now: Instant, change: Change, index: usize) {
        let local = self.address(core);
        let leg = &mut self.legs[index];
        let (method, describes) = match change {
            Change::Hold | Change::Resume => (Method::Invite, true),
            Change::Reserve => (Method::Update, true),
            Change::Refresh if leg.update => (Method::Update, false),
            Change::Refresh => (Method::Invite, true),
        };
        let mut table = None;
        match change {
            Change::Hold => leg.negotiation.hold(true),
            Change::Resume => leg.negotiation.hold(false),
            Change::Reserve => {
                leg.told = true;
                table = leg.preconditions;
            }
            Change::Refresh => {}
        }
        let offer = describes.then(|| leg.negotiation.offer(local, table.as_ref()));
        let offer = match offer.transpose() {
            Ok(offer) => offer,
            Err(error) => {
                let text = format!("{change:?} is not possible: {error}");
                return self.trouble(core, "ue.no_offer", &text);
            }
        };
        let mut request = leg.dialog.request(method);
        introduce(core, &mut request);
        if let Some(offer) = offer {
            request.set_body("application/sdp", offer);
        }
        if table.is_some() {
            request.push(HeaderName::Require, "precondition");
        }
        if self.answered.is_some() {
            self.ask_for_timer(core, &mut request);
        }
        let purpose = Purpose::Change(self.slot);
        let dialog = &self.legs[index].dialog;
        let client = core.send_in(now, purpose, request, dialog);
        self.changing = Some(Changing { change, client, leg: dialog.remote_tag.clone() });
    }

    /// The final answer to a change, challenges excepted.
    pub(crate) fn change_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        client: ClientId,
        request: &Message,
        response: &Message,
    ) {
        let invite = request.method() == Some(&Method::Invite);
        let success = (200..300).contains(&response.status());
        let Some(Changing { change, .. }) = self.changing.take_if(|c| c.client == client) else {
            if invite && success {
                self.change_success_again(core, now, request, response);
            }
            return;
        };
        let Some(index) = self.leg_to(request) else { return };
        if !success {
            return self.change_refused(core, now, change, index, request, response);
        }
        let leg = &mut self.legs[index];
        leg.learn(response);
        leg.dialog.take_success(request.method().unwrap_or(&Method::Update), response);
        if invite {
            self.send_ack(core, now, request);
        }
        if self.legs[index].negotiation.is_pending() && description(request).is_some() {
            let answer = description(response).unwrap_or_default();
            if let Err(error) = self.take_answer(index, &answer) {
                let text = format!("the answer cannot be used: {error}");
                self.trouble(core, "ue.bad_answer", &text);
                return self.finish(core, now, By::Failure, 488, text);
            }
        }
        // The answer to an UPDATE of before the call was answered says nothing about its timer.
        let timed = |message: &Message| message.has(HeaderName::SessionExpires);
        if self.answered.is_some() && (timed(request) || timed(response)) {
            self.start_timer(core, now, response, true);
        }
        self.agree(core, now, index);
        match change {
            Change::Hold => core.report(now, What::Held(self.id())),
            Change::Resume => core.report(now, What::Resumed(self.id())),
            Change::Reserve => self.reserve_others(core, now),
            Change::Refresh => {}
        }
        self.watch_hold(core, now);
        self.next_change(core, now);
    }

    /// A 2xx to a re-INVITE came again: its ACK was lost.
    fn change_success_again(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Message,
        response: &Message,
    ) {
        let cseq = |m: &Message| Some(m.get(HeaderName::CSeq).and_then(CSeq::parse)?.number);
        let leg = self.legs.iter().find(|leg| leg.dialog.owns_response(response));
        if let Some(leg) = leg
            && let Some(ack) = leg.ack.clone().filter(|ack| cseq(ack) == cseq(request))
        {
            core.send_ack(now, ack, &leg.dialog);
        }
    }

    fn change_refused(
        &mut self,
        core: &mut Core,
        now: Instant,
        change: Change,
        index: usize,
        request: &Message,
        response: &Message,
    ) {
        let status = response.status();
        let again = self.is_too_small(request, response);
        let later = response.get(HeaderName::RetryAfter).and_then(delta_seconds);
        let leg = &mut self.legs[index];
        leg.negotiation.withdraw();
        match (status, change) {
            // RFC 3311 §5.2: 500 with Retry-After is the peer's offer that waits for its answer.
            (491 | 500, _) if status == 491 || later.is_some() => {
                leg.told = false;
                // RFC 3261 §14.1: the owner of the Call-ID waits longer.
                let ours = self.invite.get(HeaderName::From).is_some_and(|f| f == leg.dialog.local);
                let (least, range) = if ours { (2100, 191) } else { (0, 201) };
                let wait = Duration::from_millis(least + 10 * core.random.below(range));
                let wait = wait.max(Duration::from_secs(u64::from(later.unwrap_or(0))));
                self.changes.push_front(change);
                core.arm(self.key(CallTimer::Glare), now + wait);
            }
            _ if again => {
                self.changes.push_front(change);
                self.next_change(core, now);
            }
            // RFC 3261 §12.2.1.2, RFC 4028 §10.
            (408 | 481, _) => {
                let text = format!("{change:?} was answered with {status}");
                self.leg_failed(core, now, request, status, text);
            }
            (405 | 501, Change::Refresh) if leg.update => {
                leg.update = false;
                self.want(core, now, Change::Refresh);
            }
            (_, Change::Hold | Change::Resume) => {
                // What was agreed on before stays, and so does our wish of before.
                leg.negotiation.hold(change == Change::Resume);
                core.report(now, What::ChangeRefused { call: self.id(), status });
                self.next_change(core, now);
            }
            (_, Change::Reserve) => {
                let text = format!("the reservation was answered with {status}");
                self.leg_failed(core, now, request, 580, text);
            }
            (_, Change::Refresh) => {
                let text = format!("call {:x}: refresh got {status}", self.slot.to_bits());
                core.log(Severity::Warning, "ue.refresh_refused", text);
                self.next_change(core, now);
            }
        }
    }

    /// Nobody answered a change.
    pub(crate) fn change_failed(
        &mut self,
        core: &mut Core,
        now: Instant,
        client: ClientId,
        request: &Message,
        status: u16,
    ) {
        if let Some(Changing { change, .. }) = self.changing.take_if(|c| c.client == client) {
            let text = format!("nobody answered {change:?}");
            self.leg_failed(core, now, request, status, text);
        }
    }

    /// The leg that a request of ours went to is dead. While others may still answer, the call goes
    /// on without it.
    pub(super) fn leg_failed(
        &mut self,
        core: &mut Core,
        now: Instant,
        request: &Message,
        status: u16,
        text: String,
    ) {
        let inviting = matches!(self.phase, Phase::Inviting { cancelled: false });
        // A fork that is gone already does not matter.
        let Some(index) = self.leg_to(request) else { return };
        if !inviting || self.legs.len() == 1 {
            return self.finish(core, now, By::Failure, status, text);
        }
        let dead = self.legs[index].dialog.remote_tag.clone();
        self.changing.take_if(|changing| changing.leg == dead);
        self.disown(core, |leg| leg.dialog.remote_tag == dead);
        self.reserve_others(core, now);
        self.next_change(core, now);
    }

    /// The forks that were not told of our reservation yet are.
    fn reserve_others(&mut self, core: &mut Core, now: Instant) {
        if self.legs.iter().any(Leg::has_news) {
            return self.want(core, now, Change::Reserve);
        }
        self.advance(core, now);
    }
}
