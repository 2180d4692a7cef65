//! Which functions run in this process, and where the others are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use auth::digest::Algorithm;
use base::dialling::Dialling;
use base::{Service, Transport};
use cscf::LimitsConfig;
use cscf::bgcf::config::{Peers, Route};
use cscf::ecscf::config::Centre;
use cscf::emergency::EmergencyNumbers;
use hss::Psi;
use hss::profile::FilterCriteria;

use crate::recordings::RecordingsPlan;
use crate::resp_door::RespPlan;
use crate::shared::SharedPlan;
use crate::sounds::Sounds;
use crate::tls::TlsPlan;

/// A network function, by the name that the standards give it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Home Subscriber Server, TS 29.228.
    Hss,
    /// Interrogating CSCF, TS 24.229 §5.3.
    Icscf,
    /// Serving CSCF, TS 24.229 §5.4.
    Scscf,
    /// Proxy CSCF, TS 24.229 §5.2.
    Pcscf,
    /// Media relay with the NG protocol.
    Media,
    /// IP-SM-GW with a service centre, TS 24.341 §5.3.3.
    IpSmGw,
    /// Emergency CSCF, TS 24.229 §5.11.
    Ecscf,
    /// Breakout Gateway Control Function, TS 24.229 §5.6.
    Bgcf,
}

impl Role {
    /// All of them, in the order in which they are started.
    pub const ALL: [Role; 8] = [
        Role::Hss,
        Role::Media,
        Role::Scscf,
        Role::Icscf,
        Role::Bgcf,
        Role::Ecscf,
        Role::Pcscf,
        Role::IpSmGw,
    ];

    /// What makes a call: those that run unless others are asked for.
    pub const USUAL: [Role; 5] = [Role::Hss, Role::Media, Role::Scscf, Role::Icscf, Role::Pcscf];

    /// The word for it on the command line and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Hss => "hss",
            Role::Icscf => "icscf",
            Role::Scscf => "scscf",
            Role::Pcscf => "pcscf",
            Role::Media => "media",
            Role::IpSmGw => "ipsmgw",
            Role::Ecscf => "ecscf",
            Role::Bgcf => "bgcf",
        }
    }

    /// What it is, for a person.
    pub const fn title(self) -> &'static str {
        match self {
            Role::Hss => "The Home Subscriber Server.",
            Role::Icscf => "The Interrogating CSCF.",
            Role::Scscf => "The Serving CSCF.",
            Role::Pcscf => "The Proxy CSCF, where phones register.",
            Role::Media => "The media relay.",
            Role::IpSmGw => "The IP-SM-GW with its service centre, for SMS over IP.",
            Role::Ecscf => "The Emergency CSCF.",
            Role::Bgcf => "The Breakout Gateway Control Function, for trunks.",
        }
    }

    /// The role of a word.
    pub fn parse(word: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// The protocol that its listeners speak.
    pub const fn service(self) -> Service {
        match self {
            Role::Hss => Service::Diameter,
            Role::Icscf | Role::Scscf | Role::Pcscf => Service::Sip,
            Role::IpSmGw | Role::Ecscf | Role::Bgcf => Service::Sip,
            Role::Media => Service::Ng,
        }
    }

    /// The port of its protocol.
    pub const fn default_port(self) -> u16 {
        match self.service() {
            Service::Sip => 5060,
            Service::Diameter => 3868,
            Service::Ng | Service::Rtp => 2223,
            Service::Resp => 6379,
            Service::Http => 80,
            Service::Cli => 9900,
        }
    }

    /// The transports that its listeners take, TLS aside.
    pub const fn transports(self) -> &'static [Transport] {
        match self.service() {
            Service::Sip => &[Transport::Udp, Transport::Tcp],
            Service::Diameter | Service::Resp | Service::Http | Service::Cli => &[Transport::Tcp],
            Service::Ng | Service::Rtp => &[Transport::Udp],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a function of another process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seam {
    /// How to get there.
    pub transport: Transport,
    /// Its address.
    pub address: SocketAddr,
}

/// Where the media relay is asked beside datagrams; nowhere, and there is no such way.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct MediaDoors {
    /// NG over TCP.
    pub tcp_ng: Vec<SocketAddr>,
    /// HTTP and WebSocket.
    pub http: Vec<SocketAddr>,
    /// The command line.
    pub cli: Vec<SocketAddr>,
}

impl MediaDoors {
    /// All of them with their key and what is spoken there, each over TCP.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, Service, SocketAddr)> {
        let doors = [
            ("listen_tcp_ng", Service::Ng, &self.tcp_ng),
            ("listen_http", Service::Http, &self.http),
            ("listen_cli", Service::Cli, &self.cli),
        ];
        doors
            .into_iter()
            .flat_map(|(key, service, all)| all.iter().map(move |addr| (key, service, *addr)))
    }
}

