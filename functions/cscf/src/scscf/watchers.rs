//! The subscriptions to the reg event, which outlive a restart and go on at another node.
//!
//! The numbers of NOTIFYs, CSeq and the document's version (RFC 3680 §5.1), are taken from a block whose end
//! is stored: whoever goes on from the record begins behind the block, so that no number is used twice.

use std::collections::BTreeMap;

use base::store::{Change, Durability};
use base::time::Duration;
use base::timer::Expiries;
use base::{Bytes, Instant, Output};
use serde::{Deserialize, Serialize};
use sip::{ClientId, Dialog};

use super::WATCHERS;

/// Numbers of one block.
const BLOCK: u32 = 64;

/// How much later than its end a subscription ends at a node that took it over: the node that had it, if it
/// lives, is to end it first.
const GRACE: Duration = Duration::from_secs(5);

/// A subscription's Call-ID and the watcher's tag.
pub(super) type WatcherId = (String, String);

/// A subscription.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) impi: String,
    /// The number of its last NOTIFY is also how many there were.
    pub(super) dialog: Dialog,
    pub(super) until: Instant,
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
    pub(super) fn new(impi: String, dialog: Dialog, until: Instant) -> Watcher {
        Watcher { impi, dialog, until, reserved: 0, taken_over: false }
    }

    fn record(&self) -> Record {
        let dialog = self.dialog.clone();
        Record {
            impi: self.impi.clone(),
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
#[derive(Debug, Default)]
pub(super) struct Watchers {
    by_id: BTreeMap<WatcherId, Watcher>,
    /// The watchers of each private identity.
    by_impi: BTreeMap<String, Vec<WatcherId>>,
    expiries: Expiries<WatcherId>,
    /// NOTIFYs that are not answered yet.
    pub(super) notified: BTreeMap<ClientId, WatcherId>,
    changes: Vec<Change>,
}

impl Watchers {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.next()
    }

    /// The next subscription that was not refreshed.
    pub(super) fn expired(&mut self, now: Instant) -> Option<WatcherId> {
        self.expiries.due(now)
    }

    pub(super) fn get(&self, id: &WatcherId) -> Option<&Watcher> {
        self.by_id.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &WatcherId) -> Option<&mut Watcher> {
        self.by_id.get_mut(id)
    }

    /// Whether anybody watches a private identity.
    pub(super) fn has(&self, impi: &str) -> bool {
        self.by_impi.contains_key(impi)
    }

    pub(super) fn of(&self, impi: &str) -> Vec<WatcherId> {
        self.by_impi.get(impi).cloned().unwrap_or_default()
    }

    pub(super) fn insert(&mut self, id: WatcherId, watcher: Watcher) {
        self.take_out(&id);
        self.expiries.set(watcher.until, id.clone());
        self.by_impi.entry(watcher.impi.clone()).or_default().push(id.clone());
        self.by_id.insert(id, watcher);
    }

    /// A subscription lasts until then, which is stored.
    pub(super) fn prolong(&mut self, id: &WatcherId, until: Instant) {
        let Some(watcher) = self.by_id.get_mut(id) else { return };
        watcher.until = until;
        self.expiries.set(until, id.clone());
        self.save(id);
    }

    /// The watcher, for a NOTIFY with the next number, and the document's version.
    pub(super) fn next_number(&mut self, id: &WatcherId) -> Option<(&mut Watcher, u32)> {
        let watcher = self.by_id.get_mut(id)?;
        let number = watcher.dialog.local_cseq;
        if number >= watcher.reserved {
            watcher.reserved = number.saturating_add(BLOCK);
            self.save(id);
        }
        self.by_id.get_mut(id).map(|watcher| (watcher, number))
    }

    pub(super) fn remove(&mut self, id: &WatcherId) {
        if self.take_out(id).is_some() {
            self.changes.push(Change::Delete { table: WATCHERS, key: key(id) });
        }
    }

    fn take_out(&mut self, id: &WatcherId) -> Option<Watcher> {
        let watcher = self.by_id.remove(id)?;
        self.expiries.remove(id);
        if let Some(ids) = self.by_impi.get_mut(&watcher.impi) {
            ids.retain(|other| other != id);
            if ids.is_empty() {
                self.by_impi.remove(&watcher.impi);
            }
        }
        Some(watcher)
    }

    fn save(&mut self, id: &WatcherId) {
        if let Some(watcher) = self.by_id.get(id) {
            let value = serde_json::to_vec(&watcher.record()).unwrap_or_default().into();
            self.changes.push(Change::Put { table: WATCHERS, key: key(id), value });
        }
    }

    /// Takes a record of the store, or of another node; what is unreadable is left out.
    pub(super) fn restore(&mut self, key: &[u8], value: &[u8]) {
        if let Some((id, watcher)) = read(key, value) {
            let until = watcher.until;
            self.insert(id.clone(), watcher);
            self.expiries.set(until + GRACE, id);
        }
    }

    /// Another node ended the subscription of this record.
    pub(super) fn forget(&mut self, key: &[u8]) {
        if let Some(id) = parse_key(key) {
            self.take_out(&id);
        }
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

fn read(key: &[u8], value: &[u8]) -> Option<(WatcherId, Watcher)> {
    let (call_id, remote_tag) = parse_key(key)?;
    let record: Record = serde_json::from_slice(value).ok()?;
    let dialog = Dialog {
        call_id: call_id.clone(),
        local: record.local,
        remote: record.remote,
        local_tag: record.local_tag,
        remote_tag: remote_tag.clone(),
        local_cseq: record.reserved,
        remote_cseq: record.remote_cseq,
        route_set: record.route_set,
        remote_target: record.remote_target,
        early: false,
    };
    let until = Instant::from_unix_micros(record.until);
    let (impi, reserved) = (record.impi, record.reserved);
    Some(((call_id, remote_tag), Watcher { impi, dialog, until, reserved, taken_over: true }))
}

/// A Call-ID has no space in it.
fn key((call_id, tag): &WatcherId) -> Bytes {
    format!("{call_id} {tag}").into_bytes().into()
}

fn parse_key(key: &[u8]) -> Option<WatcherId> {
    let (call_id, tag) = std::str::from_utf8(key).ok()?.split_once(' ')?;
    Some((call_id.to_owned(), tag.to_owned()))
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
        let id: WatcherId = ("c@h".into(), "r".into());
        let mut here = Watchers::default();
        let until = Instant::from_unix_micros(9_000_000);
        here.insert(id.clone(), Watcher::new("impi".into(), dialog(), until));
        let mut last = None;
        let mut used = 0;
        for _ in 0..200 {
            let (watcher, version) = here.next_number(&id).expect("the watcher");
            watcher.dialog.request(sip::Method::Notify);
            used = used.max(version);
            last = written(&mut here).or(last);
            let (key, value) = last.clone().expect("a block is stored before it is used");
            let mut there = Watchers::default();
            there.restore(&key, &value);
            let (watcher, first) = there.next_number(&id).expect("the same watcher");
            assert!(first > used && watcher.taken_over, "{first} after {used}");
            let again = watcher.dialog.request(sip::Method::Notify);
            let cseq = again.get(sip::HeaderName::CSeq).expect("a CSeq");
            assert_eq!(cseq, format!("{} NOTIFY", first + 1));
        }
    }

    #[test]
    fn another_node_may_end_it() {
        let id: WatcherId = ("c@h".into(), "r".into());
        let mut watchers = Watchers::default();
        let until = Instant::from_unix_micros(9_000_000);
        watchers.insert(id.clone(), Watcher::new("impi".into(), dialog(), until));
        watchers.forget(&key(&id));
        assert_eq!((watchers.len(), watchers.of("impi").len()), (0, 0));
        assert!(watchers.poll_output().is_none() && watchers.next_expiry().is_none());
        watchers.forget(b"\xff");
    }
}
