//! A whole message: its bytes, and a view of them.

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::avp::{Avp, Avps, Key, Writer, validate};
use crate::dictionary::{ORIGIN_HOST, ORIGIN_REALM, SESSION_ID, Show, USER_NAME};
use crate::fault::Fault;
use crate::header::{Flags, HEADER_LEN, Header, MAX_LEN};
use crate::result::{Outcome, ResultCode};

/// A message whose header and top-level AVPs are well formed.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    bytes: Bytes,
    header: Header,
}

/// Why bytes are not a message, and what of them can be answered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{fault}")]
pub struct ParseError {
    /// The header, if one could be read.
    pub header: Option<Header>,
    /// What is wrong.
    pub fault: Fault,
}

impl Message {
    /// Checks the header and the outermost AVPs.
    pub fn parse(bytes: Bytes) -> Result<Message, ParseError> {
        let Some((header, len)) = Header::parse(&bytes) else {
            let fault = Fault::of(ResultCode::INVALID_MESSAGE_LENGTH);
            return Err(ParseError { header: None, fault });
        };
        let refuse = |fault| Err(ParseError { header: Some(header), fault });
        if bytes[0] != 1 {
            return refuse(Fault::of(ResultCode::UNSUPPORTED_VERSION));
        }
        if len != bytes.len() || len > MAX_LEN || !len.is_multiple_of(4) {
            return refuse(Fault::of(ResultCode::INVALID_MESSAGE_LENGTH));
        }
        if header.flags.has(Flags::REQUEST) && header.flags.has(Flags::ERROR) {
            return refuse(Fault::of(ResultCode::INVALID_HDR_BITS));
        }
        match validate(&bytes[HEADER_LEN..]) {
            Ok(()) => Ok(Message { bytes, header }),
            Err(fault) => refuse(fault),
        }
    }

    /// A message of this header and these AVPs. They must be shorter than 16 MiB, which everything
    /// that arrived within [`MAX_LEN`] is.
    pub fn build(header: Header, avps: &[u8]) -> Message {
        let len = HEADER_LEN + avps.len();
        let mut bytes = BytesMut::with_capacity(len);
        bytes.put_slice(&header.emit(len));
        bytes.put_slice(avps);
        Message { bytes: bytes.freeze(), header }
    }

    /// A message of this header and what `avps` writes.
    pub fn write(header: Header, avps: impl FnOnce(&mut Writer)) -> Message {
        let mut writer = Writer::new();
        avps(&mut writer);
        Message::build(header, writer.as_slice())
    }

    /// The same AVPs behind another header.
    #[must_use]
    pub fn with_header(&self, header: Header) -> Message {
        Message::build(header, &self.bytes[HEADER_LEN..])
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The encoded message.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The outermost AVPs.
    pub fn avps(&self) -> Avps<'_> {
        Avps::new(&self.bytes[HEADER_LEN..])
    }

    /// The first AVP of that name.
    pub fn find(&self, key: Key) -> Option<Avp<'_>> {
        self.avps().find(key)
    }

    /// The first AVP of that name, or a 5005 that names it.
    pub fn require(&self, key: Key) -> Result<Avp<'_>, Fault> {
        self.avps().require(key)
    }

    /// All AVPs of that name.
    pub fn all(&self, key: Key) -> impl Iterator<Item = Avp<'_>> {
        self.avps().filter(move |avp| avp.is(key))
    }

    /// The text of the first AVP of that name, if it is there and UTF-8.
    pub fn text(&self, key: Key) -> Option<&str> {
        self.find(key)?.utf8().ok()
    }

    /// Session-Id.
    pub fn session_id(&self) -> Option<&str> {
        self.text(SESSION_ID)
    }

    /// Origin-Host.
    pub fn origin_host(&self) -> Option<&str> {
        self.text(ORIGIN_HOST)
    }

    /// Origin-Realm.
    pub fn origin_realm(&self) -> Option<&str> {
        self.text(ORIGIN_REALM)
    }

    /// User-Name.
    pub fn user_name(&self) -> Option<&str> {
        self.text(USER_NAME)
    }

    /// How the request ended, if this is an answer that says so.
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::parse(self.avps())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Show(self), f)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Show(self), f)
    }
}
