//! Transfers as the phone sees them: orders, REFER and what is told of it, and calls whose place another
//! one takes. See `call/transfer`.

use base::Instant;
use base::slots::Slot;
use sip::header::{NameAddr, Replaces};
use sip::uri::Uri;
use sip::{HeaderName, Message, ServerId};

use crate::call::{Call, status_in};
use crate::phone::{MOST_CALLS, Ue};
use crate::report::What;

impl Ue {
    /// Hands a call on to whoever has this name.
    pub(crate) fn transfer(&mut self, now: Instant, slot: Slot, to: &str) {
        let Some(uri) = self.core.target(to) else {
            return self.refuse(now, Some(slot), "nobody can be called by that name");
        };
        self.hand_on(now, slot, &uri);
    }

    /// Hands a call on to the other side of another one, whose place it takes.
    pub(crate) fn transfer_to_call(&mut self, now: Instant, slot: Slot, other: Slot) {
        let refer_to = self.with(other, |call, core| call.to_replace(core)).flatten();
        match refer_to {
            Some(uri) => self.hand_on(now, slot, &uri),
            None => self.refuse(now, Some(other), "no such active call"),
        }
    }

    fn hand_on(&mut self, now: Instant, slot: Slot, refer_to: &str) {
        let done = self.with(slot, |call, core| {
            let active = call.is_active();
            if active {
                call.refer(core, now, refer_to);
            }
            active
        });
        if done != Some(true) {
            self.refuse(now, Some(slot), "no such active call");
        }
    }

    /// We are asked to call somebody: in a call, and nowhere else.
    pub(crate) fn referred(
        &mut self,
        now: Instant,
        server: ServerId,
        request: &Message,
        slot: Slot,
    ) {
        let mut targets = request.lines(HeaderName::ReferTo);
        let (Some(target), None) = (targets.next().and_then(NameAddr::parse), targets.next())
        else {
            return self.core.reply(now, server, request, 400);
        };
        let headers = Uri::parse(target.uri).and_then(Uri::sip).and_then(|uri| uri.headers);
        let replaces = headers.and_then(Replaces::of_uri);
        let uri = target.uri.split('?').next().unwrap_or(target.uri);
        // Header fields that we do not know may mean that another call is wanted.
        let strange = headers.is_some() && replaces.is_none();
        let uri = self.core.target(uri).filter(|_| !strange && self.room());
        let Some(uri) = uri else { return self.core.reply(now, server, request, 603) };
        let mut response = self.core.stack.answer(request, 202);
        response.push(HeaderName::Contact, self.core.contact());
        self.core.stack.respond(now, server, response);
        let new = self.calls.insert(None);
        let what = What::Referred { call: slot.into(), to: uri.clone(), new: new.into() };
        self.core.report(now, what);
        let mut call = Call::dial(&mut self.core, now, new, &uri);
        call.on_behalf(request.get(HeaderName::ReferredBy), replaces.as_ref());
        call.transfer.asked_in = Some((slot, 0));
        self.put(now, new, call);
    }

    fn room(&self) -> bool {
        !self.draining && self.calls.len() < MOST_CALLS
    }

    /// How a call goes that the other side of this one was asked for.
    pub(crate) fn told_of_transfer(&mut self, now: Instant, server: ServerId, notify: &Message) {
        let asked = self.call_of(notify).filter(|slot| {
            let call = self.calls.get(*slot).and_then(Option::as_ref);
            call.is_some_and(|call| call.transfer.asked)
        });
        let Some(slot) = asked else { return self.core.reply(now, server, notify, 481) };
        let order = self.with(slot, |call, _| {
            let index = call.leg_of(|dialog| dialog.owns_request(notify));
            index.map_or(Err(481), |index| call.legs[index].dialog.take_request(notify))
        });
        if let Some(Err(status)) = order {
            return self.core.reply(now, server, notify, status);
        }
        self.core.reply(now, server, notify, 200);
        if let Some(status) = status_in(notify).filter(|status| *status >= 200) {
            self.transferred(now, slot, status);
        }
    }

    /// The transfer of a call came to its end.
    pub(crate) fn transferred(&mut self, now: Instant, slot: Slot, status: u16) {
        let asked = self.with(slot, |call, _| std::mem::take(&mut call.transfer.asked));
        if asked != Some(true) {
            return;
        }
        self.core.report(now, What::Transferred { call: slot.into(), status });
        if (200..300).contains(&status) {
            self.with(slot, |call, core| call.hang_up(core, now));
        }
    }

    /// The call whose place an INVITE takes; the error is the status of the refusal.
    pub(crate) fn replaced_by(&self, request: &Message) -> Result<Option<Slot>, u16> {
        let mut lines = request.lines(HeaderName::Replaces);
        let Some(value) = lines.next() else { return Ok(None) };
        let replaces = Replaces::parse(value).filter(|_| lines.next().is_none()).ok_or(400u16)?;
        let found = self.calls.iter().find_map(|(slot, call)| {
            let verdict = call.as_ref()?.may_be_replaced(&replaces)?;
            Some(verdict.map(|()| Some(slot)))
        });
        found.unwrap_or(Err(481))
    }

    /// After everything that happened: tells of calls that we were asked for, and ends those whose place is
    /// taken.
    pub(crate) fn follow_transfers(&mut self, now: Instant) {
        let concerns = |call: &Option<Box<Call>>| {
            let transfer = call.as_ref().map(|call| &call.transfer);
            transfer.is_some_and(|t| t.asked_in.is_some() || t.replaces.is_some())
        };
        if self.concluded.is_empty() && !self.calls.iter().any(|(_, call)| concerns(call)) {
            return;
        }
        let mut news = std::mem::take(&mut self.concluded);
        let mut replaced = Vec::new();
        let slots: Vec<Slot> = self.calls.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let Some(Some(call)) = self.calls.get_mut(slot) else { continue };
            let progress = call.progress();
            if let Some((asked_in, told)) = &mut call.transfer.asked_in
                && *told < 200
                && progress > *told
            {
                *told = progress;
                news.push((*asked_in, progress));
            }
            if call.is_active() {
                replaced.extend(call.transfer.replaces.take().map(|old| (old, slot)));
            }
        }
        for (asked_in, status) in news {
            self.with(asked_in, |call, core| call.tell_of_transfer(core, now, status));
        }
        for (old, new) in replaced {
            self.core.report(now, What::Replaced { call: old.into(), by: new.into() });
            self.with(old, |call, core| call.hang_up(core, now));
        }
    }
}
