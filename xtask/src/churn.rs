//! `cargo xtask churn [--minutes N] [--percent N]`: phones come and go, call and ask at half (or so many percent) of
//! what the server does at most, for a long time; its memory has to stay flat and every unit has to be answered.
//!
//! First the peak is measured on the same server, in two steps: how fast all kinds of units go at once with 64 in
//! flight each, for ten seconds, and how many of so many are served when they come one by one, whether the server
//! keeps up or not, for half a minute. Each of these costs more, since every message wakes somebody: what is served
//! then is the peak, and what is too much has to be refused, not lost. Then the same generators run at their share of
//! it. What is sampled: `meter`.
//!
//! The rule: the median of the memory (PSS) in the last quarter is at most 3 % above that in the second one; the
//! process has no more files open than then, but for a few; no unit failed; and 40 s after the last one no
//! transaction is alive.

mod meter;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::dist;
use crate::limits::number;
use crate::run::{cargo, step};
use crate::server::{DOMAIN, Kind, Part, Server, tool};
use meter::{Meter, Sample, median};

/// Phones that register, refresh, leave and begin again.
const COMING: usize = 2000;
/// Phones that call, and as many that are called.
const CALLING: usize = 500;
/// Milliseconds that is talked for.
const HOLD: u64 = 500;
/// Seconds of a flood.
const FLOOD: u64 = 10;
/// Seconds that the peak is measured for.
const PEAK: u64 = 30;
/// Memory may grow by so much from the second quarter to the last.
const GROWTH: f64 = 1.03;
/// So many files more may be open.
const FILES: f64 = 8.0;
/// Between two samples.
const EVERY: Duration = Duration::from_secs(5);
/// Between two lines that say how it goes.
const LINES: Duration = Duration::from_secs(60);
/// Longer than any transaction lasts.
const AFTER: Duration = Duration::from_secs(40);

/// One kind of unit, and the arguments of its generator.
struct Load {
    name: &'static str,
    arguments: String,
}

fn loads(seconds: u64, hold: u64) -> [Load; 3] {
    // Nobody's registration ends by itself while the load lasts.
    let expires = seconds + 3600;
    let load = |name, arguments| Load { name, arguments };
    [
        load("registrations", format!("churn --users {COMING}")),
        load(
            "calls",
            format!("call --users {CALLING} --base {COMING} --expires {expires} --hold-ms {hold}"),
        ),
        load("options", "options".to_owned()),
    ]
}

/// Runs it for so many minutes, with the binary that is shipped or (`ordinary`) with that of
/// `cargo build --release`.
pub(crate) fn run(minutes: u64, percent: u64, ordinary: bool) -> Result<(), String> {
    if ordinary {
        step("release", &mut cargo(&["build", "--release", "-p", "strowger"]))?;
    } else {
        dist::build()?;
    }
    step("generators", &mut cargo(&["build", "--release", "-p", "bench", "--bins"]))?;
    let subscribers = COMING + 2 * CALLING;
    let kind = Kind::Strowger { subscribers, part: Part::Watched };
    let mut server = Server::start_with(kind, ordinary)?;
    let meter = Meter::new(server.id());
    let seconds = minutes * 60;
    let flat_out = format!("--seconds {FLOOD} --count 1000000000 --settle-ms 0");
    let mut floods = Vec::new();
    for (name, generator) in start(kind, loads(FLOOD, 0), |_| flat_out.clone())? {
        floods.push((name, generator.figures()?.of("per_s")?));
    }
    let mut rates = Vec::new();
    let one_by_one = |name: &str| paced(rate_of(&floods, name), PEAK);
    for (name, generator) in start(kind, loads(PEAK, HOLD), one_by_one)? {
        let peak = generator.figures()?.of("done")? / PEAK as f64;
        let rate = peak * percent as f64 / 100.0;
        let flood = rate_of(&floods, name);
        println!(
            "{name}: {flood:.0}/s in a flood, {peak:.0}/s of so many one by one, {rate:.0}/s now"
        );
        rates.push((name, rate));
    }
    let share = |name: &str| paced(rate_of(&rates, name), seconds);
    let generators = start(kind, loads(seconds, HOLD), share)?;
    let samples = watch(&meter, Duration::from_secs(seconds))?;
    let mut complaints = Vec::new();
    for (name, generator) in generators {
        complaints.extend(outcome(name, generator)?);
    }
    std::thread::sleep(AFTER);
    let last = meter.sample()?;
    println!("after {} s more: {last}", AFTER.as_secs());
    server.end();
    complaints.extend(verdict(&samples, &last));
    if complaints.is_empty() {
        println!("churn: flat, and every unit was answered");
        return Ok(());
    }
    Err(complaints.join("; "))
}

