//! The thread that waits for the disk, so that nobody else has to.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use base::store::StoreError;
use redb::Database;

use super::batch::Batch;
use super::file::blame;
use crate::shard::Wake;

type Job = (Arc<Database>, Arc<Batch>);

/// Commits one batch at a time.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` only while it is dropped.
    jobs: Option<SyncSender<Job>>,
    results: Receiver<Result<(), StoreError>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; it calls `wake` after each commit.
    pub(super) fn start(wake: Wake) -> io::Result<Writer> {
        let (jobs, work) = sync_channel::<Job>(1);
        let (ended, results) = sync_channel(1);
        let run = move || {
            for (database, batch) in work {
                let commit = AssertUnwindSafe(|| batch.apply(&database));
                let result = match catch_unwind(commit) {
                    Ok(result) => result.map_err(|error| blame(&error)),
                    Err(_) => Err(StoreError::Failed),
                };
                // Whoever hears of the end has the only database and the only batch again.
                drop((database, batch));
                if ended.send(result).is_err() {
                    return;
                }
                wake();
            }
        };
        let thread = std::thread::Builder::new().name("store".into()).spawn(run)?;
        Ok(Writer { jobs: Some(jobs), results, thread: Some(thread) })
    }

    /// Begins with a batch. The one before must have ended.
    pub(super) fn begin(&self, database: Arc<Database>, batch: Arc<Batch>) {
        if let Some(jobs) = &self.jobs {
            // Without the thread there is no result either, which says enough.
            let _ = jobs.send((database, batch));
        }
    }

    /// How the batch ended, once it has.
    pub(super) fn ended(&self) -> Option<Result<(), StoreError>> {
        match self.results.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(StoreError::Failed)),
        }
    }

    /// Waits for the end of the batch.
    pub(super) fn wait(&self) -> Result<(), StoreError> {
        self.results.recv().unwrap_or(Err(StoreError::Failed))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
