//! Another configuration while users are registered: when the criteria that all subscribers share
//! change, every registered user is looked at, page by page, and his S-CSCF is told of his new profile
//! (PPR, TS 29.228 §6.2.2) if it differs from what it has.

use std::collections::BTreeSet;

use base::machine::Output;
use base::store::{LoadId, StoreError};
use base::{Event, Severity};
use bytes::Bytes;

use super::operation::{OperationKind, Task};
use super::{Hss, HssConfig};
use crate::records;
use crate::registration::Registration;

/// Users that are looked at side by side.
const PAGE: usize = 64;

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    /// The number of the newest scan: answers to older ones come too late.
    scan: u64,
    /// Jobs of this page that are under way.
    open: BTreeSet<u64>,
    /// Where the next page begins, if there is one.
    after: Option<Bytes>,
}

impl Hss {
    /// Takes over another configuration, which is also an order that an HSS takes. The node's name,
    /// applications and peers are to be those that it was built with.
    pub fn configure(&mut self, config: HssConfig) {
        self.node.trust(config.node.trusted);
        self.scscfs = config.scscfs;
        self.psis = config.psis;
        if self.criteria != config.criteria {
            self.criteria = config.criteria;
            self.refresh.open.clear();
            self.next_page(None);
        }
    }

    fn next_page(&mut self, after: Option<Bytes>) {
        self.refresh.scan += 1;
        let load = LoadId(self.refresh.scan);
        self.outputs.push_back(Output::Scan {
            load,
            table: records::REGISTRATION,
            after,
            limit: PAGE,
        });
    }

    /// A page of private identities that have a registration record.
    pub(super) fn scanned(&mut self, load: LoadId, keys: Result<Vec<Bytes>, StoreError>) {
        if load != LoadId(self.refresh.scan) {
            return;
        }
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => {
                let text = format!(
                    "the new criteria do not reach all who are registered: {error}; each gets them \
                     when he registers anew"
                );
                return self.tell(Event::new(Severity::Error, "hss.not_told", text));
            }
        };
        self.refresh.after = keys.last().filter(|_| keys.len() == PAGE).cloned();
        for key in keys {
            let impi = String::from_utf8_lossy(&key).into_owned();
            let before = Registration::default();
            let task = Task::Operation(OperationKind::Written { before });
            let job = self.begin_task(impi, task);
            self.refresh.open.extend(job);
        }
        self.go_on();
    }

    /// A job is over.
    pub(super) fn looked_at(&mut self, id: u64) {
        if self.refresh.open.remove(&id) {
            self.go_on();
        }
    }

    fn go_on(&mut self) {
        if self.refresh.open.is_empty()
            && let Some(after) = self.refresh.after.take()
        {
            self.next_page(Some(after));
        }
    }
}
