//! A ladder that grows in the terminal.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use ladder::text::{Growing, Options};
use ladder::{Ladder, Record};

use super::source::Source;
use super::{Failure, note};
use crate::control::{Told, Watch};

/// A pause of this length ends what is drawn at once: who takes part in a registration is known
/// when its boxes are drawn, and they are drawn once.
const PAUSE: Duration = Duration::from_millis(150);
/// What goes on without a pause is drawn this often.
const WAIT: Duration = Duration::from_secs(1);
/// How long to wait for a message before waiting on.
const LONG: Duration = Duration::from_secs(3600);
/// Messages of one drawing: then a new one begins, with new boxes.
const MOST: usize = 1000;

pub(super) fn run(
    source: &Source,
    who: Vec<String>,
    secrets: bool,
    options: Options,
) -> Result<(), Failure> {
    let title = who.first().map_or("all messages", String::as_str).to_owned();
    let mut watching = source.watch(&Watch { who, follow: true, secrets })?;
    let mut drawing = Drawing::new(title, options);
    let mut waits: Option<Instant> = None;
    loop {
        match watching.next(if waits.is_some() { PAUSE } else { LONG }).map_err(Failure::new)? {
            Told::Record(record) => {
                drawing.records.push(*record);
                if waits.get_or_insert_with(Instant::now).elapsed() < WAIT {
                    continue;
                }
            }
            Told::Following => {
                note(&format!("listening for {}; Ctrl-C ends\n", drawing.title));
                continue;
            }
            Told::Lost(count) => {
                note(&format!(
                    "warning: {count} messages are missing: this terminal is too slow\n"
                ));
                continue;
            }
            Told::Nothing | Told::End { .. } => {}
            Told::Closed => {
                drawing.show()?;
                note("the running process has ended\n");
                return Ok(());
            }
        }
        waits = None;
        if !drawing.show()? {
            return Ok(());
        }
    }
}

struct Drawing {
    title: String,
    options: Options,
    records: Vec<Record>,
    growing: Growing,
    drawn: usize,
}

impl Drawing {
    fn new(title: String, options: Options) -> Drawing {
        Drawing { title, options, records: Vec::new(), growing: Growing::new(options), drawn: 0 }
    }

    /// Draws what is new. False if nobody reads it any longer.
    fn show(&mut self) -> Result<bool, Failure> {
        if self.drawn >= MOST {
            self.records.drain(..self.drawn);
            self.growing = Growing::new(self.options);
        }
        let ladder = Ladder::new(self.title.clone(), self.records.iter().cloned());
        let text = self.growing.draw(&ladder);
        self.drawn = self.records.len();
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(Failure::new(format!("standard output: {error}"))),
        }
    }
}
