//! SIP load generator. It is caller, callee and registering phone at once and sends everything
//! to one server, so any registrar/proxy can be measured the same way.
//!
//!   sipload options  --server 127.0.0.1:5060 --count 100000 --cmd-name kamailio
//!   sipload register --server 127.0.0.1:5060 --users 10000 --count 100000 ...
//!   sipload call     --server 127.0.0.1:5060 --users 1000  --count 50000 ...
//!
//! Options (defaults):
//!   --transport udp|tcp (udp)   --ip ADDRESS of the generator (127.0.0.1)
//!   --domain NAME (example.test) --password TEXT (secret)
//!   --window N   work units in flight at once (64)
//!   --rate N     start at most N units per second, 0 = as fast as the window allows (0)
//!   --count N    units to do (20000)   --seconds N  stop starting after this time (60)
//!   --users N    distinct users (1000) --sockets N  sockets on each side (4)
//!   --hold-ms N  talk time between ACK and BYE (0)
//!   --settle-ms N  wait before the last CPU reading, so late timers of the server count (1000)
//!   --pid / --cmd-name  the server's processes, for CPU and memory figures
//!   --keep-load-mem     read the server's memory at the end of the load (default) or skip
//!   --call-auth    answer a 407 to INVITE with credentials
#![allow(clippy::needless_range_loop, reason = "the index names a slot in several tables")]

use bench::{
    args::Args,
    big_buffers,
    hist::Hist,
    md5,
    mmsg::*,
    now_ns,
    procs::{Machine, Server},
    self_cpu_ns, sleep_ms,
};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;

// ---------------------------------------------------------------- transport

enum End {
    Udp { sock: UdpSocket, out: SendBatch },
    Tcp { sock: TcpStream, inbuf: Vec<u8>, outbuf: Vec<u8> },
}

struct Net {
    ends: Vec<End>,
    addrs: Vec<SocketAddrV4>,
    server: SocketAddrV4,
    polls: Vec<libc::pollfd>,
    batch: RecvBatch,
    tcp: bool,
}

impl Net {
    fn new(n: usize, ip: &str, server: SocketAddrV4, tcp: bool) -> Net {
        let mut ends = Vec::new();
        let mut addrs = Vec::new();
        for _ in 0..n {
            let local;
            let end = if tcp {
                let sock = TcpStream::connect(server).expect("connect to the server");
                sock.set_nodelay(true).unwrap();
                sock.set_nonblocking(true).unwrap();
                local = sock.local_addr().unwrap();
                End::Tcp { sock, inbuf: Vec::new(), outbuf: Vec::new() }
            } else {
                let sock = UdpSocket::bind((ip, 0)).expect("bind");
                big_buffers(sock.as_raw_fd(), 4 << 20);
                sock.set_nonblocking(true).unwrap();
                local = sock.local_addr().unwrap();
                End::Udp { sock, out: SendBatch::new(64) }
            };
            match local {
                std::net::SocketAddr::V4(a) => addrs.push(a),
                _ => panic!("IPv4 only"),
            }
            ends.push(end);
        }
        let polls = ends
            .iter()
            .map(|e| libc::pollfd {
                fd: match e {
                    End::Udp { sock, .. } => sock.as_raw_fd(),
                    End::Tcp { sock, .. } => sock.as_raw_fd(),
                },
                events: libc::POLLIN,
                revents: 0,
            })
            .collect();
        Net { ends, addrs, server, polls, batch: RecvBatch::new(64, 4096), tcp }
    }

    fn send(&mut self, end: usize, msg: &[u8]) {
        match &mut self.ends[end] {
            End::Udp { sock, out } => {
                if out.full() {
                    out.flush(sock.as_raw_fd());
                }
                out.next(self.server).extend_from_slice(msg);
            }
            End::Tcp { outbuf, .. } => outbuf.extend_from_slice(msg),
        }
    }

