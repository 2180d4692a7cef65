//! `cargo xtask`: the one door to everything that is done to this project.
#![allow(clippy::print_stdout, reason = "a command line speaks to a person")]

mod bench;
mod bpf;
mod churn;
mod deny;
mod dist;
mod fuzz;
mod limits;
mod peers;
mod run;
mod server;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
The project's own commands.

    cargo xtask test     everything that CI runs: format, lints, tests, real peers
    cargo xtask peers    install the foreign programs that the tests drive (Debian, root)
    cargo xtask bench [N] [--only WORD]
                         server CPU per unit of work, ours and Kamailio's, N runs of each (3);
                         start, memory and size of the shipped binary, unless rows are chosen
    cargo xtask churn [--minutes N] [--percent N] [--ordinary]
                         phones come and go, call and ask at half of the peak (50 %) for an hour, or N
                         minutes: memory stays flat, every unit is answered; with the shipped binary,
                         or that of `cargo build --release`
    cargo xtask bpf          the program that relays streams in the kernel (clang-14, libbpf-dev)
    cargo xtask deny         licences, bans and sources of the dependencies
    cargo xtask fuzz [--minutes N] [TARGET...]
                         every fuzz target over its corpus and for 30 s more; with --minutes N for so
                         long each, and corpus and ledger (fuzz/) take what was found and done
    cargo xtask dist     the binary that is shipped: static, stripped, checked
";

fn main() -> ExitCode {
    let command = std::env::args().nth(1);
    let result = match command.as_deref() {
        Some("test") => test::all(),
        Some("peers") => peers::install(),
        Some("bench") => measure(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("churn") => churn(&std::env::args().skip(2).collect::<Vec<_>>()),
        Some("bpf") => bpf::build(),
        Some("deny") => deny::check(),
        Some("dist") => dist::build(),
        Some("fuzz") => fuzz(&std::env::args().skip(2).collect::<Vec<_>>()),
        _ => {
            print!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("\nxtask: {why}");
            ExitCode::FAILURE
        }
    }
}

fn churn(arguments: &[String]) -> Result<(), String> {
    let (mut minutes, mut percent, mut ordinary) = (60, 50, false);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut number = || {
            let number = rest.next().and_then(|number| number.parse().ok());
            number.filter(|n| *n > 0).ok_or(format!("{argument} takes a number"))
        };
        match argument.as_str() {
            "--minutes" => minutes = number()?,
            "--percent" => percent = number()?,
            "--ordinary" => ordinary = true,
            other => return Err(format!("churn takes no {other}")),
        }
    }
    churn::run(minutes, percent, ordinary)
}

fn fuzz(arguments: &[String]) -> Result<(), String> {
    let (mut minutes, mut only) = (None, Vec::new());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--minutes" {
            let number = rest.next().and_then(|number| number.parse::<u64>().ok());
            minutes = Some(number.filter(|n| *n > 0).ok_or("--minutes takes a number")?);
        } else {
            only.push(argument.clone());
        }
    }
    let seconds = minutes.map_or(30, |minutes| minutes * 60);
    fuzz::run(&fuzz::Plan { seconds, only, keep: minutes.is_some() })
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let (mut repeats, mut only) = (3, "");
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match (argument.as_str(), argument.parse()) {
            ("--only", _) => only = rest.next().ok_or("--only takes a part of a row's name")?,
            (_, Ok(number @ 1..)) => repeats = number,
            _ => return Err(format!("bench takes no {argument}")),
        }
    }
    bench::all(repeats, only)
}
