//! The memory of a running process: the last messages that crossed a seam, and who watches.
//!
//! The loop must never wait for it. Its [tap](Recorder::tap) copies what it sees into a bounded
//! channel and counts what finds no room; a thread of its own keeps the ring. RTP is not recorded.
//!
//! What the thread gives away is masked by [`mod@ladder::redact`] on the thread of whoever asked, unless
//! he asked for secrets.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Weak};
use std::time::Duration;

use base::{Bytes, Instant, Service};
use bytes::BytesMut;
use engine::shard::{Crossing, Tap};
use ladder::{Correlation, Filter, Limits, Party, Record, SubscriptionId, Trace};
use ng::Message;

/// Messages on their way to the recorder's thread, and records on their way to one who watches.
const WAITING: usize = 4096;
/// How long the thread rests after a batch: a sender that finds it at rest need not wake it.
const REST: Duration = Duration::from_millis(5);
/// Messages are copied into pieces of memory of so many bytes.
const CHUNK: usize = 64 << 10;
/// Most names that the tap remembers.
const NAMES: usize = 1024;

/// How much a process remembers: what a person asks about minutes later, in little memory.
pub const LIMITS: Limits = Limits { records: 10_000, bytes: 8 << 20, waiting: WAITING };

/// Asks the recorder's thread.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: SyncSender<Item>,
    lost: Arc<AtomicU64>,
}

/// What the ring holds.
#[derive(Debug)]
pub struct Snapshot {
    /// Oldest first.
    pub records: Vec<Record>,
    /// Older records that had to go.
    pub forgotten: u64,
    /// Messages that came faster than they could be recorded.
    pub lost: u64,
}

/// How much the ring holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remembered {
    /// Messages.
    pub records: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Older messages that had to go.
    pub forgotten: u64,
    /// Messages that came faster than they could be recorded.
    pub lost: u64,
}

/// The process ends: nobody records any longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the running process ends")]
pub struct Ended;

#[derive(Debug)]
enum Item {
    Seen(Record),
    Snapshot(SyncSender<Snapshot>),
    Remembered(SyncSender<Remembered>),
    Follow { filter: Filter, watcher: Watcher },
    Close,
}

impl Recorder {
    /// A recorder with a thread of its own. It ends with [`close`](Recorder::close), or when
    /// nobody has it any longer.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn start(limits: Limits) -> io::Result<Recorder> {
        let (recorder, receiver) = Recorder::idle();
        let lost = Arc::clone(&recorder.lost);
        let keep = move || keep(&receiver, limits, &lost);
        std::thread::Builder::new().name("recorder".into()).spawn(keep)?;
        Ok(recorder)
    }

    fn idle() -> (Recorder, Receiver<Item>) {
        let (sender, receiver) = sync_channel(WAITING);
        (Recorder { sender, lost: Arc::default() }, receiver)
    }

    /// What the loop gets.
    pub fn tap(&self) -> impl Tap + Send + use<> {
        let Recorder { sender, lost } = self.clone();
        let mut names = BTreeSet::new();
        let mut chunk = BytesMut::new();
        move |now: Instant, crossing: &Crossing<'_>| {
            // What nodes share is theirs; of calls it says nothing that was not seen already.
            if matches!(
                crossing.service,
                Service::Rtp | Service::Resp | Service::Http | Service::Cli
            ) {
                return;
            }
            // Relays ask each other ten times a second.
            if crossing.service == Service::Ng && Message::is_ping(crossing.bytes) {
                return;
            }
            let mut party = |party: &engine::shard::Party<'_>| Party {
                endpoint: party.endpoint,
                name: shared(&mut names, party.name),
            };
            let seen = Record {
                at: now,
                service: crossing.service,
                transport: crossing.transport,
                from: party(&crossing.from),
                to: party(&crossing.to),
                bytes: copied(&mut chunk, crossing.bytes),
                flow: crossing.flow.0,
            };
            if let Err(TrySendError::Full(_)) = sender.try_send(Item::Seen(seen)) {
                lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What the ring holds, with everything that crossed before this was asked; unmasked.
    ///
    /// # Errors
    /// [`Ended`]
    pub fn snapshot(&self) -> Result<Snapshot, Ended> {
        let (sender, receiver) = sync_channel(1);
        self.sender.send(Item::Snapshot(sender)).map_err(|_| Ended)?;
        receiver.recv().map_err(|_| Ended)
    }

    /// How much the ring holds.
    ///
    /// # Errors
    /// [`Ended`]
    pub fn remembered(&self) -> Result<Remembered, Ended> {
        let (sender, receiver) = sync_channel(1);
        self.sender.send(Item::Remembered(sender)).map_err(|_| Ended)?;
        receiver.recv().map_err(|_| Ended)
    }

    /// From now on, what passes the filter.
    ///
    /// # Errors
    /// [`Ended`]
    pub fn follow(&self, filter: Filter) -> Result<Following, Ended> {
        let (sender, receiver) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let watcher = Watcher { sender, lost: Arc::downgrade(&lost) };
        self.sender.send(Item::Follow { filter, watcher }).map_err(|_| Ended)?;
        Ok(Following { receiver, lost })
    }

    /// Ends the thread, and with it what is followed.
    pub fn close(&self) {
        let _ = self.sender.send(Item::Close);
    }
}

