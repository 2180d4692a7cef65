//! The servers that are measured: ours as it is shipped, and Kamailio.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::dist;
use crate::run::{root, step};

/// The domain that the measured servers serve.
pub(crate) const DOMAIN: &str = "example.test";

/// Where a server that is watched shows its metrics.
pub(crate) const METRICS: &str = "127.0.0.1:19464";

/// The folder of their files.
pub(crate) fn place() -> Result<PathBuf, String> {
    let place = root().join("target/bench");
    fs::create_dir_all(&place).map_err(|e| format!("{}: {e}", place.display()))?;
    Ok(place)
}

/// Which functions of ours run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// The IMS, and phones at the P-CSCF; calls without the media relay.
    Whole,
    /// The same, and its metrics can be read at [`METRICS`].
    Watched,
    /// All, and calls go through the media relay.
    Relay,
    /// S-CSCF and HSS: what one Kamailio does as registrar and proxy. The load is a trusted neighbour.
    Scscf,
}

/// A server that can be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The static binary on a fresh store.
    Strowger {
        /// Subscribers in its store: `u0`, `u1`, … with the password `secret`.
        subscribers: usize,
        /// Its functions.
        part: Part,
    },
    /// Kamailio with two workers and its fast allocator.
    Kamailio {
        /// Whether it keeps the state of dialogs.
        dialogs: bool,
    },
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Strowger { .. } => "strowger",
            Kind::Kamailio { .. } => "kamailio",
        }
    }

    fn port(self) -> u16 {
        match self {
            // One that is watched for an hour stands beside those that are measured.
            Kind::Strowger { part: Part::Watched, .. } => 15_062,
            Kind::Strowger { .. } => 15_060,
            Kind::Kamailio { .. } => 15_061,
        }
    }

    pub(crate) fn address(self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// The command that runs it, with everything that it needs in place.
    pub(crate) fn command(self) -> Result<Command, String> {
        self.command_of(&dist::binary())
    }

    /// The same with this binary of ours.
    fn command_of(self, ours: &Path) -> Result<Command, String> {
        match self {
            Kind::Strowger { subscribers, part } => strowger(ours, self.port(), subscribers, part),
            Kind::Kamailio { dialogs } => {
                let mut command = Command::new(root().join("bench/kamailio/run.sh"));
                command.env("MEMMGR", "tlsf").env("PIDFILE", place()?.join("kamailio.pid"));
                command.args(["2", "4096", "-A", &format!("SIPPORT={}", self.port())]);
                if dialogs {
                    command.args(["-A", "WITH_DIALOG"]);
                }
                Ok(command)
            }
        }
    }
}

fn strowger(binary: &Path, port: u16, subscribers: usize, part: Part) -> Result<Command, String> {
    let place = place()?.join(if part == Part::Watched { "watched" } else { "measured" });
    fs::create_dir_all(&place).map_err(|e| e.to_string())?;
    let state = place.join("state");
    let _ = fs::remove_dir_all(&state);
    fs::create_dir_all(&state).map_err(|e| e.to_string())?;
    let config = place.join("strowger.toml");
    // Ports that nobody else on this machine is likely to use.
    let anchor = part == Part::Relay;
    let beside = if part == Part::Watched { 2 } else { 0 };
    let (hss, relay) = (13_868 + beside, 12_223 + beside);
    let mut text = format!(
        "domain = \"{DOMAIN}\"\n[hss]\nlisten = [\"127.0.0.1:{hss}\"]\n\
         [media]\nlisten = [\"127.0.0.1:{relay}\"]\nanchor = {anchor}\nports = \"20000-29999\"\n"
    );
    text += &match part {
        Part::Whole | Part::Relay => format!("[pcscf]\nlisten = [\"127.0.0.1:{port}\"]\n"),
        Part::Watched => format!(
            "[pcscf]\nlisten = [\"127.0.0.1:{port}\"]\n[observe]\nmetrics = [\"{METRICS}\"]\n"
        ),
        Part::Scscf => format!(
            "[scscf]\nlisten = [\"127.0.0.1:{port}\"]\n[trust]\nnetworks = [\"127.0.0.0/8\"]\n"
        ),
    };
    fs::write(&config, text).map_err(|e| e.to_string())?;
    let ours = |arguments: &[&str]| {
        let mut command = Command::new(binary);
        command.args(arguments).arg("-c").arg(&config).arg("--state").arg(&state);
        command
    };
    if subscribers > 0 {
        let users = place.join("users.csv");
        let rows: String = (0..subscribers).map(|user| format!("u{user},secret\n")).collect();
        fs::write(&users, format!("name,password\n{rows}")).map_err(|e| e.to_string())?;
        let mut import = ours(&["sub", "import"]);
        step("subscribers", import.arg(&users).stdout(Stdio::null()))?;
    }
    let roles: &[&str] = match part {
        Part::Scscf => &["run", "--role", "scscf,hss"],
        Part::Whole | Part::Watched => &["run", "--role", "pcscf,icscf,scscf,hss"],
        Part::Relay => &["run"],
    };
    Ok(ours(roles))
}

/// A server that is ended with its owner.
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Starts it and waits until it answers.
    pub(crate) fn start(kind: Kind) -> Result<Server, String> {
        Server::start_with(kind, false)
    }

    /// The same, with the binary that is shipped or (`ordinary`) with that of `cargo build --release`.
    pub(crate) fn start_with(kind: Kind, ordinary: bool) -> Result<Server, String> {
        let binary = if ordinary { tool("strowger") } else { dist::binary() };
        let path = place()?.join(format!("{}.log", kind.name()));
        let log = fs::File::create(&path).map_err(|e| e.to_string())?;
        let errors = log.try_clone().map_err(|e| e.to_string())?;
        let mut command = kind.command_of(&binary)?;
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.map_err(|e| format!("cannot start {}: {e}", kind.name()))?;
        let server = Server { child };
        answers(kind.port())
            .map_err(|why| format!("{}: {why}; see {}", kind.name(), path.display()))?;
        Ok(server)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory of its one process (PSS), in MiB.
    pub(crate) fn memory(&self) -> Result<f64, String> {
        memory_of(self.id())
    }

    /// Asks it to end and waits for that.
    pub(crate) fn end(&mut self) {
        let _ = Command::new("kill").arg(self.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The memory of a process (PSS), in MiB.
pub(crate) fn memory_of(pid: u32) -> Result<f64, String> {
    let file = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or(format!("{file} has no Pss"))
}

/// Waits until an OPTIONS is answered.
fn answers(port: u16) -> Result<(), String> {
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let me = socket.local_addr().map_err(|e| e.to_string())?;
    socket.set_read_timeout(Some(Duration::from_millis(50))).map_err(|e| e.to_string())?;
    let ask = format!(
        "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKready;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:probe@{DOMAIN}>;tag=1\r\nTo: <sip:127.0.0.1:{port}>\r\n\
         Call-ID: ready\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    );
    let end = Instant::now() + Duration::from_secs(20);
    let mut room = [0; 2000];
    while Instant::now() < end {
        let _ = socket.send_to(ask.as_bytes(), ("127.0.0.1", port));
        if socket.recv(&mut room).is_ok() {
            return Ok(());
        }
    }
    Err("no answer to OPTIONS within 20 s".to_owned())
}

/// The path of one of our measuring programs.
pub(crate) fn tool(program: &str) -> PathBuf {
    root().join("target/release").join(Path::new(program))
}
