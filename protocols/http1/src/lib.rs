//! HTTP/1.1 for servers, RFC 9110 and RFC 9112, without I/O.
//!
//! | File | What |
//! |---|---|
//! | `request` | a request out of the bytes that have arrived |
//! | `response` | the bytes of an answer |
//!
//! Not done: `Transfer-Encoding` of requests, `Expect`.

#![forbid(unsafe_code)]
// Entry points are not inlined: this crate is compiled for size, and who calls it is not.

mod request;
mod response;

pub use request::{BODY, HEAD, Request, Wrong};
pub use response::{Response, reason};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_of_one_connection_are_told_apart() {
        let stream = b"POST /ng HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /a%20b HTTP/1.1\r\nHost: \
                       x\r\nConnection: Close\r\n\r\n";
        let (first, length) = Request::frame(stream).unwrap().unwrap();
        assert_eq!((&first.body[..], first.persistent), (&b"abc"[..], true));
        let (second, rest) = Request::frame(&stream[length..]).unwrap().unwrap();
        assert_eq!(second.decoded_path().as_deref(), Some("/a b"));
        assert_eq!((second.persistent, length + rest), (false, stream.len()));
        for end in 0..length {
            assert_eq!(Request::frame(&stream[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn a_response_says_whether_the_connection_stays() {
        let response = Response::text(200, "hello\n");
        let text = String::from_utf8(response.bytes(false, true)).unwrap();
        assert!(text.ends_with("no-store\r\n\r\nhello\n"), "{text}");
        let text = String::from_utf8(response.bytes(true, false)).unwrap();
        assert!(text.ends_with("Connection: close\r\n\r\n"), "{text}");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Request::frame(&bytes);
            let text = [b"GET / HTTP/1.1\r\nHost: x\r\n", &bytes[..], b"\r\n\r\n"].concat();
            let _ = Request::frame(&text);
        }
    }
}
