//! A network with two P-CSCFs, so that a phone can have a flow to each: of two names that share nothing, or of one
//! that share what they know of phones.

use base::Transport;
use base::flow::Service;
use base::machine::{Name, Target};
use engine::Place;
use engine::sim::{HostId, Process, Simulation, Weather};
use strowger::plan::{Plan, Role};
use strowger::shared::SharedPlan;
use ue::UeConfig;

use crate::network::{DOMAIN, Network, packet_path, provisioner};
use crate::places::{self, address};
use crate::valkey::Valkey;

const HOME: u8 = 1;
const RELAY: u8 = 2;
const SCSCF: u8 = 3;
const DOORS: [u8; 2] = [4, 5];
const VALKEY: u8 = 6;

/// Two P-CSCFs and the rest of a network.
pub struct Doors {
    /// The network; phones find the first P-CSCF.
    pub network: Network,
    /// The P-CSCFs.
    pub pcscf: [HostId; 2],
}

fn name(host: u8) -> String {
    format!("pcscf-{host}.{DOMAIN}")
}

fn plan(roles: &[Role], host: u8, shared: bool) -> Plan {
    let places: [(Role, &[u8]); 5] = [
        (Role::Hss, &[HOME]),
        (Role::Icscf, &[HOME]),
        (Role::Media, &[RELAY]),
        (Role::Scscf, &[SCSCF]),
        (Role::Pcscf, &DOORS),
    ];
    let mut plan = places::plan(roles, host, &places, RELAY);
    plan.trusted = DOORS.map(|host| (address(host), 32)).into();
    let door = DOORS.contains(&host);
    plan.pcscf_name = (door && !shared).then(|| name(host));
    plan.shared = (door && shared).then(|| SharedPlan {
        servers: vec![(address(VALKEY).to_string(), None)],
        node: format!("door-{host}"),
        ..SharedPlan::default()
    });
    plan
}

impl Doors {
    /// A network without phones, whose P-CSCFs share what they know, or nothing.
    pub fn new(seed: u64, weather: Weather, shared: bool) -> Doors {
        let mut sim = Simulation::new(seed, weather).framing(strowger::framing::framings);
        let hosts: [(&str, &[Role], u8); 5] = [
            ("home", &[Role::Hss, Role::Icscf], HOME),
            ("media", &[Role::Media], RELAY),
            ("scscf", &[Role::Scscf], SCSCF),
            ("door-1", &[Role::Pcscf], DOORS[0]),
            ("door-2", &[Role::Pcscf], DOORS[1]),
        ];
        for (_, roles, host) in hosts {
            for (name, service, places) in strowger::assembly::topology(&plan(roles, host, shared))
            {
                sim.name(&name, service, places);
            }
        }
        for host in DOORS {
            let place = |transport: &Transport| {
                let endpoint = std::net::SocketAddr::from((address(host), 5060)).into();
                Place::At(Target { transport: *transport, endpoint })
            };
            let places = Role::Pcscf.transports().iter().map(place).collect();
            sim.name(&name(host), Some(Service::Sip), places);
        }
        sim.host("valkey", address(VALKEY), |_| Valkey::spec(address(VALKEY)).into());
        let [home, media, scscf, first, second] = hosts.map(|(name, roles, host)| {
            sim.host(name, address(host), move |mut boot| {
                let plan = plan(roles, host, shared);
                let mut functions = strowger::assembly::functions(&plan, &mut boot.random);
                if roles.contains(&Role::Hss) {
                    functions.push(provisioner());
                }
                let relay = roles.contains(&Role::Media).then(|| packet_path(&plan));
                Process { functions, relay }
            })
        });
        let hosts = [
            (Role::Hss, home),
            (Role::Icscf, home),
            (Role::Media, media),
            (Role::Scscf, scscf),
            (Role::Pcscf, first),
        ];
        let network = Network::of(sim, home, hosts.into(), address(DOORS[0]));
        Doors { network, pcscf: [first, second] }
    }

    /// A phone with a flow to each P-CSCF.
    pub fn with_two_flows(config: &mut UeConfig, transport: Transport) {
        let contact = config.contact.clone();
        config.options.instance = Some(format!("urn:uuid:{contact}"));
        config.options.reg_id = Some(1);
        config.transport = transport;
        let to = |host| Name {
            service: Service::Sip,
            host: address(host).to_string(),
            port: Some(5060),
            transport: Some(transport),
        };
        config.proxy = Some(to(DOORS[0]));
        config.further_proxies = vec![to(DOORS[1])];
    }

    /// A phone at the second P-CSCF alone.
    pub fn at_the_second(config: &mut UeConfig) {
        if let Some(proxy) = &mut config.proxy {
            proxy.host = address(DOORS[1]).to_string();
        }
    }
}
