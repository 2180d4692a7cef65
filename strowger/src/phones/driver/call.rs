//! What happens in a call, and what it came to.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ladder::text::span;
use rtp::likeness::{Verdict, compare};
use ue::{By, CallId, Incoming, MediaReport, UeOrder, What};

use super::{Driver, State, Timer};
use crate::phones::outcome::{CallResult, Heard, Packets, advice, millis};
use crate::phones::{Talk, Work};

/// A call that is not over.
pub(super) struct Ongoing {
    outgoing: bool,
    from: String,
    to: String,
    pdd: Option<Duration>,
    setup: Option<Duration>,
    answered: Option<Instant>,
    digits: String,
    problems: Vec<String>,
}

impl Driver<'_> {
    fn talk(&self) -> Option<&Talk> {
        match &self.setup.work {
            Work::Call { talk, .. } | Work::Answer { talk, .. } => Some(talk),
            Work::Register(_) | Work::Message { .. } => None,
        }
    }

    fn call(&mut self, number: usize, call: CallId) -> Option<&mut Ongoing> {
        self.phones[number].calls.get_mut(&call)
    }

    pub(super) fn call_timer(&mut self, number: usize, timer: Timer) {
        let (Timer::NoAnswer(call)
        | Timer::Digits(call)
        | Timer::Hold(call)
        | Timer::Resume(call)
        | Timer::HangUp(call)) = timer
        else {
            return;
        };
        let Some(ongoing) = self.call(number, call) else { return };
        let order = match timer {
            Timer::NoAnswer(_) if ongoing.answered.is_some() => return,
            Timer::NoAnswer(_) => {
                ongoing.problems.push("nobody answered in time".to_owned());
                UeOrder::Hangup(call)
            }
            Timer::Hold(_) => UeOrder::Hold(call),
            Timer::Resume(_) => UeOrder::Resume(call),
            Timer::Digits(_) => {
                let talk = self.talk().and_then(|talk| talk.digits.as_ref());
                let digits = talk.map_or_else(String::new, |(digits, _)| digits.clone());
                UeOrder::Dtmf { call, digits }
            }
            _ => UeOrder::Hangup(call),
        };
        self.order(number, order);
    }

    /// From the answer on.
    fn talks(&mut self, number: usize, call: CallId) {
        let Some(talk) = self.talk() else { return };
        let (length, digits, hold) = (talk.length, talk.digits.clone(), talk.hold);
        if let Some((_, at)) = digits {
            self.after(at, number, Timer::Digits(call));
        }
        if let Some((at, time)) = hold {
            self.after(at, number, Timer::Hold(call));
            self.after(at + time, number, Timer::Resume(call));
        }
        if let Some(length) = length {
            self.after(length, number, Timer::HangUp(call));
        }
    }

    pub(super) fn call_report(&mut self, number: usize, what: What) {
        match what {
            What::Calling { call, .. } => {
                let Work::Call { to, patience, .. } = &self.setup.work else { return };
                let to = to.get(number).cloned().unwrap_or_default();
                let from = self.phones[number].result.identity.clone();
                self.say(number, &format!("calls {to}"));
                self.begin(number, call, true, from, to);
                self.after(*patience, number, Timer::NoAnswer(call));
            }
            What::Incoming { call, from, called } => {
                self.say(number, &format!("{from} calls"));
                self.begin(number, call, false, from, called);
            }
            What::Ringing { call, delay } => {
                self.say(number, &format!("rings after {}", span(delay)));
                if let Some(ongoing) = self.call(number, call) {
                    ongoing.pdd = Some(delay);
                }
            }
            What::Answered { call, pdd, delay, codec } => {
                self.say(number, &format!("answered after {}, {codec}", span(delay)));
                if let Some(ongoing) = self.call(number, call) {
                    ongoing.pdd = Some(pdd);
                    ongoing.setup = Some(delay);
                    ongoing.answered = Some(Instant::now());
                }
                self.talks(number, call);
            }
            What::MediaFlowing { from, .. } => self.say(number, &format!("hears {from}")),
            What::DtmfReceived { call, digit, .. } => {
                self.say(number, &format!("digit {digit}"));
                if let Some(ongoing) = self.call(number, call) {
                    ongoing.digits.push(digit);
                }
            }
            What::Held(_) => self.say(number, "the other side is on hold"),
            What::Resumed(_) => self.say(number, "the other side is back"),
            What::HeldByPeer { held: true, .. } => self.say(number, "on hold"),
            What::HeldByPeer { held: false, .. } => self.say(number, "taken back"),
            What::ChangeRefused { call, status } => {
                let text = format!("hold or resume was refused with {status}");
                self.say(number, &text);
                if let Some(ongoing) = self.call(number, call) {
                    ongoing.problems.push(text);
                }
            }
            What::Ended { call, by, status, reason, media } => {
                let Some(ongoing) = self.phones[number].calls.remove(&call) else { return };
                self.ended(number, ongoing, by, status, reason, &media);
            }
            _ => {}
        }
    }

    fn begin(&mut self, number: usize, call: CallId, outgoing: bool, from: String, to: String) {
        let (pdd, setup, answered) = (None, None, None);
        let (digits, problems) = (String::new(), Vec::new());
        let ongoing = Ongoing { outgoing, from, to, pdd, setup, answered, digits, problems };
        self.phones[number].calls.insert(call, ongoing);
        if self.phones[number].state == State::Leaving {
            self.order(number, UeOrder::Hangup(call));
        }
    }

    /// A phone cannot do what it was told.
    pub(super) fn refused(&mut self, number: usize, call: Option<CallId>, reason: String) {
        let calls = matches!(self.setup.work, Work::Call { .. });
        let phone = &self.phones[number];
        // An order for a call that ended at the same moment is no fault.
        let ended = call.is_some_and(|call| !phone.calls.contains_key(&call));
        if ended || phone.state != State::Working {
            return;
        }
        self.say(number, &reason);
        let phone = &mut self.phones[number];
        phone.result.problems.push(reason);
        if calls && phone.calls.is_empty() {
            self.leave(number);
        }
    }

    fn ended(
        &mut self,
        number: usize,
        ongoing: Ongoing,
        by: By,
        status: u16,
        reason: String,
        media: &MediaReport,
    ) {
        let Ongoing { outgoing, from, to, pdd, setup, answered, digits, mut problems } = ongoing;
        let config = &self.setup.phones[number].config;
        let rejects = match config.incoming {
            Incoming::Reject(with) if !outgoing => Some(with),
            _ => None,
        };
        let talk = self.talk().cloned().unwrap_or_default();
        let (mut heard, mut recording) = (None, None);
        if answered.is_some() {
            let verdict = hear(talk.expect.as_deref(), &media.recording);
            heard = Some(verdict);
            if talk.expect.is_some() && verdict != Heard::Same {
                problems.push(format!("what was heard is {}, not the same", verdict.as_str()));
            }
            if let Some(path) = &talk.record {
                let path = self.numbered(path);
                match write(&path, &media.recording) {
                    Ok(()) => recording = Some(path.display().to_string()),
                    Err(error) => problems.push(error),
                }
            }
            if by == By::Failure {
                problems.push(format!("ended by a failure: {status} {reason}"));
            }
        } else if rejects != Some(status) && problems.is_empty() {
            problems.push(format!("{status} {reason}{}", advice(status, &reason, &to)));
        }
        let stats = &media.stats;
        let result = CallResult {
            identity: self.phones[number].result.identity.clone(),
            outgoing,
            from,
            to,
            status,
            reason,
            ended_by: match by {
                By::Local => "local",
                By::Remote => "remote",
                By::Failure => "failure",
            },
            pdd_ms: pdd.map(millis),
            setup_ms: setup.map(millis),
            talk_s: answered.map_or(0.0, |at| millis(at.elapsed()) / 1000.0),
            packets: Packets { sent: stats.sent, received: stats.received, lost: stats.lost },
            jitter_ms: millis(stats.jitter),
            mos: stats.mos,
            heard,
            codec: stats.codec.clone(),
            digits,
            recording,
            ok: problems.is_empty(),
            problems,
        };
        self.say(number, result.line().trim_end());
        self.outcome.calls.push(result);
        self.after_call(number, outgoing);
    }

    /// Whoever called is done; whoever answers goes on until there were enough calls.
    fn after_call(&mut self, number: usize, outgoing: bool) {
        let ended = self.outcome.calls.len() as u64;
        let enough = match self.setup.work {
            Work::Answer { calls, .. } => calls.is_some_and(|calls| ended >= calls),
            _ => false,
        };
        if enough {
            for other in 0..self.phones.len() {
                if self.phones[other].calls.is_empty() {
                    self.leave(other);
                }
            }
        }
        let called = outgoing && matches!(self.setup.work, Work::Call { .. });
        let leaving = self.phones[number].state == State::Leaving;
        if (called || leaving) && self.phones[number].calls.is_empty() {
            self.leave(number);
        }
    }

    /// The recording's file: with the call's number, unless there is just one call.
    fn numbered(&self, path: &Path) -> PathBuf {
        let one = match self.setup.work {
            Work::Answer { calls, .. } => calls == Some(1),
            _ => self.phones.len() == 1,
        };
        if one {
            return path.to_owned();
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let ending = path.extension().map(|end| format!(".{}", end.to_string_lossy()));
        let number = self.outcome.calls.len() + 1;
        path.with_file_name(format!("{stem}-{number}{}", ending.unwrap_or_default()))
    }
}

/// What a listener would say.
fn hear(expect: Option<&[i16]>, recording: &[i16]) -> Heard {
    match expect.map(|expect| compare(expect, recording).verdict()) {
        Some(Verdict::Same) => Heard::Same,
        Some(Verdict::Damaged) => Heard::Damaged,
        Some(Verdict::Other) => Heard::Other,
        Some(Verdict::Silent) => Heard::Silent,
        // Louder than the noise of a quiet line.
        None if recording.iter().any(|sample| sample.unsigned_abs() > 256) => Heard::Sound,
        None => Heard::Silent,
    }
}

fn write(path: &Path, samples: &[i16]) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("cannot write {}: {error}; choose another file for --record", path.display())
    };
    let wav = rtp::wav::write(8000, samples).map_err(|error| failed(&error))?;
    std::fs::write(path, wav).map_err(|error| failed(&error))
}
