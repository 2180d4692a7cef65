//! A ladder that is drawn while it grows, and the filter that feeds it.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::needless_range_loop)]

mod flow;

use flow::{Place, evening};
use ladder::text::{Growing, Options, render};
use ladder::{Correlation, Filter, Ladder, Limits, Trace};

/// The lines that have a time: one for each arrow.
fn arrows(text: &str) -> Vec<&str> {
    let timed = |line: &&str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        first.parse::<f64>().is_ok() && first.contains('.') && !line.contains('┊')
    };
    text.lines().filter(timed).collect()
}

#[test]
fn each_arrow_is_drawn_once_and_boxes_when_somebody_joins() {
    let records = evening(Place::PROCESS);
    let mut growing = Growing::new(Options::default());
    let mut text = String::new();
    for end in 1..=records.len() {
        let ladder = Ladder::new("evening", records[..end].iter().cloned());
        text += &growing.draw(&ladder);
        assert_eq!(growing.draw(&ladder), "", "nothing is new");
    }
    let whole = render(&Ladder::new("evening", records.iter().cloned()), &Options::default());
    assert_eq!(arrows(&text).len(), records.len());
    assert_eq!(arrows(&whole).len(), records.len());
    let boxes = text.lines().filter(|line| line.trim_start().starts_with('┌')).count();
    assert!((2..12).contains(&boxes), "{boxes}: {text}");
    // Drawn at once it is the whole without its foot.
    let mut growing = Growing::new(Options::default());
    let at_once = growing.draw(&Ladder::new("evening", records));
    assert!(whole.starts_with(&at_once));
}

/// Who is followed after he registered is known by all his names.
#[test]
fn aliases_bring_what_the_subscriber_registered_as() {
    let records = evening(Place::PROCESS);
    let begin = records.iter().position(|r| r.bytes.starts_with(b"INVITE")).unwrap();
    let (before, call) = records.split_at(begin);
    let correlation = Correlation::new(before.iter().cloned());
    let imsi = "001010000000002";
    let aliases = correlation.identities(imsi);
    assert!(aliases.iter().any(|a| a.contains("+491700000002")), "{aliases:?}");
    assert!(!aliases.iter().any(|a| a.contains("+491700000001")), "{aliases:?}");
    let heard = |aliases: &[String]| {
        let mut trace = Trace::new(Limits::default());
        let (subscriber, aliases) = (Some(imsi.to_owned()), aliases.to_vec());
        let id = trace.subscribe(Filter { subscriber, aliases, ..Filter::default() });
        call.iter().cloned().for_each(|record| trace.push(record));
        std::iter::from_fn(|| trace.poll(id)).count()
    };
    assert!(heard(&aliases) > heard(&[]), "{} {}", heard(&aliases), heard(&[]));
}
