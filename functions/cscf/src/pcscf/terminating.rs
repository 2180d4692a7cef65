//! From the network to the phone, TS 24.229 §5.2.6.4.

use std::sync::Arc;

use base::{Instant, Transport};
use sip::gruu::Gruu;
use sip::header::{HeaderName, NameAddr};
use sip::{Hop, Message};

use super::binding::Binding;
use super::originating::refreshes_target;
use super::{Kept, Pcscf, identity};
use crate::emergency;
use crate::proxy::{Refusal, Upstream};

impl Pcscf {
    /// A new dialog or a standalone request for the phone that the Path token names.
    pub(super) fn terminating(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        id: u64,
    ) -> Result<(), Refusal> {
        let binding = self.bindings.get(id).cloned();
        let binding = binding.ok_or(Refusal::new(480, "the phone is no longer registered here"))?;
        if binding.emergency && !emergency::is_call_back(&request) {
            return Err(Refusal::new(480, "the phone is registered for emergency calls only"));
        }
        let called = request.get(HeaderName::PCalledPartyId).and_then(NameAddr::parse);
        // A GRUU names an identity with ornaments, or shows none.
        let asserted = match called.filter(|called| !Gruu::is(called.uri)) {
            Some(called) => Some(Arc::from(called.uri)),
            None => called.and_then(|called| binding.identity(called.uri)),
        };
        let asserted = asserted.or(binding.identities.first().cloned());
        self.record_route_to(&mut request, ("mt", id), &binding.hop());
        self.deliver(now, upstream, request, &binding, asserted)
    }

    /// A request within a dialog for the phone that the Record-Route token names.
    pub(super) fn towards_phone(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        id: u64,
    ) -> Result<(), Refusal> {
        let binding = self.bindings.get_or_departed(id).cloned();
        let binding = binding.ok_or(Refusal::new(481, "the phone's registration is gone"))?;
        if refreshes_target(&request) {
            self.record_route_to(&mut request, ("mt", id), &binding.hop());
        }
        let asserted = binding.identities.first().cloned();
        self.deliver(now, upstream, request, &binding, asserted)
    }

    pub(super) fn record_route_to(
        &self,
        request: &mut Message,
        (kind, id): (&str, u64),
        phone: &Hop,
    ) {
        match phone {
            Hop::Flow(flow) => self.record_route(request, (kind, id), flow, false),
            // We were started anew, or took the phone over: it knows us by the address that it used.
            Hop::Name(name) => {
                let address = self.config.address_towards(&name.host);
                let by = name.transport.unwrap_or(Transport::Udp);
                self.record_routes(request, (kind, id), (&address, by), false);
            }
        }
    }

    fn deliver(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        binding: &Binding,
        asserted: Option<Arc<str>>,
    ) -> Result<(), Refusal> {
        if binding.is_lost() {
            return Err(Refusal::new(430, "the flow that the phone registered on is gone"));
        }
        let vector = request.get(HeaderName::PChargingVector).map(str::to_owned);
        identity::leave_trust_domain(&mut request);
        let kept = Kept::Terminating { asserted, icid: vector };
        self.proxy.forward(now, upstream.clone(), vec![(request, binding.hop())], kept);
        Ok(())
    }
}
