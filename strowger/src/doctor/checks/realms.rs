//! Names by which Diameter peers know each other, RFC 6733 §5.3.

use crate::doctor::facts::{Answer, Who};
use crate::doctor::identifiers::{PEER_NAME_OTHER, REALM_OTHER};
use crate::doctor::{Facts, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for peer in &facts.peers {
        let (Who::Function(role), Answer::Cea(cea)) = (&peer.who, &peer.answer) else { continue };
        if cea.refusal.is_some() || !cea.cx {
            continue;
        }
        let domain = &facts.plan.domain;
        if !cea.realm.eq_ignore_ascii_case(domain) {
            let evidence = format!(
                "{} at tcp:{} serves the realm {}, and our domain is {domain}: it answers nothing that we ask",
                cea.host, peer.addr, cea.realm
            );
            let fix = format!("domain = \"{}\"\nor correct the realm there", cea.realm);
            found.push(REALM_OTHER.found(evidence, fix).at(facts.place("domain")));
        } else if !cea.host.eq_ignore_ascii_case(&peer.name) {
            let evidence = format!(
                "the {role} at tcp:{} calls itself {}, and we ask for {}",
                peer.addr, cea.host, peer.name
            );
            let fix = format!("there, set the Diameter identity (Origin-Host) to {}", peer.name);
            found.push(PEER_NAME_OTHER.found(evidence, fix).at(facts.place_of(*role, "at")));
        }
    }
    found.dedup();
    found
}
