//! The phone as a function: what comes in is handed to whom it concerns.

use std::collections::VecDeque;

use base::census::{self, Census};
use base::flow::Service;
use base::slots::{Slot, Slots};
use base::{Bytes, Deadline, Flow, Function, Input, Instant, Output, Random, Severity};
use sip::header::{CSeq, Event as SubscriptionEvent, NameAddr};
use sip::stack::Event;
use sip::{ClientId, HeaderName, Message, Method, ServerId};

use crate::authenticate::AuthError;
use crate::call::{Call, Change, refuse_fork};
use crate::config::UeConfig;
use crate::core::{ALLOW, Core, Pending, Purpose, TimerKey, reason};
use crate::flows::Further;
use crate::order::UeOrder;
use crate::reg_event::Subscription;
use crate::registration::Registration;
use crate::report::What;
use crate::short_message::ShortMessages;

/// Requests remembered at most to recognise merged ones.
const MOST_RECENT: usize = 256;
/// Calls at the same time at most.
pub(crate) const MOST_CALLS: usize = 64;

/// One phone. Orders are [`UeOrder`], reports are [`crate::UeReport`].
pub struct Ue {
    pub(crate) core: Core,
    pub(crate) registration: Registration,
    pub(crate) further: Vec<Further>,
    pub(crate) subscription: Subscription,
    pub(crate) short_messages: ShortMessages,
    pub(crate) calls: Slots<Option<Box<Call>>>,
    /// Calls in which we were asked for others that are over now, and how those ended.
    pub(crate) concluded: Vec<(Slot, u16)>,
    /// Call-ID, From tag and CSeq of requests without a To tag, RFC 3261 §8.2.2.2.
    recent: VecDeque<(Instant, String)>,
    pub(crate) draining: bool,
}

impl Ue {
    /// A phone that does nothing until it is told to.
    pub fn new(config: UeConfig, random: Random) -> Ue {
        let several = config.options.instance.is_some() && config.options.reg_id.is_some();
        let further = config.further_proxies.iter().filter(|_| several).cloned();
        Ue {
            further: further.map(Further::new).collect(),
            core: Core::new(config, random),
            registration: Registration::default(),
            subscription: Subscription::default(),
            short_messages: ShortMessages::default(),
            calls: Slots::default(),
            concluded: Vec::new(),
            recent: VecDeque::new(),
            draining: false,
        }
    }

    /// Whether the phone is registered.
    pub fn is_registered(&self) -> bool {
        self.registration.is_registered()
    }

    /// Calls that are not over.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// How many things are alive.
    pub fn census(&self) -> Census {
        let (client, server) = self.core.stack.transactions();
        Census(vec![
            ("client transactions", client),
            ("server transactions", server),
            ("requests", self.core.pending.len()),
            ("registrations", usize::from(self.registration.is_registered())),
            ("calls", self.calls.len()),
            ("media sockets", self.core.sockets.len() + self.core.opening.len()),
        ])
    }

    /// Runs `f` on a call and takes the call out of the table if it is over then.
    pub(crate) fn with<R>(
        &mut self,
        slot: Slot,
        f: impl FnOnce(&mut Call, &mut Core) -> R,
    ) -> Option<R> {
        let call = self.calls.get_mut(slot)?.as_mut()?;
        let result = f(call, &mut self.core);
        if call.is_over() {
            let untold = call.transfer.asked_in.filter(|(_, told)| *told < 200);
            self.concluded.extend(untold.map(|(asked_in, _)| (asked_in, call.ended)));
            self.calls.remove(slot);
        }
        Some(result)
    }

