//! What is known of each record, and what becomes of it when somebody else writes it.

use std::collections::{BTreeMap, BTreeSet};

use base::Bytes;
use base::store::{Change, Table};

use crate::command::Held;

/// A record's table and key.
pub(crate) type Id = (Table, Bytes);

/// What the owner of a record is to hear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct News {
    pub(crate) id: Id,
    /// `None` if it is gone.
    pub(crate) value: Option<Bytes>,
}

/// A record as we know it.
#[derive(Debug)]
struct Known {
    /// The server's epoch of it; 0 if it is not there.
    epoch: u64,
    /// What its owner wrote or was told last; `None` is a record that is to be deleted.
    value: Option<Bytes>,
    /// What was sent to the server and not answered yet.
    sent: Option<(Attempt, Option<Bytes>)>,
    /// The epoch of a deletion that was told before the answer to what was sent.
    gone: u64,
}

/// Tells the answers to two writes of one record apart.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Attempt(u64);

/// A write on its way to the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Write {
    pub(crate) id: Id,
    pub(crate) attempt: Attempt,
    /// The epoch that we know.
    pub(crate) epoch: u64,
    pub(crate) value: Option<Bytes>,
}

/// All records of the tables that are shared.
#[derive(Debug, Default)]
pub(crate) struct Records {
    known: BTreeMap<Id, Known>,
    /// Those that the server does not have as their owner wrote them, and that are not on their way.
    unsent: BTreeSet<Id>,
    in_flight: usize,
    attempts: Attempt,
    /// The epochs of our own deletions that the changes of the others have not come to yet: they are told later
    /// than we are answered.
    buried: BTreeMap<Id, u64>,
    /// While all are read anew: those that were not seen yet.
    unseen: Option<BTreeSet<Id>>,
}

