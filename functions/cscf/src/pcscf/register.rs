//! REGISTER through the P-CSCF, TS 24.229 §5.2.2.

use std::sync::Arc;

use base::{Event, Flow, Instant, Severity};
use sip::gruu::Granted;
use sip::header::{Challenge, Credentials, HeaderName, NameAddr, delta_seconds};
use sip::{Hop, Message, Uri};

use super::binding::Binding;
use super::{Kept, Pcscf, identity};
use crate::emergency;
use crate::lifetime::Lifetime;
use crate::limits::{Claim, Standing};
use crate::outbound;
use crate::proxy::{Refusal, Upstream};

/// A REGISTER on its way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    id: u64,
    aor: String,
    contact: String,
    /// Which of its flows the phone says it is.
    reg_id: Option<u32>,
    flow: Flow,
    /// Who he says he is; nobody whose answers count.
    claim: Option<Claim>,
}

impl Pcscf {
    /// §5.2.2.1: the phone's REGISTER goes on to the I-CSCF with our Path.
    pub(super) fn register(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
    ) -> Result<(), Refusal> {
        let aor = request
            .get(HeaderName::To)
            .and_then(NameAddr::parse)
            .and_then(|to| to.parsed_uri())
            .map(|uri| uri.aor())
            .ok_or(Refusal::new(400, "To is no URI"))?;
        let contact = request.list(HeaderName::Contact).next();
        let contact = contact.ok_or(Refusal::new(403, "REGISTER without Contact"))?;
        let contact = NameAddr::parse(contact).ok_or(Refusal::new(400, "Contact is no address"))?;
        let several = outbound::begins_here(&request, &contact);
        let reg_id = outbound::reg_id(&contact).filter(|_| several);
        let contact = contact.uri.to_owned();
        let claim = Claim::of(&request, &aor, &flow).filter(|_| self.has_limits(&flow));
        let registered = self.bindings.is_access(&flow);
        if claim.is_some_and(|claim| self.proxy.limits.is_guessing(now, &claim, registered)) {
            let mut response = upstream.untagged(503);
            response.push(HeaderName::RetryAfter, "60");
            self.proxy.respond_once(now, upstream, response);
            return Ok(());
        }
        let known = self.bindings.matching(&aor, &contact, reg_id, &flow).map(|b| b.id);
        // An emergency registration finds room where there is none for others.
        let emergency = emergency::is_emergency_contact(&contact);
        let room = self.config.max_bindings + if emergency { super::RESERVE } else { 0 };
        if known.is_none() && (self.draining || self.bindings.len() >= room) {
            return Err(Refusal::new(503, "no more phones"));
        }
        let id = known.unwrap_or_else(|| self.random.u64());
        // RFC 5626 §5.1: we keep the phone's flow.
        let ob = if several { ";ob" } else { "" };
        let path = format!("<sip:term.{id:x}@{};lr{ob}>", self.config.sent_by());
        request.push_front(HeaderName::Path, path);
        request.remove_token(HeaderName::Require, "sec-agree");
        request.remove_token(HeaderName::ProxyRequire, "sec-agree");
        for (list, option) in [(HeaderName::Require, "path"), (HeaderName::Supported, "path")] {
            if !request.lists(list, option) {
                request.push(list, option);
            }
        }
        identity::strip_claims(&mut request);
        request.push(HeaderName::PVisitedNetworkId, sip::lex::quote(&self.config.network));
        self.add_charging_vector(&mut request);
        strip_integrity_claim(&mut request);
        let kept = Kept::Register(Pending { id, aor, contact, reg_id, flow, claim });
        let hop = Hop::Name(self.config.icscf.clone());
        self.proxy.forward(now, upstream.clone(), vec![(request, hop)], kept);
        Ok(())
    }

    /// §5.2.2.1: what the S-CSCF said, on its way back to the phone.
    pub(super) fn registered_or_not(
        &mut self,
        now: Instant,
        pending: &Pending,
        response: &mut Message,
    ) {
        strip_keys(response);
        match &pending.claim {
            Some(claim) if claim.is_refuted_by(response) => self.proxy.limits.guessed(now, claim),
            Some(claim) if response.status() == 200 => self.proxy.limits.proved(claim),
            _ => {}
        }
        if response.status() == 200 {
            self.bind(now, pending, response);
        }
        identity::leave_trust_domain(response);
    }

