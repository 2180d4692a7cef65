//! Records as a file.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ladder::text::{Options, render};
use ladder::{Correlation, Record};

use super::Failure;

/// What a file is, by the end of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Text,
    Html,
    Pcapng,
    Json,
}

impl Format {
    pub(super) fn of(path: &Path) -> Result<Format, Failure> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("txt") => Ok(Format::Text),
            Some("html" | "htm") => Ok(Format::Html),
            Some("pcapng") => Ok(Format::Pcapng),
            Some("jsonl" | "json") => Ok(Format::Json),
            _ => Err(Failure::new(format!(
                "{}: the name does not tell what to write\n  help: end it with .txt, .html, \
                 .pcapng or .jsonl",
                path.display()
            ))),
        }
    }

    pub(super) fn render(self, records: Vec<Record>, who: Option<&str>) -> Vec<u8> {
        match self {
            Format::Text => text(records, &Options::default()).into_bytes(),
            Format::Html => {
                let correlation = Correlation::new(records);
                let mut ladder = correlation.ladder_of(correlation.threads());
                if let (Some(who), true) = (who, correlation.threads().len() > 1) {
                    ladder.title = ladder::dissect::plain(who);
                }
                ladder::html::render(&ladder).into_bytes()
            }
            Format::Pcapng => ladder::pcapng::write(&records).to_vec(),
            Format::Json => ladder::json::lines(&records).into_bytes(),
        }
    }
}

/// A ladder for each call, registration and other thread, in the order in which they began.
pub(super) fn text(records: Vec<Record>, options: &Options) -> String {
    let correlation = Correlation::new(records);
    let ladders = correlation.threads().iter().map(|thread| correlation.ladder(thread));
    let pages: Vec<String> = ladders.map(|ladder| render(&ladder, options)).collect();
    pages.join("\n")
}

/// Writes a file over what was there. One with secrets is never, not even for a moment, open to
/// others: it is made anew and takes the place of the old one.
pub(in crate::cli) fn write(path: &Path, bytes: &[u8], secret: bool) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("{} cannot be written: {error}", path.display()));
    if !secret {
        return fs::write(path, bytes).map_err(failed);
    }
    let mut own = path.as_os_str().to_owned();
    own.push(format!(".{}", std::process::id()));
    let _ = fs::remove_file(&own);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&own);
    let written = made.and_then(|mut file| file.write_all(bytes));
    let moved = written.and_then(|()| fs::rename(&own, path));
    if moved.is_err() {
        let _ = fs::remove_file(&own);
    }
    moved.map_err(failed)
}
