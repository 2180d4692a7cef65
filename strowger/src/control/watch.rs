//! What crossed and what was logged, told through the door: JSON lines, those of messages as
//! [`ladder::json`] writes them.

use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use ladder::Record;
use serde::{Deserialize, Serialize};

use crate::events::{Events, Noted};
use crate::recorder::{Recorder, filter, select};

/// How long nothing is said before it is looked whether the client is still there.
const QUIET: Duration = Duration::from_millis(500);

/// Which records a client wants.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watch {
    /// All known names of one subscriber (number, IMSI, `sip:`, `tel:`), or a Call-ID; without any,
    /// everything.
    pub who: Vec<String>,
    /// What comes from now on, until the client closes; otherwise what there is now.
    pub follow: bool,
    /// With key material.
    pub secrets: bool,
}

/// What is said beside records.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Remark {
    /// Something was logged.
    Event(Noted),
    /// This is all.
    End { forgotten: u64, lost: u64 },
    /// From now on it is followed.
    Following {},
    /// The client was too slow for so many.
    Lost(u64),
}

/// Answers a [`Watch`]. An error closes the connection, which tells that the process ends.
pub(super) fn tell(stream: &UnixStream, recorder: &Recorder, watch: &Watch) -> io::Result<()> {
    let mut out = BufWriter::new(stream);
    let show = |mut record: Record| {
        if !watch.secrets {
            ladder::redact(&mut record);
        }
        ladder::json::line(&record) + "\n"
    };
    let snapshot = recorder.snapshot().map_err(io::Error::other)?;
    if !watch.follow {
        for record in select(snapshot.records, &watch.who) {
            out.write_all(show(record).as_bytes())?;
        }
        let (forgotten, lost) = (snapshot.forgotten, snapshot.lost);
        remark(&mut out, &Remark::End { forgotten, lost })?;
        return out.flush();
    }
    let following =
        recorder.follow(filter(snapshot.records, &watch.who)).map_err(io::Error::other)?;
    remark(&mut out, &Remark::Following {})?;
    out.flush()?;
    loop {
        let record = following.next(QUIET).map_err(io::Error::other)?;
        let lost = following.lost();
        if lost > 0 {
            remark(&mut out, &Remark::Lost(lost))?;
        }
        match record {
            Some(record) => out.write_all(show(record).as_bytes())?,
            None if is_gone(stream)? => return Ok(()),
            None => {}
        }
        out.flush()?;
    }
}

/// All log events that are remembered, oldest first.
pub(super) fn tell_events(stream: &UnixStream, events: &Events) -> io::Result<()> {
    let mut out = BufWriter::new(stream);
    let remembered = events.remembered();
    for event in remembered.events {
        remark(&mut out, &Remark::Event(event))?;
    }
    let (forgotten, lost) = (remembered.forgotten, remembered.lost);
    remark(&mut out, &Remark::End { forgotten, lost })?;
    out.flush()
}

fn remark(out: &mut impl Write, remark: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, remark).map_err(io::Error::other)?;
    out.write_all(b"\n")
}

/// Whether the client has closed its side. What it says while it listens is not heard.
fn is_gone(mut stream: &UnixStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let read = stream.read(&mut [0; 256]);
    stream.set_nonblocking(false)?;
    match read {
        Ok(length) => Ok(length == 0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}
