//! The border of the trust domain, TS 24.229 §4.4 and RFC 3325: what does not cross it.

use sip::Message;
use sip::header::HeaderName;

/// Header fields that are spoken between network functions only, TS 24.229 §4.4.
const INTERNAL: [HeaderName; 6] = [
    HeaderName::PChargingVector,
    HeaderName::PChargingFunctionAddresses,
    HeaderName::PServedUser,
    HeaderName::PUserDatabase,
    HeaderName::PProfileKey,
    HeaderName::PVisitedNetworkId,
];

/// Removes what only network functions tell each other.
pub(crate) fn strip_internal(message: &mut Message) {
    for name in INTERNAL {
        message.remove(name);
    }
}

/// A message leaves for a phone, or for another network: what is internal, and what the other side wants
/// kept private, stays behind (RFC 3325 §7).
pub(crate) fn leave_trust_domain(message: &mut Message) {
    strip_internal(message);
    let hidden = message
        .lines(HeaderName::Privacy)
        .flat_map(|value| value.split(';'))
        .any(|value| value.trim().eq_ignore_ascii_case("id"));
    if hidden {
        message.remove(HeaderName::PAssertedIdentity);
    }
}
