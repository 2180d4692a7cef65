//! The media relay beside rtpengine: RTP through calls that are set up with NG, as fast as it goes and paced, and
//! through an SRTP hop. rtpengine forwards in user space here, without its kernel module.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{middle, sorted};
use crate::dist;
use crate::limits::number;
use crate::run::root;
use crate::server::{DOMAIN, place, tool};

/// One kind of work.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What the generator is told.
    load: &'static str,
    goals: &'static [Goal],
}

/// What is to be reached.
#[derive(Clone, Copy)]
enum Goal {
    /// At most so many times rtpengine's CPU for a packet.
    Packet(f64),
    /// At most so many microseconds of CPU to set a call up, and to delete it.
    Call(f64, f64),
    /// At most so many KiB for each call, and MiB with none.
    Memory(f64, f64),
}

use Goal::{Call, Memory, Packet};

pub(crate) const ROWS: &[Row] = &[
    Row { name: "relay, as fast as it goes", load: "--streams 500 --flood", goals: &[Packet(0.7)] },
    Row {
        name: "relay, 500 streams at 20 ms",
        load: "--streams 500",
        goals: &[Packet(0.65), Call(30.0, 15.0), Memory(8.0, 10.0)],
    },
    Row {
        name: "relay, two hops in the clear",
        load: "--streams 200 --flood --chain plain",
        goals: &[],
    },
    // What it costs more than the row before is one encryption and one decryption.
    Row {
        name: "relay, two hops with SRTP",
        load: "--streams 200 --flood --chain srtp",
        goals: &[],
    },
];

/// Figures of one run.
#[derive(Clone, Copy)]
struct Sample {
    packet_us: f64,
    p99_us: f64,
    per_second: f64,
    setup_us: f64,
    delete_us: f64,
    idle_mib: f64,
    call_kib: f64,
}

/// What came of a row.
pub(crate) struct Outcome {
    row: &'static Row,
    ours: Vec<Sample>,
    rtpengine: Vec<Sample>,
}

impl Outcome {
    pub(crate) fn new(row: &'static Row) -> Outcome {
        Outcome { row, ours: Vec::new(), rtpengine: Vec::new() }
    }

    /// One run of each.
    pub(crate) fn measure(&mut self) -> Result<(), String> {
        self.rtpengine.push(run(self.row, "rtpengine", 12_323, rtpengine()?)?);
        self.ours.push(run(self.row, "strowger", 12_223, strowger()?)?);
        Ok(())
    }

    pub(crate) fn print(&self) {
        println!("{}", self.row.name);
        for (name, samples) in [("rtpengine", &self.rtpengine), ("strowger", &self.ours)] {
            let of = |of: fn(&Sample) -> f64| middle(&sorted(samples, of));
            let cpu = sorted(samples, |sample| sample.packet_us);
            println!(
                "    {name:<9} CPU {:>5.2} / {:>5.2} / {:>5.2} us a packet   p99 {:>6.0} us   {:>7.0}/s   \
                 call {:>5.1} + {:>5.1} us, {:>5.1} KiB   idle {:>4.1} MiB",
                cpu[0],
                middle(&cpu),
                cpu[cpu.len() - 1],
                of(|sample| sample.p99_us),
                of(|sample| sample.per_second),
                of(|sample| sample.setup_us),
                of(|sample| sample.delete_us),
                of(|sample| sample.call_kib),
                of(|sample| sample.idle_mib),
            );
        }
        for goal in self.row.goals {
            for (what, figure, most) in self.figures(*goal) {
                let word = if figure <= most { "met" } else { "MISSED" };
                println!("    {what}: {figure:.2}; goal {most}: {word}");
            }
        }
    }

