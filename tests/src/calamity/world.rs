//! The network, its people, and what is known of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use base::flow::Service;
use base::machine::Name;
use base::time::Duration;
use base::{Instant, Random, Transport};
use engine::sim::{BEGINNING, HostId, Weather};
use strowger::plan::{Plan, Role};
use ue::{CallId, UeConfig};

use super::evidence::Evidence;
use super::troubles::Remedy;
use super::{Calamity, Statistics, Verdict};
use crate::network::{Network, Phone, sim_subscriber};
use crate::scenario::WEATHER;
use crate::wire::Wire;

/// Phones of the network: three with SIMs, of which one uses GRUUs and one TCP, and one with a password.
pub(super) const PHONES: u32 = 4;
/// Who answers emergency calls.
const CENTRE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 7));
/// The far end of the trunk.
const TRUNK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 254, 0, 9));
/// A number behind the trunk.
pub(super) const FAR_NUMBER: &str = "tel:+498912345";

/// What is known of one end of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) answered: bool,
    /// It must be answered, and end well.
    pub(super) must_succeed: bool,
}

/// What a phone last said of its registration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    Registered,
    Away(String),
}

pub(super) struct World {
    pub(super) network: Network,
    pub(super) random: Random,
    pub(super) phones: Vec<Phone>,
    pub(super) centre: Phone,
    pub(super) trunk: Phone,
    pub(super) wire: Rc<RefCell<Wire>>,
    pub(super) evidence: Evidence,
    /// What is mended when.
    pub(super) remedies: BTreeSet<(Instant, Remedy)>,
    /// Ends of calls.
    pub(super) calls: BTreeMap<(HostId, CallId), Known>,
    /// Calls that were ordered and have no name yet: whether they must succeed.
    pub(super) dialling: BTreeMap<(HostId, u64), bool>,
    /// Whether a phone is to be registered, and what it says.
    pub(super) wanted: BTreeMap<HostId, bool>,
    pub(super) standing: BTreeMap<HostId, Standing>,
    /// Texts that the service centre took, and have not arrived: what they say, and for whom.
    pub(super) texts: BTreeMap<u64, (HostId, String)>,
    pub(super) sent: BTreeMap<u64, (HostId, String)>,
    pub(super) tokens: u64,
    pub(super) failures: Vec<String>,
    pub(super) statistics: Statistics,
}

fn plan(plan: &mut Plan) {
    plan.emergency_numbers = ["112".parse().expect("a number")].into_iter().collect();
    plan.centres = vec![format!("sip:psap@{CENTRE}").parse().expect("a centre")];
    plan.routes = vec![format!("+49=sip:{TRUNK}").parse().expect("a route")];
    // So few that a leak is noticed.
    plan.media_ports = 10_000..=10_199;
}

/// A phone that notices soon when something is wrong.
fn hasty(config: &mut UeConfig) {
    config.expires = 400;
    config.retry.base = Duration::from_secs(4);
    config.retry.max = Duration::from_secs(20);
    config.options.session_timer = 90;
    config.media.enabled = config.contact.ends_with("2:5060") || config.contact.ends_with("3:5060");
    config.media.talk = Some(Duration::from_secs(1));
}

/// Its connection breaks with whatever breaks.
fn over_tcp(config: &mut UeConfig) {
    config.transport = Transport::Tcp;
    if let Some(proxy) = &mut config.proxy {
        proxy.transport = Some(Transport::Tcp);
    }
}

