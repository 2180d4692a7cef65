//! `cargo xtask bench`: server CPU per unit of work, ours and Kamailio's, alternating in one run.
//!
//! Kamailio is tuned (`-x tlsf`, `bench/kamailio/kamailio.cfg`). Ours is one process with its defaults:
//! store and trace on. A registration crosses P-CSCF, I-CSCF, S-CSCF and HSS here and one registrar
//! there, so the REGISTER rows compare a whole IMS with a registrar.

use std::fs;
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{cargo, root, step};

const DOMAIN: &str = "example.test";
const OURS: u16 = 15_060;
const KAMAILIO: u16 = 15_061;
const USERS: usize = 10_000;

/// Measures and prints one table; `repeats` runs of each.
pub(crate) fn all(repeats: usize) -> Result<(), String> {
    step("build", &mut cargo(&["build", "--release", "-p", "strowger", "-p", "bench", "--bins"]))?;
    let place = root().join("target/bench");
    fs::create_dir_all(&place).map_err(|e| format!("{}: {e}", place.display()))?;
    let mut rows: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..repeats {
        for (server, port) in [("strowger", OURS), ("kamailio", KAMAILIO)] {
            let mut running = Server::start(server, port, &place)?;
            // Together below the limit of transactions that ours keeps for 32 s (Timer J).
            for (work, count) in [("options", 80_000), ("register", 40_000)] {
                let cost = load(work, port, count, running.child.id())?;
                let row = format!("{work:<9} {server}");
                match rows.iter_mut().find(|(name, _)| *name == row) {
                    Some((_, costs)) => costs.push(cost),
                    None => rows.push((row, vec![cost])),
                }
            }
            running.end();
        }
    }
    println!("\nserver CPU per unit, us (min / median / max of {repeats})");
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    for (row, mut costs) in rows {
        costs.sort_by(f64::total_cmp);
        let (least, most) = (costs[0], costs[costs.len() - 1]);
        println!("  {row:<20} {least:>7.2} {:>7.2} {most:>7.2}", costs[costs.len() / 2]);
    }
    Ok(())
}

fn release(program: &str) -> PathBuf {
    root().join("target/release").join(program)
}

/// A server that is ended with its owner.
struct Server {
    child: Child,
}

impl Server {
    fn start(name: &str, port: u16, place: &Path) -> Result<Server, String> {
        let log = fs::File::create(place.join(format!("{name}.log"))).map_err(|e| e.to_string())?;
        let errors = log.try_clone().map_err(|e| e.to_string())?;
        let mut command = match name {
            "strowger" => strowger(port, place)?,
            _ => {
                let mut command = Command::new(root().join("bench/kamailio/run.sh"));
                let port = format!("SIPPORT={port}");
                command.env("MEMMGR", "tlsf").args(["2", "1024", "-A", &port]);
                command
            }
        };
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        let child = child.map_err(|e| format!("cannot start {name}: {e}"))?;
        let server = Server { child };
        answers(port).map_err(|why| format!("{name}: {why}; see {}", place.display()))?;
        Ok(server)
    }

    fn end(&mut self) {
        let id = self.child.id().to_string();
        let _ = Command::new("kill").arg(id).status();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ours with its users in a fresh store.
fn strowger(port: u16, place: &Path) -> Result<Command, String> {
    let state = place.join("state");
    let _ = fs::remove_dir_all(&state);
    fs::create_dir_all(&state).map_err(|e| e.to_string())?;
    let config = place.join("strowger.toml");
    let text = format!("domain = \"{DOMAIN}\"\n\n[pcscf]\nlisten = [\"127.0.0.1:{port}\"]\n");
    fs::write(&config, text).map_err(|e| e.to_string())?;
    let users = place.join("users.csv");
    let mut file = fs::File::create(&users).map_err(|e| e.to_string())?;
    let mut rows = String::from("name,password\n");
    for user in 0..USERS {
        rows.push_str(&format!("u{user},secret\n"));
    }
    file.write_all(rows.as_bytes()).map_err(|e| e.to_string())?;
    let with_place = |command: &mut Command| {
        command.arg("-c").arg(&config).arg("--state").arg(&state);
    };
    let mut import = Command::new(release("strowger"));
    import.args(["sub", "import"]).arg(&users);
    with_place(&mut import);
    step("users", &mut import)?;
    let mut run = Command::new(release("strowger"));
    run.arg("run");
    with_place(&mut run);
    Ok(run)
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

/// One run of the generator; the server's CPU microseconds for each unit.
fn load(work: &str, port: u16, count: usize, pid: u32) -> Result<f64, String> {
    let mut command = Command::new(release("sipload"));
    command.arg(work).args(["--server", &format!("127.0.0.1:{port}")]);
    command.args(["--count", &count.to_string(), "--users", &USERS.to_string()]);
    command.args(["--domain", DOMAIN, "--pid", &pid.to_string()]);
    let out = command.output().map_err(|e| format!("sipload: {e}"))?;
    let line = String::from_utf8_lossy(&out.stdout).into_owned();
    print!("  {line}");
    let number = |key: &str| {
        let at = line.find(&format!("\"{key}\":"))? + key.len() + 3;
        line[at..].split([',', '}']).next()?.parse::<f64>().ok()
    };
    match (number("failed"), number("bad_status"), number("server_cpu_us_per_unit")) {
        (Some(0.0), Some(0.0), Some(cost)) => Ok(cost),
        _ => Err(format!("{work} did not go through: {line}")),
    }
}
