//! A walk through the keys of all tables.

use base::Bytes;
use base::store::Table;

use super::glob;

/// Keys that KEYS tells at most.
const MOST: usize = 100_000;

/// What a walk is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// DBSIZE.
    Count,
    /// KEYS.
    Keys,
    /// SCAN: one page of one table.
    Page,
}

/// Where a walk is, and what it found.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) purpose: Purpose,
    pattern: Option<Bytes>,
    limit: usize,
    table: usize,
    after: Option<Bytes>,
    pub(super) seen: usize,
    pub(super) found: Vec<Bytes>,
    /// A page is read.
    done: bool,
}

impl Walk {
    pub(super) fn new(purpose: Purpose, pattern: Option<Bytes>, limit: usize) -> Walk {
        let found = Vec::new();
        Walk { purpose, pattern, limit, table: 0, after: None, seen: 0, found, done: false }
    }

    /// The same, where another one ended.
    pub(super) fn from(self, before: &Walk) -> Walk {
        Walk { table: before.table, after: before.after.clone(), ..self }
    }

    /// What has to be read next: a table, beyond which key, how many; `None` if all was.
    pub(super) fn next(&self, tables: &[Table]) -> Option<(Table, Option<Bytes>, usize)> {
        let table = tables.get(self.table).filter(|_| !self.done)?;
        Some((*table, self.after.clone(), self.limit))
    }

    /// Whether nothing is left beyond what was read.
    pub(super) fn is_over(&self, tables: &[Table]) -> bool {
        self.table >= tables.len()
    }

    /// Takes the keys that were read; `false` if they are too many.
    pub(super) fn take(&mut self, tables: &[Table], keys: Vec<Bytes>) -> bool {
        let Some(table) = tables.get(self.table) else { return true };
        self.seen += keys.len();
        if keys.len() < self.limit {
            self.table += 1;
            self.after = None;
        } else {
            self.after = keys.last().cloned();
        }
        self.done = self.purpose == Purpose::Page;
        if self.purpose != Purpose::Count {
            let names = keys.iter().map(|key| [table.0.as_bytes(), b":", key].concat());
            let fits = |name: &Vec<u8>| self.pattern.as_ref().is_none_or(|p| glob::fits(p, name));
            let names = names.filter(fits).map(Bytes::from);
            self.found.extend(names);
        }
        self.found.len() <= MOST
    }
}
