//! Where voice goes.

use std::net::IpAddr;

use base::Transport;

use crate::doctor::facts::{Refused, word};
use crate::doctor::identifiers::{
    MEDIA_ADDRESS_NOT_HERE, MEDIA_FAMILY, MEDIA_LOOPBACK, MEDIA_PRIVATE, PORTS_EPHEMERAL,
    PORTS_FEW, PORTS_OVERLAP_LISTENER, RECORDINGS_NOT_WRITABLE, RELAY_UNWATCHED, SOUNDS_UNREADABLE,
};
use crate::doctor::{Facts, Finding};
use crate::plan::Role;

/// A call with sound takes a pair of ports for each side.
const PER_CALL: u32 = 4;
/// Fewer calls at a time than this are few.
const FEW: u32 = 10;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    if !facts.runs(Role::Media) {
        return Vec::new();
    }
    let mut found = not_here(facts);
    if found.is_empty() {
        found.extend(unreachable(facts));
    }
    found.extend(ports(facts));
    if let Some((folder, error)) = &facts.recordings {
        let evidence = format!("{} cannot be written: {error}", folder.display());
        let fix = "make it writable for the user who runs strowger, or name another folder";
        let place = facts.place("media.recordings");
        found.push(RECORDINGS_NOT_WRITABLE.found(evidence, fix).at(place));
    }
    found.extend(unwatched(facts));
    if let Some(evidence) = facts.sounds.clone() {
        let fix = "put the folder and its files right, or take `sounds` out of [media]";
        found.push(SOUNDS_UNREADABLE.found(evidence, fix).at(facts.place("media.sounds")));
    }
    found
}

/// Other relays see whether this one lives at its door for NG over TCP.
fn unwatched(facts: &Facts) -> Option<Finding> {
    let shared = facts.plan.shared.as_ref().filter(|_| facts.plan.takeover)?;
    let mut doors = facts.plan.media_doors.tcp_ng.iter().map(|door| door.ip());
    if doors.any(|ip| !ip.is_unspecified() && !shared.floating.contains(&ip)) {
        return None;
    }
    let evidence = "no door for NG over TCP has an address of this host alone".to_owned();
    let own = facts.machine.addresses.iter().find(|ip| !shared.floating.contains(ip));
    let ip = own.copied().unwrap_or(IpAddr::from([192, 0, 2, 1]));
    let fix = format!("[media]\nlisten_tcp_ng = \"{}\"", std::net::SocketAddr::new(ip, 2223));
    Some(RELAY_UNWATCHED.found(evidence, fix).at(facts.place("media.listen_tcp_ng")))
}

fn not_here(facts: &Facts) -> Vec<Finding> {
    let floating = facts.plan.shared.as_ref().map_or(&[][..], |shared| &shared.floating);
    let refused = |(ip, refused): &(IpAddr, Option<Refused>)| {
        // It may be at another node now.
        let refused = refused.as_ref().filter(|_| !floating.contains(ip))?;
        let evidence = format!("the relay's address {ip} cannot be used: {}", refused.text);
        let found = MEDIA_ADDRESS_NOT_HERE.found(evidence, addresses(facts, ip.is_ipv4()));
        Some(found.at(facts.place("media.addresses")))
    };
    facts.media.iter().filter_map(refused).collect()
}

/// The line to write.
fn addresses(facts: &Facts, ipv4: bool) -> String {
    let own = facts.listen(Role::Pcscf).iter().map(std::net::SocketAddr::ip);
    let own = own.chain(facts.machine.addresses.iter().copied());
    let usable = |ip: &IpAddr| !ip.is_loopback() && !ip.is_unspecified() && ip.is_ipv4() == ipv4;
    let ip = own.into_iter().find(usable).map_or("192.0.2.1".to_owned(), |ip| ip.to_string());
    format!("[media]\naddresses = \"{ip}\"")
}

/// Where phones register: here, or at the P-CSCF of another process.
fn entry(facts: &Facts) -> Vec<IpAddr> {
    let elsewhere = facts.plan.elsewhere.get(&Role::Pcscf).into_iter().flatten();
    let here = facts.listen(Role::Pcscf).iter().map(std::net::SocketAddr::ip);
    here.chain(elsewhere.map(|seam| seam.address.ip())).collect()
}

