//! The texts that wait, by recipient and in order.

use std::collections::BTreeMap;

use base::Instant;

use crate::config::Patience;
use crate::record::{Content, Text};

/// Every recipient's texts.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    by_recipient: BTreeMap<String, Queue>,
    /// Recipients by the Call-ID of the last attempt to reach them.
    calls: BTreeMap<String, String>,
    total: usize,
    next: u64,
}

/// One recipient's texts.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    texts: BTreeMap<u64, Text>,
    /// The last one; its answer may still come when nobody waits for it any more.
    attempt: Option<Attempt>,
    /// Attempts that failed since one succeeded.
    failures: u32,
    /// Nothing is tried before.
    pub(crate) not_before: Instant,
}

/// A text that was sent to the recipient's phone, and was not answered yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Attempt {
    pub(crate) order: u64,
    /// Of the MESSAGE, which the phone's answer names in In-Reply-To.
    pub(crate) call_id: String,
    /// RP-Message-Reference.
    pub(crate) reference: u8,
    /// How long the answer is waited for; `None` when nobody does any more.
    pub(crate) until: Option<Instant>,
}

impl Queues {
    /// The number of the next text; later ones have higher ones, also after a restart.
    pub(crate) fn next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(crate) fn insert(&mut self, recipient: String, order: u64, text: Text) {
        self.next = self.next.max(order);
        let queue = self.by_recipient.entry(recipient).or_default();
        self.total += usize::from(queue.texts.insert(order, text).is_none());
    }

    /// Takes a text out; no answer to it is expected any more.
    pub(crate) fn remove(&mut self, recipient: &str, order: u64) -> Option<Text> {
        let queue = self.by_recipient.get_mut(recipient)?;
        if let Some(attempt) = queue.attempt.take_if(|attempt| attempt.order == order) {
            self.calls.remove(&attempt.call_id);
        }
        let text = queue.texts.remove(&order)?;
        self.total -= 1;
        if queue.texts.is_empty() {
            self.by_recipient.remove(recipient);
        }
        Some(text)
    }

    pub(crate) fn get(&mut self, recipient: &str) -> Option<&mut Queue> {
        self.by_recipient.get_mut(recipient)
    }

    /// A text is under way.
    pub(crate) fn start(&mut self, recipient: &str, attempt: Attempt) {
        if let Some(queue) = self.by_recipient.get_mut(recipient) {
            self.calls.insert(attempt.call_id.clone(), recipient.to_owned());
            if let Some(last) = queue.attempt.replace(attempt) {
                self.calls.remove(&last.call_id);
            }
        }
    }

    /// Who was sent what this Call-ID names.
    pub(crate) fn recipient_of(&self, call_id: &str) -> Option<&String> {
        self.calls.get(call_id)
    }

    /// The last attempt to reach a recipient.
    pub(crate) fn attempt(&self, recipient: &str) -> Option<&Attempt> {
        self.by_recipient.get(recipient)?.attempt.as_ref()
    }

    /// The attempt that is waited for.
    pub(crate) fn under_way(&self, recipient: &str) -> Option<&Attempt> {
        self.by_recipient.get(recipient)?.under_way()
    }

    pub(crate) fn recipients(&self) -> impl Iterator<Item = &String> {
        self.by_recipient.keys()
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn of(&self, recipient: &str) -> usize {
        self.by_recipient.get(recipient).map_or(0, |queue| queue.texts.len())
    }

    /// Whether a sender's text with this TP-MR waits for this recipient.
    pub(crate) fn has(&self, recipient: &str, from: &str, reference: u8) -> bool {
        let is = |text: &Text| match &text.content {
            Content::Submitted { submit, sender, .. } => {
                sender == from && submit.reference == reference
            }
            Content::Report(_) => false,
        };
        self.by_recipient.get(recipient).is_some_and(|queue| queue.texts.values().any(is))
    }
}

impl Queue {
    /// The text that is next, and whether there are more.
    pub(crate) fn first(&self) -> Option<(u64, &Text, bool)> {
        let (order, text) = self.texts.first_key_value()?;
        Some((*order, text, self.texts.len() > 1))
    }

    /// Whether the next attempt may be made.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.under_way().is_none() && self.not_before <= now
    }

    /// A text whose time is over, unless it is the one under way.
    pub(crate) fn over(&self, now: Instant) -> Option<u64> {
        let under_way = self.under_way().map(|attempt| attempt.order);
        let over = |(order, text): &(&u64, &Text)| text.end <= now && Some(**order) != under_way;
        self.texts.iter().find(over).map(|(order, _)| *order)
    }

    /// An attempt succeeded, or there is a reason to think that the next one will.
    pub(crate) fn encourage(&mut self) {
        self.failures = 0;
        self.not_before = Instant::EPOCH;
    }

    /// An attempt failed.
    pub(crate) fn failed(&mut self, now: Instant, patience: &Patience) {
        if let Some(attempt) = &mut self.attempt {
            attempt.until = None;
        }
        let doubled = 2u32.saturating_pow(self.failures);
        self.failures += 1;
        self.not_before = now + patience.retry.saturating_mul(doubled).min(patience.longest_retry);
    }

    /// When something is to be done if nothing happens before.
    pub(crate) fn wake(&self) -> Option<Instant> {
        let end = self.texts.values().map(|text| text.end).min()?;
        // The text under way is not ended by its period.
        let until = self.under_way().and_then(|attempt| attempt.until);
        Some(until.unwrap_or_else(|| self.not_before.min(end)))
    }

    fn under_way(&self) -> Option<&Attempt> {
        self.attempt.as_ref().filter(|attempt| attempt.until.is_some())
    }
}
