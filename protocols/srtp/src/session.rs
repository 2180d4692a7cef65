//! One direction of a secure stream: packets are protected, or taken apart, in the buffer that they are in.
//!
//! An SRTP packet is header, payload, MKI and tag (RFC 3711 §3.1); an SRTCP one is its first header, the rest, a
//! word of the flag E and the index, MKI and tag (§3.4). With GCM the tag stands right behind what is encrypted
//! (RFC 7714 §8.2, §9.2).

use base::relay::{MasterKey, Suite};

use crate::index::{Replayed, Window};
use crate::key::{RTCP, RTP, SessionKeys};
use crate::transform::{GCM_TAG, Place, Transform};

/// Octets that the authentication tag of an SRTCP packet has where it is HMAC: RFC 4568 §6.2.2 leaves it at 80 bits
/// where that of SRTP has 32.
const RTCP_HMAC_TAG: usize = 10;

/// Sources of one direction at most: what is kept of each is kept for ever.
const MAX_SOURCES: usize = 64;

/// The highest index of SRTCP, §9.2: the key is used up.
const MAX_RTCP_INDEX: u32 = (1 << 31) - 1;
/// The highest index of SRTP.
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;

/// The flag that an SRTCP packet is encrypted.
const E: u32 = 1 << 31;

/// The part of an RTCP packet that is never encrypted.
const RTCP_HEADER: usize = 8;

/// Why a packet is not protected, or not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SrtpError {
    /// No RTP or RTCP packet, or too short for what has to be in it.
    #[error("no packet")]
    NoPacket,
    /// The buffer has no room for what is added.
    #[error("no room in the buffer")]
    NoRoom,
    /// The tag is not right, or the MKI is not ours.
    #[error("not authentic")]
    NotAuthentic,
    /// It came before, or is too old to tell.
    #[error("replayed")]
    Replayed,
    /// One more source than are kept.
    #[error("too many sources")]
    TooManySources,
    /// As many packets as one key may protect were sent.
    #[error("the key is used up")]
    UsedUp,
}

impl From<Replayed> for SrtpError {
    fn from(Replayed: Replayed) -> SrtpError {
        SrtpError::Replayed
    }
}

/// The keys of one direction.
struct Keys {
    suite: Suite,
    rtp: Transform,
    rtcp: Transform,
    mki: Box<[u8]>,
}

/// The packets of one source.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    rtp: Window,
    rtcp: Window,
}

/// All sources of one direction. Nearly always there is one, and it is where the keys are.
#[derive(Debug, Default)]
pub struct Sources {
    first: Option<(u32, Source)>,
    more: Vec<(u32, Source)>,
    news: bool,
}

/// The direction that we send in.
pub struct Outbound {
    keys: Keys,
    /// Who sends.
    pub sources: Sources,
}

/// The direction that we receive in.
pub struct Inbound {
    keys: Keys,
    /// Who sends.
    pub sources: Sources,
}

impl Keys {
    fn new(key: &MasterKey) -> Keys {
        let suite = key.suite();
        Keys {
            suite,
            rtp: Transform::new(suite, &SessionKeys::of(key, RTP)),
            rtcp: Transform::new(suite, &SessionKeys::of(key, RTCP)),
            mki: key.mki.as_slice().into(),
        }
    }

    /// Octets of an SRTCP packet's tag.
    fn rtcp_tag(&self) -> usize {
        if self.suite.is_aead() { GCM_TAG } else { RTCP_HMAC_TAG }
    }
}

