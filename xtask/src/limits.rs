//! What the shipped binary may weigh: its size, its memory, and the time until it answers.
//!
//! Size and memory are asserted by `cargo xtask dist` and `cargo xtask test`. Time is measured by
//! `cargo xtask bench` only: no test asserts time.

use std::process::Command;
use std::time::Duration;

use crate::dist;
use crate::server::{Kind, Part, Server, tool};

/// Largest size of the stripped binary, in bytes.
pub(crate) const MAX_SIZE: u64 = 15 << 20;

/// Largest memory (PSS) of all functions with nothing to do, in MiB.
const MAX_IDLE_MEMORY: f64 = 25.0;

/// Longest time from exec to the first SIP answer, in milliseconds.
const MAX_START: f64 = 20.0;

/// An empty store, and one with many subscribers.
const SUBSCRIBERS: [usize; 2] = [0, 10_000];

fn ours(subscribers: usize) -> Kind {
    Kind::Strowger { subscribers, part: Part::Relay }
}

fn idle_memory(kind: Kind) -> Result<f64, String> {
    let mut server = Server::start(kind)?;
    let memory = server.memory()?;
    server.end();
    Ok(memory)
}

/// Fails if the idle binary needs too much memory.
pub(crate) fn assert_memory() -> Result<(), String> {
    for subscribers in SUBSCRIBERS {
        let memory = idle_memory(ours(subscribers))?;
        println!("    idle memory with {subscribers} subscribers: {memory:.1} MiB");
        if memory > MAX_IDLE_MEMORY {
            return Err(format!("idle memory is {memory:.1} MiB, more than {MAX_IDLE_MEMORY}"));
        }
    }
    Ok(())
}

fn verdict(kept: bool) -> &'static str {
    if kept { "met" } else { "MISSED" }
}

/// Measures all three and prints whether they are kept.
pub(crate) fn measure() -> Result<(), String> {
    let size = dist::size()?;
    println!("size: {size} bytes; limit {MAX_SIZE}: {}", verdict(size <= MAX_SIZE));
    for kind in SUBSCRIBERS.map(ours).into_iter().chain([Kind::Kamailio { dialogs: false }]) {
        let what = match kind {
            Kind::Strowger { subscribers, .. } => format!("strowger, {subscribers} subscribers"),
            Kind::Kamailio { .. } => "kamailio".to_owned(),
        };
        let start = start_time(kind)?;
        let [least, median, most] = start;
        print!("start, {what}: {least:.1} / {median:.1} / {most:.1} ms (min / median / max of 10)");
        match kind {
            Kind::Kamailio { .. } => println!(),
            Kind::Strowger { .. } => {
                println!("; limit {MAX_START} ms: {}", verdict(median < MAX_START));
            }
        }
        let (memory, percent) = idle(kind)?;
        print!("idle, {what}: {memory:.1} MiB, {percent:.2} % of a CPU");
        match kind {
            Kind::Kamailio { .. } => println!(),
            Kind::Strowger { .. } => {
                println!("; limit {MAX_IDLE_MEMORY} MiB: {}", verdict(memory < MAX_IDLE_MEMORY));
            }
        }
    }
    Ok(())
}

/// Milliseconds from exec to the first answer: least, median and most of ten starts.
fn start_time(kind: Kind) -> Result<[f64; 3], String> {
    let server = kind.command()?;
    let mut command = Command::new(tool("readytime"));
    command.args(["--probe", "sip", "--to", &kind.address(), "--repeat", "10"]);
    command.args(["--give-up-ms", "3000", "--"]);
    command.arg(server.get_program()).args(server.get_args());
    command.envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let line = output(&mut command)?;
    let time = |key| number(&line, key).ok_or(format!("no start time: {line}"));
    Ok([time("ready_ms_min")?, time("ready_ms_median")?, time("ready_ms_max")?])
}

/// Memory (PSS) of all its processes in MiB, and its CPU in per cent, with nothing to do.
fn idle(kind: Kind) -> Result<(f64, f64), String> {
    let mut server = Server::start(kind)?;
    // What the start set off ends before CPU time is measured, which the program below does over its
    // own five seconds.
    std::thread::sleep(Duration::from_secs(2));
    let mut command = Command::new(tool("procmeter"));
    let line = output(command.args(["--seconds", "5", "--pid", &server.id().to_string()]))?;
    server.end();
    let figure = |key| number(&line, key).ok_or(format!("no {key}: {line}"));
    Ok((figure("pss_mib")?, figure("cpu_percent")?))
}

fn output(command: &mut Command) -> Result<String, String> {
    let out = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    Ok(String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

/// A number in a line of JSON.
pub(crate) fn number(line: &str, key: &str) -> Option<f64> {
    let at = line.find(&format!("\"{key}\":"))? + key.len() + 3;
    line[at..].split([',', '}']).next()?.trim().parse().ok()
}
