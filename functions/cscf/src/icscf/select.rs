//! The choice of an S-CSCF, TS 23.228 §5.1.2.3 and TS 29.228 §6.7.

use diameter::cx::ServerCapabilities;
use sip::Uri;

use super::config::Scscf;

/// An S-CSCF, and why it is this one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Choice {
    pub(super) uri: String,
    pub(super) why: String,
}

/// The S-CSCF that serves the user already. For one who has none: one that the HSS names, else the
/// first that has every mandatory capability, and among those the one with the most optional ones. Those
/// that are `out` are passed over, but for the one that serves him.
pub(super) fn select(
    scscfs: &[Scscf],
    serving: Option<String>,
    wanted: Option<&ServerCapabilities>,
    out: impl Fn(&str) -> bool,
) -> Option<Choice> {
    let choice = |uri: &str, why: &str| Choice { uri: uri.to_owned(), why: why.to_owned() };
    if let Some(uri) = serving {
        return Some(choice(&uri, "it serves the user already: Server-Name of the HSS"));
    }
    let mut names = wanted.into_iter().flat_map(|wanted| &wanted.server_names);
    if let Some(name) = names.find(|name| !out(name)) {
        return Some(choice(name, "the HSS names it in Server-Capabilities"));
    }
    let mut left = scscfs.iter().filter(|scscf| !out(&scscf.uri));
    let asks =
        |wanted: &&ServerCapabilities| !(wanted.mandatory.is_empty() && wanted.optional.is_empty());
    let Some(wanted) = wanted.filter(asks) else {
        let why = "it is the first one, and the HSS asks for no capabilities";
        return left.next().map(|scscf| choice(&scscf.uri, why));
    };
    let able = left.filter(|s| wanted.mandatory.iter().all(|c| s.capabilities.contains(c)));
    // `max_by_key` would take the last of equals; the configured order decides.
    let optional =
        |s: &Scscf| wanted.optional.iter().filter(|c| s.capabilities.contains(c)).count();
    let best = able.reduce(|best, s| if optional(s) > optional(best) { s } else { best })?;
    let why = format!(
        "it has the mandatory capabilities {:?} and {} of the optional {:?}",
        wanted.mandatory,
        optional(best),
        wanted.optional
    );
    Some(choice(&best.uri, &why))
}

/// Whether two URIs name the same server.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let place = |uri| {
        let uri = Uri::parse(uri).and_then(Uri::sip)?;
        Some((uri.host.to_ascii_lowercase(), uri.port.unwrap_or(5060)))
    };
    one == other || place(one).is_some_and(|place_of| place(other) == Some(place_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scscf(uri: &str, capabilities: &[u32]) -> Scscf {
        Scscf { uri: uri.into(), capabilities: capabilities.to_vec() }
    }

    #[test]
    fn capabilities_decide() {
        let all = [scscf("sip:a", &[]), scscf("sip:b", &[1]), scscf("sip:c", &[1, 2])];
        let want = |mandatory: &[u32], optional: &[u32]| ServerCapabilities {
            mandatory: mandatory.to_vec(),
            optional: optional.to_vec(),
            server_names: vec![],
        };
        let chosen = |w: &ServerCapabilities| select(&all, None, Some(w), |_| false).map(|c| c.uri);
        let why = |serving: Option<&str>, wanted: Option<&ServerCapabilities>| {
            select(&all, serving.map(str::to_owned), wanted, |_| false)
                .map(|c| (c.uri, c.why))
                .unwrap()
        };
        let (uri, because) = why(None, None);
        assert_eq!((uri.as_str(), because.contains("no capabilities")), ("sip:a", true));
        let (uri, because) = why(Some("sip:z"), Some(&want(&[1], &[])));
        assert_eq!((uri.as_str(), because.contains("Server-Name")), ("sip:z", true));
        let (_, because) = why(None, Some(&want(&[1], &[2, 3])));
        let told = "it has the mandatory capabilities [1] and 1 of the optional [2, 3]";
        assert_eq!(because, told);
        assert_eq!(chosen(&want(&[1], &[])).as_deref(), Some("sip:b"));
        assert_eq!(chosen(&want(&[1], &[2])).as_deref(), Some("sip:c"));
        assert_eq!(chosen(&want(&[3], &[])), None);
        let mut named = want(&[], &[]);
        named.server_names.push("sip:d".into());
        assert_eq!(chosen(&named).as_deref(), Some("sip:d"));
        // Whoever is out is passed over, then it is the turn of those that we know.
        let without = |out: &[&str], wanted: Option<&ServerCapabilities>| {
            select(&all, None, wanted, |uri| out.contains(&uri)).map(|c| c.uri)
        };
        assert_eq!(without(&["sip:d"], Some(&named)).as_deref(), Some("sip:a"));
        assert_eq!(without(&["sip:a"], None).as_deref(), Some("sip:b"));
        assert_eq!(without(&["sip:b", "sip:c"], Some(&want(&[1], &[]))), None);
        assert!(is_same("sip:A.test", "sip:a.test:5060") && !is_same("sip:a.test", "sip:b.test"));
    }
}
