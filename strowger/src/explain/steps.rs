//! What led to an answer: what the HSS said, what was chosen, which filter criteria fired.

use std::collections::BTreeSet;

use base::Service;
use base::time::Duration;
use ladder::dissect::Summary;
use ladder::{Key, Ladder, Thread};

use super::attempt::{Attempt, detail};
use super::{Seen, seen};
use crate::events::Noted;

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// When, in microseconds since 1970.
    pub at: u64,
    /// Whose it is, as the ladder calls him.
    pub who: String,
    /// What.
    pub text: String,
    /// The event that tells it.
    pub event: Option<String>,
    /// The message that tells it.
    pub message: Option<Seen>,
}

/// What was logged about this attempt: of its call, or of its subscribers while it lasted.
pub(super) fn logged<'a>(
    thread: &Thread,
    ladder: &Ladder,
    attempt: &Attempt,
    events: &'a [Noted],
) -> Vec<&'a Noted> {
    let calls: BTreeSet<&str> = thread.call_ids().collect();
    let begin = ladder.arrows[attempt.request].record.at.unix_micros();
    let (last, until) = (attempt.answered(ladder), attempt.until.unix_micros());
    let is_named = |name: &Option<String>, key: fn(String) -> Key| {
        name.as_ref().is_some_and(|name| thread.keys.contains(&key(name.clone())))
    };
    let is_about = |event: &Noted| match &event.call_id {
        Some(call_id) => calls.contains(call_id.as_str()),
        // Of a subscriber, what came afterwards belongs to something else.
        None if event.at > last => false,
        None => is_named(&event.impi, Key::Impi) || is_named(&event.impu, Key::Impu),
    };
    events.iter().filter(|e| (begin..=until).contains(&e.at) && is_about(e)).collect()
}

/// So long a Diameter request is not said to have no answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The events of requests that nobody answered: what a proxy answers itself then has no other reason.
const UNANSWERED: [&str; 2] = ["sip.unreachable", "sip.silent"];

/// The event that a function refused with this status, and its reason, or that nobody answered it; of the
/// function that is named rather than of another.
pub(super) fn reason<'a>(
    logged: &[&'a Noted],
    function: Option<&str>,
    status: u32,
) -> Option<(&'a Noted, String)> {
    let mark = format!(" refused with {status}: ");
    let refusal = |event: &&'a Noted| {
        // What was refused stands before it and is a stranger's text.
        let why = event.text.rsplit_once(&mark).map(|(_, why)| why.to_owned())?;
        event.counter.ends_with(".refused").then_some((*event, why))
    };
    let own = logged.iter().filter(|event| function.is_none_or(|name| name == event.from));
    let unanswered = |event: &&'a Noted| {
        UNANSWERED.contains(&event.counter.as_str()).then(|| (*event, event.text.clone()))
    };
    let by_itself = matches!(status, 408 | 480 | 503 | 504);
    own.clone()
        .rev()
        .find_map(refusal)
        .or_else(|| own.rev().filter(|_| by_itself).find_map(unanswered))
}

/// The application server at this address that a criterion sent the request to.
pub(super) fn server<'a>(logged: &[&'a Noted], endpoint: &str) -> Option<&'a str> {
    let fired = logged.iter().filter(|event| event.counter == "scscf.ifc_fired");
    let mut servers = fired.filter_map(|event| event.text.split_once(" of ").map(|(uri, _)| uri));
    servers.find(|uri| {
        let sip = sip::Uri::parse(uri).and_then(sip::Uri::sip);
        let place = sip.map(|sip| format!("{}:{}", sip.host, sip.port.unwrap_or(5060)));
        place.is_some_and(|place| place == endpoint)
    })
}