/// A copy that shares its memory with the messages before and after it, which the ring forgets at about
/// the same time. The message itself may be part of a large receive buffer.
fn copied(chunk: &mut BytesMut, bytes: &[u8]) -> Bytes {
    if chunk.capacity() < bytes.len() {
        *chunk = BytesMut::with_capacity(CHUNK.max(bytes.len()));
    }
    chunk.extend_from_slice(bytes);
    chunk.split().freeze()
}

/// The same text as one allocation for all messages.
fn shared(names: &mut BTreeSet<Arc<str>>, name: Option<&str>) -> Option<Arc<str>> {
    let name = name?;
    if let Some(known) = names.get(name) {
        return Some(Arc::clone(known));
    }
    if names.len() >= NAMES {
        names.clear();
    }
    let name: Arc<str> = name.into();
    names.insert(Arc::clone(&name));
    Some(name)
}

/// Records as they come; unmasked.
#[derive(Debug)]
pub struct Following {
    receiver: Receiver<Record>,
    /// The thread stops to deliver once this is gone.
    lost: Arc<AtomicU64>,
}

impl Following {
    /// The next record; `None` if there is none for so long.
    ///
    /// # Errors
    /// [`Ended`]
    pub fn next(&self, patience: Duration) -> Result<Option<Record>, Ended> {
        match self.receiver.recv_timeout(patience) {
            Ok(record) => Ok(Some(record)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }

    /// Records that this one was too slow for since this was last asked.
    pub fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Watcher {
    sender: SyncSender<Record>,
    lost: Weak<AtomicU64>,
}

impl Watcher {
    /// Whether it is still there.
    fn deliver(&self, id: SubscriptionId, trace: &mut Trace) -> bool {
        let Some(lost) = self.lost.upgrade() else { return false };
        lost.fetch_add(trace.lost(id), Ordering::Relaxed);
        while let Some(record) = trace.poll(id) {
            match self.sender.try_send(record) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    lost.fetch_add(1, Ordering::Relaxed);
                }
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        true
    }
}

/// The thread.
fn keep(receiver: &Receiver<Item>, limits: Limits, lost: &AtomicU64) {
    let mut trace = Trace::new(limits).with_secrets();
    let mut watchers: Vec<(SubscriptionId, Watcher)> = Vec::new();
    while let Ok(first) = receiver.recv() {
        let mut next = Ok(first);
        // Even if more comes all the time, those who watch get theirs.
        for _ in 0..WAITING {
            match next {
                Ok(Item::Seen(seen)) => trace.push(seen),
                Ok(Item::Snapshot(reply)) => {
                    let records = trace.records().collect();
                    let (forgotten, lost) = (trace.forgotten(), lost.load(Ordering::Relaxed));
                    let _ = reply.try_send(Snapshot { records, forgotten, lost });
                }
                Ok(Item::Remembered(reply)) => {
                    let (records, bytes) = trace.size();
                    let (forgotten, lost) = (trace.forgotten(), lost.load(Ordering::Relaxed));
                    let [records, bytes] = [records, bytes].map(|n| n as u64);
                    let _ = reply.try_send(Remembered { records, bytes, forgotten, lost });
                }
                Ok(Item::Follow { filter, watcher }) => {
                    watchers.push((trace.subscribe(filter), watcher));
                }
                Ok(Item::Close) | Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => break,
            }
            next = receiver.try_recv();
        }
        watchers.retain(|(id, watcher)| {
            let stays = watcher.deliver(*id, &mut trace);
            if !stays {
                trace.unsubscribe(*id);
            }
            stays
        });
        std::thread::sleep(REST);
    }
}

/// The records of one call or subscriber, as [`Correlation`] ties them; all if nobody is named. `who`
/// is a Call-ID, or all known names of one subscriber.
pub fn select(records: Vec<Record>, who: &[String]) -> Vec<Record> {
    if who.is_empty() {
        return records;
    }
    let correlation = Correlation::new(records);
    let threads = match who.iter().find_map(|name| correlation.of_call(name)) {
        Some(call) => vec![call],
        None => who.iter().flat_map(|name| correlation.of_subscriber(name)).collect(),
    };
    let numbers: BTreeSet<usize> = threads.iter().flat_map(|t| t.records.iter().copied()).collect();
    numbers.into_iter().map(|n| correlation.records()[n].clone()).collect()
}

/// The filter for what comes after these records. Who is not known yet may be a call or a subscriber.
pub fn filter(records: Vec<Record>, who: &[String]) -> Filter {
    let Some(first) = who.first() else { return Filter::default() };
    let correlation = Correlation::new(records);
    if let Some(call) = who.iter().find(|name| correlation.of_call(name).is_some()) {
        return Filter { call: Some(call.clone()), ..Filter::default() };
    }
    let mut aliases: BTreeSet<String> = who.iter().skip(1).cloned().collect();
    aliases.extend(who.iter().flat_map(|name| correlation.identities(name)));
    Filter {
        call: Some(first.clone()),
        subscriber: Some(first.clone()),
        aliases: aliases.into_iter().collect(),
        ..Filter::default()
    }
}

#[cfg(test)]
mod tests;
