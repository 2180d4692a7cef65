//! An explanation for a person, and for programs.

use ladder::dissect::plain;
use ladder::ladder::utc;
use serde_json::{Value, json};

use super::{Explanation, Outcome, Seen, Step};

/// Columns of what stands before a line.
const MARGIN: usize = 14;

/// A few lines of text.
pub fn text(told: &Explanation) -> String {
    let what = if told.method == "REGISTER" {
        format!("REGISTER of {}", told.to)
    } else {
        format!("{} of {} to {}", told.method, told.from, told.to)
    };
    let answer = told.answer.as_deref().unwrap_or("?");
    let became = match told.outcome {
        Outcome::Refused => format!("was refused with {answer}"),
        Outcome::Accepted => format!("was not refused: {answer}"),
        Outcome::Challenged => {
            format!("was challenged with {answer}, and the phone did not answer the challenge")
        }
        Outcome::Cancelled => "was given up by the caller".to_owned(),
        Outcome::Unanswered => "has no answer yet".to_owned(),
    };
    let mut out = plain(&format!("{what} at {} {became}", utc(told.at))) + "\n";
    let mut line = |name: &str, text: &str| {
        let (name, text) = (plain(name), plain(text));
        out += &format!("  {name:MARGIN$} {text}\n");
    };
    line("Call-ID", &told.call_id);
    line("way", &told.way.join(" → "));
    for step in &told.steps {
        line(&step.who, &format!("{}{}", step.text, source(step)));
    }
    if let Some(refuser) = &told.refuser {
        let reason = match (&refuser.reason, told.with_events) {
            (Some(reason), _) => reason.as_str(),
            (None, true) => "gave no reason",
            (None, false) => {
                "the functions' own reasons are only in the running process: `strowger explain`"
            }
        };
        let event = refuser.event.as_ref().map(|event| format!(" [{event}]")).unwrap_or_default();
        line("refused by", &format!("{}: {reason}{event}", refuser.name));
        line("message", &message(&refuser.message));
    }
    for (number, advice) in told.advice.iter().enumerate() {
        line(if number == 0 { "what to do" } else { "" }, &advice.text);
        match (&advice.place, advice.key) {
            (Some(place), Some(key)) => line("", &format!("{place}: {key}")),
            (None, Some(key)) => line("", &format!("{key} is not in the configuration")),
            (_, None) => {}
        }
    }
    out
}

fn source(step: &Step) -> String {
    match (&step.event, &step.message) {
        (Some(event), _) => format!(" [{event}]"),
        (None, Some(seen)) => format!(" (message {})", seen.number),
        (None, None) => String::new(),
    }
}

fn message(seen: &Seen) -> String {
    let (millis, micros) = (seen.offset / 1000, seen.offset % 1000);
    format!("{} of the ladder, {millis}.{micros:03} ms: {}", seen.number, seen.arrow)
}

/// One JSON document.
pub fn json(told: &Explanation) -> Value {
    let outcome = match told.outcome {
        Outcome::Refused => "refused",
        Outcome::Accepted => "accepted",
        Outcome::Challenged => "challenged",
        Outcome::Cancelled => "cancelled",
        Outcome::Unanswered => "unanswered",
    };
    let seen =
        |seen: &Seen| json!({"number": seen.number, "offset": seen.offset, "arrow": seen.arrow});
    let steps = told.steps.iter().map(|step| {
        json!({
            "at": step.at, "who": step.who, "text": step.text, "event": step.event,
            "message": step.message.as_ref().map(seen),
        })
    });
    let refuser = told.refuser.as_ref().map(|refuser| {
        json!({
            "name": refuser.name, "reason": refuser.reason, "event": refuser.event,
            "message": seen(&refuser.message),
        })
    });
    let advice = told.advice.iter();
    let advice = advice.map(|a| json!({"text": a.text, "key": a.key, "place": a.place}));
    json!({
        "method": told.method, "from": told.from, "to": told.to, "at": told.at.unix_micros(),
        "call_id": told.call_id, "outcome": outcome, "answer": told.answer, "way": told.way,
        "refuser": refuser, "steps": steps.collect::<Vec<_>>(),
        "advice": advice.collect::<Vec<_>>(), "with_events": told.with_events,
    })
}