    fn order(&mut self, now: Instant, order: UeOrder) {
        let refuse = |ue: &mut Ue, reason: &str| ue.refuse(now, None, reason);
        match order {
            UeOrder::Register => self.register(now),
            UeOrder::Deregister => self.deregister(now),
            UeOrder::Call { to, token } => {
                let Some(uri) = self.core.target(&to) else {
                    return refuse(self, "nobody can be called by that name");
                };
                if self.draining || self.calls.len() >= MOST_CALLS {
                    return refuse(self, "no more calls are taken");
                }
                let slot = self.calls.insert(None);
                self.core.report(now, What::Calling { call: slot.into(), token });
                let call = Call::dial(&mut self.core, now, slot, &uri);
                self.put(now, slot, call);
            }
            UeOrder::Message { to, text, token } => self.send_message(now, &to, &text, token),
            UeOrder::ShortMessage { to, text, centre, status_report, token } => {
                self.send_short_message(now, (&to, &text), &centre, status_report, token);
            }
            UeOrder::Memory { full, centre } => self.set_memory(now, &centre, full),
            UeOrder::Options { to, token } => self.send_options(now, &to, token),
            UeOrder::Answer(id) => self.call_order(now, id.slot(), |c, core| c.answer(core, now)),
            UeOrder::Reject { call, status } => {
                self.call_order(now, call.slot(), |c, core| c.reject(core, now, status));
            }
            UeOrder::Hangup(id) => self.call_order(now, id.slot(), |c, core| c.hang_up(core, now)),
            UeOrder::Hold(id) => self.change(now, id.slot(), Change::Hold),
            UeOrder::Resume(id) => self.change(now, id.slot(), Change::Resume),
            UeOrder::Transfer { call, to } => self.transfer(now, call.slot(), &to),
            UeOrder::TransferTo { call, other } => {
                self.transfer_to_call(now, call.slot(), other.slot());
            }
            UeOrder::Dtmf { call, digits } => {
                let queued = self
                    .with(call.slot(), |c, _| c.media().is_some_and(|media| media.digits(&digits)));
                if queued != Some(true) {
                    self.refuse(now, Some(call.slot()), "no call that takes these digits");
                }
            }
        }
    }

    fn change(&mut self, now: Instant, slot: Slot, change: Change) {
        let done = self.with(slot, |call, core| {
            let active = call.is_active();
            if active {
                call.want(core, now, change);
            }
            active
        });
        if done != Some(true) {
            self.refuse(now, Some(slot), "no such active call");
        }
    }

    fn call_order(&mut self, now: Instant, slot: Slot, f: impl FnOnce(&mut Call, &mut Core)) {
        if self.with(slot, f).is_none() {
            self.refuse(now, Some(slot), "no such call");
        }
    }

