//! Prints the ladders of a made-up evening: two registrations and a call.
//!
//! `cargo run -p strowger-ladder --example ladder [-- --colour] [--detail] [--html FILE] [--pcapng FILE]`

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

#[path = "../tests/flow/mod.rs"]
mod flow;

use flow::Place;
use ladder::{Correlation, html, pcapng, redact, text};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|a| a == name);
    let after = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1)
    };
    let mut records = flow::evening(if has("--hosts") { Place::HOSTS } else { Place::PROCESS });
    records.iter_mut().for_each(redact);
    let all = Correlation::new(records);
    let width = after("--width").and_then(|w| w.parse().ok()).unwrap_or(120);
    let options = text::Options {
        width,
        colour: has("--colour"),
        detail: has("--detail"),
        ..text::Options::default()
    };
    for thread in all.registrations().take(1).chain(all.calls()) {
        println!("{}", text::render(&all.ladder(thread), &options));
    }
    if let Some(file) = after("--html") {
        std::fs::write(file, html::render(&all.ladder_of(all.threads())))?;
    }
    if let Some(file) = after("--pcapng") {
        std::fs::write(file, pcapng::write(all.records()))?;
    }
    Ok(())
}
