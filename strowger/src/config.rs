//! The configuration file: a few keys with defaults that make a call.
//!
//! [`Config::parse`] reads it and tells everything that is wrong at once; [`Config::plan`] says which
//! functions a process runs. The keys are listed in [`keys`].

mod change;
pub mod keys;
mod problem;
mod read;
pub mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use auth::digest::Algorithm;
use base::Service;
use base::dialling::Dialling;
use base::relay::Form;
pub use change::Changes;
use change::Said;
use cscf::bgcf::config::{Peers, Route};
use cscf::ecscf::config::Centre;
use cscf::emergency::EmergencyNumber;
use hss::Psi;
use hss::profile::FilterCriteria;
pub use problem::{Problem, nearest};
pub(crate) use read::role_help;

use crate::api::ApiConfig;
use crate::observe::Observe;
use crate::plan::{MediaDoors, Plan, Role, Seam};
use crate::recordings::RecordingsPlan;
use crate::resp_door::RespPlan;
use crate::shared::SharedPlan;
use crate::tls::TlsPlan;

/// A commented file of defaults.
pub const SAMPLE: &str = include_str!("config/sample.toml");

/// The domain of the test network, TS 23.003 §13.2.
pub const DOMAIN: &str = "ims.mnc001.mcc001.3gppnetwork.org";

/// What a file says; what it leaves out is `None` or empty.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Config {
    /// The home network's domain.
    pub domain: Option<String>,
    /// The store's file.
    pub store: Option<PathBuf>,
    /// The functions of this process.
    pub roles: Option<BTreeSet<Role>>,
    /// Where functions of this process listen.
    pub listen: BTreeMap<Role, Vec<SocketAddr>>,
    /// Where the functions of other processes are.
    pub at: BTreeMap<Role, Vec<Seam>>,
    /// SIP over TLS.
    pub tls: TlsPlan,
    /// What is shared with other nodes.
    pub shared: SharedPlan,
    /// Networks of other network functions.
    pub trusted: Vec<(IpAddr, u8)>,
    /// How much one source may ask: requests a second, and at once.
    pub limits: [Option<u32>; 2],
    /// Connections of one source at a time.
    pub connections: Option<u32>,
    /// Filter criteria that all subscribers share, those for SMS over IP last.
    pub criteria: Vec<FilterCriteria>,
    /// Public service identities.
    pub psis: Vec<Psi>,
    /// The number of the service centre.
    pub service_centre: Option<String>,
    /// What a person dials in an emergency.
    pub emergency_numbers: Option<Vec<EmergencyNumber>>,
    /// Who answers emergency calls.
    pub centres: Vec<Centre>,
    /// Networks that they send from.
    pub centres_from: Vec<(IpAddr, u8)>,
    /// The trunks to the public telephone network.
    pub routes: Vec<Route>,
    /// Networks that they send from.
    pub trunks_from: Vec<(IpAddr, u8)>,
    /// Trunks that this network does not hide from.
    pub shown_to: Peers,
    /// The host name of the S-CSCF.
    pub scscf_name: Option<String>,
    /// The host name of the P-CSCF.
    pub pcscf_name: Option<String>,
    /// The S-CSCFs of the network.
    pub scscfs: Vec<String>,
    /// The domain below which ENUM finds numbers.
    pub enum_suffix: Option<String>,
    /// The country code, and what is dialled before national and international numbers.
    pub dialling: [Option<String>; 3],
    /// Addresses of the media relay.
    pub media: Option<Vec<IpAddr>>,
    /// Its ports.
    pub media_ports: Option<(u16, u16)>,
    /// Whether calls go through it.
    pub anchor_media: Option<bool>,
    /// The folder of sounds that it can play.
    pub sounds: Option<PathBuf>,
    /// The folder where calls are recorded.
    pub recordings: Option<PathBuf>,
    /// What becomes of them.
    pub recording_form: Option<Form>,
    /// Whether digits that parties say are told in the log.
    pub dtmf_log: bool,
    /// Whether the kernel may relay streams by itself.
    pub xdp: Option<bool>,
    /// Whether calls outlive the relay.
    pub takeover: Option<bool>,
    /// What is shown to other programs, and where.
    pub observe: Observe,
    /// The HTTP API.
    pub api: ApiConfig,
    /// The door for redis-cli.
    pub resp: RespPlan,
    /// Ways to ask the media relay beside datagrams.
    pub media_doors: MediaDoors,
    /// The algorithms of SIP Digest, the most preferred first.
    pub digest: Option<Vec<Algorithm>>,
    /// The shortest registration in seconds.
    pub min_expires: Option<u32>,
    /// The longest registration in seconds.
    pub max_expires: Option<u32>,
    /// What the file says, to be compared with what it says later.
    pub(crate) said: Said,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {error}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// What stands there is wrong: one text for each problem, with its line.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

