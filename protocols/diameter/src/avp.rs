//! Attribute-Value Pairs, RFC 6733 §4: a borrowed view that keeps unknown ones byte for byte and in
//! their order, and a writer that patches lengths afterwards.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::{BufMut, Bytes, BytesMut};

use crate::fault::Fault;

const VENDOR_BIT: u8 = 0x80;
const MANDATORY_BIT: u8 = 0x40;

/// Names an AVP, and says whether senders set its M-bit. See [`dictionary`](crate::dictionary).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    /// The AVP code.
    pub code: u32,
    /// The vendor id; 0 is none.
    pub vendor: u32,
    /// Whether the M-bit is set when it is sent.
    pub mandatory: bool,
}

/// One AVP of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Avp<'a> {
    /// The AVP code.
    pub code: u32,
    /// The flags as received.
    pub flags: u8,
    /// The vendor id; 0 is none.
    pub vendor: u32,
    /// The data, without padding.
    pub data: &'a [u8],
    /// The whole AVP with header and padding, for passing it on.
    pub raw: &'a [u8],
}

impl<'a> Avp<'a> {
    /// The AVP at the start of `bytes`. The error is a 5014 that names it.
    pub fn parse(bytes: &'a [u8]) -> Result<Avp<'a>, Fault> {
        let Some((words, _)) = bytes.get(..8).map(|b| b.as_chunks::<4>()) else {
            return Err(Fault::truncated(bytes));
        };
        let code = u32::from_be_bytes(words[0]);
        let flags = bytes[4];
        let len = (u32::from_be_bytes(words[1]) & 0x00ff_ffff) as usize;
        let (head, vendor) = if flags & VENDOR_BIT == 0 {
            (8, 0)
        } else {
            let id = bytes.get(8..12).and_then(|b| b.first_chunk());
            (12, u32::from_be_bytes(*id.ok_or_else(|| Fault::truncated(bytes))?))
        };
        if len < head || len > bytes.len() {
            return Err(Fault::truncated(&bytes[..head]));
        }
        // The last AVP's padding is forgiven when it is missing.
        let raw = &bytes[..len.next_multiple_of(4).min(bytes.len())];
        Ok(Avp { code, flags, vendor, data: &bytes[head..len], raw })
    }

    /// Whether this is the AVP that `key` names.
    pub const fn is(&self, key: Key) -> bool {
        self.code == key.code && self.vendor == key.vendor
    }

    /// Whether the M-bit is set.
    pub const fn is_mandatory(&self) -> bool {
        self.flags & MANDATORY_BIT != 0
    }

    /// Unsigned32, Enumerated or Time.
    pub fn u32(&self) -> Result<u32, Fault> {
        Ok(u32::from_be_bytes(self.data.try_into().map_err(|_| Fault::length(self))?))
    }

    /// Unsigned64.
    pub fn u64(&self) -> Result<u64, Fault> {
        Ok(u64::from_be_bytes(self.data.try_into().map_err(|_| Fault::length(self))?))
    }

    /// UTF8String, DiameterIdentity or DiameterURI.
    pub fn utf8(&self) -> Result<&'a str, Fault> {
        core::str::from_utf8(self.data).map_err(|_| Fault::value(self))
    }

    /// The address family of an Address, RFC 6733 §4.3.1, with the length checked for IPv4 and IPv6.
    pub fn address_family(&self) -> Result<u16, Fault> {
        let (family, rest) = self.data.split_first_chunk().ok_or_else(|| Fault::length(self))?;
        match (u16::from_be_bytes(*family), rest.len()) {
            (1, 4) | (2, 16) => {}
            (1 | 2, _) => return Err(Fault::length(self)),
            _ => {}
        }
        Ok(u16::from_be_bytes(*family))
    }

    /// An IPv4 or IPv6 Address.
    pub fn address(&self) -> Result<IpAddr, Fault> {
        let family = self.address_family()?;
        let rest = &self.data[2..];
        match (family, rest.first_chunk::<4>(), rest.first_chunk::<16>()) {
            (1, Some(v4), _) => Ok(Ipv4Addr::from(*v4).into()),
            (2, _, Some(v6)) => Ok(Ipv6Addr::from(*v6).into()),
            _ => Err(Fault::value(self)),
        }
    }

    /// The members of a Grouped AVP, all of which are well formed.
    pub fn group(&self) -> Result<Avps<'a>, Fault> {
        validate(self.data)?;
        Ok(self.members())
    }

    /// The members of a Grouped AVP up to the first that is malformed.
    pub fn members(&self) -> Avps<'a> {
        Avps { rest: self.data }
    }
}

