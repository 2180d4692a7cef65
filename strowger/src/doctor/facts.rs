//! Everything that was observed, as plain data. Whoever writes a check reads only this.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use base::Transport;
use engine::net::Holder;
use engine::net::tls::Fault;

use crate::plan::{Plan, Role};

/// What was observed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The configuration.
    pub configuration: Configuration,
    /// What a process would run, from it.
    pub plan: Plan,
    /// A process with the same state answers on its control socket.
    pub running: bool,
    /// What happened when the plan's listeners were opened.
    pub listeners: Vec<Listening>,
    /// What happened when the relay's addresses were used.
    pub media: Vec<(IpAddr, Option<Refused>)>,
    /// What is wrong with the relay's sounds.
    pub sounds: Option<String>,
    /// The folder that recordings cannot be written to, and what the system says.
    pub recordings: Option<(PathBuf, String)>,
    /// Certificates for TLS.
    pub certificates: Certificates,
    /// The machine.
    pub machine: Machine,
    /// The store.
    pub store: Store,
    /// The HSS's subscribers, if it runs here and the store can be read.
    pub subscribers: Option<Subscribers>,
    /// Who was asked, and what came back.
    pub peers: Vec<Peer>,
    /// The servers that nodes share registrations by.
    pub shared: Vec<SharedServer>,
    /// Names that had to be looked up.
    pub names: Names,
    /// Where other programs watch and change the network.
    pub pages: Vec<Page>,
    /// The HEP collector, and whether its host says that nobody listens there.
    pub collector: Option<(SocketAddr, bool)>,
}

/// A listener for other programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its key, such as `observe.metrics`.
    pub key: &'static str,
    /// Where.
    pub addr: SocketAddr,
    /// Why not.
    pub refused: Option<Refused>,
}

/// A server that nodes share registrations by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedServer {
    /// Its name and port.
    pub name: String,
    /// What it says.
    pub answer: SharedAnswer,
}

/// What it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SharedAnswer {
    /// It serves us.
    Well,
    /// It is not there, or cannot serve now.
    Away(String),
    /// It wants another password.
    Denied(String),
    /// It is something else.
    Foreign,
}

/// Certificates for TLS, as far as the plan needs them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Certificates {
    /// Files that do not serve: their key below `[tls]`, and why.
    pub files: Vec<(&'static str, String)>,
    /// What is wrong with our own certificate.
    pub faults: Vec<Fault>,
    /// The names of which it should have one.
    pub names: Vec<String>,
}

/// The configuration file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Configuration {
    /// Its path, if there is one.
    pub file: Option<PathBuf>,
    /// The line of each key that stands there, such as `pcscf.listen`.
    pub lines: BTreeMap<String, usize>,
    /// Why it cannot be read, for a person.
    pub unreadable: Option<String>,
    /// What is wrong with it, for a person. If anything is, nothing else was observed.
    pub wrong: Vec<String>,
}

/// What the system said no to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The kind.
    pub kind: ErrorKind,
    /// Its words.
    pub text: String,
    /// Who holds the port, as far as we may know.
    pub holder: Option<Holder>,
}

/// A listener that was tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listening {
    /// Whose.
    pub role: Role,
    /// The key of the configuration that says so.
    pub key: &'static str,
    /// How.
    pub transport: Transport,
    /// Where.
    pub addr: SocketAddr,
    /// Why not.
    pub refused: Option<Refused>,
}

