//! Where records come from: a running process, or files.

use std::path::PathBuf;
use std::time::Duration;

use ladder::Record;

use super::{Failure, note};
use crate::control::{Client, Told, Watch, Watching};
use crate::provision::{self, Ask};
use crate::recorder::select;
use crate::state::State;

/// How long a running process may be silent when it is asked for what it remembers.
const PATIENCE: Duration = Duration::from_secs(30);

pub(in crate::cli) enum Source {
    Running(State),
    /// At least one.
    Files(Vec<PathBuf>),
}

impl Source {
    /// All that a person may mean: what he wrote, a user of the domain, and the identities of this
    /// subscriber if the running process knows him. So a number finds registrations that fail
    /// before anybody said that it is the subscriber's.
    pub(in crate::cli) fn names(
        &self,
        who: Option<&str>,
        domain: &str,
    ) -> Result<Vec<String>, Failure> {
        let Some(who) = who else { return Ok(Vec::new()) };
        let mut names = vec![who.to_owned()];
        if who.contains(|c: char| c.is_ascii_alphabetic()) && !who.contains([':', '@']) {
            names.push(format!("sip:{who}@{domain}"));
        }
        if let Source::Running(_) = self {
            let ask = Ask::Show(provision::names(who, domain));
            // Whoever is not known is a Call-ID, or somebody else's subscriber.
            let found = self.client()?.ask(&ask).map(|found| found.subscribers);
            for subscriber in found.unwrap_or_default() {
                names.push(subscriber.impi.clone());
                names.extend(subscriber.identities().map(|identity| identity.uri.to_string()));
            }
        }
        Ok(names)
    }

    /// All records of whoever is meant.
    pub(in crate::cli) fn records(
        &self,
        who: &[String],
        secrets: bool,
    ) -> Result<Vec<Record>, Failure> {
        let mut records = match self {
            Source::Running(_) => self.remembered(who, secrets)?,
            Source::Files(files) => select(read_all(files)?, who),
        };
        if !secrets {
            // A running process has done this; a file may have been written with secrets.
            records.iter_mut().for_each(ladder::redact);
        }
        let Some(who) = who.first().filter(|_| records.is_empty()) else { return Ok(records) };
        let (place, from) = match self {
            Source::Running(_) => ("the running process remembers".to_owned(), String::new()),
            Source::Files(files) => {
                let names: Vec<_> = files.iter().map(|f| f.display().to_string()).collect();
                let verb = if names.len() == 1 { "has" } else { "have" };
                let from = names.iter().map(|name| format!(" --from {name}")).collect();
                (format!("{} {verb}", names.join(", ")), from)
            }
        };
        Err(Failure::new(format!(
            "{place} no message of {who}\n  help: `strowger trace --list{from}` tells whose there \
             are; a subscriber is a number, an IMSI, a name, or a sip: or tel: URI"
        )))
    }

    /// Asks the running process.
    pub(in crate::cli) fn watch(&self, watch: &Watch) -> Result<Watching, Failure> {
        self.client()?.watch(watch).map_err(Failure::new)
    }

    pub(in crate::cli) fn client(&self) -> Result<Client, Failure> {
        let Source::Running(state) = self else {
            return Err(Failure::new("a file does not grow"));
        };
        let door = state.door.display();
        match Client::connect(&state.door) {
            Ok(Some(client)) => Ok(client),
            Ok(None) => Err(Failure::new(format!(
                "no strowger runs with the state folder {}\n  help: start `strowger run`, name its \
                 folder with --state DIR, or read a file with --from FILE",
                state.folder().display()
            ))),
            Err(error) => Err(Failure::new(format!(
                "the control socket {door} cannot be used: {error}\n  help: it belongs to whoever \
                 runs strowger: be that user, or give --state DIR"
            ))),
        }
    }

    fn remembered(&self, who: &[String], secrets: bool) -> Result<Vec<Record>, Failure> {
        let who = who.to_vec();
        let mut watching = self.watch(&Watch { who, follow: false, secrets })?;
        let mut records = Vec::new();
        loop {
            match watching.next(PATIENCE).map_err(Failure::new)? {
                Told::Record(record) => records.push(*record),
                Told::End { lost, .. } => {
                    if lost > 0 {
                        note(&format!(
                            "warning: {lost} messages are missing: more crossed than could be \
                             recorded\n"
                        ));
                    }
                    return Ok(records);
                }
                Told::Nothing => {
                    return Err(Failure::new("the running process does not answer; try again"));
                }
                Told::Closed => return Err(Failure::new("the running process has ended")),
                Told::Following | Told::Lost(_) => {}
            }
        }
    }
}

/// The records of files that we wrote. What several processes saw is one trace, in which a message
/// that was seen at both ends stands once.
fn read_all(files: &[PathBuf]) -> Result<Vec<Record>, Failure> {
    if let [file] = files {
        return read(file);
    }
    let all: Vec<Vec<Record>> = files.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
    Ok(ladder::merge(all.into_iter().flatten()))
}

/// The records of a file that we wrote.
fn read(file: &std::path::Path) -> Result<Vec<Record>, Failure> {
    let name = file.display();
    let bytes = std::fs::read(file)
        .map_err(|error| Failure::new(format!("{name} cannot be read: {error}")))?;
    // The type of a pcapng section header.
    let records = if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
        ladder::pcapng::read(&bytes).map_err(|error| Failure::new(format!("{name}: {error}")))?
    } else {
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            let help = "help: --from reads what --to FILE.pcapng or --to FILE.jsonl wrote";
            Failure::new(format!("{name} is neither pcapng nor JSON lines\n  {help}"))
        })?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let record = |(number, line)| {
            ladder::json::parse(line)
                .map_err(|error| Failure::new(format!("{name}:{}: {error}", number + 1)))
        };
        lines.map(record).collect::<Result<_, _>>()?
    };
    if records.is_empty() {
        let help = "help: captures of other programs cannot be read, only what --to wrote";
        return Err(Failure::new(format!("{name} has no message of a Strowger\n  {help}")));
    }
    Ok(records)
}
