//! One run of the generator against a server that was just started. Its CPU time is read after the last
//! timer of its transactions, so that what a server puts off is counted.

use std::process::Command;

use super::rows::Row;
use crate::limits::number;
use crate::server::{DOMAIN, Kind, Server, tool};

/// Figures of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Microseconds of CPU for each unit.
    pub(crate) cpu: f64,
    /// Of a whole unit.
    pub(crate) p99_us: f64,
    pub(crate) per_second: f64,
    /// Memory in MiB: with nothing to do, when all phones are registered, after the load.
    memory: [f64; 3],
    phones: f64,
}

impl Sample {
    /// MiB that the load needed.
    pub(crate) fn above_idle(&self) -> f64 {
        self.memory[2] - self.memory[0]
    }

    /// KiB for each phone that registered.
    pub(crate) fn each_phone(&self) -> f64 {
        (self.memory[1] - self.memory[0]) * 1024.0 / self.phones
    }

    /// What refreshes add, as a factor.
    pub(crate) fn growth(&self) -> f64 {
        self.memory[2] / self.memory[1]
    }
}

/// Runs a row; at this rate if there is one.
pub(crate) fn take(row: &Row, kind: Kind, rate: Option<f64>) -> Result<Sample, String> {
    let rate = rate.map_or(String::new(), |rate| format!(" --rate {rate}"));
    run(row, kind, &format!("{}{rate}", row.load), row.settle(kind))
}

/// Runs the generator with this load; prints its figures as a line of JSON.
pub(crate) fn run(row: &Row, kind: Kind, load: &str, settle: &str) -> Result<Sample, String> {
    let mut server = Server::start(kind)?;
    let mut command = Command::new(tool("sipload"));
    command.args(load.split(' ')).args(["--server", &kind.address()]);
    command.args(["--domain", DOMAIN, "--settle-ms", settle]);
    command.args(["--pid", &server.id().to_string()]);
    let out = command.output().map_err(|e| format!("sipload: {e}"))?;
    server.end();
    let line = String::from_utf8_lossy(&out.stdout).into_owned();
    let rest = line.trim().trim_start_matches('{');
    println!("{{\"row\":\"{}\",\"server\":\"{}\",{rest}", row.name, kind.name());
    let figure = |key| number(&line, key);
    // At its peak a server loses datagrams; a call whose ACK or BYE is among them may fail.
    let few = figure("done").zip(figure("failed")).is_some_and(|(done, lost)| lost * 500.0 <= done);
    let clean = few && figure("bad_status") == Some(0.0);
    let sample = || {
        Some(Sample {
            cpu: figure("server_cpu_us_per_unit")?,
            p99_us: figure("total_p99_us")?,
            per_second: figure("per_s")?,
            memory: [figure("pss_idle_mib")?, figure("pss_before_mib")?, figure("pss_after_mib")?],
            phones: figure("phones")?,
        })
    };
    sample().filter(|_| clean).ok_or_else(|| {
        let why = String::from_utf8_lossy(&out.stderr).into_owned();
        format!("{} did not go through at {}: {why}", row.name, kind.name())
    })
}
