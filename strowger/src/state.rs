//! Where a process keeps what outlives it: the store, and the control door beside it.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use engine::DiskStore;
use engine::store::{OpenError, StoreConfig};

use crate::config::Config;

/// The version of the store's records.
const SCHEMA: u64 = 1;
/// Memory for the pages of the store, in bytes: the system keeps those that are read often anyway.
const CACHE: usize = 8 << 20;

/// The files of a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct State {
    /// The store.
    pub store: PathBuf,
    /// The control door, a Unix domain socket.
    pub door: PathBuf,
    /// The token of the HTTP API, if the configuration names no other file.
    pub token: PathBuf,
}

/// Why the files cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Neither an option, nor the configuration, nor the environment tells where.
    #[error("no place to keep subscribers: name one with --state DIR, or with `store` in the file")]
    Nowhere,
    /// The system said no.
    #[error("{path}: {error}")]
    Io {
        /// The path.
        path: String,
        /// What it said.
        error: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl State {
    /// The files of a state folder.
    pub fn in_folder(folder: &Path) -> State {
        State::of_store(folder.join("strowger.redb"))
    }

    /// A store and what is beside it, which nobody else's store in the same folder has: `x.redb.sock`,
    /// `x.redb.token`.
    fn of_store(store: PathBuf) -> State {
        let beside = |ending: &str| {
            let mut path = store.clone().into_os_string();
            path.push(ending);
            path.into()
        };
        State { door: beside(".sock"), token: beside(".token"), store }
    }

    /// The files that the command line, the configuration and the environment lead to, in this
    /// order: `--state`, `store`, the first folder of `$STATE_DIRECTORY` (systemd.exec(5)),
    /// `/var/lib/strowger` for root, `$XDG_STATE_HOME/strowger`, `~/.local/state/strowger`.
    ///
    /// # Errors
    /// If none of them is there.
    pub fn find(option: Option<&Path>, config: &Config) -> Result<State, StateError> {
        if let Some(folder) = option {
            return Ok(State::in_folder(folder));
        }
        if let Some(store) = &config.store {
            return Ok(State::of_store(store.clone()));
        }
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
        let folder = variable("STATE_DIRECTORY")
            .and_then(|folders| std::env::split_paths(&folders).next())
            .or_else(|| root.then(|| PathBuf::from("/var/lib/strowger")))
            .or_else(|| variable("XDG_STATE_HOME").map(|home| home.join("strowger")))
            .or_else(|| variable("HOME").map(|home| home.join(".local/state/strowger")));
        folder.map(|folder| State::in_folder(&folder)).ok_or(StateError::Nowhere)
    }

    /// Opens the store; creates it, for its owner only, if it is not there.
    ///
    /// # Errors
    /// With advice.
    pub fn open(&self) -> Result<DiskStore, StateError> {
        let folder = self.folder();
        let failed = |error| StateError::Io { path: folder.display().to_string(), error };
        private_folder(folder).map_err(failed)?;
        if !self.store.exists() {
            self.create(folder)?;
        }
        Ok(DiskStore::open(self.config(&self.store))?)
    }

    /// The store's folder.
    pub fn folder(&self) -> &Path {
        let folder = self.store.parent().filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    fn config(&self, path: &Path) -> StoreConfig {
        StoreConfig { path: path.to_owned(), cache: CACHE, schema: SCHEMA, migrate: None }
    }

    /// A new store holds keys soon: nobody else may open it, not even before it has its rights. So
    /// it is made in a folder of its own.
    fn create(&self, folder: &Path) -> Result<(), StateError> {
        let own = folder.join(format!(".new-{}", std::process::id()));
        let store = own.join("store");
        let failed = |error| StateError::Io { path: own.display().to_string(), error };
        let _ = fs::remove_dir_all(&own);
        DirBuilder::new().mode(0o700).create(&own).map_err(failed)?;
        let made = DiskStore::open(self.config(&store)).map_err(StateError::from).and_then(|_| {
            fs::set_permissions(&store, Permissions::from_mode(0o600)).map_err(failed)?;
            match fs::hard_link(&store, &self.store) {
                // Another process was faster; its store is as good.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked.map_err(failed),
            }
        });
        let _ = fs::remove_dir_all(&own);
        made
    }
}

fn private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_reads_the_store() {
        let folder = std::env::temp_dir().join(format!("strowger-state-{}", std::process::id()));
        let state = State::in_folder(&folder.join("deep"));
        for _ in 0..2 {
            drop(state.open().unwrap());
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&state.store), 0o600);
            assert_eq!(mode(state.folder()), 0o700);
            assert_eq!(fs::read_dir(state.folder()).unwrap().count(), 1);
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn options_come_before_the_file() {
        let config = Config { store: Some("/srv/s/x.redb".into()), ..Config::default() };
        let found = State::find(None, &config).unwrap();
        assert_eq!(found.door, Path::new("/srv/s/x.redb.sock"));
        let found = State::find(Some(Path::new("/tmp/y")), &config).unwrap();
        assert_eq!(found, State::in_folder(Path::new("/tmp/y")));
    }
}
