//! Speaks to a running process through its control door.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::MAX_LINE;
use super::wire::{Request, Response};
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
        let mut line = serde_json::to_vec(&Request::of(ask)).map_err(io::Error::from)?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line)?;
        line.clear();
        if self.stream.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line)? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let response: Response = serde_json::from_slice(&line).map_err(io::Error::from)?;
        response.found().map_err(ClientError::Refused)
    }
}
