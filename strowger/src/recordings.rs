//! Files of calls that are recorded: a thread of its own writes them, so that no packet waits for the disk.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use base::log::{Event, Severity};
use base::relay::{Form, Recorded, Recording};
use base::time::Duration;
use base::{Instant, Service, Transport};
use ladder::pcapng::Writer;
use ladder::{Party, Record};
use media::recording::Mixer;

use crate::log::Log;

/// Packets that may wait for the disk: those of a thousand calls for a tenth of a second.
const WAITING: usize = 10_000;
/// A file is whole on the disk so often, but for what the system keeps.
const FLUSH: Duration = Duration::from_secs(1);

/// Where recordings go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordingsPlan {
    /// The folder.
    pub folder: PathBuf,
    /// What becomes of the packets.
    pub form: Form,
}

/// The folder of the recordings cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}; `recordings` of [media] names the folder where calls are recorded", folder.display())]
pub struct RecordingsError {
    folder: PathBuf,
    error: io::Error,
}

/// The packet path's end. Packets that find no room are lost, and told when a recording ends.
#[derive(Debug)]
pub struct Recordings {
    sender: SyncSender<Recorded>,
    lost: Arc<AtomicU64>,
    /// Of recordings, which wait for room: without one a file would stay open.
    ends: VecDeque<Recorded>,
}

impl Recordings {
    /// Starts the thread, which ends when all packet paths are gone: then all files are whole.
    ///
    /// # Errors
    /// [`RecordingsError`]
    pub fn start(folder: &Path, log: Log) -> Result<(Recordings, JoinHandle<()>), RecordingsError> {
        let failed = |error| RecordingsError { folder: folder.to_owned(), error };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let (sender, receiver) = sync_channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        let desk = Desk {
            folder: folder.to_owned(),
            files: BTreeMap::new(),
            log,
            lost: Arc::clone(&lost),
        };
        let thread = std::thread::Builder::new().name("recordings".to_owned());
        let thread = thread.spawn(move || desk.run(&receiver)).map_err(failed)?;
        Ok((Recordings { sender, lost, ends: VecDeque::new() }, thread))
    }

    /// Hands over what is recorded.
    pub fn take(&mut self, recorded: Recorded) {
        self.go_on();
        match self.sender.try_send(recorded) {
            Err(TrySendError::Full(end @ Recorded::End(_))) => self.ends.push_back(end),
            Err(_) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            Ok(()) => {}
        }
    }

    /// Hands over the ends that wait, as far as there is room now.
    pub fn go_on(&mut self) {
        while let Some(end) = self.ends.pop_front() {
            if let Err(TrySendError::Full(end)) = self.sender.try_send(end) {
                return self.ends.push_front(end);
            }
        }
    }
}

/// The thread's own.
struct Desk {
    folder: PathBuf,
    /// By number; `None` for one that cannot be written.
    files: BTreeMap<u64, Option<Open>>,
    log: Log,
    lost: Arc<AtomicU64>,
}

/// A file that is being written.
struct Open {
    path: PathBuf,
    kind: Kind,
    /// When the last packet arrived.
    last: Instant,
    flushed: Instant,
}

enum Kind {
    Packets { writer: Box<Writer>, file: BufWriter<File> },
    Sound { mixer: Box<Mixer>, file: rtp::wav::Growing<BufWriter<File>> },
}

impl Desk {
    fn run(mut self, receiver: &Receiver<Recorded>) {
        for recorded in receiver {
            match recorded {
                Recorded::End(recording) => self.end(recording.number),
                packet @ Recorded::Packet { .. } => self.packet(&packet),
            }
        }
        let open: Vec<u64> = self.files.keys().copied().collect();
        open.into_iter().for_each(|number| self.end(number));
    }

    fn packet(&mut self, packet: &Recorded) {
        let Recorded::Packet { tap, at, .. } = packet else { return };
        let recording = &tap.recording;
        if !self.files.contains_key(&recording.number) {
            let path = path(&self.folder, recording);
            let opened = Open::new(path.clone(), recording, *at);
            let opened = opened.map_err(|error| self.tell(*at, &path, &error)).ok();
            self.files.insert(recording.number, opened);
        }
        let Some(Some(open)) = self.files.get_mut(&recording.number) else { return };
        if let Err(error) = open.packet(packet) {
            let path = open.path.clone();
            self.tell(*at, &path, &error);
            self.files.insert(recording.number, None);
        }
    }

    fn end(&mut self, number: u64) {
        if let Some(Some(open)) = self.files.remove(&number) {
            let (path, last) = (open.path.clone(), open.last);
            if let Err(error) = open.finish() {
                self.tell(last, &path, &error);
            }
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                let text = format!("{lost} packets of recordings are missing: the disk is slow");
                let event = Event::new(Severity::Warning, "media.recording_lost", text);
                self.log.write(last, "media", &event);
            }
        }
    }

    fn tell(&self, at: Instant, path: &Path, error: &io::Error) {
        let text = format!("{} cannot be written, and the call goes on: {error}", path.display());
        self.log.write(at, "media", &Event::new(Severity::Error, "media.recording_failed", text));
    }
}

fn path(folder: &Path, recording: &Recording) -> PathBuf {
    let ending = if recording.form == Form::Pcap { "pcapng" } else { "wav" };
    folder.join(format!("{}.{ending}", recording.name))
}

