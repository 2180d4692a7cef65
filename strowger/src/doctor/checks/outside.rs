//! Emergency centres and trunks: whether our functions for them run, and can be reached and believed.

use std::net::IpAddr;

use sip::Uri;
use sip::uri::literal;

use crate::doctor::identifiers::{OUTSIDE_FROM_UNKNOWN, OUTSIDE_UNUSED, OUTSIDE_WITHOUT_ADDRESS};
use crate::doctor::{Facts, Finding};
use crate::plan::Role;

/// One of the two functions, and those outside whom it is for.
struct Outside<'a> {
    role: Role,
    /// The key that names them, and what they are.
    key: &'static str,
    what: &'static str,
    uris: Vec<&'a str>,
    from: &'a [(IpAddr, u8)],
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let plan = &facts.plan;
    let all = [
        Outside {
            role: Role::Ecscf,
            key: "centre",
            what: "the emergency centre",
            uris: plan.centres.iter().map(|centre| centre.uri.as_str()).collect(),
            from: &plan.centres_from,
        },
        Outside {
            role: Role::Bgcf,
            key: "routes",
            what: "the trunk",
            uris: plan.routes.iter().map(|route| route.trunk.as_str()).collect(),
            from: &plan.trunks_from,
        },
    ];
    all.iter().flat_map(|outside| one(facts, outside)).collect()
}

fn one(facts: &Facts, outside: &Outside<'_>) -> Vec<Finding> {
    let Outside { role, key, what, uris, from } = outside;
    // A number is reached by a trunk.
    let hosts = || uris.iter().filter_map(|uri| Some((uri, Uri::parse(uri)?.sip()?.host)));
    let Some((first, _)) = hosts().next() else { return Vec::new() };
    let place = |key: &str| facts.place_of(*role, key);
    if !facts.runs(*role) {
        let evidence =
            format!("{what} {first} is configured, and {role} runs neither here nor elsewhere");
        let fix = format!("add \"{role}\" to `roles`, or tell where it is: `at` below [{role}]");
        let elsewhere = facts.plan.elsewhere.contains_key(role);
        let found = OUTSIDE_UNUSED.found(evidence, fix).at(place(key));
        return if elsewhere { Vec::new() } else { vec![found] };
    }
    let mut found = Vec::new();
    let named = |addr: &&std::net::SocketAddr| !addr.ip().is_unspecified() && addr.port() != 0;
    if !facts.listen(*role).iter().any(|addr| named(&addr)) {
        let own = facts.machine.addresses.iter().find(|ip| !ip.is_loopback() && ip.is_ipv4());
        let own = own.map_or("127.0.0.1".to_owned(), ToString::to_string);
        let port = if *role == Role::Ecscf { 5090 } else { 5080 };
        let evidence = format!(
            "{role} listens on no named address: {what} {first} cannot end a call, and cannot call us"
        );
        let fix = format!("[{role}]\nlisten = \"{own}:{port}\"");
        let place = place("listen").or_else(|| place(key));
        found.push(OUTSIDE_WITHOUT_ADDRESS.found(evidence, fix).at(place));
    }
    if from.is_empty()
        && let Some((uri, host)) = hosts().find(|(_, host)| literal(host).is_none())
    {
        let evidence = format!(
            "{what} {uri} has a name, and `from` is not told: what comes from {host} is refused with 403"
        );
        let fix = format!("[{role}]\nfrom = [\"ADDRESS/BITS\"]    # where its requests come from");
        found.push(OUTSIDE_FROM_UNKNOWN.found(evidence, fix).at(place(key)));
    }
    found
}
