//! Asserted identities and the border of the trust domain: TS 24.229 §4.4 and §5.2.6, RFC 3325.

use std::sync::Arc;

use base::Random;
use sip::Message;
use sip::header::{AccessNetworkInfo, HeaderName, NameAddr};

use super::Pcscf;
use super::binding::Binding;
pub(super) use crate::trust_domain::leave_trust_domain;
use crate::trust_domain::strip_internal;

/// Removes what a phone must not claim: asserted identities, internal header fields, a priority that
/// nobody authorised (RFC 4412 §8), and access information that says it was provided by the network
/// (§5.2.6.3.1).
pub(super) fn strip_claims(request: &mut Message) {
    strip_internal(request);
    request.remove(HeaderName::PAssertedIdentity);
    request.remove(HeaderName::PAssertedService);
    request.remove(HeaderName::ResourcePriority);
    let infos: Vec<String> =
        request.list(HeaderName::PAccessNetworkInfo).map(str::to_owned).collect();
    let honest = |info: &&String| {
        AccessNetworkInfo::parse(info).is_some_and(|info| !info.is_network_provided())
    };
    let kept: Vec<&str> = infos.iter().filter(honest).map(String::as_str).collect();
    if kept.len() < infos.len() {
        if kept.is_empty() {
            request.remove(HeaderName::PAccessNetworkInfo);
        } else {
            let kept = kept.join(", ");
            request.set(HeaderName::PAccessNetworkInfo, kept);
        }
    }
}

/// Chooses the identity to assert: the one that the phone prefers if it is registered, else that of
/// From if it is, else the default one (§5.2.6.3.1 with §5.2.6.3.2A).
pub(super) fn asserted(request: &Message, binding: &Binding) -> Arc<str> {
    let known = |element: &str| binding.identity(NameAddr::parse(element)?.uri);
    let preferred = request.list(HeaderName::PPreferredIdentity).find_map(known);
    preferred
        .or_else(|| request.get(HeaderName::From).and_then(known))
        .or_else(|| binding.identities.first().cloned())
        .unwrap_or_else(|| binding.aor.clone())
}

/// A response comes from the phone, §5.2.6.4.4: it is asserted with the identity that was called.
pub(super) fn enter_trust_domain(
    response: &mut Message,
    asserted: Option<&str>,
    vector: Option<&str>,
) {
    strip_claims(response);
    if let Some(vector) = vector {
        response.push(HeaderName::PChargingVector, vector);
    }
    response.remove(HeaderName::PPreferredIdentity);
    if let Some(uri) = asserted.filter(|_| response.status() > 100) {
        response.push(HeaderName::PAssertedIdentity, format!("<{uri}>"));
    }
}

impl Pcscf {
    /// A fresh P-Charging-Vector, RFC 7315 §5.6: the icid is ours and unique.
    pub(super) fn add_charging_vector(&mut self, message: &mut Message) {
        let icid = new_icid(&mut self.random);
        let host = &self.config.host;
        let network = &self.config.network;
        let value =
            ["icid-value=", &icid, ";icid-generated-at=", host, ";orig-ioi=", network].concat();
        message.push(HeaderName::PChargingVector, value);
    }
}

fn new_icid(random: &mut Random) -> String {
    random.token::<12>()
}
