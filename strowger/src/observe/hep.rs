//! Sends what the recorder sees to a HEPv3 collector by UDP, key material overwritten as in a trace.
//!
//! SIP and NG go as they are, Diameter as JSON, because that is what collectors take under its number.
//! What ties messages together is the Call-ID; for Diameter it is the Session-Id. A thread of its own
//! sends; nobody waits for it, and what comes too fast is dropped and counted.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use base::{Service, Transport};
use hep::{Content, Packet};
use ladder::address::{Addresses, same_family};
use ladder::{Filter, Key, Record, Summary, dissect, redact};

use crate::recorder::{Ended, Following, Recorder};

/// How long the thread waits before it looks whether messages were lost on the way to it.
const LOOK: Duration = Duration::from_secs(1);

/// The numbers of TCP and UDP in IP.
const TCP: u8 = 6;
const UDP: u8 = 17;

/// How much was sent.
#[derive(Debug, Default)]
pub struct Sent {
    sent: AtomicU64,
    dropped: AtomicU64,
}

impl Sent {
    /// Messages that were sent, and that were dropped.
    pub fn read(&self) -> (u64, u64) {
        (self.sent.load(Relaxed), self.dropped.load(Relaxed))
    }
}

/// A thread that sends, until this is dropped or the recorder ends.
#[derive(Debug)]
pub struct Exporter {
    sent: Arc<Sent>,
    ended: Arc<AtomicBool>,
}

impl Exporter {
    /// How much was sent.
    pub fn sent(&self) -> Arc<Sent> {
        Arc::clone(&self.sent)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
    }
}

