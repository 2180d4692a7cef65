//! Files that other tools read, and that we read back.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod flow;

use base::{Endpoint, Service, Transport, WireId};
use flow::{Place, evening};
use ladder::{Ladder, Party, Record, html, json, pcapng};

fn u16_le(b: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes(b[at..at + 2].try_into().unwrap()))
}

fn u32_le(b: &[u8], at: usize) -> usize {
    u32::from_le_bytes(b[at..at + 4].try_into().unwrap()) as usize
}

fn u16_be(b: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes(b[at..at + 2].try_into().unwrap()))
}

fn u32_be(b: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(b[at..at + 4].try_into().unwrap())
}

/// Type and body of each block, checked as draft-ietf-opsawg-pcapng §3.1 has it.
fn blocks(file: &[u8]) -> Vec<(usize, &[u8])> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let length = u32_le(file, at + 4);
        assert_eq!((length % 4, u32_le(file, at + length - 4)), (0, length));
        out.push((u32_le(file, at), &file[at + 8..at + length - 4]));
        at += length;
    }
    out
}

/// The packet of an Enhanced Packet Block.
fn packet(body: &[u8]) -> &[u8] {
    assert_eq!(u32_le(body, 12), u32_le(body, 16));
    &body[20..20 + u32_le(body, 12)]
}

fn large(service: Service, transport: Transport, length: usize) -> Record {
    let mut record = evening(Place::PROCESS).remove(1);
    (record.service, record.transport) = (service, transport);
    record.bytes = (0..length).map(|i| (i * 7 % 251) as u8).collect::<Vec<_>>().into();
    record
}

#[test]
fn a_file_has_the_blocks_of_the_standard() {
    let records = evening(Place::PROCESS);
    let file = pcapng::write(&records);
    let blocks = blocks(&file);
    let kinds: Vec<usize> = blocks.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds[..3], [0x0a0d_0d0a, 1, 4]);
    assert!(kinds[3..].iter().all(|kind| *kind == 6));
    assert_eq!(kinds.len() - 3, records.len());
    // Section header: byte order, version 1.0, length unknown.
    assert_eq!(
        blocks[0].1[..16],
        [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]
    );
    // Interface: LINKTYPE_RAW, no limit of length.
    assert_eq!((u16_le(blocks[1].1, 0), u32_le(blocks[1].1, 4)), (101, 0));
    // The first name: an IPv4 record, whose address is 10.0.0.1.
    assert_eq!(blocks[2].1[..14], *b"\x01\0\x0a\0\x0a\0\0\x01pcscf\0");
    let names = String::from_utf8_lossy(blocks[2].1);
    for name in ["icscf", "scscf", "hss", "media"] {
        assert_eq!(names.matches(&format!("{name}\0")).count(), 1);
    }
    // The first packet comes from the phone over UDP with its payload as it is.
    let (micros, first) = (
        (u32_le(blocks[3].1, 4) as u64) << 32 | u32_le(blocks[3].1, 8) as u64,
        packet(blocks[3].1),
    );
    assert_eq!(micros, records[0].at.unix_micros());
    assert_eq!((first[0], first[9], u16_be(first, 2)), (0x45, 17, first.len()));
    assert_eq!(first[12..20], [10, 0, 0, 11, 10, 0, 0, 1]);
    assert_eq!((u16_be(first, 20), u16_be(first, 22)), (5060, 5060));
    assert_eq!((u16_be(first, 24), &first[28..]), (first.len() - 20, &records[0].bytes[..]));
    // The second goes over wires 1 and 2 and looks like TCP, the third like Diameter over TCP.
    let second = packet(blocks[4].1);
    assert_eq!((second[9], &second[12..20]), (6, &[127, 1, 0, 1, 127, 1, 0, 2][..]));
    assert_eq!((u16_be(second, 22), &second[40..]), (5060, &records[1].bytes[..]));
    assert_eq!(u16_be(packet(blocks[5].1), 22), 3868);
}

#[test]
fn tcp_streams_fit_together() {
    let records = evening(Place::PROCESS);
    let file = pcapng::write(&records);
    let mut next = std::collections::BTreeMap::new();
    let mut segments = 0;
    for (kind, body) in blocks(&file) {
        let Some(packet) = (kind == 6).then(|| packet(body)).filter(|p| p[9] == 6) else {
            continue;
        };
        let (from, to) = (
            (packet[12..16].to_vec(), u16_be(packet, 20)),
            (packet[16..20].to_vec(), u16_be(packet, 22)),
        );
        let (sequence, ack) = (u32_be(packet, 24), u32_be(packet, 28));
        assert_eq!(sequence, *next.get(&(from.clone(), to.clone())).unwrap_or(&1));
        assert_eq!(ack, *next.get(&(to.clone(), from.clone())).unwrap_or(&1));
        assert_eq!(packet[33], 0x18, "PSH and ACK");
        next.insert((from, to), sequence + (packet.len() - 40) as u32);
        segments += 1;
    }
    assert!(segments > 60);
}

