//! Builds the functions of a plan.

use std::net::IpAddr;
use std::sync::Arc;

use base::machine::{Function, Name, Order, Target};
use base::time::Duration;
use base::trust::Networks;
use base::{Random, Service, Transport};
use cscf::Door;
use cscf::bgcf::config::BgcfConfig;
use cscf::ecscf::config::EcscfConfig;
use cscf::icscf::config::{IcscfConfig, Scscf as ScscfEntry};
use cscf::pcscf::config::PcscfConfig;
use cscf::scscf::config::ScscfConfig;
use diameter::node::{NodeConfig, PeerConfig};
use engine::net::Places;
use engine::{FunctionSpec, Listener, Place};

use crate::plan::{Plan, Role, SERVICE_CENTRE, Seam};
use crate::shared;

/// How long the HSS may take to answer.
const CX_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an S-CSCF may take to answer a REGISTER before another one is asked: it waits for the HSS, and the
/// phone gives up after 32 seconds.
const SCSCF_PATIENCE: Duration = Duration::from_secs(8);

/// The functions of a plan, in the order in which they are to be started. A server that is shared asks for
/// no password.
pub fn functions(plan: &Plan, random: &mut Random) -> Vec<FunctionSpec> {
    let keeper = shared::keeper(plan, None, random.fork());
    let here = Role::ALL.into_iter().filter(|role| plan.here.contains_key(role));
    let functions = here.map(|role| function(plan, role, random.fork()));
    keeper.into_iter().chain(functions).collect()
}

/// What a function is built with, and what it takes over while it runs: each takes its own as an order.
#[derive(Debug)]
enum Setup {
    Hss(hss::HssConfig),
    Media(media::MediaConfig),
    IpSmGw(ipsmgw::IpSmGwConfig),
    Ecscf(EcscfConfig),
    Bgcf(BgcfConfig),
    Pcscf(PcscfConfig),
    Icscf(IcscfConfig),
    Scscf(Box<ScscfConfig>),
}

impl Setup {
    fn of(plan: &Plan, role: Role) -> Setup {
        match role {
            Role::Hss => Setup::Hss(hss::HssConfig {
                node: node(plan, role),
                scscfs: scscf_uris(plan),
                criteria: plan.shared_criteria(),
                psis: plan.psis.clone(),
            }),
            Role::Media => Setup::Media(media::MediaConfig {
                trusted: neighbours(plan),
                sounds: Arc::clone(&plan.sounds),
                recordings: plan.recordings.as_ref().map(|recordings| recordings.form),
                dtmf_log: plan.dtmf_log,
                ports: plan.media_ports.clone(),
                relay: plan.takeover.then(|| this_relay(plan)),
                ..media::MediaConfig::new(plan.media.iter().copied())
            }),
            Role::IpSmGw => Setup::IpSmGw(ipsmgw::IpSmGwConfig {
                host: plan.host(role),
                port: port_in_uris(plan, role),
                icscf: name(plan, Role::Icscf),
                service_centre: service_centre(plan),
                zone: sms::time_stamp::Zone::UTC,
                dialling: plan.dialling.clone(),
                trust: trust(plan),
                limits: ipsmgw::Limits::default(),
                patience: ipsmgw::Patience::default(),
            }),
            Role::Ecscf => Setup::Ecscf(EcscfConfig {
                door: door(plan, role),
                centres: plan.centres.iter().cloned().collect(),
                bgcf: plan.breaks_out().then(|| uri(plan, Role::Bgcf)),
                home_domain: plan.domain.clone(),
                icscf: name(plan, Role::Icscf),
                relay: relay(plan),
                from: hosts(
                    &plan.centres_from,
                    plan.centres.iter().map(|centre| centre.uri.as_str()),
                ),
                trust: trust(plan),
                limits: plan.limits,
            }),
            Role::Bgcf => Setup::Bgcf(BgcfConfig {
                door: door(plan, role),
                home_domain: plan.domain.clone(),
                icscf: name(plan, Role::Icscf),
                routes: plan.routes.iter().cloned().collect(),
                dialling: plan.dialling.clone(),
                trunks: hosts(
                    &plan.trunks_from,
                    plan.routes.iter().map(|route| route.trunk.as_str()),
                ),
                shown_to: plan.shown_to.clone(),
                trust: trust(plan),
                limits: plan.limits,
            }),
            Role::Pcscf => Setup::Pcscf(PcscfConfig {
                port: port_in_uris(plan, role),
                addresses: door(plan, role).addresses,
                network: plan.domain.clone(),
                trust: trust(plan),
                limits: plan.limits,
                ecscf: plan.takes_emergency_calls().then(|| uri(plan, Role::Ecscf)),
                emergency_numbers: plan.emergency_numbers.clone(),
                ..PcscfConfig::new(plan.host(role), name(plan, Role::Icscf))
            }),
            Role::Icscf => Setup::Icscf(IcscfConfig {
                host: plan.host(role),
                port: port_in_uris(plan, role),
                home_domain: plan.domain.clone(),
                scscfs: scscf_uris(plan)
                    .into_iter()
                    .map(|uri| ScscfEntry { uri, capabilities: Vec::new() })
                    .collect(),
                trust: trust(plan),
                limits: plan.limits,
                diameter: node(plan, role),
                diameter_realm: plan.domain.clone(),
                cx_timeout: CX_TIMEOUT,
                patience: SCSCF_PATIENCE,
            }),
            Role::Scscf => {
                let Door { host, port, addresses } = door(plan, role);
                Setup::Scscf(Box::new(ScscfConfig {
                    host,
                    port,
                    addresses,
                    home_domain: plan.domain.clone(),
                    icscf: name(plan, Role::Icscf),
                    bgcf: plan.breaks_out().then(|| uri(plan, Role::Bgcf)),
                    enum_suffix: plan.enum_suffix.clone(),
                    dialling: plan.dialling.clone(),
                    relay: relay(plan),
                    trust: trust(plan),
                    limits: plan.limits,
                    diameter: node(plan, role),
                    diameter_realm: plan.domain.clone(),
                    cx_timeout: CX_TIMEOUT,
                    min_expires: plan.min_expires,
                    max_expires: plan.max_expires,
                    digest: plan.digest.clone(),
                    await_auth: Duration::from_secs(240),
                    restoration: plan.restores(),
                    max_contacts: 8,
                }))
            }
        }
    }

