//! What was found, for a person and for a program.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{ALL, Facts, Finding, Severity};

/// For a screen.
pub fn text(facts: &Facts, findings: &[Finding]) -> String {
    let mut out = overview(facts);
    for finding in findings {
        let place = finding.place.as_ref().map_or(String::new(), |place| format!("  ({place})"));
        let severity = finding.identifier.severity;
        let _ = writeln!(out, "\n{severity}: {}{place}", finding.identifier.name);
        for line in finding.evidence.lines() {
            let _ = writeln!(out, "    {line}");
        }
        for (number, line) in finding.fix.lines().enumerate() {
            let _ = writeln!(out, "  {} {line}", if number == 0 { "fix:" } else { "    " });
        }
    }
    let count = |severity| findings.iter().filter(|f| f.identifier.severity == severity).count();
    let (stops, loses) = (count(Severity::StopsCalls), count(Severity::Loses));
    let verdict = match (stops, findings.len()) {
        (0, 0) => "nothing was found".to_owned(),
        (0, _) => format!("nothing stops calls; {}", told(loses, count(Severity::Note))),
        (1, _) => format!("1 finding stops calls; {}", told(loses, count(Severity::Note))),
        _ => format!("{stops} findings stop calls; {}", told(loses, count(Severity::Note))),
    };
    let _ = writeln!(out, "\n{verdict}");
    out
}

fn told(loses: usize, notes: usize) -> String {
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!("{loses} other finding{}, {notes} note{}", plural(loses), plural(notes))
}

/// What was looked at.
fn overview(facts: &Facts) -> String {
    let mut out = String::new();
    match &facts.configuration.file {
        Some(file) => {
            let _ = writeln!(out, "configuration {}", file.display());
        }
        None => out.push_str("no configuration: defaults\n"),
    }
    if !facts.configuration.is_right() {
        return out;
    }
    let here: Vec<&str> = facts.plan.here.keys().map(|role| role.as_str()).collect();
    let _ = writeln!(out, "domain {}, functions {}", facts.plan.domain, here.join(" "));
    if let Some(store) = &facts.store.path {
        let runs = if facts.running { ", and a process runs with it" } else { "" };
        let _ = writeln!(out, "store {}{runs}", store.display());
    }
    out
}

/// For a program.
pub fn json(facts: &Facts, findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "id": finding.identifier.name,
            "severity": finding.identifier.severity.as_str(),
            "evidence": finding.evidence,
            "place": finding.place,
            "fix": finding.fix,
        })
    };
    json!({
        "stops_calls": findings.iter().any(Finding::stops_calls),
        "running": facts.running,
        "findings": findings.iter().map(one).collect::<Vec<_>>(),
    })
}

/// Everything that can be found, one line each.
pub fn list() -> String {
    let widest = ALL.iter().map(|identifier| identifier.name.len()).max().unwrap_or_default();
    let line = |identifier: &super::Identifier| {
        format!("{:widest$}  {:15}  {}\n", identifier.name, identifier.severity, identifier.line)
    };
    ALL.iter().map(line).collect()
}