/// The machine; `None` is what it does not say.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Machine {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its interfaces but loopback.
    pub interfaces: Vec<Interface>,
    /// IPv6 can be used.
    pub ipv6: bool,
    /// The first port that every user may listen on.
    pub unprivileged_from: u16,
    /// Files that a process may have open.
    pub files: Option<u64>,
    /// The most that a socket's receive buffer may be asked to hold, in bytes.
    pub receive_buffer: Option<u64>,
    /// Memory in bytes, the control group's limit if that is less.
    pub memory: Option<u64>,
    /// Ports that the system gives to programs that name none.
    pub ephemeral: Option<(u16, u16)>,
    /// Ports that are reserved from that.
    pub reserved: Vec<(u16, u16)>,
    /// Kernel modules that read SIP.
    pub sip_modules: Vec<String>,
    /// The clock, in seconds since 1970.
    pub clock: u64,
    /// When the newest file was written that was certainly written in the past, and which.
    pub written: Option<(u64, PathBuf)>,
    /// Whether the kernel's clock follows another one.
    pub synchronised: Option<bool>,
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The networks that are directly behind it.
    pub networks: Vec<(IpAddr, u8)>,
}

/// The store's file and what is around it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Store {
    /// Its path; `None` if no place is known.
    pub path: Option<PathBuf>,
    /// What came of opening it.
    pub opened: Opened,
    /// The file's rights, if it is there.
    pub mode: Option<u32>,
    /// Bytes free on its disk.
    pub free: Option<u64>,
    /// The type of its file system, such as `ext4`.
    pub filesystem: Option<String>,
}

/// What came of opening the store.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub enum Opened {
    /// It is there, or a running process has it.
    #[default]
    Well,
    /// It is not there and can be made.
    New,
    /// It, or its folder, cannot be written: what, and what the system said.
    NotWritable(PathBuf, String),
    /// Another process has it, and none answers on the control socket.
    InUse,
    /// Another version wrote it, in the store's words.
    Version(String),
    /// It is no store, or damaged, in the store's words.
    Foreign(String),
    /// The control socket refuses this user.
    ControlRefused(String),
}

/// The subscribers.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Subscribers {
    /// The first of them.
    pub first: Vec<Row>,
    /// There are more.
    pub more: bool,
    /// Why they could not all be read.
    pub damaged: Option<String>,
}

/// One subscriber, without secrets.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Row {
    /// The private identity.
    pub impi: String,
    /// The public identities.
    pub impus: Vec<String>,
    /// The IMSI, if there is one.
    pub imsi: Option<String>,
    /// Application servers of the filter criteria that are the subscriber's own.
    pub servers: Vec<String>,
}

/// Whom somebody is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Who {
    /// A function of the network.
    Function(Role),
    /// An application server, by its URI.
    Server(String),
}

/// One address that was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Who should be there.
    pub who: Who,
    /// How it was asked.
    pub transport: Transport,
    /// Where.
    pub addr: SocketAddr,
    /// Its name in our domain, or the server's URI.
    pub name: String,
    /// What came back.
    pub answer: Answer,
    /// It answers on this transport instead.
    pub instead: Option<Transport>,
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is our own listener, so it was not asked.
    Ourselves,
    /// As it should be.
    Well,
    /// Connection refused, or port unreachable.
    Refused,
    /// Nothing.
    Silent,
    /// The system knows no way, in its words.
    Unreachable(String),
    /// Something that is not the protocol: its beginning.
    Gibberish(String),
    /// The connection was closed instead of an answer.
    Closed,
    /// A SIP status.
    Sip(u16),
    /// CEA.
    Cea(Cea),
    /// NG: a result other than pong.
    Ng(String),
}

/// A Capabilities-Exchange-Answer, RFC 6733 §5.3.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cea {
    /// The Origin-Host that we gave.
    pub asked_as: String,
    /// Why not, if it was not a success.
    pub refusal: Option<String>,
    /// It was ELECTION_LOST (4003): the peer has a connection of this name already.
    pub taken: bool,
    /// Origin-Host.
    pub host: String,
    /// Origin-Realm.
    pub realm: String,
    /// Whether Cx or relaying is announced.
    pub cx: bool,
}

/// Names that had to be looked up, and by whom.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Names {
    /// The lookups.
    pub lookups: Vec<Lookup>,
    /// `/etc/resolv.conf` names a server.
    pub configured: bool,
    /// The servers, and whether they answered; asked only if one of them found nothing.
    pub servers: Vec<(SocketAddr, bool)>,
}