/// What the message itself gives as a reason: RFC 3261 §20.43, RFC 3326.
pub(super) fn told_by_message(summary: &Summary) -> Option<String> {
    let fields = ["Warning", "Reason"].map(|name| (name, detail(summary, name)));
    let told: Vec<String> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// What happened, in the order of time; the refusal itself is not repeated.
pub(super) fn steps(
    ladder: &Ladder,
    attempt: &Attempt,
    logged: &[&Noted],
    refusal: Option<&Noted>,
) -> Vec<Step> {
    let crossed = attempt.arrows().filter_map(|n| Some((n, crossed(ladder, attempt, n)?)));
    let mut placed: Vec<((u64, usize), Step)> =
        crossed.map(|(n, step)| ((step.at, n), step)).collect();
    let label = |from: &str| {
        let known = ladder.participants.iter().find(|p| p.name.as_deref() == Some(from));
        known.map_or_else(|| from.to_owned(), |participant| participant.label.clone())
    };
    let mut after = (0, 0);
    for event in logged {
        if refusal.is_some_and(|refusal| std::ptr::eq(refusal, *event)) {
            continue;
        }
        after = place(ladder, attempt, event, after);
        let step = Step {
            at: event.at,
            who: label(&event.from),
            text: event.text.clone(),
            event: Some(event.counter.clone()),
            message: None,
        };
        placed.push((after, step));
    }
    // Messages stand first, so that an event comes after the message that it is placed at.
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, step)| step).collect()
}

/// The time and the arrow that an event comes after. Within one process much happens at the same time:
/// then it is the first message that its function got, for an I-CSCF the first answer of the HSS, and
/// events stay in their order.
fn place(ladder: &Ladder, attempt: &Attempt, event: &Noted, after: (u64, usize)) -> (u64, usize) {
    let least = if after.0 == event.at { after.1 } else { 0 };
    let of_hss = event.counter.starts_with("icscf.");
    let is_cause = |n: &usize| {
        let arrow = &ladder.arrows[*n];
        let answers = arrow.record.service == Service::Diameter && !arrow.summary.is_request();
        *n >= least
            && arrow.record.at.unix_micros() == event.at
            && ladder.participants[arrow.to].name.as_deref() == Some(&event.from)
            && (answers || !of_hss)
    };
    let cause = attempt.arrows().find(is_cause);
    (event.at, cause.unwrap_or(if least > 0 { least } else { usize::MAX }))
}

/// A message that explains something: an answer of the HSS or none, or a failure on the way.
fn crossed(ladder: &Ladder, attempt: &Attempt, number: usize) -> Option<Step> {
    let arrow = &ladder.arrows[number];
    let summary = &arrow.summary;
    let (who, text) = match arrow.record.service {
        Service::Diameter if summary.is_request() => {
            let is_answer = |n: &usize| {
                let other = &ladder.arrows[*n].summary;
                other.answer.is_some() && other.transaction == summary.transaction
            };
            // One that was sent a moment ago may still be answered.
            let known_until = ladder.arrows.last()?.record.at;
            let waits = known_until.since(arrow.record.at) < PATIENCE;
            if waits || (number..ladder.arrows.len()).any(|n| is_answer(&n)) {
                return None;
            }
            (arrow.to, format!("did not answer the {}", summary.title))
        }
        Service::Diameter => {
            let result = detail(summary, "Result");
            let server = detail(summary, "Server-Name");
            let server =
                if server.is_empty() { String::new() } else { format!(", Server-Name {server}") };
            let title = summary.title.rsplit_once(' ').map_or(summary.title.as_str(), |(t, _)| t);
            (arrow.from, format!("{title} {result}{server}"))
        }
        Service::Sip if summary.is_failure() && !arrow.retransmission => {
            if attempt.chain.contains(&number) {
                return None;
            }
            (arrow.from, format!("answered {}", summary.title))
        }
        _ => return None,
    };
    Some(Step {
        at: arrow.record.at.unix_micros(),
        who: ladder.participants[who].label.clone(),
        text,
        event: None,
        message: Some(seen(ladder, number)),
    })
}
