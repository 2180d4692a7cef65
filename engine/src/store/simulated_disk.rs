//! A disk that on a crash loses and tears what was not synced.

use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Random;
use base::time::Duration;

/// What a crash may tear a write into.
const SECTOR: usize = 512;

/// One file on a simulated disk; clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    random: Random,
    /// What is on the platter.
    durable: Vec<u8>,
    /// What the running process sees.
    current: Vec<u8>,
    /// Not synced, in order.
    unsynced: Vec<Unsynced>,
    /// Counts crashes: handles of earlier lives are dead.
    generation: u64,
    /// The file has its name: without it, it is gone after a crash.
    named: bool,
    capacity: Option<u64>,
    read_only: bool,
    latency: Duration,
    /// The power fails after so many more operations.
    fuse: Option<u64>,
    failed: bool,
}

#[derive(Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> SimulatedDisk {
        SimulatedDisk(Arc::new(Mutex::new(Inner {
            random: Random::from_u64(seed),
            durable: Vec::new(),
            current: Vec::new(),
            unsynced: Vec::new(),
            generation: 0,
            named: false,
            capacity: None,
            read_only: false,
            latency: Duration::ZERO,
            fuse: None,
            failed: false,
        })))
    }

    /// The power fails: of what was not synced, some is kept, some lost, some torn, as the seed
    /// says. Whoever has the file open gets errors from here on.
    pub fn crash(&self, seed: u64) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.generation += 1;
        inner.fuse = None;
        inner.failed = false;
        inner.random = Random::from_u64(seed);
        for change in std::mem::take(&mut inner.unsynced) {
            match (inner.random.below(3), change) {
                (0, _) => {}
                (1, change) => change.apply(&mut inner.durable),
                (_, Unsynced::Length(n)) => inner.durable.resize(n, 0),
                (_, Unsynced::Write(offset, data)) => {
                    for (at, sector) in data.chunks(SECTOR).enumerate() {
                        if inner.random.below(2) == 0 {
                            Unsynced::Write(offset + at * SECTOR, sector.to_vec())
                                .apply(&mut inner.durable);
                        }
                    }
                }
            }
        }
        if !inner.named {
            inner.durable.clear();
        }
        inner.current = inner.durable.clone();
    }

    /// The power fails after so many more writes, syncs and changes of length: from there on each
    /// of them is an error, until [`crash`](SimulatedDisk::crash).
    pub fn fail_after(&self, operations: u64) {
        self.lock().fuse = Some(operations);
    }

    /// Whether the power has failed and nobody has noticed yet with [`crash`](SimulatedDisk::crash).
    pub fn has_failed(&self) -> bool {
        self.lock().failed
    }

    /// Nothing beyond so many bytes can be written, whatever the file has taken by then; `None` takes
    /// the limit away.
    pub fn limit(&self, capacity: Option<u64>) {
        self.lock().capacity = capacity;
    }

    /// Makes the disk read-only, or writable again.
    pub fn read_only(&self, read_only: bool) {
        self.lock().read_only = read_only;
    }

    /// How long a commit takes from now on.
    pub fn slow(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    pub(super) fn latency(&self) -> Duration {
        self.lock().latency
    }

    /// The length of the file, as the running process sees it.
    pub fn length(&self) -> u64 {
        self.lock().current.len() as u64
    }

    pub(super) fn is_named(&self) -> bool {
        self.lock().named
    }

    /// Gives the file its name, durably.
    pub(super) fn name(&self) -> Result<()> {
        let mut inner = self.lock();
        inner.burn()?;
        inner.named = true;
        Ok(())
    }

    /// Opens the file; one that never got its name is begun anew.
    pub(super) fn open(&self) -> Handle {
        let mut inner = self.lock();
        if !inner.named {
            inner.durable.clear();
            inner.current.clear();
            inner.unsynced.clear();
        }
        Handle { disk: self.clone(), generation: inner.generation }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unsynced {
    fn apply(self, file: &mut Vec<u8>) {
        match self {
            Unsynced::Length(n) => file.resize(n, 0),
            Unsynced::Write(offset, data) => {
                let end = offset + data.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[offset..end].copy_from_slice(&data);
            }
        }
    }

    fn copy(&self) -> Unsynced {
        match self {
            Unsynced::Write(offset, data) => Unsynced::Write(*offset, data.clone()),
            Unsynced::Length(n) => Unsynced::Length(*n),
        }
    }
}

/// The open file of one life of a process.
#[derive(Debug)]
pub(super) struct Handle {
    disk: SimulatedDisk,
    generation: u64,
}

impl Handle {
    fn alive(&self) -> Result<MutexGuard<'_, Inner>> {
        let inner = self.disk.lock();
        if inner.generation == self.generation { Ok(inner) } else { Err(dead()) }
    }

    fn change(&self, end: u64, change: Unsynced) -> Result<()> {
        let mut inner = self.alive()?;
        inner.burn()?;
        if inner.read_only {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        if inner.capacity.is_some_and(|capacity| end > capacity) {
            return Err(ErrorKind::StorageFull.into());
        }
        change.copy().apply(&mut inner.current);
        inner.unsynced.push(change);
        Ok(())
    }
}

impl Inner {
    fn burn(&mut self) -> Result<()> {
        match &mut self.fuse {
            Some(0) => {
                self.failed = true;
                Err(dead())
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn dead() -> Error {
    Error::other("the power failed")
}

impl redb::StorageBackend for Handle {
    fn len(&self) -> Result<u64> {
        Ok(self.alive()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let inner = self.alive()?;
        let start = usize::try_from(offset).map_err(Error::other)?;
        let bytes = inner.current.get(start..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.change(len, Unsynced::Length(usize::try_from(len).map_err(Error::other)?))
    }

    fn sync_data(&self) -> Result<()> {
        let mut inner = self.alive()?;
        inner.burn()?;
        let inner = &mut *inner;
        for change in inner.unsynced.drain(..) {
            change.apply(&mut inner.durable);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let start = usize::try_from(offset).map_err(Error::other)?;
        self.change(offset + data.len() as u64, Unsynced::Write(start, data.to_vec()))
    }
}