/// Sends from now on; `agent` is the capture agent id.
///
/// # Errors
/// If the system has no socket or thread for it.
pub fn start(collector: SocketAddr, agent: u32, recorder: &Recorder) -> io::Result<Exporter> {
    let any = match collector {
        SocketAddr::V4(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        SocketAddr::V6(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    let exporter = Exporter { sent: Arc::default(), ended: Arc::default() };
    let Ok(following) = recorder.follow(Filter::default()) else { return Ok(exporter) };
    let (counts, ended) = (exporter.sent(), Arc::clone(&exporter.ended));
    let send = move || {
        let mut sender = Sender { socket, collector, agent, addresses: Addresses::default() };
        while !ended.load(Relaxed) && sender.some(&following, &counts).is_ok() {}
    };
    std::thread::Builder::new().name("hep".into()).spawn(send)?;
    Ok(exporter)
}

struct Sender {
    socket: UdpSocket,
    collector: SocketAddr,
    agent: u32,
    addresses: Addresses,
}

impl Sender {
    fn some(&mut self, following: &Following, counts: &Sent) -> Result<(), Ended> {
        if let Some(record) = following.next(LOOK)? {
            // A network that is away costs messages, as a full socket does.
            let fate = if self.send(record).is_some() { &counts.sent } else { &counts.dropped };
            fate.fetch_add(1, Relaxed);
        }
        counts.dropped.fetch_add(following.lost(), Relaxed);
        Ok(())
    }

    fn send(&mut self, mut record: Record) -> Option<()> {
        redact(&mut record);
        let bytes = packet(&record, self.agent, &mut self.addresses)?;
        self.socket.send_to(&bytes, self.collector).ok().map(drop)
    }
}

/// The packet of a record that is redacted already; `None` if it is too long for one.
pub fn packet(record: &Record, agent: u32, addresses: &mut Addresses) -> Option<Vec<u8>> {
    let from = addresses.of(&record.from, record.service);
    let to = addresses.of(&record.to, record.service);
    let (source, destination) = same_family(from, to);
    let summary = dissect(record);
    let document;
    let (content, payload) = match record.service {
        Service::Sip => (Content::SIP, &record.bytes[..]),
        Service::Ng => (Content::NG, &record.bytes[..]),
        // RESP is not recorded, and has no number.
        Service::Rtp | Service::Resp | Service::Http | Service::Cli => {
            (Content::RTP, &record.bytes[..])
        }
        Service::Diameter => {
            document = diameter(record, &summary);
            (Content::DIAMETER, document.as_bytes())
        }
    };
    let tie = summary.keys.iter().find_map(|key| match key {
        Key::CallId(id) | Key::SessionId(id) => Some(id.as_bytes()),
        _ => None,
    });
    // What comes from afar may be as long as it likes.
    let correlation = tie.filter(|id| id.len() <= 1024);
    if payload.len() + correlation.map_or(0, <[u8]>::len) > hep::MOST_PAYLOAD {
        return None;
    }
    let datagrams = match record.transport {
        Transport::Udp => true,
        Transport::Tcp | Transport::Tls => false,
        Transport::Wire => matches!(record.service, Service::Ng | Service::Rtp),
    };
    let packet = Packet {
        protocol: if datagrams { UDP } else { TCP },
        source,
        destination,
        time: record.at,
        content,
        agent,
        keep_alive: None,
        key: None,
        payload,
        compressed: false,
        correlation,
    };
    packet.emit().ok()
}

/// Title, key fields, all AVPs as text, and the message itself.
fn diameter(record: &Record, summary: &Summary) -> String {
    let fields: serde_json::Map<String, serde_json::Value> = summary
        .detail
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).clone().into()))
        .collect();
    let hex: String = record.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    serde_json::json!({
        "title": summary.title,
        "fields": fields,
        "text": ladder::full_text(record),
        "hex": hex,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::{Bytes, Endpoint, Instant, WireId};
    use ladder::Party;

    fn record(service: Service, transport: Transport, bytes: &[u8]) -> Record {
        Record {
            at: Instant::from_unix_micros(1_700_000_000_000_007),
            service,
            transport,
            from: Party::named(Endpoint::Wire(WireId(3)), "pcscf"),
            to: Party::unnamed("192.0.2.2:5062".parse::<SocketAddr>().unwrap()),
            bytes: Bytes::copy_from_slice(bytes),
            flow: 1,
        }
    }

    #[test]
    fn a_message_is_packed_with_what_ties_it() {
        let text = b"BYE sip:a@b SIP/2.0\r\nCall-ID: x@y\r\nCSeq: 1 BYE\r\n\r\n";
        let mut addresses = Addresses::default();
        let bytes = packet(&record(Service::Sip, Transport::Wire, text), 7, &mut addresses);
        let bytes = bytes.unwrap();
        let read = Packet::parse(&bytes).unwrap();
        assert_eq!((read.payload, read.content, read.agent), (&text[..], Content::SIP, 7));
        assert_eq!((read.correlation, read.protocol), (Some(&b"x@y"[..]), TCP));
        assert_eq!(read.source, "127.1.0.3:5060".parse().unwrap());
        assert_eq!(read.time, Instant::from_unix_micros(1_700_000_000_000_007));
        let long = record(Service::Sip, Transport::Tcp, &[b'x'; 70_000]);
        assert_eq!(packet(&long, 7, &mut addresses), None);
    }

    #[test]
    fn diameter_is_told_as_json() {
        // A Device-Watchdog-Request without AVPs, RFC 6733 §5.5.1.
        let dwr =
            [&[1, 0, 0, 20, 0x80, 0, 1, 24][..], &[0; 4], &[0, 0, 0, 1], &[0, 0, 0, 2]].concat();
        let bytes =
            packet(&record(Service::Diameter, Transport::Wire, &dwr), 7, &mut Addresses::default());
        let bytes = bytes.unwrap();
        let read = Packet::parse(&bytes).unwrap();
        assert_eq!(read.content, Content::DIAMETER);
        let json: serde_json::Value = serde_json::from_slice(read.payload).unwrap();
        assert_eq!(json["hex"].as_str().map(str::len), Some(40));
        assert!(json["title"].as_str().is_some_and(|title| title.contains("DWR")), "{json}");
    }
}
