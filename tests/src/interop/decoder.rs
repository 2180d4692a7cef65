//! Captures, read by tshark: what a message is and where it ends is its word, not ours.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use base::{Instant, Service, Transport};
use ladder::{Party, Record};
use serde_json::Value;

/// NG is no protocol of tshark's; a datagram is a message.
const NG: &str = "udp.port==2223";

const LAYERS: [(Service, &str); 3] =
    [(Service::Sip, "sip_raw"), (Service::Diameter, "diameter_raw"), (Service::Ng, "data_raw")];

/// The SIP, Diameter and NG messages of a capture of any program, in its order. TCP streams are put
/// together by tshark. `name` knows whose an address is.
///
/// # Panics
/// If tshark does not run or says something that is not understood.
pub fn decode(capture: &Path, name: impl Fn(IpAddr) -> Option<String>) -> Vec<Record> {
    // What an ICMP error quotes is no message.
    let filter = format!("(sip || diameter || {NG}) && !icmp && !icmpv6");
    let mut command = Command::new("tshark");
    command.arg("-r").arg(capture).args(["-Y", &filter, "-d", &format!("{NG},data")]);
    command.args(["-T", "json", "-x", "--no-duplicate-keys"]);
    command.args(["-j", "frame ip ipv6 udp tcp sip diameter data"]);
    let out = command.output().expect("tshark (Debian package tshark) runs");
    assert!(out.status.success(), "tshark: {}", String::from_utf8_lossy(&out.stderr));
    let frames: Vec<Value> = serde_json::from_slice(&out.stdout).expect("tshark writes JSON");
    let mut records = Vec::new();
    for frame in &frames {
        let layers = &frame["_source"]["layers"];
        let head = head(layers, &name);
        for (service, layer) in LAYERS {
            for bytes in messages(&layers[layer]) {
                records.push(Record { service, bytes: bytes.into(), ..head.clone() });
            }
        }
    }
    records
}

/// Everything of a frame but the message.
fn head(layers: &Value, name: &impl Fn(IpAddr) -> Option<String>) -> Record {
    let text = |layer: &str, field: &str| {
        layers[layer][format!("{layer}.{field}")].as_str().map(str::to_owned)
    };
    let missing = |what: &str| -> ! { panic!("a frame without {what}: {layers}") };
    let family = if layers["ip"].is_null() { "ipv6" } else { "ip" };
    let transport = if layers["udp"].is_null() { "tcp" } else { "udp" };
    let party = |ip: &str, port: &str| {
        let ip = text(family, ip).and_then(|ip| ip.parse().ok());
        let port = text(transport, port).and_then(|port| port.parse().ok());
        let (Some(ip), Some(port)) = (ip, port) else { missing("addresses") };
        Party { endpoint: SocketAddr::new(ip, port).into(), name: name(ip).map(Into::into) }
    };
    let seconds = text("frame", "time_epoch").unwrap_or_else(|| missing("a time"));
    let (whole, fraction) = seconds.split_once('.').unwrap_or((&seconds, "0"));
    let micros = format!("{whole}{fraction:0<6.6}").parse().unwrap_or_else(|_| missing("a time"));
    Record {
        at: Instant::from_unix_micros(micros),
        service: Service::Sip,
        transport: if transport == "tcp" { Transport::Tcp } else { Transport::Udp },
        from: party("src", "srcport"),
        to: party("dst", "dstport"),
        bytes: base::Bytes::new(),
        flow: 0,
    }
}

/// `[hex, position, length, …]`, or a list of these if a frame ends several messages.
fn messages(layer: &Value) -> Vec<Vec<u8>> {
    let Some(list) = layer.as_array() else { return Vec::new() };
    match list.first().and_then(Value::as_str) {
        Some(text) => vec![auth::hex::decode(text).expect("tshark writes hexadecimal digits")],
        None => list.iter().flat_map(messages).collect(),
    }
}
