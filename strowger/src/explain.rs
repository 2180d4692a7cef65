//! Why a call or a registration was refused: what crossed, what the functions logged, and what to do.
//!
//! `attempt` finds the request and its answer in a ladder, and who answered first; `steps` tells what
//! led there; [`advice`] knows what to do about each reason; [`report`] shows it. All of it is pure.

pub mod advice;
mod attempt;
pub mod report;
mod steps;

use base::Instant;
use ladder::{Correlation, Ladder, Role, Thread};

use crate::events::Noted;
pub use advice::{Advice, Places};
use attempt::Attempt;
pub use steps::Step;

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// A failure, other than that the caller gave up.
    Refused,
    /// It was answered as it should be.
    Accepted,
    /// It was challenged, and nothing came after that.
    Challenged,
    /// The caller gave up.
    Cancelled,
    /// No final answer is remembered.
    Unanswered,
}

/// A message of the ladder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Its number in the ladder, from 1.
    pub number: usize,
    /// Microseconds since the ladder's start.
    pub offset: u64,
    /// `S-CSCF → I-CSCF 403 Forbidden (REGISTER)`.
    pub arrow: String,
}

/// Who refused, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refuser {
    /// The function's or phone's name in the ladder.
    pub name: String,
    /// Its own reason, if it is known.
    pub reason: Option<String>,
    /// The event that tells it.
    pub event: Option<String>,
    /// The message that refused.
    pub message: Seen,
}

/// All that is known of one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The method.
    pub method: String,
    /// Who asked.
    pub from: String,
    /// Who was asked for, or registered.
    pub to: String,
    /// When.
    pub at: Instant,
    /// Its Call-ID.
    pub call_id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The answer that the one who asked got: `403 Forbidden`.
    pub answer: Option<String>,
    /// Those who had the request, up to the one who answered.
    pub way: Vec<String>,
    /// Who refused it.
    pub refuser: Option<Refuser>,
    /// What led there, in the order of time.
    pub steps: Vec<Step>,
    /// What to do.
    pub advice: Vec<Advice>,
    /// Whether the functions' own log events were there to be read.
    pub with_events: bool,
}

/// Explains what was refused last, else what was asked last. `None` if nobody asked for anything.
/// Without `events` the messages alone tell.
pub fn explain_last(
    correlation: &Correlation,
    events: Option<&[Noted]>,
    places: &Places,
) -> Option<Explanation> {
    let all = correlation
        .threads()
        .iter()
        .filter_map(|thread| explain(correlation, thread, events, places));
    let all: Vec<Explanation> = all.collect();
    let refused = |e: &&Explanation| e.outcome == Outcome::Refused;
    let last = all.iter().filter(refused).max_by_key(|e| e.at);
    last.or_else(|| all.iter().max_by_key(|e| e.at)).cloned()
}

/// Explains the last request of a thread; `None` if it has none that a person would ask for.
pub fn explain(
    correlation: &Correlation,
    thread: &Thread,
    events: Option<&[Noted]>,
    places: &Places,
) -> Option<Explanation> {
    let ladder = correlation.ladder(thread);
    let attempt = Attempt::of(&ladder, thread.kind)?;
    let logged = steps::logged(thread, &ladder, &attempt, events.unwrap_or_default());
    let request = &ladder.arrows[attempt.request].summary;
    let detail = |name| attempt::detail(request, name).to_owned();
    let origin = attempt.chain.last().map(|n| &ladder.arrows[*n]);
    let own = origin.and_then(|arrow| {
        let name = ladder.participants[arrow.from].name.as_deref();
        steps::reason(&logged, name, arrow.summary.answer?)
    });
    // The ladder may take an application server for a phone.
    let server = origin.and_then(|arrow| {
        steps::server(&logged, &ladder.participants[arrow.from].endpoint.to_string())
    });
    let refuser = (attempt.outcome == Outcome::Refused).then_some(()).and_then(|()| {
        let number = *attempt.chain.last()?;
        let arrow = origin?;
        let told = own.as_ref().map(|(_, reason)| reason.clone());
        Some(Refuser {
            name: server.unwrap_or(&ladder.participants[arrow.from].label).to_owned(),
            reason: told.or_else(|| steps::told_by_message(&arrow.summary)),
            event: own.as_ref().map(|(event, _)| event.counter.clone()),
            message: seen(&ladder, number),
        })
    });
    let steps = steps::steps(&ladder, &attempt, &logged, own.as_ref().map(|(event, _)| *event));
    let mut explanation = Explanation {
        method: request.verb.clone(),
        from: detail("from"),
        to: detail("to"),
        at: ladder.arrows[attempt.request].record.at,
        call_id: detail("Call-ID"),
        outcome: attempt.outcome.clone(),
        answer: attempt.answer.map(|n| ladder.arrows[n].summary.short_title().to_owned()),
        way: attempt.way(&ladder),
        refuser,
        steps,
        advice: Vec::new(),
        with_events: events.is_some(),
    };
    if explanation.outcome == Outcome::Refused {
        let is_phone = origin.is_some_and(|a| ladder.participants[a.from].role == Role::Ue);
        let by = match (server, is_phone) {
            (Some(_), _) => advice::By::Server,
            (None, true) => advice::By::Phone,
            (None, false) => advice::By::Function,
        };
        let status = origin.and_then(|arrow| arrow.summary.answer).unwrap_or(0);
        explanation.advice = advice::advise(&explanation, status, by, places);
    }
    Some(explanation)
}

fn seen(ladder: &Ladder, number: usize) -> Seen {
    let arrow = &ladder.arrows[number];
    let label = |at: usize| ladder.participants[at].label.as_str();
    Seen {
        number: number + 1,
        offset: u64::try_from(arrow.offset.as_micros()).unwrap_or(u64::MAX),
        arrow: format!("{} → {} {}", label(arrow.from), label(arrow.to), arrow.summary.title),
    }
}

#[cfg(test)]
mod tests;
