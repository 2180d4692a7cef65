//! A network with two S-CSCFs and two P-CSCFs that share what they know by a Redis server: each in a
//! process and a namespace of its own. The P-CSCFs have one address, which is at one of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use strowger::plan::Role;

use super::spec::{K, OP};
use super::{Bridge, DOMAIN, Peer, Process, Spec, until};

/// The hosts, in the order of their addresses.
const HOSTS: [&str; 8] =
    ["home", "media", "redis", "scscf-a", "scscf-b", "pcscf-a", "pcscf-b", "phones"];

/// The address that the phones know.
const ACCESS: Ipv4Addr = Ipv4Addr::new(10, 8, 0, 100);

/// IMSI and number of the phones, whose ports follow each other.
const SIMS: [(&str, &str, &str); 2] =
    [("alice", "001010000000001", "4930101"), ("bob", "001010000000002", "4930102")];

/// The running network.
pub struct Pair {
    program: String,
    /// The phones.
    pub phones: Process,
    functions: Vec<(&'static str, Peer)>,
    redis: Option<Peer>,
    // Last, for what runs in it ends with it.
    bridge: Bridge,
}

impl Pair {
    /// Starts everything; `program` is the whole path of ours, `phones` of the test phones.
    ///
    /// # Panics
    /// If something does not start.
    pub fn start(program: &str, phones: &str) -> Pair {
        let bridge = Bridge::new(&HOSTS, false);
        bridge.host("pcscf-a").ip(&["addr", "add", &format!("{ACCESS}/24"), "dev", "eth0"]);
        let mut spec = Spec::default();
        for ((name, imsi, number), port) in SIMS.into_iter().zip(5071..) {
            spec = spec.sim_phone(name, imsi, number, port);
        }
        let spec = spec.phones_at(bridge.address("phones"), (IpAddr::from(ACCESS), 5060).into());
        let spec = Spec { sims: Vec::new(), ..spec };
        let process = Process::start(bridge.host("phones"), phones, &spec);
        let program = program.to_owned();
        let mut pair =
            Pair { program, phones: process, functions: Vec::new(), redis: None, bridge };
        pair.start_redis();
        for (host, roles) in [
            ("home", &[Role::Hss, Role::Icscf][..]),
            ("media", &[Role::Media]),
            ("scscf-a", &[Role::Scscf]),
            ("scscf-b", &[Role::Scscf]),
            ("pcscf-a", &[Role::Pcscf]),
            ("pcscf-b", &[Role::Pcscf]),
        ] {
            pair.run(host, roles);
        }
        for (_, imsi, number) in SIMS {
            let sim = ["sub", "add", "--imsi", imsi, "--msisdn", number, "--k", K, "--op", OP];
            pair.command("home", &[&sim[..], &["--amf", "725c"]].concat()).succeeds();
        }
        pair
    }

    /// Starts the server, with nothing in it.
    pub fn start_redis(&mut self) {
        let address = self.bridge.address("redis").to_string();
        let args =
            ["--bind", &address, "--protected-mode", "no", "--save", "", "--appendonly", "no"];
        let mut redis = Peer::start(self.bridge.host("redis"), "/usr/bin/redis-server", args);
        redis.says("Ready to accept connections");
        self.redis = Some(redis);
    }

    /// Kills the server; what it had is lost.
    pub fn kill_redis(&mut self) {
        self.redis = None;
    }

    fn address(&self, host: &str, role: Role) -> SocketAddr {
        SocketAddr::new(self.bridge.address(host), role.default_port())
    }

    fn run(&mut self, host: &'static str, roles: &[Role]) {
        let words: Vec<String> = roles.iter().map(|role| format!("\"{role}\"")).collect();
        let mut text = format!("domain = \"{DOMAIN}\"\nroles = [{}]\n", words.join(", "));
        let core = HOSTS.iter().filter(|host| **host != "phones");
        let core = core.map(|host| format!("\"{}/32\"", self.bridge.address(host)));
        text += &format!("trust.networks = [{}]\n", core.collect::<Vec<_>>().join(", "));
        let redis = self.bridge.address("redis");
        text += &format!("[shared]\nservers = \"{redis}:6379\"\nnode = \"{host}\"\n");
        text += &format!("floating = \"{ACCESS}\"\n");
        let places = [
            (Role::Hss, "tcp", vec![self.address("home", Role::Hss)]),
            (Role::Icscf, "udp", vec![self.address("home", Role::Icscf)]),
            (Role::Media, "udp", vec![self.address("media", Role::Media)]),
            (Role::Pcscf, "udp", vec![(IpAddr::from(ACCESS), 5060).into()]),
            (
                Role::Scscf,
                "udp",
                ["scscf-a", "scscf-b"].map(|s| self.address(s, Role::Scscf)).into(),
            ),
        ];
        for (role, transport, at) in places {
            if !roles.contains(&role) {
                let seams = at.iter().map(|at| format!("\"{transport}:{at}\"")).collect::<Vec<_>>();
                text += &format!("[{role}]\nat = [{}]\n", seams.join(", "));
                continue;
            }
            let listen = if role == Role::Pcscf { at[0] } else { self.address(host, role) };
            text += &format!("[{role}]\nlisten = \"{listen}\"\n");
            if role == Role::Media {
                text += &format!("addresses = [\"{}\"]\n", listen.ip());
            }
        }
        std::fs::write(self.bridge.host(host).folder().join("node.toml"), text).expect("a file");
        let mut function = self.command(host, &["run"]);
        function.says("ready in");
        self.functions.push((host, function));
    }

    /// A command of the program on a host.
    fn command(&self, host: &str, args: &[&str]) -> Peer {
        let place = ["-c", "node.toml", "--state", "state"];
        Peer::start(self.bridge.host(host), &self.program, args.iter().chain(&place))
    }

    /// `kill -9`, without any notice.
    pub fn kill(&mut self, host: &str) {
        self.functions.retain(|(name, _)| *name != host);
    }

    /// Starts it again, with an empty store.
    pub fn start_again(&mut self, host: &'static str, role: Role) {
        let state = self.bridge.host(host).folder().join("state");
        std::fs::remove_dir_all(state).expect("its files");
        self.run(host, &[role]);
    }

    /// The phones' address moves from the first P-CSCF's host to the second's.
    pub fn move_access(&self) {
        let address = format!("{ACCESS}/24");
        self.bridge.host("pcscf-a").ip(&["addr", "del", &address, "dev", "eth0"]);
        self.bridge.host("pcscf-b").ip(&["addr", "add", &address, "dev", "eth0"]);
        // Whatever moves addresses announces it; here the others are made to forget.
        for host in HOSTS {
            self.bridge.host(host).ip(&["neigh", "flush", "dev", "eth0"]);
        }
    }

    /// What `redis-cli` answers.
    pub fn redis(&self, args: &[&str]) -> String {
        let address = self.bridge.address("redis").to_string();
        let here = ["-h", &address, "--raw"];
        Peer::start(self.bridge.host("redis"), "/usr/bin/redis-cli", here.iter().chain(args))
            .succeeds()
    }

    /// Waits until a table on the server has so many records.
    pub fn records(&self, table: &str, count: usize) {
        let key = format!("{{{DOMAIN}}}:{table}");
        until(&format!("{count} records of {table}"), || {
            (self.redis(&["HLEN", &key]).trim() == count.to_string()).then_some(())
        });
    }

    /// Waits until a node says something in its log.
    pub fn says(&mut self, host: &str, words: &str) {
        let found = self.functions.iter_mut().find(|(name, _)| *name == host);
        found.expect("it runs").1.says(words);
    }
}
