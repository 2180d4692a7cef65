//! Records as pcapng for the tools that people already use, and back.
//!
//! Each message is a packet of link type RAW with IP and UDP or TCP headers made up around it.
//! Functions on in-memory wires get the address `127.1.x.y` (the wire's number) and the port of their
//! protocol, so that every dissector finds them; Name Resolution Blocks carry their names. A TCP
//! connection has sequence numbers that fit together but no handshake. Messages that are longer than
//! a packet are cut into several segments.
//!
//! The first packet of a message has a comment: who spoke to whom, and the record's fields as JSON,
//! from which [`read`] restores it exactly. Other files' packets are skipped by it.

mod packet;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use base::{Bytes, Service, Transport};
use bytes::{BufMut, BytesMut};

pub use read::{ReadError, read};

use crate::address::{Addresses, same_family};
use crate::json;
use crate::record::{Party, Record};
use packet::{MOST_TCP, MOST_UDP, Segment};

/// LINKTYPE_RAW: a packet begins with its IPv4 or IPv6 header.
const LINKTYPE_RAW: u16 = 101;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const NAME_RESOLUTION: u32 = 4;
const ENHANCED_PACKET: u32 = 6;

const OPT_COMMENT: u16 = 1;
const IF_NAME: u16 = 2;
const SHB_USERAPPL: u16 = 4;

/// Where a comment's JSON begins.
const MARK: &str = "\nstrowger: ";

/// Writes records as one file.
#[derive(Debug)]
pub struct Writer {
    out: BytesMut,
    addresses: Addresses,
    /// The next sequence number in each direction of a TCP connection.
    sequence: BTreeMap<(SocketAddr, SocketAddr), u32>,
    /// The IPv4 identification.
    packets: u16,
    comments: bool,
}

impl Default for Writer {
    fn default() -> Writer {
        Writer::new()
    }
}

/// The records as one file, with names first.
pub fn write<'a>(records: impl IntoIterator<Item = &'a Record>) -> Bytes {
    let records: Vec<&Record> = records.into_iter().collect();
    let mut writer = Writer::new();
    writer.names(records.iter().copied());
    records.into_iter().for_each(|record| writer.record(record));
    writer.finish()
}

impl Writer {
    /// A file with a section and an interface.
    pub fn new() -> Writer {
        let mut writer = Writer {
            out: BytesMut::new(),
            addresses: Addresses::default(),
            sequence: BTreeMap::new(),
            packets: 0,
            comments: true,
        };
        writer.block(SECTION_HEADER, |out| {
            out.put_u32_le(0x1a2b_3c4d);
            out.put_u16_le(1);
            out.put_u16_le(0);
            out.put_i64_le(-1);
            option(out, SHB_USERAPPL, b"strowger");
            end_of_options(out);
        });
        writer.block(INTERFACE_DESCRIPTION, |out| {
            out.put_u16_le(LINKTYPE_RAW);
            out.put_u16_le(0);
            out.put_u32_le(0);
            // Times are in microseconds, which is the default.
            option(out, IF_NAME, b"strowger");
            end_of_options(out);
        });
        writer
    }

    /// Without comments: smaller, but it cannot be read back.
    #[must_use]
    pub fn without_comments(mut self) -> Writer {
        self.comments = false;
        self
    }

