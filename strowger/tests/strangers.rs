//! Connections that are opened to hurt a running process: ten thousand of them half a message long, and one that
//! asks and never reads. Whoever speaks UDP notices nothing, and connections are taken again afterwards.
#![allow(missing_docs, clippy::unwrap_used)]

mod folder;
#[allow(dead_code, reason = "not all of it is needed here")]
mod running;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use folder::Folder;
use running::Running;

/// Connections that a process takes from all.
const MOST: usize = 4096;
/// How long a condition may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

fn options(at: SocketAddr, transport: &str, number: usize) -> String {
    format!(
        "OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1;rport;branch=z9hG4bK{number}\r\n\
         From: <sip:x@y>;tag=1\r\nTo: <sip:x@y>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// A P-CSCF, and where it listens over UDP and TCP.
fn start(folder: &Folder) -> (Running, SocketAddr, SocketAddr) {
    folder.write(
        "strowger.toml",
        "store = \"s/x.redb\"\nroles = [\"pcscf\"]\n[pcscf]\nlisten = \"127.0.0.1:0\"\n",
    );
    let running = folder.start("run --grace 0");
    let at = |transport: &str| {
        let start = format!("pcscf listens on {transport}:");
        running.said.iter().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
    };
    let (udp, tcp) = (at("udp"), at("tcp"));
    (running, udp, tcp)
}

/// Somebody over UDP gets an answer.
fn udp_works(at: SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let begin = Instant::now();
    for number in 0.. {
        assert!(begin.elapsed() < PATIENCE, "no answer over UDP");
        socket.send_to(options(at, "UDP", number).as_bytes(), at).unwrap();
        let mut room = [0; 2000];
        if socket.recv(&mut room).is_ok_and(|n| room[..n].starts_with(b"SIP/2.0 200")) {
            return;
        }
    }
}

/// A new connection gets an answer, at once or once there is room.
fn tcp_works(at: SocketAddr) {
    let begin = Instant::now();
    for number in 0.. {
        assert!(begin.elapsed() < PATIENCE, "no answer over TCP");
        let answered = || {
            let mut phone = TcpStream::connect(at)?;
            phone.set_read_timeout(Some(Duration::from_millis(200)))?;
            phone.write_all(options(at, "TCP", number).as_bytes())?;
            let mut room = [0; 12];
            phone.read_exact(&mut room).map(|()| room.starts_with(b"SIP/2.0 200"))
        };
        if answered().is_ok_and(|answered| answered) {
            return;
        }
    }
}

fn files(running: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", running.child.id())).unwrap().count()
}

/// Resident memory in MiB.
fn memory(running: &Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// Opens that many connections, says the beginning of a message on each, and holds them: a shell, which may have
/// more files open than this process. How many there are.
fn half_open(at: SocketAddr, count: usize) -> (Child, usize) {
    let script = format!(
        "trap '' PIPE; shopt -s execfail; ulimit -n {0} 2>/dev/null || ulimit -n $(ulimit -Hn); n=0; \
         for ((i = 0; i < {count}; i++)); do \
           exec {{fd}}<>/dev/tcp/{1}/{2} && printf 'OPTIONS sip:x SIP/2.0\\r\\nVia:' >&$fd && n=$((n + 1)); \
         done 2>/dev/null; echo $n; sleep 600",
        count + 100,
        at.ip(),
        at.port()
    );
    let mut shell = Command::new("bash")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut said).unwrap();
    (shell, said.trim().parse().unwrap())
}

#[test]
fn ten_thousand_half_open_connections_harm_nobody_over_udp() {
    let folder = Folder::empty();
    let (running, udp, tcp) = start(&folder);
    udp_works(udp);
    tcp_works(tcp);
    let (files_before, memory_before) = (files(&running), memory(&running));
    let (mut shell, opened) = half_open(tcp, 10_000);
    for _ in 0..20 {
        udp_works(udp);
    }
    assert!(files(&running) <= files_before + MOST, "{opened} opened, {} files", files(&running));
    let grown = memory(&running) - memory_before.min(memory(&running));
    assert!(grown < 150, "{opened} connections take {grown} MiB");
    shell.kill().unwrap();
    shell.wait().unwrap();
    tcp_works(tcp);
    let log = running.end();
    assert!(!log.contains("panic"), "{log}");
    if opened > MOST {
        assert!(log.contains("too many are open"), "{log}");
    }
}

/// Its answers pile up at our side until there is no room: then the connection is closed, or no more is read.
#[test]
fn who_asks_and_never_reads_harms_nobody() {
    let folder = Folder::empty();
    let (running, udp, tcp) = start(&folder);
    udp_works(udp);
    let memory_before = memory(&running);
    let mut greedy = TcpStream::connect(tcp).unwrap();
    greedy.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let burst: String = (0..100).map(|number| options(tcp, "TCP", number)).collect();
    // Far beyond what sockets hold.
    for _ in 0..2000 {
        if greedy.write_all(burst.as_bytes()).is_err() {
            break;
        }
    }
    udp_works(udp);
    tcp_works(tcp);
    let grown = memory(&running) - memory_before.min(memory(&running));
    assert!(grown < 100, "one that never reads takes {grown} MiB");
    let log = running.end();
    assert!(!log.contains("panic"), "{log}");
}
