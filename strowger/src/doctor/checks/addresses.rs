//! Where functions listen, whether or not they could.

use std::net::IpAddr;

use crate::doctor::identifiers::{LISTEN_WILDCARD, LOOPBACK_ONLY, MTU_SMALL, NO_ENTRY};
use crate::doctor::{Facts, Finding};
use crate::plan::Role;

/// The MTU of Ethernet. What SIP sends over UDP is measured by it (RFC 3261 §18.1.1).
const ETHERNET: u32 = 1500;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    let entry = facts.listen(Role::Pcscf);
    let place = facts.place_of(Role::Pcscf, "listen");
    let own = facts.machine.addresses.iter().find(|ip| !ip.is_loopback());
    let example = own.map_or("192.0.2.1".into(), ToString::to_string);
    let listen = format!("[pcscf]\nlisten = \"{}\"", with_port(&example));
    let secure = facts.plan.tls.here.contains_key(&Role::Pcscf);
    if facts.runs(Role::Pcscf) && entry.is_empty() && !secure {
        let evidence = "the P-CSCF has no address to listen on, and phones register there";
        found.push(NO_ENTRY.found(evidence, listen.clone()).at(place.clone()));
    }
    if !entry.is_empty() && entry.iter().all(|addr| addr.ip().is_loopback()) {
        let all: Vec<String> = entry.iter().map(ToString::to_string).collect();
        let evidence = format!("the P-CSCF listens on {}", all.join(" and "));
        let fix = format!(
            "if phones of other machines are to register:\n{listen}\n[media]\naddresses = \"{example}\""
        );
        found.push(LOOPBACK_ONLY.found(evidence, fix).at(place));
    }
    for (role, addrs) in &facts.plan.here {
        for addr in addrs.iter().filter(|addr| addr.ip().is_unspecified()) {
            let count = facts.machine.addresses.iter().filter(|ip| !ip.is_loopback()).count();
            let evidence = format!(
                "{role} listens on {addr}: on all networks, and what it sends over UDP leaves from \
                 whichever of this machine's {count} addresses the system chooses"
            );
            let port = addr.port();
            let fix = format!(
                "[{role}]\nlisten = \"{}\"",
                with_port(&example).replace("5060", &port.to_string())
            );
            found.push(LISTEN_WILDCARD.found(evidence, fix).at(facts.place_of(*role, "listen")));
        }
    }
    found.extend(mtu(facts));
    found
}

fn with_port(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:5060") } else { format!("{ip}:5060") }
}

fn mtu(facts: &Facts) -> Vec<Finding> {
    let sip = facts.plan.here.iter().filter(|(role, _)| role.service() == base::Service::Sip);
    let used: Vec<IpAddr> =
        sip.flat_map(|(_, addrs)| addrs).map(std::net::SocketAddr::ip).collect();
    let carries = |interface: &&crate::doctor::facts::Interface| {
        used.iter().any(|ip| {
            ip.is_unspecified()
                || facts.machine.interface_of(*ip).is_some_and(|of| of.name == interface.name)
        })
    };
    let small = facts.machine.interfaces.iter().filter(|interface| interface.mtu < ETHERNET);
    small.filter(carries).map(|interface| {
        let evidence = format!(
            "the MTU of {} is {} bytes: SIP messages over UDP that are longer travel in pieces, which \
             firewalls and NATs often drop",
            interface.name, interface.mtu
        );
        let fix = format!("`sudo ip link set {} mtu 1500` if the network carries it, else let phones register over TCP", interface.name);
        MTU_SMALL.found(evidence, fix)
    }).collect()
}