    /// Ends every call.
    pub(crate) fn hang_up_all(&mut self, now: Instant) {
        let slots: Vec<Slot> = self.calls.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.with(slot, |call, core| call.hang_up(core, now));
        }
    }

    pub(crate) fn refuse(&mut self, now: Instant, call: Option<Slot>, reason: &str) {
        let (call, reason) = (call.map(Into::into), reason.to_owned());
        self.core.report(now, What::OrderRefused { call, reason });
    }

    /// Puts a new call into its slot.
    pub(crate) fn put(&mut self, now: Instant, slot: Slot, call: Call) {
        if let Some(place) = self.calls.get_mut(slot) {
            *place = Some(Box::new(call));
        }
        // Without sound there is nothing to wait for.
        self.with(slot, |call, core| call.media_changed(core, now));
    }

    // ---- what the stack tells

    fn events(&mut self, now: Instant) {
        while let Some(event) = self.core.stack.poll_event() {
            match event {
                Event::Request { server, request, .. } => self.request(now, server, request),
                Event::Ack { request, .. } => {
                    if let Some(slot) = self.call_of(&request) {
                        self.with(slot, |call, core| call.ack_received(core, now, &request));
                    }
                }
                Event::Cancel { server, request } => {
                    let slot = self.find(|call| call.waits_for(server));
                    if let Some(slot) = slot {
                        self.with(slot, |c, core| c.cancelled(core, now, server, &request));
                    }
                }
                Event::Response { client, response, flow } => {
                    self.response(now, client, response, flow);
                }
                Event::Failed { client, failure } => {
                    let pending = self.core.pending.remove(&client);
                    let untold = pending.and_then(|pending| self.by_another_flow(now, pending));
                    if let Some(pending) = untold {
                        self.failed(now, client, pending, failure.status());
                    }
                }
                Event::FlowClosed { flow } => {
                    self.further_flow_closed(now, flow);
                    self.registration_flow_closed(now, flow);
                }
            }
        }
    }

    fn find(&self, wanted: impl Fn(&Call) -> bool) -> Option<Slot> {
        let mut calls = self.calls.iter();
        calls.find(|(_, call)| call.as_ref().is_some_and(|c| wanted(c))).map(|(slot, _)| slot)
    }

    /// The call whose dialog a request belongs to.
    pub(crate) fn call_of(&self, request: &Message) -> Option<Slot> {
        self.find(|call| call.leg_of(|dialog| dialog.owns_request(request)).is_some())
    }

    fn request(&mut self, now: Instant, server: ServerId, request: Message) {
        let Some(method) = request.method().cloned() else { return };
        if matches!(method, Method::Register | Method::Subscribe | Method::Publish)
            || matches!(method, Method::Other(_))
        {
            let mut response = self.core.stack.answer(&request, 405);
            response.push(HeaderName::Allow, ALLOW);
            return self.core.stack.respond(now, server, response);
        }
        let unknown = |option: &&str| !self.core.understands(option);
        let unknown: Vec<_> = request.list(HeaderName::Require).filter(unknown).collect();
        if !unknown.is_empty() {
            let unknown = unknown.join(", ");
            let mut response = self.core.stack.answer(&request, 420);
            response.push(HeaderName::Unsupported, unknown);
            return self.core.stack.respond(now, server, response);
        }
        if request.to_tag().is_some() {
            return self.request_in_dialog(now, server, &method, &request);
        }
        if self.is_merged(now, &request) {
            return self.core.reply(now, server, &request, 482);
        }
        match method {
            Method::Invite => self.invite(now, server, request),
            Method::Message => self.message_received(now, server, &request),
            Method::Options => self.options_received(now, server, &request),
            Method::Notify => self.notify(now, server, &request),
            Method::Refer => self.core.reply(now, server, &request, 603),
            _ => self.core.reply(now, server, &request, 481),
        }
    }

    fn invite(&mut self, now: Instant, server: ServerId, request: Message) {
        if self.draining || self.calls.len() >= MOST_CALLS {
            let status = if self.draining { 480 } else { 486 };
            return self.core.reply(now, server, &request, status);
        }
        let replaced = match self.replaced_by(&request) {
            Ok(replaced) => replaced,
            Err(status) => return self.core.reply(now, server, &request, status),
        };
        let slot = self.calls.insert(None);
        match Call::take(&mut self.core, now, slot, server, request) {
            Some(mut call) => {
                call.transfer.replaces = replaced;
                self.put(now, slot, call);
                if replaced.is_some() {
                    // RFC 3891 §3: whoever spoke there goes on here.
                    self.with(slot, |call, core| call.answer(core, now));
                }
            }
            None => {
                self.calls.remove(slot);
            }
        }
    }

    /// RFC 3261 §8.2.2.2: the same request by another way.
    fn is_merged(&mut self, now: Instant, request: &Message) -> bool {
        let life = self.core.config.timers.give_up();
        while self.recent.front().is_some_and(|(at, _)| now.since(*at) > life) {
            self.recent.pop_front();
        }
        let from = request.get(HeaderName::From).and_then(NameAddr::parse);
        let (call, cseq) = (request.get(HeaderName::CallId), request.get(HeaderName::CSeq));
        let tag = from.and_then(|f| f.tag()).unwrap_or("");
        let key = format!("{}|{tag}|{}", call.unwrap_or(""), cseq.unwrap_or(""));
        if self.recent.iter().any(|(_, other)| *other == key) {
            return true;
        }
        if self.recent.len() >= MOST_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((now, key));
        false
    }

    fn request_in_dialog(
        &mut self,
        now: Instant,
        server: ServerId,
        method: &Method,
        request: &Message,
    ) {
        if *method == Method::Notify {
            let event = request.get(HeaderName::Event).and_then(SubscriptionEvent::parse);
            if event.is_some_and(|event| event.package.eq_ignore_ascii_case("refer")) {
                return self.told_of_transfer(now, server, request);
            }
            return self.notify(now, server, request);
        }
        let Some(slot) = self.call_of(request) else {
            return self.core.reply(now, server, request, 481);
        };
        let order = self.with(slot, |call, _| {
            let index = call.leg_of(|dialog| dialog.owns_request(request));
            index.map_or(Err(481), |index| call.legs[index].dialog.take_request(request))
        });
        if let Some(Err(status)) = order {
            return self.core.reply(now, server, request, status);
        }
        match method {
            Method::Message => self.message_received(now, server, request),
            Method::Options => self.options_received(now, server, request),
            Method::Info => self.info_received(now, server, request, slot.into()),
            Method::Refer => self.referred(now, server, request, slot),
            _ => {
                self.with(slot, |call, core| match method {
                    Method::Bye => call.bye_received(core, now, server, request),
                    Method::Prack => call.prack_received(core, now, server, request),
                    Method::Update => call.update_received(core, now, server, request),
                    _ => call.reinvite_received(core, now, server, request),
                });
            }
        }
    }

    fn response(&mut self, now: Instant, client: ClientId, response: Message, flow: Flow) {
        let Some(pending) = self.core.pending.get(&client) else { return };
        let status = response.status();
        if status < 200 {
            if let Purpose::Invite(slot) = pending.purpose {
                self.with(slot, |c, core| c.invite_response(core, now, client, &response));
            }
            return;
        }
        // A 2xx to INVITE may come again, from here and from other forks.
        if pending.request.method() == Some(&Method::Invite) && status < 300 {
            let until = now + self.core.config.timers.give_up();
            let (purpose, request) = (pending.purpose.clone(), pending.request.clone());
            self.core.arm(TimerKey::Forget(client), until);
            return self.success(now, client, &purpose, &request, &response);
        }
        let Some(pending) = self.core.pending.remove(&client) else { return };
        if matches!(status, 401 | 407) && self.may_repeat(&pending) {
            return self.challenged(now, client, pending, &response);
        }
        self.final_response(now, client, &pending, &response, Some(flow));
    }

    fn success(
        &mut self,
        now: Instant,
        client: ClientId,
        purpose: &Purpose,
        request: &Message,
        response: &Message,
    ) {
        let known = match purpose {
            Purpose::Invite(slot) => {
                self.with(*slot, |c, core| c.invite_response(core, now, client, response))
            }
            Purpose::Change(slot) => self.with(*slot, |c, core| {
                c.change_response(core, now, client, request, response);
            }),
            _ => None,
        };
        if known.is_none() && matches!(purpose, Purpose::Invite(_)) {
            refuse_fork(&mut self.core, now, client, response);
        }
    }

    fn final_response(
        &mut self,
        now: Instant,
        client: ClientId,
        pending: &Pending,
        response: &Message,
        flow: Option<Flow>,
    ) {
        let status = response.status();
        match pending.purpose {
            Purpose::Register => {
                if let Some(flow) = flow {
                    self.register_response(now, response, flow);
                }
            }
            Purpose::Further(index) => {
                self.answered_over(now, index, flow.map(|flow| (response, flow)));
            }
            Purpose::Subscribe => self.subscribe_response(now, response),
            Purpose::Message { token } => {
                let reason = reason(response);
                self.core.report(now, What::MessageResult { token, status, reason });
            }
            Purpose::ShortMessage { reference } => {
                self.short_message_sent(now, reference, status, &reason(response));
            }
            Purpose::Options { token } => {
                let allow = response.lines(HeaderName::Allow).collect::<Vec<_>>().join(", ");
                self.core.report(now, What::OptionsResult { token, status, allow });
            }
            Purpose::Invite(slot) => {
                self.with(slot, |c, core| c.invite_response(core, now, client, response));
            }
            Purpose::Change(slot) => {
                let request = &pending.request;
                self.with(slot, |c, core| c.change_response(core, now, client, request, response));
            }
            Purpose::Prack(slot) => {
                let request = &pending.request;
                self.with(slot, |c, core| c.prack_response(core, now, request, status));
            }
            Purpose::Bye(slot) => {
                self.with(slot, |c, core| c.bye_done(core, now, status));
            }
            Purpose::Refer(slot) if status >= 300 => self.transferred(now, slot, status),
            Purpose::Refer(_) | Purpose::Orphan => {}
        }
        if status == 504 && !matches!(pending.purpose, Purpose::Register) {
            self.register_anew(now, response);
        }
    }

    /// Nobody answered.
    fn failed(&mut self, now: Instant, client: ClientId, pending: Pending, status: u16) {
        let reason = if status == 408 { "no answer" } else { "nobody can be reached" }.to_owned();
        match pending.purpose {
            Purpose::Register => self.register_failed(now, status, reason, None),
            Purpose::Further(index) => self.answered_over(now, index, None),
            Purpose::Subscribe => self.subscribe_failed(now, status),
            Purpose::Message { token } => {
                self.core.report(now, What::MessageResult { token, status, reason });
            }
            Purpose::ShortMessage { reference } => {
                self.short_message_sent(now, reference, status, &reason);
            }
            Purpose::Options { token } => {
                let allow = String::new();
                self.core.report(now, What::OptionsResult { token, status, allow });
            }
            Purpose::Invite(slot) => {
                self.with(slot, |c, core| c.invite_failed(core, now, status));
            }
            Purpose::Change(slot) => {
                let request = &pending.request;
                self.with(slot, |c, core| c.change_failed(core, now, client, request, status));
            }
            Purpose::Prack(slot) => {
                let request = &pending.request;
                self.with(slot, |c, core| c.prack_response(core, now, request, status));
            }
            Purpose::Bye(slot) => {
                self.with(slot, |c, core| c.bye_done(core, now, status));
            }
            Purpose::Refer(slot) => self.transferred(now, slot, status),
            Purpose::Orphan => {}
        }
    }

    // ---- challenges

    /// Whether anybody still wants an answer to this request.
    fn may_repeat(&self, pending: &Pending) -> bool {
        match pending.purpose {
            Purpose::Invite(slot) => {
                self.calls.get(slot).and_then(Option::as_ref).is_some_and(|c| !c.is_cancelled())
            }
            _ => true,
        }
    }

    /// A 401 or 407, RFC 3261 §22.2 and §22.3: the same request with credentials.
    fn challenged(
        &mut self,
        now: Instant,
        client: ClientId,
        mut pending: Pending,
        response: &Message,
    ) {
        let core = &mut self.core;
        let mut request = pending.request.clone();
        let (answered, random) = (&mut pending.answered, &mut core.random);
        if let Err(error) = core.authenticator.answer(response, &mut request, answered, random) {
            return self.unanswerable(now, client, pending, response, error);
        }
        let cseq = request.get(HeaderName::CSeq).and_then(CSeq::parse);
        let Some(CSeq { number, method }) = cseq else { return };
        let slot = pending.purpose.call();
        let call = slot.and_then(|slot| self.calls.get_mut(slot)).and_then(Option::as_mut);
        let last = call.as_ref().map_or(0, |call| call.last_cseq(&request));
        let number = number.max(last) + 1;
        request.set(HeaderName::CSeq, CSeq { number, method }.to_string());
        let repeated = core.stack.request(now, request.clone(), pending.hop.clone());
        if let Some(call) = call {
            call.repeated(&pending.purpose, &request, repeated, number);
        }
        match pending.purpose {
            Purpose::Register => self.register_repeated(number),
            Purpose::Further(index) => self.registered_again_over(index, number),
            Purpose::Subscribe => self.subscribe_repeated(&request, number),
            _ => {}
        }
        self.core.pending.insert(repeated, Pending { request, ..pending });
    }

    fn unanswerable(
        &mut self,
        now: Instant,
        client: ClientId,
        pending: Pending,
        response: &Message,
        error: AuthError,
    ) {
        let text = format!("a challenge is not answered: {error}");
        self.core.log(Severity::Warning, "ue.challenge", text);
        let status = if error == AuthError::NotGenuine { 403 } else { response.status() };
        match pending.purpose {
            Purpose::Register => self.register_failed(now, status, error.to_string(), None),
            _ => {
                let mut response = response.clone();
                response.set_reason(error.to_string());
                self.final_response(now, client, &pending, &response, None);
            }
        }
    }

    // ---- timers and sockets

    fn timers(&mut self, now: Instant) {
        while let Some((at, key)) = self.core.due(now) {
            match key {
                TimerKey::Register => self.register(now),
                TimerKey::Further(index) => self.register_over(now, index),
                TimerKey::Subscribe => self.refresh_subscription(now),
                TimerKey::Parting => self.parted(now),
                TimerKey::ShortMessage => self.short_message_unanswered(now),
                TimerKey::Forget(client) => {
                    self.core.pending.remove(&client);
                }
                TimerKey::Call(slot, timer) => {
                    self.with(slot, |call, core| call.timeout(core, now, at, timer));
                }
            }
        }
    }

    fn datagram(&mut self, now: Instant, flow: Flow, message: Bytes) {
        if let Some(slot) = self.core.sockets.get(&flow.id).copied() {
            self.with(slot, |call, core| {
                if let Some(media) = call.media() {
                    media.received(core, now, flow, &message);
                }
            });
        }
    }
}

