//! Reads what [`Writer`](super::Writer) wrote.

use base::Bytes;
use serde_json::Value;

use super::{ENHANCED_PACKET, MARK, OPT_COMMENT, SECTION_HEADER, packet};
use crate::json;
use crate::record::Record;

/// Longest message that is put together from segments.
const MOST: usize = 1 << 24;

/// Why bytes are no pcapng file of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    /// It does not begin with a section header.
    #[error("not a pcapng file")]
    NotPcapng,
    /// Another machine's byte order.
    #[error("a big-endian pcapng file, which Strowger never writes")]
    BigEndian,
    /// A block is longer than the file, or its length is impossible. `at` is its offset.
    #[error("the block at byte {at} is cut off or damaged")]
    Block {
        /// The offset of the block.
        at: usize,
    },
}

/// All records of a file. Packets without our comment, and blocks of other kinds, are skipped.
///
/// # Errors
/// [`ReadError`]
pub fn read(file: &[u8]) -> Result<Vec<Record>, ReadError> {
    if number(file, 0) != Some(SECTION_HEADER) {
        return Err(ReadError::NotPcapng);
    }
    match number(file, 8) {
        Some(0x1a2b_3c4d) => {}
        Some(0x4d3c_2b1a) => return Err(ReadError::BigEndian),
        _ => return Err(ReadError::NotPcapng),
    }
    let mut records = Vec::new();
    let mut open: Option<Open> = None;
    let mut at = 0;
    while at < file.len() {
        let damaged = ReadError::Block { at };
        let kind = number(file, at).ok_or(damaged)?;
        let length = number(file, at + 4).ok_or(damaged)? as usize;
        let legal = length >= 12 && length.is_multiple_of(4);
        let block = file.get(at..at.saturating_add(length)).filter(|_| legal).ok_or(damaged)?;
        at += length;
        if kind != ENHANCED_PACKET {
            continue;
        }
        let Some((payload, comment)) = enhanced_packet(&block[8..length - 4]) else { continue };
        if let Some(comment) = comment {
            open = Open::new(comment);
        }
        let done = open.as_mut().is_some_and(|open| open.take(payload));
        if let Some(record) = open.take_if(|_| done).and_then(Open::finish) {
            records.push(record);
        }
    }
    Ok(records)
}

/// A message whose segments are being collected.
struct Open {
    head: Value,
    length: usize,
    bytes: Vec<u8>,
}

impl Open {
    fn new(comment: &str) -> Option<Open> {
        let (_, fields) = comment.split_once(MARK)?;
        let head: Value = serde_json::from_str(fields).ok()?;
        let length = usize::try_from(head["length"].as_u64()?).ok().filter(|l| *l <= MOST)?;
        Some(Open { head, length, bytes: Vec::new() })
    }

    /// Whether it is complete now.
    fn take(&mut self, payload: &[u8]) -> bool {
        self.bytes.extend(payload);
        self.bytes.len() >= self.length
    }

    fn finish(self) -> Option<Record> {
        let whole = self.bytes.len() == self.length;
        json::read_head(&self.head, Bytes::from(self.bytes)).ok().filter(|_| whole)
    }
}

/// Payload and comment.
fn enhanced_packet(body: &[u8]) -> Option<(&[u8], Option<&str>)> {
    let captured = number(body, 12)? as usize;
    let end = captured.checked_add(20)?;
    let payload = packet::payload(body.get(20..end)?)?;
    let mut options = body.get(end.next_multiple_of(4)..).unwrap_or_default();
    let mut comment = None;
    while let Some((head, rest)) = options.split_first_chunk::<4>() {
        let code = u16::from_le_bytes([head[0], head[1]]);
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        if code == OPT_COMMENT {
            comment = rest.get(..length).and_then(|text| std::str::from_utf8(text).ok());
        }
        options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some((payload, comment))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let chunk = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*chunk))
}
