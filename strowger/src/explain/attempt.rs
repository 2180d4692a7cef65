//! The request of a ladder that a person asks about, its answer, and who gave it first.

use base::{Instant, Service};
use ladder::dissect::Summary;
use ladder::{Arrow, Kind, Ladder};

use super::Outcome;

/// Answers after which the phone is to try again by itself: what follows belongs to the same attempt.
const AGAIN: [u32; 8] = [401, 407, 412, 420, 421, 422, 423, 494];
/// Request Terminated, RFC 3261 §21.4.25: the caller gave up.
const CANCELLED: u32 = 487;
/// How long after the answer something may still be logged about it.
const AFTERWARDS: u64 = 1_000_000;

/// The last attempt of a ladder; arrows by their numbers.
pub(super) struct Attempt {
    /// The first request of it.
    pub(super) request: usize,
    /// The answer that the one who asked got.
    pub(super) answer: Option<usize>,
    pub(super) outcome: Outcome,
    /// The answer on its way back: the last one is where it was given.
    pub(super) chain: Vec<usize>,
    /// The last arrow of it.
    last: usize,
    /// When what is logged no longer belongs to it.
    pub(super) until: Instant,
}

/// A key field of a message; empty if it has none.
pub(super) fn detail<'a>(summary: &'a Summary, name: &str) -> &'a str {
    summary.detail.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value)
}

impl Attempt {
    pub(super) fn of(ladder: &Ladder, kind: Kind) -> Option<Attempt> {
        let arrows = &ladder.arrows;
        let fresh = |a: &&Arrow| a.record.service == Service::Sip && !a.retransmission;
        let verb = match kind {
            Kind::Call => "INVITE",
            Kind::Registration => "REGISTER",
            Kind::Other => {
                let first = arrows.iter().filter(fresh).find(|a| a.summary.is_request())?;
                Some(first.summary.verb.as_str()).filter(|verb| *verb != "OPTIONS")?
            }
        };
        let ours = |a: &Arrow| fresh(&a) && a.summary.verb == verb;
        let requests: Vec<usize> = (0..arrows.len())
            .filter(|n| ours(&arrows[*n]) && arrows[*n].summary.is_request())
            .collect();
        let call_id = |n: usize| detail(&arrows[n].summary, "Call-ID");
        let first_call = call_id(*requests.first()?);
        // Somebody's own request: a third party's REGISTER has a Call-ID of its own, as has the second
        // leg of an application server.
        let is_own = |n: usize| match kind {
            Kind::Registration => {
                let summary = &arrows[n].summary;
                detail(summary, "from") == detail(summary, "to")
            }
            _ => call_id(n) == first_call,
        };
        let key = |n: usize| (call_id(n), detail(&arrows[n].summary, "CSeq"));
        let mut asked: Vec<usize> = Vec::new();
        for n in requests.into_iter().filter(|n| is_own(*n)) {
            if !asked.iter().any(|known| key(*known) == key(n)) {
                asked.push(n);
            }
        }
        let answer_to = |request: usize| {
            (request..arrows.len()).rev().find(|n| {
                let arrow = &arrows[*n];
                ours(arrow)
                    && arrow.summary.answer.is_some_and(|status| status >= 200)
                    && arrow.to == arrows[request].from
                    && key(*n) == key(request)
            })
        };
        let status = |n: usize| arrows[n].summary.answer.unwrap_or(0);
        let last_asked = *asked.last()?;
        let answer = answer_to(last_asked);
        // What was answered for good before is another attempt.
        let settled = asked
            .iter()
            .rev()
            .skip(1)
            .position(|n| answer_to(*n).is_some_and(|answer| !AGAIN.contains(&status(answer))));
        let before = settled.map_or(0, |back| asked.len() - 1 - back);
        let request = asked[before];
        let outcome = match answer.map(status) {
            None => Outcome::Unanswered,
            Some(401 | 407) => Outcome::Challenged,
            Some(CANCELLED) => Outcome::Cancelled,
            Some(status) if status >= 400 => Outcome::Refused,
            Some(_) => Outcome::Accepted,
        };
        let chain = answer.map(|answer| chain(arrows, request, answer)).unwrap_or_default();
        let last = answer.unwrap_or(arrows.len() - 1);
        let until = Instant::from_unix_micros(arrows[last].record.at.unix_micros() + AFTERWARDS);
        Some(Attempt { request, answer, outcome, chain, last, until })
    }

    /// When it was answered, or heard of last.
    pub(super) fn answered(&self, ladder: &Ladder) -> u64 {
        ladder.arrows[self.last].record.at.unix_micros()
    }

    /// The numbers of its arrows.
    pub(super) fn arrows(&self) -> std::ops::RangeInclusive<usize> {
        self.request..=self.last
    }

    /// Labels of those who had the request, in the order of the ladder's requests.
    pub(super) fn way(&self, ladder: &Ladder) -> Vec<String> {
        let label = |at: usize| ladder.participants[at].label.clone();
        let back = self.chain.iter().map(|n| &ladder.arrows[*n]);
        if let Some(answer) = self.answer {
            let first = std::iter::once(label(ladder.arrows[answer].to));
            return first.chain(back.map(|arrow| label(arrow.from))).collect();
        }
        let (verb, call_id) = {
            let summary = &ladder.arrows[self.request].summary;
            (summary.verb.as_str(), detail(summary, "Call-ID"))
        };
        let mut way = vec![label(ladder.arrows[self.request].from)];
        for arrow in &ladder.arrows[self.arrows()] {
            let summary = &arrow.summary;
            let same = summary.is_request()
                && summary.verb == verb
                && detail(summary, "Call-ID") == call_id;
            if same && way.last() == Some(&label(arrow.from)) {
                way.push(label(arrow.to));
            }
        }
        way
    }
}

/// From the answer back to where it was given: each step the last one that its sender had got with the
/// same status.
fn chain(arrows: &[Arrow], request: usize, answer: usize) -> Vec<usize> {
    let mut chain = vec![answer];
    let mut at = answer;
    let is_before = |n: usize, at: usize| {
        let (earlier, later) = (&arrows[n], &arrows[at]);
        earlier.record.service == Service::Sip
            && !earlier.retransmission
            && earlier.to == later.from
            && earlier.summary.verb == later.summary.verb
            && earlier.summary.answer == later.summary.answer
    };
    while let Some(before) = (request..at).rev().find(|n| is_before(*n, at)) {
        chain.push(before);
        at = before;
    }
    chain
}
