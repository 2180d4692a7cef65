//! Emergency calls, TS 24.229 §5.2.10: from everybody, to the E-CSCF and to nobody else.
//!
//! A phone that never registered, or has no SIM, may call for help. So what it sends within its call does
//! not go where it says, but to the other end of that call.

use base::{Event, Flow, Instant, Severity};
use sip::header::{HeaderName, NameAddr};
use sip::{Hop, Message, Method, ServiceUrn, Stack, Uri};

use super::emergency_call::EmergencyCall;
use super::originating::refreshes_target;
use super::{Kept, Pcscf, Token, identity};
use crate::emergency::{EmergencyNumbers, is_emergency_registration};
use crate::proxy::{self, Refusal, Upstream};
use crate::restoration::IMS_XML;

/// The kind of our token in Record-Route.
const KIND: &str = "sos";

/// A request of an emergency call on its way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    id: u64,
    method: Method,
    /// Whether it begins the call.
    initial: bool,
    /// Whether the response goes to the phone, with whose P-Charging-Vector if not.
    to_phone: bool,
    vector: Option<String>,
}

/// Whether a request is taken even where there is no room for others: what begins an emergency call or
/// belongs to one, and an emergency registration.
pub(super) fn is_urgent(numbers: &EmergencyNumbers, request: &Message) -> bool {
    let within = matches!(token_of(request), Some(Token::Emergency(_)));
    within || numbers.called(request).is_some() || is_emergency_registration(request)
}

/// Our token in the first Route, if it is ours: whoever reads it has to check it.
pub(super) fn token_of(request: &Message) -> Option<Token> {
    let route = request.list(HeaderName::Route).next().and_then(NameAddr::parse)?;
    Token::parse(Uri::parse(route.uri)?.sip()?.user?)
}

