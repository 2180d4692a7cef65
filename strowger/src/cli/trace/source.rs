//! Where records come from: a running process, or a file.

use std::path::PathBuf;
use std::time::Duration;

use ladder::Record;

use super::Failure;
use crate::control::{Client, Told, Watch, Watching};
use crate::recorder::select;
use crate::state::State;

/// How long a running process may be silent when it is asked for what it remembers.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) enum Source {
    Running(State),
    File(PathBuf),
}

/// What a person may mean, likeliest first: a bare name is a Call-ID or a user of the domain.
pub(super) fn names(who: Option<&str>, domain: &str) -> Vec<String> {
    let Some(who) = who else { return Vec::new() };
    let is_name = who.contains(|c: char| c.is_ascii_alphabetic()) && !who.contains([':', '@']);
    let user = is_name.then(|| format!("sip:{who}@{domain}"));
    [who.to_owned()].into_iter().chain(user).collect()
}

impl Source {
    /// All records of whoever is meant, and under which name they were found.
    pub(super) fn records<'a>(
        &self,
        names: &'a [String],
        secrets: bool,
    ) -> Result<(Vec<Record>, Option<&'a str>), Failure> {
        if names.is_empty() {
            return Ok((self.all(None, secrets)?, None));
        }
        for name in names {
            let records = self.all(Some(name), secrets)?;
            if !records.is_empty() {
                return Ok((records, Some(name)));
            }
        }
        let place = match self {
            Source::Running(_) => "the running process remembers".to_owned(),
            Source::File(file) => format!("{} has", file.display()),
        };
        Err(Failure::new(format!(
            "{place} no message of {}\n  help: `strowger trace --list` tells whose there are; a \
             subscriber is a number, an IMSI, a name, or a sip: or tel: URI",
            names.join(" or of ")
        )))
    }

    fn all(&self, who: Option<&str>, secrets: bool) -> Result<Vec<Record>, Failure> {
        match self {
            Source::Running(_) => self.remembered(who, secrets),
            Source::File(file) => {
                let mut records = select(read(file)?, who);
                if !secrets {
                    records.iter_mut().for_each(ladder::redact);
                }
                Ok(records)
            }
        }
    }

    /// Asks the running process.
    pub(super) fn watch(&self, watch: &Watch) -> Result<Watching, Failure> {
        let Source::Running(state) = self else {
            return Err(Failure::new("a file does not grow"));
        };
        let door = state.door.display();
        match Client::connect(&state.door) {
            Ok(Some(client)) => client.watch(watch).map_err(Failure::new),
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

    fn remembered(&self, who: Option<&str>, secrets: bool) -> Result<Vec<Record>, Failure> {
        let who = who.map(str::to_owned);
        let mut watching = self.watch(&Watch { who, follow: false, secrets })?;
        let mut records = Vec::new();
        loop {
            match watching.next(PATIENCE).map_err(Failure::new)? {
                Told::Record(record) => records.push(*record),
                Told::End { lost, .. } => {
                    if lost > 0 {
                        eprintln!(
                            "warning: {lost} messages are missing: more crossed than could be \
                             recorded"
                        );
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
