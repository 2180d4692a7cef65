//! What happened in a whole evening, two registrations and a call, in an order that does not depend on
//! who was faster.

use std::collections::{BTreeMap, BTreeSet};

use base::{Instant, Service};
use ladder::{Arrow, Correlation, Key, Kind, Ladder, Record, Thread, dissect};

/// All messages as one ladder: what belongs to nobody, each registration, the calls. Registrations
/// of different phones run at the same time, and so do the dialogs of one (a phone and its P-CSCF
/// subscribe each to the registration): each dialog is in its own order here, and what is no SIP in its
/// own.
pub fn evening(records: impl IntoIterator<Item = Record>) -> Ladder {
    let correlation = Correlation::new(records);
    let mut threads: Vec<_> = correlation.threads().iter().collect();
    let rank = |kind| match kind {
        Kind::Other => 0,
        Kind::Registration => 1,
        Kind::Call => 2,
    };
    threads.sort_by_key(|thread| (rank(thread.kind), &thread.title));
    let told: BTreeSet<usize> = threads.iter().flat_map(|t| t.records.iter().copied()).collect();
    let all = correlation.records();
    let rest = (0..all.len()).filter(|number| !told.contains(number));
    let order = rest.chain(threads.iter().flat_map(|thread| by_dialog(thread, &correlation)));
    let in_order = order
        .zip(1..)
        .map(|(number, at)| Record { at: Instant::from_unix_micros(at), ..all[number].clone() });
    Ladder::new("an evening", in_order.collect::<Vec<_>>())
}

/// The thread's numbers, dialog by dialog: by what each begins with and whose it is. What is no SIP
/// comes last.
fn by_dialog(thread: &Thread, correlation: &Correlation) -> Vec<usize> {
    let call_id = |number: usize| {
        let sip = correlation.records()[number].service == Service::Sip;
        let mut keys = correlation.summaries()[number].keys.iter().filter(|_| sip);
        keys.find(|key| matches!(key, Key::CallId(_)))
    };
    let mut begins: BTreeMap<&Key, (&str, &str)> = BTreeMap::new();
    for number in &thread.records {
        let summary = &correlation.summaries()[*number];
        let from = summary.detail.iter().find(|(name, _)| *name == "from");
        let begin = (summary.verb.as_str(), from.map_or("", |(_, value)| value));
        if let Some(key) = call_id(*number) {
            begins.entry(key).or_insert(begin);
        }
    }
    let mut numbers = thread.records.clone();
    numbers.sort_by_key(|number| {
        let key = call_id(*number);
        (key.is_none(), key.map(|key| begins[key]), key)
    });
    numbers
}

/// Messages of one sender to one receiver that may come in either order, for they took different ways
/// before. Both ladders get them in this order.
pub type Race = (&'static str, &'static str);

/// The ladder with every race decided the same way.
pub fn without_races(mut ladder: Ladder, races: &[Race]) -> Ladder {
    let mut ways: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
    for (place, arrow) in ladder.arrows.iter().enumerate() {
        ways.entry((arrow.from, arrow.to)).or_default().push(place);
    }
    let loses = |first: &Arrow, second: &Arrow| {
        let (first, second) = (first.summary.title.as_str(), second.summary.title.as_str());
        races.iter().any(|(winner, loser)| *winner == second && *loser == first)
    };
    for places in ways.values() {
        let mut sorted = 0;
        while sorted + 1 < places.len() {
            let (a, b) = (places[sorted], places[sorted + 1]);
            if loses(&ladder.arrows[a], &ladder.arrows[b]) {
                ladder.arrows.swap(a, b);
                sorted = sorted.saturating_sub(1);
            } else {
                sorted += 1;
            }
        }
    }
    ladder
}

/// Whether every request has its final answer: nothing more will come by itself.
pub fn all_is_answered(records: &[Record]) -> bool {
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for record in records {
        let summary = dissect(record);
        let (from, to) = (record.from.endpoint, record.to.endpoint);
        match summary.answer {
            None if summary.verb == "ACK" => {}
            None => drop(asked.insert((from, to, summary.transaction))),
            Some(100..200) if summary.protocol == Service::Sip => {}
            Some(_) => drop(answered.insert((to, from, summary.transaction))),
        }
    }
    !asked.is_empty() && asked.is_subset(&answered)
}

/// Whether a message never left its function: it went over a wire of the function to itself.
pub fn within_one(record: &Record) -> bool {
    record.from.name.is_some() && record.from.name == record.to.name
}