impl Open {
    fn new(path: PathBuf, recording: &Recording, at: Instant) -> io::Result<Open> {
        // What somebody recorded before under that name stays.
        let file = BufWriter::new(File::options().write(true).create_new(true).open(&path)?);
        let kind = if recording.form == Form::Pcap {
            Kind::Packets { writer: Box::new(Writer::new().without_comments()), file }
        } else {
            let mixer = Box::new(Mixer::new(recording));
            let file = rtp::wav::Growing::new(file, recording.rate, mixer.channels());
            Kind::Sound { file: file.map_err(io::Error::other)?, mixer }
        };
        Ok(Open { path, kind, last: at, flushed: at })
    }

    fn packet(&mut self, packet: &Recorded) -> io::Result<()> {
        let Recorded::Packet { tap, at, from, to, bytes } = packet else { return Ok(()) };
        self.last = *at;
        match &mut self.kind {
            Kind::Packets { writer, file } => {
                writer.record(&Record {
                    at: *at,
                    service: Service::Rtp,
                    transport: Transport::Udp,
                    from: Party::unnamed(*from),
                    to: Party::unnamed(*to),
                    bytes: bytes.clone().into(),
                    flow: 0,
                });
                file.write_all(&writer.take())?;
            }
            Kind::Sound { mixer, file } => {
                mixer.packet(tap, *at, bytes);
                write_all(mixer, file, *at, false)?;
            }
        }
        if at.since(self.flushed) >= FLUSH {
            self.flushed = *at;
            match &mut self.kind {
                Kind::Packets { file, .. } => file.flush()?,
                Kind::Sound { file, .. } => file.flush().map_err(io::Error::other)?,
            }
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        match self.kind {
            Kind::Packets { writer, mut file } => {
                file.write_all(&writer.finish())?;
                file.flush()
            }
            Kind::Sound { mut mixer, mut file } => {
                write_all(&mut mixer, &mut file, self.last, true)?;
                file.finish().map_err(io::Error::other)
            }
        }
    }
}

fn write_all(
    mixer: &mut Mixer,
    file: &mut rtp::wav::Growing<BufWriter<File>>,
    now: Instant,
    end: bool,
) -> io::Result<()> {
    loop {
        let samples = mixer.take(now, end);
        if samples.is_empty() {
            return Ok(());
        }
        file.write(&samples).map_err(io::Error::other)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use base::relay::{Encoding, Format, Sound, Tap};

    use super::*;
    use crate::log::Format as Lines;

    fn packet(recording: &Arc<Recording>, n: u16) -> Recorded {
        let formats = [Format { payload_type: 8, sound: Sound::Speech(Encoding::Pcma) }];
        let tap = Tap {
            recording: Arc::clone(recording),
            side: usize::from(n % 2),
            formats: formats.into(),
            paused: false,
        };
        let (sequence, timestamp) = (n / 2, u32::from(n / 2) * 160);
        let (payload, payload_type) = (&[0xd5; 160][..], 8);
        let bytes =
            rtp::Builder { sequence, timestamp, payload_type, payload, ..Default::default() };
        let at = Instant::from_unix_micros(1_700_000_000_000_000 + u64::from(n) * 10_000);
        let [from, to] = [4000, 30_000].map(|port| ([192, 0, 2, 1], port).into());
        Recorded::Packet { tap: Arc::new(tap), at, from, to, bytes: bytes.build() }
    }

    #[test]
    fn packets_may_be_lost_and_ends_may_not() {
        let (sender, receiver) = sync_channel(1);
        let lost = Arc::<AtomicU64>::default();
        let mut recordings = Recordings { sender, lost, ends: VecDeque::new() };
        let form = Form::Mono;
        let recording = Arc::new(Recording { number: 1, name: String::new(), form, rate: 8000 });
        let end = Recorded::End(Arc::clone(&recording));
        for recorded in [packet(&recording, 0), packet(&recording, 1), end.clone()] {
            recordings.take(recorded);
        }
        assert_eq!(recordings.lost.load(Ordering::Relaxed), 1);
        assert_eq!(receiver.try_recv(), Ok(packet(&recording, 0)));
        assert!(receiver.try_recv().is_err());
        recordings.go_on();
        assert_eq!(receiver.try_recv(), Ok(end));
    }

    #[test]
    fn files_are_whole_at_the_end() {
        let folder =
            std::env::temp_dir().join(format!("strowger-recordings-{}", std::process::id()));
        let log = Log { format: Lines::Human, least: Severity::Error };
        let (mut recordings, thread) = Recordings::start(&folder, log).unwrap();
        let of = |number, name: &str, form| {
            Arc::new(Recording { number, name: name.to_owned(), form, rate: 8000 })
        };
        let all =
            [of(1, "one", Form::Mono), of(2, "two", Form::Stereo), of(3, "three", Form::Pcap)];
        // Its name is taken: it is not written, and the others are.
        let taken = of(4, "one", Form::Mono);
        for n in 0..200 {
            all.iter().chain([&taken]).for_each(|recording| recordings.take(packet(recording, n)));
        }
        recordings.take(Recorded::End(Arc::clone(&all[0])));
        drop(recordings);
        thread.join().unwrap();
        let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
        let one = rtp::wav::read(&read("one.wav")).unwrap();
        assert_eq!((one.rate, one.samples.len()), (8000, 16_080));
        assert_eq!(read("two.wav").len(), 44 + 2 * 2 * 16_080);
        assert!(read("three.pcapng").len() > 200 * 172);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