    fn figures(&self, goal: Goal) -> Vec<(&'static str, f64, f64)> {
        let ours = |of: fn(&Sample) -> f64| middle(&sorted(&self.ours, of));
        let theirs = |of: fn(&Sample) -> f64| middle(&sorted(&self.rtpengine, of));
        match goal {
            Packet(most) => {
                let ratio = ours(|s| s.packet_us) / theirs(|s| s.packet_us);
                vec![("CPU for a packet, times rtpengine's", ratio, most)]
            }
            Call(setup, delete) => vec![
                ("us to set a call up", ours(|s| s.setup_us), setup),
                ("us to delete it", ours(|s| s.delete_us), delete),
            ],
            Memory(call, idle) => vec![
                ("KiB for each call", ours(|s| s.call_kib), call),
                ("MiB with no call", ours(|s| s.idle_mib), idle),
            ],
        }
    }
}

/// A relay that is ended with its owner.
struct Relay(Child);

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn rtpengine() -> Result<Command, String> {
    let mut command = Command::new(root().join("bench/rtpengine/run.sh"));
    command.args(["2", "12323"]);
    Ok(command)
}

fn strowger() -> Result<Command, String> {
    let place = place()?.join("relay");
    std::fs::create_dir_all(&place).map_err(|e| format!("{}: {e}", place.display()))?;
    let config = place.join("strowger.toml");
    let text = format!(
        "domain = \"{DOMAIN}\"\n[media]\nlisten = [\"127.0.0.1:12223\"]\nports = \"20000-39999\"\n"
    );
    std::fs::write(&config, text).map_err(|e| format!("{}: {e}", config.display()))?;
    let mut command = Command::new(dist::binary());
    command
        .args(["run", "--role", "media", "-c"])
        .arg(&config)
        .arg("--state")
        .arg(place.join("state"));
    Ok(command)
}

/// Runs a row against a relay that was just started; prints the generator's line of JSON.
fn run(row: &Row, name: &str, port: u16, mut command: Command) -> Result<Sample, String> {
    let path = place()?.join(format!("{name}-relay.log"));
    let log = std::fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let errors = log.try_clone().map_err(|e| e.to_string())?;
    let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
    let relay = Relay(child.map_err(|e| format!("cannot start {name}: {e}"))?);
    answers(port).map_err(|why| format!("{name}: {why}; see {}", path.display()))?;
    let mut load = Command::new(tool("rtpload"));
    load.args(row.load.split(' ')).args(["--seconds", "8"]);
    load.args(["--ng", &format!("127.0.0.1:{port}"), "--pid", &relay.0.id().to_string()]);
    let out = load.output().map_err(|e| format!("rtpload: {e}"))?;
    let line = String::from_utf8_lossy(&out.stdout).into_owned();
    let rest = line.trim().trim_start_matches('{');
    println!("{{\"row\":\"{}\",\"server\":\"{name}\",{rest}", row.name);
    let figure = |key| number(&line, key);
    let sample = || {
        let calls = figure("streams")? * if row.load.contains("--chain") { 2.0 } else { 1.0 };
        let idle = figure("pss_idle_mib")?;
        Some(Sample {
            packet_us: figure("server_cpu_ns_per_delivered")? / 1000.0,
            p99_us: figure("p99_us")?,
            per_second: figure("delivered_per_s")?,
            setup_us: figure("setup_cpu_us_per_call")?,
            delete_us: figure("delete_cpu_us_per_call")?,
            idle_mib: idle,
            call_kib: (figure("pss_calls_mib")? - idle) * 1024.0 / calls,
        })
    };
    sample().ok_or_else(|| {
        let why = String::from_utf8_lossy(&out.stderr).into_owned();
        format!("{} did not go through at {name}: {why}", row.name)
    })
}

/// Waits until a ping is answered.
fn answers(port: u16) -> Result<(), String> {
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    socket.set_read_timeout(Some(Duration::from_millis(50))).map_err(|e| e.to_string())?;
    let end = Instant::now() + Duration::from_secs(20);
    let mut room = [0; 2000];
    while Instant::now() < end {
        let _ = socket.send_to(b"ready d7:command4:pinge", ("127.0.0.1", port));
        if socket.recv(&mut room).is_ok() {
            return Ok(());
        }
    }
    Err("no answer to an NG ping within 20 s".to_owned())
}
