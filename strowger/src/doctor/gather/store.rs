//! Looks at the store: through the running process, or by opening it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use engine::store::OpenError;

use crate::control::Client;
use crate::doctor::facts::{Opened, Store, Subscribers};
use crate::provision::{Ask, Found, Offline, Refusal};
use crate::state::{State, StateError};

/// Pages of subscribers that are read; the rest is likely to be alike.
const PAGES: usize = 25;

/// What was seen.
pub(super) struct Seen {
    pub(super) store: Store,
    pub(super) running: bool,
    pub(super) subscribers: Option<Subscribers>,
    /// When the store was written, in seconds since 1970.
    pub(super) written: Option<(u64, PathBuf)>,
}

pub(super) fn look(state: &State, subscribers: bool) -> Seen {
    let folder = existing(state.folder());
    let file = fs::metadata(&state.store).ok();
    let written = file.as_ref().and_then(|file| u64::try_from(file.mtime()).ok());
    let mut seen = Seen {
        store: Store {
            path: Some(state.store.clone()),
            opened: Opened::Well,
            mode: file.as_ref().map(MetadataExt::mode),
            free: engine::host::free_space(&folder).ok(),
            filesystem: filesystem(&folder),
        },
        running: false,
        subscribers: None,
        written: written.map(|written| (written, state.store.clone())),
    };
    match Client::connect(&state.door) {
        Ok(Some(mut client)) => {
            seen.running = true;
            if subscribers {
                seen.subscribers = Some(read(|ask| client.ask(&ask).map_err(|e| e.to_string())));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            seen.store.opened = Opened::ControlRefused(error.to_string());
        }
        // A path that is too long is seen as such.
        Ok(None) | Err(_) => {
            if let Some((what, error)) = not_writable(state, &folder, file.is_some()) {
                seen.store.opened = Opened::NotWritable(what, error);
            } else if file.is_none() {
                seen.store.opened = Opened::New;
                seen.subscribers = subscribers.then(Subscribers::default);
            } else {
                open(state, subscribers, &mut seen);
            }
        }
    }
    seen
}

fn open(state: &State, subscribers: bool, seen: &mut Seen) {
    match state.open() {
        Ok(store) => {
            let mut offline = Offline::new(store);
            let damaged = |refusal: Refusal| refusal.to_string();
            seen.subscribers = subscribers.then(|| read(|ask| offline.ask(ask).map_err(damaged)));
        }
        Err(StateError::Open(error)) => {
            let text = error.to_string();
            seen.store.opened = match error {
                OpenError::InUse { .. } => Opened::InUse,
                OpenError::Newer { .. } | OpenError::Migration { .. } => Opened::Version(text),
                OpenError::Failed { .. } => Opened::Foreign(text),
            };
        }
        Err(error) => {
            seen.store.opened = Opened::NotWritable(state.store.clone(), error.to_string());
        }
    }
}

fn read(mut ask: impl FnMut(Ask) -> Result<Found, String>) -> Subscribers {
    let mut all = Subscribers::default();
    let mut after = None;
    for _ in 0..PAGES {
        match ask(Ask::List { after }) {
            Ok(found) => {
                all.first.extend(found.subscribers.iter().map(super::row));
                all.more = found.more;
                after = found.subscribers.last().map(|last| last.impi.clone());
            }
            Err(text) => {
                all.damaged = Some(text);
                return all;
            }
        }
        if !all.more || after.is_none() {
            break;
        }
    }
    all
}

/// The folder, or the nearest above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/")).to_owned()
}

/// What cannot be written, and what the system says. A file of our own is made and taken away: rights
/// alone do not tell of read-only disks.
fn not_writable(state: &State, folder: &Path, exists: bool) -> Option<(PathBuf, String)> {
    if exists {
        let opened = OpenOptions::new().read(true).write(true).open(&state.store);
        if let Err(error) = opened {
            return Some((state.store.clone(), error.to_string()));
        }
    }
    folder_not_writable(folder)
}

/// The same of a folder, or of the nearest above it that is there.
pub(super) fn folder_not_writable(folder: &Path) -> Option<(PathBuf, String)> {
    let folder = existing(folder);
    let own = folder.join(format!(".doctor-{}", std::process::id()));
    let made = fs::DirBuilder::new().create(&own);
    let _ = fs::remove_dir(&own);
    made.err().map(|error| (folder, error.to_string()))
}

/// The type of the file system that a folder is on: that of its innermost mount.
fn filesystem(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = |line: &str| {
        let (place, kind) = line.split_once(" - ")?;
        let place = PathBuf::from(place.split(' ').nth(4)?.replace("\\040", " "));
        let depth = place.components().count();
        folder
            .starts_with(&place)
            .then(|| (depth, kind.split(' ').next().unwrap_or_default().to_owned()))
    };
    // Of two mounts at one place the later one is seen.
    mounts.lines().filter_map(mount).max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}