    fn build(self, random: Random) -> Box<dyn Function> {
        match self {
            Setup::Hss(config) => Box::new(hss::Hss::new(config, random)),
            Setup::Media(config) => {
                Box::new(media::Media::new(config, crate::relay::certificate(), random))
            }
            Setup::IpSmGw(config) => Box::new(ipsmgw::IpSmGw::new(config, random)),
            Setup::Ecscf(config) => Box::new(cscf::ecscf::Ecscf::new(config, random)),
            Setup::Bgcf(config) => Box::new(cscf::bgcf::Bgcf::new(config, random)),
            Setup::Pcscf(config) => Box::new(cscf::pcscf::Pcscf::new(config, random)),
            Setup::Icscf(config) => Box::new(cscf::icscf::Icscf::new(config, random)),
            Setup::Scscf(config) => Box::new(cscf::scscf::Scscf::new(*config, random)),
        }
    }
}

/// The order to a running function of this role to work as the plan says from now on. What names the
/// function, where it listens and its Diameter peers are to be as it was built.
pub fn order(plan: &Plan, role: Role) -> Order {
    Order(match Setup::of(plan, role) {
        Setup::Hss(config) => Box::new(config),
        Setup::Media(config) => Box::new(config),
        Setup::IpSmGw(config) => Box::new(config),
        Setup::Ecscf(config) => Box::new(config),
        Setup::Bgcf(config) => Box::new(config),
        Setup::Pcscf(config) => Box::new(config),
        Setup::Icscf(config) => Box::new(config),
        Setup::Scscf(config) => config,
    })
}

/// The tables of the store that belong to a function.
fn tables(role: Role) -> &'static [base::store::Table] {
    match role {
        Role::Hss | Role::Icscf | Role::Ecscf => &[],
        Role::Media => &[media::CALLS, media::RELAYS, media::CERTIFICATES],
        Role::Bgcf => &[cscf::bgcf::TABLE],
        Role::IpSmGw => &[ipsmgw::TABLE],
        Role::Pcscf => &[cscf::pcscf::TABLE, cscf::pcscf::EMERGENCY_TABLE],
        Role::Scscf => &[cscf::scscf::TABLE, cscf::scscf::WATCHERS, cscf::scscf::GRUU_TABLE],
    }
}

