//! A phone's keep-alives on a connection to a running process, RFC 5626 §3.5.1.
#![allow(missing_docs, clippy::unwrap_used)]

mod folder;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use folder::Folder;

const OPTIONS: &str = "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\n\
    From: <sip:x@y>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

#[test]
fn a_ping_gets_its_pong_between_messages() {
    let folder = Folder::empty();
    let text = "store = \"s/x.redb\"\nroles = [\"pcscf\"]\n[pcscf]\nlisten = \"127.0.0.1:0\"\n";
    fs::write(folder.0.join("strowger.toml"), text).unwrap();
    let mut run = folder.command("run --grace 0");
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let at = lines.find_map(|line| line.strip_prefix("pcscf listens on tcp:").map(str::to_owned));
    let mut phone = TcpStream::connect(at.unwrap()).unwrap();
    phone.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut pong = [0; 2];
    for part in ["\r\n\r", "\n"] {
        phone.write_all(part.as_bytes()).unwrap();
    }
    phone.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    phone.write_all(format!("{OPTIONS}\r\n\r\n").as_bytes()).unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n\r\n") {
        let mut byte = [0];
        phone.read_exact(&mut byte).unwrap();
        heard.push(byte[0]);
    }
    // One blank line ends the answer, and one line end is the pong.
    assert!(heard.starts_with(b"SIP/2.0 "), "{}", String::from_utf8_lossy(&heard));
    child.kill().unwrap();
    child.wait().unwrap();
}
