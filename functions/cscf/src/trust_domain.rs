//! The border of the trust domain, TS 24.229 §4.4 and RFC 3325: what does not cross it.

use sip::Message;
use sip::header::{HeaderName, Privacy};

/// Header fields that are spoken between network functions only, TS 24.229 §4.4.
const INTERNAL: [HeaderName; 6] = [
    HeaderName::PChargingVector,
    HeaderName::PChargingFunctionAddresses,
    HeaderName::PServedUser,
    HeaderName::PUserDatabase,
    HeaderName::PProfileKey,
    HeaderName::PVisitedNetworkId,
];

/// What a user agent says of its user beyond From, Contact and the session, RFC 3323 §4.1.
const OF_THE_USER: [HeaderName; 6] = [
    HeaderName::CallInfo,
    HeaderName::InReplyTo,
    HeaderName::Organization,
    HeaderName::ReplyTo,
    HeaderName::Subject,
    HeaderName::UserAgent,
];

/// Removes what only network functions tell each other.
pub(crate) fn strip_internal(message: &mut Message) {
    for name in INTERNAL {
        message.remove(name);
    }
}

/// A message leaves for a phone, or for another network: what is internal, and what the other side wants
/// kept private, stays behind (RFC 3325 §7, RFC 3323 §5.3). From and Contact are the phone's to make anonymous.
pub(crate) fn leave_trust_domain(message: &mut Message) {
    strip_internal(message);
    let privacy = Privacy::of(message.lines(HeaderName::Privacy));
    if privacy.id {
        message.remove(HeaderName::PAssertedIdentity);
    }
    if privacy.user {
        OF_THE_USER.into_iter().for_each(|name| message.remove(name));
    }
}