impl Config {
    /// Reads a file. Relative paths start at the file's folder.
    ///
    /// # Errors
    /// With everything that is wrong, for a person.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::Unreadable { path: file.clone(), error })?;
        let mut config = Config::parse(&text).map_err(|problems| {
            ConfigError::Wrong(problems.iter().map(|problem| problem.show(&file, &text)).collect())
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let TlsPlan { certificate, key, ca, .. } = &mut config.tls;
        let password = &mut config.shared.password;
        let door = &mut config.resp.password;
        let (store, sounds) = (&mut config.store, &mut config.sounds);
        let recordings = &mut config.recordings;
        let files = [
            store,
            sounds,
            recordings,
            &mut config.api.token,
            certificate,
            key,
            ca,
            password,
            door,
        ];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
        Ok(config)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text.
    pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
        read::read(text)
    }

    /// The home network's domain.
    pub fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or(DOMAIN)
    }

    /// Which functions run in this process and where the others are. `roles` is the command line's
    /// choice; without one the file's; without that all functions whose place is not given, of those
    /// that a network need not have only what the file has a use for.
    ///
    /// A function that is told nothing listens on loopback at its protocol's port. Where several
    /// speak SIP, the port is that of the one that others meet first; the rest is reached over wires.
    pub fn plan(&self, roles: Option<&BTreeSet<Role>>, loopback: &[IpAddr]) -> Plan {
        let here: BTreeSet<Role> = match roles.or(self.roles.as_ref()) {
            Some(roles) => roles.clone(),
            None => {
                let emergency = (!self.centres.is_empty()).then_some(Role::Ecscf);
                let trunk = (!self.routes.is_empty()).then_some(Role::Bgcf);
                let roles = Role::USUAL.into_iter().chain(emergency).chain(trunk);
                roles.filter(|role| !self.at.contains_key(role)).collect()
            }
        };
        let first = [Role::Pcscf, Role::Icscf, Role::Scscf].into_iter();
        let door = first.chain(Role::ALL).find(|r| here.contains(r) && r.service() == Service::Sip);
        let listeners = |role: Role| -> Vec<SocketAddr> {
            let inner = role.service() == Service::Sip;
            match self.listen.get(&role) {
                Some(listen) => listen.clone(),
                None if inner && door != Some(role) => Vec::new(),
                None => loopback.iter().map(|ip| (*ip, role.default_port()).into()).collect(),
            }
        };
        let mut plan = Plan::all_in_one(self.domain());
        plan.elsewhere = self.at.clone();
        plan.elsewhere.retain(|role, _| !here.contains(role));
        plan.here = here.into_iter().map(|role| (role, listeners(role))).collect();
        plan.tls.clone_from(&self.tls);
        plan.tls.here.retain(|role, _| plan.here.contains_key(role));
        plan.shared = (!self.shared.servers.is_empty()).then(|| self.shared.clone());
        plan.resp.clone_from(&self.resp);
        plan.media_doors.clone_from(&self.media_doors);
        plan.trusted.clone_from(&self.trusted);
        let [requests, burst] = self.limits;
        plan.limits.requests_per_second = requests.unwrap_or(plan.limits.requests_per_second);
        plan.limits.burst = burst.unwrap_or(plan.limits.burst);
        plan.connections = self.connections.map_or(plan.connections, |number| number as usize);
        plan.criteria.clone_from(&self.criteria);
        plan.psis.clone_from(&self.psis);
        if let Some(number) = &self.service_centre {
            plan.service_centre.clone_from(number);
        }
        if let Some(numbers) = &self.emergency_numbers {
            plan.emergency_numbers = numbers.iter().cloned().collect();
        }
        plan.centres.clone_from(&self.centres);
        plan.centres_from.clone_from(&self.centres_from);
        plan.routes.clone_from(&self.routes);
        plan.trunks_from.clone_from(&self.trunks_from);
        plan.shown_to.clone_from(&self.shown_to);
        plan.scscf_name.clone_from(&self.scscf_name);
        plan.pcscf_name.clone_from(&self.pcscf_name);
        plan.scscfs.clone_from(&self.scscfs);
        plan.enum_suffix.clone_from(&self.enum_suffix);
        let [country, trunk, international] = self.dialling.clone();
        plan.dialling = country.map(|country| Dialling {
            country,
            trunk: trunk.unwrap_or_default(),
            international: international.unwrap_or_default(),
        });
        if let Some(media) = &self.media {
            plan.media.clone_from(media);
        }
        if let Some((first, last)) = self.media_ports {
            plan.media_ports = first..=last;
        }
        plan.sounds_folder.clone_from(&self.sounds);
        let form = self.recording_form.unwrap_or(Form::Stereo);
        let recordings = self.recordings.clone();
        plan.recordings = recordings.map(|folder| RecordingsPlan { folder, form });
        plan.dtmf_log = self.dtmf_log;
        plan.xdp = self.xdp.unwrap_or(plan.xdp);
        plan.takeover = self.takeover.unwrap_or(!self.shared.servers.is_empty());
        plan.anchor_media = self.anchor_media.unwrap_or(plan.anchor_media);
        if let Some(digest) = &self.digest {
            plan.digest.clone_from(digest);
        }
        plan.min_expires = self.min_expires.unwrap_or(plan.min_expires);
        plan.max_expires = self.max_expires.unwrap_or(plan.max_expires);
        plan
    }
}

/// The loopback addresses of this machine.
pub fn loopback() -> Vec<IpAddr> {
    let all = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    all.into_iter().filter(|ip| std::net::UdpSocket::bind((*ip, 0)).is_ok()).collect()
}