/// One function of a plan with its listeners.
pub fn function(plan: &Plan, role: Role, random: Random) -> FunctionSpec {
    let listeners = plan.here.get(&role).into_iter().flatten().flat_map(|addr| {
        let listener = |transport| Listener { service: role.service(), transport, addr: *addr };
        role.transports().iter().copied().map(listener)
    });
    let secure = plan.tls.here.get(&role).into_iter().flatten().map(|addr| Listener {
        service: role.service(),
        transport: Transport::Tls,
        addr: *addr,
    });
    let doors = plan.media_doors.all().filter(|_| role == Role::Media);
    let doors =
        doors.map(|(_, service, addr)| Listener { service, transport: Transport::Tcp, addr });
    let mut hosts = vec![plan.host(role)];
    if role == Role::Icscf {
        // The home domain's own entry point, TS 23.228 §5.3.2.
        hosts.push(plan.domain.clone());
    }
    FunctionSpec {
        name: role.as_str().to_owned(),
        hosts,
        function: Setup::of(plan, role).build(random),
        listeners: listeners.chain(secure).chain(doors).collect(),
        tables: tables(role),
    }
}

/// Names of functions in other processes and their places, for the engine's topology.
pub fn topology(plan: &Plan) -> Vec<Places> {
    let mut out = Vec::new();
    for (role, seams) in &plan.elsewhere {
        let target = |seam: &crate::plan::Seam| {
            Place::At(Target { transport: seam.transport, endpoint: seam.address.into() })
        };
        let places: Vec<Place> = seams.iter().map(target).collect();
        out.push((plan.host(*role), Some(role.service()), places.clone()));
        if *role == Role::Icscf {
            out.push((plan.domain.clone(), Some(role.service()), places));
        }
    }
    out
}

/// The configuration takes nothing else than a number.
fn service_centre(plan: &Plan) -> sms::Number {
    let default = || sms::Number::international(SERVICE_CENTRE).expect("these are digits");
    sms::Number::international(&plan.service_centre).unwrap_or_else(|_| default())
}

/// The names and addresses that a function is known by.
fn door(plan: &Plan, role: Role) -> Door {
    let listen = plan.here.get(&role).into_iter().flatten().copied();
    let addresses = listen.filter(|a| !a.ip().is_unspecified() && a.port() != 0).collect();
    Door { host: plan.host(role), port: port_in_uris(plan, role), addresses }
}

/// The S-CSCFs that users may get.
fn scscf_uris(plan: &Plan) -> Vec<String> {
    if plan.scscfs.is_empty() { vec![scscf_uri(plan)] } else { plan.scscfs.clone() }
}

/// The URI that the HSS knows the S-CSCF by.
fn scscf_uri(plan: &Plan) -> String {
    uri(plan, Role::Scscf)
}

/// The URI that other functions know a function by.
fn uri(plan: &Plan, role: Role) -> String {
    let host = plan.host(role);
    match port_in_uris(plan, role) {
        Some(port) => format!("sip:{host}:{port}"),
        None => format!("sip:{host}"),
    }
}

/// The port behind a function's name in URIs. Whoever finds the name by its address alone, without SRV
/// records, needs it, unless it is 5060. Several ports cannot be told by one name, and where TLS is
/// cannot be told without saying that it is TLS.
fn port_in_uris(plan: &Plan, role: Role) -> Option<u16> {
    let here = plan.here.get(&role).into_iter().flatten().map(|at| at.port());
    let seams = plan.elsewhere.get(&role).into_iter().flatten().filter(|seam| !is_tls(seam));
    let mut ports = here.chain(seams.map(|seam| seam.address.port()));
    let first = ports.next().filter(|port| ![0, role.default_port()].contains(port))?;
    ports.all(|port| port == first).then_some(first)
}

/// Our relay among others.
fn this_relay(plan: &Plan) -> media::Relay {
    let node = plan.shared.as_ref().map_or(Role::Media.as_str(), |shared| &shared.node);
    let doors = plan.media_doors.tcp_ng.iter().copied().filter(|door| !door.ip().is_unspecified());
    media::Relay { name: node.to_owned(), doors: doors.collect() }
}

