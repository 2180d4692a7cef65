//! One request, read from a blocking stream.

use std::io::{self, Read};

use http1::{Request, Wrong};

/// Reads one; what follows it is not answered.
pub(super) fn read_request(stream: &mut impl Read) -> Result<Request, Wrong> {
    let mut bytes = Vec::new();
    let mut room = [0; 4096];
    loop {
        match read(stream, &mut room)? {
            0 if bytes.is_empty() => return Err(Wrong::Gone),
            0 => return Err(Wrong::Malformed),
            length => bytes.extend_from_slice(&room[..length]),
        }
        if let Some((request, _)) = Request::frame(&bytes)? {
            return Ok(request);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HEAD;
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
            let request = read_request(&mut Drops(sent, at_a_time)).unwrap();
            assert_eq!(
                (&*request.method, &*request.path, &*request.query),
                ("POST", "/a/b", "c=d")
            );
            assert_eq!((request.field("host"), &*request.body), (Some("x"), &b"abc"[..]));
        }
        assert!(read_request(&mut Drops(b"GET / HTTP/1.0\n\n", 1)).is_ok());
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
            assert_eq!(read_request(&mut Drops(text.as_bytes(), 4096)), Err(wrong), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, at_a_time in 1..5000usize) {
            let _ = read_request(&mut Drops(&bytes, at_a_time));
            let text = [b"GET / HTTP/1.1\r\nHost: x\r\n", &bytes[..], b"\r\n\r\n"].concat();
            let _ = read_request(&mut Drops(&text, at_a_time));
        }
    }
}
