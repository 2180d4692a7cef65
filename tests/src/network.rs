//! A whole IMS and its phones in the simulator.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use auth::milenage::{Key, opc};
use base::census::{self, Census};
use base::flow::Service;
use base::machine::{Name, Order};
use base::redact::Secret;
use base::store::Change;
use base::time::Duration;
use base::trust::Networks;
use base::{Bytes, Instant, Random, Transport};
use cscf::pcscf::Pcscf;
use cscf::pcscf::config::PcscfConfig;
use engine::sim::{HostId, Process, Simulation, VirtualRelay, Weather};
use engine::{FunctionSpec, Listener};
use hss::Subscriber;
use hss::import::Imported;
use hss::profile::FilterCriteria;
use hss::subscriber::OperatorKey;
use sip::transaction::TimerValues;
use strowger::plan::{Plan, Role, Seam};
use strowger::provision::{Answer, Ask, Found, Provision, Provisioner, Refusal, Request};

use crate::faulty::Fault;
use crate::raw::{Raw, Send};
use crate::server::{Manner, Server};
use ue::{Audio, CallId, Credential, UeConfig, UeOrder, UeReport, What};

/// The home domain of the simulated network.
pub const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";

/// The operator's key of every simulated SIM.
const OP: [u8; 16] = [0xdb; 16];

/// A phone and its host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Phone {
    /// Its host.
    pub host: HostId,
    /// Its number: the MSISDN is `49300000` and this number with four digits.
    pub number: u32,
}

impl Phone {
    /// What others call it by.
    pub fn tel(&self) -> String {
        format!("tel:+{}", msisdn(self.number))
    }
}

/// The core on one host or several, each phone on one of its own.
pub struct Network {
    /// The simulation.
    pub sim: Simulation,
    /// The host of the HSS; of everything but the phones, if the core is on one host.
    pub core: HostId,
    /// The hosts of the core's functions.
    pub hosts: BTreeMap<Role, HostId>,
    fault: Option<Fault>,
    proxy: IpAddr,
    orders: u64,
    /// What phones said while something else was waited for.
    unheard: Vec<(HostId, UeReport)>,
}

impl Network {
    /// A network without phones. All functions of the core run in one process.
    pub fn new(seed: u64, weather: Weather) -> Network {
        Network::new_with(seed, weather, |_| {})
    }

    /// The same, after `change` was applied to its plan.
    pub fn new_with(seed: u64, weather: Weather, change: impl Fn(&mut Plan) + 'static) -> Network {
        let mut sim = Simulation::new(seed, weather).framing(strowger::framing::framings);
        let core = sim.host("core", ip(0), move |mut boot| {
            let mut plan = Plan::all_in_one(DOMAIN);
            plan.here.insert(Role::Pcscf, boot.ips.iter().map(|ip| (*ip, 5060).into()).collect());
            plan.media.clone_from(&boot.ips);
            plan.media_ports = 20_000..=59_999;
            change(&mut plan);
            let mut functions = strowger::assembly::functions(&plan, &mut boot.random);
            functions.push(provisioner());
            let relay = Some(packet_path(&plan));
            Process { functions, relay }
        });
        let hosts = Role::USUAL.into_iter().map(|role| (role, core)).collect();
        let unheard = Vec::new();
        Network { sim, core, hosts, fault: None, proxy: ip(0), orders: 0, unheard }
    }

    /// A network without phones whose P-CSCF, S-CSCF and relay have hosts of their own; I-CSCF and
    /// HSS share one. Everything between them crosses the weather.
    pub fn spread(seed: u64, weather: Weather, fault: Option<Fault>) -> Network {
        Network::spread_with(seed, weather, fault, |_| {})
    }

    /// The same, after `change` was applied to the plan of each host.
    pub fn spread_with(
        seed: u64,
        weather: Weather,
        fault: Option<Fault>,
        change: impl Fn(&mut Plan),
    ) -> Network {
        let home = vec![Role::Hss, Role::Icscf];
        let groups = [home, vec![Role::Media], vec![Role::Scscf], vec![Role::Pcscf]];
        Network::in_groups(seed, weather, fault, &groups, change)
    }

