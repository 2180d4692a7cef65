//! `cargo xtask bench`: server CPU per unit of work, ours and Kamailio's, alternating in one run.
//!
//! Kamailio is tuned (`-x tlsf`, `bench/kamailio/kamailio.cfg`). Ours is the static binary, one
//! process with its defaults: store and trace on, all functions. A registration crosses P-CSCF,
//! I-CSCF, S-CSCF and HSS here and one registrar there; a call crosses P, S, I, S and P here and one
//! proxy there. So these rows compare a whole IMS with a registrar and proxy; the rows "S-CSCF" compare
//! S-CSCF and HSS with it, which do what it does: registration, and the terminating half of a call.
//!
//! Each run is of a server that was just started. Its CPU time is read after the last timer of its
//! transactions, so that what a server puts off is counted.

use std::process::Command;

use crate::limits::{self, number};
use crate::run::{cargo, step};
use crate::server::{DOMAIN, Kind, Part, Server, tool};
use crate::{dist, peers};

/// Phones that the store of ours knows.
const SUBSCRIBERS: usize = 10_000;

/// One kind of work.
struct Row {
    name: &'static str,
    /// What the generator is told.
    load: &'static str,
    /// Which functions of ours do it.
    part: Part,
    /// Whether ours keeps finished transactions for 32 s (Timers J and L).
    lingers: bool,
}

const fn row(name: &'static str, load: &'static str) -> Row {
    Row { name, load, part: Part::Whole, lingers: true }
}

const ROWS: &[Row] = &[
    row("options udp", "options --count 80000"),
    Row { lingers: false, ..row("options tcp", "options --transport tcp --count 80000") },
    row("options udp 2000/s", "options --count 20000 --rate 2000"),
    row("register udp", "register --users 10000 --count 40000"),
    Row {
        lingers: false,
        ..row("register tcp", "register --transport tcp --users 2000 --count 20000")
    },
    row("register udp 200/s", "register --users 2000 --count 2000 --rate 200"),
    row("call udp", "call --users 1000 --count 15000"),
    row("call tcp", "call --transport tcp --users 500 --count 10000"),
    row("call udp 100/s", "call --users 1000 --count 1000 --rate 100"),
    Row { part: Part::Scscf, ..row("register udp, S-CSCF", "register --users 2000 --count 40000") },
    Row { part: Part::Scscf, ..row("call udp, S-CSCF", "call --users 1000 --count 15000") },
    Row { part: Part::Relay, ..row("call udp, media relay", "call --users 1000 --count 15000") },
];

/// What one run costs: microseconds of CPU for each unit, and memory in MiB before the load, after
/// it, and when all is settled.
struct Cost {
    cpu: f64,
    memory: [f64; 3],
}

/// Measures the rows whose name contains `only`, `repeats` times each, and prints a table. Without a
/// choice, the limits of the binary come first.
pub(crate) fn all(repeats: usize, only: &str) -> Result<(), String> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.name.contains(only)).collect();
    if rows.is_empty() {
        let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        return Err(format!("no row has {only:?} in its name; there are: {}", names.join("; ")));
    }
    peers::install()?;
    dist::build()?;
    step("generators", &mut cargo(&["build", "--release", "-p", "bench", "--bins"]))?;
    if only.is_empty() {
        limits::measure()?;
    }
    let mut costs: Vec<(String, Vec<Cost>)> = Vec::new();
    for _ in 0..repeats {
        for row in &rows {
            for kind in row.servers() {
                let name = format!("{:<22} {}", row.name, kind.name());
                let cost = row.run(kind)?;
                match costs.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, costs)) => costs.push(cost),
                    None => costs.push((name, vec![cost])),
                }
            }
        }
    }
    println!("\nserver CPU per unit, us: min, median, max of {repeats}");
    println!("memory (PSS), MiB, medians: before the load, after it, settled");
    for (name, costs) in costs {
        let cpu = sorted(costs.iter().map(|cost| cost.cpu));
        let memory = [0, 1, 2].map(|i| median(&sorted(costs.iter().map(|cost| cost.memory[i]))));
        let (least, most) = (cpu[0], cpu[cpu.len() - 1]);
        let [before, after, settled] = memory;
        println!(
            "  {name:<32} {least:>7.1} {:>7.1} {most:>7.1}   {before:>6.1} {after:>6.1} {settled:>6.1}",
            median(&cpu)
        );
    }
    Ok(())
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}

impl Row {
    fn servers(&self) -> Vec<Kind> {
        let ours = Kind::Strowger { subscribers: SUBSCRIBERS, part: self.part };
        // Kamailio has no relay.
        if self.part == Part::Relay { vec![ours] } else { vec![ours, Kind::Kamailio] }
    }

    /// One run of the generator against a fresh server; prints its figures as a line of JSON.
    fn run(&self, kind: Kind) -> Result<Cost, String> {
        let mut server = Server::start(kind)?;
        let settle = match kind {
            Kind::Strowger { .. } if self.lingers => "34000",
            Kind::Strowger { .. } => "2000",
            // Its tm frees transactions after 5 s.
            Kind::Kamailio => "6500",
        };
        let mut command = Command::new(tool("sipload"));
        command.args(self.load.split(' ')).args(["--server", &kind.address()]);
        command.args(["--domain", DOMAIN, "--settle-ms", settle]);
        command.args(["--pid", &server.id().to_string()]);
        let out = command.output().map_err(|e| format!("sipload: {e}"))?;
        server.end();
        let line = String::from_utf8_lossy(&out.stdout).into_owned();
        let rest = line.trim().trim_start_matches('{');
        println!("{{\"row\":\"{}\",\"server\":\"{}\",{rest}", self.name, kind.name());
        let figure = |key| number(&line, key);
        let memory = ["pss_before_mib", "pss_after_mib", "pss_settled_mib"].map(figure);
        let clean = figure("failed") == Some(0.0) && figure("bad_status") == Some(0.0);
        match (figure("server_cpu_us_per_unit"), memory) {
            (Some(cpu), [Some(before), Some(after), Some(settled)]) if clean => {
                Ok(Cost { cpu, memory: [before, after, settled] })
            }
            _ => {
                let why = String::from_utf8_lossy(&out.stderr).into_owned();
                Err(format!("{} did not go through at {}: {why}", self.name, kind.name()))
            }
        }
    }
}
