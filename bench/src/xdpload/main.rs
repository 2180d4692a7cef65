//! What a packet costs that the kernel relays (XDP).
//!
//! The program runs in the system call of whoever sends, so the server's own CPU reads zero: the figure is this generator's
//! CPU for a packet, in a namespace behind a veth, less that of the same run against a program that drops at once. What
//! the kernel does aside (ksoftirqd) counts in both. At the far end another such program drops what arrives.
//!
//!     xdpload --server PATH [--streams 100] [--seconds 4] [--generic] [--cpu 1]

mod net;

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bench::args::Args;
use bench::mmsg::SendBatch;
use bench::{big_buffers, now_ns, pin_to, sleep_ms, thread_cpu_ns};
use net::{All, Space};

const NG: &str = "127.0.0.1:12223";
const BATCH: u32 = 16;
/// The payload of G.711 at 20 ms.
const PAYLOAD: usize = 160;

struct Stream {
    socket: UdpSocket,
    to: SocketAddrV4,
    sequence: u32,
}

/// A server that is ended with its owner.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Nanoseconds of CPU of everything that is called ksoftirqd.
fn aside_ns() -> u64 {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let all = processes.filter_map(|entry| {
        let name = std::fs::read_to_string(entry.path().join("comm")).ok()?;
        let text = std::fs::read_to_string(entry.path().join("schedstat")).ok()?;
        let spent = text.split(' ').next()?.parse::<u64>().ok()?;
        name.starts_with("ksoftirqd").then_some(spent)
    });
    all.sum()
}

fn cpu_of(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/task");
    let tasks = std::fs::read_dir(path).expect("the server's threads").flatten();
    let spent = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter_map(spent).sum()
}

/// Sends as fast as it goes; packets, and nanoseconds of CPU for each.
fn flood(streams: &mut [Stream], seconds: u64, cpu: usize) -> (u64, f64) {
    pin_to(cpu);
    let mut out = SendBatch::new(BATCH as usize);
    let (begin, end) = (thread_cpu_ns() + aside_ns(), now_ns() + seconds * 1_000_000_000);
    while now_ns() < end {
        for (number, stream) in streams.iter_mut().enumerate() {
            say(stream, number as u32, &mut out, BATCH);
        }
    }
    let spent = thread_cpu_ns() + aside_ns() - begin;
    (out.sent, spent as f64 / out.sent as f64)
}

fn say(stream: &mut Stream, ssrc: u32, out: &mut SendBatch, packets: u32) {
    for _ in 0..packets {
        let buffer = out.next(stream.to);
        buffer.extend_from_slice(&[0x80, 8]);
        buffer.extend_from_slice(&(stream.sequence as u16).to_be_bytes());
        buffer.extend_from_slice(&stream.sequence.wrapping_mul(160).to_be_bytes());
        buffer.extend_from_slice(&(ssrc + 1).to_be_bytes());
        buffer.extend((0..PAYLOAD).map(|octet| octet as u8));
        stream.sequence += 1;
    }
    out.flush(stream.socket.as_raw_fd());
}

/// Media control, as little of NG (in JSON) as this needs.
struct Control {
    socket: UdpSocket,
    cookie: u32,
}

