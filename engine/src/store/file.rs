//! The file of a store: how it is made, opened and brought up to date.

use std::path::{Path, PathBuf};

use base::Bytes;
use base::store::{Change, Durability, StoreError, Table};
use base::time::Duration;
use redb::WriteTransaction;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::SimulatedDisk;
use super::batch::{Batch, definition};
use super::shadow::Shadow;

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

/// Where the records are, and what is to be done when it is opened.
#[derive(Debug)]
pub(super) struct File {
    place: Place,
    schema: u64,
    migrate: Option<Migrate>,
    cache: usize,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Simulated(SimulatedDisk),
}

impl File {
    pub(super) fn new(config: StoreConfig) -> File {
        let StoreConfig { path, cache, schema, migrate } = config;
        File { place: Place::File(path), schema, migrate, cache }
    }

    pub(super) fn simulated(disk: SimulatedDisk) -> File {
        File { place: Place::Simulated(disk), schema: 1, migrate: None, cache: 1 << 20 }
    }

    /// Whether nothing was ever written to it.
    pub(super) fn is_new(&self) -> bool {
        match &self.place {
            Place::File(path) => !path.exists(),
            Place::Simulated(disk) => !disk.is_named(),
        }
    }

    /// How long a simulated disk needs for a commit.
    pub(super) fn latency(&self) -> Duration {
        match &self.place {
            Place::File(_) => Duration::ZERO,
            Place::Simulated(disk) => disk.latency(),
        }
    }

    /// Opens it to be written; it is created if it is new.
    pub(super) fn open(&self) -> Result<Database, OpenError> {
        let path = match &self.place {
            Place::File(path) => path.display().to_string(),
            Place::Simulated(_) => "simulated disk".to_owned(),
        };
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache);
        // A crash while redb lays out a new file would leave one that it does not open again: a new
        // file gets its name only once it is whole.
        let new = self.is_new();
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

    /// Opens it only to be read, whatever the disk says to writing.
    pub(super) fn open_shadow(&self) -> Result<Database, redb::Error> {
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
        let mut batch = Batch::default();
        batch.add(Durability::Before, changes.to_vec());
        batch.apply_to(self.0).map_err(|error| blame(&error))
    }
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
fn name(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::rename(from, to)?;
    match to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => std::fs::File::open(".")?.sync_all(),
    }
}

/// The error in the store's own terms.
pub(super) fn blame(error: &redb::Error) -> StoreError {
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