/// The relay that calls go through.
fn relay(plan: &Plan) -> Option<Name> {
    plan.anchor_media.then(|| name(plan, Role::Media))
}

fn name(plan: &Plan, role: Role) -> Name {
    Name { service: role.service(), host: plan.host(role), port: None, transport: None }
}

fn node(plan: &Plan, role: Role) -> NodeConfig {
    // Two nodes of one name are two to Diameter, RFC 6733 §1.2.
    let own = plan.shared.as_ref().filter(|_| role != Role::Hss);
    let host = own.map_or(plan.host(role), |own| format!("{}.{}", own.node, plan.host(role)));
    let mut node = NodeConfig::new(host, plan.domain.clone());
    node.trusted = neighbours(plan);
    if role != Role::Hss {
        // The HSS changes users at the S-CSCF: RTR and PPR.
        let serves = if role == Role::Scscf { &cscf::scscf::SERVES[..] } else { &[] };
        node.applications.push(diameter::cx::application(serves));
        node.peers.push(PeerConfig {
            name: Name {
                service: Service::Diameter,
                host: plan.host(Role::Hss),
                port: None,
                transport: None,
            },
            host: plan.host(Role::Hss),
            realm: plan.domain.clone(),
        });
    }
    node
}

/// The SIP seams' hosts and the configured networks.
fn trust(plan: &Plan) -> Networks {
    // A relay or an HSS speaks no SIP: whoever sends SIP from its address is not it.
    Networks::new(networks(plan, |role| role.service() == Service::Sip))
}

/// Others whom one function alone knows: networks, and whoever is told by an address.
fn hosts<'a>(from: &[(IpAddr, u8)], uris: impl Iterator<Item = &'a str>) -> Networks {
    let address = |uri| sip::uri::literal(sip::Uri::parse(uri)?.sip()?.host);
    let hosts = uris.filter_map(address).map(|ip| (ip, if ip.is_ipv4() { 32 } else { 128 }));
    Networks::new(from.iter().copied().chain(hosts).collect())
}

/// The hosts of all seams and the configured networks: who may ask the HSS and the relay.
fn neighbours(plan: &Plan) -> Networks {
    Networks::new(networks(plan, |_| true))
}

fn networks(plan: &Plan, seams_of: impl Fn(Role) -> bool) -> Vec<(IpAddr, u8)> {
    let seams = plan.elsewhere.iter().filter(|(role, _)| seams_of(**role));
    // Who is reached over TLS proves what he is by his certificate.
    let plain = seams.flat_map(|(_, seams)| seams).filter(|seam| !is_tls(seam));
    let hosts = plain.map(|seam| {
        let ip = seam.address.ip();
        (ip, if ip.is_ipv4() { 32 } else { 128 })
    });
    plan.trusted.iter().copied().chain(hosts).collect()
}

fn is_tls(seam: &&Seam) -> bool {
    seam.transport == Transport::Tls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_backed_up() {
        let known = crate::archive::TABLES;
        let all = Role::ALL.into_iter().flat_map(tables);
        assert!(all.into_iter().all(|table| known.contains(table)));
    }

    #[test]
    fn a_port_is_told_if_the_name_alone_would_mean_another() {
        let told = |here: &[&str], elsewhere: &[&str]| {
            let mut plan = Plan::all_in_one("ims.test");
            let address = |text: &&str| text.parse().expect("an address");
            plan.here.insert(Role::Scscf, here.iter().map(address).collect());
            let seam = |text| Seam { transport: Transport::Udp, address: address(text) };
            plan.elsewhere.insert(Role::Scscf, elsewhere.iter().map(seam).collect());
            scscf_uri(&plan)
        };
        assert_eq!(told(&[], &[]), "sip:scscf.ims.test");
        assert_eq!(told(&["10.0.0.1:5060"], &[]), "sip:scscf.ims.test");
        assert_eq!(told(&["10.0.0.1:0"], &[]), "sip:scscf.ims.test");
        assert_eq!(told(&["10.0.0.1:6060", "[::1]:6060"], &[]), "sip:scscf.ims.test:6060");
        assert_eq!(told(&[], &["10.0.0.1:6060"]), "sip:scscf.ims.test:6060");
        assert_eq!(told(&[], &["10.0.0.1:6060", "10.0.0.2:6061"]), "sip:scscf.ims.test");
    }
}