/// The number of a service centre that nobody gave one: no country has it.
pub const SERVICE_CENTRE: &str = "999000";

/// Everything that is needed to build a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The home network's domain; functions are named below it, such as `pcscf.DOMAIN`.
    pub domain: String,
    /// The functions of this process and the addresses that they listen on; none is possible, then
    /// only functions of this process reach it.
    pub here: BTreeMap<Role, Vec<SocketAddr>>,
    /// The functions of other processes.
    pub elsewhere: BTreeMap<Role, Vec<Seam>>,
    /// SIP over TLS.
    pub tls: TlsPlan,
    /// Networks whose hosts are trusted as network functions: to assert identities (RFC 3325), to ask
    /// the HSS and the relay. The seams are by themselves.
    pub trusted: Vec<(IpAddr, u8)>,
    /// How much one source may ask that is no network function.
    pub limits: LimitsConfig,
    /// Connections of one source at a time.
    pub connections: usize,
    /// Filter criteria that all subscribers share.
    pub criteria: Vec<FilterCriteria>,
    /// Public service identities.
    pub psis: Vec<Psi>,
    /// The number of the service centre, E.164 digits.
    pub service_centre: String,
    /// What a person dials in an emergency.
    pub emergency_numbers: EmergencyNumbers,
    /// Who answers emergency calls, in the order in which they are asked.
    pub centres: Vec<Centre>,
    /// Networks that the E-CSCF takes requests of centres from.
    pub centres_from: Vec<(IpAddr, u8)>,
    /// The trunks to the public telephone network.
    pub routes: Vec<Route>,
    /// Networks that the BGCF takes requests of trunks from.
    pub trunks_from: Vec<(IpAddr, u8)>,
    /// Trunks that this network does not hide from.
    pub shown_to: Peers,
    /// The host name of the S-CSCF, if it is not the usual one.
    pub scscf_name: Option<String>,
    /// The host name of the P-CSCF, if it is not the usual one.
    pub pcscf_name: Option<String>,
    /// The URIs of the S-CSCFs that users may get, the preferred one first; none is the one of this plan.
    pub scscfs: Vec<String>,
    /// The domain below which ENUM finds numbers.
    pub enum_suffix: Option<String>,
    /// What people dial before a number.
    pub dialling: Option<Dialling>,
    /// Addresses that media is relayed on, the preferred one first.
    pub media: Vec<IpAddr>,
    /// The relay's UDP ports.
    pub media_ports: std::ops::RangeInclusive<u16>,
    /// The folder of sounds that the relay can play.
    pub sounds_folder: Option<PathBuf>,
    /// What was read there.
    pub sounds: Sounds,
    /// Where calls are recorded.
    pub recordings: Option<RecordingsPlan>,
    /// The algorithms of SIP Digest that phones are offered, the most preferred first.
    pub digest: Vec<Algorithm>,
    /// Longest registration in seconds.
    pub max_expires: u32,
    /// Shortest registration in seconds.
    pub min_expires: u32,
    /// Whether calls go through the media relay.
    pub anchor_media: bool,
    /// Whether digits that parties say are told in the log.
    pub dtmf_log: bool,
    /// Whether the kernel may relay streams by itself, where it can.
    pub xdp: bool,
    /// Whether calls have records, so that they outlive the relay.
    pub takeover: bool,
    /// Where registrations are shared with other nodes, if they are.
    pub shared: Option<SharedPlan>,
    /// Where redis-cli may look into the store.
    pub resp: RespPlan,
    /// Ways to ask the media relay beside datagrams.
    pub media_doors: MediaDoors,
}

impl Plan {
    /// All functions in one process, without listeners.
    pub fn all_in_one(domain: &str) -> Plan {
        Plan {
            domain: domain.to_owned(),
            here: Role::USUAL.into_iter().map(|role| (role, Vec::new())).collect(),
            elsewhere: BTreeMap::new(),
            tls: TlsPlan::default(),
            trusted: Vec::new(),
            limits: LimitsConfig::default(),
            connections: 1024,
            criteria: Vec::new(),
            psis: Vec::new(),
            service_centre: SERVICE_CENTRE.to_owned(),
            emergency_numbers: EmergencyNumbers::default(),
            centres: Vec::new(),
            centres_from: Vec::new(),
            routes: Vec::new(),
            trunks_from: Vec::new(),
            shown_to: Peers::default(),
            scscf_name: None,
            pcscf_name: None,
            scscfs: Vec::new(),
            enum_suffix: None,
            dialling: None,
            media: vec![IpAddr::from([127, 0, 0, 1])],
            media_ports: 30_000..=30_999,
            sounds_folder: None,
            sounds: Sounds::default(),
            recordings: None,
            digest: vec![Algorithm::Md5],
            max_expires: 600_000,
            min_expires: 60,
            anchor_media: true,
            dtmf_log: false,
            xdp: true,
            takeover: false,
            shared: None,
            resp: RespPlan::default(),
            media_doors: MediaDoors::default(),
        }
    }