    /// A network without phones with a BGCF. All have hosts of their own but I-CSCF and HSS.
    pub fn with_border(seed: u64, weather: Weather, change: impl Fn(&mut Plan)) -> Network {
        let home = vec![Role::Hss, Role::Icscf];
        let groups =
            [home, vec![Role::Media], vec![Role::Scscf], vec![Role::Pcscf], vec![Role::Bgcf]];
        Network::in_groups(seed, weather, None, &groups, change)
    }

    /// A network without phones in which every function there is has a host of its own.
    pub fn one_each(
        seed: u64,
        weather: Weather,
        fault: Option<Fault>,
        change: impl Fn(&mut Plan),
    ) -> Network {
        let groups = Role::ALL.map(|role| vec![role]);
        Network::in_groups(seed, weather, fault, &groups, change)
    }

    fn in_groups(
        seed: u64,
        weather: Weather,
        fault: Option<Fault>,
        groups: &[Vec<Role>],
        change: impl Fn(&mut Plan),
    ) -> Network {
        let mut sim = Simulation::new(seed, weather).framing(strowger::framing::framings);
        let address = |role: Role| {
            let host = groups.iter().position(|group| group.contains(&role)).unwrap_or(0);
            IpAddr::from([10, 255, 0, 1 + host as u8])
        };
        let mut plans: Vec<Plan> =
            groups.iter().map(|group| share(group, groups.iter().flatten(), address)).collect();
        plans.iter_mut().for_each(change);
        for (name, service, places) in plans.iter().flat_map(strowger::assembly::topology) {
            sim.name(&name, service, places);
        }
        let mut hosts = BTreeMap::new();
        for (group, plan) in groups.iter().zip(plans) {
            let name = group.iter().map(|role| role.as_str()).collect::<Vec<_>>().join("+");
            let is_home = group.contains(&Role::Hss);
            let host = sim.host(&name, address(group[0]), move |mut boot| {
                let mut functions = strowger::assembly::functions(&plan, &mut boot.random);
                if is_home {
                    functions.push(provisioner());
                }
                let patient = fault == Some(Fault::TimerBNeverArmed);
                for spec in functions.iter_mut().filter(|spec| patient && spec.name == "pcscf") {
                    spec.function = Box::new(patient_pcscf(&plan, boot.random.fork()));
                }
                let functions = functions.into_iter().map(|spec| Fault::plant(fault, spec));
                let relay = plan.here.contains_key(&Role::Media).then(|| packet_path(&plan));
                Process { functions: functions.collect(), relay }
            });
            hosts.extend(group.iter().map(|role| (*role, host)));
        }
        let (core, proxy) = (hosts[&Role::Hss], address(Role::Pcscf));
        Network { sim, core, hosts, fault, proxy, orders: 0, unheard: Vec::new() }
    }

    /// A network of these hosts; phones find their P-CSCF at this address.
    pub(crate) fn of(
        sim: Simulation,
        core: HostId,
        hosts: BTreeMap<Role, HostId>,
        proxy: IpAddr,
    ) -> Network {
        Network { sim, core, hosts, fault: None, proxy, orders: 0, unheard: Vec::new() }
    }

    /// Adds an application server on a host of its own.
    pub fn server(&mut self, name: &str, address: IpAddr, manner: Manner) -> HostId {
        self.sim.host(name, address, move |boot| {
            Server::spec(manner.clone(), address, boot.random).into()
        })
    }

    /// Whoever runs on the host starts anew, with what is on its disk.
    pub fn restart(&mut self, role: Role) {
        self.sim.restart(self.hosts[&role]);
    }

    /// Everything that is alive in a function.
    pub fn census(&mut self, host: HostId, function: &str) -> Census {
        assert!(self.sim.order(host, function, census::Ask::order()), "{function} runs");
        let reports = self.sim.reports();
        let found = reports.into_iter().find_map(|r| r.report.0.downcast::<Census>().ok());
        found.map(|census| *census).unwrap_or_default()
    }

    /// Adds subscribers with SIMs and their phones.
    pub fn sim_phones(
        &mut self,
        numbers: std::ops::Range<u32>,
        change: impl Fn(&mut UeConfig) + Clone + 'static,
    ) -> Vec<Phone> {
        let subscriber = |number| sim_subscriber(number, &[msisdn(number)]);
        let subscribers: Vec<_> = numbers.clone().map(subscriber).collect();
        let changes = subscribers.iter().flat_map(hss::records).collect();
        self.provision(changes);
        let phones = numbers.zip(subscribers);
        phones
            .map(|(number, s)| self.phone(number, sim_config(number, &s), change.clone()))
            .collect()
    }

