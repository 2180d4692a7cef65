//! Calls that we make, RFC 3261 §13.2 and TS 24.229 §5.1.3.

use base::Instant;
use base::slots::Slot;
use sdp::Preconditions;
use sdp::precondition::Strength;
use sip::header::{CSeq, NameAddr};
use sip::{ClientId, Dialog, HeaderName, Message, Method};

use super::*;

impl Call {
    /// A call to `uri`; the INVITE goes out when the sockets are there.
    pub(crate) fn dial(core: &mut Core, now: Instant, slot: Slot, uri: &str) -> Call {
        let invite = core.request(Method::Invite, uri, uri);
        let phase = Phase::Opening(Opening::Caller);
        let mut call = Call::new(core, now, slot, phase, invite);
        call.media = Some(Media::open(core, slot));
        call
    }

    pub(super) fn send_invite(&mut self, core: &mut Core, now: Instant) {
        let local = self.address(core);
        let preconditions =
            core.config.options.preconditions.filter(|_| core.config.options.prack_100rel);
        let table = preconditions.map(|_| Preconditions::offer(false, Strength::Optional));
        let Ok(offer) = self.negotiation.offer(local, table.as_ref()) else {
            return self.over(core, now, By::Failure, 500, "no offer could be made".into());
        };
        let mut invite = self.invite.clone();
        introduce(core, &mut invite);
        invite.push(HeaderName::Accept, "application/sdp");
        core.telephony(&mut invite);
        if let Some(priority) = &core.config.options.priority {
            invite.push(HeaderName::Priority, priority.as_str());
        }
        self.ask_for_timer(core, &mut invite);
        invite.set_body("application/sdp", offer);
        self.began = now;
        self.launch(core, now, invite);
    }

    fn launch(&mut self, core: &mut Core, now: Instant, invite: Message) {
        let hop = core.first_hop(&invite);
        self.invite = invite.clone();
        self.launched = Some(core.send(now, Purpose::Invite(self.slot), invite, hop));
        self.phase = Phase::Inviting { cancelled: false };
        core.arm(self.key(CallTimer::Unanswered), now + super::uas::UNANSWERED);
    }

    /// The INVITE once more with another session interval, in a new transaction.
    fn relaunch(&mut self, core: &mut Core, now: Instant) {
        let mut invite = self.invite.clone();
        let number = invite.get(HeaderName::CSeq).and_then(CSeq::parse).map_or(1, |c| c.number);
        let cseq = CSeq { number: number + 1, method: Method::Invite };
        invite.set(HeaderName::CSeq, cseq.to_string());
        invite.remove(HeaderName::SessionExpires);
        invite.remove(HeaderName::MinSe);
        self.ask_for_timer(core, &mut invite);
        self.legs.clear();
        self.launch(core, now, invite);
    }

    /// A response to our INVITE, challenges excepted.
    pub(crate) fn invite_response(
        &mut self,
        core: &mut Core,
        now: Instant,
        client: ClientId,
        response: &Message,
    ) {
        let ours = self.launched == Some(client);
        let wanted = ours && !self.is_disowned(core, response);
        match (&self.phase, response.status()) {
            (Phase::Inviting { .. }, 101..200) if wanted => self.provisional(core, now, response),
            (Phase::Inviting { cancelled }, 200..300) if wanted => {
                let cancelled = *cancelled;
                self.success(core, now, response, cancelled);
            }
            (Phase::Inviting { .. }, 300..) if ours => self.refused(core, now, response),
            (_, 200..300) => self.success_again(core, now, client, response),
            _ => {}
        }
    }

    /// Leaves dialogs of our INVITE to those that are not wanted.
    pub(super) fn disown(&mut self, core: &mut Core, unwanted: impl Fn(&Leg) -> bool) {
        let pending = self.launched.and_then(|client| core.pending.get_mut(&client));
        let legs = self.legs.extract_if(.., |leg| unwanted(leg)).map(|leg| leg.dialog);
        let dialogs: Vec<_> = legs.collect();
        pending.into_iter().for_each(|pending| pending.forks.extend_from_slice(&dialogs));
    }

    fn is_disowned(&self, core: &Core, response: &Message) -> bool {
        let pending = self.launched.and_then(|client| core.pending.get(&client));
        pending.is_some_and(|p| p.forks.iter().any(|dialog| dialog.owns_response(response)))
    }

