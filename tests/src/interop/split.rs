//! The demonstration's network with each function and each phone in a process and a namespace of its
//! own, seams by address only.

use std::path::PathBuf;

use base::Transport;
use ladder::Record;
use strowger::demo::DOMAIN;
use strowger::plan::Role;

use super::bridge::WIRE;
use super::{Bridge, Peer, all_is_answered, until};

/// The hosts, in the order of their addresses.
const HOSTS: [&str; 7] = ["hss", "icscf", "scscf", "pcscf", "media", "alice", "bob"];

/// The SIMs: IMSI, number, K, OPc.
const SIMS: [[&str; 4]; 2] = [
    [
        "001010000000001",
        "15550101",
        "465b5ce8b199b49faa5f0a2ee238a6bc",
        "cd63cb71954a9f4e48a5994e37a02baf",
    ],
    [
        "001010000000002",
        "15550102",
        "0396eb317b6d1c36f19c1c84cd6ffd16",
        "53c15671c60a4b731c55b4a441c0bde2",
    ],
];

/// Below those that the system gives to anybody, so that tcpdump can tell sound by its port.
const MEDIA_PORTS: &str = "20000-20999";

/// The running network.
pub struct Split {
    program: String,
    sip: Transport,
    functions: Vec<Peer>,
    tcpdump: Peer,
    // Last, for what runs in it ends with it.
    bridge: Bridge,
}

impl Split {
    /// Starts the functions, each by a file that says its role and where it finds the others, and
    /// tcpdump on the bridge. `program` is the whole path of ours; `sip` is how the CSCFs speak with
    /// each other.
    ///
    /// # Panics
    /// If something does not start.
    pub fn start(program: &str, ipv6: bool, sip: Transport) -> Split {
        let bridge = Bridge::new(&HOSTS, ipv6);
        let mut tcpdump = {
            let args = ["-i", WIRE, "-Z", "root", "-U", "--immediate-mode", "-w", "wire.pcap"];
            let no_media = format!("not udp portrange {MEDIA_PORTS}");
            let more = ["-B", "16384", &no_media];
            Peer::start(bridge.middle(), "/usr/bin/tcpdump", args.iter().chain(&more))
        };
        tcpdump.says("listening on");
        let program = program.to_owned();
        let mut split = Split { program, sip, functions: Vec::new(), tcpdump, bridge };
        for role in Role::USUAL {
            split.run(role);
        }
        for [imsi, number, k, opc] in SIMS {
            let sim = ["sub", "add", "--imsi", imsi, "--msisdn", number, "--k", k, "--opc", opc];
            split.command(Role::Hss.as_str(), &sim).succeeds();
        }
        split
    }

    /// Everybody is told where all others are: whoever is one of them is trusted (RFC 3325).
    fn run(&mut self, role: Role) {
        let address = |role: Role| {
            let ip = self.bridge.address(role.as_str());
            std::net::SocketAddr::new(ip, role.default_port())
        };
        let mut text = format!("domain = \"{DOMAIN}\"\nroles = [\"{role}\"]\n");
        text += &format!("[{role}]\nlisten = \"{}\"\n", address(role));
        if role == Role::Media {
            text += &format!("addresses = [\"{}\"]\n", self.bridge.address("media"));
            text += &format!("ports = \"{MEDIA_PORTS}\"\n");
        }
        for other in Role::USUAL.into_iter().filter(|other| *other != role) {
            let transport = match other.transports() {
                [only] => *only,
                _ => self.sip,
            };
            let transport = if transport == Transport::Tcp { "tcp" } else { "udp" };
            text += &format!("[{other}]\nat = \"{transport}:{}\"\n", address(other));
        }
        let file = self.bridge.host(role.as_str()).folder().join("role.toml");
        std::fs::write(file, text).expect("a configuration");
        let mut function = self.command(role.as_str(), &["run"]);
        function.says("ready in");
        self.functions.push(function);
    }

    /// A command of the program on a host.
    fn command(&self, host: &str, args: &[&str]) -> Peer {
        let place: &[&str] =
            if args[0] == "ue" { &[] } else { &["-c", "role.toml", "--state", "state"] };
        Peer::start(self.bridge.host(host), &self.program, args.iter().chain(place))
    }

