//! Whole messages of parts that come in any order, twice, or not at all, TS 23.040 §9.2.3.24.1.

use std::collections::BTreeMap;

use base::Instant;
use base::time::Duration;
use base::timer::Expiries;

use crate::header::Reference;
use crate::user_data::ShortMessage;

/// What belongs together: the sender, what he calls it, and how many parts he says it has.
type Key<K> = (K, Reference, u8);

/// Collects parts. `K` says who sent a part and to whom.
///
/// It remembers at most so many messages at once: the one that would be given up first makes room. A
/// whole message is remembered too until its time is over, so that a part that comes twice is
/// not taken for the first of another; one that says something else is.
#[derive(Debug)]
pub struct Reassembler<K: Ord> {
    most: usize,
    patience: Duration,
    messages: BTreeMap<Key<K>, Message>,
    expiries: Expiries<Key<K>>,
}

#[derive(Debug, Default)]
struct Message {
    /// By their number.
    parts: BTreeMap<u8, ShortMessage>,
    whole: bool,
}

/// What became of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Taken<K> {
    /// Its message is whole: all parts in order, or what needed no others.
    Whole(Vec<ShortMessage>),
    /// Others are missing.
    Waiting {
        /// The message that made room for it.
        given_up: Option<Incomplete<K>>,
    },
    /// It was here before.
    Duplicate,
}

/// A message of which parts are missing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Incomplete<K> {
    /// Who sent it.
    pub from: K,
    /// How many parts it has.
    pub total: u8,
    /// Those that came, in order.
    pub parts: Vec<ShortMessage>,
}

impl<K: Ord + Clone> Reassembler<K> {
    /// Remembers at most `most` messages (at least one), each for so long after its last new part.
    pub fn new(most: usize, patience: Duration) -> Reassembler<K> {
        let (messages, expiries) = (BTreeMap::new(), Expiries::default());
        Reassembler { most: most.max(1), patience, messages, expiries }
    }

    /// Takes a part, or a message that is whole by itself.
    pub fn take(&mut self, now: Instant, from: K, part: ShortMessage) -> Taken<K> {
        let Some(concatenation) = part.concatenation() else { return Taken::Whole(vec![part]) };
        let total = concatenation.total();
        let key = (from, concatenation.reference(), total);
        let mut given_up = None;
        match self.messages.get(&key).map(|m| (m.whole, m.parts.get(&concatenation.number()))) {
            Some((_, Some(before))) if *before == part => return Taken::Duplicate,
            // The sender uses the reference again.
            Some((_, Some(_)) | (true, _)) => given_up = self.forget(&key),
            Some((false, None)) => {}
            None if self.messages.len() >= self.most => {
                let oldest = self.expiries.due(Instant::from_unix_micros(u64::MAX));
                given_up = oldest.and_then(|oldest| self.forget(&oldest));
            }
            None => {}
        }
        self.expiries.set(now + self.patience, key.clone());
        let message = self.messages.entry(key).or_default();
        message.parts.insert(concatenation.number(), part);
        if message.parts.len() == usize::from(total) {
            message.whole = true;
            return Taken::Whole(message.parts.values().cloned().collect());
        }
        Taken::Waiting { given_up }
    }

    /// Gives up a message whose time is over; to be called until there is none.
    pub fn expire(&mut self, now: Instant) -> Option<Incomplete<K>> {
        while let Some(key) = self.expiries.due(now) {
            let given_up = self.forget(&key);
            if given_up.is_some() {
                return given_up;
            }
        }
        None
    }

    /// When the next message is to be given up.
    pub fn deadline(&self) -> Option<Instant> {
        self.expiries.next()
    }

