//! Speaks to a running process through its control door.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ladder::Record;
use serde::Deserialize;

use super::MAX_LINE;
use super::watch::{Remark, Watch};
use super::wire::{OTHER, Request, Response};
use crate::config::Changes;
use crate::events::Remembered;
use crate::provision::{Ask, Found};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection broke.
    #[error("the running process does not answer: {0}")]
    Broken(#[from] io::Error),
    /// It answered no.
    #[error("{0}")]
    Refused(String),
}

impl Client {
    /// Connects. `None` if no process runs there.
    ///
    /// # Errors
    /// If there is one that cannot be spoken to.
    pub fn connect(door: &Path) -> io::Result<Option<Client>> {
        match UnixStream::connect(door) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Some(Client { stream: BufReader::new(stream) }))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks and waits.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn ask(&mut self, ask: &Ask) -> Result<Found, ClientError> {
        self.request(&Request::of(ask))?.found().map_err(ClientError::Refused)
    }

    /// Has the process read its configuration anew.
    ///
    /// # Errors
    /// Why there is no answer, or why everything stays as it is.
    pub fn reload(&mut self) -> Result<Changes, ClientError> {
        self.request(&Request::Reload {})?.reloaded().map_err(ClientError::Refused)
    }

    /// What the process logged lately.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn events(mut self) -> Result<Remembered, ClientError> {
        let mut request = serde_json::to_vec(&Request::Events {}).map_err(io::Error::from)?;
        request.push(b'\n');
        self.stream.get_mut().write_all(&request)?;
        let mut remembered = Remembered::default();
        loop {
            let mut line = Vec::new();
            if self.stream.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line)? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            match serde_json::from_slice(&line).map_err(io::Error::from)? {
                Line::Remark(Remark::Event(event)) => remembered.events.push(event),
                Line::Remark(Remark::End { forgotten, lost }) => {
                    (remembered.forgotten, remembered.lost) = (forgotten, lost);
                    return Ok(remembered);
                }
                Line::Response(Response::Error(text)) => return Err(ClientError::Refused(text)),
                _ => return Err(ClientError::Refused(OTHER.to_owned())),
            }
        }
    }

    fn request(&mut self, request: &Request) -> Result<Response, ClientError> {
        let mut line = serde_json::to_vec(request).map_err(io::Error::from)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)?;
        line.clear();
        if self.stream.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(serde_json::from_slice(&line).map_err(io::Error::from)?)
    }

    /// Asks for messages that crossed.
    ///
    /// # Errors
    /// If the connection broke.
    pub fn watch(mut self, watch: &Watch) -> Result<Watching, ClientError> {
        let mut line =
            serde_json::to_vec(&Request::Trace(watch.clone())).map_err(io::Error::from)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)?;
        Ok(Watching { stream: self.stream, line: Vec::new() })
    }
}

/// The answer to a [`Watch`].
#[derive(Debug)]
pub struct Watching {
    stream: BufReader<UnixStream>,
    /// The part of a line that has come.
    line: Vec<u8>,
}

/// One thing that a running process tells.
#[derive(Debug)]
pub enum Told {
    /// A message.
    Record(Box<Record>),
    /// This is all there is now.
    End {
        /// Older messages that had to go.
        forgotten: u64,
        /// Messages that the process could not record.
        lost: u64,
    },
    /// What crosses from now on is told.
    Following,
    /// Messages that this client was too slow for.
    Lost(u64),
    /// Nothing was told for so long.
    Nothing,
    /// The process has ended.
    Closed,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Remark(Remark),
    Response(Response),
}

impl Watching {
    /// The next thing, if it comes within this time.
    ///
    /// # Errors
    /// Why there is none.
    pub fn next(&mut self, patience: Duration) -> Result<Told, ClientError> {
        self.stream.get_ref().set_read_timeout(Some(patience))?;
        let room = (MAX_LINE + 1).saturating_sub(self.line.len() as u64);
        match self.stream.by_ref().take(room).read_until(b'\n', &mut self.line) {
            Ok(_) if self.line.ends_with(b"\n") => {}
            Ok(_) => return Ok(Told::Closed),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Told::Nothing),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Ok(Told::Closed);
            }
            Err(error) => return Err(error.into()),
        }
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        if !line.starts_with("{\"at\"") {
            return match serde_json::from_str(&line).map_err(io::Error::from)? {
                Line::Remark(Remark::End { forgotten, lost }) => Ok(Told::End { forgotten, lost }),
                Line::Remark(Remark::Following {}) => Ok(Told::Following),
                Line::Remark(Remark::Lost(count)) => Ok(Told::Lost(count)),
                Line::Response(Response::Error(text)) => Err(ClientError::Refused(text)),
                Line::Remark(Remark::Event(_)) | Line::Response(_) => {
                    Err(ClientError::Refused(OTHER.to_owned()))
                }
            };
        }
        let record = ladder::json::parse(&line).map_err(io::Error::other)?;
        Ok(Told::Record(Box::new(record)))
    }
}
