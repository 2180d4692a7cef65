//! RTP load through a media relay that is driven over rtpengine's NG protocol (bencode on UDP).
//!
//!   rtpload --ng 127.0.0.1:2223 --streams 500 --seconds 10 --cmd-name rtpengine
//!   rtpload --ng 127.0.0.1:2223 --streams 100 --flood --seconds 10 --cmd-name rtpengine
//!
//! Every stream is one call: offer, answer, RTP in both directions, delete.
//! Options (defaults):
//!   --streams N (100)   --seconds N (10)   --payload BYTES (160)   --ptime-ms N (20)
//!   --flood       closed loop, as fast as the relay delivers, --window packets in flight (256)
//!   --quiet N (0)  so many more calls that are up: of each end a packet a second, and RTCP each five
//!   --sockets N   sockets on each side, shared by the streams (16)
//!   --chain none|plain|srtp   two calls in a row per stream: with srtp the hop between them is
//!                 SRTP with SDES keys, so the relay encrypts and decrypts every packet once
//!   --suite NAME  the SDES suite to keep (AES_CM_128_HMAC_SHA1_80)
//!   --ip ADDRESS of the generator (127.0.0.1)
//!   --pid / --cmd-name  the relay's processes;  --cpu N pins the generator
mod media;
mod ng;

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

use bench::args::Args;
use bench::hist::Hist;
use bench::mmsg::RecvBatch;
use bench::procs::{Machine, Server};
use bench::{now_ns, self_cpu_ns, sleep_ms};
use media::{rtp, Leg, Side, HEAD};
use ng::{flags, keep_suite, media_address, sdp, Ng};

