//! A response, RFC 9112 §4.

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
    #[inline(never)]
    pub fn text(status: u16, text: impl Into<String>) -> Response {
        let content_type = "text/plain; charset=utf-8";
        Response { status, content_type, fields: Vec::new(), body: text.into().into_bytes() }
    }

    /// RFC 9110 §15.5.5.
    pub fn not_found() -> Response {
        Response::text(404, "there is nothing here\n")
    }

    /// RFC 9110 §15.5.6, with the methods that there are.
    #[inline(never)]
    pub fn method_not_allowed(allow: &str) -> Response {
        let mut response = Response::text(405, format!("only {allow} is possible here\n"));
        response.fields.push(("Allow", allow.to_owned()));
        response
    }

    /// The bytes; `head_only` answers HEAD, `persistent` leaves the connection open for another request.
    #[inline(never)]
    pub fn bytes(&self, head_only: bool, persistent: bool) -> Vec<u8> {
        let connection = if persistent { "" } else { "Connection: close\r\n" };
        let mut out = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             {connection}",
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
pub const fn reason(status: u16) -> &'static str {
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