    /// Adds a subscriber with a SIM and his phone. `change` may change the phone's configuration.
    pub fn sim_phone(&mut self, number: u32, change: impl Fn(&mut UeConfig) + 'static) -> Phone {
        self.served_phone(number, &[], change)
    }

    /// The same with filter criteria, as a person types them.
    pub fn served_phone(
        &mut self,
        number: u32,
        ifc: &[&str],
        change: impl Fn(&mut UeConfig) + 'static,
    ) -> Phone {
        let criteria = FilterCriteria::parse_all(ifc.iter().copied()).expect("filter criteria");
        let subscriber = sim_subscriber(number, &[msisdn(number)]);
        let subscriber = subscriber.with_criteria(criteria).expect("legal criteria");
        self.provision(hss::records(&subscriber));
        self.phone(number, sim_config(number, &subscriber), change)
    }

    /// Adds a subscriber with a password and his phone.
    pub fn password_phone(
        &mut self,
        number: u32,
        change: impl Fn(&mut UeConfig) + 'static,
    ) -> Phone {
        let (name, password) = login(number);
        let subscriber = Subscriber::with_password(&name, &password, &[msisdn(number)], DOMAIN)
            .expect("a legal subscriber");
        self.provision(hss::records(&subscriber));
        self.another_phone(number, number, change)
    }

    /// Adds another phone of a subscriber with a password, whose first phone has the number `of`.
    pub fn another_phone(
        &mut self,
        number: u32,
        of: u32,
        change: impl Fn(&mut UeConfig) + 'static,
    ) -> Phone {
        let (name, password) = login(of);
        let identity = format!("sip:{name}@{DOMAIN}");
        let credential = Credential::Password(password);
        let config = UeConfig::new(&name, &identity, credential, DOMAIN);
        self.phone(number, config, change)
    }

    /// Adds a phone that nobody knows: without a SIM or a password.
    pub fn stranger(&mut self, number: u32, change: impl Fn(&mut UeConfig) + 'static) -> Phone {
        self.phone(number, unknown("sip:anonymous@anonymous.invalid"), change)
    }

    /// Adds somebody outside of the network who takes and makes calls: an emergency centre, the far end of
    /// a trunk. He is called `sip:NAME@address`, and sends requests where they say that they go.
    pub fn outsider(
        &mut self,
        name: &str,
        address: IpAddr,
        change: impl Fn(&mut UeConfig) + 'static,
    ) -> Phone {
        let config = unknown(&format!("sip:{name}@{address}"));
        let without_proxy = move |config: &mut UeConfig| {
            config.proxy = None;
            change(config);
        };
        let host = self.phone_at(name, address, config, without_proxy);
        Phone { host, number: 0 }
    }

    fn phone(
        &mut self,
        number: u32,
        config: UeConfig,
        change: impl Fn(&mut UeConfig) + 'static,
    ) -> Phone {
        let host = self.phone_at(&format!("phone{number}"), ip(number), config, change);
        Phone { host, number }
    }

    fn phone_at(
        &mut self,
        name: &str,
        address: IpAddr,
        mut config: UeConfig,
        change: impl Fn(&mut UeConfig) + 'static,
    ) -> HostId {
        config.contact = format!("{address}:5060");
        config.media.address = address;
        config.proxy = Some(Name {
            service: Service::Sip,
            host: self.proxy.to_string(),
            port: Some(5060),
            transport: Some(Transport::Udp),
        });
        change(&mut config);
        let fault = self.fault;
        self.sim.host(name, address, move |boot| {
            let listener = |transport| Listener {
                service: Service::Sip,
                transport,
                addr: (address, 5060).into(),
            };
            let spec = FunctionSpec {
                name: "ue".to_owned(),
                hosts: Vec::new(),
                function: Box::new(Raw::new(ue::Ue::new(config.clone(), boot.random))),
                listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
                tables: &[],
            };
            Fault::plant(fault, spec).into()
        })
    }

