//! Garbage at every port: the network stays alive, and a call works afterwards.
#![cfg(feature = "interop")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use base::Random;
use strowger_tests::interop::{HERE, Process, Spec, assert_heard, scenario, until};

const NETWORK: &str = env!("CARGO_BIN_EXE_network");

/// Datagrams and streams of each kind and port.
const MUTANTS: usize = 400;

const SIP: u16 = 5060;
const DIAMETER: u16 = 3868;
const NG: u16 = 2223;

fn register(transport: &str, branch: &str) -> Vec<u8> {
    let via = format!("Via: SIP/2.0/{transport} 10.9.0.1:5099;branch=z9hG4bK{branch};rport");
    let lines = [
        "REGISTER sip:ims.test SIP/2.0",
        &via,
        "From: <sip:carol@ims.test>;tag=1",
        "To: <sip:carol@ims.test>",
        "Call-ID: garbage@10.9.0.1",
        "CSeq: 1 REGISTER",
        "Contact: <sip:carol@10.9.0.1:5099>;expires=60",
        "Max-Forwards: 70",
        "Content-Length: 0",
        "",
        "",
    ];
    lines.join("\r\n").into_bytes()
}

/// A Capabilities-Exchange-Request with an Origin-Host, RFC 6733 §5.3.1.
fn capabilities() -> Vec<u8> {
    let mut message = vec![1, 0, 0, 36, 0x80, 0, 1, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    message.extend([0, 0, 1, 8, 0x40, 0, 0, 16]);
    message.extend(b"a.b.test");
    message
}

fn offer() -> Vec<u8> {
    b"c1 d7:call-id1:x8:from-tag1:f7:command5:offer3:sdp4:v=0\ne".to_vec()
}

/// A message with some bytes changed, lost or doubled; every eighth is nothing but noise.
fn mutant(random: &mut Random, seed: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    if random.below(8) == 0 {
        return (0..random.below(1400)).map(|_| random.u32() as u8).collect();
    }
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len().max(1) as u64) as usize;
        match random.below(4) {
            0 if at < bytes.len() => bytes[at] = random.u32() as u8,
            1 => bytes.truncate(at),
            2 => bytes.insert(at.min(bytes.len()), random.u32() as u8),
            _ => bytes.extend_from_within(at.min(bytes.len())..),
        }
        bytes.truncate(8000);
    }
    bytes
}

fn datagrams(random: &mut Random, port: u16, seed: &[u8]) {
    let socket = UdpSocket::bind((HERE, 0)).expect("a socket");
    for _ in 0..MUTANTS {
        // A full buffer is no failure of the other side.
        let _ = socket.send_to(&mutant(random, seed), (HERE, port));
    }
}

fn streams(random: &mut Random, port: u16, seed: &[u8]) {
    let address = SocketAddr::new(HERE.parse().expect("an address"), port);
    for _ in 0..MUTANTS / 8 {
        let mut stream = TcpStream::connect(address).expect("the network takes connections");
        // Being hung up on is the answer that garbage deserves.
        let _ = stream.write_all(&mutant(random, seed));
    }
}

/// Byte by byte, a whole message is understood.
fn one_byte_pieces(seed: &[u8], port: u16, answer: &[u8]) {
    let mut stream = TcpStream::connect((HERE, port)).expect("the network takes connections");
    stream.set_nodelay(true).expect("an option of TCP");
    stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a time above zero");
    for byte in seed {
        stream.write_all(&[*byte]).expect("the connection lives");
    }
    let mut said = Vec::new();
    until("an answer to one-byte pieces", || {
        let mut buffer = [0; 2048];
        let n = stream.read(&mut buffer).unwrap_or(0);
        said.extend_from_slice(&buffer[..n]);
        said.starts_with(answer).then_some(())
    });
}

#[test]
fn garbage_at_every_port_harms_no_call() {
    scenario("garbage", |namespace| {
        let spec = Spec::default().here(&[
            ("pcscf", Some(SIP)),
            ("hss", Some(DIAMETER)),
            ("media", Some(NG)),
            ("icscf", None),
            ("scscf", None),
        ]);
        let spec = spec.sim_phone("carol", "001010000000001", "4930200", 6060);
        let spec = spec.sim_phone("dave", "001010000000002", "4930201", 6062);
        let mut network = Process::start(namespace, NETWORK, &spec);
        namespace.inside(|| {
            let mut random = Random::from_u64(1);
            for (port, seed) in [(SIP, register("UDP", "u")), (NG, offer())] {
                datagrams(&mut random, port, &seed);
            }
            for (port, seed) in [(SIP, register("TCP", "t")), (DIAMETER, capabilities())] {
                streams(&mut random, port, &seed);
            }
            one_byte_pieces(&register("TCP", "whole"), SIP, b"SIP/2.0 ");
        });
        network.register("carol");
        network.register("dave");
        network.order("carol call tel:+4930201");
        network.phone("carol", "answered");
        network.talk();
        network.order("carol hangup");
        assert_heard(&network.phone("carol", "ended"), "bob");
        network.stop();
        let log = std::fs::read_to_string(namespace.folder().join("network.log"));
        assert!(!log.expect("a log").contains("panic"), "no function panicked");
    });
}