    fn has_limits(&self, flow: &Flow) -> bool {
        self.config.limits.requests_per_second > 0
            && Standing::of(&self.config.trust, flow) != Standing::Free
    }

    fn bind(&mut self, now: Instant, pending: &Pending, response: &Message) {
        let default = response.get(HeaderName::Expires).and_then(delta_seconds);
        let named = response
            .list(HeaderName::Contact)
            .filter_map(NameAddr::parse)
            .find(|c| emergency::same_contact(c.uri, &pending.contact));
        let granted = named.as_ref().map_or(0, |c| c.expires().or(default).unwrap_or(0));
        let gruus = named.as_ref().map(Granted::of).unwrap_or_default();
        if granted == 0 {
            return self.unbind(now, pending.id, "deregistered");
        }
        let first = self.bindings.get(pending.id).is_none();
        let lifetime = Lifetime::new(now, granted);
        let (aor, contact) = (&pending.aor, &pending.contact);
        let mut binding = Binding::new(pending.id, aor, contact, pending.flow, lifetime);
        let several = response.lists(HeaderName::Require, outbound::OUTBOUND);
        binding.reg_id = pending.reg_id.filter(|_| several);
        let identities = uris(response, HeaderName::PAssociatedUri);
        binding.identities = identities.into_iter().map(Arc::from).collect();
        if binding.identities.is_empty() {
            binding.identities.push(Arc::clone(&binding.aor));
        }
        let known = self.bindings.get(pending.id).map(|known| known.public_gruus.clone());
        binding.public_gruus = known.unwrap_or_default();
        binding.learn_gruus(gruus.public, gruus.temporary);
        binding.service_route =
            response.list(HeaderName::ServiceRoute).map(str::to_owned).collect();
        let default_identity = binding.identities[0].clone();
        let emergency = binding.emergency;
        binding.subscription = self.subscriptions.of(pending.id);
        // §5.2.3: nobody watches an emergency registration.
        let subscribes = !emergency && binding.subscription.is_none();
        let call = subscribes.then(|| self.subscription());
        binding.subscription = binding.subscription.or(call.clone());
        self.outputs.extend(self.bindings.save(now, binding));
        if first {
            let what = if emergency { " for emergency calls" } else { "" };
            let text = format!("{} registered{what} from {}", pending.aor, pending.flow.remote);
            let event = Event::new(Severity::Info, "pcscf.registered", text);
            self.tell(event.impu(&pending.aor));
        }
        if let Some(call) = call {
            self.subscribe(now, pending.id, &default_identity, &call);
        }
    }

    /// Forgets a phone.
    pub(super) fn unbind(&mut self, now: Instant, id: u64, why: &str) {
        let Some(binding) = self.bindings.get(id) else { return };
        let event =
            Event::new(Severity::Info, "pcscf.deregistered", format!("{} {why}", binding.aor));
        let event = event.impu(&*binding.aor);
        if let Some(output) = self.bindings.remove(now, id) {
            self.outputs.push_back(output);
        }
        self.subscriptions.end(now, id);
        self.tell(event);
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(id) = self.bindings.expired(now) {
            self.unbind(now, id, "expired");
        }
        self.subscriptions.expire(now);
    }
}

fn uris(message: &Message, name: HeaderName) -> Vec<String> {
    let address = |element| NameAddr::parse(element).filter(|a| Uri::parse(a.uri).is_some());
    message.list(name).filter_map(address).map(|a| a.uri.to_owned()).collect()
}

/// Only we may say that a REGISTER was integrity-protected, §5.2.2.1.
fn strip_integrity_claim(request: &mut Message) {
    let Some(value) = request.get(HeaderName::Authorization) else { return };
    if !value.to_ascii_lowercase().contains("integrity-protected") {
        return;
    }
    let credentials = Credentials::parse(value);
    if let Some(mut credentials) = credentials.filter(|c| c.integrity_protected.is_some()) {
        credentials.integrity_protected = None;
        let value = credentials.to_string();
        request.set(HeaderName::Authorization, value);
    }
}

/// CK and IK are for us, never for the air, §5.2.2.1.
fn strip_keys(response: &mut Message) {
    let challenge = response.get(HeaderName::WwwAuthenticate).and_then(Challenge::parse);
    if let Some(mut challenge) = challenge.filter(|c| c.ck.is_some() || c.ik.is_some()) {
        challenge.ck = None;
        challenge.ik = None;
        response.set(HeaderName::WwwAuthenticate, challenge.to_string());
    }
}
