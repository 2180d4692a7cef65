//! One request, out of the bytes that have arrived, within bounds.

use std::borrow::Cow;
use std::net::SocketAddr;

use percent_encoding::percent_decode_str;

/// The longest request line and header fields in bytes.
pub const HEAD: usize = 16 << 10;
/// The longest content of a request in bytes.
pub const BODY: usize = 1 << 20;

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
    /// Whether the connection stays for another request, RFC 9112 §9.3.
    pub persistent: bool,
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
    #[inline(never)]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The path without percent-encoding; `None` if it is not UTF-8.
    pub fn decoded_path(&self) -> Option<Cow<'_, str>> {
        percent_decode_str(&self.path).decode_utf8().ok()
    }

    /// The request that stands at the beginning of the bytes, and its length; `None` if more of it is to come.
    ///
    /// # Errors
    /// [`Wrong`]: nothing behind it can be read either.
    #[inline(never)]
    pub fn frame(bytes: &[u8]) -> Result<Option<(Request, usize)>, Wrong> {
        let end = match head_end(&bytes[..bytes.len().min(HEAD + 4)]) {
            Some(end) if end <= HEAD => end,
            None if bytes.len() <= HEAD => return Ok(None),
            _ => return Err(Wrong::Head),
        };
        let mut request = Request::parse(&bytes[..end])?;
        let all = end + request.length()?;
        let Some(body) = bytes.get(end..all) else { return Ok(None) };
        request.body = body.to_vec();
        Ok(Some((request, all)))
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
        let closes = fields.iter().any(|(name, value)| {
            let mut options = value.split(',');
            name == "connection"
                && options.any(|option| option.trim().eq_ignore_ascii_case("close"))
        });
        let persistent = parsed.version == Some(1) && !closes;
        let [method, path, query] = [method, path, query].map(str::to_owned);
        Ok(Request { method, path, query, fields, persistent, ..Request::default() })
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

/// Behind the empty line; a line may end with LF alone.
fn head_end(bytes: &[u8]) -> Option<usize> {
    let ends = (0..bytes.len()).filter(|at| bytes[*at] == b'\n');
    ends.map(|at| at + 1).find_map(|at| match &bytes[at..] {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    })
}
