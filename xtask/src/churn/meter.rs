//! What is read of a server while it works: memory, open files, and its own metrics.

use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::server::{METRICS, memory_of};

/// One look at a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// PSS in MiB.
    pub(super) memory: f64,
    /// Open files.
    pub(super) files: f64,
    /// Transactions that are alive in all functions.
    pub(super) transactions: f64,
    /// Registered contacts at the S-CSCF.
    bindings: f64,
    /// Functions that panicked.
    pub(super) panics: f64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sample { memory, files, transactions, bindings, .. } = self;
        write!(
            f,
            "{memory:.1} MiB, {files} files, {transactions} transactions, {bindings} bindings"
        )
    }
}

/// Reads a server.
pub(super) struct Meter {
    pid: u32,
}

impl Meter {
    pub(super) fn new(pid: u32) -> Meter {
        Meter { pid }
    }

    pub(super) fn sample(&self) -> Result<Sample, String> {
        let folder = format!("/proc/{}/fd", self.pid);
        let files = fs::read_dir(&folder).map_err(|e| format!("{folder}: {e}"))?.count();
        let metrics = metrics().map_err(|e| format!("metrics at {METRICS}: {e}"))?;
        let sum = |name: &str, label: &str| -> f64 {
            let ours = metrics.lines().filter(|l| l.starts_with(name) && l.contains(label));
            ours.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
        };
        Ok(Sample {
            memory: memory_of(self.pid)?,
            files: files as f64,
            transactions: sum("strowger_alive{", "_transactions\""),
            bindings: sum("strowger_alive{function=\"scscf\"", "what=\"bindings\""),
            panics: sum("strowger_panics_total", ""),
        })
    }
}

fn metrics() -> std::io::Result<String> {
    let mut stream = TcpStream::connect(METRICS)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: churn\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

pub(super) fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