    fn flush(&mut self) {
        for e in &mut self.ends {
            match e {
                End::Udp { sock, out } => {
                    if out.len > 0 {
                        out.flush(sock.as_raw_fd());
                    }
                }
                End::Tcp { sock, outbuf, .. } => {
                    if !outbuf.is_empty() {
                        match sock.write(outbuf) {
                            Ok(n) => {
                                outbuf.drain(..n);
                            }
                            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                            Err(e) => {
                                eprintln!("tcp write: {e}");
                                std::process::exit(1);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Waits up to `ms` and hands every whole message that came in to `f(end, message)`.
    fn poll(&mut self, ms: i32, mut f: impl FnMut(usize, &[u8])) {
        let r = unsafe { libc::poll(self.polls.as_mut_ptr(), self.polls.len() as u64, ms) };
        if r <= 0 {
            return;
        }
        for i in 0..self.polls.len() {
            if self.polls[i].revents == 0 {
                continue;
            }
            match &mut self.ends[i] {
                End::Udp { sock, .. } => {
                    let n = self.batch.recv(sock.as_raw_fd()).expect("recvmmsg");
                    for k in 0..n {
                        f(i, self.batch.data(k));
                    }
                }
                End::Tcp { sock, inbuf, .. } => {
                    let mut tmp = [0u8; 65536];
                    match sock.read(&mut tmp) {
                        Ok(0) => {
                            eprintln!("server closed a TCP connection");
                            std::process::exit(1);
                        }
                        Ok(n) => inbuf.extend_from_slice(&tmp[..n]),
                        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(e) => {
                            eprintln!("tcp read: {e}");
                            std::process::exit(1);
                        }
                    }
                    let mut at = 0;
                    while let Some(len) = whole_message(&inbuf[at..]) {
                        f(i, &inbuf[at..at + len]);
                        at += len;
                    }
                    inbuf.drain(..at);
                }
            }
        }
    }

    fn proto(&self) -> &'static str {
        if self.tcp {
            "TCP"
        } else {
            "UDP"
        }
    }

    fn contact(&self, user: &str, end: usize) -> String {
        let t = if self.tcp { ";transport=tcp" } else { "" };
        format!("<sip:{user}@{}{t}>", self.addrs[end])
    }
}

/// Length of the first whole SIP message in a byte stream.
fn whole_message(b: &[u8]) -> Option<usize> {
    let head = b.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&b[..head]).ok()?;
    let mut body = 0;
    for l in text.split("\r\n") {
        if let Some((n, v)) = l.split_once(':') {
            let n = n.trim();
            if n.eq_ignore_ascii_case("content-length") || n.eq_ignore_ascii_case("l") {
                body = v.trim().parse().ok()?;
            }
        }
    }
    if b.len() >= head + body {
        Some(head + body)
    } else {
        None
    }
}

// ---------------------------------------------------------------- messages

/// The parts of a message the generator looks at.
#[derive(Default)]
struct Msg<'a> {
    status: u16,        // 0 for a request
    method: &'a str,    // of the request, or from CSeq
    vias: Vec<&'a str>, // whole lines
    routes: Vec<&'a str>,
    from: &'a str,
    to: &'a str,
    call_id: &'a str,
    cseq: &'a str,
    contact: &'a str,
    challenge: &'a str,
}

fn parse(b: &[u8]) -> Option<Msg<'_>> {
    let text = std::str::from_utf8(b).ok()?;
    let mut lines = text.split("\r\n");
    let first = lines.next()?;
    let mut m = Msg::default();
    if let Some(rest) = first.strip_prefix("SIP/2.0 ") {
        m.status = rest.get(..3)?.parse().ok()?;
    }
    for l in lines {
        if l.is_empty() {
            break;
        }
        let (n, v) = l.split_once(':')?;
        let n = n.trim_end();
        let v = v.trim();
        match n.len() {
            3 if n.eq_ignore_ascii_case("via") => m.vias.push(v),
            1 if n.eq_ignore_ascii_case("v") => m.vias.push(v),
            2 if n.eq_ignore_ascii_case("to") => m.to = v,
            1 if n.eq_ignore_ascii_case("t") => m.to = v,
            4 if n.eq_ignore_ascii_case("from") => m.from = v,
            1 if n.eq_ignore_ascii_case("f") => m.from = v,
            4 if n.eq_ignore_ascii_case("cseq") => m.cseq = v,
            7 if n.eq_ignore_ascii_case("call-id") => m.call_id = v,
            1 if n.eq_ignore_ascii_case("i") => m.call_id = v,
            7 if n.eq_ignore_ascii_case("contact") => m.contact = v,
            1 if n.eq_ignore_ascii_case("m") => m.contact = v,
            12 if n.eq_ignore_ascii_case("record-route") => m.routes.push(v),
            16 if n.eq_ignore_ascii_case("www-authenticate") => m.challenge = v,
            18 if n.eq_ignore_ascii_case("proxy-authenticate") => m.challenge = v,
            _ => {}
        }
    }
    m.method = if m.status == 0 { first.split(' ').next()? } else { m.cseq.split(' ').nth(1)? };
    Some(m)
}

fn param(challenge: &str, name: &str) -> Option<String> {
    for part in challenge.trim_start_matches("Digest").split(',') {
        let (n, v) = part.split_once('=')?;
        if n.trim().eq_ignore_ascii_case(name) {
            return Some(v.trim().trim_matches('"').to_string());
        }
    }
    None
}

/// Answer to a digest challenge (RFC 2617, MD5, with or without qop=auth).
fn credentials(challenge: &str, user: &str, password: &str, method: &str, uri: &str) -> String {
    let realm = param(challenge, "realm").unwrap_or_default();
    let nonce = param(challenge, "nonce").unwrap_or_default();
    let ha1 = md5::hex(format!("{user}:{realm}:{password}").as_bytes());
    let ha2 = md5::hex(format!("{method}:{uri}").as_bytes());
    let mut s = format!("Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",algorithm=MD5,");
    if param(challenge, "qop").is_some() {
        let r = md5::hex(format!("{ha1}:{nonce}:00000001:0a4f113b:auth:{ha2}").as_bytes());
        s += &format!("qop=auth,nc=00000001,cnonce=\"0a4f113b\",response=\"{r}\"");
    } else {
        let r = md5::hex(format!("{ha1}:{nonce}:{ha2}").as_bytes());
        s += &format!("response=\"{r}\"");
    }
    if let Some(o) = param(challenge, "opaque") {
        s += &format!(",opaque=\"{o}\"");
    }
    s
}

fn sdp(ip: std::net::Ipv4Addr, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
    )
}

// ---------------------------------------------------------------- the work

#[derive(Clone, Copy, PartialEq, Debug)]
enum Work {
    Options,
    Register,
    Call,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Stage {
    Free,
    First,   // first request sent
    Proceed, // INVITE answered with 1xx: no more retransmission
    Second,  // REGISTER/INVITE with credentials sent
    Holding, // call is up
    Bye,     // BYE sent
}

struct Slot {
    stage: Stage,
    gen: u32,
    user: usize,
    end: usize,
    started: u64,
    sent_at: u64,
    tries: u32,
    last: Vec<u8>,
    ack: Vec<u8>,
    bye: Vec<u8>,
}

struct Ctx {
    work: Work,
    domain: String,
    password: String,
    sides: usize, // sockets on each side; callee sockets come after the caller ones
    run: u64,
    register_on_callee: bool,
    contact_side_b: bool,
}

#[derive(Default)]
struct Counts {
    done: u64,
    failed: u64,
    retrans: u64,
    stray: u64,
    bad_status: u64,
}

fn user_name(c: &Ctx, i: usize) -> String {
    if c.register_on_callee || c.contact_side_b {
        format!("b{i}")
    } else {
        format!("u{i}")
    }
}

fn register_msg(net: &Net, c: &Ctx, slot: usize, s: &Slot, auth: Option<&str>) -> Vec<u8> {
    let user = user_name(c, s.user);
    let n = if auth.is_some() { 2 } else { 1 };
    let auth = auth.map(|a| format!("Authorization: {a}\r\n")).unwrap_or_default();
    format!(
        "REGISTER sip:{d} SIP/2.0\r\nVia: SIP/2.0/{p} {me};branch=z9hG4bK{slot}-{g}-{n}-{r};rport\r\nMax-Forwards: 70\r\nFrom: <sip:{user}@{d}>;tag=f{slot}-{g}\r\nTo: <sip:{user}@{d}>\r\nCall-ID: {slot}-{g}-{r}@load\r\nCSeq: {n} REGISTER\r\nContact: {ct}\r\nExpires: 3600\r\n{auth}User-Agent: load\r\nContent-Length: 0\r\n\r\n",
        d = c.domain, p = net.proto(), me = net.addrs[s.end], g = s.gen, r = c.run, ct = net.contact(&user, s.end)
    )
    .into_bytes()
}

fn options_msg(net: &Net, c: &Ctx, slot: usize, s: &Slot) -> Vec<u8> {
    format!(
        "OPTIONS sip:{srv} SIP/2.0\r\nVia: SIP/2.0/{p} {me};branch=z9hG4bK{slot}-{g}-{r};rport\r\nMax-Forwards: 70\r\nFrom: <sip:u{u}@{d}>;tag=f{slot}-{g}\r\nTo: <sip:{srv}>\r\nCall-ID: {slot}-{g}-{r}@load\r\nCSeq: 1 OPTIONS\r\nAccept: application/sdp\r\nUser-Agent: load\r\nContent-Length: 0\r\n\r\n",
        srv = net.server, p = net.proto(), me = net.addrs[s.end], g = s.gen, r = c.run, u = s.user, d = c.domain
    )
    .into_bytes()
}

fn invite_msg(net: &Net, c: &Ctx, slot: usize, s: &Slot, auth: Option<&str>) -> Vec<u8> {
    let me = net.addrs[s.end];
    let body = sdp(*me.ip(), 20000);
    let n = if auth.is_some() { 2 } else { 1 };
    let auth = auth.map(|a| format!("Proxy-Authorization: {a}\r\n")).unwrap_or_default();
    format!(
        "INVITE sip:b{u}@{d} SIP/2.0\r\nVia: SIP/2.0/{p} {me};branch=z9hG4bK{slot}-{g}-i{n}-{r};rport\r\nMax-Forwards: 70\r\nFrom: <sip:u{u}@{d}>;tag=f{slot}-{g}\r\nTo: <sip:b{u}@{d}>\r\nCall-ID: {slot}-{g}-{r}@load\r\nCSeq: {n} INVITE\r\nContact: {ct}\r\n{auth}Allow: INVITE,ACK,BYE,CANCEL,OPTIONS\r\nUser-Agent: load\r\nContent-Type: application/sdp\r\nContent-Length: {l}\r\n\r\n{body}",
        u = s.user, d = c.domain, p = net.proto(), g = s.gen, r = c.run, ct = net.contact(&format!("u{}", s.user), s.end), l = body.len()
    )
    .into_bytes()
}

/// ACK and BYE of an answered call, with the route set taken from the 200.
fn in_dialog(
    net: &Net,
    c: &Ctx,
    slot: usize,
    s: &Slot,
    m: &Msg,
    method: &str,
    cseq: &str,
) -> Vec<u8> {
    let target = match (m.contact.find('<'), m.contact.find('>')) {
        (Some(a), Some(b)) => &m.contact[a + 1..b],
        _ => m.contact,
    };
    let mut routes = String::new();
    let all: Vec<&str> = m.routes.iter().flat_map(|l| l.split(',')).map(|x| x.trim()).collect();
    for r in all.iter().rev() {
        routes += &format!("Route: {r}\r\n");
    }
    format!(
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{p} {me};branch=z9hG4bK{slot}-{g}-{method}-{r};rport\r\nMax-Forwards: 70\r\n{routes}From: {f}\r\nTo: {t}\r\nCall-ID: {slot}-{g}-{r}@load\r\nCSeq: {cseq} {method}\r\nUser-Agent: load\r\nContent-Length: 0\r\n\r\n",
        p = net.proto(), me = net.addrs[s.end], g = s.gen, r = c.run, f = m.from, t = m.to
    )
    .into_bytes()
}

/// What the callee answers to a request.
fn reply(out: &mut Vec<u8>, m: &Msg, status: &str, contact: Option<&str>, body: &str) {
    out.clear();
    out.extend_from_slice(b"SIP/2.0 ");
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(b"\r\n");
    let mut line = |n: &str, v: &str| {
        out.extend_from_slice(n.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(v.as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    for v in &m.vias {
        line("Via", v);
    }
    for v in &m.routes {
        line("Record-Route", v);
    }
    line("From", m.from);
    if m.to.contains("tag=") {
        line("To", m.to);
    } else {
        line("To", &format!("{};tag=callee", m.to));
    }
    line("Call-ID", m.call_id);
    line("CSeq", m.cseq);
    if let Some(c) = contact {
        line("Contact", c);
    }
    if !body.is_empty() {
        line("Content-Type", "application/sdp");
    }
    line("Content-Length", &body.len().to_string());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body.as_bytes());
}

struct Result_ {
    counts: Counts,
    wall_ns: u64,
    peak_per_s: u64,
    first: Hist, // time to the final answer of the first transaction (call: INVITE to 200)
    total: Hist,
    bye: Hist,
    peak_in_flight: usize,
}

struct Limits {
    count: u64,
    window: usize,
    users: usize,
    rate: f64,
    seconds: u64,
    hold_ns: u64,
    call_auth: bool,
}

fn run(net: &mut Net, c: &Ctx, l: &Limits) -> Result_ {
    let mut slots: Vec<Slot> = (0..l.window)
        .map(|_| Slot {
            stage: Stage::Free,
            gen: 0,
            user: 0,
            end: 0,
            started: 0,
            sent_at: 0,
            tries: 0,
            last: Vec::new(),
            ack: Vec::new(),
            bye: Vec::new(),
        })
        .collect();
    let mut free: Vec<usize> = (0..l.window).rev().collect();
    let mut holding: VecDeque<(u64, usize, u32)> = VecDeque::new();
    let mut res = Result_ {
        counts: Counts::default(),
        wall_ns: 0,
        peak_per_s: 0,
        first: Hist::new(),
        total: Hist::new(),
        bye: Hist::new(),
        peak_in_flight: 0,
    };
    let t0 = now_ns();
    let mut launched = 0u64;
    let (mut sec_start, mut sec_done) = (t0, 0u64);
    let mut last_scan = t0;
    let mut outbox: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut tmp = Vec::new();
    let tail = format!("-{}@load", c.run);

    loop {
        let now = now_ns();
        let elapsed = now - t0;
        let allowed =
            if l.rate > 0.0 { (elapsed as f64 * 1e-9 * l.rate) as u64 + 1 } else { u64::MAX };
        let open = elapsed < l.seconds * 1_000_000_000;
        while open && launched < l.count && launched < allowed {
            let Some(i) = free.pop() else { break };
            let side = if c.register_on_callee { c.sides } else { 0 };
            let s = &mut slots[i];
            s.gen += 1;
            s.user = (launched as usize) % l.users;
            s.end = side + s.user % c.sides;
            s.stage = Stage::First;
            s.started = now;
            s.sent_at = now;
            s.tries = 0;
            let s = &slots[i];
            let msg = match c.work {
                Work::Options => options_msg(net, c, i, s),
                Work::Register => register_msg(net, c, i, s, None),
                Work::Call => invite_msg(net, c, i, s, None),
            };
            net.send(s.end, &msg);
            slots[i].last = msg;
            launched += 1;
        }
        let in_flight = l.window - free.len();
        res.peak_in_flight = res.peak_in_flight.max(in_flight);
        if in_flight == 0 && (launched >= l.count || !open) {
            break;
        }
        net.flush();

        // calls whose talk time is over
        while let Some(&(at, i, gen)) = holding.front() {
            if at > now {
                break;
            }
            holding.pop_front();
            if slots[i].gen == gen && slots[i].stage == Stage::Holding {
                let m = std::mem::take(&mut slots[i].bye);
                net.send(slots[i].end, &m);
                slots[i].last = m;
                slots[i].stage = Stage::Bye;
                slots[i].sent_at = now;
                slots[i].tries = 0;
            }
        }

        let slots_ref = &mut slots;
        let addrs = net.addrs.clone();
        let tcp = net.tcp;
        let proto_contact = |u: &str, end: usize| {
            format!("<sip:{u}@{}{}>", addrs[end], if tcp { ";transport=tcp" } else { "" })
        };
        // answers are gathered first, because sending needs the sockets the loop is reading
        struct Final {
            slot: usize,
            ok: bool,
        }
        let mut finals: Vec<Final> = Vec::new();
        enum Next {
            Auth(usize, String),
            Up(usize, Vec<u8>),
        }
        let mut nexts: Vec<Next> = Vec::new();
        let counts = &mut res.counts;
        let (first, total, byeh) = (&mut res.first, &mut res.total, &mut res.bye);
        let wait = if l.rate > 0.0 || l.hold_ns > 0 { 1 } else { 20 };
        net.poll(wait, |end, raw| {
            let Some(m) = parse(raw) else {
                counts.stray += 1;
                return;
            };
            if m.status == 0 {
                // callee side
                match m.method {
                    "INVITE" => {
                        reply(&mut tmp, &m, "180 Ringing", None, "");
                        outbox.push((end, tmp.clone()));
                        let contact = proto_contact("callee", end);
                        reply(&mut tmp, &m, "200 OK", Some(&contact), &sdp(*addrs[end].ip(), 30000));
                        outbox.push((end, tmp.clone()));
                    }
                    "ACK" => {}
                    _ => {
                        reply(&mut tmp, &m, "200 OK", None, "");
                        outbox.push((end, tmp.clone()));
                    }
                }
                return;
            }
            // caller side: Call-ID is slot-generation-run@load
            let mut it = m.call_id.splitn(3, '-');
            let i: usize = it.next().and_then(|x| x.parse().ok()).unwrap_or(usize::MAX);
            let g: u32 = it.next().and_then(|x| x.parse().ok()).unwrap_or(0);
            if i >= slots_ref.len() || slots_ref[i].gen != g || !m.call_id.ends_with(&tail) {
                counts.stray += 1;
                return;
            }
            let s = &mut slots_ref[i];
            let now = now_ns();
            match (s.stage, m.status) {
                (Stage::Free, _) => counts.stray += 1,
                (Stage::First | Stage::Second, 100..=199) => {
                    if c.work == Work::Call {
                        s.stage = Stage::Proceed;
                    }
                }
                (Stage::Proceed, 100..=199) => {}
                (Stage::First, 401 | 407) | (Stage::Proceed, 407) if c.work == Work::Register || l.call_auth => {
                    nexts.push(Next::Auth(i, m.challenge.to_string()));
                    // the ACK of a refused INVITE goes straight out
                    if c.work == Work::Call {
                        s.ack = format!(
                            "ACK sip:b{u}@{d} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {f}\r\nTo: {t}\r\nCall-ID: {ci}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
                            u = s.user, d = c.domain, via = m.vias[0], f = m.from, t = m.to, ci = m.call_id
                        ).into_bytes();
                        outbox.push((s.end, s.ack.clone()));
                    }
                    s.stage = Stage::Second;
                }
                (Stage::First | Stage::Second, 200) if c.work != Work::Call => {
                    first.add(now - s.sent_at);
                    total.add(now - s.started);
                    finals.push(Final { slot: i, ok: true });
                    s.stage = Stage::Free;
                }
                (Stage::First | Stage::Proceed | Stage::Second, 200) if m.method == "INVITE" => {
                    first.add(now - s.started);
                    s.stage = Stage::Holding;
                    nexts.push(Next::Up(i, raw.to_vec()));
                }
                (Stage::Holding | Stage::Bye, 180 | 183 | 100) => {}
                (Stage::Holding | Stage::Bye, 200) if m.method == "INVITE" => {
                    counts.retrans += 1;
                    if !s.ack.is_empty() {
                        outbox.push((s.end, s.ack.clone()));
                    }
                }
                (Stage::Bye, 200) if m.method == "BYE" => {
                    byeh.add(now - s.sent_at);
                    total.add(now - s.started);
                    finals.push(Final { slot: i, ok: true });
                    s.stage = Stage::Free;
                }
                (_, st) => {
                    if counts.bad_status == 0 {
                        eprintln!("unexpected {st} at {:?}: {}", s.stage, String::from_utf8_lossy(raw));
                    }
                    counts.bad_status += 1;
                    if st >= 300 {
                        finals.push(Final { slot: i, ok: false });
                        s.stage = Stage::Free;
                    }
                }
            }
        });
        for (end, m) in outbox.drain(..) {
            net.send(end, &m);
        }
        let now = now_ns();
        for n in nexts {
            match n {
                Next::Auth(i, ch) => {
                    let msg = if c.work == Work::Register {
                        let a = credentials(
                            &ch,
                            &user_name(c, slots[i].user),
                            &c.password,
                            "REGISTER",
                            &format!("sip:{}", c.domain),
                        );
                        register_msg(net, c, i, &slots[i], Some(&a))
                    } else {
                        let uri = format!("sip:b{}@{}", slots[i].user, c.domain);
                        let a = credentials(
                            &ch,
                            &format!("u{}", slots[i].user),
                            &c.password,
                            "INVITE",
                            &uri,
                        );
                        invite_msg(net, c, i, &slots[i], Some(&a))
                    };
                    net.send(slots[i].end, &msg);
                    slots[i].last = msg;
                    slots[i].sent_at = now;
                    slots[i].tries = 0;
                }
                Next::Up(i, raw) => {
                    let m = parse(&raw).unwrap();
                    let n: u32 = m.cseq.split(' ').next().and_then(|x| x.parse().ok()).unwrap_or(1);
                    let ack = in_dialog(net, c, i, &slots[i], &m, "ACK", &n.to_string());
                    let bye = in_dialog(net, c, i, &slots[i], &m, "BYE", &(n + 1).to_string());
                    net.send(slots[i].end, &ack);
                    slots[i].ack = ack;
                    if l.hold_ns == 0 {
                        net.send(slots[i].end, &bye);
                        slots[i].last = bye;
                        slots[i].stage = Stage::Bye;
                        slots[i].sent_at = now;
                        slots[i].tries = 0;
                    } else {
                        slots[i].bye = bye;
                        holding.push_back((now + l.hold_ns, i, slots[i].gen));
                    }
                }
            }
        }
        for f in finals {
            if f.ok {
                res.counts.done += 1;
                sec_done += 1;
            } else {
                res.counts.failed += 1;
            }
            free.push(f.slot);
        }
        if now - sec_start >= 1_000_000_000 {
            res.peak_per_s = res.peak_per_s.max(sec_done * 1_000_000_000 / (now - sec_start));
            sec_start = now;
            sec_done = 0;
        }
        // retransmission after 500 ms, doubling; given up after 8 s
        if now - last_scan > 100_000_000 {
            last_scan = now;
            for i in 0..slots.len() {
                let s = &mut slots[i];
                let waiting = matches!(s.stage, Stage::First | Stage::Second | Stage::Bye);
                let age = now - s.sent_at;
                if (waiting || s.stage == Stage::Proceed) && age > 8_000_000_000 {
                    s.stage = Stage::Free;
                    res.counts.failed += 1;
                    free.push(i);
                } else if waiting && !net.tcp && age > 500_000_000 * ((1u64 << (s.tries + 1)) - 1) {
                    s.tries += 1;
                    res.counts.retrans += 1;
                    let m = s.last.clone();
                    let e = s.end;
                    net.send(e, &m);
                }
            }
        }
    }
    res.wall_ns = now_ns() - t0;
    res
}

fn main() {
    let a = Args::parse();
    let work = match a.free.first().map(|s| s.as_str()) {
        Some("options") => Work::Options,
        Some("register") => Work::Register,
        Some("call") => Work::Call,
        _ => {
            eprintln!("usage: sipload options|register|call [--option value]...  (see the head of src/sipload.rs)");
            std::process::exit(2);
        }
    };
    if a.flag("cpu") {
        bench::pin_to(a.num("cpu", 0));
    }
    let server: SocketAddrV4 =
        a.text("server", "127.0.0.1:5060").parse().expect("--server ip:port");
    let tcp = a.text("transport", "udp") == "tcp";
    let sides: usize = a.num("sockets", 4);
    let ip = a.text("ip", "127.0.0.1");
    let srv = Server::from_args(&a);
    let mut net = Net::new(sides * 2, &ip, server, tcp);
    let users: usize = a.num("users", 1000);
    let mut c = Ctx {
        work,
        domain: a.text("domain", "example.test"),
        password: a.text("password", "secret"),
        sides,
        run: std::process::id() as u64,
        register_on_callee: false,
        contact_side_b: false,
    };
    let l = Limits {
        count: a.num("count", 20000),
        window: a.num("window", 64),
        users,
        rate: a.num("rate", 0.0),
        seconds: a.num("seconds", 60),
        hold_ns: a.num("hold-ms", 0u64) * 1_000_000,
        call_auth: a.flag("call-auth"),
    };
    if work == Work::Call && !a.flag("no-register") {
        // the callees register first; this part is not measured
        c.work = Work::Register;
        c.register_on_callee = true;
        let first = Limits {
            count: users as u64,
            window: 64,
            users,
            rate: 0.0,
            seconds: 60,
            hold_ns: 0,
            call_auth: false,
        };
        let r = run(&mut net, &c, &first);
        if r.counts.done != users as u64 {
            eprintln!("only {} of {users} callees could register", r.counts.done);
        }
        c.work = Work::Call;
        c.register_on_callee = false;
        c.run += 1_000_000;
    }
    let mem0 = srv.mem();
    let user0 = srv.user_us();
    let cpu0 = srv.cpu_us();
    let own0 = self_cpu_ns();
    let machine = Machine::now(&srv);
    let r = run(&mut net, &c, &l);
    let others = machine.others_since(&srv);
    let own = self_cpu_ns() - own0;
    let mem1 = srv.mem();
    sleep_ms(a.num("settle-ms", 1000));
    let cpu = srv.cpu_us() - cpu0;
    let user = srv.user_us() - user0;
    let done = r.counts.done.max(1);
    let secs = r.wall_ns as f64 * 1e-9;
    println!(
        "{{\"work\":\"{}\",\"transport\":\"{}\",\"done\":{},\"failed\":{},\"retrans\":{},\"bad_status\":{},\"stray\":{},\"seconds\":{:.2},\"per_s\":{:.0},\"peak_per_s\":{},\"first_p50_us\":{:.0},\"first_p99_us\":{:.0},\"total_p50_us\":{:.0},\"total_p99_us\":{:.0},\"bye_p50_us\":{:.0},\"bye_p99_us\":{:.0},\"peak_in_flight\":{},\"server_cpu_us_per_unit\":{:.2},\"server_cpu_s\":{:.2},\"generator_cpu_us_per_unit\":{:.2},\"pss_before_mib\":{:.1},\"pss_after_mib\":{:.1},\"processes\":{},\"others_cpu_percent\":{:.0},\"steal_percent\":{:.0},\"server_user_percent\":{:.0}}}",
        a.free[0], net.proto(), r.counts.done, r.counts.failed, r.counts.retrans, r.counts.bad_status, r.counts.stray,
        secs, r.counts.done as f64 / secs, r.peak_per_s,
        r.first.us(0.5), r.first.us(0.99), r.total.us(0.5), r.total.us(0.99), r.bye.us(0.5), r.bye.us(0.99),
        r.peak_in_flight,
        cpu as f64 / done as f64, cpu as f64 / 1e6, own as f64 / 1000.0 / done as f64,
        mem0.pss_kib as f64 / 1024.0, mem1.pss_kib as f64 / 1024.0, mem1.processes, others.0, others.1, user as f64 / cpu.max(1) as f64 * 100.0
    );
    if r.counts.done == 0 {
        std::process::exit(1);
    }
}
