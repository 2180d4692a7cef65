//! One file: a redb table for each [`Table`], bytes to bytes.
//!
//! Changes wait in an overlay, which reads see, until one commit makes all of them durable: at once
//! if somebody's answer waits ([`Durability::Before`]), else within [`COALESCE`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::PathBuf;

use base::store::{Change, Durability, StoreError, Table};
use base::time::Duration;
use base::{Bytes, Event, Instant, Severity};
use redb::{
    Database, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction,
};

use super::SimulatedDisk;
use super::shadow::Shadow;
use crate::shard::Store;

/// How long a change behind may wait for its commit.
const COALESCE: Duration = Duration::from_millis(50);
/// How long after a failed commit the next is tried, at first and at most.
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Bytes of keys and values that may wait while the disk fails; beyond it changes are dropped.
const BACKLOG: usize = 64 << 20;

const SCHEMA: TableDefinition<'static, &str, u64> = TableDefinition::new("strowger.schema");

/// What a store is opened with.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The file; it is created if it is not there.
    pub path: PathBuf,
    /// Memory for cached pages, in bytes.
    pub cache: usize,
    /// The version of the records that this program writes.
    pub schema: u64,
    /// Brings records of an older version up to date.
    pub migrate: Option<Migrate>,
}

/// Brings all records from an older schema version (the number) to the program's own.
pub type Migrate = fn(u64, &mut Records<'_>) -> Result<(), StoreError>;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer program wrote it.
    #[error(
        "{path} was written by a newer version of this program (schema {found}, this one knows \
         {known}): run that version, or start with another store file"
    )]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// An older program wrote it and there is no way to bring it up to date.
    #[error("{path} has schema {found} and cannot be brought to {known}: {error}")]
    Migration {
        /// The file.
        path: String,
        /// Its version.
        found: u64,
        /// Ours.
        known: u64,
        /// Why.
        error: StoreError,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process: stop that one, or configure another store file")]
    InUse {
        /// The file.
        path: String,
    },
    /// The disk, or what is on it.
    #[error("{path} cannot be opened: {text}")]
    Failed {
        /// The file.
        path: String,
        /// What happened.
        text: String,
        /// In the store's own terms.
        error: StoreError,
    },
}

type Key = (Table, Bytes);
type Stored<'a> = redb::Table<'a, &'static [u8], &'static [u8]>;

/// The embedded store.
#[derive(Debug)]
pub struct DiskStore {
    place: Place,
    schema: u64,
    migrate: Option<Migrate>,
    cache: usize,
    /// Closed until it is needed, and after an error of the disk.
    database: Option<Database>,
    /// To read from while the disk cannot be written.
    shadow: Option<Database>,
    /// What is to be committed, in order.
    pending: Vec<(Durability, Vec<Change>)>,
    /// The effect of `pending`: `None` is a deleted record.
    overlay: BTreeMap<Key, Option<Bytes>>,
    /// Bytes of all that is pending.
    backlog: usize,
    deadline: Option<Instant>,
    /// Failed commits in a row.
    failures: u32,
    overflowed: bool,
    events: Vec<Event>,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Simulated(SimulatedDisk),
}

impl DiskStore {
    /// Opens the file, creates it or brings it up to date.
    ///
    /// # Errors
    /// With advice for a person.
    pub fn open(config: StoreConfig) -> Result<DiskStore, OpenError> {
        let mut store = DiskStore::new(Place::File(config.path), config.schema, config.cache);
        store.migrate = config.migrate;
        store.database = Some(store.open_database()?);
        Ok(store)
    }

    /// A store on a simulated disk; nothing is written until the first change.
    pub fn simulated(disk: SimulatedDisk) -> DiskStore {
        DiskStore::new(Place::Simulated(disk), 1, 1 << 20)
    }

    fn new(place: Place, schema: u64, cache: usize) -> DiskStore {
        DiskStore {
            place,
            schema,
            migrate: None,
            cache,
            database: None,
            shadow: None,
            pending: Vec::new(),
            overlay: BTreeMap::new(),
            backlog: 0,
            deadline: None,
            failures: 0,
            overflowed: false,
            events: Vec::new(),
        }
    }

