//! A small HTTP/1.1 server (RFC 9112) for operators and their programs: one request for each
//! connection, each on a thread of its own, everything bounded.
//!
//! It knows nothing of what it serves: a [`Handler`] answers. What is too long, too slow or no HTTP is
//! refused here; what comes when [`CONNECTIONS`] are open is told to come back.
//!
//! Not done: persistent connections, `Transfer-Encoding` of requests, `Expect`, TLS.

mod listeners;
mod read;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use http1::{BODY, HEAD, Request, Response, Wrong, reason};
pub use listeners::Listeners;

use crate::places::Places;

/// Connections at a time.
pub const CONNECTIONS: usize = 32;
/// How long a request may take to arrive, and an answer to be taken.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long nobody is accepted after that has failed.
const REST: Duration = Duration::from_millis(100);
/// How long is read on after an answer, so that the client gets it before its connection is reset.
const LINGER: Duration = Duration::from_secs(1);

/// Answers requests, several at a time.
pub type Handler = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

/// An open listener whose connections are answered on other threads, until it is dropped.
#[derive(Debug)]
pub struct Server {
    listener: Arc<TcpListener>,
    local: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// Opens a listener; connections wait until [`serve`](Server::serve).
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(address: SocketAddr) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        let local = listener.local_addr()?;
        Ok(Server { listener: Arc::new(listener), local, ended: Arc::default() })
    }

    /// Where it listens, with its real port.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Begins to answer.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn serve(&self, handler: Handler) -> io::Result<()> {
        let (listener, ended) = (Arc::clone(&self.listener), Arc::clone(&self.ended));
        let accept = move || accept(&listener, &ended, &handler);
        std::thread::Builder::new().name("http".into()).spawn(accept)?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // On Linux this wakes the thread that accepts.
        let _ = socket2::SockRef::from(&*self.listener).shutdown(Shutdown::Both);
    }
}

fn accept(listener: &TcpListener, ended: &AtomicBool, handler: &Handler) {
    let places = Places::new(CONNECTIONS);
    loop {
        let accepted = listener.accept();
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let Ok((stream, _)) = accepted else {
            // No file descriptor is free, perhaps: one will be.
            std::thread::sleep(REST);
            continue;
        };
        let Some(place) = places.take() else {
            // It fits into the socket's buffer: nobody is waited for.
            let _ = stream.set_nonblocking(true);
            let busy = Response::text(503, "too many connections; try again\n").bytes(false, false);
            let _ = (&stream).write(&busy);
            continue;
        };
        let handler = Arc::clone(handler);
        let serve = move || {
            let _place = place;
            // A connection that breaks is its client's business.
            let _ = serve(&stream, &handler);
        };
        let _ = std::thread::Builder::new().name("http-request".into()).spawn(serve);
    }
}

fn serve(stream: &TcpStream, handler: &Handler) -> io::Result<()> {
    let mut timed = Timed { stream, end: Instant::now() + PATIENCE };
    let (response, head_only) = match read::read_request(&mut timed) {
        Ok(mut request) => {
            request.from = stream.peer_addr().ok();
            (handler(&request), request.method == "HEAD")
        }
        Err(Wrong::Gone) => return Ok(()),
        Err(wrong) => (Response::text(wrong.status(), format!("{wrong}\n")), false),
    };
    timed.end = Instant::now() + PATIENCE;
    timed.write_all(&response.bytes(head_only, false))?;
    stream.shutdown(Shutdown::Write)?;
    timed.end = Instant::now() + LINGER;
    io::copy(&mut timed.take(BODY as u64), &mut io::sink())?;
    Ok(())
}

/// A stream that is read and written until a time, however slowly the other end goes.
struct Timed<'a> {
    stream: &'a TcpStream,
    end: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
