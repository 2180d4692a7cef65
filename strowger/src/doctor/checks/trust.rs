//! Who is believed.

use base::Service;
use base::trust::Networks;

use crate::doctor::identifiers::{NOBODY_ADMITTED, TRUST_EVERYBODY, TRUST_PHONES};
use crate::doctor::{Facts, Finding};
use crate::plan::Role;

use super::roles::joined;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let place = || facts.place("trust.networks");
    let mut found = Vec::new();
    for (network, bits) in &facts.plan.trusted {
        let everybody = if network.is_ipv4() { 8 } else { 16 };
        let named = format!("{network}/{bits}");
        // 10.0.0.0/8 is wide and private.
        if *bits < everybody {
            let evidence = format!(
                "{named} is trusted: whoever has an address there and reaches our listeners may pose as any \
                 subscriber and ask the HSS for keys"
            );
            let fix = "name only the hosts that run network functions:\n[trust]\nnetworks = [\"10.0.0.2/32\"]";
            found.push(TRUST_EVERYBODY.found(evidence, fix).at(place()));
            continue;
        }
        let single = *bits == if network.is_ipv4() { 32 } else { 128 };
        let networks = Networks::new(vec![(*network, *bits)]);
        let entry = facts.listen(Role::Pcscf).iter().find(|addr| networks.contains(addr.ip()));
        if let (Some(entry), false) = (entry, single) {
            let evidence = format!(
                "{named} is trusted, and the P-CSCF listens on {entry} in it: a phone of that network is taken \
                 for a network function, and believed"
            );
            let fix = "if phones are there, name only the hosts that run network functions, each with /32 or /128";
            found.push(TRUST_PHONES.found(evidence, fix).at(place()));
        }
    }
    found.extend(refused(facts));
    found
}

/// Functions that others must reach, and no address of these others is known.
fn refused(facts: &Facts) -> Option<Finding> {
    if !facts.plan.trusted.is_empty() {
        return None;
    }
    let unknown = |role: Role| -> Vec<Role> {
        let elsewhere =
            |user: &Role| !facts.runs(*user) && !facts.plan.elsewhere.contains_key(user);
        facts.plan.users(role).into_iter().filter(elsewhere).collect()
    };
    // Programs of the same host may ask HSS and relay.
    let open = |role: &Role| {
        // The I-CSCF takes registrations from anywhere: visited networks are strangers.
        if *role == Role::Icscf {
            return false;
        }
        let local = role.service() != Service::Sip;
        facts.listen(*role).iter().any(|addr| !(local && addr.ip().is_loopback()))
    };
    let role =
        facts.plan.here.keys().copied().filter(open).find(|role| !unknown(*role).is_empty())?;
    let who = joined(&unknown(role));
    let evidence = format!(
        "{role} runs here, nothing says at which address {who} runs, and {role} refuses strangers"
    );
    let fix = format!("[trust]\nnetworks = [\"ADDRESS/32\"]   # the host of {who}");
    Some(NOBODY_ADMITTED.found(evidence, fix).at(facts.place("roles")))
}
