//! One request, read from a stream within bounds.

use std::io::{self, Read};
use std::net::SocketAddr;

use super::{BODY, HEAD};

/// Header fields of a request.
const FIELDS: usize = 64;

/// A request.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The path as it was sent, without the query.
    pub path: String,
    /// What stands behind `?`; empty if nothing does.
    pub query: String,
    /// The header fields in their order, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// Who sent it.
    pub from: Option<SocketAddr>,
}

/// Why there is no request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Wrong {
    /// The client closed the connection without one.
    #[error("the connection is closed")]
    Gone,
    /// It took too long.
    #[error("the request took too long")]
    Slow,
    /// It is no HTTP.
    #[error("this is no HTTP request")]
    Malformed,
    /// It is not HTTP/1.
    #[error("only HTTP/1.1 is spoken here")]
    Version,
    /// Request line and header fields are too long, or too many.
    #[error("the header is too long")]
    Head,
    /// The content is too long.
    #[error("the content is too long")]
    Body,
    /// The content has no length.
    #[error("content needs Content-Length")]
    Encoding,
}

impl Wrong {
    /// The status code, RFC 9110 §15.
    pub const fn status(self) -> u16 {
        match self {
            Wrong::Gone | Wrong::Malformed => 400,
            Wrong::Slow => 408,
            Wrong::Version => 505,
            Wrong::Head => 431,
            Wrong::Body => 413,
            Wrong::Encoding => 501,
        }
    }
}

impl Request {
    /// The first header field of a name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Reads one.
    pub(super) fn read(stream: &mut impl Read) -> Result<Request, Wrong> {
        let mut bytes = Vec::new();
        let mut room = [0; 4096];
        let end = loop {
            let length = read(stream, &mut room)?;
            if length == 0 {
                return Err(if bytes.is_empty() { Wrong::Gone } else { Wrong::Malformed });
            }
            // The end of the head may have begun in what came before.
            let seen = bytes.len().saturating_sub(3);
            bytes.extend_from_slice(&room[..length]);
            if let Some(at) = head_end(&bytes[seen..]) {
                break seen + at;
            }
            if bytes.len() > HEAD {
                return Err(Wrong::Head);
            }
        };
        if end > HEAD {
            return Err(Wrong::Head);
        }
        let mut request = Request::parse(&bytes[..end])?;
        let length = request.length()?;
        request.body = bytes.split_off(end);
        while request.body.len() < length {
            match read(stream, &mut room)? {
                0 => return Err(Wrong::Malformed),
                more => request.body.extend_from_slice(&room[..more]),
            }
        }
        // What follows is another request, which is not answered.
        request.body.truncate(length);
        Ok(request)
    }

    /// RFC 9112 §2 to §5; the bytes end with the empty line.
    fn parse(head: &[u8]) -> Result<Request, Wrong> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Wrong::Head),
            Err(httparse::Error::Version) => return Err(Wrong::Version),
            Ok(httparse::Status::Partial) | Err(_) => return Err(Wrong::Malformed),
        }
        let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
            return Err(Wrong::Malformed);
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields: Vec<(String, String)> =
            parsed.headers.iter().map(|h| (h.name.to_ascii_lowercase(), text(h.value))).collect();
        // RFC 9112 §3.2: a request of HTTP/1.1 names one host.
        let hosts = fields.iter().filter(|(name, _)| name == "host").count();
        if hosts > 1 || hosts == 0 && parsed.version == Some(1) {
            return Err(Wrong::Malformed);
        }
        let [method, path, query] = [method, path, query].map(str::to_owned);
        Ok(Request { method, path, query, fields, ..Request::default() })
    }

    /// RFC 9112 §6: how long the content is.
    fn length(&self) -> Result<usize, Wrong> {
        if self.field("transfer-encoding").is_some() {
            return Err(Wrong::Encoding);
        }
        let mut lengths = self.fields.iter().filter(|(name, _)| name == "content-length");
        let Some((_, first)) = lengths.next() else { return Ok(0) };
        if lengths.any(|(_, other)| other != first) || !first.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Wrong::Malformed);
        }
        match first.parse() {
            Ok(length) if length <= BODY => Ok(length),
            Ok(_) => Err(Wrong::Body),
            Err(_) if first.is_empty() => Err(Wrong::Malformed),
            Err(_) => Err(Wrong::Body),
        }
    }
}

fn read(stream: &mut impl Read, room: &mut [u8]) -> Result<usize, Wrong> {
    loop {
        return match stream.read(room) {
            Ok(length) => Ok(length),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => continue,
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(Wrong::Slow),
                _ => Err(Wrong::Gone),
            },
        };
    }
}

/// Behind the empty line; a line may end with LF alone.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let ends = (0..bytes.len()).filter(|at| bytes[*at] == b'\n');
    ends.map(|at| at + 1).find_map(|at| match &bytes[at..] {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives so many bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let length = self.0.len().min(self.1).min(room.len());
            let (now, later) = self.0.split_at(length);
            room[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    #[test]
    fn a_request_is_read_however_it_arrives() {
        let sent = b"\r\nPOST /a/b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET";
        for at_a_time in [1, 2, 3, 7, 1000] {
            let request = Request::read(&mut Drops(sent, at_a_time)).unwrap();
            assert_eq!(
                (&*request.method, &*request.path, &*request.query),
                ("POST", "/a/b", "c=d")
            );
            assert_eq!((request.field("host"), &*request.body), (Some("x"), &b"abc"[..]));
        }
        assert!(Request::read(&mut Drops(b"GET / HTTP/1.0\n\n", 1)).is_ok());
    }

    #[test]
    fn what_is_wrong_is_told() {
        let head = |more: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{more}\r\n\r\n");
        let cases = [
            ("".to_owned(), Wrong::Gone),
            ("GET / HTTP/1.1\r\n".to_owned(), Wrong::Malformed),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), Wrong::Malformed),
            ("GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_owned(), Wrong::Version),
            ("\u{16}\u{3}\u{1} TLS\n\n".to_owned(), Wrong::Malformed),
            (head("Host: y"), Wrong::Malformed),
            (head("Content-Length: 1\r\nContent-Length: 2"), Wrong::Malformed),
            (head("Content-Length: -1"), Wrong::Malformed),
            (head("Content-Length: 1048577"), Wrong::Body),
            (head("Content-Length: 99999999999999999999999"), Wrong::Body),
            (head("Content-Length: 5"), Wrong::Malformed),
            (head("Transfer-Encoding: chunked"), Wrong::Encoding),
            (head(&"A: b\r\n".repeat(70)), Wrong::Head),
            (head(&"x".repeat(HEAD)), Wrong::Head),
            ("x".repeat(2 * HEAD), Wrong::Head),
        ];
        for (text, wrong) in cases {
            let shown: String = text.chars().take(60).collect();
            assert_eq!(Request::read(&mut Drops(text.as_bytes(), 4096)), Err(wrong), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, at_a_time in 1..5000usize) {
            let _ = Request::read(&mut Drops(&bytes, at_a_time));
            let text = [b"GET / HTTP/1.1\r\nHost: x\r\n", &bytes[..], b"\r\n\r\n"].concat();
            let _ = Request::read(&mut Drops(&text, at_a_time));
        }
    }
}
