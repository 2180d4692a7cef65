//! Which contacts a caller wants, and how they are tried: RFC 3841 §7.2, as the S-CSCF of the called user
//! applies it (TS 24.229 §5.4.3.3).

use sip::Message;
use sip::features::Features;
use sip::header::{HeaderName, NameAddr};
use sip::lex::Params;

use super::contact::Contact;

/// Elements of Accept-Contact, and of Reject-Contact, that are looked at.
const MAX_ELEMENTS: usize = 16;

/// How contacts are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Forking {
    /// All at once.
    Parallel,
    /// One after the other.
    Sequential,
    /// The best one alone.
    No,
}

impl Forking {
    /// What Request-Disposition says, RFC 3841 §9.1.
    pub(super) fn of(request: &Message) -> Forking {
        let says = |directive| request.lists(HeaderName::RequestDisposition, directive);
        match () {
            () if says("no-fork") => Forking::No,
            () if says("sequential") => Forking::Sequential,
            () => Forking::Parallel,
        }
    }
}

/// One Accept-Contact element.
struct Wanted {
    features: Features,
    require: bool,
    explicit: bool,
}

/// Leaves the contacts that the caller wants, the best one first.
pub(super) fn apply(request: &Message, contacts: &mut Vec<Contact>) {
    let elements = |name| request.list(name).take(MAX_ELEMENTS);
    let params = |element: &'_ str| {
        let at = element.find(';').unwrap_or(element.len());
        Features::of(Params::new(&element[at..]))
    };
    let rejected: Vec<Features> = elements(HeaderName::RejectContact).map(params).collect();
    let wanted: Vec<Wanted> = elements(HeaderName::AcceptContact).map(wanted).collect();
    let method = request.method().map_or("", |method| method.as_str());
    // §7.2.2: who says nothing wants a phone that takes the method, if there is one.
    let implicit = rejected.is_empty() && wanted.is_empty();
    let implicit = implicit.then(|| Features::one("methods", method));
    let judged = contacts.iter().map(|contact| {
        let features =
            NameAddr::parse(contact.element()).map(|address| Features::of(address.params));
        let features = features.unwrap_or_default();
        if features.is_empty() {
            // §7.2.3: a phone that does not tell what it can is immune.
            return Some(1.0);
        }
        match &implicit {
            Some(implicit) => implicit.fit(&features).map(|_| 1.0),
            None => judge(&features, &rejected, &wanted),
        }
    });
    let judged: Vec<Option<f64>> = judged.collect();
    if implicit.is_some() && judged.iter().all(Option::is_none) {
        return;
    }
    let mut fits = judged.into_iter();
    let mut chosen: Vec<(f64, Contact)> = Vec::with_capacity(contacts.len());
    for contact in contacts.drain(..) {
        chosen.extend(fits.next().flatten().map(|fit| (fit, contact)));
    }
    chosen.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    contacts.extend(chosen.into_iter().map(|(_, contact)| contact));
}

fn wanted(element: &str) -> Wanted {
    let at = element.find(';').unwrap_or(element.len());
    let params = Params::new(&element[at..]);
    Wanted {
        features: Features::of(params),
        require: params.has("require"),
        explicit: params.has("explicit"),
    }
}

/// How well a contact fits, §7.2.4; `None` if it is not to be tried.
fn judge(contact: &Features, rejected: &[Features], wanted: &[Wanted]) -> Option<f64> {
    if rejected.iter().any(|rejected| rejected.is_within(contact)) {
        return None;
    }
    let mut sum = 0.0;
    for Wanted { features, require, explicit } in wanted {
        let fit = features.fit(contact).filter(|fit| !explicit || *fit >= 1.0);
        match fit {
            None if *require => return None,
            fit => sum += fit.unwrap_or(0.0),
        }
    }
    Some(if wanted.is_empty() { 1.0 } else { sum / wanted.len() as f64 })
}

#[cfg(test)]
mod tests {
    use base::Instant;
    use sip::Method;

    use super::*;
    use crate::lifetime::Lifetime;
    use crate::scscf::contact::Said;

    /// The contacts that are left, in the order in which they are tried.
    fn left(headers: &[(HeaderName, &str)], contacts: &[&str]) -> Vec<String> {
        let mut request = Message::request(Method::Invite, "sip:bob@test");
        headers.iter().for_each(|(name, value)| request.push(*name, *value));
        let lifetime = Lifetime::new(Instant::from_unix_micros(0), 60);
        let contact = |(at, params): (usize, &&str)| {
            let uri = format!("sip:{at}@10.0.0.1");
            let element = format!("<{uri}>{params}");
            Contact::new(&Said { element: &element, uri: &uri, ..Said::default() }, lifetime)
        };
        let mut contacts = contacts.iter().enumerate().map(contact).collect();
        apply(&request, &mut contacts);
        contacts.iter().map(|contact| contact.uri()[4..5].to_owned()).collect()
    }

    const ACCEPT: HeaderName = HeaderName::AcceptContact;
    const REJECT: HeaderName = HeaderName::RejectContact;

    #[test]
    fn who_says_the_contrary_is_dropped_if_it_is_required() {
        let phones = [";audio;video", ";audio;video=\"FALSE\"", ";audio", ""];
        assert_eq!(left(&[(ACCEPT, "*;video")], &phones), ["0", "3", "1", "2"]);
        assert_eq!(left(&[(ACCEPT, "*;video;require")], &phones), ["0", "3", "2"]);
        assert_eq!(left(&[(ACCEPT, "*;video;require;explicit")], &phones), ["0", "3"]);
        assert_eq!(left(&[(ACCEPT, "*;video;explicit")], &phones), ["0", "3", "1", "2"]);
    }

    #[test]
    fn who_is_rejected_is_dropped_even_if_he_fits() {
        let phones = [";audio;mobility=\"mobile\"", ";audio;mobility=\"fixed\"", ";audio", ""];
        let mobile = (REJECT, "*;mobility=\"mobile\"");
        assert_eq!(left(&[mobile], &phones), ["1", "2", "3"]);
        assert_eq!(left(&[mobile, (ACCEPT, "*;audio")], &phones), ["1", "2", "3"]);
        assert_eq!(left(&[(REJECT, "*;audio, *;mobility=\"fixed\"")], &phones), ["3"]);
    }

    /// §7.2.2.
    #[test]
    fn who_does_not_take_the_method_is_left_out_if_somebody_does() {
        let (takes, not) = (";methods=\"INVITE,BYE\"", ";methods=\"MESSAGE\"");
        assert_eq!(left(&[], &[takes, not, ";audio", ""]), ["0", "2", "3"]);
        assert_eq!(left(&[], &[not, not]), ["0", "1"]);
    }
}
