//! The subscriptions to the reg event, which outlive a restart and go on at another node.
//!
//! The numbers of NOTIFYs, CSeq and the document's version (RFC 3680 §5.1), are taken from a block whose end
//! is stored: whoever goes on from the record begins behind the block, so that no number is used twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use base::slots::{Slot, Slots};
use base::store::{Change, Durability};
use base::time::Duration;
use base::timer::Expiries;
use base::{Bytes, Instant, Output};
use serde::{Deserialize, Serialize};
use sip::{ClientId, Dialog};

use super::WATCHERS;
use crate::index::Index;

/// Numbers of one block.
const BLOCK: u32 = 64;

/// How much later than its end a subscription ends at a node that took it over: the node that had it, if it
/// lives, is to end it first.
const GRACE: Duration = Duration::from_secs(5);

/// Names a subscription as long as it lasts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct WatcherId(Slot);

/// A subscription. Each registered phone has one, so its dialog is kept as one text, and taken apart when it is
/// needed.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) impi: Arc<str>,
    pub(super) until: Instant,
    /// Of the dialog, a line each: Call-ID, the watcher's tag, our tag, our and his address, his Contact, and the
    /// route set.
    lines: Box<str>,
    /// The number of its last NOTIFY is also how many there were.
    local_cseq: u32,
    remote_cseq: Option<u32>,
    /// The first number that is not ours yet.
    reserved: u32,
    /// It was read from a record: the watcher may have missed something, and gets the full state next.
    pub(super) taken_over: bool,
}

/// What is stored of it.
#[derive(Serialize, Deserialize)]
struct Record {
    impi: String,
    local: String,
    remote: String,
    local_tag: String,
    remote_cseq: Option<u32>,
    route_set: Vec<String>,
    remote_target: String,
    /// Microseconds since 1970.
    until: u64,
    reserved: u32,
}

impl Watcher {
    pub(super) fn new(impi: Arc<str>, dialog: &Dialog, until: Instant) -> Watcher {
        let Dialog { call_id, remote_tag, local_tag, local, remote, remote_target, .. } = dialog;
        let lines = [call_id, remote_tag, local_tag, local, remote, remote_target];
        let lines: Vec<&str> =
            lines.into_iter().chain(&dialog.route_set).map(String::as_str).collect();
        Watcher {
            impi,
            until,
            lines: lines.join("\n").into(),
            local_cseq: dialog.local_cseq,
            remote_cseq: dialog.remote_cseq,
            reserved: 0,
            taken_over: false,
        }
    }

    fn line(&self, number: usize) -> &str {
        self.lines.split('\n').nth(number).unwrap_or_default()
    }

    fn is(&self, call_id: &str, tag: &str) -> bool {
        self.line(0) == call_id && self.line(1) == tag
    }

    fn dialog(&self) -> Dialog {
        let line = |number| self.line(number).to_owned();
        Dialog {
            call_id: line(0),
            remote_tag: line(1),
            local_tag: line(2),
            local: line(3),
            remote: line(4),
            remote_target: line(5),
            route_set: self.lines.split('\n').skip(6).map(str::to_owned).collect(),
            local_cseq: self.local_cseq,
            remote_cseq: self.remote_cseq,
            early: false,
        }
    }

    fn record(&self) -> Record {
        let dialog = self.dialog();
        Record {
            impi: self.impi.to_string(),
            local: dialog.local,
            remote: dialog.remote,
            local_tag: dialog.local_tag,
            remote_cseq: dialog.remote_cseq,
            route_set: dialog.route_set,
            remote_target: dialog.remote_target,
            until: self.until.unix_micros(),
            reserved: self.reserved,
        }
    }
}

/// All subscriptions.
#[derive(Debug)]
pub(super) struct Watchers {
    watchers: Slots<Watcher>,
    /// By Call-ID and the watcher's tag, as in the key of the record.
    by_dialog: Index<Slot>,
    /// By private identity.
    by_impi: Index<Slot>,
    expiries: Expiries<Slot>,
    /// NOTIFYs that are not answered yet.
    pub(super) notified: BTreeMap<ClientId, WatcherId>,
    changes: Vec<Change>,
}

