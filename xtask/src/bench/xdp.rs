//! Streams that the kernel relays: what a packet costs its sender more than one that a program drops at once
//! (`bench/src/xdpload`).

use std::process::Command;

use super::{middle, sorted};
use crate::dist;
use crate::limits::number;
use crate::server::tool;

/// One kind of work.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    arguments: &'static [&'static str],
    way: &'static str,
}

/// At most so many microseconds of CPU for a packet.
const GOAL: f64 = 0.9;

pub(crate) const ROWS: &[Row] = &[
    Row { name: "relay, XDP in the drivers", arguments: &[], way: "native" },
    Row { name: "relay, XDP in the stack", arguments: &["--generic"], way: "generic" },
];

/// What came of a row: microseconds for a packet.
pub(crate) struct Outcome {
    row: &'static Row,
    packets: Vec<f64>,
    servers: Vec<f64>,
}

impl Outcome {
    pub(crate) fn new(row: &'static Row) -> Outcome {
        Outcome { row, packets: Vec::new(), servers: Vec::new() }
    }

    /// One run. Every packet that was sent must have arrived and been counted.
    pub(crate) fn measure(&mut self) -> Result<(), String> {
        let mut load = Command::new(tool("xdpload"));
        load.args(self.row.arguments).arg("--server").arg(dist::binary());
        let out = load.output().map_err(|e| format!("xdpload: {e}"))?;
        let line = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        println!("{{\"row\":\"{}\",{}", self.row.name, line.trim_start_matches('{'));
        let why = || format!("{}: {line}{}", self.row.name, String::from_utf8_lossy(&out.stderr));
        if !line.contains(&format!("\"way\":\"{}\"", self.row.way)) {
            return Err(why());
        }
        let figure = |key| number(&line, key).ok_or_else(why);
        let (sent, arrived, counted) = (figure("sent")?, figure("arrived")?, figure("counted")?);
        if sent != arrived || arrived != counted {
            return Err(format!("{sent} packets were sent, {arrived} arrived, {counted} counted"));
        }
        let (packet, server) = (figure("packet_ns")? / 1000.0, figure("server_ns")? / 1000.0);
        self.packets.push(packet);
        self.servers.push(server);
        Ok(())
    }

    pub(crate) fn print(&self) {
        let packets = sorted(&self.packets, |packet| *packet);
        let servers = sorted(&self.servers, |server| *server);
        let (least, most) = (packets[0], packets[packets.len() - 1]);
        println!("{}", self.row.name);
        println!(
            "    CPU {least:>5.2} / {:>5.2} / {most:>5.2} us a packet, of the server's {:.3} us",
            middle(&packets),
            middle(&servers)
        );
        let word = if middle(&packets) <= GOAL { "met" } else { "MISSED" };
        println!("    us a packet: {:.2}; goal {GOAL}: {word}", middle(&packets));
    }
}
