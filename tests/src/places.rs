//! Networks whose functions have hosts of their own and find each other by addresses.

use std::net::IpAddr;

use strowger::plan::{Plan, Role, Seam};

use crate::network::DOMAIN;

/// The address of a host.
pub(crate) fn address(host: u8) -> IpAddr {
    IpAddr::from([10, 255, 0, host])
}

/// What a host runs: these roles. `places` says which hosts have which roles; the media relay is at `relay`.
pub(crate) fn plan(roles: &[Role], host: u8, places: &[(Role, &[u8])], relay: u8) -> Plan {
    let mut plan = Plan::all_in_one(DOMAIN);
    plan.here =
        roles.iter().map(|r| (*r, vec![(address(host), r.default_port()).into()])).collect();
    for (role, hosts) in places.iter().filter(|(role, _)| !roles.contains(role)) {
        let at = |host: &u8| (address(*host), role.default_port()).into();
        let seams = role.transports().iter().flat_map(|transport| {
            hosts.iter().map(|host| Seam { transport: *transport, address: at(host) })
        });
        plan.elsewhere.insert(*role, seams.collect());
    }
    plan.media = vec![address(relay)];
    plan.media_ports = 10_000..=59_999;
    plan
}