fn main() {
    let a = Args::parse();
    if a.flag("cpu") {
        bench::pin_to(a.num("cpu", 0));
    }
    let ng_addr = a.text("ng", "127.0.0.1:2223");
    let ip = a.text("ip", "127.0.0.1");
    let n: usize = a.num("streams", 100);
    let secs: u64 = a.num("seconds", 10);
    let payload: usize = a.num("payload", 160);
    let ptime_ns: u64 = a.num("ptime-ms", 20u64) * 1_000_000;
    let k: usize = a.num("sockets", 16usize).min(n);
    let quiet: usize = a.num("quiet", 0);
    let flood = a.flag("flood");
    let window: u64 = a.num("window", 256);
    let chain = a.text("chain", "none");
    let suite = a.text("suite", "AES_CM_128_HMAC_SHA1_80");
    let srv = Server::from_args(&a);

    let sock = UdpSocket::bind((ip.as_str(), 0)).unwrap();
    sock.connect(&ng_addr).unwrap();
    sock.set_read_timeout(Some(Duration::from_millis(1000))).unwrap();
    let mut ng = Ng { sock, n: 0 };
    ng.ask(&[("command", "ping")], &[]);

    // sides[0] is A (caller), sides[1] is B (callee)
    let mut sides = [Side::new(k, &ip), Side::new(k, &ip)];
    let mut legs: Vec<[Leg; 2]> = Vec::new();
    let run = std::process::id();
    let mem0 = srv.mem();
    let cpu_setup0 = srv.cpu_us();
    let t_setup = now_ns();
    for i in 0..n + quiet {
        let s = i % k;
        // RTCP comes to the port of RTP.
        let described = |addr: std::net::SocketAddrV4| match quiet {
            0 => sdp(addr),
            _ => format!("{}a=rtcp:{}\r\n", sdp(addr), addr.port()),
        };
        let sdp_a = described(sides[0].addrs[s]);
        let sdp_b = described(sides[1].addrs[s]);
        let id1 = format!("c{i}-{run}");
        let id2 = format!("d{i}-{run}");
        let offer = |ng: &mut Ng, id: &str, sdp: &str, proto: &str| {
            ng.ask(
                &[
                    ("command", "offer"),
                    ("call-id", id),
                    ("from-tag", "a"),
                    ("sdp", sdp),
                    ("transport-protocol", proto),
                    ("ICE", "remove"),
                    ("DTLS", "off"),
                ],
                &flags(),
            )
        };
        let answer = |ng: &mut Ng, id: &str, sdp: &str| {
            ng.ask(
                &[
                    ("command", "answer"),
                    ("call-id", id),
                    ("from-tag", "a"),
                    ("to-tag", "b"),
                    ("sdp", sdp),
                    ("ICE", "remove"),
                    ("DTLS", "off"),
                ],
                &flags(),
            )
        };
        let (to_b_side, to_a_side);
        if chain == "none" {
            let o = offer(&mut ng, &id1, &sdp_a, "RTP/AVP");
            let r = answer(&mut ng, &id1, &sdp_b);
            to_b_side = media_address(&o);
            to_a_side = media_address(&r);
        } else {
            let mid = if chain == "srtp" { "RTP/SAVP" } else { "RTP/AVP" };
            let o1 = offer(&mut ng, &id1, &sdp_a, mid);
            let o1 = keep_suite(&o1, &suite);
            let o2 = offer(&mut ng, &id2, &o1, "RTP/AVP");
            let r2 = answer(&mut ng, &id2, &sdp_b);
            if chain == "srtp" && i == 0 && !r2.contains(&suite) {
                eprintln!("the relay did not agree on {suite}:\n{o1}\n{r2}");
                std::process::exit(1);
            }
            let r1 = answer(&mut ng, &id1, &r2);
            to_b_side = media_address(&o2);
            to_a_side = media_address(&r1);
        }
        // A sends to what the answer shows, B to what the offer showed
        legs.push([Leg { to: to_a_side, sock: s, seq: 0 }, Leg { to: to_b_side, sock: s, seq: 0 }]);
    }
    let setup_ns = now_ns() - t_setup;
    let cpu_setup = srv.cpu_us() - cpu_setup0;
    let mem1 = srv.mem();

    let mut polls: Vec<libc::pollfd> = sides
        .iter()
        .flat_map(|s| s.socks.iter())
        .map(|s| libc::pollfd { fd: s.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let mut batch = RecvBatch::new(64, 2048);
    let mut hist = Hist::new();
    let (mut sent, mut got, mut alien) = (0u64, 0u64, 0u64);
    let (mut rtcp_sent, mut rtcp_got) = (0u64, 0u64);
    let mut forgiven = 0u64;
    let mut last_progress = now_ns();
    let (mut sec_at, mut sec_got, mut peak) = (now_ns(), 0u64, 0u64);

    // warm-up: a few packets of every stream, so that the relay has learnt its peers
    for phase in 0..2 {
        let warm = phase == 0;
        if !warm {
            sent = 0;
            got = 0;
            alien = 0;
            (rtcp_sent, rtcp_got) = (0, 0);
            forgiven = 0;
            hist = Hist::new();
            sec_at = now_ns();
            sec_got = 0;
            peak = 0;
        }
        let machine = Machine::now(&srv);
        let user0 = srv.user_us();
        let cpu0 = srv.cpu_us();
        let own0 = self_cpu_ns();
        let t0 = now_ns();
        let dur = if warm { 3 * ptime_ns + 300_000_000 } else { secs * 1_000_000_000 };
        let mut stop_sending = false;
        let mut ended = 0;
        let mut turn = 0usize;
        let (mut talked, mut murmured) = (0u64, 0u64);
        loop {
            let now = now_ns();
            if now - t0 >= dur && !stop_sending {
                stop_sending = true;
                ended = now;
            }
            if stop_sending && (now - ended > 500_000_000 || got + forgiven >= sent) {
                break;
            }
            let mut due = if flood && !warm {
                if now - last_progress > 50_000_000 {
                    forgiven = sent - got;
                    last_progress = now;
                }
                window.saturating_sub(sent.saturating_sub(got + forgiven)).min(64)
            } else {
                (((now - t0) as u128 * (2 * n) as u128 / ptime_ns as u128) as u64)
                    .saturating_sub(talked)
                    .min(4096)
            };
            if stop_sending {
                due = 0;
            }
            for _ in 0..due {
                let (i, dir) = (turn / 2, turn % 2);
                turn = (turn + 1) % (2 * n);
                let leg = &mut legs[i][dir];
                let side = &mut sides[dir];
                if side.out[leg.sock].full() {
                    side.out[leg.sock].flush(side.socks[leg.sock].as_raw_fd());
                }
                rtp(
                    side.out[leg.sock].next(leg.to),
                    (i * 2 + dir) as u32 + 1000,
                    leg.seq,
                    payload,
                    now,
                );
                leg.seq = leg.seq.wrapping_add(1);
                sent += 1;
                talked += 1;
            }
            let murmurs = ((now - t0) as u128 * (2 * quiet) as u128 / 1_000_000_000) as u64;
            let murmurs = if stop_sending || warm { murmured } else { murmurs };
            for _ in 0..(murmurs - murmured).min(1024) {
                let at = murmured as usize % (2 * quiet);
                let second = murmured as usize / (2 * quiet);
                murmured += 1;
                let (i, dir) = (n + at / 2, at % 2);
                let leg = &mut legs[i][dir];
                let side = &mut sides[dir];
                let ssrc = (i * 2 + dir) as u32 + 1000;
                // Not in one second for all.
                let reports = (second + at).is_multiple_of(5);
                if side.out[leg.sock].len + 2 > 64 {
                    side.out[leg.sock].flush(side.socks[leg.sock].as_raw_fd());
                }
                rtp(side.out[leg.sock].next(leg.to), ssrc, leg.seq, payload, now);
                leg.seq = leg.seq.wrapping_add(1);
                sent += 1;
                if reports {
                    let to = std::net::SocketAddrV4::new(*leg.to.ip(), leg.to.port() + 1);
                    let report = side.out[leg.sock].next(to);
                    // A receiver report of nobody, RFC 3550 §6.4.2.
                    report.extend_from_slice(&[0x80, 201, 0, 1]);
                    report.extend_from_slice(&ssrc.to_be_bytes());
                    rtcp_sent += 1;
                }
            }
            for side in &mut sides {
                for (s, o) in side.socks.iter().zip(side.out.iter_mut()) {
                    if o.len > 0 {
                        o.flush(s.as_raw_fd());
                    }
                }
            }
            let wait =
                libc::timespec { tv_sec: 0, tv_nsec: if flood { 20_000_000 } else { 250_000 } };
            // SAFETY: the descriptors and the time outlive the call, and as many are told as there are.
            let r = unsafe {
                libc::ppoll(polls.as_mut_ptr(), polls.len() as u64, &wait, std::ptr::null())
            };
            if r <= 0 {
                continue;
            }
            let now = now_ns();
            for p in &polls {
                if p.revents == 0 {
                    continue;
                }
                let c = batch.recv(p.fd).expect("recvmmsg");
                for j in 0..c {
                    let d = batch.data(j);
                    if d.len() >= HEAD + 20 && &d[HEAD..HEAD + 4] == b"LOAD" {
                        let at = u64::from_be_bytes(d[HEAD + 12..HEAD + 20].try_into().unwrap());
                        hist.add(now.saturating_sub(at));
                        got += 1;
                        sec_got += 1;
                    } else if d.len() > 1 && d[1] == 201 {
                        rtcp_got += 1;
                    } else {
                        alien += 1;
                    }
                }
                if c > 0 {
                    last_progress = now;
                }
            }
            if now - sec_at > 1_000_000_000 {
                peak = peak.max(sec_got * 1_000_000_000 / (now - sec_at));
                sec_at = now;
                sec_got = 0;
            }
        }
        if warm {
            if got == 0 {
                eprintln!("no packet came through the relay");
                std::process::exit(1);
            }
            continue;
        }
        let wall = (ended - t0) as f64 * 1e-9;
        let own = self_cpu_ns() - own0;
        let others = machine.others_since(&srv);
        let cpu = srv.cpu_us() - cpu0;
        let user = srv.user_us() - user0;
        let mem2 = srv.mem();
        let cpu_d0 = srv.cpu_us();
        for i in 0..n + quiet {
            let mut ids = vec![format!("c{i}-{run}")];
            if chain != "none" {
                ids.push(format!("d{i}-{run}"));
            }
            for id in ids {
                ng.ask(
                    &[
                        ("command", "delete"),
                        ("call-id", &id),
                        ("from-tag", "a"),
                        ("delete delay", "0"),
                    ],
                    &[],
                );
            }
        }
        sleep_ms(200);
        let cpu_del = srv.cpu_us() - cpu_d0;
        let calls = if chain == "none" { n + quiet } else { 2 * (n + quiet) } as f64;
        println!(
            "{{\"mode\":\"{}\",\"chain\":\"{chain}\",\"streams\":{n},\"quiet\":{quiet},\"rtcp_sent\":{rtcp_sent},\"rtcp_delivered\":{rtcp_got},\"payload\":{payload},\"sent\":{sent},\"delivered\":{got},\"lost\":{},\"alien\":{alien},\"seconds\":{wall:.2},\"delivered_per_s\":{:.0},\"peak_per_s\":{peak},\"p50_us\":{:.0},\"p99_us\":{:.0},\"max_us\":{:.0},\"server_cpu_ns_per_delivered\":{:.0},\"server_cpu_percent\":{:.1},\"generator_cpu_ns_per_packet\":{:.0},\"setup_us_wall_per_call\":{:.0},\"setup_cpu_us_per_call\":{:.1},\"delete_cpu_us_per_call\":{:.1},\"pss_idle_mib\":{:.1},\"pss_calls_mib\":{:.1},\"pss_load_mib\":{:.1},\"others_cpu_percent\":{:.0},\"steal_percent\":{:.0},\"server_user_percent\":{:.0}}}",
            if flood { "flood" } else { "paced" },
            sent - got.min(sent),
            got as f64 / wall,
            hist.us(0.5), hist.us(0.99), hist.max as f64 / 1000.0,
            cpu as f64 * 1000.0 / got.max(1) as f64,
            cpu as f64 / (wall * 1e6) * 100.0,
            own as f64 / got.max(1) as f64,
            setup_ns as f64 / 1000.0 / calls,
            cpu_setup as f64 / calls,
            cpu_del as f64 / calls,
            mem0.pss_kib as f64 / 1024.0, mem1.pss_kib as f64 / 1024.0, mem2.pss_kib as f64 / 1024.0,
            others.0, others.1, user as f64 / cpu.max(1) as f64 * 100.0
        );
    }
    polls.clear();
}