fn rate_of(rates: &[(&'static str, f64)], name: &str) -> f64 {
    rates.iter().find(|(of, _)| *of == name).map_or(1.0, |(_, rate)| *rate)
}

/// Arguments of a generator whose units come one by one, so many a second.
fn paced(rate: f64, seconds: u64) -> String {
    format!("--rate {rate:.1} --seconds {seconds} --count 1000000000 --window 16384")
}

/// A generator, which ends with its owner.
struct Generator(Option<Child>);

impl Generator {
    /// Waits for its end.
    fn figures(mut self) -> Result<Figures, String> {
        let child = self.0.take().ok_or("it was waited for")?;
        let out = child.wait_with_output().map_err(|e| e.to_string())?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok(Figures { line: text(&out.stdout), errors: text(&out.stderr) })
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn generator(load: &Load, kind: Kind, more: &str) -> Result<Generator, String> {
    let mut command = Command::new(tool("sipload"));
    command.args(load.arguments.split(' ')).args(more.split(' '));
    command.args(["--server", &kind.address(), "--domain", DOMAIN]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    child.map(|child| Generator(Some(child))).map_err(|e| format!("sipload: {e}"))
}

/// Starts all generators.
fn start(
    kind: Kind,
    loads: [Load; 3],
    more: impl Fn(&str) -> String,
) -> Result<Vec<(&'static str, Generator)>, String> {
    let start = |load: &Load| Ok((load.name, generator(load, kind, &more(load.name))?));
    loads.iter().map(start).collect()
}

/// What a generator printed.
struct Figures {
    line: String,
    errors: String,
}

impl Figures {
    fn of(&self, key: &str) -> Result<f64, String> {
        number(&self.line, key).ok_or(format!("no {key} in {:?}: {}", self.line, self.errors))
    }
}

/// Samples until the time is over.
fn watch(meter: &Meter, time: Duration) -> Result<Vec<Sample>, String> {
    let begin = Instant::now();
    let (mut samples, mut told) = (Vec::new(), Duration::ZERO);
    while begin.elapsed() < time {
        std::thread::sleep(EVERY);
        let sample = meter.sample()?;
        if begin.elapsed() >= told {
            println!("{:>5} s: {sample}", begin.elapsed().as_secs());
            told += LINES;
        }
        samples.push(sample);
    }
    Ok(samples)
}

/// What a generator did, and what is wrong with that.
fn outcome(name: &str, generator: Generator) -> Result<Option<String>, String> {
    let figures = generator.figures()?;
    let (done, failed, bad) =
        (figures.of("done")?, figures.of("failed")?, figures.of("bad_status")?);
    let (again, p99) = (figures.of("retrans")?, figures.of("total_p99_us")? / 1000.0);
    println!(
        "{name}: {done} units, {failed} failed, {bad} refused, {again} messages repeated, p99 {p99:.1} ms"
    );
    let why = figures.errors;
    Ok((failed + bad > 0.0).then(|| format!("{name}: {failed} failed, {bad} refused: {why}")))
}

/// What is wrong with the samples, and with the one after the load.
fn verdict(samples: &[Sample], last: &Sample) -> Vec<String> {
    let quarter = samples.len() / 4;
    let (second, fourth) = (&samples[quarter..2 * quarter], &samples[samples.len() - quarter..]);
    let memory = [second, fourth].map(|part| median(part, |sample| sample.memory));
    let files = [second, fourth].map(|part| median(part, |sample| sample.files));
    println!(
        "memory (PSS), medians of the second and the last quarter: {:.1} and {:.1} MiB, {:+.1} %; files {} and {}",
        memory[0],
        memory[1],
        (memory[1] / memory[0] - 1.0) * 100.0,
        files[0],
        files[1]
    );
    let mut complaints = Vec::new();
    if quarter == 0 || memory[1] > memory[0] * GROWTH {
        complaints.push(format!("memory grows from {:.1} to {:.1} MiB", memory[0], memory[1]));
    }
    if files[1] > files[0] + FILES {
        complaints.push(format!("{} files are open, {} before", files[1], files[0]));
    }
    if last.transactions > 0.0 {
        complaints.push(format!("{} transactions are left", last.transactions));
    }
    if last.panics > 0.0 {
        complaints.push(format!("{} panics", last.panics));
    }
    complaints
}
