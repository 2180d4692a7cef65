//! One connection: commands go out one behind the other, answers come back in the same order.

use std::collections::VecDeque;

use base::time::Duration;
use base::{Bytes, Flow, Instant, Output};
use resp::{Malformed, Reader, Value};

/// How long an answer may take before the server counts as away.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection, and what was asked on it; `K` says what for.
#[derive(Debug)]
pub(crate) struct Connection<K> {
    pub(crate) flow: Flow,
    reader: Reader,
    asked: VecDeque<(Instant, K)>,
}

impl<K> Connection<K> {
    pub(crate) fn new(flow: Flow) -> Connection<K> {
        Connection { flow, reader: Reader::default(), asked: VecDeque::new() }
    }

    /// Sends a command.
    #[must_use]
    pub(crate) fn ask(&mut self, now: Instant, command: Bytes, what: K) -> Output {
        self.asked.push_back((now, what));
        Output::Transmit { flow: self.flow, message: command }
    }

    /// Takes a unit of an answer; the answer that is whole with it, when it was asked for, and what for.
    ///
    /// # Errors
    /// If it is no RESP2, or answers nothing.
    pub(crate) fn received(
        &mut self,
        unit: &Bytes,
    ) -> Result<Option<(Instant, K, Value)>, Malformed> {
        let Some(value) = self.reader.push(unit)? else { return Ok(None) };
        let (at, what) = self.asked.pop_front().ok_or(Malformed::TooMuch)?;
        Ok(Some((at, what, value)))
    }

    /// When the server has been silent for too long.
    pub(crate) fn silent_at(&self) -> Option<Instant> {
        self.asked.front().map(|(asked, _)| *asked + PATIENCE)
    }
}