impl Watchers {
    /// None. Watchers choose Call-ID and tag, so the seed is a secret.
    pub(super) fn new(seed: u64) -> Watchers {
        Watchers {
            watchers: Slots::default(),
            by_dialog: Index::with_seed(seed),
            by_impi: Index::default(),
            expiries: Expiries::default(),
            notified: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.watchers.len()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }

    /// The next subscription that was not refreshed.
    pub(super) fn expired(&mut self, now: Instant) -> Option<WatcherId> {
        self.expiries.due(now).map(WatcherId)
    }

    /// The subscription of a dialog.
    pub(super) fn find(&self, call_id: &str, tag: &str) -> Option<WatcherId> {
        let is = |slot| self.watchers.get(slot).is_some_and(|watcher| watcher.is(call_id, tag));
        self.by_dialog.find(&name(call_id, tag), is).map(WatcherId)
    }

    pub(super) fn get(&self, id: WatcherId) -> Option<&Watcher> {
        self.watchers.get(id.0)
    }

    pub(super) fn dialog(&self, id: WatcherId) -> Option<Dialog> {
        self.get(id).map(Watcher::dialog)
    }

    /// The dialog has gone on.
    pub(super) fn keep(&mut self, id: WatcherId, dialog: &Dialog) {
        if let Some(watcher) = self.watchers.get_mut(id.0) {
            let Watcher { reserved, taken_over, .. } = *watcher;
            let new = Watcher::new(Arc::clone(&watcher.impi), dialog, watcher.until);
            *watcher = Watcher { reserved, taken_over, ..new };
        }
    }

    fn watches(&self, slot: Slot, impi: &str) -> bool {
        self.watchers.get(slot).is_some_and(|watcher| &*watcher.impi == impi)
    }

    /// Whether anybody watches a private identity.
    pub(super) fn has(&self, impi: &str) -> bool {
        self.by_impi.find(impi, |slot| self.watches(slot, impi)).is_some()
    }

    pub(super) fn of(&self, impi: &str) -> Vec<WatcherId> {
        let slots = self.by_impi.all(impi, |slot| self.watches(slot, impi));
        slots.into_iter().map(WatcherId).collect()
    }

    pub(super) fn insert(&mut self, watcher: Watcher) -> WatcherId {
        let (call_id, tag) = (watcher.line(0).to_owned(), watcher.line(1).to_owned());
        if let Some(known) = self.find(&call_id, &tag) {
            self.take_out(known);
        }
        let (until, impi) = (watcher.until, Arc::clone(&watcher.impi));
        let slot = self.watchers.insert(watcher);
        self.by_dialog.add(&name(&call_id, &tag), slot);
        self.by_impi.add(&impi, slot);
        self.expiries.set(until, slot);
        WatcherId(slot)
    }

    /// A subscription lasts until then, which is stored.
    pub(super) fn prolong(&mut self, id: WatcherId, until: Instant) {
        let Some(watcher) = self.watchers.get_mut(id.0) else { return };
        watcher.until = until;
        self.expiries.set(until, id.0);
        self.save(id);
    }

    /// The dialog for a NOTIFY with the next number, and the document's version.
    pub(super) fn next_number(&mut self, id: WatcherId) -> Option<(Dialog, u32)> {
        let watcher = self.watchers.get_mut(id.0)?;
        watcher.taken_over = false;
        let number = watcher.local_cseq;
        if number >= watcher.reserved {
            watcher.reserved = number.saturating_add(BLOCK);
            self.save(id);
        }
        let watcher = self.watchers.get_mut(id.0)?;
        let dialog = watcher.dialog();
        watcher.local_cseq = number.saturating_add(1);
        Some((dialog, number))
    }

    pub(super) fn remove(&mut self, id: WatcherId) {
        if let Some(watcher) = self.take_out(id) {
            let key = key(watcher.line(0), watcher.line(1));
            self.changes.push(Change::Delete { table: WATCHERS, key });
        }
    }

    fn take_out(&mut self, id: WatcherId) -> Option<Watcher> {
        let watcher = self.watchers.remove(id.0)?;
        self.expiries.remove(&id.0);
        self.by_dialog.remove(&name(watcher.line(0), watcher.line(1)), id.0);
        self.by_impi.remove(&watcher.impi, id.0);
        Some(watcher)
    }

    fn save(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.get(id.0) {
            let key = key(watcher.line(0), watcher.line(1));
            let value = serde_json::to_vec(&watcher.record()).unwrap_or_default().into();
            self.changes.push(Change::Put { table: WATCHERS, key, value });
        }
    }

    /// Takes a record of the store, or of another node; what is unreadable is left out.
    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) {
        if let Some(watcher) = read(key, value) {
            let until = watcher.until;
            let id = self.insert(watcher);
            self.expiries.set(until + GRACE, id.0);
        }
    }