    /// How many messages are remembered.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn forget(&mut self, key: &Key<K>) -> Option<Incomplete<K>> {
        self.expiries.remove(key);
        let ((from, _, total), message) = self.messages.remove_entry(key)?;
        let parts = message.parts.into_values().collect();
        (!message.whole).then_some(Incomplete { from, total, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::split;
    use crate::user_data::text_of;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Instant {
        Instant::from_unix_micros(seconds * 1_000_000)
    }

    fn parts(letter: &str, reference: u8) -> Vec<ShortMessage> {
        split(&letter.repeat(400), Reference::Eight(reference)).unwrap()
    }

    fn text(taken: Taken<&str>) -> Option<String> {
        match taken {
            Taken::Whole(parts) => text_of(&parts),
            _ => None,
        }
    }

    const WAITING: Taken<&str> = Taken::Waiting { given_up: None };

    #[test]
    fn parts_come_in_any_order_and_twice() {
        let mut reassembler = Reassembler::new(4, PATIENCE);
        let [a, b, c] = parts("a", 1).try_into().unwrap();
        assert_eq!(reassembler.take(at(0), "alice", c.clone()), WAITING);
        assert_eq!(reassembler.take(at(1), "alice", a.clone()), WAITING);
        assert_eq!(reassembler.take(at(2), "alice", a.clone()), Taken::Duplicate);
        // The same of another sender is another message.
        assert_eq!(reassembler.take(at(3), "bob", b.clone()), WAITING);
        assert_eq!(text(reassembler.take(at(4), "alice", b)), Some("a".repeat(400)));
        assert_eq!(reassembler.take(at(5), "alice", c), Taken::Duplicate);
        let single = ShortMessage::from_text("hello").unwrap();
        assert_eq!(text(reassembler.take(at(5), "alice", single)), Some("hello".into()));
    }

    #[test]
    fn what_does_not_become_whole_is_given_up() {
        let mut reassembler = Reassembler::new(4, PATIENCE);
        let [a, b, _] = parts("a", 1).try_into().unwrap();
        reassembler.take(at(0), "alice", b.clone());
        reassembler.take(at(10), "alice", a.clone());
        assert_eq!(reassembler.deadline(), Some(at(70)));
        assert_eq!(reassembler.expire(at(69)), None);
        let lost = Incomplete { from: "alice", total: 3, parts: vec![a, b] };
        assert_eq!(reassembler.expire(at(70)), Some(lost));
        assert_eq!((reassembler.expire(at(999)), reassembler.is_empty()), (None, true));
    }

    #[test]
    fn a_whole_message_is_forgotten_silently() {
        let mut reassembler = Reassembler::new(4, PATIENCE);
        for part in parts("a", 1) {
            reassembler.take(at(0), "alice", part);
        }
        assert_eq!(
            (reassembler.len(), reassembler.expire(at(60)), reassembler.len()),
            (1, None, 0)
        );
    }

    #[test]
    fn a_reference_that_is_used_again_is_another_message() {
        let mut reassembler = Reassembler::new(4, PATIENCE);
        let first = parts("a", 1);
        for part in &first {
            reassembler.take(at(0), "alice", part.clone());
        }
        let [a, b, c] = parts("b", 1).try_into().unwrap();
        assert_eq!(reassembler.take(at(1), "alice", a.clone()), WAITING);
        assert_eq!(reassembler.take(at(1), "alice", b), WAITING);
        assert_eq!(text(reassembler.take(at(1), "alice", c)), Some("b".repeat(400)));
        // And so it is while the first is not whole.
        reassembler.take(at(2), "bob", first[0].clone());
        let given_up = Some(Incomplete { from: "bob", total: 3, parts: vec![first[0].clone()] });
        assert_eq!(reassembler.take(at(2), "bob", a), Taken::Waiting { given_up });
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_makes_room() {
        let mut reassembler = Reassembler::new(2, PATIENCE);
        let part = |reference| parts("a", reference).remove(0);
        assert_eq!(reassembler.take(at(0), "alice", part(1)), WAITING);
        assert_eq!(reassembler.take(at(1), "alice", part(2)), WAITING);
        let given_up = Some(Incomplete { from: "alice", total: 3, parts: vec![part(1)] });
        assert_eq!(reassembler.take(at(2), "alice", part(3)), Taken::Waiting { given_up });
        assert_eq!(reassembler.len(), 2);
    }
}
