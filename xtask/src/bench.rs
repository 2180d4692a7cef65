//! `cargo xtask bench`: server CPU per unit of work, latency and memory, ours and the incumbents', alternating
//! in one run, each beside its goal.
//!
//! - `rows`: what is measured beside Kamailio, and the goals. `sample`: one run of the generator against a fresh server.
//! - `relay`: the same for the media relay, beside rtpengine. `xdp`: where the kernel relays, beside a program that drops.
//!
//! Kamailio is tuned (`-x tlsf`, `bench/kamailio/kamailio.cfg`). Ours is the static binary, one
//! process with its defaults: store, trace ring and metrics on.

mod relay;
mod rows;
mod sample;
mod xdp;

use crate::limits;
use crate::run::{cargo, step};
use crate::server::Kind;
use crate::{dist, peers};
use rows::{Goal, ROWS, Row};
use sample::Sample;

/// Measures the rows whose name contains `only`, `repeats` times each, and prints a table. Without a
/// choice, the limits of the binary come first.
pub(crate) fn all(repeats: usize, only: &str) -> Result<(), String> {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| row.name.contains(only)).collect();
    let relays: Vec<_> = relay::ROWS.iter().filter(|row| row.name.contains(only)).collect();
    let kernel: Vec<_> = xdp::ROWS.iter().filter(|row| row.name.contains(only)).collect();
    if rows.is_empty() && relays.is_empty() && kernel.is_empty() {
        let names = ROWS.iter().map(|row| row.name).chain(relay::ROWS.iter().map(|row| row.name));
        let names = names.chain(xdp::ROWS.iter().map(|row| row.name));
        let names: Vec<&str> = names.collect();
        return Err(format!("no row has {only:?} in its name; there are: {}", names.join("; ")));
    }
    peers::install_incumbents()?;
    dist::build()?;
    step("generators", &mut cargo(&["build", "--release", "-p", "bench", "--bins"]))?;
    if only.is_empty() {
        limits::measure()?;
    }
    let mut results: Vec<Outcome> = rows.into_iter().map(Outcome::new).collect();
    let mut relayed: Vec<relay::Outcome> = relays.into_iter().map(relay::Outcome::new).collect();
    let mut in_kernel: Vec<xdp::Outcome> = kernel.into_iter().map(xdp::Outcome::new).collect();
    for _ in 0..repeats {
        for result in &mut results {
            result.measure()?;
        }
        for result in &mut relayed {
            result.measure()?;
        }
        for result in &mut in_kernel {
            result.measure()?;
        }
    }
    print(&results, repeats);
    relayed.iter().for_each(relay::Outcome::print);
    in_kernel.iter().for_each(xdp::Outcome::print);
    Ok(())
}

/// What came of one row.
struct Outcome {
    row: &'static Row,
    ours: Vec<Sample>,
    kamailio: Vec<Sample>,
}

impl Outcome {
    fn new(row: &'static Row) -> Outcome {
        Outcome { row, ours: Vec::new(), kamailio: Vec::new() }
    }

    /// One run of each server.
    fn measure(&mut self) -> Result<(), String> {
        let rate = self.row.rate()?;
        for kind in self.row.servers() {
            let sample = sample::take(self.row, kind, rate)?;
            match kind {
                Kind::Kamailio { .. } => self.kamailio.push(sample),
                Kind::Strowger { .. } => self.ours.push(sample),
            }
        }
        Ok(())
    }
}

fn print(results: &[Outcome], repeats: usize) {
    println!("\nCPU: the server's, us per unit; min / median / max of {repeats}");
    println!("memory (PSS): MiB above idle, median; p99: of a whole unit, ms, median");
    for result in results {
        println!("{}", result.row.name);
        for (name, samples) in [("kamailio", &result.kamailio), ("strowger", &result.ours)] {
            if samples.is_empty() {
                continue;
            }
            let cpu = sorted(samples, |sample| sample.cpu);
            println!(
                "    {name:<9} CPU {:>7.1} / {:>7.1} / {:>7.1}   p99 {:>7.1}   {:>7.0}/s   memory {:>6.1}",
                cpu[0],
                middle(&cpu),
                cpu[cpu.len() - 1],
                median(samples, |sample| sample.p99_us) / 1000.0,
                median(samples, |sample| sample.per_second),
                median(samples, Sample::above_idle),
            );
        }
        for goal in result.row.goals {
            println!("    {}", verdict(result, *goal));
        }
    }
}

/// A goal, what was measured, and whether it is met.
fn verdict(result: &Outcome, goal: Goal) -> String {
    let (ours, kamailio) = (&result.ours, &result.kamailio);
    let ratio = |of: fn(&Sample) -> f64| median(ours, of) / median(kamailio, of);
    let (what, figure, most) = match goal {
        Goal::Cpu(most) => ("CPU, times Kamailio's", ratio(|s| s.cpu), most),
        Goal::Latency => ("p99, times Kamailio's", ratio(|s| s.p99_us), 1.0),
        Goal::Memory(most) => ("memory, times Kamailio's", ratio(Sample::above_idle), most),
        Goal::EachPhone(most) => ("KiB for each phone", median(ours, Sample::each_phone), most),
        Goal::Flat => {
            ("memory after ten refreshes, times that before", median(ours, Sample::growth), 1.05)
        }
    };
    let word = if figure <= most { "met" } else { "MISSED" };
    format!("{what}: {figure:.2}; goal {most}: {word}")
}

fn sorted<T>(samples: &[T], of: impl Fn(&T) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    middle(&sorted(samples, of))
}

fn middle(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => (sorted[even / 2 - 1] + sorted[even / 2]) / 2.0,
    }
}
