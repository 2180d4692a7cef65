//! The answer that has a phone register anew, TS 24.229 §5.2.6.3.3 and §5.4.3.2: its S-CSCF is away, or does
//! not know it.

use sip::Message;
use sip::header::HeaderName;

/// Media type of the body, TS 24.229 §7.6.
pub(crate) const IMS_XML: &str = "application/3gpp-ims+xml";

/// Makes a 504 one that a phone registers anew for. It believes that of those that it registered at (§5.1.2A.1.6):
/// `us` is the URI that Service-Route or Path told it.
pub(crate) fn register_anew(response: &mut Message, us: &str, why: &str) {
    response.set(HeaderName::PAssertedIdentity, format!("<{us}>"));
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ims-3gpp version=\"1\"><alternative-service>\
         <type>restoration</type><reason>{why}</reason><action>initial-registration</action>\
         </alternative-service></ims-3gpp>\n"
    );
    response.set_body(IMS_XML, body);
}