    /// The leg of a response, new if its tag is.
    fn leg(&mut self, core: &Core, response: &Message) -> Option<usize> {
        if let Some(index) = self.leg_of(|dialog| dialog.owns_response(response)) {
            self.legs[index].learn(response);
            return Some(index);
        }
        let dialog = Dialog::of_response(&self.invite, response)?;
        if dialog.early && self.legs.len() >= MOST_LEGS {
            return None;
        }
        let mut leg = Leg::new(dialog, self.negotiation.clone(), response);
        if core.config.options.preconditions.is_some() && core.config.options.prack_100rel {
            leg.preconditions = Some(Preconditions::offer(false, Strength::Optional));
        }
        self.legs.push(leg);
        Some(self.legs.len() - 1)
    }

    fn provisional(&mut self, core: &mut Core, now: Instant, response: &Message) {
        let Some(index) = self.leg(core, response) else { return };
        let reliable = response.lists(HeaderName::Require, "100rel");
        if reliable && !self.is_next(index, response) {
            return;
        }
        if matches!(response.status(), 180..=189) {
            self.progress.get_or_insert(now);
        }
        if response.status() == 180 && !std::mem::replace(&mut self.rang, true) {
            let delay = now.since(self.began);
            core.report(now, What::Ringing { call: self.id(), delay });
        }
        let answer = description(response);
        if reliable {
            if let Some(answer) = answer
                && self.awaits_answer(index)
                && let Err(error) = self.take_answer(index, &answer)
            {
                let text = format!("the answer cannot be used: {error}");
                self.trouble(core, "ue.bad_answer", &text);
                return self.finish(core, now, By::Failure, 488, text);
            }
            self.acknowledge(core, now, index, response);
            self.agree(core, now, index);
            self.reserve_after_answer(core, now, index);
        } else if let Some(answer) = answer {
            // A preview (RFC 3261 §13.2.1): the 2xx says the same once more, or nothing.
            let leg = &mut self.legs[index];
            leg.preview.get_or_insert_with(|| answer.clone());
            let mut preview = leg.negotiation.clone();
            if let (Ok(agreed), Some(media)) = (preview.receive_answer(&answer), &mut self.media) {
                media.agree(core, now, &agreed.clone(), false);
            }
        }
    }

    /// Whether the offer of our INVITE waits for its answer. An UPDATE's offer may wait as well: its
    /// answer comes in the response to the UPDATE, which the 2xx to the INVITE may overtake.
    fn awaits_answer(&self, index: usize) -> bool {
        let leg = &self.legs[index];
        let changing = self.changing.as_ref().is_some_and(|c| c.leg == leg.dialog.remote_tag);
        leg.negotiation.is_pending() && !changing
    }

    pub(super) fn take_answer(
        &mut self,
        index: usize,
        answer: &[u8],
    ) -> Result<(), sdp::offer_answer::OfferAnswerError> {
        let leg = &mut self.legs[index];
        let peer = leg.negotiation.receive_answer(answer)?.preconditions;
        leg.hear(peer);
        Ok(())
    }

    fn success(&mut self, core: &mut Core, now: Instant, response: &Message, cancelled: bool) {
        let Some(index) = self.leg(core, response) else {
            self.trouble(core, "ue.bad_2xx", "a 2xx without a readable dialog");
            return self.over(core, now, By::Failure, 500, "a 2xx without a dialog".into());
        };
        // The first 2xx wins; what the other forks send later is refused.
        let mut leg = self.legs.swap_remove(index);
        self.disown(core, |_| true);
        self.changing.take_if(|changing| changing.leg != leg.dialog.remote_tag);
        leg.dialog.take_success(&Method::Invite, response);
        leg.dialog.early = false;
        self.legs.push(leg);
        self.phase = Phase::Active;
        self.progress.get_or_insert(now);
        core.disarm(self.key(CallTimer::Cancel));
        let invite = self.invite.clone();
        self.send_ack(core, now, &invite);
        if cancelled {
            return self.bye(core, now);
        }
        if self.awaits_answer(0) {
            let preview = self.legs[0].preview.take().unwrap_or_default();
            let answer = description(response).unwrap_or(preview);
            if let Err(error) = self.take_answer(0, &answer) {
                let text = format!("the answer cannot be used: {error}");
                self.trouble(core, "ue.bad_answer", &text);
                return self.finish(core, now, By::Failure, 488, text);
            }
        }
        self.answered = Some(now);
        self.start_timer(core, now, response, true);
        self.agree(core, now, 0);
        self.report_answered(core, now);
        self.watch_hold(core, now);
    }

