//! Listeners that cannot be opened.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;

use crate::doctor::facts::{Listening, Refused, word};
use crate::doctor::identifiers::{
    ADDRESS_NOT_HERE, IPV6_OFF, PORT_IN_USE, PORT_PRIVILEGED, PORT_REFUSED,
};
use crate::doctor::{Facts, Finding};
use crate::plan::Role;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    // What fails for the same reason over UDP and TCP is told once.
    let mut found: BTreeMap<(Role, SocketAddr, &'static str), (Vec<&Listening>, &Refused)> =
        BTreeMap::new();
    for listening in &facts.listeners {
        let Some(refused) = &listening.refused else { continue };
        let floating = facts.plan.shared.as_ref().map_or(&[][..], |shared| &shared.floating);
        // It may be at another node now.
        if refused.kind == ErrorKind::AddrNotAvailable && floating.contains(&listening.addr.ip()) {
            continue;
        }
        let key = (listening.role, listening.addr, of(facts, listening, refused).name);
        found.entry(key).or_insert((Vec::new(), refused)).0.push(listening);
    }
    let all = found.into_values().filter(|(_, refused)| !facts.is_held_by_us(refused));
    all.filter_map(|(listening, refused)| {
        Some(finding(facts, &listening, *listening.first()?, refused))
    })
    .collect()
}

fn of(facts: &Facts, listening: &Listening, refused: &Refused) -> crate::doctor::Identifier {
    match refused.kind {
        ErrorKind::AddrInUse => PORT_IN_USE,
        _ if listening.addr.is_ipv6() && !facts.machine.ipv6 => IPV6_OFF,
        ErrorKind::AddrNotAvailable => ADDRESS_NOT_HERE,
        ErrorKind::PermissionDenied if listening.addr.port() < facts.machine.unprivileged_from => {
            PORT_PRIVILEGED
        }
        _ => PORT_REFUSED,
    }
}

fn finding(facts: &Facts, all: &[&Listening], one: &Listening, refused: &Refused) -> Finding {
    let Listening { role, addr, key, .. } = one;
    let transports: Vec<&str> = all.iter().map(|one| word(one.transport)).collect();
    let transports = transports.join(" and ");
    let what = format!("{role} cannot listen on {transports} {addr}: {}", refused.text);
    let elsewhere = |addr: SocketAddr| format!("[{role}]\n{key} = \"{addr}\"");
    let other = SocketAddr::new(addr.ip(), addr.port().checked_add(10).unwrap_or(5070));
    let identifier = of(facts, one, refused);
    let (evidence, fix) = match identifier {
        PORT_IN_USE => match &refused.holder {
            Some(holder) => (
                format!("{what}; {} (process {}) holds it", holder.command, holder.pid),
                format!("stop process {}, or set another port:\n{}", holder.pid, elsewhere(other)),
            ),
            None => (
                format!("{what}; who holds it is not visible for this user"),
                format!(
                    "`sudo ss -lnp 'sport = :{}'` shows who; stop that one, or set another port:\n{}",
                    addr.port(),
                    elsewhere(other)
                ),
            ),
        },
        IPV6_OFF => (
            format!("{what}; IPv6 is off on this machine"),
            format!(
                "`sudo sysctl net.ipv6.conf.all.disable_ipv6=0`, or list IPv4 addresses only:\n{}",
                elsewhere(SocketAddr::new([127, 0, 0, 1].into(), addr.port()))
            ),
        ),
        ADDRESS_NOT_HERE => {
            let own: Vec<String> =
                facts.machine.addresses.iter().map(ToString::to_string).collect();
            (
                format!("{what}; the addresses of this machine are {}", own.join(", ")),
                match facts.machine.addresses.iter().find(|ip| ip.is_ipv4() == addr.is_ipv4()) {
                    Some(ip) => elsewhere(SocketAddr::new(*ip, addr.port())),
                    None => format!("give this machine the address {}", addr.ip()),
                },
            )
        }
        PORT_PRIVILEGED => (
            format!(
                "{what}; ports below {} need CAP_NET_BIND_SERVICE",
                facts.machine.unprivileged_from
            ),
            format!(
                "`sudo setcap cap_net_bind_service+ep $(command -v strowger)`, or set another port:\n{}",
                elsewhere(SocketAddr::new(addr.ip(), role.default_port()))
            ),
        ),
        _ => (what, format!("set another address:\n{}", elsewhere(other))),
    };
    identifier.found(evidence, fix).at(facts.place_of(*role, key))
}