impl Sources {
    /// What has to be known to go on elsewhere: of each source its SSRC, and the indices of its newest SRTP and SRTCP
    /// packet.
    pub fn indices(&self) -> impl Iterator<Item = (u32, Option<u64>, Option<u64>)> + '_ {
        self.all().map(|(ssrc, source)| (*ssrc, source.rtp.newest(), source.rtcp.newest()))
    }

    /// Goes on with a source whose packets had indices up to these. Who sends and is not sure gives higher ones: no
    /// index may be used twice. Who receives takes nothing up to there again.
    ///
    /// # Errors
    /// [`SrtpError::TooManySources`]
    pub fn resume(
        &mut self,
        ssrc: u32,
        rtp: Option<u64>,
        rtcp: Option<u64>,
    ) -> Result<(), SrtpError> {
        let window = |index: Option<u64>| index.map(Window::from_index).unwrap_or_default();
        *self.entry(ssrc)? = Source { rtp: window(rtp), rtcp: window(rtcp) };
        Ok(())
    }

    /// Whether [`Sources::indices`] gives what whoever could go on elsewhere has to know since somebody asked last.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    fn all(&self) -> impl Iterator<Item = &(u32, Source)> + '_ {
        self.first.iter().chain(&self.more)
    }

    fn get(&self, ssrc: u32) -> Source {
        self.all().find(|(known, _)| *known == ssrc).map(|(_, source)| *source).unwrap_or_default()
    }

    /// Where a source's state is; a new one gets one.
    fn entry(&mut self, ssrc: u32) -> Result<&mut Source, SrtpError> {
        let Sources { first, more, .. } = self;
        let (known, source) = first.get_or_insert((ssrc, Source::default()));
        if *known == ssrc {
            return Ok(source);
        }
        let at = match more.iter().position(|(known, _)| *known == ssrc) {
            Some(at) => at,
            None if more.len() + 1 >= MAX_SOURCES => return Err(SrtpError::TooManySources),
            None => {
                more.push((ssrc, Source::default()));
                more.len() - 1
            }
        };
        Ok(&mut more[at].1)
    }
}

impl Outbound {
    /// A direction that nothing was sent in.
    pub fn new(key: &MasterKey) -> Outbound {
        Outbound { keys: Keys::new(key), sources: Sources::default() }
    }

    /// Octets that a packet grows by at most, RTP and RTCP alike.
    pub fn overhead(&self) -> usize {
        self.keys.suite.tag_length().max(self.keys.rtcp_tag()) + self.keys.mki.len() + 4
    }

    /// Protects the RTP packet in the first `length` octets; the length that it has then.
    ///
    /// # Errors
    /// [`SrtpError`]. A packet that was sent before, or is far behind the newest one, is not sent again: its key
    /// stream must not be used for anything else.
    pub fn protect(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let Keys { suite, rtp, mki, .. } = &self.keys;
        let packet = buffer.get(..length).ok_or(SrtpError::NoPacket)?;
        let header = header_length(packet)?;
        let (sequence, ssrc) = sequence_and_ssrc(packet);
        let source = self.sources.entry(ssrc)?;
        let index = source.rtp.index_of(sequence)?;
        source.rtp.admits(index)?;
        if index > MAX_RTP_INDEX {
            return Err(SrtpError::UsedUp);
        }
        let tag = suite.tag_length();
        let end = length + tag + mki.len();
        let buffer = buffer.get_mut(..end).ok_or(SrtpError::NoRoom)?;
        let place = Place { ssrc, index, f8: f8_vector(buffer, index) };
        if suite.is_aead() {
            let (head, rest) = buffer.split_at_mut(header);
            let (payload, rest) = rest.split_at_mut(length - header);
            let sealed = rtp.seal(&place, head, payload).ok_or(SrtpError::UsedUp)?;
            rest[..tag].copy_from_slice(&sealed);
            rest[tag..].copy_from_slice(mki);
        } else {
            rtp.crypt(&place, &mut buffer[header..length]);
            let counter = ((index >> 16) as u32).to_be_bytes();
            let computed = rtp.tag([&buffer[..length], &counter]);
            buffer[length..length + mki.len()].copy_from_slice(mki);
            buffer[length + mki.len()..].copy_from_slice(&computed[..tag]);
        }
        let news = source.rtp.take(index);
        self.sources.news |= news;
        Ok(end)
    }

