//! What a phone sends within a dialog that it made over another of its flows, whose P-CSCF is gone: RFC 5626.
//!
//! Its Route names that P-CSCF, which nobody asks any more: it is taken off. What is left has to begin with the
//! S-CSCF that the phone is registered at here, and that one is told which flow the Route named (`flow=N`). It
//! knows from the phone's registrations whether both flows are of one phone, and refuses what is forged. Where the
//! P-CSCFs share their records, we know as well.

use base::{Flow, Instant};
use sip::header::{HeaderName, NameAddr};
use sip::{Hop, Message, Uri};

use super::binding::Binding;
use super::originating::refreshes_target;
use super::{Kept, Pcscf, identity};
use crate::emergency::same_contact;
use crate::outbound;
use crate::proxy::{self, Refusal, Upstream, in_dialog};

impl Pcscf {
    /// Whether a request within a dialog is to take its way over a flow to somebody else.
    pub(super) fn is_of_another_flow(&self, request: &Message) -> bool {
        in_dialog(request) && outbound::next_flow(request).is_some()
    }

    /// A request within a dialog whose first Route names a flow to another P-CSCF.
    pub(super) fn by_another_flow(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
    ) -> Result<(), Refusal> {
        let other =
            outbound::next_flow(&request).ok_or(Refusal::new(403, "no flow in the Route"))?;
        take_flow(&mut request, other);
        self.over_from(now, upstream, request, flow, other)
    }

    /// The same once that Route is off.
    pub(super) fn over_from(
        &mut self,
        now: Instant,
        upstream: &Upstream,
        mut request: Message,
        flow: Flow,
        other: u64,
    ) -> Result<(), Refusal> {
        let binding = self
            .one_of_several(&flow, other)
            .cloned()
            .ok_or(Refusal::new(403, "not the phone of this dialog"))?;
        let hop = tell_scscf(&mut request, &binding, other)
            .ok_or(Refusal::new(403, "the dialog does not go through the phone's S-CSCF"))?;
        assert_identity(&mut request, &binding);
        self.add_charging_vector(&mut request);
        if refreshes_target(&request) {
            self.record_route(&mut request, ("mo", binding.id), &flow, true);
        }
        self.proxy.forward(
            now,
            upstream.clone(),
            vec![(request, hop)],
            Kept::Originating { first: false },
        );
        Ok(())
    }

    /// The ACK of such a request: where it goes.
    pub(super) fn ack_by_another_flow(
        &self,
        ack: &mut Message,
        flow: &Flow,
        other: u64,
    ) -> Option<Hop> {
        let binding = self.one_of_several(flow, other)?;
        take_flow(ack, other);
        let hop = tell_scscf(ack, binding, other)?;
        assert_identity(ack, binding);
        Some(hop)
    }

    /// The phone on this flow, if it has several, and `other` is one of them as far as we know.
    fn one_of_several(&self, flow: &Flow, other: u64) -> Option<&Binding> {
        let several = |binding: &&Binding| binding.reg_id.is_some() && !binding.emergency;
        let binding = self.bindings.on_flow(flow).find(several)?;
        let same = |known: &Binding| {
            known.reg_id.is_some()
                && known.aor == binding.aor
                && same_contact(&known.contact, &binding.contact)
        };
        self.bindings.get_or_departed(other).is_none_or(same).then_some(binding)
    }
}

/// Takes off the two sides of the hop that names a flow.
fn take_flow(request: &mut Message, other: u64) {
    while outbound::next_flow(request) == Some(other) {
        request.pop_element(HeaderName::Route);
    }
}

/// The S-CSCF that the phone is registered at is next, and is told of the flow.
fn tell_scscf(request: &mut Message, binding: &Binding, other: u64) -> Option<Hop> {
    let host = |element: &str| {
        let uri = Uri::parse(NameAddr::parse(element)?.uri)?.sip()?;
        // What only we say, the phone has not said before.
        let ours = !uri.params.has(outbound::FLOW);
        ours.then(|| (uri.host.to_ascii_lowercase(), uri.port))
    };
    let next = request.list(HeaderName::Route).next()?.to_owned();
    let ours = binding.service_route.first().and_then(|route| host(route))?;
    if host(&next)? != ours {
        return None;
    }
    let uri = NameAddr::parse(&next)?.uri;
    let told = format!("<{uri};{}={other:x}>", outbound::FLOW);
    let hop = proxy::onward(request);
    request.set_element(HeaderName::Route, &told);
    hop
}

fn assert_identity(request: &mut Message, binding: &Binding) {
    identity::strip_claims(request);
    if let Some(identity) = binding.identities.first() {
        request.push(HeaderName::PAssertedIdentity, format!("<{identity}>"));
    }
}