    fn provision(&mut self, changes: Vec<Change>) {
        self.orders += 1;
        let order = Provision { number: self.orders, changes };
        let taken = self.sim.order(self.core, "provisioner", Order(Box::new(order)));
        assert!(taken, "the provisioner runs");
    }

    /// What an operator asks for while the network runs. The HSS hears of it as the control door of a
    /// process lets it hear.
    ///
    /// # Errors
    /// Why it was not done.
    pub fn operator(&mut self, ask: Ask) -> Result<Found, Refusal> {
        self.orders += 1;
        let request = Request { number: self.orders, ask };
        let taken = self.sim.order(self.core, "provisioner", Order(Box::new(request)));
        assert!(taken, "the provisioner runs");
        for _ in 0..1000 {
            for reported in self.sim.reports() {
                match reported.report.0.downcast::<Answer>() {
                    Ok(answer) => {
                        let order = Order(Box::new(answer.operations));
                        assert!(self.sim.order(self.core, "hss", order), "the HSS runs");
                        return answer.result;
                    }
                    Err(other) => {
                        let said = other.downcast::<UeReport>();
                        self.unheard.extend(said.map(|report| (reported.host, *report)));
                    }
                }
            }
            self.sim.run_for(Duration::from_millis(1));
        }
        panic!("the provisioner answers within a second");
    }

    /// An operator writes over a subscriber with a SIM.
    pub fn replace(&mut self, subscriber: Subscriber) {
        let subscribers = vec![Imported { subscriber, seq: None }];
        let done = self.operator(Ask::Put { subscribers, replace: true, check: false });
        done.expect("the subscriber is replaced");
    }

    /// Lets a phone that is registered send bytes to its P-CSCF.
    pub fn send(&mut self, phone: Phone, bytes: impl Into<Bytes>) {
        let taken = self.sim.order(phone.host, "ue", Order(Box::new(Send(bytes.into()))));
        assert!(taken, "the phone runs");
    }

    /// Tells a phone what to do.
    pub fn order(&mut self, phone: Phone, order: UeOrder) {
        let taken = self.sim.order(phone.host, "ue", Order(Box::new(order)));
        assert!(taken, "the phone runs");
    }

    /// Runs for a while and returns what the phones said.
    pub fn run(&mut self, time: Duration) -> Vec<(HostId, UeReport)> {
        self.sim.run_for(time);
        self.heard()
    }

    /// What the phones said since the last time.
    pub fn heard(&mut self) -> Vec<(HostId, UeReport)> {
        let reports = self.sim.reports();
        let ours = |reported: engine::sim::Reported| {
            let report = reported.report.0.downcast::<UeReport>().ok()?;
            Some((reported.host, *report))
        };
        self.unheard.extend(reports.into_iter().filter_map(ours));
        std::mem::take(&mut self.unheard)
    }

    /// Runs until a phone says something in particular, at most so long.
    pub fn until<T>(
        &mut self,
        limit: Duration,
        mut wanted: impl FnMut(HostId, &UeReport) -> Option<T>,
    ) -> Option<T> {
        let mut waited = Duration::ZERO;
        let step = Duration::from_millis(100);
        while waited < limit {
            waited += step;
            let heard = self.run(step);
            if let Some(found) = heard.iter().find_map(|(host, report)| wanted(*host, report)) {
                return Some(found);
            }
        }
        None
    }

    /// Lets a phone call, and another one answer: the two ends of the call, the caller's first.
    pub fn answered(&mut self, from: Phone, to: &str, by: Phone) -> (CallId, CallId) {
        self.order(from, UeOrder::Call { to: to.to_owned(), token: 1 });
        let (mut caller, mut called) = (None, None);
        let both = self.until(Duration::from_secs(10), |host, report| {
            match &report.what {
                What::Answered { call, .. } if host == from.host => caller = Some(*call),
                What::Incoming { call, .. } if host == by.host => called = Some(*call),
                What::Ended { status, reason, .. } => panic!("the call fails: {status} {reason}"),
                _ => {}
            }
            caller.zip(called)
        });
        both.expect("the call is answered")
    }

    /// Runs until the phone is registered.
    pub fn register(&mut self, phone: Phone) -> Instant {
        self.order(phone, UeOrder::Register);
        let registered = self.until(Duration::from_secs(60), |host, report| match &report.what {
            What::Registered { .. } if host == phone.host => Some(report.at),
            What::RegistrationFailed { status, reason, .. } if host == phone.host => {
                panic!("phone {} not registered: {status} {reason}", phone.number)
            }
            _ => None,
        });
        registered.expect("the phone registers within a minute")
    }
}

