//! The opening handshake, RFC 6455 §4.2. Whoever reads HTTP hands in the header fields.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha1::{Digest as _, Sha1};

/// `Sec-WebSocket-Version`, the only one that there is.
pub const VERSION: &str = "13";
/// RFC 6455 §1.3.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A client that may be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handshake {
    accept: String,
    /// The subprotocols that it offers, the preferred one first.
    pub protocols: Vec<String>,
}

impl Handshake {
    /// Whether a request asks for another protocol at all: `Upgrade` names WebSocket.
    pub fn is_asked<'a>(field: &dyn Fn(&str) -> Option<&'a str>) -> bool {
        field("upgrade")
            .is_some_and(|value| tokens(value).any(|t| t.eq_ignore_ascii_case("websocket")))
    }

    /// Reads the header fields of a GET by their names in lower case; `None` if they are no handshake that RFC 6455
    /// §4.2.1 allows.
    #[inline(never)]
    pub fn of<'a>(field: &dyn Fn(&str) -> Option<&'a str>) -> Option<Handshake> {
        let connection = field("connection")?;
        let asks = Handshake::is_asked(field)
            && tokens(connection).any(|token| token.eq_ignore_ascii_case("upgrade"))
            && field("sec-websocket-version").map(str::trim) == Some(VERSION);
        let key = field("sec-websocket-key")?.trim();
        let nonce = BASE64_STANDARD.decode(key).ok().filter(|nonce| nonce.len() == 16);
        (asks && nonce.is_some()).then(|| Handshake {
            accept: accept(key),
            protocols: field("sec-websocket-protocol")
                .into_iter()
                .flat_map(tokens)
                .map(str::to_owned)
                .collect(),
        })
    }

    /// The answer, with one of the subprotocols that were offered.
    #[inline(never)]
    pub fn response(&self, protocol: Option<&str>) -> Vec<u8> {
        let mut out =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Accept: "
                .to_owned();
        out += &self.accept;
        if let Some(protocol) = protocol {
            out += "\r\nSec-WebSocket-Protocol: ";
            out += protocol;
        }
        out += "\r\n\r\n";
        out.into_bytes()
    }
}

fn tokens(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|token| !token.is_empty())
}

fn accept(key: &str) -> String {
    BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(all: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<&'a str> {
        |name| all.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    /// RFC 6455 §1.3.
    #[test]
    fn the_example_of_the_standard_is_answered() {
        let sent = [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "chat, superchat"),
            ("sec-websocket-version", "13"),
        ];
        let handshake = Handshake::of(&fields(&sent)).expect("a handshake");
        assert_eq!(handshake.protocols, ["chat", "superchat"]);
        let answer = String::from_utf8(handshake.response(Some("chat"))).expect("text");
        assert!(
            answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\nSec-WebSocket-Protocol: chat\r\n\r\n"), "{answer}");
        for at in 0..sent.len() {
            let mut less = sent.to_vec();
            let (name, _) = less.remove(at);
            assert_eq!(
                Handshake::of(&fields(&less)).is_some(),
                name.ends_with("protocol"),
                "{name}"
            );
            let mut other = sent.to_vec();
            other[at].1 = "x";
            assert_eq!(
                Handshake::of(&fields(&other)).is_some(),
                name.ends_with("protocol"),
                "{name}"
            );
        }
    }
}