    pub(super) fn report_answered(&mut self, core: &mut Core, now: Instant) {
        let pdd = self.progress.unwrap_or(now).since(self.began);
        let delay = now.since(self.began);
        let agreed = self.legs.first().and_then(|leg| leg.negotiation.negotiated());
        let codec = agreed.map_or_else(String::new, |n| n.codec.name.clone());
        core.report(now, What::Answered { call: self.id(), pdd, delay, codec });
    }

    /// Acknowledges the 2xx to our last INVITE.
    pub(super) fn send_ack(&mut self, core: &mut Core, now: Instant, invite: &Message) {
        let Some(leg) = self.legs.first_mut() else { return };
        let ack = ack_of(&leg.dialog, invite);
        leg.ack = Some(ack.clone());
        core.send_ack(now, ack, &leg.dialog);
    }

    /// A 2xx that we have taken already, or that of another fork.
    fn success_again(
        &mut self,
        core: &mut Core,
        now: Instant,
        client: ClientId,
        response: &Message,
    ) {
        let ours = self.leg_of(|dialog| dialog.owns_response(response));
        match ours.map(|index| &self.legs[index]) {
            Some(leg) => {
                let cseq =
                    |m: &Message| Some(m.get(HeaderName::CSeq).and_then(CSeq::parse)?.number);
                if let Some(ack) = leg.ack.clone().filter(|ack| cseq(ack) == cseq(response)) {
                    core.send_ack(now, ack, &leg.dialog);
                }
            }
            None => refuse_fork(core, now, client, response),
        }
    }

    fn refused(&mut self, core: &mut Core, now: Instant, response: &Message) {
        let status = response.status();
        let invite = self.invite.clone();
        if self.verdict.is_none() && self.is_too_small(&invite, response) {
            return self.relaunch(core, now);
        }
        let (by, status, text) = match self.verdict.take() {
            // Our own CANCEL: 487, or whatever crossed it.
            Some((by, own, text)) => (by, if own == 487 { status } else { own }, text),
            None => (By::Remote, status, self.why(response)),
        };
        self.over(core, now, by, status, text);
    }

    fn why(&self, response: &Message) -> String {
        let mut text = reason(response);
        let contact = response.list(HeaderName::Contact).next().and_then(NameAddr::parse);
        if let (300..400, Some(contact)) = (response.status(), contact) {
            text.push_str(&format!("; now at {}", contact.uri));
        }
        if let Some(warning) = response.get(HeaderName::Warning) {
            text.push_str(&format!("; {warning}"));
        }
        text
    }

    /// Nobody answered our INVITE.
    pub(crate) fn invite_failed(&mut self, core: &mut Core, now: Instant, status: u16) {
        if !matches!(self.phase, Phase::Inviting { .. }) {
            return;
        }
        let text = if status == 408 { "no answer" } else { "nobody can be reached" };
        let (by, status, text) =
            self.verdict.take().unwrap_or((By::Failure, status, text.to_owned()));
        self.over(core, now, by, status, text);
    }
}

/// The ACK of a 2xx, RFC 3261 §13.2.2.4; the INVITE's credentials go along.
fn ack_of(dialog: &Dialog, invite: &Message) -> Message {
    let cseq = invite.get(HeaderName::CSeq).and_then(CSeq::parse).map_or(1, |c| c.number);
    let mut ack = dialog.ack(cseq);
    for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        for value in invite.lines(name) {
            ack.push(name, value);
        }
    }
    ack
}

/// RFC 3261 §13.2.2.4: a 2xx that nobody wants is acknowledged whenever it comes, and its dialog
/// ended once.
pub(crate) fn refuse_fork(core: &mut Core, now: Instant, client: ClientId, response: &Message) {
    let Some(pending) = core.pending.get_mut(&client) else { return };
    let known = pending.forks.iter().position(|dialog| dialog.owns_response(response));
    let known = known.map(|index| pending.forks.swap_remove(index));
    let new = || Some(Dialog { early: true, ..Dialog::of_response(&pending.request, response)? });
    let Some(mut dialog) = known.or_else(new) else { return };
    let ended = !dialog.early;
    dialog.take_success(&Method::Invite, response);
    let ack = ack_of(&dialog, &pending.request);
    core.send_ack(now, ack, &dialog);
    if !ended {
        let bye = dialog.request(Method::Bye);
        core.send_in(now, Purpose::Orphan, bye, &dialog);
    }
    if let Some(pending) = core.pending.get_mut(&client).filter(|p| p.forks.len() < MOST_FORKS) {
        pending.forks.push(dialog);
    }
}