/// The sound of a WAV file.
pub fn sound(wav: &[u8]) -> Audio {
    let wav = rtp::wav::read(wav).expect("a prompt of ours");
    Audio { samples: Arc::from(wav.samples), repeat: false }
}

/// What one host of several runs.
fn share<'a>(
    group: &[Role],
    all: impl Iterator<Item = &'a Role>,
    address: impl Fn(Role) -> IpAddr,
) -> Plan {
    let mut plan = Plan::all_in_one(DOMAIN);
    let at = |role: Role| SocketAddr::new(address(role), role.default_port());
    // I-CSCF and P-CSCF use the same port; they never share a host here.
    plan.here = group.iter().map(|role| (*role, vec![at(*role)])).collect();
    for role in all.filter(|role| !group.contains(role)) {
        let seam = |transport: &Transport| Seam { transport: *transport, address: at(*role) };
        plan.elsewhere.insert(*role, role.transports().iter().map(seam).collect());
    }
    plan.media = vec![address(Role::Media)];
    plan.media_ports = 10_000..=59_999;
    plan
}

/// A P-CSCF as the assembly builds it, but without an end of Timer B.
fn patient_pcscf(plan: &Plan, random: Random) -> Pcscf {
    let icscf =
        Name { service: Service::Sip, host: plan.host(Role::Icscf), port: None, transport: None };
    let seams = plan.elsewhere.values().flatten().map(|seam| (seam.address.ip(), 32));
    let config = PcscfConfig {
        network: plan.domain.clone(),
        trust: Networks::new(seams.collect()),
        timers: TimerValues { b: Duration::from_secs(1 << 30), ..TimerValues::RFC3261 },
        ..PcscfConfig::new(plan.host(Role::Pcscf), icscf)
    };
    Pcscf::new(config, random)
}

pub(crate) fn packet_path(plan: &Plan) -> VirtualRelay {
    let forward = Box::<strowger::relay::RtpForward>::default();
    VirtualRelay::new(plan.media_ports.clone(), forward)
}

/// The subscriber with the SIM of a phone, and with these numbers.
///
/// # Panics
/// If a number is none.
pub fn sim_subscriber(number: u32, msisdns: &[String]) -> Subscriber {
    let imsi = format!("00101{number:010}");
    let operator = OperatorKey::Op(Secret::new(OP));
    Subscriber::from_sim(&imsi, msisdns, key(number), operator, [0x80, 0], DOMAIN)
        .expect("a legal subscriber")
}

fn sim_config(number: u32, subscriber: &Subscriber) -> UeConfig {
    let (k, op) = (key(number), Secret::new(OP));
    let (opc, sqn) = (opc(&k, &op), auth::sqn::Sqn::new(0, 0));
    let credential = Credential::Sim { opc, k, amf: [0x80, 0], sqn };
    let identity = format!("sip:{}", subscriber.impi);
    UeConfig::new(&subscriber.impi, &identity, credential, DOMAIN)
}

/// Name and password of a subscriber.
fn login(number: u32) -> (String, Secret<String>) {
    (format!("user{number}"), Secret::new(format!("secret{number}")))
}

/// A phone that cannot register.
fn unknown(identity: &str) -> UeConfig {
    let credential = Credential::Password(Secret::new(String::new()));
    UeConfig::new("", identity, credential, DOMAIN)
}

pub(crate) fn provisioner() -> FunctionSpec {
    FunctionSpec {
        name: "provisioner".to_owned(),
        hosts: Vec::new(),
        function: Box::<Provisioner>::default(),
        listeners: Vec::new(),
        tables: &[],
    }
}

/// The address of a phone; that of the core is 0.
pub fn ip(number: u32) -> IpAddr {
    IpAddr::from((0x0a00_0001 + number).to_be_bytes())
}

/// The number that a phone has at first, without the plus sign.
pub fn msisdn(number: u32) -> String {
    format!("49300000{number:04}")
}

fn key(number: u32) -> Key {
    let mut key = [0x46; 16];
    key[12..].copy_from_slice(&number.to_be_bytes());
    Secret::new(key)
}
