//! A table whose keys carry a generation, so that a token which we minted and others hand back is
//! checked and never trusted.

/// The key of an entry: slot and generation, 64 bits that may travel in a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    index: u32,
    generation: u32,
}

impl Slot {
    /// The key as one number.
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// A key from a number that came from outside; it may name nothing.
    pub const fn from_bits(bits: u64) -> Slot {
        Slot { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// A table of `T` with generation-checked keys and constant-time access. It grows piece by piece: nothing is
/// moved, and no more than a piece is empty.
#[derive(Debug)]
pub struct Slots<T> {
    pieces: Vec<Vec<Entry<T>>>,
    free: Vec<u32>,
    len: usize,
}

/// Entries of one piece.
const PIECE: usize = 128;

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { pieces: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Slots<T> {
    /// Puts a value in and returns its key.
    pub fn insert(&mut self, value: T) -> Slot {
        self.len += 1;
        if let Some(index) = self.free.pop()
            && let Some(entry) = self.entry_mut(index)
        {
            entry.value = Some(value);
            return Slot { index, generation: entry.generation };
        }
        let full = self.pieces.last().is_none_or(|piece| piece.len() == PIECE);
        if full {
            // Small tables are many: the first piece grows by itself.
            let room = if self.pieces.is_empty() { 0 } else { PIECE };
            self.pieces.push(Vec::with_capacity(room));
        }
        let before = (self.pieces.len() - 1) * PIECE;
        let piece = self.pieces.last_mut().expect("pushed if there was none");
        let index = u32::try_from(before + piece.len()).expect("fewer than 2^32 live entries");
        piece.push(Entry { generation: 1, value: Some(value) });
        Slot { index, generation: 1 }
    }

    fn entry(&self, index: u32) -> Option<&Entry<T>> {
        self.pieces.get(index as usize / PIECE)?.get(index as usize % PIECE)
    }

    fn entry_mut(&mut self, index: u32) -> Option<&mut Entry<T>> {
        self.pieces.get_mut(index as usize / PIECE)?.get_mut(index as usize % PIECE)
    }

    /// The entry of `slot`, unless it is gone.
    pub fn get(&self, slot: Slot) -> Option<&T> {
        let entry = self.entry(slot.index)?;
        if entry.generation == slot.generation { entry.value.as_ref() } else { None }
    }

    /// The entry of `slot`, unless it is gone.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        let entry = self.entry_mut(slot.index)?;
        if entry.generation == slot.generation { entry.value.as_mut() } else { None }
    }

    /// Takes the entry out; its key names nothing from here on.
    pub fn remove(&mut self, slot: Slot) -> Option<T> {
        let entry = self.entry_mut(slot.index)?;
        if entry.generation != slot.generation {
            return None;
        }
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot.index);
        self.len -= 1;
        Some(value)
    }

    /// Live entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All live entries with their keys, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        self.pieces.iter().flatten().enumerate().filter_map(|(index, entry)| {
            let slot = Slot { index: index as u32, generation: entry.generation };
            entry.value.as_ref().map(|value| (slot, value))
        })
    }

    /// All live entries with their keys, in the order of their slots.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut T)> {
        self.pieces.iter_mut().flatten().enumerate().filter_map(|(index, entry)| {
            let slot = Slot { index: index as u32, generation: entry.generation };
            entry.value.as_mut().map(|value| (slot, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_names_nothing() {
        let mut slots = Slots::default();
        let a = slots.insert("a");
        assert_eq!(slots.remove(a), Some("a"));
        let b = slots.insert("b");
        assert_eq!(slots.get(a), None);
        assert_eq!(slots.remove(a), None);
        assert_eq!(slots.get(Slot::from_bits(b.to_bits())), Some(&"b"));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn a_table_of_many_pieces() {
        let mut slots = Slots::default();
        let keys: Vec<Slot> = (0..3 * PIECE).map(|n| slots.insert(n)).collect();
        assert_eq!(slots.iter().map(|(key, n)| (key, *n)).collect::<Vec<_>>().len(), 3 * PIECE);
        for (n, key) in keys.iter().enumerate().filter(|(n, _)| n % 2 == 0) {
            assert_eq!(slots.remove(*key), Some(n));
        }
        let again: Vec<Slot> = (0..PIECE).map(|n| slots.insert(n)).collect();
        assert!(again.iter().enumerate().all(|(n, key)| slots.get(*key) == Some(&n)));
        assert!(keys.iter().enumerate().all(|(n, key)| slots.get(*key).is_some() == (n % 2 == 1)));
        assert_eq!(slots.len(), 3 * PIECE - PIECE / 2);
    }

    #[test]
    fn a_forged_key_names_nothing() {
        let mut slots = Slots::default();
        slots.insert(1);
        assert_eq!(slots.get(Slot::from_bits(u64::MAX)), None);
        assert_eq!(slots.get(Slot::from_bits(0)), None);
    }
}
