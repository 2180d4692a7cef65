//! A small HTTP/1.1 server (RFC 9112) for operators and their programs: one request for each
//! connection, each on a thread of its own, everything bounded.
//!
//! It knows nothing of what it serves: a [`Handler`] answers. What is too long, too slow or no HTTP is
//! refused here; what comes when [`CONNECTIONS`] are open is told to come back.
//!
//! Not done: persistent connections, `Transfer-Encoding` of requests, `Expect`, TLS.

mod listeners;
mod request;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use listeners::Listeners;
pub use request::{Request, Wrong};

use crate::places::Places;

/// Connections at a time.
pub const CONNECTIONS: usize = 32;
/// Bytes of request line and header fields.
pub const HEAD: usize = 16 << 10;
/// Bytes of a request's content.
pub const BODY: usize = 1 << 20;
/// How long a request may take to arrive, and an answer to be taken.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long nobody is accepted after that has failed.
const REST: Duration = Duration::from_millis(100);
/// How long is read on after an answer, so that the client gets it before its connection is reset.
const LINGER: Duration = Duration::from_secs(1);

/// Answers requests, several at a time.
pub type Handler = Arc<dyn Fn(&Request) -> Response + Send + Sync>;

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The status code, RFC 9110 §15.
    pub status: u16,
    /// Content-Type.
    pub content_type: &'static str,
    /// Other header fields; names and values are the program's own.
    pub fields: Vec<(&'static str, String)>,
    /// The content.
    pub body: Vec<u8>,
}

impl Response {
    /// Plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Response {
        let content_type = "text/plain; charset=utf-8";
        Response { status, content_type, fields: Vec::new(), body: text.into().into_bytes() }
    }

    /// RFC 9110 §15.5.5.
    pub fn not_found() -> Response {
        Response::text(404, "there is nothing here\n")
    }

    /// RFC 9110 §15.5.6, with the methods that there are.
    pub fn method_not_allowed(allow: &str) -> Response {
        let mut response = Response::text(405, format!("only {allow} is possible here\n"));
        response.fields.push(("Allow", allow.to_owned()));
        response
    }

    fn bytes(&self, head_only: bool) -> Vec<u8> {
        let mut out = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             Connection: close\r\n",
            self.status,
            reason(self.status),
            self.content_type,
            self.body.len()
        );
        for (name, value) in &self.fields {
            out += &format!("{name}: {value}\r\n");
        }
        out += "\r\n";
        let mut out = out.into_bytes();
        if !head_only {
            out.extend_from_slice(&self.body);
        }
        out
    }
}

/// The reason phrase of a status, RFC 9110 §15.
pub(crate) const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "-",
    }
}

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
            let busy = Response::text(503, "too many connections; try again\n").bytes(false);
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
    let (response, head_only) = match Request::read(&mut timed) {
        Ok(mut request) => {
            request.from = stream.peer_addr().ok();
            (handler(&request), request.method == "HEAD")
        }
        Err(Wrong::Gone) => return Ok(()),
        Err(wrong) => (Response::text(wrong.status(), format!("{wrong}\n")), false),
    };
    timed.end = Instant::now() + PATIENCE;
    timed.write_all(&response.bytes(head_only))?;
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
