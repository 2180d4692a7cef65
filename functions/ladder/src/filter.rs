//! Which records a live subscriber wants. What ties them is learned while it goes.

use std::collections::BTreeSet;

use base::{Instant, Service};

use crate::correlate::{CAUSE, Exchange, exchange};
use crate::dissect::{Key, Summary};
use crate::identity::Wanted;
use crate::record::Record;

/// All conditions must hold; an empty filter passes everything.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Filter {
    /// Only this protocol.
    pub service: Option<Service>,
    /// Only what this function sends or receives, by its configured name.
    pub party: Option<String>,
    /// Only the call of this Call-ID and what belongs to it.
    pub call: Option<String>,
    /// Only what belongs to a subscriber: `sip:…`, `tel:…`, an IMPI, IMSI or MSISDN.
    pub subscriber: Option<String>,
    /// Other identities of this subscriber, as [`Correlation::identities`] tells them: what was
    /// learned before the subscription began.
    ///
    /// [`Correlation::identities`]: crate::Correlation::identities
    pub aliases: Vec<String>,
}

/// Ties beyond this number are not learned: a guard against a peer that invents them.
const MOST_TIES: usize = 4096;

/// A filter with what it learned.
#[derive(Debug)]
pub(crate) struct Follow {
    filter: Filter,
    wanted: Vec<Wanted>,
    /// What makes a message belong to what went before: its keys, or the request that it answers.
    keys: BTreeSet<Key>,
    exchanges: BTreeSet<Exchange>,
    /// Identities of the call's SIP requests, and when they were last seen.
    identities: BTreeSet<Key>,
    last: Instant,
}

impl Follow {
    pub(crate) fn new(filter: Filter) -> Follow {
        let wanted =
            filter.subscriber.iter().chain(&filter.aliases).map(|w| Wanted::parse(w)).collect();
        let keys = filter.call.iter().map(|id| Key::CallId(id.clone())).collect();
        Follow {
            filter,
            wanted,
            keys,
            exchanges: BTreeSet::new(),
            identities: BTreeSet::new(),
            last: Instant::EPOCH,
        }
    }

    pub(crate) fn wants(&mut self, record: &Record, summary: &Summary) -> bool {
        let belongs = self.belongs(record, summary);
        let named = |party: &str| {
            [&record.from, &record.to].iter().any(|p| p.name.as_deref() == Some(party))
        };
        belongs
            && self.filter.service.is_none_or(|service| service == record.service)
            && self.filter.party.as_deref().is_none_or(named)
    }

    fn belongs(&mut self, record: &Record, summary: &Summary) -> bool {
        if self.filter.call.is_none() && self.wanted.is_empty() {
            return true;
        }
        let tied = summary.keys.iter().any(|key| self.keys.contains(key));
        let wanted = |key: &Key| self.wanted.iter().any(|w| w.is_key(key));
        let caused = summary.protocol == Service::Diameter
            && summary.is_request()
            && record.at.since(self.last) <= CAUSE
            && summary.keys.iter().any(|key| self.identities.contains(key));
        let answers = || self.exchanges.contains(&exchange(record, summary));
        if !(tied || caused || summary.keys.iter().any(wanted) || answers()) {
            return false;
        }
        self.learn(record, summary);
        true
    }

    fn learn(&mut self, record: &Record, summary: &Summary) {
        if self.keys.len() + self.exchanges.len() + self.identities.len() > MOST_TIES {
            return;
        }
        if summary.protocol != Service::Sip && summary.is_request() {
            self.exchanges.insert(exchange(record, summary));
        }
        // A call is not followed to all calls of the people in it; a subscriber is followed by
        // what its registration tells.
        for key in &summary.keys {
            match key {
                Key::CallId(_) | Key::Icid(_) | Key::SessionId(_) => {
                    self.keys.insert(key.clone());
                }
                Key::Impi(_) if !self.wanted.is_empty() && summary.verb == "REGISTER" => {
                    self.keys.insert(key.clone());
                }
                Key::Impu(_) if summary.protocol == Service::Sip && self.filter.call.is_some() => {
                    self.identities.insert(key.clone());
                    self.last = record.at;
                }
                _ => {}
            }
        }
    }
}