/// What phones are told to send their voice to, against where they come from.
fn unreachable(facts: &Facts) -> Option<Finding> {
    let entry = entry(facts);
    let media = &facts.plan.media;
    let all: Vec<String> = media.iter().map(ToString::to_string).collect();
    let outside: Vec<&IpAddr> = entry.iter().filter(|ip| !ip.is_loopback()).collect();
    let place = || facts.place("media.addresses");
    let first = outside.first()?;
    if media.iter().all(IpAddr::is_loopback) {
        let evidence = format!(
            "phones register at {first}, and are told to send their voice to {}: nobody hears anything",
            all.join(", ")
        );
        let fix = addresses(facts, first.is_ipv4());
        return Some(MEDIA_LOOPBACK.found(evidence, fix).at(place()));
    }
    if let Some(ip) = outside.iter().find(|ip| !media.iter().any(|m| m.is_ipv4() == ip.is_ipv4())) {
        let version = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
        let evidence = format!(
            "phones register at {ip}, and no address of the relay ({}) is {version}",
            all.join(", ")
        );
        let fix = format!(
            "add an {version} address of this machine:\n{}",
            addresses(facts, ip.is_ipv4())
        );
        return Some(MEDIA_FAMILY.found(evidence, fix).at(place()));
    }
    let public = |ip: &IpAddr| !is_private(*ip) && !ip.is_unspecified();
    let open = outside.iter().find(|ip| public(ip))?;
    if media.iter().all(|ip| is_private(*ip)) {
        let evidence = format!(
            "phones register at the public address {open}, and are told to send their voice to {}",
            all.join(", ")
        );
        let fix = addresses(facts, open.is_ipv4());
        return Some(MEDIA_PRIVATE.found(evidence, fix).at(place()));
    }
    None
}

/// Not reachable from the Internet: RFC 1918, RFC 6598, RFC 4193 and link-local addresses.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || (a == 100 && b & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn ports(facts: &Facts) -> Vec<Finding> {
    let (first, last) = (*facts.plan.media_ports.start(), *facts.plan.media_ports.end());
    let place = || facts.place("media.ports");
    let mut found = Vec::new();
    let calls = (u32::from(last) + 1).saturating_sub(u32::from(first)) / PER_CALL;
    if calls < FEW {
        let evidence = format!("ports {first}-{last} are enough for {calls} calls at a time");
        let finding = PORTS_FEW.found(evidence, "[media]\nports = \"20000-29999\"");
        found.push(finding.at(place()));
    }
    let held = |range: (u16, u16)| range.0.max(first)..=range.1.min(last);
    if let Some(ephemeral) = facts.machine.ephemeral {
        let reserved = |port: &u16| {
            facts.machine.reserved.iter().any(|(from, to)| (from..=to).contains(&port))
        };
        let free = held(ephemeral).filter(|port| !reserved(port)).count();
        if free > 0 {
            let evidence = format!(
                "{free} of the relay's ports {first}-{last} are among {}-{}, which the system gives to \
                 any program (net.ipv4.ip_local_port_range)",
                ephemeral.0, ephemeral.1
            );
            let fix = format!(
                "[media]\nports = \"20000-29999\"\nor `sudo sysctl net.ipv4.ip_local_reserved_ports={first}-{last}`"
            );
            found.push(PORTS_EPHEMERAL.found(evidence, fix).at(place()));
        }
    }
    let udp =
        facts.plan.here.iter().filter(|(role, _)| role.transports().contains(&Transport::Udp));
    let udp = udp.flat_map(|(role, addrs)| addrs.iter().map(move |addr| (role, addr)));
    let inside = |addr: &std::net::SocketAddr| facts.plan.media_ports.contains(&addr.port());
    if let Some((role, addr)) = udp.into_iter().find(|(_, addr)| inside(addr)) {
        let evidence = format!(
            "{role} listens on {} {addr}, and the relay's ports are {first}-{last}",
            word(Transport::Udp)
        );
        let finding = PORTS_OVERLAP_LISTENER.found(evidence, "[media]\nports = \"20000-29999\"");
        found.push(finding.at(place()));
    }
    found
}
