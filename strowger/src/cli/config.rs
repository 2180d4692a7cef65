//! `strowger config`: a file to start from, a check, a schema for editors.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;

use super::{Failure, no_config, print};
use crate::config::{Config, SAMPLE, keys, loopback, reference};
use crate::plan::Role;
use crate::run::{FILE, config_file};

/// Write, check and describe the configuration
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print or write a commented configuration that makes a call
    #[command(after_help = "Examples:\n  strowger config init > strowger.toml\n  \
                            strowger config init strowger.toml")]
    Init {
        /// Write it there
        file: Option<PathBuf>,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Check a configuration and tell everything that is wrong with it
    Check {
        /// The configuration [default: $STROWGER_CONFIG, else strowger.toml]
        file: Option<PathBuf>,
        /// The same, as with other commands
        #[arg(short, long = "config", value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
    },
    /// Print the configuration's JSON schema, for editors
    Schema,
    /// Print all keys and what they say, as Markdown
    Reference,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Init { file: None, .. } => print(SAMPLE),
        Command::Init { file: Some(file), force } => {
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(force).create_new(!force);
            let named = file.display();
            let written =
                options.open(&file).and_then(|mut open| open.write_all(SAMPLE.as_bytes()));
            written.map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    Failure::new(format!("{named} is there already; --force writes over it"))
                }
                _ => Failure::new(format!("{named}: {error}")),
            })?;
            print(&format!("{named} is written; `strowger run -c {named}` runs it\n"))
        }
        Command::Check { file, config } => {
            let path = config_file(file.or(config))
                .ok_or_else(|| no_config(&format!("there is no {FILE} here"), FILE))?;
            let config = Config::load(&path)?;
            let plan = config.plan(None, &loopback());
            let here: Vec<&str> = plan.here.keys().copied().map(Role::as_str).collect();
            print(&format!("{} is right; it runs {}\n", path.display(), here.join(", ")))
        }
        Command::Reference => print(&reference::markdown()),
        Command::Schema => print(&format!("{:#}\n", keys::schema())),
    }
}