    /// The same for RTCP, which numbers its packets itself.
    ///
    /// # Errors
    /// [`SrtpError`]
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let Keys { rtcp, mki, suite, .. } = &self.keys;
        let packet = buffer.get(..length).filter(|packet| is_rtcp(packet));
        let ssrc = word(packet.ok_or(SrtpError::NoPacket)?, 4);
        let source = self.sources.entry(ssrc)?;
        let index = source.rtcp.newest().map_or(0, |newest| newest as u32 + 1);
        if index > MAX_RTCP_INDEX {
            return Err(SrtpError::UsedUp);
        }
        let tag = self.keys.rtcp_tag();
        let end = length + tag + 4 + mki.len();
        let buffer = buffer.get_mut(..end).ok_or(SrtpError::NoRoom)?;
        let trailer = (E | index).to_be_bytes();
        let f8 = f8_rtcp_vector(buffer, trailer);
        let place = Place { ssrc, index: u64::from(index), f8 };
        if suite.is_aead() {
            let aad = rtcp_aad(buffer, trailer);
            let (body, rest) = buffer[RTCP_HEADER..].split_at_mut(length - RTCP_HEADER);
            let sealed = rtcp.seal(&place, &aad, body).ok_or(SrtpError::UsedUp)?;
            rest[..tag].copy_from_slice(&sealed);
            rest[tag..tag + 4].copy_from_slice(&trailer);
            rest[tag + 4..].copy_from_slice(mki);
        } else {
            rtcp.crypt(&place, &mut buffer[RTCP_HEADER..length]);
            buffer[length..length + 4].copy_from_slice(&trailer);
            let computed = rtcp.tag([&buffer[..length + 4], &[]]);
            buffer[length + 4..length + 4 + mki.len()].copy_from_slice(mki);
            buffer[length + 4 + mki.len()..].copy_from_slice(&computed[..tag]);
        }
        let news = source.rtcp.take(u64::from(index));
        self.sources.news |= news;
        Ok(end)
    }
}

impl Inbound {
    /// A direction that nothing came in.
    pub fn new(key: &MasterKey) -> Inbound {
        Inbound { keys: Keys::new(key), sources: Sources::default() }
    }

    /// Takes the SRTP packet in the first `length` octets apart; the length of the RTP packet that is there then.
    /// What is in the buffer after a failure means nothing.
    ///
    /// # Errors
    /// [`SrtpError`]; nothing is kept of such a packet.
    pub fn unprotect(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let Keys { suite, rtp, mki, .. } = &self.keys;
        let buffer = buffer.get_mut(..length).ok_or(SrtpError::NoPacket)?;
        let header = header_length(buffer)?;
        let (sequence, ssrc) = sequence_and_ssrc(buffer);
        let mut source = self.sources.get(ssrc);
        let index = source.rtp.index_of(sequence)?;
        source.rtp.admits(index)?;
        let tag = suite.tag_length();
        let end = length.checked_sub(tag + mki.len()).filter(|end| *end >= header);
        let end = end.ok_or(SrtpError::NoPacket)?;
        let place = Place { ssrc, index, f8: f8_vector(buffer, index) };
        if suite.is_aead() {
            let (packet, theirs) = buffer.split_at_mut(end + tag);
            let (head, sealed) = packet.split_at_mut(header);
            if *theirs != **mki || !rtp.open(&place, head, sealed) {
                return Err(SrtpError::NotAuthentic);
            }
        } else {
            let (packet, rest) = buffer.split_at_mut(end);
            let (theirs, given) = rest.split_at(mki.len());
            let counter = ((index >> 16) as u32).to_be_bytes();
            if *theirs != **mki || !rtp.is_tag([packet, &counter], given) {
                return Err(SrtpError::NotAuthentic);
            }
            rtp.crypt(&place, &mut packet[header..]);
        }
        let news = source.rtp.take(index);
        *self.sources.entry(ssrc)? = source;
        self.sources.news |= news;
        Ok(end)
    }

