//! One file: a redb table for each [`Table`], bytes to bytes.
//!
//! Changes wait in a batch, which reads see, until one commit makes all of them durable: at once if
//! somebody's answer waits ([`Durability::Before`]), else within [`COALESCE`]. Beside a live loop a
//! thread commits; what is written meanwhile is the next batch.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Bound;
use std::sync::Arc;

use base::store::{Change, Durability, StoreError, Table};
use base::time::Duration;
use base::{Bytes, Event, Instant, Severity};
use redb::{Database, ReadableDatabase, ReadableTable, TableError};

use super::SimulatedDisk;
use super::batch::{Batch, definition};
use super::file::{File, OpenError, StoreConfig, blame};
use super::writer::Writer;
use crate::shard::{Store, Wake};

/// How long a change behind may wait for its commit.
const COALESCE: Duration = Duration::from_millis(50);
/// How long after a failed commit the next is tried, at first and at most.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Bytes of keys and values that may wait while the disk fails; beyond it changes are dropped.
const BACKLOG: usize = 64 << 20;

/// The embedded store.
#[derive(Debug)]
pub struct DiskStore {
    file: File,
    /// Closed until it is needed, and after an error of the disk.
    database: Option<Arc<Database>>,
    /// To read from while the disk cannot be written.
    shadow: Option<Database>,
    /// What the next commit makes durable.
    next: Batch,
    under_way: Option<UnderWay>,
    /// Without it, whoever calls commits.
    writer: Option<Writer>,
    deadline: Option<Instant>,
    /// Failed commits in a row.
    failures: u32,
    overflowed: bool,
    events: Vec<Event>,
}

/// A commit that was begun.
#[derive(Debug)]
struct UnderWay {
    batch: Arc<Batch>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The thread has it.
    Writing,
    /// A simulated disk takes it at this time.
    Until(Instant),
    Ended(Result<(), StoreError>),
}

impl DiskStore {
    /// Opens the file, creates it or brings it up to date.
    ///
    /// # Errors
    /// With advice for a person.
    pub fn open(config: StoreConfig) -> Result<DiskStore, OpenError> {
        let mut store = DiskStore::new(File::new(config));
        store.database = Some(Arc::new(store.file.open()?));
        Ok(store)
    }

    /// A store on a simulated disk; nothing is written until the first change.
    pub fn simulated(disk: SimulatedDisk) -> DiskStore {
        DiskStore::new(File::simulated(disk))
    }

    fn new(file: File) -> DiskStore {
        DiskStore {
            file,
            database: None,
            shadow: None,
            next: Batch::default(),
            under_way: None,
            writer: None,
            deadline: None,
            failures: 0,
            overflowed: false,
            events: Vec::new(),
        }
    }

    /// The database, opened to be written.
    fn writable(&mut self) -> Result<Arc<Database>, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => Arc::new(self.file.open().map_err(|error| match error {
                OpenError::Failed { error, .. } => error,
                _ => StoreError::Failed,
            })?),
        };
        self.shadow = None;
        Ok(Arc::clone(self.database.insert(database)))
    }

    /// The database to read from; `None` if nothing was ever written.
    fn readable(&mut self) -> Result<Option<&Database>, StoreError> {
        if self.database.is_none() && self.shadow.is_none() {
            if self.file.is_new() {
                return Ok(None);
            }
            if let Err(error) = self.writable() {
                let shadow = self.file.open_shadow().map_err(|_| error)?;
                self.shadow = Some(shadow);
            }
        }
        Ok(self.database.as_deref().or(self.shadow.as_ref()))
    }

    /// Reads; an error of the disk closes the database, since redb wants it opened anew.
    fn read<T>(
        &mut self,
        nothing: T,
        read: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let Some(database) = self.readable()? else { return Ok(nothing) };
        read(database).map_err(|error| {
            self.database = None;
            self.shadow = None;
            blame(&error)
        })
    }

    /// What is not in the file yet, oldest first.
    fn batches(&self) -> impl DoubleEndedIterator<Item = &Batch> {
        self.under_way.as_ref().map(|under_way| &*under_way.batch).into_iter().chain([&self.next])
    }

    /// Who commits a batch, or how that ended.
    fn stage(&mut self, now: Instant, batch: &Arc<Batch>) -> Stage {
        let latency = self.file.latency();
        if batch.is_empty() {
            return Stage::Ended(Ok(()));
        }
        if latency > Duration::ZERO {
            return Stage::Until(now + latency);
        }
        let database = match self.writable() {
            Ok(database) => database,
            Err(error) => return Stage::Ended(Err(error)),
        };
        match &self.writer {
            Some(writer) => {
                writer.begin(database, Arc::clone(batch));
                Stage::Writing
            }
            None => Stage::Ended(batch.apply(&database).map_err(|error| blame(&error))),
        }
    }

    fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let database = self.writable()?;
        batch.apply(&database).map_err(|error| blame(&error))
    }

    /// Waits for the end of the commit that is under way.
    fn wait(&mut self, now: Instant) -> Option<Result<(), StoreError>> {
        let UnderWay { batch, stage } = self.under_way.take()?;
        let result = match (stage, &self.writer) {
            (Stage::Ended(result), _) => result,
            (Stage::Writing, Some(writer)) => writer.wait(),
            (Stage::Writing | Stage::Until(_), _) => self.apply(&batch),
        };
        Some(self.settle(now, batch, result))
    }

    fn settle(
        &mut self,
        now: Instant,
        batch: Arc<Batch>,
        result: Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let Err(error) = result else {
            if !batch.is_empty() && std::mem::take(&mut self.failures) > 0 {
                self.overflowed = false;
                let text = "the store works again; nothing is left to write";
                self.events.push(Event::new(Severity::Info, "store.recovered", text));
            }
            return Ok(());
        };
        self.database = None;
        self.next = Arc::unwrap_or_clone(batch).undone(std::mem::take(&mut self.next));
        if self.failures == 0 {
            let text = format!(
                "commit failed: {error}; what need not be durable at once is kept and tried again, \
                 the rest is refused: check the disk's space and rights"
            );
            self.events.push(Event::new(Severity::Error, "store.failed", text));
        }
        let wait = RETRY_MAX.min(RETRY * (1 << self.failures.min(6)));
        self.failures = self.failures.saturating_add(1);
        self.deadline = (!self.next.is_empty()).then(|| now + wait);
        Err(error)
    }
}

