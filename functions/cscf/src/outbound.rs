//! Several flows of one phone: RFC 5626 at the P-CSCF, its edge proxy, and the S-CSCF, its registrar.
//!
//! A phone that registers with `+sip.instance` and `reg-id`, says that it knows of outbound, and has a
//! first hop that does (`ob` in its Path URI), has a binding for each flow. A request goes along one of
//! them; another is tried only where that one is gone.

use sip::header::{HeaderName, NameAddr};
use sip::{Message, Uri};

/// The option tag.
pub(crate) const OUTBOUND: &str = "outbound";

/// The `reg-id` of a Contact, RFC 5626 §4.2; without an instance it means nothing (§6).
pub(crate) fn reg_id(contact: &NameAddr<'_>) -> Option<u32> {
    contact.params.get("+sip.instance")?;
    contact.params.get("reg-id")?.parse().ok().filter(|id| (1..1 << 31).contains(id))
}

/// Whether a REGISTER is to be treated as RFC 5626 §6 says: its phone and its first hop know of
/// outbound. Where the first hop does not, `reg-id` is overlooked, so that a phone that does not know
/// the 439 can register as well.
pub(crate) fn applies(request: &Message) -> bool {
    let first_hop = request.list(HeaderName::Path).last().and_then(NameAddr::parse);
    let uri = first_hop.as_ref().and_then(|path| Uri::parse(path.uri)).and_then(Uri::sip);
    request.lists(HeaderName::Supported, OUTBOUND) && uri.is_some_and(|uri| uri.params.has("ob"))
}

/// The parameter by which a P-CSCF tells the S-CSCF, in the Route that names it, which flow of the phone a
/// request within a dialog was to come by.
pub(crate) const FLOW: &str = "flow";

/// The number of the flow that a P-CSCF's Record-Route (`mo.N`, `mt.N`) or Path (`term.N`) names.
pub(crate) fn flow_of(user: &str, kinds: &[&str]) -> Option<u64> {
    let (kind, number) = user.split_once('.')?;
    // An S-CSCF that anchors media says so: `mo.a`.
    if number == "a" {
        return None;
    }
    kinds.contains(&kind).then(|| u64::from_str_radix(number, 16).ok())?
}

/// The flow that the first Route names, if it is a P-CSCF's.
pub(crate) fn next_flow(request: &Message) -> Option<u64> {
    let route = request.list(HeaderName::Route).next().and_then(NameAddr::parse)?;
    flow_of(Uri::parse(route.uri)?.sip()?.user?, &["mo", "mt"])
}

/// Whether we are the first hop of a REGISTER that asks for outbound, RFC 5626 §5.1.
pub(crate) fn begins_here(request: &Message, contact: &NameAddr<'_>) -> bool {
    let direct = request.list(HeaderName::Via).take(2).count() == 1;
    direct && request.lists(HeaderName::Supported, OUTBOUND) && reg_id(contact).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Method;

    fn register(supported: &str, paths: &[&str]) -> Message {
        let request = Message::request(Method::Register, "sip:test");
        let request = request.with(HeaderName::Supported, supported);
        paths.iter().fold(request, |request, path| request.with(HeaderName::Path, *path))
    }

    #[test]
    fn the_first_hop_and_the_phone_have_to_know_of_it() {
        let ours = "<sip:term.1@pcscf.test;lr;ob>";
        assert!(applies(&register("path, outbound", &[ours])));
        assert!(applies(&register("outbound", &["<sip:border.test;lr>", ours])));
        assert!(!applies(&register("path", &[ours])));
        assert!(!applies(&register("outbound", &[])));
        assert!(!applies(&register("outbound", &[ours, "<sip:first.test;lr>"])));
    }

    #[test]
    fn a_reg_id_needs_an_instance() {
        let of = |text| reg_id(&NameAddr::parse(text).unwrap());
        assert_eq!(of("<sip:a@b>;+sip.instance=\"<urn:x:y>\";reg-id=2"), Some(2));
        for wrong in ["<sip:a@b>;reg-id=2", "<sip:a@b>;+sip.instance=\"<urn:x:y>\";reg-id=0"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