    /// The names of all who have an address of their own.
    pub fn names<'a>(&mut self, records: impl IntoIterator<Item = &'a Record>) {
        let mut names: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
        for record in records {
            for party in [&record.from, &record.to] {
                let address = self.addresses.of(party, record.service).ip();
                let name = party.name.as_deref().map(host_name).filter(|name| !name.is_empty());
                names.entry(address).or_default().extend(name);
            }
        }
        let own = names.into_iter().filter(|(_, names)| names.len() == 1);
        let own: Vec<(IpAddr, String)> =
            own.filter_map(|(ip, names)| Some((ip, names.into_iter().next()?))).collect();
        if own.is_empty() {
            return;
        }
        self.block(NAME_RESOLUTION, |out| {
            for (address, name) in own {
                let octets: Vec<u8> = match address {
                    IpAddr::V4(v4) => v4.octets().to_vec(),
                    IpAddr::V6(v6) => v6.octets().to_vec(),
                };
                let kind = if address.is_ipv4() { 1 } else { 2 };
                let value = [octets.as_slice(), name.as_bytes(), &[0]].concat();
                option(out, kind, &value);
            }
            end_of_options(out);
        });
    }

    /// One message.
    pub fn record(&mut self, record: &Record) {
        let from = self.addresses.of(&record.from, record.service);
        let to = self.addresses.of(&record.to, record.service);
        let (from, to) = same_family(from, to);
        let udp = match record.transport {
            Transport::Udp => true,
            Transport::Tcp | Transport::Tls => false,
            Transport::Wire => matches!(record.service, Service::Ng | Service::Rtp),
        };
        let comment = self.comments.then(|| comment(record));
        let mut comment = comment.as_deref();
        if udp && record.bytes.len() <= MOST_UDP {
            self.packets = self.packets.wrapping_add(1);
            let packet = packet::udp(from, to, self.packets, &record.bytes);
            return self.packet(record, &packet, comment);
        }
        let mut rest: &[u8] = &record.bytes;
        loop {
            let (now, later) = rest.split_at(rest.len().min(MOST_TCP));
            let ack = self.sequence.get(&(to, from)).copied().unwrap_or(1);
            let sequence = self.sequence.entry((from, to)).or_insert(1);
            let segment = Segment { sequence: *sequence, ack, push: later.is_empty() };
            *sequence = sequence.wrapping_add(now.len() as u32);
            self.packets = self.packets.wrapping_add(1);
            let packet = packet::tcp(from, to, self.packets, segment, now);
            self.packet(record, &packet, comment.take());
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
    }

    /// What was written since the last call: a file may be written while it grows.
    pub fn take(&mut self) -> Bytes {
        self.out.split().freeze()
    }

    /// The file, or what is left of it.
    pub fn finish(self) -> Bytes {
        self.out.freeze()
    }

    fn packet(&mut self, record: &Record, packet: &[u8], comment: Option<&str>) {
        let micros = record.at.unix_micros();
        self.block(ENHANCED_PACKET, |out| {
            out.put_u32_le(0);
            out.put_u32_le((micros >> 32) as u32);
            out.put_u32_le(micros as u32);
            out.put_u32_le(packet.len() as u32);
            out.put_u32_le(packet.len() as u32);
            out.put_slice(packet);
            pad(out);
            if let Some(comment) = comment {
                option(out, OPT_COMMENT, comment.as_bytes());
                end_of_options(out);
            }
        });
    }

    /// Type, length, what `body` writes, length again. All blocks begin at a multiple of four.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        out.put_u32_le(kind);
        out.put_u32_le(0);
        body(&mut out);
        pad(&mut out);
        let length = (out.len() + 4) as u32;
        out[4..8].copy_from_slice(&length.to_le_bytes());
        out.put_u32_le(length);
        self.out.put_slice(&out);
    }
}

/// Who spoke to whom for the reader, and the rest for [`read`].
fn comment(record: &Record) -> String {
    let name = |party: &Party| match &party.name {
        Some(name) => crate::dissect::plain(name),
        None => party.endpoint.to_string(),
    };
    let mut fields = json::head(record);
    fields.insert("length".into(), record.bytes.len().into());
    let fields = serde_json::Value::Object(fields);
    format!("{} → {}{MARK}{fields}", name(&record.from), name(&record.to))
}

/// An option cannot be longer than 65,535 bytes; names are, if at all, only in made-up records.
fn option(out: &mut BytesMut, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.put_u16_le(code);
    out.put_u16_le(value.len() as u16);
    out.put_slice(value);
    pad(out);
}

fn end_of_options(out: &mut BytesMut) {
    out.put_u32_le(0);
}

/// A block is built from its own start, and so are the options in it.
fn pad(out: &mut BytesMut) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A configured name as a host name.
fn host_name(name: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    name.chars().take(255).map(|c| if legal(c) { c } else { '-' }).collect()
}
