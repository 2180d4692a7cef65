//! Where something is by a key of its own, without a second copy of the key: the index keeps its hash, and asks
//! whether what is there is meant.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Places by key.
#[derive(Debug)]
pub(crate) struct Index<P> {
    places: HashTable<(u32, P)>,
    hasher: FixedState,
}

/// What the table is told of a hash: half of it is kept.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<P> Default for Index<P> {
    /// Without a seed: for keys that no stranger chooses.
    fn default() -> Self {
        Index::with_seed(0)
    }
}

impl<P> Index<P> {
    pub(crate) fn with_seed(seed: u64) -> Index<P> {
        Index { places: HashTable::new(), hasher: FixedState::with_seed(seed) }
    }
}

impl<P: Copy + Ord> Index<P> {
    fn hash<K: Hash + ?Sized>(&self, key: &K) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    /// The place whose key this is, as `is` says.
    pub(crate) fn find<K: Hash + ?Sized>(&self, key: &K, is: impl Fn(P) -> bool) -> Option<P> {
        let hash = self.hash(key);
        self.places
            .find(spread(hash), |(of, place)| *of == hash && is(*place))
            .map(|(_, place)| *place)
    }

    /// All places whose key this is, in their order.
    pub(crate) fn all<K: Hash + ?Sized>(&self, key: &K, is: impl Fn(P) -> bool) -> Vec<P> {
        let hash = self.hash(key);
        let found =
            self.places.iter_hash(spread(hash)).filter(|(of, place)| *of == hash && is(*place));
        let mut found: Vec<P> = found.map(|(_, place)| *place).collect();
        found.sort_unstable();
        found
    }

    /// The key is this one's from now on, and no longer another one's.
    pub(crate) fn insert<K: Hash + ?Sized>(&mut self, key: &K, place: P, is: impl Fn(P) -> bool) {
        let hash = self.hash(key);
        match self.places.find_mut(spread(hash), |(of, other)| *of == hash && is(*other)) {
            Some((_, other)) => *other = place,
            None => self.add(key, place),
        }
    }

    /// The key is this one's, too.
    pub(crate) fn add<K: Hash + ?Sized>(&mut self, key: &K, place: P) {
        let hash = self.hash(key);
        self.places.insert_unique(spread(hash), (hash, place), |(hash, _)| spread(*hash));
    }

    pub(crate) fn remove<K: Hash + ?Sized>(&mut self, key: &K, place: P) {
        let hash = self.hash(key);
        if let Ok(entry) = self.places.find_entry(spread(hash), |entry| *entry == (hash, place)) {
            entry.remove();
        }
    }
}