    fn open_database(&self) -> Result<Database, OpenError> {
        let path = match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Simulated(_) => "simulated disk".to_owned(),
        };
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache);
        // A crash while redb lays out a new file would leave one that it does not open again: a new
        // file gets its name only once it is whole.
        let new = match &self.place {
            Place::File(path) => !path.exists(),
            Place::Simulated(disk) => !disk.is_named(),
        };
        let unnamed = |path: &PathBuf| {
            let mut name = path.as_os_str().to_owned();
            name.push(".new");
            PathBuf::from(name)
        };
        let opened = match &self.place {
            Place::File(path) if new => {
                let path = unnamed(path);
                let _ = std::fs::remove_file(&path);
                builder.create(path)
            }
            Place::File(path) => builder.create(path),
            Place::Simulated(disk) => builder.create_with_backend(disk.open()),
        };
        let failed = |error: redb::Error| OpenError::Failed {
            path: path.clone(),
            text: error.to_string(),
            error: blame(&error),
        };
        let database = opened.map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path: path.clone() },
            error => failed(error.into()),
        })?;
        let found = read_schema(&database).map_err(failed)?;
        let known = self.schema;
        match found {
            Some(found) if found == known => return Ok(database),
            Some(found) if found > known => return Err(OpenError::Newer { path, found, known }),
            _ => {}
        }
        let mut transaction = database.begin_write().map_err(|e| failed(e.into()))?;
        transaction.set_quick_repair(true);
        if let Some(found) = found {
            let mut records = Records(&transaction);
            let migrated = match self.migrate {
                Some(migrate) => migrate(found, &mut records),
                None => Err(StoreError::Failed),
            };
            migrated.map_err(|error| OpenError::Migration {
                path: path.clone(),
                found,
                known,
                error,
            })?;
        }
        write_schema(&transaction, known).map_err(failed)?;
        transaction.commit().map_err(|e| failed(e.into()))?;
        if new {
            let named = match &self.place {
                Place::File(path) => name(&unnamed(path), path),
                Place::Simulated(disk) => disk.name(),
            };
            named.map_err(|error| failed(redb::Error::Io(error)))?;
        }
        Ok(database)
    }

    /// The database, opened to be written.
    fn writable(&mut self) -> Result<&Database, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.open_database().map_err(|error| match error {
                OpenError::Failed { error, .. } => error,
                _ => StoreError::Failed,
            })?,
        };
        self.shadow = None;
        Ok(self.database.insert(database))
    }

    /// The database to read from; `None` if nothing was ever written.
    fn readable(&mut self) -> Result<Option<&Database>, StoreError> {
        if self.database.is_none() && self.shadow.is_none() {
            if let Place::Simulated(disk) = &self.place
                && !disk.is_named()
            {
                return Ok(None);
            }
            if let Err(error) = self.writable() {
                let shadow = self.open_shadow().map_err(|_| error)?;
                self.shadow = Some(shadow);
            }
        }
        Ok(self.database.as_ref().or(self.shadow.as_ref()))
    }

    fn open_shadow(&self) -> Result<Database, redb::Error> {
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache);
        let opened = match &self.place {
            Place::File(path) => {
                let file = redb::backends::FileBackend::new(std::fs::File::open(path)?)?;
                builder.create_with_backend(Shadow::new(file)?)
            }
            Place::Simulated(disk) => builder.create_with_backend(Shadow::new(disk.open())?),
        };
        Ok(opened?)
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

    fn overlay_rebuild(&mut self) {
        self.overlay.clear();
        self.backlog = 0;
        for (_, changes) in &self.pending {
            for change in changes {
                self.backlog += put(&mut self.overlay, change);
            }
        }
    }

    fn commit_overlay(&mut self) -> Result<(), StoreError> {
        let overlay = std::mem::take(&mut self.overlay);
        let result = self
            .writable()
            .and_then(|database| apply(database, &overlay).map_err(|error| blame(&error)));
        self.overlay = overlay;
        if result.is_err() {
            self.database = None;
        }
        result
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
        for ((of, key), value) in &self.overlay {
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
        if !self.overlay.is_empty()
            && let Some(value) = self.overlay.get(&(table, Bytes::copy_from_slice(key)))
        {
            return Ok(value.clone());
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
        for ((of, key), value) in &self.overlay {
            let beyond = after.is_none_or(|after| &key[..] > after);
            if *of == table && beyond {
                let to = if value.is_some() { &mut added } else { &mut removed };
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
        if durability == Durability::Behind && self.backlog > BACKLOG {
            if !std::mem::replace(&mut self.overflowed, true) {
                let text = "the disk fails for too long: records that need not be durable at once \
                            are dropped until it works again";
                self.events.push(Event::new(Severity::Error, "store.overflow", text));
            }
            return;
        }
        for change in &changes {
            self.backlog += put(&mut self.overlay, change);
        }
        self.pending.push((durability, changes));
        if self.deadline.is_none() {
            self.deadline = Some(now + COALESCE);
        }
    }

    fn commit(&mut self, now: Instant) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            self.deadline = None;
            return Ok(());
        }
        let result = self.commit_overlay();
        match result {
            Ok(()) => {
                self.pending.clear();
                self.overlay.clear();
                self.backlog = 0;
                self.deadline = None;
                if std::mem::take(&mut self.failures) > 0 {
                    self.overflowed = false;
                    let text = "the store works again; nothing is left to write";
                    self.events.push(Event::new(Severity::Info, "store.recovered", text));
                }
            }
            Err(error) => {
                self.pending.retain(|(durability, _)| *durability == Durability::Behind);
                self.overlay_rebuild();
                // Many changes of one record are one change from here on.
                let net = self.overlay.iter().map(|((table, key), value)| match value {
                    Some(value) => {
                        Change::Put { table: *table, key: key.clone(), value: value.clone() }
                    }
                    None => Change::Delete { table: *table, key: key.clone() },
                });
                self.pending = vec![(Durability::Behind, net.collect())];
                self.overlay_rebuild();
                if self.failures == 0 {
                    let text = format!(
                        "commit failed: {error}; what need not be durable at once is kept and \
                         tried again, the rest is refused: check the disk's space and rights"
                    );
                    self.events.push(Event::new(Severity::Error, "store.failed", text));
                }
                let wait = RETRY_MAX.min(RETRY * (1 << self.failures.min(6)));
                self.failures = self.failures.saturating_add(1);
                self.deadline = (!self.overlay.is_empty()).then(|| now + wait);
                if self.overlay.is_empty() {
                    self.pending.clear();
                }
            }
        }
        result
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn event(&mut self) -> Option<Event> {
        if self.events.is_empty() { None } else { Some(self.events.remove(0)) }
    }
}

/// The records of a store that is being brought up to date.
pub struct Records<'a>(&'a WriteTransaction);

impl Records<'_> {
    /// All records of a table.
    ///
    /// # Errors
    /// What the disk did.
    pub fn all(&self, table: Table) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let read = || -> Result<Vec<(Bytes, Bytes)>, redb::Error> {
            let stored = self.0.open_table(definition(table))?;
            let mut records = Vec::new();
            for entry in stored.iter()? {
                let (key, value) = entry?;
                let bytes = Bytes::copy_from_slice;
                records.push((bytes(key.value()), bytes(value.value())));
            }
            Ok(records)
        };
        read().map_err(|error| blame(&error))
    }

    /// Applies changes.
    ///
    /// # Errors
    /// What the disk did.
    pub fn change(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut overlay = BTreeMap::new();
        for change in changes {
            put(&mut overlay, change);
        }
        apply_to(self.0, &overlay).map_err(|error| blame(&error))
    }
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.0)
}

