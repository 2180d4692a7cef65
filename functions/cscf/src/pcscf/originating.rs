//! From the phone to the network, TS 24.229 §5.2.6.3.

use std::sync::Arc;

use base::{Flow, Instant, Transport};
use sip::header::{HeaderName, NameAddr};
use sip::{Hop, Message, Method, Stack};

use super::binding::Binding;
use super::{Kept, Pcscf, identity};
use crate::emergency;
use crate::proxy::{self, Refusal, Upstream, in_dialog};

impl Pcscf {
    /// A new dialog or a standalone request of a registered phone.
    pub(super) fn originating(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
    ) -> Result<(), Refusal> {
        if in_dialog(&request) {
            return Err(Refusal::new(481, "an in-dialog request without our Record-Route"));
        }
        if self.draining {
            return Err(Refusal::new(503, "shutting down"));
        }
        let binding = self
            .caller(&request, &flow)
            .cloned()
            .ok_or(Refusal::new(403, "the phone is not registered on this flow"))?;
        if binding.emergency {
            return Err(Refusal::new(403, "the phone is registered for emergency calls only"));
        }
        let asserted = identity::asserted(&request, &binding);
        identity::strip_claims(&mut request);
        emergency::strip_call_back(&mut request);
        request.remove(HeaderName::PPreferredIdentity);
        request.push(HeaderName::PAssertedIdentity, format!("<{asserted}>"));
        self.add_charging_vector(&mut request);
        // §5.2.6.3.3: the route is the one of the registration, whatever the phone preloaded.
        request.remove(HeaderName::Route);
        for route in &*binding.service_route {
            request.push(HeaderName::Route, route.as_str());
        }
        self.record_route(&mut request, ("mo", binding.id), &flow, true);
        let first = request.method() == Some(&Method::Invite);
        let hop = match binding.service_route.first().and_then(|r| NameAddr::parse(r)) {
            Some(route) => Stack::hop(route.uri),
            None => Some(Hop::Name(self.config.icscf.clone())),
        };
        let hop = hop.ok_or(Refusal::new(500, "the Service-Route is no SIP URI"))?;
        self.proxy.forward(
            now,
            upstream.clone(),
            vec![(request, hop)],
            Kept::Originating { first },
        );
        Ok(())
    }

    /// The binding of the phone that sends: several identities may be registered on one flow. One for
    /// emergency calls counts if there is no other.
    pub(super) fn caller(&self, request: &Message, flow: &Flow) -> Option<&Binding> {
        if !self.bindings.is_access(flow) {
            let contact = request.list(HeaderName::Contact).next().and_then(NameAddr::parse)?;
            return self.bindings.on_connection(flow, contact.uri);
        }
        let named = |name| {
            let address = request.list(name).next().and_then(NameAddr::parse)?;
            Some(address.parsed_uri()?.aor())
        };
        let wanted = named(HeaderName::PPreferredIdentity).or_else(|| named(HeaderName::From));
        let is_wanted = |known: &Arc<str>| {
            wanted.as_deref() == Some(&**known)
                || sip::Uri::parse(known).map(|uri| uri.aor()) == wanted
        };
        let of_kind = |emergency| {
            let mut bindings =
                self.bindings.on_flow(flow).filter(move |binding| binding.emergency == emergency);
            let first = bindings.clone().next();
            bindings.find(|binding| binding.identities.iter().any(is_wanted)).or(first)
        };
        of_kind(false).or_else(|| of_kind(true))
    }

    /// A request of the phone within a dialog: it follows its Route. A phone whose registration has
    /// just ended has to end its calls (TS 24.229 §5.1.1.7).
    pub(super) fn phone_in_dialog(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
        id: u64,
    ) -> Result<(), Refusal> {
        if !self.bindings.get_or_departed(id).is_some_and(|binding| binding.owns(&flow)) {
            return self.over_from(now, upstream, request, flow, id);
        }
        identity::strip_claims(&mut request);
        self.add_charging_vector(&mut request);
        if refreshes_target(&request) {
            self.record_route(&mut request, ("mo", id), &flow, true);
        }
        let hop = proxy::onward(&request).ok_or(Refusal::new(404, "no way onward"))?;
        self.proxy.forward(
            now,
            upstream.clone(),
            vec![(request, hop)],
            Kept::Originating { first: false },
        );
        Ok(())
    }

    /// Record-Route for both sides, RFC 5658 §5: the phone's with the address that it uses, the
    /// network's with our name. `upwards` is from the phone to the network.
    pub(super) fn record_route(
        &self,
        request: &mut Message,
        (kind, id): (&str, u64),
        flow: &Flow,
        upwards: bool,
    ) {
        let address = self.config.address_for(flow);
        self.record_routes(request, (kind, id), (&address, flow.transport), upwards);
    }

    /// The same for a phone that knows us by this address and transport.
    pub(super) fn record_routes(
        &self,
        request: &mut Message,
        (kind, id): (&str, u64),
        (phone, by): (&str, Transport),
        upwards: bool,
    ) {
        if matches!(
            request.method(),
            Some(Method::Register | Method::Message | Method::Options | Method::Publish)
        ) {
            return;
        }
        let transport = match by {
            Transport::Udp => "",
            Transport::Tls => ";transport=tls",
            Transport::Tcp | Transport::Wire => ";transport=tcp",
        };
        // RFC 3261 §16.6 step 4: who is asked for by sips is told of sips.
        let secure = by == Transport::Tls && request.uri().starts_with("sips:");
        let scheme = if secure { "sips" } else { "sip" };
        let token = format!("{kind}.{id:x}");
        let phone = ["<", scheme, ":", &token, "@", phone, transport, ";lr>"].concat();
        let network = ["<sip:", &token, "@", &self.config.sent_by(), ";lr>"].concat();
        let (below, above) = if upwards { (phone, network) } else { (network, phone) };
        request.push_front(HeaderName::RecordRoute, below);
        request.push_front(HeaderName::RecordRoute, above);
    }
}

/// Whether the request may change the dialog's target, so that a Record-Route matters.
pub(super) fn refreshes_target(request: &Message) -> bool {
    request.method().is_some_and(Method::refreshes_target)
}
