//! What a failure is shown with: the ladder of whom it is about, and the end of the trace.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use base::{Bytes, Instant};
use engine::shard::Crossing;
use ladder::{Correlation, Limits, Party, Record};

use crate::network::Phone;

/// Lines of a ladder, and of the trace, that are shown: the last ones.
const LINES: usize = 160;

/// The messages of a day, if they are kept.
#[derive(Clone)]
pub(super) struct Evidence(Option<Rc<RefCell<ladder::Trace>>>);

impl Evidence {
    pub(super) fn new(keep: bool) -> Evidence {
        let limits = Limits { records: 200_000, ..Limits::default() };
        Evidence(keep.then(|| Rc::new(RefCell::new(ladder::Trace::new(limits)))))
    }

    pub(super) fn saw(&self, at: Instant, crossing: &Crossing<'_>) {
        let Some(trace) = &self.0 else { return };
        let party = |party: &engine::shard::Party<'_>| Party {
            endpoint: party.endpoint,
            name: party.name.map(Arc::from),
        };
        trace.borrow_mut().push(Record {
            at,
            service: crossing.service,
            transport: crossing.transport,
            from: party(&crossing.from),
            to: party(&crossing.to),
            bytes: Bytes::copy_from_slice(crossing.bytes),
            flow: crossing.flow.0,
        });
    }

    /// What there is about a failure that names a phone.
    pub(super) fn about(
        &self,
        failure: &str,
        phones: &[Phone],
        trace: &engine::sim::Trace,
    ) -> String {
        let Some(messages) = &self.0 else { return String::new() };
        if let Ok(path) = std::env::var("STROWGER_TRACE") {
            let mut lines = String::new();
            for record in messages.borrow().records() {
                lines += &ladder::json::line(&record);
                lines.push('\n');
            }
            std::fs::write(format!("{path}.jsonl"), lines).expect("the messages can be written");
            std::fs::write(path, trace.text()).expect("the trace can be written");
        }
        let named = |phone: &&Phone| failure.contains(&format!("phone {}", phone.number));
        let phone = phones.iter().find(named).or(phones.first());
        let correlation: Correlation = messages.borrow().correlate();
        let mut out = String::new();
        if let Some(phone) = phone {
            let threads = correlation.of_subscriber(&phone.tel());
            let drawn = ladder::text::render(&correlation.ladder_of(threads), &Default::default());
            let _ = writeln!(out, "The last of phone {}:\n{}", phone.number, last(&drawn));
        }
        let _ = writeln!(out, "The end of the trace:\n{}", last(trace.text()));
        out
    }
}

fn last(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
