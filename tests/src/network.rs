//! A whole IMS and its phones in the simulator.

use std::net::IpAddr;
use std::sync::Arc;

use auth::milenage::{Key, opc};
use base::flow::Service;
use base::machine::{Name, Order};
use base::redact::Secret;
use base::time::Duration;
use base::{Instant, Transport};
use engine::sim::{HostId, Process, Simulation, VirtualRelay, Weather};
use engine::{FunctionSpec, Listener};
use hss::Subscriber;
use hss::subscriber::OperatorKey;
use strowger::plan::{Plan, Role};
use strowger::provision::{Provision, Provisioner};
use ue::{Audio, Credential, UeConfig, UeOrder, UeReport, What};

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

/// The core on one host, each phone on one of its own.
pub struct Network {
    /// The simulation.
    pub sim: Simulation,
    /// The host of HSS, CSCFs and relay.
    pub core: HostId,
    orders: u64,
}

impl Network {
    /// A network without phones. All functions of the core run in one process.
    pub fn new(seed: u64, weather: Weather) -> Network {
        let mut sim = Simulation::new(seed, weather).framing(strowger::framing::framings);
        let core = sim.host("core", ip(0), |mut boot| {
            let mut plan = Plan::all_in_one(DOMAIN);
            plan.here.insert(Role::Pcscf, boot.ips.iter().map(|ip| (*ip, 5060).into()).collect());
            plan.media.clone_from(&boot.ips);
            plan.media_ports = 20_000..=59_999;
            let mut functions = strowger::assembly::functions(&plan, &mut boot.random);
            functions.push(provisioner());
            let forward = Box::<strowger::relay::RtpForward>::default();
            let relay = Some(VirtualRelay::new(plan.media_ports.clone(), forward));
            Process { functions, relay }
        });
        Network { sim, core, orders: 0 }
    }

    /// Adds a subscriber with a SIM and his phone. `change` may change the phone's configuration.
    pub fn sim_phone(&mut self, number: u32, change: impl Fn(&mut UeConfig) + 'static) -> Phone {
        let (k, op) = (key(number), Secret::new(OP));
        let imsi = format!("00101{number:010}");
        let operator = OperatorKey::Op(op.clone());
        let subscriber =
            Subscriber::from_sim(&imsi, &[msisdn(number)], k.clone(), operator, [0x80, 0], DOMAIN)
                .expect("a legal subscriber");
        self.subscribe(&subscriber);
        let credential = Credential::Sim {
            opc: opc(&k, &op),
            k,
            amf: [0x80, 0],
            sqn: auth::sqn::Sqn::new(0, 0),
        };
        let identity = format!("sip:{}", subscriber.impi);
        let config = UeConfig::new(&subscriber.impi, &identity, credential, DOMAIN);
        self.phone(number, config, change)
    }

    /// Adds a subscriber with a password and his phone.
    pub fn password_phone(
        &mut self,
        number: u32,
        change: impl Fn(&mut UeConfig) + 'static,
    ) -> Phone {
        let password = Secret::new(format!("secret{number}"));
        let name = format!("user{number}");
        let subscriber = Subscriber::with_password(&name, &password, &[msisdn(number)], DOMAIN)
            .expect("a legal subscriber");
        self.subscribe(&subscriber);
        let identity = format!("sip:{name}@{DOMAIN}");
        let credential = Credential::Password(password);
        let config = UeConfig::new(&name, &identity, credential, DOMAIN);
        self.phone(number, config, change)
    }

    fn phone(
        &mut self,
        number: u32,
        mut config: UeConfig,
        change: impl Fn(&mut UeConfig) + 'static,
    ) -> Phone {
        let address = ip(number);
        config.contact = format!("{address}:5060");
        config.media.address = address;
        config.proxy = Some(Name {
            service: Service::Sip,
            host: ip(0).to_string(),
            port: Some(5060),
            transport: Some(Transport::Udp),
        });
        change(&mut config);
        let host = self.sim.host(&format!("phone{number}"), address, move |boot| {
            let listener = |transport| Listener {
                service: Service::Sip,
                transport,
                addr: (address, 5060).into(),
            };
            FunctionSpec {
                name: "ue".to_owned(),
                hosts: Vec::new(),
                function: Box::new(ue::Ue::new(config.clone(), boot.random)),
                listeners: vec![listener(Transport::Udp), listener(Transport::Tcp)],
                tables: &[],
            }
            .into()
        });
        Phone { host, number }
    }

    fn subscribe(&mut self, subscriber: &Subscriber) {
        self.orders += 1;
        let order = Provision { number: self.orders, changes: hss::records(subscriber) };
        let taken = self.sim.order(self.core, "provisioner", Order(Box::new(order)));
        assert!(taken, "the provisioner runs");
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
        reports.into_iter().filter_map(ours).collect()
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

fn provisioner() -> FunctionSpec {
    FunctionSpec {
        name: "provisioner".to_owned(),
        hosts: Vec::new(),
        function: Box::<Provisioner>::default(),
        listeners: Vec::new(),
        tables: &[],
    }
}

fn ip(number: u32) -> IpAddr {
    IpAddr::from((0x0a00_0001 + number).to_be_bytes())
}

fn msisdn(number: u32) -> String {
    format!("49300000{number:04}")
}

fn key(number: u32) -> Key {
    let mut key = [0x46; 16];
    key[12..].copy_from_slice(&number.to_be_bytes());
    Secret::new(key)
}
