//! How an E-CSCF is set up.

use std::collections::BTreeMap;
use std::str::FromStr;

use base::machine::Name;
use base::trust::Networks;
use sip::{ServiceUrn, Uri};

use crate::limits::LimitsConfig;
use crate::own::Door;

/// Configuration of an E-CSCF.
#[derive(Clone, Debug)]
pub struct EcscfConfig {
    /// Its name and addresses.
    pub door: Door,
    /// Who answers emergency calls.
    pub centres: Centres,
    /// The BGCF's URI, for centres in the public telephone network.
    pub bgcf: Option<String>,
    /// The home network's domain.
    pub home_domain: String,
    /// The I-CSCF that a centre's call back goes to.
    pub icscf: Name,
    /// The media relay that calls go through; `None` leaves media alone.
    pub relay: Option<Name>,
    /// Where centres send from.
    pub from: Networks,
    /// Whose emergency calls are taken: those of P-CSCFs.
    pub trust: Networks,
    /// How much one source may ask that is no network function.
    pub limits: LimitsConfig,
}

/// An emergency centre (PSAP) and the service that it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Centre {
    /// What is asked for.
    pub service: ServiceUrn,
    /// The centre's `sip:` URI, or `tel:` in the public telephone network.
    pub uri: String,
}

/// Why a text is no [`Centre`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotCentre;

impl FromStr for Centre {
    type Err = NotCentre;

    /// `sip:psap@192.0.2.1` or `tel:+49301122`, or for one service `urn:service:sos.police=sip:police@192.0.2.1`.
    fn from_str(text: &str) -> Result<Centre, NotCentre> {
        let own = text.split_once('=').and_then(|(urn, uri)| Some((ServiceUrn::parse(urn)?, uri)));
        let (service, uri) = own.unwrap_or_else(|| (ServiceUrn::sos(), text));
        // It becomes an element of Route.
        let legal = match Uri::parse(uri) {
            Some(Uri::Sip(uri)) => !uri.secure && uri.headers.is_none(),
            Some(Uri::Tel(uri)) => uri.number.starts_with('+'),
            _ => false,
        } && !uri.contains(['<', '>', '"', ' ', ',']);
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