impl Pcscf {
    /// §5.2.10.2 and §5.2.10.3: a new call. A phone that is registered is asserted, so that the centre can
    /// call back; of another one nothing is known but what it says.
    pub(super) fn emergency_call(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
        service: &ServiceUrn,
    ) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::new(503, "shutting down"));
        }
        let Some(ecscf) = self.config.ecscf.clone() else {
            self.elsewhere(now, upstream, &flow);
            return Ok(());
        };
        if self.emergency_calls.len() >= self.config.max_emergency_calls {
            let header = Some((HeaderName::RetryAfter, "10".to_owned()));
            return Err(Refusal { status: 503, header, why: "too many emergency calls" });
        }
        let hop = Stack::hop(&ecscf).ok_or(Refusal::new(500, "the E-CSCF is no SIP URI"))?;
        let caller = self.caller(&request, &flow).cloned();
        let asserted = caller.as_ref().map(|binding| identity::asserted(&request, binding));
        identity::strip_claims(&mut request);
        request.remove(HeaderName::PPreferredIdentity);
        if let Some((asserted, binding)) = asserted.as_ref().zip(caller.as_ref()) {
            // A second one of the other kind: whoever calls back may know numbers only.
            let is_tel = |uri: &str| uri.starts_with("tel:");
            let other = binding.identities.iter().find(|uri| is_tel(uri) != is_tel(asserted));
            for uri in [Some(asserted), other].into_iter().flatten() {
                request.push(HeaderName::PAssertedIdentity, format!("<{uri}>"));
            }
        }
        self.add_charging_vector(&mut request);
        request.set_uri(service.to_string());
        request.remove(HeaderName::Route);
        request.push(HeaderName::Route, format!("<{}>", proxy::loose(&ecscf)));
        let id = self.random.u64();
        self.record_route(&mut request, (KIND, id), &flow, true);
        let call_id = request.get(HeaderName::CallId).unwrap_or("");
        self.emergency_calls.insert(now, id, EmergencyCall::new(flow, call_id));
        let who = asserted.as_deref().unwrap_or("a phone that is not registered");
        let text = format!("{who} at {} calls {service}", flow.remote);
        self.tell(upstream.about(Event::new(Severity::Info, "pcscf.emergency_call", text)));
        let kept = Kept::Emergency(Pending {
            id,
            method: Method::Invite,
            initial: true,
            to_phone: true,
            vector: None,
        });
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], kept);
        Ok(())
    }

    /// §5.2.10.2: nobody takes emergency calls here, so the phone is to use another network. It believes
    /// that of the P-CSCF that it registered at.
    fn elsewhere(&mut self, now: Instant, upstream: &Upstream, flow: &Flow) {
        let mut response = self.proxy.answer(upstream, 380);
        let us = format!("<sip:{}>", self.config.sent_by());
        response.push(HeaderName::PAssertedIdentity, us);
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ims-3gpp version=\"1\">\
                    <alternative-service><type>emergency</type><reason>no E-CSCF here</reason>\
                    </alternative-service></ims-3gpp>\n";
        response.set_body(IMS_XML, body);
        self.proxy.respond(now, upstream, response);
        let text = format!(
            "an emergency call from {} gets a 380: no `centre` below `[ecscf]` takes it",
            flow.remote
        );
        self.tell(upstream.about(Event::new(Severity::Warning, "pcscf.no_ecscf", text)));
    }

    /// A request within an emergency call, from one end to the other.
    pub(super) fn within_emergency_call(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
        id: u64,
    ) -> Result<(), Refusal> {
        let trusted = self.config.trust.includes(&flow);
        let method = request.method().cloned().unwrap_or(Method::Options);
        let call = self.emergency_calls.touch(now, id);
        let call = call.ok_or(Refusal::new(481, "the emergency call is over"))?;
        if request.get(HeaderName::CallId) != Some(&call.call_id) {
            return Err(Refusal::new(481, "another call than the emergency call"));
        }
        if call.owns(&flow) {
            let hop = follow(call, &mut request)?;
            identity::strip_claims(&mut request);
            self.add_charging_vector(&mut request);
            if refreshes_target(&request) {
                self.record_route(&mut request, (KIND, id), &flow, true);
            }
            let (initial, to_phone, vector) = (false, true, None);
            let kept = Kept::Emergency(Pending { id, method, initial, to_phone, vector });
            self.proxy.forward(now, upstream.clone(), vec![(request, hop)], kept);
            return Ok(());
        }
        let from = request.get(HeaderName::From).and_then(NameAddr::parse).and_then(|a| a.tag());
        let from = from.unwrap_or("").to_owned();
        if !trusted || call.dialog(&from).is_none() {
            return Err(Refusal::new(403, "neither the phone of this call nor its centre"));
        }
        if refreshes_target(&request) {
            call.moved(&from, &request);
        }
        let gone = Refusal::new(480, "the phone of this call cannot be reached");
        let hop = call.hop(&request).ok_or(gone)?;
        if refreshes_target(&request) {
            let change = self.emergency_calls.changed(id, false);
            self.outputs.extend(change);
        }
        if refreshes_target(&request) {
            self.record_route_to(&mut request, (KIND, id), &hop);
        }
        let vector = request.get(HeaderName::PChargingVector).map(str::to_owned);
        identity::leave_trust_domain(&mut request);
        let (initial, to_phone) = (false, false);
        let kept = Kept::Emergency(Pending { id, method, initial, to_phone, vector });
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], kept);
        Ok(())
    }

    /// An ACK for a 2xx within an emergency call.
    pub(super) fn emergency_ack(&mut self, now: Instant, mut ack: Message, flow: Flow, id: u64) {
        let trusted = self.config.trust.includes(&flow);
        let Some(call) = self.emergency_calls.touch(now, id) else { return };
        if ack.get(HeaderName::CallId) != Some(&call.call_id) {
            return;
        }
        let hop = match call.owns(&flow) {
            true => follow(call, &mut ack).ok(),
            false => call.hop(&ack).filter(|_| trusted),
        };
        if let Some(hop) = hop {
            self.proxy.stack.send_ack(now, ack, hop);
        }
    }

    /// A response passes; the call is over with a failure of its INVITE, or with a BYE.
    pub(super) fn emergency_response(
        &mut self,
        now: Instant,
        pending: &Pending,
        response: &mut Message,
    ) {
        let Pending { id, method, initial, to_phone, vector } = pending;
        let status = response.status();
        let to = response.to_tag();
        if let Some(call) = self.emergency_calls.touch(now, *id).filter(|_| *to_phone) {
            match to {
                _ if *initial && (101..300).contains(&status) => call.learn(*id, response),
                Some(tag) if method.refreshes_target() && status < 300 => {
                    call.moved(tag, response);
                }
                _ => {}
            }
        }
        let success = (200..300).contains(&status);
        let over = (*initial && status >= 300) || (*method == Method::Bye && status >= 200);
        let change = match over {
            true => self.emergency_calls.remove(*id),
            false if success && *to_phone && method.refreshes_target() => {
                self.emergency_calls.changed(*id, *initial)
            }
            false => None,
        };
        self.outputs.extend(change);
        match to_phone {
            true => identity::leave_trust_domain(response),
            false => identity::enter_trust_domain(response, None, vector.as_deref()),
        }
    }

    pub(super) fn expire_emergency_calls(&mut self, now: Instant) {
        while let Some(id) = self.emergency_calls.expired(now) {
            let change = self.emergency_calls.remove(id);
            self.outputs.extend(change);
            let text = "an emergency call ended without a BYE".to_owned();
            self.tell(Event::new(Severity::Info, "pcscf.emergency_call_lost", text));
        }
    }
}

/// Lets a request of the phone follow the dialog that its To names, whatever its Route and Request-URI say.
fn follow(call: &EmergencyCall, request: &mut Message) -> Result<Hop, Refusal> {
    let far = request.to_tag().and_then(|tag| call.dialog(tag));
    let far = far.ok_or(Refusal::new(481, "no dialog of this emergency call"))?;
    request.set_uri(far.target.as_str());
    request.remove(HeaderName::Route);
    for route in &far.route {
        request.push(HeaderName::Route, route.as_str());
    }
    proxy::onward(request).ok_or(Refusal::new(404, "no way onward"))
}
