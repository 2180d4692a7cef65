//! The door: accepts its owner's connections and answers them, each on a thread of its own.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::wire::{Request, Response};
use super::{Desk, MAX_LINE, watch};
use crate::events::Events;
use crate::places::Places;
use crate::recorder::Recorder;
use crate::reload::Reload;

/// Connections at a time.
const CONNECTIONS: usize = 16;
/// How long nobody is accepted after that has failed.
const REST: Duration = Duration::from_millis(100);
/// How long a client may be silent.
const IDLE: Duration = Duration::from_secs(60);

/// What is behind the door.
#[derive(Clone)]
pub struct Behind {
    /// The provisioner.
    pub desk: Arc<Desk>,
    /// What crossed.
    pub recorder: Recorder,
    /// What was logged.
    pub events: Events,
    /// Who reads the configuration anew, if there is one.
    pub reload: Option<Arc<Reload>>,
}

/// The open door. It is taken away when this is dropped.
#[derive(Debug)]
pub struct Door {
    path: PathBuf,
}

/// Why there is no door.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// Somebody answers there.
    #[error(
        "another strowger runs with the same state ({path}): stop it, or give this one --state DIR"
    )]
    InUse {
        /// The socket.
        path: String,
    },
    /// The system said no.
    #[error("the control socket {path} cannot be opened: {error}")]
    Io {
        /// The socket.
        path: String,
        /// What it said.
        error: io::Error,
    },
}

impl Door {
    /// Opens the door and answers on other threads.
    ///
    /// # Errors
    /// With advice.
    pub fn open(path: &Path, behind: Behind) -> Result<Door, DoorError> {
        let named = || path.display().to_string();
        let failed = |error| DoorError::Io { path: named(), error };
        if UnixStream::connect(path).is_ok() {
            return Err(DoorError::InUse { path: named() });
        }
        // What is left of a process that died.
        let _ = fs::remove_file(path);
        let listener = bind_private(path).map_err(failed)?;
        let accept = move || {
            let places = Places::new(CONNECTIONS);
            for stream in listener.incoming() {
                let Ok(stream) = stream else {
                    // No file descriptor is free, perhaps: one will be.
                    std::thread::sleep(REST);
                    continue;
                };
                let Some(place) = places.take() else {
                    let _ = answer(&stream, &Response::error("too many connections; try again"));
                    continue;
                };
                let behind = behind.clone();
                let serve = move || {
                    let _place = place;
                    // A connection that breaks is its client's business.
                    let _ = serve(&stream, &behind);
                };
                let _ = std::thread::Builder::new().name("control".into()).spawn(serve);
            }
        };
        std::thread::Builder::new().name("door".into()).spawn(accept).map_err(failed)?;
        Ok(Door { path: path.to_owned() })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Binds in a folder of its owner's and moves the socket out once it has its rights.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let own = folder.unwrap_or(Path::new(".")).join(format!(".door-{}", std::process::id()));
    let _ = fs::remove_dir_all(&own);
    DirBuilder::new().mode(0o700).create(&own)?;
    let inner = own.join("s");
    let bound = UnixListener::bind(&inner).and_then(|listener| {
        fs::set_permissions(&inner, Permissions::from_mode(0o600))?;
        fs::rename(&inner, path)?;
        Ok(listener)
    });
    let _ = fs::remove_dir_all(&own);
    bound
}

fn serve(stream: &UnixStream, behind: &Behind) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let length = reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut line)?;
        if length == 0 {
            return Ok(());
        }
        if length as u64 > MAX_LINE {
            return answer(stream, &Response::error("the request is too long"));
        }
        match serde_json::from_slice(&line) {
            Ok(Request::Trace(watch)) => watch::tell(stream, &behind.recorder, &watch)?,
            Ok(Request::Events {}) => watch::tell_events(stream, &behind.events)?,
            Ok(Request::Reload {}) => answer(stream, &reload(behind))?,
            Ok(request) => {
                let asked = request.ask();
                let found =
                    asked.and_then(|ask| behind.desk.ask(ask).map_err(|error| error.to_string()));
                (&*stream).write_all(&Response::line(found, MAX_LINE))?;
            }
            Err(error) => answer(stream, &Response::error(format!("not a request: {error}")))?,
        }
    }
}

fn reload(behind: &Behind) -> Response {
    match &behind.reload {
        Some(reload) => match reload.reload() {
            Ok(changes) => Response::Reloaded(changes),
            Err(error) => Response::error(error.to_string()),
        },
        None => Response::error("this process has no configuration that could be read anew"),
    }
}

fn answer(mut stream: &UnixStream, response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response).map_err(io::Error::other)?;
    line.push(b'\n');
    stream.write_all(&line)
}
