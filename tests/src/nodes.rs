//! A network with two S-CSCFs: nodes of one name that share what they know of registrations, or two that
//! know nothing of each other.

use std::cell::Cell;
use std::net::SocketAddr;

use base::machine::{Order, Target};
use base::{Service, Transport};
use engine::Place;
use engine::sim::{HostId, Process, Simulation, Weather};
use strowger::plan::{Plan, Role};
use strowger::shared::SharedPlan;

use crate::faulty::Fault;
use crate::network::{DOMAIN, Network, packet_path, provisioner};
use crate::places::{self, address};
use crate::valkey::{Day, Valkey};

/// Two S-CSCFs, a P-CSCF that another one can replace, and the server that they share.
pub struct Nodes {
    /// The network; `hosts` has the first S-CSCF.
    pub network: Network,
    /// The S-CSCFs, in the order in which the others ask them.
    pub scscf: [HostId; 2],
    /// The P-CSCF's address: whoever is started there is a new node with an empty disk.
    pub pcscf: HostId,
    /// The server.
    pub valkey: HostId,
}

const HOME: u8 = 1;
const RELAY: u8 = 2;
const PCSCF: u8 = 3;
const VALKEY: u8 = 4;
const SCSCF: [u8; 2] = [5, 6];

/// What a host runs. It finds the others by their addresses.
fn plan(roles: &[Role], host: u8, node: &str) -> Plan {
    let places: [(Role, &[u8]); 5] = [
        (Role::Hss, &[HOME]),
        (Role::Icscf, &[HOME]),
        (Role::Media, &[RELAY]),
        (Role::Pcscf, &[PCSCF]),
        (Role::Scscf, &SCSCF),
    ];
    let mut plan = places::plan(roles, host, &places, RELAY);
    plan.trusted = [HOME, RELAY, PCSCF, SCSCF[0], SCSCF[1]].map(|host| (address(host), 32)).into();
    plan.shared = Some(SharedPlan {
        servers: vec![(address(VALKEY).to_string(), None)],
        node: node.to_owned(),
        ..SharedPlan::default()
    });
    plan
}

/// The same for S-CSCFs that have names of their own and nothing in common.
fn plan_apart(roles: &[Role], host: u8) -> Plan {
    let mut plan = plan(roles, host, "x");
    plan.shared = None;
    plan.elsewhere.remove(&Role::Scscf);
    plan.scscf_name = SCSCF.contains(&host).then(|| scscf_name(host));
    plan.scscfs = SCSCF.map(|host| format!("sip:{}", scscf_name(host))).into();
    plan
}

fn scscf_name(host: u8) -> String {
    format!("scscf-{host}.{DOMAIN}")
}

impl Nodes {
    /// A network without phones, whose S-CSCFs share everything.
    pub fn new(seed: u64, weather: Weather) -> Nodes {
        Nodes::with(seed, weather, None, plan)
    }

    /// A network without phones, whose S-CSCFs share nothing.
    pub fn apart(seed: u64, weather: Weather) -> Nodes {
        Nodes::apart_with(seed, weather, None)
    }

    /// The same; an S-CSCF that is started anew has an empty disk.
    pub fn forgetful(seed: u64, weather: Weather) -> Nodes {
        Nodes::apart_with(seed, weather, Some(Fault::DiskLost))
    }

    fn apart_with(seed: u64, weather: Weather, fault: Option<Fault>) -> Nodes {
        let plan = |roles: &[Role], host, _: &str| plan_apart(roles, host);
        let mut nodes = Nodes::with(seed, weather, fault, plan);
        for host in SCSCF {
            let place = |transport: &Transport| {
                let endpoint = SocketAddr::new(address(host), Role::Scscf.default_port()).into();
                Place::At(Target { transport: *transport, endpoint })
            };
            let places = Role::Scscf.transports().iter().map(place).collect();
            nodes.network.sim.name(&scscf_name(host), Some(Service::Sip), places);
        }
        nodes
    }

    fn with(
        seed: u64,
        weather: Weather,
        fault: Option<Fault>,
        plan: impl Fn(&[Role], u8, &str) -> Plan + Copy + 'static,
    ) -> Nodes {
        let mut sim = Simulation::new(seed, weather).framing(strowger::framing::framings);
        let hosts: [(&str, &[Role], u8); 5] = [
            ("home", &[Role::Hss, Role::Icscf], HOME),
            ("media", &[Role::Media], RELAY),
            ("pcscf", &[Role::Pcscf], PCSCF),
            ("scscf-a", &[Role::Scscf], SCSCF[0]),
            ("scscf-b", &[Role::Scscf], SCSCF[1]),
        ];
        for (_, roles, host) in hosts {
            for (name, service, places) in strowger::assembly::topology(&plan(roles, host, "x")) {
                sim.name(&name, service, places);
            }
        }
        let valkey = sim.host("valkey", address(VALKEY), |_| Valkey::spec(address(VALKEY)).into());
        let ids = hosts.map(|(name, roles, host)| {
            let starts = Cell::new(0);
            sim.host(name, address(host), move |mut boot| {
                starts.set(starts.get() + 1);
                let plan = plan(roles, host, &format!("{name}-{}", starts.get()));
                let mut functions = strowger::assembly::functions(&plan, &mut boot.random);
                if roles.contains(&Role::Hss) {
                    functions.push(provisioner());
                }
                let functions =
                    functions.into_iter().map(|spec| Fault::plant(fault, spec)).collect();
                let relay = roles.contains(&Role::Media).then(|| packet_path(&plan));
                Process { functions, relay }
            })
        });
        let [home, media, pcscf, a, b] = ids;
        let hosts = [
            (Role::Hss, home),
            (Role::Icscf, home),
            (Role::Media, media),
            (Role::Pcscf, pcscf),
            (Role::Scscf, a),
        ];
        let network = Network::of(sim, home, hosts.into(), address(PCSCF));
        Nodes { network, scscf: [a, b], pcscf, valkey }
    }

    /// How the server is from now on.
    pub fn server(&mut self, day: Day) {
        assert!(self.network.sim.order(self.valkey, "valkey", day.order()), "the server runs");
    }

    /// Tells a function something.
    pub fn order(&mut self, host: HostId, function: &str, order: Order) {
        assert!(self.network.sim.order(host, function, order), "{function} runs");
    }

    /// How many records a node has, how many of its changes the server has not, and whether that is away.
    pub fn shares(&mut self, host: HostId) -> (usize, usize, bool) {
        let census = self.network.census(host, strowger::shared::NAME);
        let away = census.count("servers away") > 0;
        (census.count("shared records"), census.count("changes not shared yet"), away)
    }
}
