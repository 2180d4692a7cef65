//! How a BGCF is set up.

use std::collections::BTreeMap;
use std::str::FromStr;

use base::Flow;
use base::dialling::Dialling;
use base::machine::Name;
use base::trust::Networks;
use sip::uri::literal;
use sip::{SipUri, Uri};

use crate::limits::LimitsConfig;
use crate::own::Door;

/// Configuration of a BGCF.
#[derive(Clone, Debug)]
pub struct BgcfConfig {
    /// Its name and addresses.
    pub door: Door,
    /// The home network's domain.
    pub home_domain: String,
    /// The I-CSCF that calls from outside go to.
    pub icscf: Name,
    /// The trunks.
    pub routes: Routes,
    /// What people dial before a number; trunks send such numbers, too.
    pub dialling: Option<Dialling>,
    /// Where trunks send from: what comes from there comes in, and never leaves again.
    pub trunks: Networks,
    /// The trunks that this network does not hide from.
    pub shown_to: Peers,
    /// Whose requests leave: those of our own functions.
    pub trust: Networks,
    /// How much one source may ask that is no network function.
    pub limits: LimitsConfig,
}

/// Other networks, by the names and the addresses of their hosts.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Peers {
    /// Host names, in lower case.
    pub names: Vec<String>,
    /// Addresses.
    pub networks: Networks,
}

impl Peers {
    /// Whether the host of a URI is one of them.
    pub(super) fn names(&self, host: &str) -> bool {
        let named = |name: &String| name.eq_ignore_ascii_case(host);
        match literal(host) {
            Some(ip) => self.networks.contains(ip),
            None => self.names.iter().any(named),
        }
    }

    /// Whether a flow is theirs.
    pub(super) fn has(&self, flow: &Flow) -> bool {
        self.networks.has(flow)
    }
}

/// A trunk and the numbers that it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// How the numbers begin; empty for all.
    pub prefix: String,
    /// The trunk's `sip:` URI, without a user.
    pub trunk: String,
}

/// Why a text is no [`Route`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotRoute;

impl FromStr for Route {
    type Err = NotRoute;

    /// `+49=sip:trunk.example;transport=tcp`, or `default=sip:trunk.example`.
    fn from_str(text: &str) -> Result<Route, NotRoute> {
        let (prefix, trunk) = text.split_once('=').ok_or(NotRoute)?;
        let digits = prefix.strip_prefix('+').unwrap_or(prefix);
        let digits = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let uri = Uri::parse(trunk).and_then(Uri::sip);
        let plain = |uri: &SipUri<'_>| !uri.secure && uri.user.is_none() && uri.headers.is_none();
        let legal = uri.as_ref().is_some_and(plain) && !trunk.contains(['<', '>', '"', ' ', ',']);
        let all = prefix == "default";
        let prefix = if all { String::new() } else { prefix.to_owned() };
        let trunk = trunk.to_owned();
        if legal && (digits || all) { Ok(Route { prefix, trunk }) } else { Err(NotRoute) }
    }
}

/// All trunks by the prefix of their numbers, each group in its order of preference.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Routes(BTreeMap<String, Vec<String>>);

impl FromIterator<Route> for Routes {
    fn from_iter<I: IntoIterator<Item = Route>>(routes: I) -> Routes {
        let mut all = Routes::default();
        for route in routes {
            all.0.entry(route.prefix).or_default().push(route.trunk);
        }
        all
    }
}

impl Routes {
    /// The trunks for a number: those of the longest prefix.
    pub(super) fn of(&self, number: &str) -> &[String] {
        let fits = self.0.iter().filter(|(prefix, _)| number.starts_with(prefix.as_str()));
        fits.max_by_key(|(prefix, _)| prefix.len()).map_or(&[], |(_, trunks)| trunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_decides() {
        let texts = [
            "default=sip:a",
            "+49=sip:b;transport=tcp",
            "+49=sip:c:5070",
            "+4930=sip:d",
            "0=sip:e",
        ];
        let routes: Routes = texts.map(|text| text.parse().unwrap()).into_iter().collect();
        assert_eq!(routes.of("+4930123"), ["sip:d"]);
        assert_eq!(routes.of("+4940123"), ["sip:b;transport=tcp", "sip:c:5070"]);
        assert_eq!(
            (routes.of("+1"), routes.of("0123")),
            (&["sip:a".to_owned()][..], &["sip:e".to_owned()][..])
        );
        let few: Routes = ["+49=sip:b".parse().unwrap()].into_iter().collect();
        assert!(few.of("+1").is_empty());
        for bad in
            ["", "sip:a", "=sip:a", "+=sip:a", "x=sip:a", "+49=sip:u@a", "+49=tel:1", "+49=sips:a"]
        {
            assert_eq!(bad.parse::<Route>(), Err(NotRoute), "{bad}");
        }
    }
}