    /// Another node ended the subscription of this record.
    pub(super) fn forget(&mut self, key: &[u8]) {
        let id = parse_key(key).and_then(|(call_id, tag)| self.find(call_id, tag));
        id.and_then(|id| self.take_out(id));
    }

    /// What the store has to do.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        let changes = std::mem::take(&mut self.changes);
        let stored =
            |changes| Output::Store { durability: Durability::Behind, changes, commit: None };
        (!changes.is_empty()).then(|| stored(changes))
    }
}

/// Whether a record of ours can be read.
pub(super) fn is_record(key: &[u8], value: &[u8]) -> bool {
    read(key, value).is_some()
}

fn read(key: &[u8], value: &[u8]) -> Option<Watcher> {
    let (call_id, remote_tag) = parse_key(key)?;
    let record: Record = serde_json::from_slice(value).ok()?;
    let dialog = Dialog {
        call_id: call_id.to_owned(),
        local: record.local,
        remote: record.remote,
        local_tag: record.local_tag,
        remote_tag: remote_tag.to_owned(),
        local_cseq: record.reserved,
        remote_cseq: record.remote_cseq,
        route_set: record.route_set,
        remote_target: record.remote_target,
        early: false,
    };
    let until = Instant::from_unix_micros(record.until);
    let watcher = Watcher::new(record.impi.into(), &dialog, until);
    Some(Watcher { reserved: record.reserved, taken_over: true, ..watcher })
}

/// A Call-ID has no space in it.
fn name(call_id: &str, tag: &str) -> String {
    [call_id, " ", tag].concat()
}

fn key(call_id: &str, tag: &str) -> Bytes {
    name(call_id, tag).into_bytes().into()
}

fn parse_key(key: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(key).ok()?.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog() -> Dialog {
        Dialog {
            call_id: "c@h".into(),
            local: "<sip:a>;tag=l".into(),
            remote: "<sip:b>;tag=r".into(),
            local_tag: "l".into(),
            remote_tag: "r".into(),
            local_cseq: 0,
            remote_cseq: Some(1),
            route_set: vec!["<sip:p;lr>".into()],
            remote_target: "sip:b@h".into(),
            early: false,
        }
    }

    /// The latest record that was written.
    fn written(watchers: &mut Watchers) -> Option<(Bytes, Bytes)> {
        let Some(Output::Store { changes, .. }) = watchers.poll_output() else { return None };
        changes.into_iter().rev().find_map(|change| match change {
            Change::Put { key, value, .. } => Some((key, value)),
            Change::Delete { .. } => None,
        })
    }

    #[test]
    fn no_number_is_used_twice_wherever_the_subscription_goes_on() {
        let mut here = Watchers::new(1);
        let until = Instant::from_unix_micros(9_000_000);
        let id = here.insert(Watcher::new("impi".into(), &dialog(), until));
        let mut last = None;
        let mut used = 0;
        for _ in 0..200 {
            let (_, version) = here.next_number(id).expect("the watcher");
            used = used.max(version);
            last = written(&mut here).or(last);
            let (key, value) = last.clone().expect("a block is stored before it is used");
            let mut there = Watchers::new(1);
            there.restore(&key, &value);
            let same = there.find("c@h", "r").expect("the same watcher");
            assert!(there.get(same).is_some_and(|watcher| watcher.taken_over));
            let (mut next, first) = there.next_number(same).expect("a number");
            assert!(first > used, "{first} after {used}");
            let again = next.request(sip::Method::Notify);
            assert_eq!(
                (next.route_set, next.remote_target),
                (dialog().route_set, dialog().remote_target)
            );
            let cseq = again.get(sip::HeaderName::CSeq).expect("a CSeq");
            assert_eq!(cseq, format!("{} NOTIFY", first + 1));
        }
    }

    #[test]
    fn another_node_may_end_it() {
        let mut watchers = Watchers::new(1);
        let until = Instant::from_unix_micros(9_000_000);
        watchers.insert(Watcher::new("impi".into(), &dialog(), until));
        watchers.forget(&key("c@h", "r"));
        assert_eq!((watchers.len(), watchers.of("impi").len()), (0, 0));
        assert!(watchers.poll_output().is_none() && watchers.next_expiry().is_none());
        watchers.forget(b"\xff");
    }
}
