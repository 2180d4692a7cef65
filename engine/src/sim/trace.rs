//! The text of a run: the same seed gives the same bytes.

use std::fmt::Write as _;

use base::{Instant, fnv};

use crate::shard::{Crossing, Direction};

/// Collects one line for each thing that happened.
#[derive(Debug)]
pub struct Trace {
    text: String,
    keep: bool,
    hash: u64,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace { text: String::new(), keep: true, hash: fnv::EMPTY }
    }
}

impl Trace {
    /// All lines so far.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// FNV-1a over all lines, whether they are kept or not.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Whether lines are kept; long runs over many seeds need only the hash.
    pub fn keep(&mut self, keep: bool) {
        self.keep = keep;
    }

    pub(crate) fn line(&mut self, now: Instant, text: std::fmt::Arguments<'_>) {
        let start = self.text.len();
        writeln!(self.text, "{now:?} {text}").expect("a String takes all text");
        self.hash = fnv::extend(self.hash, self.text[start..].bytes());
        if !self.keep {
            self.text.clear();
        }
    }
}

/// The line of a message that crosses a seam.
pub(crate) fn crossing(host: &str, c: &Crossing<'_>) -> String {
    let arrow = match c.direction {
        Direction::Sent => "->",
        Direction::Received => "=>",
        Direction::Between => "~>",
    };
    format!(
        "{host} {} {arrow} {} {:?} {:?} {} {:016x} {}",
        Named(&c.from),
        Named(&c.to),
        c.transport,
        c.service,
        c.bytes.len(),
        fnv::fnv1a(c.bytes.iter().copied()),
        first_line(c.bytes)
    )
}

/// The first line, as far as it is text.
fn first_line(bytes: &[u8]) -> String {
    bytes.iter().take(80).take_while(|b| matches!(b, b' '..=b'~')).map(|b| char::from(*b)).collect()
}

struct Named<'a>(&'a crate::shard::Party<'a>);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.name {
            Some(name) => write!(f, "{name}@{}", self.0.endpoint),
            None => write!(f, "{}", self.0.endpoint),
        }
    }
}
