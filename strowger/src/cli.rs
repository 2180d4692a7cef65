//! The command line: one file for each command.
//!
//! Exit codes: 0 done, 1 failed, 2 not understood.

mod config;
mod demo;
mod doctor;
mod explain;
mod media;
mod reload;
mod run;
mod store;
mod sub;
mod trace;
mod ue;

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError};
use crate::run::config_file;
use crate::state::{State, StateError};

/// A whole telephone network in one program.
#[derive(Parser)]
#[command(
    name = "strowger",
    version,
    about = "A whole telephone network in one program",
    after_help = "Examples:\n  \
        strowger demo                       see a call within a second\n  \
        strowger run                        all functions, on loopback\n  \
        strowger sub add --name alice --password secret\n  \
        strowger trace                      what crosses, live\n  \
        strowger explain                    why the last refusal was one\n  \
        strowger config init strowger.toml  a file to start from\n  \
        strowger doctor                     what would stop a call\n  \
        strowger ue register --user alice --password secret\n\n\
        `strowger help COMMAND` tells more about each command."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Config(config::Args),
    Doctor(doctor::Args),
    Explain(explain::Args),
    Media(media::Args),
    Reload(reload::Args),
    Store(store::Args),
    Sub(sub::Args),
    Trace(trace::Args),
    Ue(Box<ue::Args>),
}

/// Where the configuration and the state are.
#[derive(Args, Clone, Debug, Default)]
pub struct Place {
    /// The configuration [default: $STROWGER_CONFIG, else strowger.toml here if there is one]
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The folder of the store and its control socket [default: that of `store` in the
    /// configuration, else $STATE_DIRECTORY, else /var/lib/strowger for root, else
    /// $XDG_STATE_HOME/strowger, else ~/.local/state/strowger]
    #[arg(long, value_name = "DIR", global = true)]
    state: Option<PathBuf>,
}

impl Place {
    /// The configuration, and its file if there is one.
    fn load(&self) -> Result<(Config, Option<PathBuf>), Failure> {
        match config_file(self.config.clone()) {
            Some(path) => Ok((Config::load(&path)?, Some(path))),
            None => Ok((Config::default(), None)),
        }
    }

    fn state(&self, config: &Config) -> Result<State, Failure> {
        Ok(State::find(self.state.as_deref(), config)?)
    }
}

/// Why a command failed, for a person.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    fn new(error: impl fmt::Display) -> Failure {
        Failure(format!("error: {error}\n"))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        match error {
            ConfigError::Wrong(_) => Failure(error.to_string()),
            ConfigError::Unreadable { path, error } if error.kind() == io::ErrorKind::NotFound => {
                no_config(&format!("there is no {path}"), &path)
            }
            error => Failure::new(format!(
                "{error}\n  help: it must be a text file that this user may read; -c names another"
            )),
        }
    }
}

/// There is no configuration, and how one comes about.
fn no_config(what: &str, file: &str) -> Failure {
    Failure::new(format!("{what}\n  help: `strowger config init {file}` writes one"))
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        Failure::new(error)
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let begin = std::time::Instant::now();
    let result = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args, begin),
        Command::Run(args) => run::run(&args, begin),
        Command::Config(args) => config::run(args),
        Command::Doctor(args) => return exit(doctor::run(&args)),
        Command::Explain(args) => explain::run(&args),
        Command::Media(args) => media::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Store(args) => store::run(args),
        Command::Sub(args) => sub::run(args),
        Command::Trace(args) => trace::run(&args),
        Command::Ue(args) => ue::run(*args),
    };
    exit(result.map(|()| ExitCode::SUCCESS))
}

fn exit(result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|Failure(text)| {
        note(&text);
        ExitCode::FAILURE
    })
}

/// Writes to standard output. A reader that has seen enough is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes to standard error. If nobody reads it, that is no failure.
fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