    /// The functions that send requests to a function. A network need not have an IP-SM-GW, an E-CSCF
    /// or a BGCF: one counts that is here or whose place is told.
    pub fn users(&self, role: Role) -> Vec<Role> {
        let mut users = match role {
            Role::Hss => vec![Role::Icscf, Role::Scscf],
            Role::Media if self.anchor_media => vec![Role::Scscf, Role::Ecscf],
            Role::Media => Vec::new(),
            Role::Icscf => {
                vec![Role::Pcscf, Role::Scscf, Role::IpSmGw, Role::Bgcf, Role::Ecscf]
            }
            Role::Scscf => {
                vec![Role::Pcscf, Role::Icscf, Role::IpSmGw, Role::Bgcf, Role::Ecscf]
            }
            Role::Pcscf => vec![Role::Scscf, Role::Ecscf],
            Role::IpSmGw => vec![Role::Scscf],
            Role::Ecscf => vec![Role::Pcscf, Role::Scscf, Role::Bgcf],
            Role::Bgcf => vec![Role::Scscf, Role::Ecscf],
        };
        users.retain(|user| {
            Role::USUAL.contains(user)
                || self.here.contains_key(user)
                || self.elsewhere.contains_key(user)
        });
        users
    }

    /// The functions that those of this process send requests to at their start, and whose place nobody told: they
    /// are looked up in DNS.
    pub fn needed(&self) -> BTreeSet<Role> {
        let needs = |role: &Role| match role {
            Role::Pcscf => vec![Role::Icscf],
            Role::Icscf => vec![Role::Hss, Role::Scscf],
            Role::Scscf if self.anchor_media => vec![Role::Hss, Role::Icscf, Role::Media],
            Role::Scscf => vec![Role::Hss, Role::Icscf],
            Role::IpSmGw | Role::Bgcf => vec![Role::Icscf],
            Role::Ecscf if self.anchor_media => vec![Role::Media],
            Role::Hss | Role::Media | Role::Ecscf => Vec::new(),
        };
        let told = |role: &Role| self.here.contains_key(role) || self.elsewhere.contains_key(role);
        self.here.keys().flat_map(needs).filter(|role| !told(role)).collect()
    }

    /// The filter criteria that all subscribers share: with an IP-SM-GW also those that send texts and
    /// registrations to it, TS 24.341 §5.3.3.
    pub fn shared_criteria(&self) -> Vec<FilterCriteria> {
        let mut criteria = self.criteria.clone();
        let gateway = Role::IpSmGw;
        if self.here.contains_key(&gateway) || self.elsewhere.contains_key(&gateway) {
            let uri = format!("sip:{}", self.host(gateway));
            let own = [FilterCriteria::sms_over_ip(&uri), FilterCriteria::registrations(&uri)];
            for mut own in own {
                own.priority = criteria.iter().map(|other| other.priority + 1).max().unwrap_or(0);
                criteria.push(own);
            }
        }
        criteria
    }

    /// Whether emergency calls can be taken: by an E-CSCF elsewhere, or by one here that has a centre.
    pub fn takes_emergency_calls(&self) -> bool {
        let here = self.here.contains_key(&Role::Ecscf) && !self.centres.is_empty();
        here || self.elsewhere.contains_key(&Role::Ecscf)
    }

    /// Whether calls reach the public telephone network: by a BGCF elsewhere, or by one here that has a
    /// trunk.
    pub fn breaks_out(&self) -> bool {
        let here = self.here.contains_key(&Role::Bgcf) && !self.routes.is_empty();
        here || self.elsewhere.contains_key(&Role::Bgcf)
    }

    /// Whether a network has other S-CSCFs that could go on with the users of one: one that has a name of its
    /// own says so.
    pub fn restores(&self) -> bool {
        self.scscf_name.is_some() || self.scscfs.len() > 1
    }

    /// The host name of a function.
    pub fn host(&self, role: Role) -> String {
        let own = match role {
            Role::Scscf => self.scscf_name.clone(),
            Role::Pcscf => self.pcscf_name.clone(),
            _ => None,
        };
        own.unwrap_or_else(|| format!("{role}.{}", self.domain))
    }
}