/// One name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// Whose.
    pub who: Who,
    /// The name.
    pub host: String,
    /// Where it leads, best first.
    pub targets: Vec<(Transport, SocketAddr)>,
}

impl Facts {
    /// File and line of a key such as `pcscf.listen`, if it stands in the file.
    pub fn place(&self, key: &str) -> Option<String> {
        let (file, line) = (self.configuration.file.as_ref()?, self.configuration.lines.get(key)?);
        Some(format!("{}:{line}", file.display()))
    }

    /// The place of a key of a function.
    pub fn place_of(&self, role: Role, key: &str) -> Option<String> {
        self.place(&format!("{role}.{key}"))
    }

    /// Where a function of this process listens.
    pub fn listen(&self, role: Role) -> &[SocketAddr] {
        self.plan.here.get(&role).map_or(&[], Vec::as_slice)
    }

    /// The running process holds its own ports.
    pub fn is_held_by_us(&self, refused: &Refused) -> bool {
        let strowger = || refused.holder.as_ref().is_none_or(|holder| holder.command == "strowger");
        self.running && refused.kind == ErrorKind::AddrInUse && strowger()
    }

    /// Whether a function runs in this process.
    pub fn runs(&self, role: Role) -> bool {
        self.plan.here.contains_key(&role)
    }

    /// Whether a packet to this address comes to a listener of this process: which one.
    pub fn own_listener(&self, transport: Transport, addr: SocketAddr) -> Option<Role> {
        own_listener(&self.plan, &self.machine, transport, addr)
    }

    /// The application servers of all filter criteria that the HSS of this process gives out.
    pub fn servers(&self) -> Vec<String> {
        let rows = self.subscribers.iter().flat_map(|subscribers| &subscribers.first);
        servers(&self.plan, rows)
    }
}

/// The application servers of the plan's filter criteria and of these subscribers.
pub fn servers<'a>(plan: &Plan, rows: impl Iterator<Item = &'a Row>) -> Vec<String> {
    if !plan.here.contains_key(&Role::Hss) {
        return Vec::new();
    }
    let shared = plan.criteria.iter().map(|criteria| criteria.server.name.clone());
    let mut all: Vec<String> = shared.chain(rows.flat_map(|row| row.servers.clone())).collect();
    all.sort();
    all.dedup();
    all
}

/// The function of the plan that a packet to this address comes to.
pub fn own_listener(
    plan: &Plan,
    machine: &Machine,
    transport: Transport,
    addr: SocketAddr,
) -> Option<Role> {
    let reaches = |listen: &SocketAddr| {
        let all = listen.ip().is_unspecified() && listen.is_ipv4() == addr.is_ipv4();
        listen.port() == addr.port() && (listen.ip() == addr.ip() || all && machine.has(addr.ip()))
    };
    let mut here = plan.here.iter();
    let found = here.find(|(role, listen)| {
        role.transports().contains(&transport) && listen.iter().any(reaches)
    });
    found.map(|(role, _)| *role)
}

impl Configuration {
    /// Whether it could be read and nothing is wrong with it.
    pub fn is_right(&self) -> bool {
        self.unreadable.is_none() && self.wrong.is_empty()
    }
}

impl Machine {
    /// Whether an address is certainly one of this machine.
    pub fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.addresses.contains(&ip)
    }

    /// The interface whose network an address is in.
    pub fn interface_of(&self, ip: IpAddr) -> Option<&Interface> {
        let of = |interface: &&Interface| {
            base::trust::Networks::new(interface.networks.clone()).contains(ip)
        };
        self.interfaces.iter().find(of)
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Function(role) => write!(f, "{role}"),
            Who::Server(uri) => write!(f, "application server {uri}"),
        }
    }
}

/// The configuration's word for a transport.
pub fn word(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Wire => "wire",
    }
}