impl Control {
    fn ask(&mut self, command: &str, call: usize, rest: &str) -> String {
        self.cookie += 1;
        let head = format!(r#""command":"{command}","call-id":"call-{call}","from-tag":"a""#);
        let message = format!("{} {{{head}{rest}}}", self.cookie);
        let cookie = format!("{} ", self.cookie);
        let mut room = vec![0; 65_536];
        for _ in 0..10 {
            let _ = self.socket.send(message.as_bytes());
            while let Ok(length) = self.socket.recv(&mut room) {
                let text = String::from_utf8_lossy(&room[..length]);
                if let Some(answer) = text.strip_prefix(&cookie) {
                    assert!(answer.contains(r#""ok""#), "{command}: {answer}");
                    return answer.to_owned();
                }
            }
        }
        panic!("no answer to {command}");
    }

    /// A call of two phones; the port that the first one sends to.
    fn call(&mut self, call: usize, port: u16) -> u16 {
        let sdp = |host: &str| {
            let lines = [
                "v=0",
                &format!("o=- 1 1 IN IP4 {host}"),
                "s=-",
                &format!("c=IN IP4 {host}"),
                "t=0 0",
                &format!("m=audio {port} RTP/AVP 8"),
            ];
            lines.map(|line| format!(r"{line}\r\n")).concat()
        };
        self.ask("offer", call, &format!(r#","sdp":"{}""#, sdp("10.78.0.2")));
        let answer = format!(r#","to-tag":"b","sdp":"{}""#, sdp("10.78.1.2"));
        number_after(&self.ask("answer", call, &answer), "m=audio ") as u16
    }

    /// Packets that came from the first phone of a call.
    fn packets(&mut self, call: usize) -> u64 {
        number_after(&self.ask("query", call, ""), r#""packets":"#)
    }
}

fn number_after(text: &str, what: &str) -> u64 {
    let (_, rest) = text.split_once(what).unwrap_or_else(|| panic!("no {what} in {text}"));
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().expect("a number")
}

fn main() {
    let args = Args::parse();
    let server = args.text("server", "target/x86_64-unknown-linux-gnu/dist/strowger");
    let streams: usize = args.num("streams", 100);
    let seconds: u64 = args.num("seconds", 4);
    let cpu: usize = args.num("cpu", 1);
    let native = !args.flag("generic");
    let (relay, near, far) = (Space::new("relay"), Space::new("near"), Space::new("far"));
    net::cable(&relay, &near, 0);
    net::cable(&relay, &far, 1);
    // What is redirected to a veth is taken if there is a program at its other end.
    let _takes = native.then(|| near.program("p0", All::Pass, true));
    let _drops = far.program("p1", All::Drop, native);
    let mut all: Vec<Stream> = near.inside(|| {
        let stream = |number: usize| {
            let socket = UdpSocket::bind(("10.78.0.2", 20_000 + 2 * number as u16)).expect("bind");
            big_buffers(socket.as_raw_fd(), 4 << 20);
            let to = SocketAddrV4::new(Ipv4Addr::new(10, 78, 0, 1), 30_000 + 2 * number as u16);
            Stream { socket, to, sequence: 0 }
        };
        (0..streams).map(stream).collect()
    });

    let drop_at_once = relay.program("r0", All::Drop, native);
    let (_, floor) = std::thread::scope(|scope| {
        scope.spawn(|| flood(&mut all, seconds, cpu)).join().expect("it sent")
    });
    drop(drop_at_once);

    let folder = std::env::temp_dir().join(&relay.0);
    std::fs::create_dir_all(&folder).expect("a folder");
    let config = folder.join("strowger.toml");
    let text = format!("domain = \"example.test\"\n[media]\nlisten = \"{NG}\"\naddresses = \"10.78.0.1\"\nports = \"30000-39999\"\n");
    std::fs::write(&config, text).expect("a file");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &relay.0, &server, "run", "--role", "media", "-c"]);
    command.arg(&config).arg("--state").arg(folder.join("state"));
    let log = std::fs::File::create(folder.join("log")).expect("a file");
    let errors = log.try_clone().expect("a second handle");
    let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
    let server = Server(child.expect("the server starts"));
    let socket = relay.inside(|| UdpSocket::bind("127.0.0.1:0").expect("bind"));
    socket.connect(NG).expect("an address");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a limit");
    let mut control = Control { socket, cookie: 0 };
    sleep_ms(500);
    for (number, stream) in all.iter_mut().enumerate() {
        let port = control.call(number, 20_000 + 2 * number as u16);
        stream.to.set_port(port);
        stream.sequence = 0;
    }
    // Two seconds at a phone's pace: the kernel has them all then.
    let mut out = SendBatch::new(BATCH as usize);
    for _ in 0..100 {
        for (number, stream) in all.iter_mut().enumerate() {
            say(stream, number as u32, &mut out, 1);
        }
        sleep_ms(20);
    }
    let warm = out.sent;
    sleep_ms(300);
    let arrived = far.received("p1");
    let begin = cpu_of(server.0.id());
    let (sent, cost) = std::thread::scope(|scope| {
        scope.spawn(|| flood(&mut all, seconds, cpu)).join().expect("it sent")
    });
    sleep_ms(300);
    let server_ns = (cpu_of(server.0.id()) - begin) as f64 / sent as f64;
    let arrived = far.received("p1") - arrived;
    let counted: u64 = (0..streams).map(|number| control.packets(number)).sum();
    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let way = if log.contains("XDP (native)") {
        "native"
    } else if log.contains("XDP (generic)") {
        "generic"
    } else {
        "none"
    };
    let _ = std::fs::remove_dir_all(&folder);
    println!(
        "{{\"way\":\"{way}\",\"streams\":{streams},\"sent\":{sent},\"arrived\":{arrived},\"counted\":{},\"drop_ns\":{floor:.0},\"relay_ns\":{cost:.0},\"packet_ns\":{:.0},\"server_ns\":{server_ns:.1}}}",
        counted - warm,
        cost - floor
    );
}
