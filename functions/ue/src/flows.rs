//! Further flows, RFC 5626 §4.2: the phone registers over each once it is registered over the first one. What
//! cannot be said over the first one any more is said over one of them, also within a call.

use base::machine::Name;
use base::{Flow, Instant, Severity};
use sip::header::{CSeq, NameAddr, delta_seconds};
use sip::{HeaderName, Hop, Message, Method};

use crate::core::{Pending, Purpose, TimerKey};
use crate::phone::Ue;
use crate::registration::{refresh_in, same};

/// A flow beside the first one.
#[derive(Debug)]
pub(crate) struct Further {
    proxy: Name,
    call_id: String,
    tag: String,
    cseq: u32,
    /// Where it leads, while the phone is registered over it.
    flow: Option<Flow>,
    busy: bool,
}

impl Further {
    pub(crate) fn new(proxy: Name) -> Further {
        let (call_id, tag) = (String::new(), String::new());
        Further { proxy, call_id, tag, cseq: 0, flow: None, busy: false }
    }
}

impl Ue {
    /// Registers over each further flow that does not stand.
    pub(crate) fn keep_further_flows(&mut self, now: Instant) {
        for index in 0..self.further.len() {
            if self.further[index].flow.is_none() {
                self.register_over(now, index);
            }
        }
    }

    /// Ends the registrations over further flows.
    pub(crate) fn leave_further_flows(&mut self, now: Instant) {
        for index in 0..self.further.len() {
            self.core.disarm(TimerKey::Further(index));
            if self.further[index].flow.is_some() {
                self.send_over(now, index, 0);
                self.further[index].flow = None;
            }
        }
    }

    /// The refresh of a flow is due, or its next attempt.
    pub(crate) fn register_over(&mut self, now: Instant, index: usize) {
        if !self.further[index].busy {
            let expires = self.core.config.expires.max(1);
            self.send_over(now, index, expires);
        }
    }

    fn send_over(&mut self, now: Instant, index: usize, expires: u32) {
        let (core, further) = (&mut self.core, &mut self.further[index]);
        let (registrar, identity) = (core.config.registrar.clone(), core.config.identity.clone());
        let mut request = core.request(Method::Register, &registrar, &identity);
        if further.call_id.is_empty() {
            further.call_id = request.get(HeaderName::CallId).unwrap_or("").to_owned();
            further.tag = core.random.token::<8>();
        }
        further.cseq += 1;
        further.busy = true;
        request.set(HeaderName::CallId, further.call_id.clone());
        request.set(HeaderName::From, format!("<{identity}>;tag={}", further.tag));
        let cseq = CSeq { number: further.cseq, method: Method::Register };
        request.set(HeaderName::CSeq, cseq.to_string());
        let reg_id = core.config.options.reg_id.map(|first| first + 1 + index as u32);
        let contact = core.contact_over(reg_id);
        request.push(HeaderName::Contact, format!("{contact};expires={expires}"));
        request.push(HeaderName::Expires, expires.to_string());
        request.push(HeaderName::Supported, "path, outbound");
        core.authenticator.introduce(&mut request, &mut core.random);
        let hop = Hop::Name(further.proxy.clone());
        core.send(now, Purpose::Further(index), request, hop);
    }

    /// A REGISTER over a flow is sent again with credentials.
    pub(crate) fn registered_again_over(&mut self, index: usize, cseq: u32) {
        self.further[index].cseq = cseq;
    }

    /// The final answer to a REGISTER over a flow, challenges excepted; none is a failure.
    pub(crate) fn answered_over(
        &mut self,
        now: Instant,
        index: usize,
        answer: Option<(&Message, Flow)>,
    ) {
        self.further[index].busy = false;
        if !self.registration.stands() {
            return;
        }
        let own = self.core.contact_uri();
        let reg_id = self.core.config.options.reg_id.map(|first| first + 1 + index as u32);
        let granted =
            answer.filter(|(response, _)| response.status() == 200).and_then(|(r, flow)| {
                let contacts = r.list(HeaderName::Contact).filter_map(NameAddr::parse);
                let this = |contact: &NameAddr<'_>| {
                    let id = contact.params.get("reg-id").and_then(|id| id.parse().ok());
                    same(contact.uri, &own) && id == reg_id
                };
                let mut contacts = contacts.filter(this);
                let general = r.get(HeaderName::Expires).and_then(delta_seconds);
                let expires = contacts.next()?.expires().or(general).filter(|expires| *expires > 0);
                Some((flow, expires?))
            });
        match granted {
            Some((flow, expires)) => {
                self.further[index].flow = Some(flow);
                self.core.arm(TimerKey::Further(index), now + refresh_in(expires));
            }
            None => self.lost_over(now, index),
        }
    }

    /// A flow is gone: it is tried again after a while.
    fn lost_over(&mut self, now: Instant, index: usize) {
        self.further[index].flow = None;
        self.core.service.detour = None;
        let wait = self.core.spread(self.core.config.retry.base);
        self.core.arm(TimerKey::Further(index), now + wait);
        let text = format!("no flow to {}", self.further[index].proxy.host);
        self.core.log(Severity::Info, "ue.no_flow", text);
    }

    /// A connection is gone that was one of them.
    pub(crate) fn further_flow_closed(&mut self, now: Instant, flow: Flow) {
        let is = |own: &Further| {
            own.flow.is_some_and(|own| own.id == flow.id && own.remote == flow.remote)
        };
        if flow.transport.is_connection()
            && let Some(index) = self.further.iter().position(is)
        {
            self.lost_over(now, index);
        }
    }

    /// Whether something else than the first flow stands; it is taken from now on.
    pub(crate) fn turns_to_another_flow(&mut self) -> bool {
        let first = self.further.iter().find_map(|further| further.flow);
        self.core.service.detour = first;
        first.is_some()
    }

    /// A request got no answer over the first flow: it is sent again over another one, if there is one.
    /// Otherwise it is given back.
    pub(crate) fn by_another_flow(&mut self, now: Instant, pending: Pending) -> Option<Pending> {
        let own = matches!(pending.purpose, Purpose::Register | Purpose::Further(_));
        if own || self.core.is_by_detour(&pending.hop) || !self.turns_to_another_flow() {
            return Some(pending);
        }
        let Some(flow) = self.core.service.detour else { return Some(pending) };
        let slot = pending.purpose.call();
        if slot.is_some_and(|slot| self.calls.get(slot).is_none()) {
            return Some(pending);
        }
        let (request, hop) = (pending.request.clone(), Hop::Flow(flow));
        let client = self.core.stack.request(now, request.clone(), hop.clone());
        let call = slot.and_then(|slot| self.calls.get_mut(slot)).and_then(Option::as_mut);
        if let Some(call) = call {
            let cseq = request.get(HeaderName::CSeq).and_then(CSeq::parse);
            let last = call.last_cseq(&request).max(cseq.map_or(0, |cseq| cseq.number));
            call.repeated(&pending.purpose, &request, client, last);
        }
        self.core.pending.insert(client, Pending { hop, ..pending });
        None
    }
}
