//! Calls and registrations, one line each.

use std::fmt::Write;

use ladder::dissect::plain;
use ladder::ladder::utc;
use ladder::{Correlation, Kind, Record};

pub(super) fn lines(records: Vec<Record>) -> String {
    let correlation = Correlation::new(records);
    let mut out = String::new();
    for thread in correlation.threads().iter().filter(|thread| thread.kind != Kind::Other) {
        let summaries = thread.records.iter().map(|n| &correlation.summaries()[*n]);
        let failures = summaries.filter(|summary| summary.is_failure());
        let failures = match failures.count() {
            0 => String::new(),
            1 => ", 1 failure".to_owned(),
            count => format!(", {count} failures"),
        };
        let _ = writeln!(
            out,
            "{}  {}  ({} messages{failures})  Call-ID {}",
            utc(thread.started),
            plain(&thread.title),
            thread.records.len(),
            plain(thread.call_ids().next().unwrap_or("?")),
        );
    }
    out
}
