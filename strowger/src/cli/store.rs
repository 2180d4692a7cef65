//! `strowger store`: look through the store, back it up, bring a backup back.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base::store::Table;
use clap::Subcommand;

use super::sub::Subscribers;
use super::{Failure, Place, note, print};
use crate::archive::{self, Check, Line, TABLES};
use crate::control::Client;
use crate::provision::{Ask, Found, Offline, StoredRecord};

/// Records that are written at once.
const BATCH: usize = 1000;

/// Check, back up and restore the store
///
/// If `strowger run` runs with the same state, it is asked through its control socket and goes on
/// meanwhile; if not, the store itself is read.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look through all records for what cannot be read or does not fit together
    ///
    /// Tells how many records each table has, and what is wrong; the exit code is 1 if anything is.
    Check,
    /// Write all records as lines of JSON. They hold keys
    Dump {
        /// Write there, for the owner only [default: standard output]
        file: Option<PathBuf>,
    },
    /// Bring a backup back into an empty store that no process runs
    ///
    /// Everything comes back: subscribers, where their sequence numbers go on, registrations, texts.
    /// SIMs whose sequence numbers went on since the backup resynchronise by themselves. To bring
    /// subscribers into a network that runs, use `strowger sub import`.
    Restore {
        /// What `strowger store dump` wrote
        file: PathBuf,
    },
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let (config, _) = args.place.load()?;
    let state = args.place.state(&config)?;
    match args.command {
        Command::Check => {
            let mut check = Check::default();
            each(&mut Subscribers::open(&state)?, |record| {
                check.take(record);
                Ok(())
            })?;
            let (counts, problems) = check.end();
            print(&told(&counts))?;
            if problems.is_empty() {
                return print("everything fits together\n");
            }
            Err(Failure::new(format!(
                "{}\n  help: `strowger sub show` and `sub add --replace` mend subscribers; phones that \
                 register anew mend registrations",
                problems.join("\n")
            )))
        }
        Command::Dump { file } => {
            let mut store = Subscribers::open(&state)?;
            match file {
                None => dump(&mut store, &mut io::stdout().lock()).map(drop),
                Some(file) => {
                    let mut out = BufWriter::new(private(&file)?);
                    let counts = dump(&mut store, &mut out)?;
                    let synced = out.flush().and_then(|()| out.get_ref().sync_all());
                    synced.map_err(|error| failed(&file, &error))?;
                    note(&told(&counts));
                    Ok(())
                }
            }
        }
        Command::Restore { file } => {
            if matches!(Client::connect(&state.door), Ok(Some(_))) {
                return Err(Failure::new(format!(
                    "a strowger runs with the store {}\n  help: stop it first, or use `strowger sub \
                     import` for subscribers",
                    state.store.display()
                )));
            }
            // All of it is read before anything is written.
            let records = read(&file)?;
            let mut store = Offline::new(state.open()?);
            for table in TABLES {
                let found = store.ask(Ask::Dump { table, after: None }).map_err(Failure::new)?;
                if !found.is_empty() {
                    return Err(Failure::new(format!(
                        "the store {} is not empty\n  help: move it away, or name another with --state \
                         DIR",
                        state.store.display()
                    )));
                }
            }
            for batch in records.chunks(BATCH) {
                store.write(batch).map_err(Failure::new)?;
            }
            let mut counts = BTreeMap::new();
            records.iter().for_each(|record| *counts.entry(record.table).or_default() += 1);
            print(&told(&counts))
        }
    }
}

fn told(counts: &BTreeMap<Table, u64>) -> String {
    TABLES
        .iter()
        .map(|table| format!("{:<18} {}\n", table.0, counts.get(table).unwrap_or(&0)))
        .collect()
}

/// Goes through all records, table by table.
fn each(
    store: &mut Subscribers,
    mut with: impl FnMut(&StoredRecord) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for table in TABLES {
        let mut after = None;
        loop {
            let Found { records, more, .. } = store.ask(Ask::Dump { table, after })?;
            records.iter().try_for_each(&mut with)?;
            after = records.last().map(|record| record.key.clone());
            if !more || after.is_none() {
                break;
            }
        }
    }
    Ok(())
}

fn dump(store: &mut Subscribers, out: &mut impl Write) -> Result<BTreeMap<Table, u64>, Failure> {
    let mut counts = BTreeMap::new();
    let mut say = |line: &str| {
        let written = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"));
        written.map_err(|error| Failure::new(format!("the backup cannot be written: {error}")))
    };
    say(&archive::head())?;
    each(store, |record| {
        *counts.entry(record.table).or_default() += 1;
        say(&serde_json::to_string(&Line::of(record)).map_err(Failure::new)?)
    })?;
    Ok(counts)
}

/// A new file for its owner only.
fn private(file: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    let open = options.write(true).create_new(true).mode(0o600).open(file);
    open.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::new(format!(
            "{} is there already\n  help: name another file, or remove that one",
            file.display()
        )),
        _ => failed(file, &error),
    })
}

fn failed(file: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", file.display()))
}

fn read(file: &Path) -> Result<Vec<StoredRecord>, Failure> {
    let open = File::open(file).map_err(|error| failed(file, &error))?;
    let mut records = Vec::new();
    let mut lines = BufReader::new(open).lines();
    let wrong = |number: usize, error: &dyn std::fmt::Display| {
        Failure::new(format!("{}:{number}: {error}", file.display()))
    };
    let head = lines.next().transpose().map_err(|error| failed(file, &error))?;
    archive::check_head(&head.unwrap_or_default()).map_err(|error| wrong(1, &error))?;
    for (number, line) in (2..).zip(lines) {
        let line = line.map_err(|error| failed(file, &error))?;
        records.push(Line::parse(&line).map_err(|error| wrong(number, &error))?);
    }
    Ok(records)
}
