//! How an E-CSCF is set up.

use std::collections::BTreeMap;
use std::str::FromStr;

use base::trust::Networks;
use sip::{ServiceUrn, Uri};

use crate::own::Door;

/// Configuration of an E-CSCF.
#[derive(Clone, Debug)]
pub struct EcscfConfig {
    /// Its name and addresses.
    pub door: Door,
    /// Who answers emergency calls.
    pub centres: Centres,
    /// Whose requests are taken: P-CSCFs, and the centres within a call.
    pub trust: Networks,
}

/// An emergency centre (PSAP) and the service that it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Centre {
    /// What is asked for.
    pub service: ServiceUrn,
    /// The centre's `sip:` URI.
    pub uri: String,
}

/// Why a text is no [`Centre`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotCentre;

impl FromStr for Centre {
    type Err = NotCentre;

    /// `sip:psap@192.0.2.1`, or for one service `urn:service:sos.police=sip:police@192.0.2.1`.
    fn from_str(text: &str) -> Result<Centre, NotCentre> {
        let own = text.split_once('=').and_then(|(urn, uri)| Some((ServiceUrn::parse(urn)?, uri)));
        let (service, uri) = own.unwrap_or_else(|| (ServiceUrn::sos(), text));
        let sip = Uri::parse(uri).and_then(Uri::sip);
        // It becomes an element of Route.
        let legal = sip.is_some_and(|uri| !uri.secure && uri.headers.is_none())
            && !uri.contains(['<', '>', '"', ' ', ',']);
        let uri = uri.to_owned();
        if legal && service.is_emergency() { Ok(Centre { service, uri }) } else { Err(NotCentre) }
    }
}

/// All centres, in the order in which they are asked.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Centres(BTreeMap<ServiceUrn, Vec<String>>);

impl FromIterator<Centre> for Centres {
    fn from_iter<I: IntoIterator<Item = Centre>>(centres: I) -> Centres {
        let mut all = Centres::default();
        for centre in centres {
            all.0.entry(centre.service).or_default().push(centre.uri);
        }
        all
    }
}

impl Centres {
    /// Who is asked for a service, in this order: its own centres, then those of the services above it.
    pub(super) fn of(&self, service: &ServiceUrn) -> Vec<String> {
        let services = std::iter::successors(Some(service.clone()), ServiceUrn::parent);
        services.filter_map(|service| self.0.get(&service)).flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_of_a_service_come_before_those_for_all() {
        let texts =
            ["sip:psap@a.test", "urn:service:sos.police=sip:police@b.test;lr", "sip:psap@c.test"];
        let centres: Centres = texts.map(|text| text.parse().unwrap()).into_iter().collect();
        let of = |urn| centres.of(&ServiceUrn::parse(urn).unwrap());
        assert_eq!(of("urn:service:sos.fire"), ["sip:psap@a.test", "sip:psap@c.test"]);
        let police = ["sip:police@b.test;lr", "sip:psap@a.test", "sip:psap@c.test"];
        assert_eq!(of("urn:service:sos.police.x"), police);
        for bad in ["", "psap", "tel:112", "sip:a@b,c", "urn:service:x=sip:a@b", "sips:a@b"] {
            assert_eq!(bad.parse::<Centre>(), Err(NotCentre), "{bad}");
        }
    }
}