/// Notes a change in an overlay; the bytes that it holds.
fn put(overlay: &mut BTreeMap<Key, Option<Bytes>>, change: &Change) -> usize {
    let (key, value) = match change {
        Change::Put { table, key, value } => ((*table, key.clone()), Some(value.clone())),
        Change::Delete { table, key } => ((*table, key.clone()), None),
    };
    let size = key.1.len() + value.as_ref().map_or(0, Bytes::len);
    overlay.insert(key, value);
    size
}

fn apply(database: &Database, overlay: &BTreeMap<Key, Option<Bytes>>) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // Opening after a crash must not read the whole file.
    transaction.set_quick_repair(true);
    apply_to(&transaction, overlay)?;
    transaction.commit()?;
    Ok(())
}

fn apply_to(
    transaction: &WriteTransaction,
    overlay: &BTreeMap<Key, Option<Bytes>>,
) -> Result<(), redb::Error> {
    let mut open: Option<(Table, Stored<'_>)> = None;
    for ((table, key), value) in overlay {
        if open.as_ref().is_none_or(|(of, _)| of != table) {
            drop(open.take());
            open = Some((*table, transaction.open_table(definition(*table))?));
        }
        if let Some((_, stored)) = &mut open {
            match value {
                Some(value) => drop(stored.insert(&key[..], &value[..])?),
                None => drop(stored.remove(&key[..])?),
            }
        }
    }
    Ok(())
}

fn read_schema(database: &Database) -> Result<Option<u64>, redb::Error> {
    match database.begin_read()?.open_table(SCHEMA) {
        Ok(table) => Ok(table.get("version")?.map(|version| version.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write_schema(transaction: &WriteTransaction, version: u64) -> Result<(), redb::Error> {
    transaction.open_table(SCHEMA)?.insert("version", version)?;
    Ok(())
}

/// Gives a file its name, durably.
fn name(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    match to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => std::fs::File::open(".")?.sync_all(),
    }
}

/// The error in the store's own terms.
fn blame(error: &redb::Error) -> StoreError {
    use std::io::ErrorKind;
    match error {
        redb::Error::Io(io) => match io.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                StoreError::Full
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => StoreError::ReadOnly,
            _ => StoreError::Failed,
        },
        _ => StoreError::Failed,
    }
}
