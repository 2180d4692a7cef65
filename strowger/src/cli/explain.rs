//! `strowger explain`: why a call or a registration was refused.

use std::path::PathBuf;
use std::time::Duration;

use ladder::Correlation;

use super::trace::source::Source;
use super::{Failure, Place, note, print};
use crate::doctor::gather::lines;
use crate::explain::{Places, explain_last, report};

/// Tell why a call or a registration was refused, and what to do
///
/// Without a name: the last one that was refused. It tells who refused it with which message of the
/// ladder and why, what the HSS answered, which S-CSCF was chosen, which filter criteria fired and
/// why others did not, and the line of the configuration or the command that mends it. Of a call that
/// was not refused it tells the same.
///
/// A running process remembers its last 10,000 messages and 5,000 log events, whatever its log
/// shows. A file that `strowger trace --to` wrote has messages only: statuses and Diameter results,
/// but not the functions' own reasons.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    strowger explain                       the last refusal\n  \
    strowger explain alice                 the last one of a subscriber\n  \
    strowger explain 3848276298@ue --json  a call, by its Call-ID, for programs\n  \
    strowger explain --from call.jsonl")]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// A subscriber (number, IMSI, name, sip: or tel: URI) or the Call-ID of a call [default: all]
    #[arg(value_name = "SUBSCRIBER|CALL-ID")]
    who: Option<String>,
    /// Read a file that `strowger trace --to` wrote instead of asking a running process; several files
    /// become one trace
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// One JSON document; `null` if there is nothing to explain
    #[arg(long)]
    json: bool,
}

/// What happened just before the command is remembered by then: recorder and dispatcher rest for some milliseconds
/// between batches, so that a call does not wake them for each line.
const SETTLED: Duration = Duration::from_millis(50);

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (config, file) = args.place.load()?;
    let source = match args.from.is_empty() {
        false => Source::Files(args.from.clone()),
        true => Source::Running(args.place.state(&config)?),
    };
    if matches!(source, Source::Running(_)) {
        std::thread::sleep(SETTLED);
    }
    let who = source.names(args.who.as_deref(), config.domain())?;
    let records = source.records(&who, false)?;
    let events = match &source {
        Source::Running(_) => Some(source.client()?.events().map_err(Failure::new)?),
        Source::Files(_) => None,
    };
    if let Some(lost) = events.as_ref().map(|events| events.lost).filter(|lost| *lost > 0) {
        note(&format!("warning: {lost} log events are missing: the log was slow\n"));
    }
    let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let places = Places {
        file: file.map(|file| file.display().to_string()),
        lines: lines(&text.unwrap_or_default()),
    };
    let correlation = Correlation::new(records);
    let events = events.as_ref().map(|events| &events.events[..]);
    let told = explain_last(&correlation, events, &places);
    match told {
        Some(told) if args.json => print(&format!("{:#}\n", report::json(&told))),
        Some(told) => print(&report::text(&told)),
        None if args.json => print("null\n"),
        None => print(
            "nobody has asked for anything yet: no call, registration or text is remembered\n",
        ),
    }
}
