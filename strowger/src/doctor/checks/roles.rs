//! Functions here and elsewhere, and whether they can find each other.

use std::net::SocketAddr;

use crate::doctor::facts::{Answer, Who, word};
use crate::doctor::identifiers::{FUNCTION_UNREACHABLE, SEAM_CIRCLE, SEAM_LOOPBACK};
use crate::doctor::{Facts, Finding};
use crate::plan::Role;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    for peer in &facts.peers {
        let (Who::Function(role), Answer::Ourselves) = (&peer.who, &peer.answer) else { continue };
        let Some(own) = facts.own_listener(peer.transport, peer.addr) else { continue };
        let evidence = format!(
            "{role} is said to be at {}:{}, where {own} of this very process listens",
            word(peer.transport),
            peer.addr
        );
        let fix = format!(
            "run it here: add \"{role}\" to `roles` and take `at` below [{role}] away; or write its real address"
        );
        found.push(SEAM_CIRCLE.found(evidence, fix).at(facts.place_of(*role, "at")));
    }
    for (role, listen) in &facts.plan.here {
        let others: Vec<Role> =
            facts.plan.users(*role).into_iter().filter(|user| !facts.runs(*user)).collect();
        if others.is_empty() {
            continue;
        }
        found.extend(hidden(facts, *role, listen, &others));
    }
    found
}

/// A function that others need, and that no packet reaches.
fn hidden(facts: &Facts, role: Role, listen: &[SocketAddr], others: &[Role]) -> Option<Finding> {
    let own = facts.machine.addresses.iter().find(|ip| !ip.is_loopback());
    let own = own.map_or("192.0.2.1".to_owned(), |ip| match ip.is_ipv4() {
        true => ip.to_string(),
        false => format!("[{ip}]"),
    });
    let fix = format!("[{role}]\nlisten = \"{own}:{}\"", role.default_port());
    let place = facts.place_of(role, "listen").or_else(|| facts.place("roles"));
    if listen.is_empty() {
        // The P-CSCF without a listener has a finding already.
        let evidence = format!(
            "{role} listens nowhere, and {} of other processes must reach it",
            joined(others)
        );
        return (role != Role::Pcscf).then(|| FUNCTION_UNREACHABLE.found(evidence, fix).at(place));
    }
    let seams = facts.plan.elsewhere.iter().filter(|(other, _)| others.contains(other));
    let mut far = seams.flat_map(|(other, seams)| seams.iter().map(move |seam| (other, seam)));
    let (other, seam) = far.find(|(_, seam)| !facts.machine.has(seam.address.ip()))?;
    if !listen.iter().all(|addr| addr.ip().is_loopback()) {
        return None;
    }
    let evidence = format!(
        "{role} listens on {} only, and {other} at {} must reach it",
        listen[0], seam.address
    );
    Some(SEAM_LOOPBACK.found(evidence, fix).at(place))
}

/// Their names.
pub(super) fn joined(roles: &[Role]) -> String {
    let names: Vec<&str> = roles.iter().copied().map(Role::as_str).collect();
    names.join(" and ")
}