#[test]
fn everything_comes_back() {
    let mut records = evening(Place::HOSTS);
    records.extend(evening(Place::PROCESS));
    let v6 = |text: &str| Endpoint::Ip(text.parse().unwrap());
    let mut wide = records[0].clone();
    wide.from = Party::named(v6("[2001:db8::1]:5060"), "päter \"x\" → <y>");
    wide.to = Party::unnamed(v6("[2001:db8::2]:40000"));
    let mut mixed = wide.clone();
    mixed.to = Party::unnamed(v6("192.0.2.1:9"));
    mixed.transport = Transport::Tcp;
    records.extend([wide, mixed]);
    for (service, transport) in [
        (Service::Diameter, Transport::Wire),
        (Service::Sip, Transport::Udp),
        (Service::Ng, Transport::Udp),
    ] {
        for length in [0, 1, 65_494, 65_495, 65_496, 65_507, 65_508, 300_000] {
            records.push(large(service, transport, length));
        }
    }
    assert_eq!(pcapng::read(&pcapng::write(&records)).unwrap(), records);
    let lines = json::lines(&records);
    assert_eq!(lines.lines().count(), records.len());
    let back: Vec<Record> = lines.lines().map(|line| json::parse(line).unwrap()).collect();
    assert_eq!(back, records);
}

#[test]
fn wires_of_two_processes_have_addresses_of_their_own() {
    let mut a = evening(Place::PROCESS).remove(1);
    let mut b = a.clone();
    b.from = Party::named(Endpoint::Wire(WireId(1)), "another");
    let file = pcapng::write([&a, &b]);
    let sources: Vec<Vec<u8>> = blocks(&file)
        .iter()
        .filter(|(k, _)| *k == 6)
        .map(|(_, b)| packet(b)[12..16].to_vec())
        .collect();
    assert_eq!(sources, [[127, 1, 0, 1], [127, 2, 0, 1]]);
    // A file may grow record by record.
    let mut writer = pcapng::Writer::new();
    writer.names([&a]);
    let mut grown = writer.take().to_vec();
    a.flow = 3;
    writer.record(&a);
    grown.extend(writer.take());
    assert_eq!(pcapng::read(&grown).unwrap(), [a.clone()]);
    let mut bare = pcapng::Writer::new().without_comments();
    bare.record(&a);
    assert_eq!(pcapng::read(&bare.finish()).unwrap(), []);
}

#[test]
fn damaged_files_are_refused() {
    let file = pcapng::write(&evening(Place::PROCESS)[..3]);
    assert_eq!(pcapng::read(b"hello"), Err(pcapng::ReadError::NotPcapng));
    assert!(matches!(pcapng::read(&file[..file.len() - 1]), Err(pcapng::ReadError::Block { .. })));
    let mut swapped = file.to_vec();
    swapped[8..12].reverse();
    assert_eq!(pcapng::read(&swapped), Err(pcapng::ReadError::BigEndian));
    assert!(json::parse("{").is_err());
    assert!(json::parse("{\"at\":1,\"text\":\"\"}").is_err());
}

#[test]
fn a_page_is_whole_and_escaped() {
    let mut records = evening(Place::PROCESS);
    let evil = "</pre><script>alert(1)</script>";
    let text = String::from_utf8(records[0].bytes.to_vec()).unwrap();
    records[0].bytes =
        text.replace("Expires: 600000", &format!("Expires: {evil}\r\nX: \u{202e}")).into();
    records[1].from.name = Some(format!("\"'{evil}").into());
    records[2].bytes = evil.as_bytes().to_vec().into();
    let page = html::render(&Ladder::new(evil, records.clone()));
    assert_eq!(page.matches("<script>").count(), 1);
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && !page.contains('\u{202e}'));
    assert!(
        !page.contains("http://")
            || page.matches("http://").count()
                == page.matches("http://www.w3.org/2000/svg").count()
    );
    assert_eq!(page.matches("<g class=\"arrow").count(), records.len());
    assert_eq!(page.matches("<section id=\"m").count(), records.len());
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}