    /// The same for SRTCP.
    ///
    /// # Errors
    /// [`SrtpError`]; nothing is kept of such a packet.
    pub fn unprotect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, SrtpError> {
        let Keys { suite, rtcp, mki, .. } = &self.keys;
        let buffer = buffer.get_mut(..length).filter(|packet| is_rtcp(packet));
        let buffer = buffer.ok_or(SrtpError::NoPacket)?;
        let tag = self.keys.rtcp_tag();
        let end = length.checked_sub(tag + 4 + mki.len()).filter(|end| *end >= RTCP_HEADER);
        let end = end.ok_or(SrtpError::NoPacket)?;
        let at = if suite.is_aead() { end + tag } else { end };
        let trailer = word(buffer, at);
        let (encrypted, index) = (trailer & E != 0, u64::from(trailer & !E));
        let trailer = trailer.to_be_bytes();
        let ssrc = word(buffer, 4);
        let mut source = self.sources.get(ssrc);
        source.rtcp.admits(index)?;
        let place = Place { ssrc, index, f8: f8_rtcp_vector(buffer, trailer) };
        let genuine = if suite.is_aead() {
            let theirs = buffer[at + 4..] == **mki;
            theirs && open_rtcp(rtcp, &place, &mut buffer[..at], (encrypted, trailer))
        } else {
            let (packet, rest) = buffer.split_at(end + 4);
            let (theirs, given) = rest.split_at(mki.len());
            let genuine = *theirs == **mki && rtcp.is_tag([packet, &[]], given);
            if genuine && encrypted {
                rtcp.crypt(&place, &mut buffer[RTCP_HEADER..end]);
            }
            genuine
        };
        if !genuine {
            return Err(SrtpError::NotAuthentic);
        }
        let news = source.rtcp.take(index);
        *self.sources.entry(ssrc)? = source;
        self.sources.news |= news;
        Ok(end)
    }
}

/// RFC 7714 §9.2 and §9.3: what is not encrypted is authenticated with the rest.
fn open_rtcp(
    rtcp: &Transform,
    place: &Place,
    buffer: &mut [u8],
    (encrypted, trailer): (bool, [u8; 4]),
) -> bool {
    if encrypted {
        let aad = rtcp_aad(buffer, trailer);
        return rtcp.open(place, &aad, &mut buffer[RTCP_HEADER..]);
    }
    let Some(end) = buffer.len().checked_sub(GCM_TAG) else { return false };
    let (packet, tag) = buffer.split_at_mut(end);
    let aad = [&*packet, &trailer].concat();
    rtcp.open(place, &aad, tag)
}

/// RFC 7714 §9.2: the first header, and the word of E and the index.
fn rtcp_aad(buffer: &[u8], trailer: [u8; 4]) -> [u8; RTCP_HEADER + 4] {
    let mut aad = [0; RTCP_HEADER + 4];
    aad[..RTCP_HEADER].copy_from_slice(&buffer[..RTCP_HEADER]);
    aad[RTCP_HEADER..].copy_from_slice(&trailer);
    aad
}

/// Octets of an RTP header with its CSRCs and its extension, RFC 3550 §5.1 and §5.3.1.
fn header_length(packet: &[u8]) -> Result<usize, SrtpError> {
    let first = *packet.first().filter(|first| **first >> 6 == 2).ok_or(SrtpError::NoPacket)?;
    let mut length = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4).ok_or(SrtpError::NoPacket)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    if length <= packet.len() { Ok(length) } else { Err(SrtpError::NoPacket) }
}

/// Of a packet that has a header.
fn sequence_and_ssrc(packet: &[u8]) -> (u16, u32) {
    (u16::from_be_bytes([packet[2], packet[3]]), word(packet, 8))
}

fn is_rtcp(packet: &[u8]) -> bool {
    packet.len() >= RTCP_HEADER && packet[0] >> 6 == 2
}

fn word(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
}

/// RFC 3711 §4.1.2.2: the header without its first octet, and the roll-over counter.
fn f8_vector(packet: &[u8], index: u64) -> [u8; 16] {
    let mut vector = [0; 16];
    vector[1..12].copy_from_slice(&packet[1..12]);
    vector[12..].copy_from_slice(&((index >> 16) as u32).to_be_bytes());
    vector
}

/// §4.1.2.3: the word of E and the index, and the first header.
fn f8_rtcp_vector(packet: &[u8], trailer: [u8; 4]) -> [u8; 16] {
    let mut vector = [0; 16];
    vector[4..8].copy_from_slice(&trailer);
    vector[8..].copy_from_slice(&packet[..RTCP_HEADER]);
    vector
}

#[cfg(test)]
mod tests;