impl Records {
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// Changes that the server has not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.unsent.len() + self.in_flight
    }

    /// All records of a table.
    pub(crate) fn of(&self, table: Table) -> impl Iterator<Item = News> + '_ {
        let all =
            self.known.range((table, Bytes::new())..).take_while(move |((t, _), _)| *t == table);
        all.filter(|(_, known)| known.value.is_some())
            .map(|(id, known)| News { id: id.clone(), value: known.value.clone() })
    }

    /// Their owner changed a record.
    pub(crate) fn change(&mut self, change: Change) {
        let (id, value) = match change {
            Change::Put { table, key, value } => ((table, key), Some(value)),
            Change::Delete { table, key } => ((table, key), None),
        };
        let known = self.known.entry(id.clone()).or_insert(Known {
            epoch: 0,
            value: None,
            sent: None,
            gone: 0,
        });
        known.value = value;
        if known.sent.is_none() {
            self.unsent.insert(id);
        }
    }

    /// The next record that is to be sent; not more than so many at a time.
    pub(crate) fn send(&mut self, window: usize) -> Option<Write> {
        while self.in_flight < window {
            let id = self.unsent.pop_first()?;
            let Some(known) = self.known.get_mut(&id) else { continue };
            if known.epoch == 0 && known.value.is_none() {
                // The server never had it.
                self.known.remove(&id);
                continue;
            }
            self.attempts.0 += 1;
            let attempt = self.attempts;
            known.sent = Some((attempt, known.value.clone()));
            self.in_flight += 1;
            return Some(Write { id, attempt, epoch: known.epoch, value: known.value.clone() });
        }
        None
    }

    /// The server has what was sent.
    pub(crate) fn accepted(&mut self, id: &Id, attempt: Attempt, epoch: u64) -> Option<News> {
        let sent = self.arrived(id, attempt)?;
        let known = self.known.get_mut(id)?;
        if sent.is_some() && std::mem::take(&mut known.gone) > epoch {
            return self.learn(id, None);
        }
        known.epoch = if sent.is_some() { epoch } else { 0 };
        if known.value != sent {
            self.unsent.insert(id.clone());
        } else if sent.is_none() {
            self.known.remove(id);
        }
        if sent.is_none() {
            self.buried.insert(id.clone(), epoch);
        }
        None
    }

    /// All changes up to this epoch were told.
    pub(crate) fn told_until(&mut self, epoch: u64) {
        self.buried.retain(|_, buried| *buried > epoch);
    }

    /// The server could not write, and may later.
    pub(crate) fn failed(&mut self, id: &Id, attempt: Attempt) {
        if self.arrived(id, attempt).is_some() {
            self.unsent.insert(id.clone());
        }
    }

    /// Somebody else wrote it before: our epoch is over.
    pub(crate) fn lost(&mut self, id: &Id, attempt: Attempt, held: Option<Held>) -> Option<News> {
        self.arrived(id, attempt)?;
        self.learn(id, held.map(|held| (held.epoch, held.value)))
    }

    /// A change by another node. What is older than what we know says nothing.
    pub(crate) fn changed(&mut self, id: &Id, epoch: u64, value: Option<Bytes>) -> Option<News> {
        let known = self.known.get(id).map_or(0, |known| known.epoch);
        // What was written before we deleted it is gone.
        if self.buried.get(id).is_some_and(|buried| *buried > epoch) {
            return None;
        }
        if value.is_none()
            && let Some(known) = self.known.get_mut(id).filter(|known| known.sent.is_some())
        {
            // Changes may be told before a write is answered that another node saw already.
            known.gone = epoch;
        }
        // What the server has not, as far as we know, cannot have been deleted.
        if known >= epoch || (known == 0 && value.is_none()) {
            return None;
        }
        self.learn(id, value.map(|value| (epoch, value)))
    }

    /// A connection ended: nobody knows whether the server has what was sent.
    pub(crate) fn disconnected(&mut self) {
        let sent = self.known.iter_mut().filter(|(_, known)| known.sent.is_some());
        for (id, known) in sent {
            known.sent = None;
            self.unsent.insert(id.clone());
        }
        self.in_flight = 0;
        self.unseen = None;
    }

    /// All records are about to be read anew. `forgot` says that the server has not all that it had.
    pub(crate) fn read_anew(&mut self, forgot: bool) {
        if forgot {
            self.known.values_mut().for_each(|known| known.epoch = 0);
            self.unsent.extend(self.known.keys().cloned());
        }
        self.buried.clear();
        self.unseen = Some(self.known.keys().cloned().collect());
    }

    /// The server has this record.
    pub(crate) fn seen(&mut self, id: Id, held: Held, us: &str) -> Option<News> {
        self.unseen.as_mut().map(|unseen| unseen.remove(&id));
        let Some(known) = self.known.get_mut(&id) else {
            return self.learn(&id, Some((held.epoch, held.value)));
        };
        if known.value.as_ref() == Some(&held.value) {
            known.epoch = held.epoch;
            self.unsent.remove(&id);
            return None;
        }
        // What we wrote before we could read is newer than what was left here; what we sent before the
        // connection ended is ours.
        if known.epoch == 0 || held.epoch <= known.epoch || held.node == us {
            known.epoch = held.epoch;
            self.unsent.insert(id);
            return None;
        }
        self.learn(&id, Some((held.epoch, held.value)))
    }

    /// All were read: what the server had and has no longer was deleted by another node.
    pub(crate) fn all_seen(&mut self) -> Vec<News> {
        let gone = self.unseen.take().unwrap_or_default();
        let was_there = |id: &Id| self.known.get(id).is_some_and(|known| known.epoch > 0);
        let gone: Vec<Id> = gone.into_iter().filter(was_there).collect();
        gone.iter().filter_map(|id| self.learn(id, None)).collect()
    }

    /// What was on its way has arrived, unless it was overtaken.
    fn arrived(&mut self, id: &Id, attempt: Attempt) -> Option<Option<Bytes>> {
        let known = self.known.get_mut(id)?;
        let (_, sent) = known.sent.take_if(|(sent, _)| *sent == attempt)?;
        self.in_flight = self.in_flight.saturating_sub(1);
        Some(sent)
    }

    /// The record is as somebody else wrote it, whatever its owner here wanted.
    fn learn(&mut self, id: &Id, written: Option<(u64, Bytes)>) -> Option<News> {
        self.unsent.remove(id);
        if self.known.get(id).is_some_and(|known| known.sent.is_some()) {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        let before = match &written {
            Some((epoch, value)) => {
                let known =
                    Known { epoch: *epoch, value: Some(value.clone()), sent: None, gone: 0 };
                self.known.insert(id.clone(), known)
            }
            None => self.known.remove(id),
        };
        let value = written.map(|(_, value)| value);
        let before = before.and_then(|known| known.value);
        (before != value).then(|| News { id: id.clone(), value })
    }
}

#[cfg(test)]
mod tests;
