//! Time from exec to the first answered request, for any server program.
//!
//!   readytime --probe sip --to 127.0.0.1:5060 -- kamailio -f kamailio/kamailio.cfg -DD -E
//!   readytime --probe ng  --to 127.0.0.1:2223 -- rtpengine/run.sh 2
//!   readytime --probe diameter|tcp|dns|udp --to ADDR -- command...
//!
//! Options: --repeat N (5), --give-up-ms N (20000). A probe goes out every 0.2 ms until an answer comes.
use bench::{mmsg, now_ns};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

fn main() {
    let all: Vec<String> = std::env::args().collect();
    let cut = all.iter().position(|x| x == "--").expect("-- command");
    let opt = |n: &str, d: &str| -> String {
        all[..cut]
            .iter()
            .position(|x| x == n)
            .map(|i| all[i + 1].clone())
            .unwrap_or_else(|| d.to_string())
    };
    let probe = opt("--probe", "sip");
    let to = opt("--to", "127.0.0.1:5060");
    let repeat: usize = opt("--repeat", "5").parse().unwrap();
    let give_up: u64 = opt("--give-up-ms", "20000").parse().unwrap();
    let _ = mmsg::to_c;
    let mut times = Vec::new();
    for _ in 0..repeat {
        let sock = UdpSocket::bind("127.0.0.1:0").unwrap();
        sock.connect(&to).unwrap();
        sock.set_nonblocking(true).unwrap();
        let me = sock.local_addr().unwrap();
        let packet: Vec<u8> = match probe.as_str() {
            "sip" => format!("OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bKready;rport\r\nMax-Forwards: 70\r\nFrom: <sip:probe@example.test>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: ready@probe\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n").into_bytes(),
            "ng" => b"1_1 d7:command4:pinge".to_vec(),
            // query for the SRV records of _sip._udp.example.test
            "dns" => [&[0u8, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x04_sip\x04_udp\x07example\x04test\x00", &[0, 33, 0, 1]].concat(),
            _ => b"ping".to_vec(),
        };
        let t0 = now_ns();
        let mut child = Command::new(&all[cut + 1])
            .args(&all[cut + 2..])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("start the server");
        let mut took = None;
        while now_ns() - t0 < give_up * 1_000_000 {
            let ok = match probe.as_str() {
                "tcp" => TcpStream::connect(&to).is_ok(),
                "diameter" => diameter(&to),
                _ => {
                    let _ = sock.send(&packet);
                    std::thread::sleep(Duration::from_micros(200));
                    let mut b = [0u8; 4096];
                    matches!(sock.recv(&mut b), Ok(n) if n > 0)
                }
            };
            if ok {
                took = Some(now_ns() - t0);
                break;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        // let it finish starting, then end it and whatever it left behind in its process group
        std::thread::sleep(Duration::from_millis(300));
        // SAFETY: it takes two integers; the child was not waited for yet, so the number is still its.
        unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
        // a server that does not want to stop is killed after 10 s
        let t = now_ns();
        while child.try_wait().unwrap().is_none() {
            if now_ns() - t > 10_000_000_000 {
                let _ = child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // SAFETY: it takes two integers. A group keeps its number as long as somebody is in it.
        unsafe { libc::kill(-(child.id() as i32), libc::SIGKILL) };
        std::thread::sleep(Duration::from_millis(200));
        match took {
            Some(t) => times.push(t as f64 / 1e6),
            None => eprintln!("no answer in {give_up} ms"),
        }
    }
    times.sort_by(|a, b| a.total_cmp(b));
    if times.is_empty() {
        std::process::exit(1);
    }
    println!(
        "{{\"probe\":\"{probe}\",\"runs\":{},\"ready_ms_min\":{:.2},\"ready_ms_median\":{:.2},\"ready_ms_max\":{:.2}}}",
        times.len(), times[0], times[times.len() / 2], times[times.len() - 1]
    );
}

/// One connection, one capabilities request; true when a whole answer header came back.
fn diameter(to: &str) -> bool {
    let Ok(mut s) = TcpStream::connect(to) else { return false };
    let mut avps = Vec::new();
    let mut avp = |code: u32, data: &[u8]| {
        avps.extend_from_slice(&code.to_be_bytes());
        avps.extend_from_slice(&((0x40u32 << 24) | (8 + data.len()) as u32).to_be_bytes());
        avps.extend_from_slice(data);
        while avps.len() % 4 != 0 {
            avps.push(0);
        }
    };
    avp(264, b"client.example.test");
    avp(296, b"example.test");
    avp(257, &[0, 1, 127, 0, 0, 1]);
    avp(266, &[0; 4]);
    avp(269, b"probe");
    avp(299, &[0; 4]);
    avp(258, &[0xff; 4]);
    let mut m = vec![1];
    m.extend_from_slice(&((20 + avps.len()) as u32).to_be_bytes()[1..]);
    m.extend_from_slice(&[0x80, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    m.extend_from_slice(&avps);
    if s.write_all(&m).is_err() {
        return false;
    }
    s.set_read_timeout(Some(Duration::from_millis(2000))).ok();
    let mut b = [0u8; 20];
    s.read_exact(&mut b).is_ok()
}
