//! The choice of an S-CSCF, TS 23.228 §5.1.2.3 and TS 29.228 §6.7.

use diameter::cx::ServerCapabilities;

use super::config::Scscf;

/// The S-CSCF for a user who has none: one that the HSS names, else the first that has every
/// mandatory capability, and among those the one with the most optional ones.
pub(super) fn select(scscfs: &[Scscf], wanted: Option<&ServerCapabilities>) -> Option<String> {
    let Some(wanted) = wanted else { return scscfs.first().map(|s| s.uri.clone()) };
    if let Some(name) = wanted.server_names.first() {
        return Some(name.clone());
    }
    let able =
        scscfs.iter().filter(|s| wanted.mandatory.iter().all(|c| s.capabilities.contains(c)));
    // `max_by_key` would take the last of equals; the configured order decides.
    let optional =
        |s: &Scscf| wanted.optional.iter().filter(|c| s.capabilities.contains(c)).count();
    able.reduce(|best, s| if optional(s) > optional(best) { s } else { best })
        .map(|s| s.uri.clone())
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
        let chosen = |w: &ServerCapabilities| select(&all, Some(w));
        assert_eq!(select(&all, None).as_deref(), Some("sip:a"));
        assert_eq!(chosen(&want(&[1], &[])).as_deref(), Some("sip:b"));
        assert_eq!(chosen(&want(&[1], &[2])).as_deref(), Some("sip:c"));
        assert_eq!(chosen(&want(&[3], &[])), None);
        let mut named = want(&[], &[]);
        named.server_names.push("sip:d".into());
        assert_eq!(chosen(&named).as_deref(), Some("sip:d"));
    }
}