    /// Bob registers, then Alice does and calls him; they speak; she hangs up and deregisters; he does.
    /// Both programs fail unless they hear what the other says.
    ///
    /// # Panics
    /// If one of them fails.
    pub fn call(&self) {
        let server = std::net::SocketAddr::new(self.bridge.address("pcscf"), 5060).to_string();
        // The demonstration's phones ask for as long a registration and ring as long.
        let phone = |args: &[&str], n: usize, hears: &str| {
            let [imsi, _, k, opc] = SIMS[n];
            let sim = ["--imsi", imsi, "--k", k, "--opc", opc, "--expires", "600000"];
            let more = ["--server", &server, "--expect", hears];
            self.command(HOSTS[5 + n], &[&["ue"], args, &sim, &more].concat())
        };
        let mut bob = phone(&["answer", "--ring", "300"], 1, "alice");
        bob.says("ready for calls");
        phone(&["call", &format!("tel:+{}", SIMS[1][1])], 0, "bob").succeeds();
        bob.stop();
        bob.succeeds();
    }

    /// What the five functions remember, each message once, when nothing more is to come.
    ///
    /// # Panics
    /// If that does not come about.
    pub fn trace(&self) -> Vec<Record> {
        until("all requests to be answered in the traces", || {
            let records = self.remembered();
            (all_is_answered(&records) && self.both_ends_saw(&records)).then_some(records)
        })
    }

    fn remembered(&self) -> Vec<Record> {
        let merged = self.bridge.middle().folder().join("merged.jsonl");
        let mut merge = vec!["trace".to_owned(), "--to".to_owned(), merged.display().to_string()];
        for role in Role::USUAL {
            let file = self.bridge.host(role.as_str()).folder().join("trace.jsonl");
            let to = file.display().to_string();
            self.command(role.as_str(), &["trace", "--to", &to]).succeeds();
            merge.extend(["--from".to_owned(), to]);
        }
        let middle = self.bridge.middle();
        Peer::start(middle, &self.program, merge).succeeds();
        let text = std::fs::read_to_string(merged).expect("the merged trace");
        text.lines().map(|line| ladder::json::parse(line).expect("a record")).collect()
    }

    /// Only a phone's end of a message is not seen by one of the five.
    fn both_ends_saw(&self, records: &[Record]) -> bool {
        let unseen = records.iter().flat_map(|r| [&r.from, &r.to]).filter(|p| p.name.is_none());
        let name = |ip| self.bridge.name_of(ip);
        unseen.map(|party| party.endpoint.ip().and_then(name)).all(|n| n.is_some_and(is_phone))
    }

    /// Ends tcpdump and reads what it captured with tshark.
    ///
    /// # Panics
    /// If tcpdump missed something.
    pub fn captured(&mut self) -> Vec<Record> {
        let file = self.bridge.middle().folder().join("wire.pcap");
        self.last_packet_is_in(&file);
        self.tcpdump.stop();
        let said = self.tcpdump.said();
        assert!(said.contains("\n0 packets dropped by kernel"), "{said}");
        super::decode(&file, |ip| self.bridge.name_of(ip).map(str::to_owned))
    }

    /// A datagram that follows everything else is in the capture when all else is.
    fn last_packet_is_in(&self, file: &PathBuf) {
        const LAST: &[u8] = b"this is the last packet of the evening";
        let from = std::net::SocketAddr::new(self.bridge.address("alice"), 0);
        let to = std::net::SocketAddr::new(self.bridge.address("bob"), 9);
        self.bridge.host("alice").inside(|| {
            let socket = std::net::UdpSocket::bind(from).expect("a socket");
            socket.send_to(LAST, to).expect("the network is there");
        });
        until("tcpdump to write the last packet", || {
            let bytes = std::fs::read(file).ok()?;
            bytes.windows(LAST.len()).any(|window| window == LAST).then_some(())
        });
    }
}

fn is_phone(name: &str) -> bool {
    name == "alice" || name == "bob"
}