impl Function for Ue {
    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Timeout => {
                self.core.stack.timeout(now);
                self.timers(now);
            }
            Input::Received { flow, message } if flow.service == Service::Sip => {
                self.core.stack.received(now, flow, message);
            }
            Input::Received { flow, message } => self.datagram(now, flow, message),
            Input::Opened { open, flow } if self.core.stack.owns(open.0) => {
                self.core.stack.opened(now, open, flow);
            }
            Input::OpenFailed { open, .. } if self.core.stack.owns(open.0) => {
                self.core.stack.open_failed(now, open);
            }
            Input::Opened { open, flow } => {
                let slot = self.core.opening.remove(&open);
                let taken = slot.and_then(|slot| {
                    self.with(slot, |call, core| {
                        call.media()?.opened(core, open, flow);
                        call.media_changed(core, now);
                        Some(())
                    })
                });
                if taken.flatten().is_none() {
                    // The call ended before its socket came.
                    self.core.output(Output::Close { flow });
                }
            }
            Input::OpenFailed { open, .. } => {
                if let Some(slot) = self.core.opening.remove(&open) {
                    self.with(slot, |call, core| {
                        if let Some(media) = call.media() {
                            media.open_failed(core, open);
                        }
                        call.media_changed(core, now);
                    });
                }
            }
            Input::Closed { flow, .. } if flow.service == Service::Sip => {
                self.core.stack.closed(now, flow);
            }
            Input::Closed { flow, error } => {
                let text = format!("media to {}: {error}", flow.remote);
                // One for each packet, perhaps.
                self.core.log(Severity::Debug, "ue.media_unreachable", text);
            }
            Input::Resolved { query, targets } => self.core.stack.resolved(now, query, targets),
            Input::Overload { percent } => self.core.stack.overloaded(percent),
            Input::Order(order) if census::Ask::is(&order) => {
                self.core.output(self.census().into());
            }
            Input::Order(order) => match order.0.downcast::<UeOrder>() {
                Ok(order) => self.order(now, *order),
                Err(_) => {
                    let text = "an order that is none of a phone's".to_owned();
                    self.core.log(Severity::Error, "ue.strange_order", text);
                }
            },
            Input::Drain => self.draining = true,
            Input::Start
            | Input::Restored { .. }
            | Input::Forgotten { .. }
            | Input::Keep { .. }
            | Input::Recall { .. }
            | Input::Loaded { .. }
            | Input::Naptr { .. }
            | Input::Scanned { .. }
            | Input::Committed { .. }
            | Input::Relay(_) => {}
        }
        self.events(now);
        self.follow_transfers(now);
        self.core.tidy();
    }

    fn poll(&mut self) -> Option<Output> {
        self.core.poll()
    }

    fn deadline(&self) -> Option<Deadline> {
        self.core.deadline()
    }

    fn is_busy(&self) -> bool {
        !self.calls.is_empty()
    }
}
