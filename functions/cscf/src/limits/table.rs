//! A table that never grows beyond its bound: who was idle longest makes room.

use std::collections::{BTreeMap, BTreeSet};

use base::Instant;
use base::time::Duration;

/// Younger uses than this are not told apart: most of what is in the table is in constant use.
const TICK: Duration = Duration::from_secs(1);

/// What is remembered of each key.
#[derive(Debug)]
pub(super) struct Table<K: Ord, V> {
    entries: BTreeMap<K, (Instant, V)>,
    idle: BTreeSet<(Instant, K)>,
    capacity: usize,
}

impl<K: Ord + Copy, V> Table<K, V> {
    /// An empty table for so many keys, at least one.
    pub(super) fn new(capacity: usize) -> Table<K, V> {
        Table { entries: BTreeMap::new(), idle: BTreeSet::new(), capacity: capacity.max(1) }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// The value of a key that is used now; a new one if it has none.
    pub(super) fn touch(&mut self, now: Instant, key: K, new: impl FnOnce() -> V) -> &mut V {
        let seen = self.entries.get(&key).map(|(seen, _)| *seen);
        if seen.is_none_or(|seen| now.since(seen) >= TICK) {
            match seen {
                Some(seen) => {
                    self.idle.remove(&(seen, key));
                }
                None if self.entries.len() >= self.capacity => {
                    if let Some((_, key)) = self.idle.pop_first() {
                        self.entries.remove(&key);
                    }
                }
                None => {}
            }
            self.idle.insert((now, key));
        }
        let entry = self.entries.entry(key).or_insert_with(|| (now, new()));
        if now.since(entry.0) >= TICK {
            entry.0 = now;
        }
        &mut entry.1
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some((seen, _)) = self.entries.remove(key) {
            self.idle.remove(&(seen, *key));
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.idle.len());
        self.entries.len()
    }
}