impl Store for DiskStore {
    fn restore(
        &mut self,
        table: Table,
        record: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<(), StoreError> {
        let mut records = self.read(BTreeMap::new(), |database| {
            let transaction = database.begin_read()?;
            let mut records = BTreeMap::new();
            match transaction.open_table(definition(table)) {
                Ok(stored) => {
                    for entry in stored.iter()? {
                        let (key, value) = entry?;
                        records.insert(
                            Bytes::copy_from_slice(key.value()),
                            Bytes::copy_from_slice(value.value()),
                        );
                    }
                }
                Err(TableError::TableDoesNotExist(_)) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(records)
        })?;
        for ((of, key), value) in self.batches().flat_map(Batch::overlay) {
            match value {
                Some(value) if *of == table => drop(records.insert(key.clone(), value.clone())),
                None if *of == table => drop(records.remove(key)),
                _ => {}
            }
        }
        records.into_iter().for_each(|(key, value)| record(key, value));
        Ok(())
    }

    fn load(&mut self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if self.batches().any(|batch| !batch.is_empty()) {
            let key = (table, Bytes::copy_from_slice(key));
            if let Some(value) = self.batches().rev().find_map(|batch| batch.overlay().get(&key)) {
                return Ok(value.clone());
            }
        }
        self.read(None, |database| match database.begin_read()?.open_table(definition(table)) {
            Ok(stored) => Ok(stored.get(key)?.map(|value| Bytes::copy_from_slice(value.value()))),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    fn keys(
        &mut self,
        table: Table,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Bytes>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut added = BTreeSet::new();
        let mut removed = BTreeSet::new();
        for ((of, key), value) in self.batches().flat_map(Batch::overlay) {
            let beyond = after.is_none_or(|after| &key[..] > after);
            if *of == table && beyond {
                let (to, from) = match value {
                    Some(_) => (&mut added, &mut removed),
                    None => (&mut removed, &mut added),
                };
                from.remove(key);
                to.insert(key.clone());
            }
        }
        let stored = self.read(Vec::new(), |database| {
            let stored = match database.begin_read()?.open_table(definition(table)) {
                Ok(stored) => stored,
                Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            let mut keys = Vec::new();
            for entry in stored.range::<&[u8]>((start, Bound::Unbounded))? {
                let key = Bytes::copy_from_slice(entry?.0.value());
                if keys.len() == limit {
                    break;
                }
                if !removed.contains(&key) {
                    keys.push(key);
                }
            }
            Ok(keys)
        })?;
        added.extend(stored);
        Ok(added.into_iter().take(limit).collect())
    }

    fn write(&mut self, now: Instant, durability: Durability, changes: Vec<Change>) {
        if durability == Durability::Behind && self.next.bytes() > BACKLOG {
            if !std::mem::replace(&mut self.overflowed, true) {
                let text = "the disk is too slow or fails for too long: records that need not be \
                            durable at once are dropped until it works again";
                self.events.push(Event::new(Severity::Error, "store.overflow", text));
            }
            return;
        }
        self.next.add(durability, changes);
        if self.deadline.is_none() {
            self.deadline = Some(now + COALESCE);
        }
    }

    fn write_aside(&mut self, wake: Wake) -> io::Result<()> {
        self.writer = Some(Writer::start(wake)?);
        Ok(())
    }

    fn begin(&mut self, now: Instant) {
        if self.under_way.is_some() {
            return;
        }
        let batch = Arc::new(std::mem::take(&mut self.next));
        self.deadline = None;
        let stage = self.stage(now, &batch);
        self.under_way = Some(UnderWay { batch, stage });
    }

    fn ended(&mut self, now: Instant) -> Option<Result<(), StoreError>> {
        let UnderWay { batch, stage } = self.under_way.as_ref()?;
        let result = match stage {
            Stage::Ended(result) => *result,
            Stage::Writing => self.writer.as_ref()?.ended()?,
            Stage::Until(at) if now < *at => return None,
            Stage::Until(_) => {
                let batch = Arc::clone(batch);
                self.apply(&batch)
            }
        };
        let UnderWay { batch, .. } = self.under_way.take()?;
        Some(self.settle(now, batch, result))
    }

    fn commit(&mut self, now: Instant) -> Result<(), StoreError> {
        // What a failure leaves is tried again with the rest.
        let _ = self.wait(now);
        self.begin(now);
        self.wait(now).unwrap_or(Ok(()))
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.under_way {
            None => self.deadline,
            Some(UnderWay { stage: Stage::Until(at), .. }) => Some(*at),
            Some(_) => None,
        }
    }

    fn event(&mut self) -> Option<Event> {
        if self.events.is_empty() { None } else { Some(self.events.remove(0)) }
    }
}