/// The AVPs of a message or group, in their order; it ends at the first malformed one.
#[derive(Clone, Debug)]
pub struct Avps<'a> {
    rest: &'a [u8],
}

impl<'a> Avps<'a> {
    /// The AVPs in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Avps<'a> {
        Avps { rest: bytes }
    }

    /// The first AVP of that name.
    pub fn find(mut self, key: Key) -> Option<Avp<'a>> {
        Iterator::find(&mut self, |avp| avp.is(key))
    }

    /// The first AVP of that name, or a 5005 that names it.
    pub fn require(self, key: Key) -> Result<Avp<'a>, Fault> {
        self.find(key).ok_or_else(|| Fault::missing(key))
    }
}

impl<'a> Iterator for Avps<'a> {
    type Item = Avp<'a>;

    fn next(&mut self) -> Option<Avp<'a>> {
        let avp = Avp::parse(self.rest).ok()?;
        self.rest = &self.rest[avp.raw.len()..];
        Some(avp)
    }
}

/// Checks that `bytes` are well-formed AVPs, one level deep.
pub fn validate(mut bytes: &[u8]) -> Result<(), Fault> {
    while !bytes.is_empty() {
        bytes = &bytes[Avp::parse(bytes)?.raw.len()..];
    }
    Ok(())
}

/// Writes AVPs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    buf: BytesMut,
}

impl Writer {
    /// Nothing yet.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// OctetString.
    pub fn bytes(&mut self, key: Key, data: &[u8]) -> &mut Writer {
        self.write(key, |buf| buf.put_slice(data))
    }

    /// UTF8String, DiameterIdentity or DiameterURI.
    pub fn utf8(&mut self, key: Key, text: &str) -> &mut Writer {
        self.bytes(key, text.as_bytes())
    }

    /// Unsigned32, Enumerated or Time.
    pub fn u32(&mut self, key: Key, number: u32) -> &mut Writer {
        self.write(key, |buf| buf.put_u32(number))
    }

    /// Unsigned64.
    pub fn u64(&mut self, key: Key, number: u64) -> &mut Writer {
        self.write(key, |buf| buf.put_u64(number))
    }

    /// Address, RFC 6733 §4.3.1.
    pub fn address(&mut self, key: Key, address: IpAddr) -> &mut Writer {
        self.write(key, |buf| match address {
            IpAddr::V4(v4) => {
                buf.put_u16(1);
                buf.put_slice(&v4.octets());
            }
            IpAddr::V6(v6) => {
                buf.put_u16(2);
                buf.put_slice(&v6.octets());
            }
        })
    }

    /// Grouped: what `members` writes.
    pub fn group(&mut self, key: Key, members: impl FnOnce(&mut Writer)) -> &mut Writer {
        let start = self.open(key);
        members(self);
        self.close(start);
        self
    }

    /// Another's AVP exactly as it came, but padded.
    pub fn copy(&mut self, avp: &Avp<'_>) -> &mut Writer {
        self.raw(avp.raw)
    }

    /// Encoded AVPs.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.buf.put_slice(bytes);
        self.pad();
        self
    }

    /// What was written.
    pub fn as_slice(&self) -> &[u8] {
        &self.buf
    }

    /// What was written.
    pub fn finish(self) -> Bytes {
        self.buf.freeze()
    }

    fn write(&mut self, key: Key, data: impl FnOnce(&mut BytesMut)) -> &mut Writer {
        let start = self.open(key);
        data(&mut self.buf);
        self.close(start);
        self
    }

    fn open(&mut self, key: Key) -> usize {
        let start = self.buf.len();
        let vendor = if key.vendor == 0 { 0 } else { VENDOR_BIT };
        let mandatory = if key.mandatory { MANDATORY_BIT } else { 0 };
        self.buf.put_u32(key.code);
        self.buf.put_u32(u32::from(vendor | mandatory) << 24);
        if key.vendor != 0 {
            self.buf.put_u32(key.vendor);
        }
        start
    }

    fn close(&mut self, start: usize) {
        let len = (self.buf.len() - start) as u32;
        self.buf[start + 5..start + 8].copy_from_slice(&len.to_be_bytes()[1..]);
        self.pad();
    }

    fn pad(&mut self) {
        self.buf.resize(self.buf.len().next_multiple_of(4), 0);
    }
}