impl World {
    pub(super) fn new(Calamity { seed, evidence, fault }: Calamity) -> World {
        let weather = if seed.is_multiple_of(2) { WEATHER } else { Weather::CALM };
        let mut network = Network::one_each(seed, weather, fault, plan);
        network.sim.trace().keep(evidence);
        let wire = Rc::new(RefCell::new(Wire::default()));
        let evidence = Evidence::new(evidence);
        let (tap, kept) = (Rc::clone(&wire), evidence.clone());
        network.sim.tap(move |now, host, crossing| {
            tap.borrow_mut().message(now, host, crossing);
            kept.saw(now, crossing);
        });
        let mut phones = network.sim_phones(1..PHONES, |config| {
            hasty(config);
            match config.contact.as_str() {
                "10.0.0.3:5060" => {
                    config.options.instance = Some("urn:gsma:imei:90420156-025763-0".to_owned());
                }
                "10.0.0.4:5060" => over_tcp(config),
                _ => {}
            }
        });
        phones.push(network.password_phone(PHONES, hasty));
        let door = |network: &Network, role: Role| {
            let host = IpAddr::from([10, 255, 0, 1 + place(role)]);
            debug_assert!(network.hosts.contains_key(&role));
            let (service, port) = (Service::Sip, Some(5060));
            Name { service, host: host.to_string(), port, transport: None }
        };
        let ecscf = door(&network, Role::Ecscf);
        let centre = network.outsider("psap", CENTRE, move |config| {
            hasty(config);
            config.proxy = Some(ecscf.clone());
        });
        let bgcf = door(&network, Role::Bgcf);
        let trunk = network.outsider("gateway", TRUNK, move |config| {
            hasty(config);
            config.proxy = Some(bgcf.clone());
        });
        World {
            network,
            random: Random::from_u64(seed ^ 0xca1a_a117),
            wanted: phones.iter().map(|phone| (phone.host, true)).collect(),
            phones,
            centre,
            trunk,
            wire,
            evidence,
            remedies: BTreeSet::new(),
            calls: BTreeMap::new(),
            dialling: BTreeMap::new(),
            standing: BTreeMap::new(),
            texts: BTreeMap::new(),
            sent: BTreeMap::new(),
            tokens: 0,
            failures: Vec::new(),
            statistics: Statistics::default(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.network.sim.now()
    }

    pub(super) fn host(&self, role: Role) -> HostId {
        self.network.hosts[&role]
    }

    pub(super) fn is_well(&self) -> bool {
        self.failures.is_empty()
    }

    /// What must not be.
    pub(super) fn fail(&mut self, text: impl std::fmt::Display) {
        if self.failures.len() < 30 {
            let at = self.now().since(BEGINNING).as_millis();
            self.failures.push(format!("at {}.{:03} s: {text}", at / 1000, at % 1000));
        }
    }

    /// A phone, as a failure names it.
    pub(super) fn who(&self, host: HostId) -> String {
        match self.phones.iter().find(|phone| phone.host == host) {
            Some(phone) => format!("phone {}", phone.number),
            None if host == self.centre.host => "the centre".to_owned(),
            None => "the trunk".to_owned(),
        }
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u64) as usize
    }

    /// Some phone.
    pub(super) fn anybody(&mut self) -> Phone {
        let number = self.below(self.phones.len());
        self.phones[number]
    }

    /// A duration between two numbers of milliseconds.
    pub(super) fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.random.below(most - least))
    }

    /// Lets time pass; hears what people say, mends what is due, notices who died.
    pub(super) fn live(&mut self, time: Duration) {
        let end = self.now() + time;
        while self.now() < end {
            let step = self.now() + Duration::from_millis(100);
            let next = self.remedies.first().map_or(step, |(at, _)| step.min(*at));
            self.network.sim.run_until(next.min(end));
            self.hear();
            self.remedy();
        }
    }

    /// Lets time pass in which nothing is done, until `done` or (`false`) for so long.
    pub(super) fn until(&mut self, limit: Duration, done: impl Fn(&World) -> bool) -> bool {
        let end = self.now() + limit;
        while !done(self) {
            if self.now() >= end {
                return false;
            }
            self.live(Duration::from_millis(100));
        }
        true
    }

    /// All that can be found out, once all is over.
    pub(super) fn finish(mut self) -> Verdict {
        self.look_at_logs();
        let now = self.now();
        let wire: Vec<String> = self.wire.borrow_mut().verdict(now);
        self.failures.extend(wire.into_iter().take(10));
        self.statistics.messages = self.wire.borrow().messages;
        let first = self.failures.first().map_or("", String::as_str);
        let evidence = self.evidence.about(first, &self.phones, self.network.sim.trace());
        let trace = self.network.sim.trace().hash();
        Verdict { trace, failures: self.failures, evidence, statistics: self.statistics }
    }
}

/// The place of a role's host among all, as [`Network::one_each`] numbers them.
fn place(role: Role) -> u8 {
    Role::ALL.iter().position(|other| *other == role).unwrap_or(0) as u8
}

/// The private identity of a phone.
pub(super) fn impi(phone: Phone) -> String {
    if phone.number == PHONES {
        return format!("user{}@{}", phone.number, crate::network::DOMAIN);
    }
    sim_subscriber(phone.number, &[]).impi
}
