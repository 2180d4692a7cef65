//! Names that have to be looked up.

use std::net::SocketAddr;

use crate::doctor::facts::{Lookup, Who};
use crate::doctor::identifiers::{
    FUNCTION_NOWHERE, RESOLVER_MISSING, RESOLVER_SILENT, SERVER_NAME_UNKNOWN,
};
use crate::doctor::{Facts, Finding};

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let missing: Vec<&Lookup> =
        facts.names.lookups.iter().filter(|lookup| lookup.targets.is_empty()).collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let functions: Vec<String> = missing.iter().filter_map(|lookup| at(lookup)).collect();
    let or = |text: &str| match functions.is_empty() {
        true => text.to_owned(),
        false => format!("{}\nor {text}", functions.join("\n")),
    };
    let names: Vec<&str> = missing.iter().map(|lookup| lookup.host.as_str()).collect();
    let names = names.join(", ");
    let answers = facts.names.servers.iter().any(|(_, answers)| *answers);
    if !facts.names.configured && !answers {
        let evidence = format!("{names} must be looked up, and /etc/resolv.conf names no server");
        let fix = or("write `nameserver ADDRESS` into /etc/resolv.conf");
        return vec![RESOLVER_MISSING.found(evidence, fix)];
    }
    if !answers {
        let servers: Vec<SocketAddr> = facts.names.servers.iter().map(|(addr, _)| *addr).collect();
        let servers: Vec<String> = servers.iter().map(|addr| addr.ip().to_string()).collect();
        let servers = servers.join(", ");
        let evidence = format!("{names} must be looked up, and {servers} did not answer");
        let fix = or("correct `nameserver` in /etc/resolv.conf");
        return vec![RESOLVER_SILENT.found(evidence, fix)];
    }
    missing.into_iter().map(finding).collect()
}

/// The line that makes a lookup unnecessary.
fn at(lookup: &Lookup) -> Option<String> {
    let Who::Function(role) = &lookup.who else { return None };
    let word = crate::doctor::facts::word(role.transports()[0]);
    Some(format!("[{role}]\nat = \"{word}:ADDRESS:{}\"", role.default_port()))
}

fn finding(lookup: &Lookup) -> Finding {
    let host = &lookup.host;
    match &lookup.who {
        Who::Function(role) => {
            let evidence = format!(
                "{role} is neither among the functions of this process nor has it an `at`, and DNS knows no {host}"
            );
            let at = at(lookup).unwrap_or_default();
            let fix = format!(
                "add \"{role}\" to `roles`, or tell where it is:\n{at}\nor give {host} an address in DNS"
            );
            FUNCTION_NOWHERE.found(evidence, fix)
        }
        Who::Server(uri) => {
            let evidence =
                format!("filter criteria send requests to {uri}, and DNS knows no {host}");
            let fix = format!(
                "give {host} an address in DNS or /etc/hosts, or write the server's address into the criteria"
            );
            SERVER_NAME_UNKNOWN.found(evidence, fix)
        }
    }
}
